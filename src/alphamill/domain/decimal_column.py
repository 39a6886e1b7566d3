"""Prices of many symbols, of which a decision reads few."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt


class DecimalColumn(Mapping[str, Decimal]):
    """Floats by symbol, read as `Decimal`: each is made when it is first asked for. Equal to the dict of the same.

    Parameters
    ----------
    places
        Where each symbol stands in `values`; shared between columns, never changed.
    values
        float64 [n], finite; the decimal is the shortest one that reads back as the float.
    fixed
        Symbols that have another value, given as it is.

    Raises
    ------
    ValueError
        A value is not finite: no decimal can be made of it, and it would show only when it is asked for.
    """

    __slots__ = ("_made", "_places", "_values")

    def __init__(
        self,
        places: Mapping[str, int],
        values: npt.NDArray[np.float64],
        fixed: Mapping[str, Decimal] | None = None,
    ) -> None:
        if not np.isfinite(values).all():
            raise ValueError("a value is not finite")
        self._places, self._values = places, values
        self._made: dict[str, Decimal] = dict(fixed or {})

    def __getitem__(self, symbol: str) -> Decimal:
        made = self._made.get(symbol)
        if made is None:
            made = self._made[symbol] = Decimal(repr(self._values.item(self._places[symbol])))
        return made

    def get(self, symbol: str, default: Any = None) -> Any:
        """As of a dict. Asked for every position at every bar: `Mapping.get` would raise and catch for it."""
        made = self._made.get(symbol)
        if made is not None:
            return made
        return self[symbol] if symbol in self._places else default

    def __contains__(self, symbol: object) -> bool:
        return symbol in self._places

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def __repr__(self) -> str:
        return repr(dict(self))
