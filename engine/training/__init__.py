"""Trainings that make the pairs the studies need, from a recipe and a seed."""

from __future__ import annotations

from engine.training.options import TrainOptions, resolve_options
from engine.training.recipes import RECIPES, Recipe
from engine.training.records import EpochRecord, TrainProgress, TrainResult
from engine.training.train import train

__all__ = [
    "RECIPES",
    "EpochRecord",
    "Recipe",
    "TrainOptions",
    "TrainProgress",
    "TrainResult",
    "resolve_options",
    "train",
]
