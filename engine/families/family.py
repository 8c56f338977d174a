"""What a recognised architecture is, and what a family of architectures must offer.

A `Family` is a frozen value: how alike a state dict looks, how to recognise one, how to build
the module from a JSON config. A new family is one new file and one line in `registry.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import nn

if TYPE_CHECKING:
    from engine.families.layout import Layout

Config = dict[str, Any]  # JSON values only


@dataclass(frozen=True)
class Family:
    """One kind of architecture that can be recognised from names and shapes.

    Attributes:
        name: Short name, also the value of `config["family"]`.
        title: What a user calls it.
        options: Names of the overrides that it takes.
        likeness: Layout -> 0 (nothing in common) to 1 (looks like one); orders the refusals.
        recognise: (Layout, overrides) -> Recognition; raises UnknownArchitectureError with the
            reason, one sentence.
        build: config -> a fresh module.
    """

    name: str
    title: str
    options: tuple[str, ...]
    likeness: Callable[[Layout], float]
    recognise: Callable[[Layout, Mapping[str, Any]], Recognition]
    build: Callable[[Mapping[str, Any]], nn.Module]


@dataclass(frozen=True)
class Recognition:
    """An architecture found in a state dict, with the evidence for it.

    Attributes:
        family: The family's name, such as mlp, vgg or resnet.
        title: One line for the user, e.g. "MLP 784-512-512-512-10".
        evidence: Sentences: what in the names and shapes shows it.
        assumptions: Sentences: what names and shapes cannot show, and how to change it.
        config: JSON values from which `module_from` builds the same module again.
        input_shape: Shape of one sample.
        classes: Number of outputs.
        parameters: Number of trainable scalars (running statistics do not count).
        names: The module's own parameter and buffer names -> the checkpoint's names.
        input_dtype: "float32", or "int64" for token ids.
    """

    family: str
    title: str
    evidence: tuple[str, ...]
    assumptions: tuple[str, ...]
    config: Config
    input_shape: tuple[int, ...]
    classes: int
    parameters: int
    names: Mapping[str, str]
    input_dtype: str = "float32"

    def module(self) -> nn.Module:
        """Return a fresh module of this architecture in eval mode, with its own names."""
        from engine.families.registry import module_from

        return module_from(self.config)
