"""REPAIR and RESCALE: the channels of a merged model vary again as in the models merged.

REPAIR (Jordan et al. 2022, arXiv 2211.08403, section 3): at every site (`sites.py`) each channel
of the merged model is scaled and shifted so that its mean and standard deviation over training
data become Σ w_k·μ_k and Σ w_k·σ_k, those of the models merged. RESCALE (Qu and Horváth 2024, arXiv
2402.05966: REPAIR without its shift) scales alone, so that the standard deviation becomes that.

Both are done as the authors do: in one pass, in which every site is normalised by its batch as a
BatchNorm in train mode is, so that later sites see repaired inputs; then the pooled statistics are
folded into the weights. With one batch for all samples, the repaired model's statistics are the
targets exactly; with several, up to how much batches differ. A site without bias is only scaled.
Channels that are constant, or shall be, are left alone.

Where BatchNorms are reset, their running statistics come from the same pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.errors import RepairError
from engine.program import Program
from engine.repair.moments import Moments, Pool, batches, varies
from engine.repair.rewrite import Run, mean_name, observing, restoring, std_name
from engine.repair.sites import Site

Params = Mapping[str, Tensor]


@dataclass(frozen=True)
class Data:
    """Training inputs and how they are read.

    Attributes:
        inputs: one tensor [N, *shape] per input of the program, where the parameters are.
        batch_size: the most samples that normalise each other.
        check: called before each batch.
    """

    inputs: tuple[Tensor, ...]
    batch_size: int
    check: Callable[[], None]

    def pools(self, run: Run, params: Params) -> list[Pool]:
        """Return what a rewritten Program shows over all batches, in its order."""
        pools: list[Pool] = []
        for batch in batches(self.inputs, self.batch_size, self.check):
            shown = run(params, *batch)
            pools = pools or [Pool() for _ in shown]
            for pool, part in zip(pools, shown, strict=True):
                pool.add(part)
        return pools


class Channels:
    """The sites of a model, what they are in each of K models, and how to restore them.

    Args:
        program: the model.
        sites: whose channels are restored, in the order of the graph.
        models: the K models that points are made of.
        data: training inputs.
        shifting: REPAIR; False is RESCALE.
        resetting: give BatchNorms new running statistics in the same pass.

    Raises:
        RepairError: a model gives NaN or infinite values, or there are too few samples.
    """

    def __init__(
        self,
        program: Program,
        sites: Sequence[Site],
        models: Iterable[Params],
        data: Data,
        *,
        shifting: bool,
        resetting: bool,
    ) -> None:
        self.sites, self._data = tuple(sites), data
        self.shifting = shifting
        self._norms = program.batch_norms if resetting else ()
        show = observing(program, sites)
        self._ends = [
            self._measured(show, model, index) for index, model in enumerate(models, start=1)
        ]
        self._restore = restoring(program, sites, shifting=shifting, resetting=resetting)

    def at(self, weights: Sequence[float], params: Params) -> dict[str, Tensor]:
        """Return the tensors that a point's repair changes.

        Args:
            weights: of the models, [K].
            params: the point's tensors.
        """
        targets = [self._target(place, weights) for place in range(len(self.sites))]
        some = next(iter(params.values()))
        given = dict(params)
        for site, target in zip(self.sites, targets, strict=True):
            given[mean_name(site)] = target.mean.to(some)
            given[std_name(site)] = target.std.to(some)
        pools = self._data.pools(self._restore, given)
        changed = self._running(params, pools[: len(self._norms)])
        own = pools[len(self._norms) :]
        for site, pool, target in zip(self.sites, own, targets, strict=True):
            changed |= folded(site, params, pool.moments, target, shifting=self.shifting)
        return changed

    def _measured(self, show: Run, model: Params, index: int) -> list[Moments]:
        found = [pool.moments for pool in self._data.pools(show, model)]
        for site, moments in zip(self.sites, found, strict=True):
            if not bool((moments.mean.isfinite() & moments.std.isfinite()).all()):
                raise RepairError(
                    f"On these training inputs model {index} has values after {site.node} that "
                    f"are NaN or infinite; look at the inputs and at its {site.weight}."
                )
        return found

    def _target(self, place: int, weights: Sequence[float]) -> Moments:
        used = [(w, end[place]) for w, end in zip(weights, self._ends, strict=True) if w]
        mean = sum((w * m.mean for w, m in used), torch.zeros(()))
        std = sum((w * m.std for w, m in used), torch.zeros(()))
        return Moments(mean, std)

    def _running(self, params: Params, pools: Sequence[Pool]) -> dict[str, Tensor]:
        """Return new running statistics; a BatchNorm called twice pools both calls."""
        joined: dict[str, list[Pool]] = {}
        for norm, pool in zip(self._norms, pools, strict=True):
            joined.setdefault(norm.running_mean, []).append(pool)
        changed = {}
        for norm in self._norms:
            pool = Pool.joined(joined[norm.running_mean])
            changed[norm.running_mean] = pool.moments.mean.to(params[norm.running_mean].dtype)
            changed[norm.running_var] = pool.variance.to(params[norm.running_var].dtype)
        return changed


def folded(
    site: Site, params: Params, found: Moments, target: Moments, *, shifting: bool
) -> dict[str, Tensor]:
    """Return a site's weight and bias, changed so that its channels reach their target.

    Args:
        site: the layer.
        params: the tensors that it has, under which `found` was seen.
        found: mean and standard deviation of its channels.
        target: what they shall be.
        shifting: restore the mean too, where there is a bias.
    """
    weight = params[site.weight]
    epsilon = torch.finfo(weight.dtype).eps
    alive = varies(found.mean, found.std, target.std, epsilon)
    factor = torch.where(alive, target.std / found.std, 1.0)
    along = [-1 if axis == site.weight_axis else 1 for axis in range(weight.dim())]
    changed = {site.weight: (weight.double() * factor.view(along)).to(weight.dtype)}
    if site.bias is None:
        return changed
    bias = params[site.bias].double() * factor
    if shifting:
        bias = bias + torch.where(alive, target.mean - factor * found.mean, 0.0)
    return changed | {site.bias: bias.to(weight.dtype)}
