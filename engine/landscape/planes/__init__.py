"""Planes of every other kind: any three models, random directions, a trajectory, the Hessian."""

from engine.landscape.planes.eigenvectors import Eigenpairs, top_eigenpairs
from engine.landscape.planes.hessian import hessian_plane
from engine.landscape.planes.hessian_product import HessianProduct
from engine.landscape.planes.laid import LaidPlane, moved_names, plane_along
from engine.landscape.planes.random_plane import random_plane
from engine.landscape.planes.three import three_plane
from engine.landscape.planes.trajectory import (
    Components,
    principal_components,
    trajectory_plane,
)

__all__ = [
    "Components",
    "Eigenpairs",
    "HessianProduct",
    "LaidPlane",
    "hessian_plane",
    "moved_names",
    "plane_along",
    "principal_components",
    "random_plane",
    "three_plane",
    "top_eigenpairs",
    "trajectory_plane",
]
