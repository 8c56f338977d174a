"""Recognise a ConvNeXt in the key layouts of torchvision, timm and its authors.

Any widths, depths, kernels and patch sizes, with layer scale or without. Not handled:
ConvNeXt V2's response normalisation, stems of several convolutions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.errors import UnknownArchitectureError
from engine.families.family import Family, Recognition
from engine.families.layout import Layout
from engine.families.published.convnext_module import ConvNeXt
from engine.families.published.draft import (
    Draft,
    at_width,
    eps_of,
    eps_sentence,
    finished,
    image_sentence,
    image_side,
)
from engine.families.published.tree import Tree, tree_of

Overrides = Mapping[str, Any]
EPS = 1e-6
SMALL_IMAGE = 32

# blocks per stage and first width -> the published variant
VARIANTS: Mapping[tuple[tuple[int, ...], int], str] = {
    ((3, 3, 9, 3), 96): "Tiny",
    ((3, 3, 27, 3), 96): "Small",
    ((3, 3, 27, 3), 128): "Base",
    ((3, 3, 27, 3), 192): "Large",
    ((3, 3, 27, 3), 256): "XLarge",
}


@dataclass(frozen=True)
class Names:
    """Where one library keeps its tensors; `{s}` counts stages, `{b}` blocks of a stage."""

    library: str
    stem: str
    stem_norm: str
    stage: str
    block: tuple[str, ...]  # conv, norm, up, down, scale below stage and block
    down_norm: str  # before the stage {s}, from 1
    down: str
    norm: str
    head: str
    double: bool = False  # whether stages are numbered 1, 3, 5, … and what is between 2, 4, …

    def at(self, pattern: str, stage: int) -> str:
        """Return a pattern with the number of a stage (or of what comes before it) in place."""
        return pattern.format(s=2 * stage + 1 if self.double else stage, d=2 * stage)


TORCHVISION = Names(
    library="torchvision",
    stem="features.0.0",
    stem_norm="features.0.1",
    stage="features.{s}",
    block=("block.0", "block.2", "block.3", "block.5", "layer_scale"),
    down_norm="features.{d}.0",
    down="features.{d}.1",
    norm="classifier.0",
    head="classifier.2",
    double=True,
)
TIMM = Names(
    library="timm",
    stem="stem.0",
    stem_norm="stem.1",
    stage="stages.{s}.blocks",
    block=("conv_dw", "norm", "mlp.fc1", "mlp.fc2", "gamma"),
    down_norm="stages.{s}.downsample.0",
    down="stages.{s}.downsample.1",
    norm="head.norm",
    head="head.fc",
)
AUTHORS = Names(
    library="the authors",
    stem="downsample_layers.0.0",
    stem_norm="downsample_layers.0.1",
    stage="stages.{s}",
    block=("dwconv", "norm", "pwconv1", "pwconv2", "gamma"),
    down_norm="downsample_layers.{s}.0",
    down="downsample_layers.{s}.1",
    norm="norm",
    head="head",
)
LAYOUTS = (TORCHVISION, TIMM, AUTHORS)


def layout_of(tree: Tree) -> Names | None:
    """Return the library whose names the first block has."""
    for names in LAYOUTS:
        first = f"{names.at(names.stage, 0)}.0.{names.block[0]}.weight"
        if tree.has(first) and tree.has(f"{names.stem}.weight"):
            return names
    return None


def likeness(layout: Layout) -> float:
    """2 where the first block has a published name and a depthwise convolution."""
    return 2.0 if layout_of(tree_of(layout)) else 0.0


def recognise(layout: Layout, overrides: Overrides) -> Recognition:
    """Recognise a ConvNeXt in a state dict's names and shapes.

    Raises:
        UnknownArchitectureError: It is none; says why.
        SpecError: An override is not possible.
    """
    tree = tree_of(layout)
    names = layout_of(tree)
    if names is None:
        raise UnknownArchitectureError("No first block has a ConvNeXt's published name.")
    out, inputs, kernel, _ = tree.weight(names.stem, 4)
    stages, downs, paths = read_stages(tree, names)
    classes, features = tree.weight(names.head, 2)
    paths |= {"stem": names.stem, "stem_norm": names.stem_norm}
    paths |= {"norm": names.norm, "head": names.head}
    eps = eps_of(overrides, EPS)
    side = image_side(overrides)
    counts = tuple(len(stage) for stage in stages)
    draft = Draft(
        title=title_of(counts, out),
        evidence=(
            f"{names.library}'s names: {sum(counts)} blocks in {len(counts)} stages "
            f"({', '.join(map(str, counts))}), each a depthwise "
            f"{stages[0][0]['kernel']}×{stages[0][0]['kernel']} convolution, a norm and two "
            "linear layers.",
            f"Widths {'-'.join(str(stage[0]['width']) for stage in stages)} behind a stem of "
            f"{kernel}×{kernel} patches; {names.head} leads to {classes} classes.",
            "Every block ends with a scale per channel."
            if stages[0][0]["scale"]
            else "Blocks have no scale per channel.",
        ),
        assumptions=(
            "The activation is GELU, as in every ConvNeXt.",
            image_sentence(side, overrides),
            eps_sentence(eps, overrides, "ConvNeXt"),
        ),
        config={
            "family": FAMILY.name,
            "stem": {"in": inputs, "out": out, "kernel": kernel},
            "eps": eps,
            "downs": downs,
            "stages": stages,
            "head": {"in": features, "out": classes, "bias": tree.bias(names.head)},
        },
        paths=paths,
        input_shape=(inputs, side, side),
        classes=classes,
    )
    return finished(draft, layout, tree, ConvNeXt)


def read_stages(
    tree: Tree, names: Names
) -> tuple[list[list[dict[str, Any]]], list[dict[str, int]], dict[str, str]]:
    """Read stages of blocks and what is between them, with where their tensors are."""
    stages: list[list[dict[str, Any]]] = []
    downs: list[dict[str, int]] = []
    paths: dict[str, str] = {}
    while tree.has(path := names.at(names.stage, len(stages))):
        number = len(stages)
        if number:
            down = names.at(names.down, number)
            out, inputs, kernel, _ = tree.weight(down, 4)
            downs.append({"in": inputs, "out": out, "kernel": kernel})
            paths[f"downs.{number - 1}"] = down
            paths[f"down_norms.{number - 1}"] = names.at(names.down_norm, number)
        stages.append([])
        for block in tree.in_order(path):
            entry, inside = read_block(tree, f"{path}.{block}", names)
            stages[-1].append(entry)
            paths |= {f"stages.{number}.{block}.{own}": there for own, there in inside.items()}
    return stages, downs, paths


def read_block(tree: Tree, path: str, names: Names) -> tuple[dict[str, Any], dict[str, str]]:
    """Read one block, with where its tensors are."""
    conv, norm, up, down, scale = (f"{path}.{piece}" for piece in names.block)
    width, _, kernel, _ = tree.weight(conv, 4)
    hidden = tree.shape(f"{up}.weight")
    entry = {
        "width": width,
        "hidden": hidden[0],
        "kernel": kernel,
        "scale": list(tree.shapes[scale]) if scale in tree.shapes else None,
        "pointwise": "conv" if len(hidden) == 4 else "linear",
    }
    paths = {"conv": conv, "norm": norm, "up": up, "down": down}
    return entry, paths | ({"scale": scale} if entry["scale"] else {})


def title_of(counts: Sequence[int], width: int) -> str:
    """Name the published variant, else the nearest by depth with its width."""
    if (tuple(counts), width) in VARIANTS:
        return f"ConvNeXt {VARIANTS[tuple(counts), width]}"
    near = next((item for item in VARIANTS.items() if item[0][0] == tuple(counts)), None)
    if near is not None:
        return f"ConvNeXt {near[1]}{at_width(width, near[0][1])}"
    return f"ConvNeXt of {sum(counts)} blocks, width {width}"


FAMILY = Family(
    name="convnext",
    title="ConvNeXt (torchvision's, timm's or its authors' names)",
    options=("image_size", "norm_eps"),
    likeness=likeness,
    recognise=recognise,
    build=ConvNeXt,
)
