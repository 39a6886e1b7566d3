"""Features of the bars that have just closed, as live trading has them."""

from collections.abc import Sequence
from typing import Protocol

from alphamill.domain.features import FEATURE_KEY, FeatureSnapshot
from alphamill.errors import AlphamillError, StoreUnavailable
from alphamill.features import newest
from alphamill.features.history import BarHistory
from alphamill.ports import OnlineFeatures


class SessionFeatures(Protocol):
    """The features that the decisions of a session read."""

    def refresh(self, history: BarHistory, symbols: Sequence[str]) -> None:
        """Bring the newest rows of `symbols` up to the newest bar of `history`."""
        ...

    def read_online(self, symbols: Sequence[str], features: Sequence[str]) -> dict[str, FeatureSnapshot]:
        """Snapshots by symbol; one without a row, or without one of `features`, is absent."""
        ...


class NewestFeatures:
    """Computes each symbol's newest row from its whole history and writes it online; decisions get what was written.

    The rows are not read back: what is asked for here is what the online store was given. Where it did not take them,
    nobody else can see what a decision would be made on, so asking raises until a later write goes well.
    """

    def __init__(self, online: OnlineFeatures) -> None:
        self._online = online
        self._rows: dict[str, FeatureSnapshot] = {}
        self._failed: AlphamillError | None = None

    def refresh(self, history: BarHistory, symbols: Sequence[str]) -> None:
        """Bring the rows of `symbols` up to the newest bar of `history`.

        Raises
        ------
        AlphamillError
            A value is bad (`InvalidFeatures`, `DataUnfit`), or the online store does not take the rows.
        """
        try:
            rows = newest(history, symbols=symbols)
            self._online.write(rows)
        except AlphamillError as error:
            self._failed = error
            raise
        self._failed = None
        names = [name for name in rows.columns if name not in FEATURE_KEY]
        for symbol, ts, *values in rows.select(*FEATURE_KEY, *names).rows():
            known = {name: value for name, value in zip(names, values, strict=True) if value is not None}
            self._rows[symbol] = FeatureSnapshot(symbol, ts, known)

    def read_online(self, symbols: Sequence[str], features: Sequence[str]) -> dict[str, FeatureSnapshot]:
        """Snapshots by symbol; one without a row, or without one of `features`, is absent.

        Raises
        ------
        StoreUnavailable
            The newest rows did not reach the online store.
        """
        if self._failed is not None:
            raise StoreUnavailable(
                f"the newest features did not reach the online store: {self._failed.message}",
                remedy=self._failed.remedy,
            ) from self._failed
        found = {}
        for symbol in symbols:
            row = self._rows.get(symbol)
            if row is not None and all(name in row.values for name in features):
                found[symbol] = FeatureSnapshot(symbol, row.ts, {name: row.values[name] for name in features})
        return found


class StoredFeatures:
    """Features of a backtest: every row is there already, and one newer than the clock is not answered."""

    def __init__(self, store: OnlineFeatures) -> None:
        self._store = store

    def refresh(self, history: BarHistory, symbols: Sequence[str]) -> None:
        """Nothing to compute."""

    def read_online(self, symbols: Sequence[str], features: Sequence[str]) -> dict[str, FeatureSnapshot]:
        return self._store.read(symbols, features)
