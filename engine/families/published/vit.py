"""Recognise a vision transformer in the key layouts of torchvision and timm (DeiT as well).

Any width, depth, patch and image size, with a class token or averaging, with layer scale or
without. Not handled: distillation tokens, relative positions, registers, norms of queries and
keys, hybrid stems, rectangular images.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isqrt
from typing import Any

from engine.errors import SpecError, UnknownArchitectureError
from engine.families.family import Family, Recognition
from engine.families.layout import Layout
from engine.families.published.draft import Draft, eps_of, eps_sentence, finished, whole
from engine.families.published.tree import Tree, tree_of
from engine.families.published.vit_module import VisionTransformer

Overrides = Mapping[str, Any]
EPS = 1e-6
HEAD_SIZE = 64
OPTIONAL = frozenset({"qkv.bias", "scale1", "scale2"})
HEADS_OF_HUGE = {1280: 16}  # ViT-H has heads of 80

# (width, blocks) -> the published variant
VARIANTS = {
    (192, 12): "Ti",
    (384, 12): "S",
    (768, 12): "B",
    (1024, 24): "L",
    (1280, 32): "H",
}


@dataclass(frozen=True)
class Names:
    """Where one library keeps its tensors; `block` is followed by the block's number."""

    library: str
    patch: str
    class_token: str
    position: str
    block: str
    inside: Mapping[str, tuple[str, ...]]  # own layer or tensor -> the names it may have
    norms: Mapping[str, str]  # final norm -> "before" or "after" pooling
    head: str


TORCHVISION = Names(
    library="torchvision",
    patch="conv_proj",
    class_token="class_token",
    position="encoder.pos_embedding",
    block="encoder.layers.encoder_layer_",
    inside={
        "norm1": ("ln_1",),
        "qkv.weight": ("self_attention.in_proj_weight",),
        "qkv.bias": ("self_attention.in_proj_bias",),
        "proj": ("self_attention.out_proj",),
        "norm2": ("ln_2",),
        "up": ("mlp.0", "mlp.linear_1"),
        "down": ("mlp.3", "mlp.linear_2"),
    },
    norms={"encoder.ln": "before"},
    head="heads.head",
)
TIMM = Names(
    library="timm",
    patch="patch_embed.proj",
    class_token="cls_token",
    position="pos_embed",
    block="blocks.",
    inside={
        "norm1": ("norm1",),
        "qkv.weight": ("attn.qkv.weight",),
        "qkv.bias": ("attn.qkv.bias",),
        "proj": ("attn.proj",),
        "norm2": ("norm2",),
        "up": ("mlp.fc1",),
        "down": ("mlp.fc2",),
        "scale1": ("ls1.gamma", "gamma_1"),
        "scale2": ("ls2.gamma", "gamma_2"),
    },
    norms={"norm": "before", "fc_norm": "after"},
    head="head",
)
LAYOUTS = (TORCHVISION, TIMM)


def layout_of(tree: Tree) -> Names | None:
    """Return the library whose names patches, positions and the first block have."""
    for names in LAYOUTS:
        first = f"{names.block}0.{names.inside['qkv.weight'][0]}"
        if tree.has(f"{names.patch}.weight") and tree.has(names.position) and tree.has(first):
            return names
    return None


def likeness(layout: Layout) -> float:
    """2 where patches, positions and the first block have published names."""
    return 2.0 if layout_of(tree_of(layout)) else 0.0


def recognise(layout: Layout, overrides: Overrides) -> Recognition:
    """Recognise a vision transformer in a state dict's names and shapes.

    Raises:
        UnknownArchitectureError: It is none; says why.
        SpecError: An override is not possible.
    """
    tree = tree_of(layout)
    names = layout_of(tree)
    if names is None:
        raise UnknownArchitectureError("It has not a vision transformer's published names.")
    width, channels, patch, _ = tree.weight(names.patch, 4)
    grid, placed = grid_of(tree, names)
    hidden, scaled, paths = read_blocks(tree, names)
    heads, said_heads = heads_of(width, overrides)
    norm = tree.first(*reversed(tuple(names.norms)))
    classes = tree.weight(names.head, 2)[0]
    has_class = tree.has(names.class_token)
    eps = eps_of(overrides, EPS)
    averaged = names.norms[norm] == "after" or not has_class
    config = {
        "family": FAMILY.name,
        "patch": patch,
        "channels": channels,
        "width": width,
        "heads": heads,
        "hidden": hidden,
        "eps": eps,
        "qkv_bias": f"{names.block}0.{names.inside['qkv.bias'][0]}" in tree.shapes,
        "layer_scale": scaled,
        "tokens": tree.shape(names.position, 3)[1],
        "class_token": has_class,
        "position_of_class": placed,
        "pool": "average" if averaged else "class",
        "norm": names.norms[norm],
        "classes": classes,
    }
    paths |= {"patch": names.patch, "position": names.position, "norm": norm, "head": names.head}
    paths |= {"class_token": names.class_token} if has_class else {}
    side = grid * patch
    draft = Draft(
        title=f"ViT{variant_of(width, len(hidden), patch)}, {side}×{side}",
        evidence=evidence_of(config, names, grid),
        assumptions=(
            said_heads,
            "The activation is GELU, as in every published ViT.",
            "The patches are averaged." if averaged else "The class token is what is classified.",
            eps_sentence(eps, overrides, "torchvision and timm"),
        ),
        config=config,
        paths=paths,
        input_shape=(channels, side, side),
        classes=classes,
    )
    return finished(draft, layout, tree, VisionTransformer)


def grid_of(tree: Tree, names: Names) -> tuple[int, bool]:
    """Return the patches per side, and whether the class token has a position.

    Raises:
        UnknownArchitectureError: The position table is no square.
    """
    tokens, has_class = tree.shape(names.position, 3)[1], tree.has(names.class_token)
    for extra in (1, 0) if has_class else (0,):
        if isqrt(tokens - extra) ** 2 == tokens - extra > 0:
            return isqrt(tokens - extra), bool(extra)
    raise UnknownArchitectureError(
        f"{tree.labels[names.position]} has {tokens} rows, which are no square of patches."
    )


def read_blocks(tree: Tree, names: Names) -> tuple[list[int], bool, dict[str, str]]:
    """Return the hidden widths of the blocks, whether they scale, and where their tensors are."""
    hidden: list[int] = []
    paths: dict[str, str] = {}
    while tree.has(block := f"{names.block}{len(hidden)}"):
        for own, theirs in names.inside.items():
            found = (f"{block}.{name}" for name in theirs)
            needed = None if own in OPTIONAL else f"{block}.{theirs[0]}"
            there = next(filter(tree.has, found), needed)
            paths |= {f"blocks.{len(hidden)}.{own}": there} if there else {}
        hidden.append(tree.weight(paths[f"blocks.{len(hidden)}.up"], 2)[0])
    return hidden, "blocks.0.scale1" in paths, paths


def heads_of(width: int, overrides: Overrides) -> tuple[int, str]:
    """Return the number of heads, which no shape shows, and the sentence on it.

    Raises:
        SpecError: The number given does not divide the width.
        UnknownArchitectureError: The width is no multiple of the usual head size.
    """
    given = overrides.get("heads")
    if given is None and width % HEAD_SIZE and width not in HEADS_OF_HUGE:
        raise UnknownArchitectureError(
            f"The width {width} is no multiple of {HEAD_SIZE}, the usual size of a head, and "
            "shapes do not show how many heads there are: give heads=…."
        )
    usual = HEADS_OF_HUGE.get(width, max(1, width // HEAD_SIZE))
    heads = whole(overrides, "heads", usual)
    if width % heads:
        raise SpecError(f"heads={heads} is not possible: it does not divide the width {width}.")
    if given is not None:
        return heads, f"There are {heads} heads of {width // heads}, as given."
    return heads, f"There are {heads} heads of {width // heads}: no shape shows it (heads=…)."


def variant_of(width: int, blocks: int, patch: int) -> str:
    """Name the published variant, else depth, width and patches."""
    named = VARIANTS.get((width, blocks))
    if named:
        return f"-{named}/{patch}"
    return f" of {blocks} blocks, width {width}, patches {patch}×{patch}"


def evidence_of(config: Mapping[str, Any], names: Names, grid: int) -> tuple[str, ...]:
    """Say what the names and shapes show."""
    token = "with a class token" if config["class_token"] else "without a class token"
    return (
        f"{names.library}'s names: {len(config['hidden'])} blocks of attention and two linear "
        f"layers, width {config['width']}, hidden {config['hidden'][0]}.",
        f"{names.patch} cuts patches of {config['patch']}×{config['patch']}; "
        f"{names.position} has {config['tokens']} rows, {grid}×{grid} patches {token}: images of "
        f"{grid * config['patch']}×{grid * config['patch']}.",
        f"{names.head} leads to {config['classes']} classes.",
    )


FAMILY = Family(
    name="vit",
    title="vision transformer (torchvision's or timm's names)",
    options=("heads", "norm_eps"),
    likeness=likeness,
    recognise=recognise,
    build=VisionTransformer,
)
