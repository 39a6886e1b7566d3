"""What every `StatusBoard` keeps to."""

import datetime as dt
from pathlib import Path

import pytest

from alphamill.adapters.sql import SqlStatusBoard
from alphamill.domain.status import TradingStatus
from alphamill.ports import StatusBoard
from alphamill.testing.status import InMemoryStatusBoard

NOON = dt.datetime(2024, 3, 1, 12, tzinfo=dt.UTC)


@pytest.fixture(params=["fake", "sql"])
def board(request: pytest.FixtureRequest, tmp_path: Path) -> StatusBoard:
    return InMemoryStatusBoard() if request.param == "fake" else SqlStatusBoard(f"sqlite:///{tmp_path}/ledger.db")


def test_the_newest_word_on_each_portfolio_counts(board: StatusBoard) -> None:
    assert board.read("demo") is None
    first = TradingStatus("demo", NOON, "a", ("ledger and broker disagree: AAPL",), 7)
    second = TradingStatus("demo", NOON + dt.timedelta(seconds=1), "b", (), 8)
    board.post(first)
    assert board.read("demo") == first
    assert not first.tradable
    board.post(second)
    board.post(TradingStatus("other", NOON, "b", (), 8))
    assert board.read("demo") == second
    assert second.tradable
