"""What a drill plays: bars that come, what a person does, and a forecaster that always has something to say."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import polars as pl

from alphamill.domain.decisions import TradingState
from alphamill.domain.features import FeatureSnapshot
from alphamill.domain.forecasts import Forecast, Forecasts, ModelSignature
from alphamill.domain.portfolios import PortfolioSpec
from alphamill.ports import Clock, OnlineFeatures
from alphamill.testing.bar_store import InMemoryBarStore


class ChangingClock:
    """Another clock's time; which one can change."""

    of: Clock

    def now(self) -> dt.datetime:
        return self.of.now()


@dataclass(frozen=True)
class Script:
    """What the world does, whatever fails: the same for a run with faults and for its reference.

    `sessions` are bars of `BAR_SCHEMA` by session; `late` ones of an index come when that session was decided without
    them. After the session of an index a person sends `targets` or sets a state.
    """

    spec: PortfolioSpec
    history: pl.DataFrame
    features: pl.DataFrame
    sessions: Sequence[pl.DataFrame]
    late: Mapping[int, pl.DataFrame] = field(default_factory=dict)
    targets: Mapping[int, Mapping[str, float]] = field(default_factory=dict)
    states: Mapping[int, TradingState] = field(default_factory=dict)

    @cached_property
    def store(self) -> InMemoryBarStore:
        """The history, stored; every run begins with a copy."""
        store = InMemoryBarStore()
        store.append(self.history)
        return store

    @cached_property
    def table(self) -> tuple[OnlineFeatures, ChangingClock]:
        """All feature rows, computed and loaded once, as of a clock that each process brings."""
        from alphamill.adapters.memory.feature_table import FeatureTable

        clock = ChangingClock()
        return FeatureTable(self.features, clock), clock

    @cached_property
    def closes(self) -> list[dt.datetime]:
        return [session["ts"][0] for session in self.sessions]

    @cached_property
    def bars(self) -> pl.DataFrame:
        """Every bar, late ones included."""
        return pl.concat([self.history, *self.sessions, *self.late.values()])


class SwayingForecaster:
    """The `Forecaster` port with a mean that changes sign with the day: every session gives orders, always the same."""

    def __init__(self, signature: ModelSignature, *, mean: float = 0.03, std: float = 0.04) -> None:
        self._signature, self._mean, self._std = signature, mean, std

    def signature(self) -> ModelSignature:
        return self._signature

    def forecast(self, snapshots: Sequence[FeatureSnapshot]) -> Forecasts:
        version = self._signature.version
        rows = tuple(Forecast(s.symbol, s.ts, self._of(s), self._std, version) for s in snapshots)
        return Forecasts(self._signature, rows)

    def _of(self, snapshot: FeatureSnapshot) -> float:
        phase = (snapshot.ts.toordinal() + 2 * sum(snapshot.symbol.encode())) % 5
        return self._mean * (1 - phase / 2)
