"""BatchNorm in eval mode folded into the convolution or linear layer before it.

With scale s = γ/√(σ² + ε), BN(W∗x + b) is (s·W)∗x + (b − μ)·s + β: one pass less over the
activations. The graph is rewritten once; the weights are folded at every point, in the point's own
memory: s·W where W was, and the new bias where the running mean μ was, which nothing else reads
any more.

Only where it is plain: the layer's output has no other reader, its weight and the running mean
have no other reader, and the normalised channels are the layer's own. Running statistics that
were recomputed at the point are folded like any others. A variance below −ε gives NaN, as without
folding.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, fx

from engine.landscape.plans.cost import op_name, traced
from engine.program import Program
from engine.program.rewriting import copied_graph, program_over

_LAYERS = frozenset({"linear", "conv1d", "conv2d", "conv3d"})
_READ = ("weight", "bias", "scale", "shift", "mean", "variance")


@dataclass(frozen=True)
class Fold:
    """One folded BatchNorm, by the names of its parameters; None where it has no such one."""

    weight: str
    bias: str | None
    scale: str | None
    shift: str | None
    mean: str
    variance: str
    eps: float

    @property
    def reads(self) -> tuple[str, ...]:
        """The parameters that folding reads."""
        names = (getattr(self, field) for field in _READ)
        return tuple(name for name in names if name is not None)

    def apply(self, point: Mapping[str, Tensor]) -> None:
        """Fold one point's tensors in place: `weight` and `mean` are overwritten.

        Tensors of several points, [P, …] each, are folded all at once.
        """
        mean, variance = point[self.mean].double(), point[self.variance].double()
        factor = (variance + self.eps).rsqrt()
        if self.scale is not None:
            factor = factor * point[self.scale].double()
        inner = -mean if self.bias is None else point[self.bias].double() - mean
        bias = inner * factor
        if self.shift is not None:
            bias = bias + point[self.shift].double()
        weight = point[self.weight]
        weight.mul_(factor.to(weight.dtype).view(*factor.shape, *[1] * (weight.ndim - factor.ndim)))
        point[self.mean].copy_(bias)


def folded(program: Program) -> tuple[Program, tuple[Fold, ...]]:
    """Return a Program without the BatchNorms that fold, and how they are folded, in order.

    The Program computes the same only after `Fold.apply` of every fold on the point's tensors.
    """
    graph = copied_graph(program)
    folds = []
    for node in list(graph.nodes):
        fold = _fold(node, program)
        if fold is None:
            continue
        layer = node.args[0]
        assert isinstance(layer, fx.Node)
        arguments = (*layer.args[:2], node.args[3], *layer.args[3:])
        with graph.inserting_before(node):
            new = graph.call_function(layer.target, arguments)  # type: ignore[arg-type]
        new.meta.update(node.meta)
        node.replace_all_uses_with(new)
        graph.erase_node(node)
        graph.erase_node(layer)
        folds.append(fold)
    if not folds:
        return program, ()
    return program_over(program, graph), tuple(folds)


def _fold(node: fx.Node, program: Program) -> Fold | None:
    """Return how a node folds into the layer before it, None where it does not."""
    if op_name(node) != "batch_norm" or node.args[5] or node.args[3] is None:
        return None
    layer, *norm = node.args[:5]
    if not isinstance(layer, fx.Node) or not _is_plain_layer(layer):
        return None
    weight, bias = layer.args[1], layer.args[2] if len(layer.args) > 2 else None
    read = (weight, bias, *norm)
    found = [part for part in read if isinstance(part, fx.Node)]
    if not all(part.name in program.placeholders for part in found):
        return None
    if any(len(part.users) != 1 for part in (layer, weight, norm[2]) if isinstance(part, fx.Node)):
        return None
    if len({value.dtype for part in found if (value := traced(part)) is not None}) != 1:
        return None
    names = {
        field: program.placeholders[part.name] if isinstance(part, fx.Node) else None
        for field, part in zip(_READ, read, strict=True)
    }
    return Fold(**names, eps=float(node.args[7]))  # type: ignore[arg-type]


def _is_plain_layer(layer: fx.Node) -> bool:
    """Return whether a node is a layer whose outputs are the channels, dimension 1."""
    value = traced(layer)
    if op_name(layer) not in _LAYERS or layer.kwargs or len(layer.args) < 2 or value is None:
        return False
    return op_name(layer) != "linear" or value.ndim == 2
