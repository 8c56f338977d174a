"""A plane of each kind, laid out: which models span it, after matching or an eigenproblem.

What takes long is kept like a tile, so that a resumed run spans the same plane, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from engine.data import Dataset
from engine.landscape import geometry_names
from engine.landscape.planes import (
    Eigenpairs,
    HessianProduct,
    LaidPlane,
    hessian_plane,
    moved_names,
    random_plane,
    three_plane,
    top_eigenpairs,
    trajectory_plane,
)
from engine.program import Program
from engine.studies.planes_options import PlanesOptions
from engine.studies.question import answers, asked, question_of
from engine.studies.tiles import TileCache

KEY = "eigenvectors"
Tensors = Mapping[str, Tensor]


@dataclass(frozen=True)
class Layout:
    """What laying out a plane needs.

    Args:
        program: the architecture.
        options: of the study.
        train: the samples that the Hessian is taken on, after a draw.
        cache: where eigenvectors are kept.
        told: called with the number of Hessian products.
        should_stop: asked between batches.
        device: where the Hessian is computed.
    """

    program: Program
    options: PlanesOptions
    train: Dataset
    cache: TileCache
    told: Callable[[int], None]
    should_stop: Callable[[], bool]
    device: str

    def of(self, kind: str, models: tuple[Tensors, ...]) -> LaidPlane:
        """Return the plane of a kind through or around models.

        Raises:
            LandscapeError: the models span none.
            CancelledError: asked to stop.
        """
        options = self.options
        moved, resolution, extent = moved_names(self.program), options.resolution, options.extent
        if kind == "random":
            return random_plane(
                models[0],
                names=moved,
                seed=options.seed,
                scaling=options.scaling,
                vectors=options.vectors,
                resolution=resolution,
                extent=extent,
            )
        if kind == "hessian":
            pairs = self._eigenpairs(models[0])
            return hessian_plane(
                models[0], pairs, names=moved, resolution=resolution, extent=extent
            )
        through = three_plane if kind == "three" else trajectory_plane
        return through(
            models,
            names=geometry_names(self.program),
            seed=options.seed,
            resolution=resolution,
            extent=extent,
        )

    def hessian_samples(self) -> Dataset:
        """Return the training samples that the Hessian is taken on, drawn with the data's seed."""
        # Drawn: samples stand in the order of their file, which may be by class.
        generator = torch.Generator().manual_seed(self.options.data_seed)
        order = torch.randperm(len(self.train), generator=generator)
        chosen = order[: self.options.hessian_samples]
        inputs = tuple(tensor[chosen] for tensor in self.train.tensors)
        return replace(
            self.train,
            inputs=inputs if isinstance(self.train.inputs, tuple) else inputs[0],
            targets=self.train.targets[chosen],
        )

    def _eigenpairs(self, model: Tensors) -> Eigenpairs:
        samples, options = self.hessian_samples(), self.options
        chosen = (options.data_seed, len(samples), options.seed, options.tolerance)
        question = question_of(
            self.program.fingerprint, self.program.named(model), self.train.sha256, f"{chosen}"
        )
        product = HessianProduct(
            self.program,
            model,
            moved_names(self.program),
            samples,
            should_stop=self.should_stop,
            device=self.device,
        )
        arrays = self.cache.get(KEY)
        if answers(arrays, question) and (kept := _kept(arrays, product.size)) is not None:
            return kept
        found = top_eigenpairs(
            product,
            product.size,
            seed=options.seed,
            tolerance=options.tolerance,
            most_products=options.most_products,
            dtype=product.dtype,
            progress=self.told,
        )
        arrays = {name: getattr(found, name).numpy() for name in _ARRAYS}
        self.cache.put(KEY, asked({**arrays, "products": np.array(found.products)}, question))
        return found


_ARRAYS = ("values", "vectors", "residuals")


def _kept(arrays: Mapping[str, np.ndarray] | None, size: int) -> Eigenpairs | None:
    """Return the eigenpairs that were kept; None where they are of another size or none."""
    if arrays is None or np.shape(arrays.get("vectors", ())) != (2, size):
        return None
    try:
        values, vectors, residuals = (torch.from_numpy(arrays[name].copy()) for name in _ARRAYS)
        return Eigenpairs(values, vectors, residuals, int(arrays["products"]))
    except (LookupError, TypeError, ValueError):
        return None
