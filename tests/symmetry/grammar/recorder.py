"""A Program from one run of a network: a fiftieth of the time that `torch.export` takes.

Every ATen op that the run calls becomes a node, at one of two heights: as `torch.export`
sees them (`linear`, `scaled_dot_product_attention`), or as they reach the kernels (`addmm`,
`bmm`, `native_layer_norm`). The batch is no symbol but the number that was run, and ops
that write in place are refused. That `torch.export` is read alike is what the networks
traced by it show.
"""

from __future__ import annotations

import contextlib
import operator
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch._dispatch.python import enable_python_dispatcher
from torch._subclasses.schema_check_mode import SchemaCheckMode
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

from engine.program import Program
from engine.program.spec import InputSpec, ParameterSpec

DISPATCH_OF_EXPORT = torch._C.DispatchKey.PreDispatch


def record(module: nn.Module, x: Tensor, *, lowered: bool = False, high: int = 0) -> Program:
    """Run a module once and return what it did as a Program.

    Args:
        module: in eval mode, without ops that write in place.
        x: its input.
        lowered: record the ops that reach the kernels, not those of `torch.export`.
        high: for an input of integers, one more than the largest.
    """
    recorder = _Recorder(lowered)
    specs, placeholders = {}, {}
    for name, tensor in module.state_dict(keep_vars=True).items():
        if tensor.is_floating_point():
            node = recorder.placeholder(name.replace(".", "_"), tensor)
            placeholders[node.name] = name
            trainable = isinstance(tensor, nn.Parameter)
            specs[name] = ParameterSpec(tuple(tensor.shape), tensor.dtype, trainable)
    node = recorder.placeholder("input_of_the_network", x)
    height = sdpa_kernel(SDPBackend.MATH) if lowered else enable_python_dispatcher()
    with torch.no_grad(), _without_fused_attention(), height, recorder:
        output = module(x)
    recorder.graph.output(recorder.nodes[id(output)])
    recorder.graph.eliminate_dead_code()
    return Program(
        fx.GraphModule(nn.Module(), recorder.graph),
        placeholders=placeholders,
        parameters=specs,
        constants=recorder.constants,
        inputs=(InputSpec(node.name, tuple(x.shape[1:]), x.dtype, high),),
        aliases={},
        fingerprint="",
    )


@contextlib.contextmanager
def _without_fused_attention() -> Iterator[None]:
    """As in a trace, `nn.MultiheadAttention` calls the ops that it consists of."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


class _Recorder(SchemaCheckMode):
    """Writes down every op; torch lets only its own modes, or heirs of one, stand that high."""

    def __init__(self, lowered: bool) -> None:
        TorchDispatchMode.__init__(self, None if lowered else DISPATCH_OF_EXPORT)
        self.graph = fx.Graph()
        self.nodes: dict[int, fx.Node] = {}
        self.constants: dict[str, Tensor] = {}
        self._kept: list[Tensor] = []  # no id is used again while its tensor lives

    def __torch_dispatch__(
        self, op: Any, types: Any, args: tuple = (), kwargs: Mapping | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if op._schema.is_mutable:
            raise NotImplementedError(f"{op} writes in place")
        result = op(*args, **kwargs)
        noted = tree_map_only(Tensor, self._node_of, (args, kwargs))
        node = self.graph.call_function(op, *noted)
        node.meta["val"] = result
        if isinstance(result, Tensor):
            self._note(result, node)
        elif isinstance(result, list | tuple):
            for index, item in enumerate(result):
                if isinstance(item, Tensor):
                    part = self.graph.call_function(operator.getitem, (node, index))
                    part.meta["val"] = item
                    self._note(item, part)
        return result

    def placeholder(self, name: str, tensor: Tensor) -> fx.Node:
        """Enter a tensor that the graph is given."""
        before = next((n for n in self.graph.nodes if n.op != "placeholder"), None)
        place = self.graph.inserting_before(before) if before else contextlib.nullcontext()
        with place:
            node = self.graph.placeholder(name)
        node.meta["val"] = tensor
        self._note(tensor, node)
        return node

    def _note(self, tensor: Tensor, node: fx.Node) -> None:
        self.nodes[id(tensor)] = node
        self._kept.append(tensor)

    def _node_of(self, tensor: Tensor) -> fx.Node:
        """Return a tensor's node; one never seen is a constant of the forward."""
        if id(tensor) not in self.nodes:
            node = self.placeholder(f"constant_{len(self.constants)}", tensor)
            self.constants[node.name] = tensor
        return self.nodes[id(tensor)]
