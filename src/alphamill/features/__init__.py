"""Named features over bars: one registry, one function for history and for the newest bar."""

from alphamill.features.indicators import MODEL_FEATURES
from alphamill.features.labels import forward_return
from alphamill.features.newest_rows import newest
from alphamill.features.prices import Prices
from alphamill.features.registry import Feature, feature, register, registered, resolve
from alphamill.features.staleness import require_fresh
from alphamill.features.table import compute

__all__ = [
    "MODEL_FEATURES",
    "Feature",
    "Prices",
    "compute",
    "feature",
    "forward_return",
    "newest",
    "register",
    "registered",
    "require_fresh",
    "resolve",
]
