"""Names of a residual network, split into stages and blocks.

The first piece of a path with a number ends the stage's name and the next one the block's:
`layer1.0.conv1`, `segments.0.1.conv2`, `block_groups.0.blocks.1.norm0`, `blockgroup1.block2.bn1`,
`conv2_x.0.residual_function.3` all read the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.families.layout import Part, natural_key, words_in

SHORTCUT_WORDS = frozenset(
    {"shortcut", "downsample", "skip", "proj", "projection", "identity", "down"}
)

Inside = tuple[tuple[str, Part], ...]  # (name inside the block, layer), in natural order


@dataclass(frozen=True)
class Blocks:
    """stage name -> block name -> its layers; and the layers outside any block."""

    blocks: dict[str, dict[str, Inside]]
    outside: tuple[Part, ...]


def split_blocks(parts: Sequence[Part]) -> Blocks:
    """Split layers into blocks by their names; stages and blocks in natural order."""
    found: dict[str, dict[str, list[tuple[str, Part]]]] = {}
    outside = []
    for part in parts:
        place = _place(part.path)
        if place is None:
            outside.append(part)
        else:
            stage, block, inside = place
            found.setdefault(stage, {}).setdefault(block, []).append((inside, part))
    blocks = {
        stage: {
            block: tuple(sorted(found[stage][block], key=lambda item: natural_key(item[0])))
            for block in sorted(found[stage], key=natural_key)
        }
        for stage in sorted(found, key=natural_key)
    }
    return Blocks(blocks, tuple(outside))


def _place(path: str) -> tuple[str, str, str] | None:
    pieces = path.split(".")
    numbered = [i for i, piece in enumerate(pieces) if any(c.isdigit() for c in piece)]
    if len(numbered) < 2 or numbered[1] == len(pieces) - 1:
        return None
    stage, block = numbered[0] + 1, numbered[1] + 1
    return ".".join(pieces[:stage]), ".".join(pieces[stage:block]), ".".join(pieces[block:])


def is_shortcut(inside: str) -> bool:
    """Whether a layer's name inside its block says that it is on the shortcut."""
    return bool(words_in(inside) & SHORTCUT_WORDS)
