"""From an `nn.Module` to a Program, by `torch.export`.

Does not handle forwards that are random, that depend on data in their control flow, that
write to buffers in eval mode, or whose outputs mix the samples of a batch: each is refused
with its reason.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping

import torch
from torch import Tensor, fx, nn
from torch.export import Dim, ExportedProgram, export
from torch.export.graph_signature import InputKind, OutputKind
from torch.fx.experimental.symbolic_shapes import free_unbacked_symbols

from engine.errors import CaptureError, ProgramError
from engine.program.functional import functional, writes
from engine.program.placement import drop_trace_checks
from engine.program.program import Program
from engine.program.runs import slice_runs
from engine.program.spec import InputSpec, ParameterSpec
from engine.program.variants import fingerprint_of

SMALLEST_BATCH = 2
MIXING = 1e-2
"""Share of the largest output that rounding cannot explain, even in bfloat16."""


def capture(
    module: nn.Module, example_inputs: Tensor | tuple[Tensor, ...], *, hollow: bool = False
) -> Program:
    """Trace a module in eval mode into a Program; the module is left as it was.

    Args:
        module: any module whose forward takes tensors and returns logits: one tensor, a
            tuple whose first item they are, or a mapping that holds them under "logits".
        example_inputs: one tensor or a tuple, each of shape [batch, …].
        hollow: the module is known to treat samples apart and holds no weights yet, so it is
            not run to see whether it does.

    Raises:
        CaptureError: the module cannot be traced, with the reason.
    """
    exported = export_module(module, checked_inputs(module, example_inputs))
    _refuse_unsuitable(exported)
    exported = functional(exported)
    for output in exported.graph_signature.output_specs:
        if output.kind is not OutputKind.USER_OUTPUT:
            raise _writes_to(output.target)
    graph_module = exported.graph_module
    placeholders, parameters, constants = _bind(exported, module)
    slice_runs(exported.graph, constants)
    _keep_logits_only(exported)
    graph = graph_module.graph
    user_inputs = tuple(
        _input_spec(node)
        for node in graph.nodes
        if node.op == "placeholder" and node.name not in placeholders and node.name not in constants
    )
    program = Program(
        fx.GraphModule(graph_module, graph),
        placeholders=placeholders,
        parameters=parameters,
        constants=constants,
        inputs=user_inputs,
        aliases=_aliases(module, set(parameters)),
        fingerprint=fingerprint_of(graph, placeholders, constants),
    )
    if not hollow:
        _refuse_mixing(program, exported.state_dict)
    return program


def checked_inputs(
    module: nn.Module, example_inputs: Tensor | tuple[Tensor, ...]
) -> tuple[Tensor, ...]:
    """Return the examples as a tuple, fit for tracing.

    Raises:
        CaptureError: the module is none, or an example is no batch of real numbers.
    """
    if not isinstance(module, nn.Module):
        raise CaptureError(f"a Program is made of an nn.Module, not of a {type(module).__name__}")
    inputs = example_inputs if isinstance(example_inputs, tuple) else (example_inputs,)
    return tuple(_at_least_two(tensor) for tensor in inputs)


def _at_least_two(tensor: Tensor) -> Tensor:
    """Return the example with two samples or more: one would be taken for a fixed size."""
    if not isinstance(tensor, Tensor) or tensor.is_complex():
        kind = tensor.dtype if isinstance(tensor, Tensor) else f"a {type(tensor).__name__}"
        raise CaptureError(f"an example input is a tensor of real numbers, got {kind}")
    if tensor.dim() == 0 or tensor.shape[0] == 0:
        raise CaptureError(f"an example input needs shape [batch, …], got {list(tensor.shape)}")
    if tensor.shape[0] >= SMALLEST_BATCH:
        return tensor
    return tensor.repeat(SMALLEST_BATCH, *[1] * (tensor.dim() - 1))


def export_module(module: nn.Module, inputs: tuple[Tensor, ...]) -> ExportedProgram:
    """Return what torch.export makes of a module in eval mode, for a batch of any size.

    Raises:
        CaptureError: the module cannot be traced, with the reason.
    """
    training = [part for part in module.modules() if part.training]
    module.eval()
    try:
        with torch.no_grad():
            shapes = _dynamic_batches(module, len(inputs))
            return export(module, inputs, dynamic_shapes=shapes, strict=False)
    except Exception as error:  # torch.export raises whatever the user's forward raises
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise CaptureError(
            f"{type(module).__name__} cannot be traced: {reason[0]} "
            "(the forward must take a batch of any size, without data-dependent control flow)"
        ) from error
    finally:
        for part in training:
            part.training = True


def _dynamic_batches(module: nn.Module, count: int) -> tuple[object, ...]:
    """Return the dynamic batch of every input; those of a `*inputs` are nested, as in a call."""
    batches = tuple({0: Dim.DYNAMIC} for _ in range(count))
    kinds = [p.kind for p in inspect.signature(module.forward).parameters.values()]
    if inspect.Parameter.VAR_POSITIONAL not in kinds:
        return batches
    named = kinds.index(inspect.Parameter.VAR_POSITIONAL)
    return (*batches[:named], batches[named:]) if count > named else batches


def _refuse_unsuitable(exported: ExportedProgram) -> None:
    state = {
        spec.arg.name: spec.target
        for spec in exported.graph_signature.input_specs
        if spec.kind is not InputKind.USER_INPUT
    }
    for node in exported.graph.nodes:
        if writes(node) and getattr(node.args[0], "name", "") in state:
            raise _writes_to(state[node.args[0].name])
        if node.op != "call_function" or not isinstance(node.target, torch._ops.OpOverload):
            continue
        if torch.Tag.nondeterministic_seeded in node.target.tags and not _is_idle(node):
            raise CaptureError(f"the forward is random in eval mode: it calls {node.target}")
        if node.target is torch.ops.aten.batch_norm.default and node.args[5]:
            raise CaptureError(
                "a BatchNorm has no running statistics, so that outputs depend on the other "
                "samples of the batch; set track_running_stats=True"
            )


def _writes_to(target: str | None) -> CaptureError:
    return CaptureError(f"the forward writes to {target} in eval mode; it must be a pure function")


def _is_idle(node: fx.Node) -> bool:
    """Return whether a node of a random op draws nothing: dropout in eval mode or of rate 0."""
    schema = node.target._schema.arguments  # type: ignore[union-attr]
    given = {argument.name: argument.default_value for argument in schema}
    given |= dict(zip(given, node.args, strict=False)) | node.kwargs
    if given.get("train") is False or given.get("training") is False:
        return True
    rates = [given[name] for name in ("dropout_p", "p") if name in given]
    return bool(rates) and not any(rates)


def _bind(
    exported: ExportedProgram, module: nn.Module
) -> tuple[dict[str, str], dict[str, ParameterSpec], dict[str, Tensor]]:
    """Return what each placeholder stands for, with tied parameters under their first name."""
    placeholders: dict[str, str] = {}
    parameters: dict[str, ParameterSpec] = {}
    constants: dict[str, Tensor] = {}
    first: dict[int, str] = {}
    tensors = dict(exported.state_dict) | dict(exported.constants)
    for spec in exported.graph_signature.input_specs:
        if spec.kind is InputKind.USER_INPUT:
            continue
        node, target = str(getattr(spec.arg, "name", "")), str(spec.target)
        value = tensors.get(target)
        if not isinstance(value, Tensor):
            raise CaptureError(f"the forward reads {target}, which is no tensor")
        is_state = (
            spec.kind in (InputKind.PARAMETER, InputKind.BUFFER) and spec.persistent is not False
        )
        if spec.kind is InputKind.PARAMETER and value.is_complex():
            raise CaptureError(
                f"the parameter {target} is complex, which is not handled; keep its real and its "
                "imaginary part as two parameters"
            )
        if not is_state or not value.is_floating_point():
            constants[node] = value.detach().clone()
            continue
        name = first.setdefault(id(_original(module, target, value)), target)
        placeholders[node] = name
        parameters[name] = ParameterSpec(
            tuple(value.shape), value.dtype, spec.kind is InputKind.PARAMETER
        )
    return placeholders, parameters, constants


def _original(module: nn.Module, target: str, value: Tensor) -> Tensor:
    """Return the module's own tensor, whose identity shows which names share it."""
    path, _, name = target.rpartition(".")
    return getattr(module.get_submodule(path), name, value)


def _aliases(module: nn.Module, known: set[str]) -> dict[str, str]:
    named = list(module.named_parameters(remove_duplicate=False))
    named += list(module.named_buffers(remove_duplicate=False))
    canonical = {id(tensor): name for name, tensor in named if name in known}
    return {
        name: canonical[id(tensor)]
        for name, tensor in named
        if name not in known and id(tensor) in canonical
    }


def _refuse_mixing(program: Program, state: Mapping[str, Tensor]) -> None:
    """Raise CaptureError where outputs change without the last sample and in the other order."""
    params = program.named(state)
    device = next((tensor.device for tensor in params.values()), torch.device("cpu"))
    if device.type == "meta":
        return
    drawn = program.sample_inputs(SMALLEST_BATCH + 1, torch.Generator().manual_seed(0))
    inputs = [t.to(device, spec.dtype) for t, spec in zip(drawn, program.inputs, strict=True)]
    try:
        with torch.no_grad():
            more = program(params, *inputs)[:SMALLEST_BATCH]
            turned = (tensor[:SMALLEST_BATCH].flip(0) for tensor in inputs)
            fewer = program(params, *turned).flip(0)
    except (ProgramError, IndexError):
        return  # the drawn inputs are no possible ones (places beyond a table, say)
    if more.shape != fewer.shape:
        raise CaptureError("the forward must return one row of outputs per sample")
    if bool(((more - fewer).abs() > MIXING * fewer.abs().max()).any()):
        raise CaptureError(
            "the outputs of a sample depend on the other samples of its batch, so that no loss "
            "per sample is defined"
        )


def _keep_logits_only(exported: ExportedProgram) -> None:
    """Rewrite the graph's output to the logits alone."""
    graph = exported.graph_module.graph
    output = next(node for node in graph.nodes if node.op == "output")
    values = list(output.args[0])
    keys = getattr(exported.call_spec.out_spec, "context", None)
    index = keys.index("logits") if isinstance(keys, list) and "logits" in keys else 0
    logits = values[index] if index < len(values) else None
    if not isinstance(logits, fx.Node) or not isinstance(logits.meta.get("val"), Tensor):
        raise CaptureError("the forward must return logits as a tensor")
    value = logits.meta["val"]
    if value.dim() and free_unbacked_symbols(value.shape[0]):
        raise CaptureError("how many rows the forward returns depends on its inputs' values")
    if not value.is_floating_point() or value.dim() == 0:
        raise CaptureError(
            "the forward must return logits, one row of floating-point numbers per sample; it "
            f"returns {value.dtype} of {value.dim()} dimensions"
        )
    output.args = (logits,)
    drop_trace_checks(graph)
    graph.eliminate_dead_code()
    exported.graph_module.recompile()


def _input_spec(node: fx.Node) -> InputSpec:
    value = node.meta["val"]
    if any(not isinstance(size, int) for size in value.shape[1:]):
        raise CaptureError(f"only the first dimension of input {node.name} may vary")
    return InputSpec(node.name, tuple(value.shape[1:]), value.dtype, _vocabulary(node))


def _vocabulary(node: fx.Node) -> int:
    """Return the rows of the smallest embedding table that a node's value indexes.

    0 for floating-point inputs, 2 where no table is found: every model takes 0 and 1.
    """
    if node.meta["val"].is_floating_point():
        return 0
    rows, waiting = [], [node]
    while waiting:
        for user in waiting.pop().users:
            if user.target is torch.ops.aten.embedding.default:
                rows.append(int(user.args[0].meta["val"].shape[0]))  # type: ignore[union-attr]
            elif str(user.target).removeprefix("aten.").split(".")[0] in _SAME_VALUES:
                waiting.append(user)
    return min(rows, default=2)


# Ops through which token ids reach a table unchanged.
_SAME_VALUES = (
    *("view", "reshape", "_unsafe_view", "flatten", "unsqueeze", "squeeze", "expand", "repeat"),
    *("clone", "contiguous", "to", "_to_copy", "alias", "slice", "select", "transpose", "permute"),
)
