"""The names of a checkpoint's tensors, found for a module's: prefixes, old names, leftovers.

Files of different years name one tensor differently: with or without the prefix of the model
inside a head (`transformer.`, `bert.`), LayerNorms with `gamma` and `beta`, ViT's layers under
`encoder.layer`. Some hold tensors that no computation of today reads.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping

from engine.errors import UnknownArchitectureError
from engine.families.layout import show_shape, some_of

PREFIXES = ("transformer.", "bert.", "vit.", "model.")
OLD_LEAVES = (("LayerNorm.weight", "LayerNorm.gamma"), ("LayerNorm.bias", "LayerNorm.beta"))
VIT_LAYERS = (
    (re.compile(r"\.(q|k|v)_proj\."), r".attention.\1_proj."),
    (re.compile(r"attention\.attention\.q_proj"), "attention.attention.query"),
    (re.compile(r"attention\.attention\.k_proj"), "attention.attention.key"),
    (re.compile(r"attention\.attention\.v_proj"), "attention.attention.value"),
    (re.compile(r"attention\.o_proj"), "attention.output.dense"),
    (re.compile(r"mlp\.fc1"), "intermediate.dense"),
    (re.compile(r"mlp\.fc2"), "output.dense"),
    (re.compile(r"(^|\.)layers\.(\d+)\."), r"\1encoder.layer.\2."),
)
# Masks and tables that today's modules compute, and heads that the outputs do not come from.
LEFT_ASIDE = re.compile(
    r"(^|\.)(attn\.(bias|masked_bias)|position_ids|token_type_ids|rotary_emb\.inv_freq)$"
    r"|(^|\.)(pooler\.|cls\.seq_relationship\.)"
)


def find_names(
    own: Mapping[str, tuple[int, ...]],
    ties: Mapping[str, Collection[str]],
    shapes: Mapping[str, tuple[int, ...]],
) -> dict[str, str]:
    """Find every tensor of a module in a checkpoint.

    Args:
        own: The module's names -> shapes.
        ties: Name -> all names of the same tensor; it is enough that one of them is there.
        shapes: The checkpoint's names -> shapes.

    Returns:
        The module's names -> the checkpoint's.

    Raises:
        UnknownArchitectureError: A tensor is missing or of another shape.
    """
    found: dict[str, str] = {}
    for name, shape in own.items():
        same = (name, *(other for other in ties.get(name, ()) if other != name))
        spellings = (spelled for one in same for spelled in spellings_of(one))
        there = next((spelled for spelled in spellings if spelled in shapes), None)
        if there is None:
            raise UnknownArchitectureError(
                f"There is no {name} {show_shape(shape)}, which config.json asks for."
            )
        if shapes[there] != shape:
            raise UnknownArchitectureError(
                f"{there} is {show_shape(shapes[there])}; by config.json it would be "
                f"{show_shape(shape)}."
            )
        found[name] = there
    return found


def spellings_of(name: str) -> Iterator[str]:
    """Yield the names that a tensor may have in a file, today's first."""
    stems = [name, *(name.removeprefix(p) for p in PREFIXES if name.startswith(p))]
    stems += [prefix + name for prefix in PREFIXES if not name.startswith(PREFIXES)]
    for stem in stems:
        yield stem
        for new, old in OLD_LEAVES:
            if stem.endswith(new):
                yield stem.removesuffix(new) + old
        spelled = stem
        for pattern, replacement in VIT_LAYERS:
            spelled = pattern.sub(replacement, spelled)
        if spelled != stem:
            yield spelled


def left_aside(shapes: Mapping[str, tuple[int, ...]], used: Collection[str]) -> list[str]:
    """Return the checkpoint's tensors that no computation of the module reads.

    Raises:
        UnknownArchitectureError: Others than those that are known to be idle are left over.
    """
    left = [name for name in shapes if name not in used]
    unknown = [f"{n} {show_shape(shapes[n])}" for n in left if not LEFT_ASIDE.search(n)]
    if unknown:
        raise UnknownArchitectureError(f"These tensors would be left over: {some_of(unknown)}.")
    return left
