"""Two traders cannot both write: a thousand seeded schedules with pauses in the middle of what a trader does."""

import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import polars as pl
import pytest
import structlog
from drill.rivals import Rivals
from drill.script import Script

from alphamill.adapters.memory.ledger import InMemoryLedger
from alphamill.domain.forecasts import ModelSignature
from alphamill.domain.portfolios import PortfolioSpec, Sizing, Universe
from alphamill.errors import AlphamillError
from alphamill.features import MODEL_FEATURES, compute
from alphamill.proofs.synthetic_market import synthetic_market

SIGNATURE = ModelSignature("forecaster", "1", tuple(MODEL_FEATURES), 5, "bars@0", "run-1", "paper")
SCHEDULES, CHUNK = 1_000, 250
HISTORY, SESSIONS = 60, 4


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """A thousand runs of lost leases would log a hundred thousand lines."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)
    structlog.configure(**before)


@pytest.fixture(scope="module")
def script() -> Script:
    frames = synthetic_market(3, HISTORY + SESSIONS, seed=9).sort("ts", "symbol")
    sessions = frames.partition_by("ts", maintain_order=True)
    sizing = Sizing(method="top_k", top_k=2, covariance_bars=40, max_weight=0.5)
    spec = PortfolioSpec(name="demo", universe=Universe(symbols=("SYN000", "SYN001", "SYN002")), sizing=sizing)
    rows = compute(frames.sort("symbol", "ts")).select("symbol", "ts", *MODEL_FEATURES)
    return Script(spec, pl.concat(sessions[:HISTORY]), rows, sessions[HISTORY:])


@pytest.mark.parametrize("first", range(0, SCHEDULES, CHUNK))
def test_no_order_twice_and_no_book_overwritten(script: Script, first: int) -> None:
    seen: Counter[str] = Counter()
    for seed in range(first, first + CHUNK):
        rivals = Rivals(script, SIGNATURE, seed)
        rivals.run()
        assert rivals.violations() == [], f"seed {seed}"
        seen.update(code for process in rivals.processes for code in process.errors)
        seen["takeovers"] += rivals.takeovers
    # The schedules reach what they are about: writes that came too late, and seats that changed hands.
    assert seen["FENCED"] > CHUNK / 10
    assert seen["takeovers"] > 2 * CHUNK


class _Careless(InMemoryLedger):
    """A ledger that takes a write whoever makes it, whatever it was computed from, and whenever."""

    def commit(self, decision: Any, *, token: int | None = None) -> None:
        revision = self.record(decision.portfolio).revision
        super().commit(replace(decision, revision=revision), token=self.granted)

    def settle(self, settlement: Any, *, token: int | None = None) -> None:
        record = self.record(settlement.portfolio)
        at = max(settlement.at, record.last_settled_at or settlement.at)
        super().settle(replace(settlement, revision=record.revision, at=at), token=self.granted)


def test_without_the_checks_the_same_schedules_break_the_books(script: Script) -> None:
    broken = 0
    for seed in range(300):
        rivals = Rivals(script, SIGNATURE, seed, ledger=_Careless)
        try:
            rivals.run()
            broken += bool(rivals.violations())
        except AlphamillError:
            broken += 1
    assert broken >= 5
