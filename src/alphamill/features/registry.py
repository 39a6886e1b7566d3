"""Named features: what each reads, how long it warms up, and how it is computed.

An own feature is one decorated function::

    @feature("gap_1", inputs=("open", "close"), warm_up=1)
    def gap_1(w: Prices) -> np.ndarray:
        \"\"\"Open against the close before.\"\"\"
        return np.append(np.nan, w.open[1:] / w.close[:-1] - 1.0)

Importing its module registers it. ``ALPHAMILL_EXTENSIONS`` names modules that every process imports.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from alphamill.errors import InvalidConfig, InvalidFeatures
from alphamill.features.prices import Floats, Prices

Compute = Callable[[Prices], Floats]

INPUTS: Final = ("open", "high", "low", "close", "volume")
#: Names that other columns of feature tables and training rows already have.
_RESERVED: Final = frozenset({"symbol", "ts", "label", "label_end_ts", "event_timestamp"})


@dataclass(frozen=True, slots=True)
class Feature:
    """One named feature.

    Parameters
    ----------
    inputs
        Columns of `Prices` that it reads.
    window
        Bars behind one value: exact for windowed features, nominal (the period) for recursive ones.
    warm_up
        Leading bars without a value: the first value stands on bar number `warm_up`, from zero.
    unit
        "fraction", "usd" (per share of that day), "pct" (0..100) or "sigma".
    compute
        From `Prices` of n bars to float64 [n]. Only called for n > warm_up. Entries before
        `warm_up` are ignored; all others must be finite.
    across
        `compute` may be given several symbols, one behind the other: it looks back `warm_up` bars at most, and
        what looks back further goes through `Prices.each`. The newest bars of many symbols are then computed at
        once. `alphamill check lookahead` compares both ways.
    """

    name: str
    inputs: tuple[str, ...]
    window: int
    warm_up: int
    unit: str
    doc: str
    compute: Compute
    across: bool = False

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", self.name) or self.name in _RESERVED | set(INPUTS):
            raise InvalidConfig(
                f"{self.name!r} cannot name a feature.",
                field="name",
                remedy="Use lower case words joined by single underscores, not the name of another column.",
            )
        if not self.inputs or not set(self.inputs) <= set(INPUTS):
            raise InvalidConfig(f"inputs of {self.name} are {self.inputs}, not some of {INPUTS}.", field="inputs")
        if self.warm_up < 0 or self.window < 1:
            raise InvalidConfig(
                f"{self.name} has warm_up {self.warm_up} and window {self.window}.",
                field="warm_up",
                remedy="warm_up is >= 0 and window >= 1, both in bars.",
            )


_FEATURES: dict[str, Feature] = {}


def register(new: Feature) -> Feature:
    """Add a feature. The same function under the same name replaces itself, as after a reload.

    Raises
    ------
    InvalidConfig
        Another feature has the name.
    """
    known = _FEATURES.get(new.name)
    if known is not None and _origin(known) != _origin(new):
        raise InvalidConfig(
            f"feature {new.name!r} is already registered by {'.'.join(_origin(known))}.",
            field="name",
            remedy="Choose another name.",
        )
    _FEATURES[new.name] = new
    return new


def feature(
    name: str,
    *,
    inputs: Sequence[str],
    warm_up: int,
    window: int | None = None,
    unit: str = "fraction",
    across: bool = False,
) -> Callable[[Compute], Compute]:
    """Decorator that registers a function as a feature; `window` is ``warm_up + 1`` if not given."""

    def decorate(compute: Compute) -> Compute:
        doc = (compute.__doc__ or "").strip()
        bars = window if window is not None else warm_up + 1
        register(Feature(name, tuple(inputs), bars, warm_up, unit, doc, compute, across))
        return compute

    return decorate


def registered() -> tuple[Feature, ...]:
    """All features in order of registration, those of extensions included."""
    return tuple(_FEATURES.values())


def resolve(names: Sequence[str] | None = None) -> tuple[Feature, ...]:
    """Features by name, in the order asked; all of them for None.

    Raises
    ------
    InvalidFeatures
        A name is unknown or comes twice.
    """
    known = {f.name: f for f in registered()}
    if names is None:
        return tuple(known.values())
    unknown = [name for name in names if name not in known]
    if unknown or len(set(names)) != len(names):
        raise InvalidFeatures(
            f"unknown features {unknown}." if unknown else f"features named twice: {list(names)}.",
            field="features",
            remedy=f"Known are {', '.join(known)}.",
        )
    return tuple(known[name] for name in names)


def _origin(known: Feature) -> tuple[str, str]:
    return known.compute.__module__, getattr(known.compute, "__qualname__", repr(known.compute))
