"""Why a file of `torch.save` is refused, and the two lines that convert it where it is trusted."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import NoReturn

from engine.errors import CheckpointError, UnsafeFileError

_LOAD = 'x = torch.load("FILE", map_location="cpu", weights_only=False)'
_SAVE = 'torch.save({}, "weights.pt")'
_MANY = 6

#: What no checkpoint needs; files that name it are not worth converting.
_HOSTILE = re.compile(
    r"(os|posix|nt|sys|io|_io|subprocess|shutil|socket|runpy|importlib|pty|ctypes|webbrowser|code|codeop"
    r"|commands|operator|pip|bdb|pdb|timeit|asyncio|multiprocessing)\..*"
    r"|(builtins|__builtin__)\.(eval|exec|execfile|compile|open|file|getattr|setattr|delattr"
    r"|__import__|input|globals|vars|apply|breakpoint)"
)


def refuse_globals(names: Sequence[str]) -> None:
    """Refuse a pickle that refers to `names`, none of which a state dict needs.

    Raises:
        UnsafeFileError: Unless `names` is empty.
    """
    if not names:
        return
    listed = ", ".join(names[:_MANY])
    if len(names) > _MANY:
        listed += f" and {len(names) - _MANY} more"
    if any(_HOSTILE.fullmatch(name) for name in names):
        raise UnsafeFileError(
            f"reading it would run code ({listed}), as malicious files do; nothing was run, and "
            "the file should not be opened elsewhere either"
        )
    if any(name.startswith("torch.nn.modules.") for name in names):
        raise UnsafeFileError(
            f"it is a whole pickled module ({listed}), which only its own code can read. "
            + _conversion(_LOAD, _SAVE.format("x.state_dict()"))
        )
    for part, kind, method in (
        ("sparse", "sparse", "to_dense"),
        ("_rebuild_qtensor", "quantised", "dequantize"),
    ):
        if any(part in name for name in names):
            raise CheckpointError(
                f"it holds {kind} tensors ({listed}); only dense ones are read. "
                + _conversion(_LOAD, _SAVE.format(f"{{k: v.{method}() for k, v in x.items()}}"))
            )
    if any("_rebuild_meta_tensor" in name for name in names):
        raise CheckpointError("it holds meta tensors, which have a shape but no values")
    raise UnsafeFileError(
        f"it holds more than tensors ({listed}), which only code could read. "
        + _conversion(_LOAD, _SAVE.format('x["state_dict"]') + "  # or where x holds the weights")
    )


def refuse_script(members: Collection[str]) -> None:
    """Refuse TorchScript and old exported programs, told by the members of their zip.

    Raises:
        UnsafeFileError: The zip holds a program, not a state dict.
        CheckpointError: It is an exported program whose members are not in torch's order.
    """
    if "constants.pkl" in members or any(name.startswith("code/") for name in members):
        load = 'x = torch.jit.load("FILE", map_location="cpu")'
        raise UnsafeFileError(
            "it is a TorchScript archive: a program, not a state dict. "
            + _conversion(load, _SAVE.format("x.state_dict()"))
        )
    if "serialized_exported_program.json" in members:
        raise UnsafeFileError(
            "it is an exported program (.pt2) of an old torch, whose weights are pickled; export "
            "the module again with torch 2.11 or later, or save its state dict"
        )
    if any(name.startswith("models/") for name in members):
        raise CheckpointError(
            "it is an exported program (.pt2) that was packed again; use the file that "
            "torch.export.save wrote"
        )


def refuse_tar() -> NoReturn:
    """Refuse the tar files that PyTorch 0.1 wrote, which cannot be read without unpickling.

    Raises:
        CheckpointError: Always.
    """
    raise CheckpointError(
        "it is a tar archive: either packed files, to be unpacked first, or a checkpoint of "
        "PyTorch 0.1. " + _conversion(_LOAD, _SAVE.format("x"))
    )


def _conversion(load: str, save: str) -> str:
    return (
        "If you trust its author, these two lines convert it (after `import torch`):\n"
        f"    {load}\n    {save}"
    )
