"""All architectures of the zoo, by name."""

from __future__ import annotations

from tests.zoo import (
    branching,
    language,
    mobile,
    modern,
    published,
    residual,
    sequences,
    vision_transformers,
)
from tests.zoo.entry import Architecture

ZOO: dict[str, Architecture] = {
    architecture.name: architecture
    for part in (
        residual,
        branching,
        mobile,
        modern,
        vision_transformers,
        language,
        sequences,
        published,
    )
    for architecture in part.ARCHITECTURES
}
