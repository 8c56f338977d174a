"""Ways to evaluate points that share work; each equals the plain one (`engine.landscape.plan`)."""

from engine.landscape.plans.exact import Exact
from engine.landscape.plans.hoisted import SHARED_BYTES

__all__ = ["SHARED_BYTES", "Exact"]
