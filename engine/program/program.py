"""A Program: any architecture as one pure function of its parameters, with its graph.

`program(params, *inputs)` runs the flat ATen graph that `torch.export` made of a module.
Nothing downstream knows which module, file or family a Program came from. The batch is the
only dynamic dimension. Parameters are never mutated.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType

import torch
from torch import Tensor, fx

from engine.errors import ProgramError
from engine.program import variants
from engine.program.placement import placed
from engine.program.spec import BatchNormSite, BatchStatistics, InputSpec, ParameterSpec

MOST_NAMES_SHOWN = 6


class Program:
    """One architecture: `program(params, *inputs) -> outputs`, and the graph behind it.

    Args:
        graph_module: flat ATen graph; placeholders are parameters, constants and inputs.
        placeholders: placeholder name → parameter name, in the graph's order.
        parameters: parameter name → its shape, dtype and whether it is trained.
        constants: placeholder name → tensor (lifted constants, integer buffers).
        inputs: the user's inputs, in order.
        aliases: further names under which a module's state dict holds a parameter
            (tied weights): alias → parameter name.
        fingerprint: equal for equal architectures with equal names, hexadecimal.
    """

    def __init__(
        self,
        graph_module: fx.GraphModule,
        *,
        placeholders: Mapping[str, str],
        parameters: Mapping[str, ParameterSpec],
        constants: Mapping[str, Tensor],
        inputs: tuple[InputSpec, ...],
        aliases: Mapping[str, str],
        fingerprint: str,
    ) -> None:
        self.graph_module = graph_module
        self.placeholders = MappingProxyType(dict(placeholders))
        self.parameters = MappingProxyType(dict(parameters))
        self.constants = MappingProxyType(dict(constants))
        self.inputs = inputs
        self.aliases = MappingProxyType(dict(aliases))
        self.fingerprint = fingerprint
        self.batch_norms: tuple[BatchNormSite, ...] = variants.batch_norm_sites(
            graph_module.graph, self.placeholders
        )
        self.statistics_names = frozenset(
            name for site in self.batch_norms for name in (site.running_mean, site.running_var)
        )
        self._traced_in = {spec.dtype for spec in self.parameters.values()}
        self._order = tuple(
            node.name for node in graph_module.graph.nodes if node.op == "placeholder"
        )
        self._variants: dict[object, fx.GraphModule] = {}

    def __call__(self, params: Mapping[str, Tensor], *inputs: Tensor) -> Tensor:
        """Return the outputs (logits) for one batch, in the precision of the parameters.

        Args:
            params: every name in `parameters`, or an alias of it; further names are ignored.
            inputs: one tensor per entry of `self.inputs`, shape [batch, *shape].

        Raises:
            ProgramError: a parameter or input is missing or has the wrong shape.
        """
        return self._run(self.graph_module, params, inputs)

    def tapped(self, nodes: Sequence[str]) -> Callable[..., tuple[Tensor, dict[str, Tensor]]]:
        """Return a function like the Program that also returns the values of some nodes.

        Raises:
            ProgramError: the graph has no node of that name.
        """
        wanted = tuple(nodes)
        known = {node.name for node in self.graph_module.graph.nodes}
        if missing := [name for name in wanted if name not in known]:
            raise ProgramError(f"the graph has no node named {', '.join(missing)}")
        graph_module = self._variant(
            ("taps", wanted), lambda: variants.with_taps(self.graph_module, wanted)
        )

        def run(params: Mapping[str, Tensor], *inputs: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
            outputs, values = self._run(graph_module, params, inputs)
            return outputs, dict(zip(wanted, values, strict=True))

        return run

    def with_batch_statistics(self) -> Callable[..., tuple[Tensor, tuple[BatchStatistics, ...]]]:
        """Return a function that normalises every BatchNorm by its own batch.

        Besides the outputs it returns the batch's statistics of every site, in the order of
        `batch_norms` (a layer that is called twice has two). The parameters' own running
        statistics are neither read nor written.
        """
        graph_module = self._variant(
            "batch statistics", lambda: variants.with_batch_statistics(self.graph_module)
        )

        def run(
            params: Mapping[str, Tensor], *inputs: Tensor
        ) -> tuple[Tensor, tuple[BatchStatistics, ...]]:
            outputs, values = self._run(graph_module, params, inputs)
            sites = zip(values[::3], values[1::3], values[2::3], strict=True)
            return outputs, tuple(BatchStatistics(*site) for site in sites)

        return run

    def renamed(self, names: Mapping[str, str]) -> Program:
        """Return the same Program with parameters called otherwise (old name → new name).

        Raises:
            ProgramError: an old name is unknown, or two parameters get one name.
        """
        if unknown := [old for old in names if old not in self.parameters]:
            raise ProgramError(f"no parameter is named {', '.join(unknown[:MOST_NAMES_SHOWN])}")
        new = {old: names.get(old, old) for old in self.parameters}
        if len(set(new.values())) != len(new):
            raise ProgramError("two parameters would get the same name")
        aliases = {alias: new[name] for alias, name in self.aliases.items()}
        aliases |= {old: name for old, name in names.items() if self.aliases.get(name) == old}
        return Program(
            self.graph_module,
            placeholders={node: new[name] for node, name in self.placeholders.items()},
            parameters={new[name]: spec for name, spec in self.parameters.items()},
            constants=self.constants,
            inputs=self.inputs,
            aliases={a: name for a, name in aliases.items() if a not in new.values()},
            fingerprint=variants.digest(self.fingerprint, *new.values()),
        )

    def under_names(self, names: Collection[str]) -> Program:
        """Return the same Program with tied weights called as a checkpoint calls them.

        Files that hold shared tensors once may keep another of their names than the module.
        """
        kept = {
            name: alias
            for alias, name in reversed(list(self.aliases.items()))
            if alias in names and name not in names
        }
        return self.renamed(kept) if kept else self

    def named(self, params: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the parameters that there are under the Program's own names, nothing else."""
        found = {name: tensor for name, tensor in params.items() if name in self.parameters}
        for alias, name in self.aliases.items():
            if alias in params:
                found.setdefault(name, params[alias])
        return found

    def check(self, params: Mapping[str, Tensor]) -> None:
        """Raise ProgramError naming the parameters that are missing or have other shapes."""
        params = self.named(params)
        missing = [name for name in self.parameters if name not in params]
        wrong = [
            f"{name} is {list(params[name].shape)}, not {list(spec.shape)}"
            for name, spec in self.parameters.items()
            if name in params and tuple(params[name].shape) != spec.shape
        ]
        if missing:
            raise ProgramError(f"parameters are missing: {_some(missing)}")
        if wrong:
            raise ProgramError(f"parameters have the wrong shape: {_some(wrong)}")

    def sample_inputs(
        self, batch: int, generator: torch.Generator, dtype: torch.dtype = torch.float32
    ) -> tuple[Tensor, ...]:
        """Return random inputs: standard normal, or uniform over the valid integers."""
        return tuple(
            torch.randn(batch, *spec.shape, generator=generator, dtype=dtype)
            if spec.dtype.is_floating_point
            else torch.randint(0, max(spec.high, 1), (batch, *spec.shape), generator=generator)
            for spec in self.inputs
        )

    def __repr__(self) -> str:
        shapes = ", ".join(str(list(spec.shape)) for spec in self.inputs)
        return (
            f"Program({len(self.parameters)} parameters, inputs {shapes}, {self.fingerprint[:8]})"
        )

    def _variant(self, key: object, build: Callable[[], fx.GraphModule]) -> fx.GraphModule:
        if key not in self._variants:
            self._variants[key] = build()
        return self._variants[key]

    def _placed(
        self, graph_module: fx.GraphModule, dtype: torch.dtype | None, device: torch.device | None
    ) -> fx.GraphModule:
        """Return a graph fit for parameters of this precision and on this device."""
        if dtype is None or device is None:
            return graph_module
        # In the precision of the trace its own casts are meant (a softmax in float32 amid
        # bfloat16); in another one they are not, and float64 is asked for to be exact.
        meant = dtype in self._traced_in and dtype is not torch.float64
        lifted = None if meant else dtype
        return self._variant(
            (id(graph_module), lifted, device), lambda: placed(graph_module, lifted, device)
        )

    def _run(self, graph_module: fx.GraphModule, params: Mapping[str, Tensor], inputs: tuple):
        if len(inputs) != len(self.inputs):
            raise ProgramError(f"the model takes {len(self.inputs)} inputs, got {len(inputs)}")
        for tensor, spec in zip(inputs, self.inputs, strict=True):
            if tuple(tensor.shape[1:]) != spec.shape or tensor.dim() == 0:
                raise ProgramError(
                    f"input {spec.name} is {list(tensor.shape)}, not [batch, "
                    + ", ".join(map(str, spec.shape))
                    + "]"
                )
        if self.aliases:
            params = self.named(params)
        remaining = iter(inputs)
        arguments = []
        dtype, device = None, None
        for name in self._order:
            if name in self.placeholders:
                parameter = self.placeholders[name]
                if parameter not in params:
                    self.check(params)
                tensor = params[parameter]
                if tensor.is_floating_point():
                    dtype, device = tensor.dtype, tensor.device
                arguments.append(tensor)
            elif name in self.constants:
                arguments.append(name)
            else:
                arguments.append(next(remaining))
        arguments = [
            _constant(self.constants[value], dtype, device) if isinstance(value, str) else value
            for value in arguments
        ]
        try:
            return self._placed(graph_module, dtype, device)(*arguments)
        except (RuntimeError, ValueError) as error:
            self.check(params)
            raise ProgramError(f"the model could not be run: {error}") from error


def _constant(value: Tensor, dtype: torch.dtype | None, device: torch.device | None) -> Tensor:
    """Move a constant to where, and to the precision in which, the parameters are."""
    return value.to(device=device, dtype=dtype if value.is_floating_point() else None)


def _some(texts: Sequence[str]) -> str:
    shown = "; ".join(texts[:MOST_NAMES_SHOWN])
    more = len(texts) - MOST_NAMES_SHOWN
    return f"{shown}; and {more} more" if more > 0 else shown
