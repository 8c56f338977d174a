"""What is said of a state dict that no family recognises: what was seen, and what to do."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from engine.families.layout import natural_key, show_shape

SHOWN = 8
HOW_TO_BRING = (
    "Bring the model itself. As a file: engine.save_program(module, example_inputs, "
    '"model.pt2") writes a .pt2 with the architecture and its weights, which the page and the '
    "commands read. In Python: program = engine.capture(module, example_inputs) with your "
    "nn.Module, then engine.compare(a, b, program=program). A Hugging Face model comes with its "
    "config.json: its folder, or its reference on the Hub."
)


def unknown_message(tensors: Mapping[str, Tensor], nearest: str, reason: str) -> str:
    """Return the message for a state dict of an unknown architecture.

    Args:
        tensors: The state dict.
        nearest: Title of the family that it resembles most.
        reason: One sentence: why it is not of that family.
    """
    names = sorted(tensors, key=natural_key)
    lines = [f"  {name} {show_shape(tuple(tensors[name].shape))}" for name in names[:SHOWN]]
    if len(names) > SHOWN:
        lines.append(f"  … and {len(names) - SHOWN} more")
    return "\n".join(
        (
            f"No known family fits these {len(names)} tensors:",
            *lines,
            f"The nearest is {nearest}, but: {reason}",
            HOW_TO_BRING,
        )
    )


EMPTY = f"There are no tensors: the state dict is empty. {HOW_TO_BRING}"
