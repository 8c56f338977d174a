"""All cases by the file of rules that they test."""

from __future__ import annotations

from tests.symmetry.rules.case import Case
from tests.symmetry.rules.cases_elements import POINTWISE, REDUCE
from tests.symmetry.rules.cases_layers import CONTRACTION, NORM
from tests.symmetry.rules.cases_places import PLACES, PRODUCTS
from tests.symmetry.rules.cases_views import JOIN, SHAPE

CASES: dict[str, tuple[Case, ...]] = {
    "contraction": CONTRACTION,
    "pointwise": POINTWISE,
    "norm": NORM,
    "reduce": REDUCE,
    "shape": SHAPE,
    "join": JOIN,
    "places": PLACES,
    "products": PRODUCTS,
}
