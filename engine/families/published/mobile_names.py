"""Where torchvision and timm keep the layers of a network of inverted residuals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.errors import UnknownArchitectureError
from engine.families.published.tree import Tree

Layer = tuple[str, str]  # paths of a convolution and of its BatchNorm

# timm: the kinds of blocks, as (convolution, norm) in running order
TIMM_BLOCKS: tuple[tuple[Layer, ...], ...] = (
    (("conv_pw", "bn1"), ("conv_dw", "bn2"), ("conv_pwl", "bn3")),  # inverted residual
    (("conv_dw", "bn1"), ("conv_pw", "bn2")),  # depthwise separable
    (("conv_exp", "bn1"), ("conv_pwl", "bn2")),  # fused
    (("conv", "bn1"),),
)
TIMM_EXCITED = {3: 1, 2: 0, 1: 0}  # number of convolutions -> the one that the gate follows


@dataclass(frozen=True)
class BlockNames:
    """One block: its path, its convolutions in order, its excitation."""

    path: str
    layers: tuple[Layer, ...]
    excitation: tuple[str, str, int] | None  # reduce, expand, after which convolution


@dataclass(frozen=True)
class NetworkNames:
    """A whole network.

    Attributes:
        library: "torchvision" or "timm".
        stem: Its convolution and norm.
        stages: Blocks by stage; one stage with all blocks where names do not tell.
        last: The wide convolution behind the blocks; None where the head begins at once.
        hidden: A layer between the average and the head.
        head: The classifier.
    """

    library: str
    stem: Layer
    stages: tuple[tuple[BlockNames, ...], ...]
    staged: bool
    last: Layer | None
    hidden: str | None
    head: str


def names_of(tree: Tree) -> NetworkNames | None:
    """Return where a network of inverted residuals keeps its layers; None for any other.

    Raises:
        UnknownArchitectureError: It begins like one, but a layer is missing.
    """
    if tree.has("conv_stem.weight") and tree.has("blocks.0.0"):
        return _timm(tree)
    if tree.has("features.0.0.weight") and tree.has("features.0.1.running_mean"):
        if tree.has("features.1.0.block"):
            return _torchvision(tree, staged=True)
        if tree.has("features.1.block") or tree.has("features.1.conv"):
            return _torchvision(tree, staged=False)
    return None


def _timm(tree: Tree) -> NetworkNames:
    stages = tuple(
        tuple(_timm_block(tree, f"blocks.{s}.{b}") for b in tree.in_order(f"blocks.{s}"))
        for s in tree.in_order("blocks")
    )
    last = ("conv_head", "bn2") if tree.has("bn2") else None
    hidden = "conv_head" if last is None and tree.has("conv_head") else None
    return NetworkNames(
        "timm", ("conv_stem", "bn1"), stages, True, last, hidden, tree.first("classifier", "fc")
    )


def _timm_block(tree: Tree, path: str) -> BlockNames:
    for layers in TIMM_BLOCKS:
        if all(tree.has(f"{path}.{conv}") for conv, _ in layers):
            break
    else:
        raise UnknownArchitectureError(f"{path} is no block of inverted residuals.")
    excitation = None
    if tree.has(f"{path}.se"):
        after = TIMM_EXCITED[len(layers)]
        excitation = (f"{path}.se.conv_reduce", f"{path}.se.conv_expand", after)
    found = tuple((f"{path}.{conv}", f"{path}.{norm}") for conv, norm in layers)
    return BlockNames(path, found, excitation)


def _torchvision(tree: Tree, staged: bool) -> NetworkNames:
    numbers = tree.in_order("features")
    inner, last = numbers[1:-1], numbers[-1]
    if staged:
        stages = tuple(
            tuple(
                _torchvision_block(tree, f"features.{s}.{b}")
                for b in tree.in_order(f"features.{s}")
            )
            for s in inner
        )
    else:
        stages = (tuple(_torchvision_block(tree, f"features.{b}") for b in inner),)
    heads = [f"classifier.{number}" for number in tree.numbered("classifier")]
    if not heads or len(heads) > 2:
        raise UnknownArchitectureError(f"classifier should hold 1 or 2 layers, not {len(heads)}.")
    return NetworkNames(
        "torchvision",
        ("features.0.0", "features.0.1"),
        stages,
        staged,
        (f"features.{last}.0", f"features.{last}.1"),
        heads[0] if len(heads) == 2 else None,
        heads[-1],
    )


def _torchvision_block(tree: Tree, path: str) -> BlockNames:
    container = tree.first(f"{path}.block", f"{path}.conv")
    numbers = tree.in_order(container)
    layers: list[Layer] = []
    excitation = None
    for number in numbers:
        inside = f"{container}.{number}"
        if tree.has(f"{inside}.fc1"):
            excitation = (f"{inside}.fc1", f"{inside}.fc2", len(layers) - 1)
        elif tree.has(f"{inside}.0.weight"):
            layers.append((f"{inside}.0", f"{inside}.1"))
        elif len(tree.shapes.get(f"{inside}.weight", ())) == 4:
            layers.append((inside, f"{container}.{number + 1}"))
    if not layers:
        raise UnknownArchitectureError(f"{path} holds no convolution.")
    return BlockNames(path, tuple(layers), excitation)


def is_fused(tree: Tree, stages: Sequence[Sequence[BlockNames]]) -> bool:
    """Whether the first stage's blocks are dense convolutions, as in EfficientNetV2."""
    return tree.weight(stages[0][0].layers[0][0], 4)[1] > 1
