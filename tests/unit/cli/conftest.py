"""A ledger on disk with one decided and filled order, as `alphamill` finds it through the environment."""

import datetime as dt
from decimal import Decimal
from pathlib import Path

import pytest

from alphamill.adapters.sql import SqlLedger
from alphamill.domain.decisions import Decision, RuleResult, Signal, TradingState, Verdict
from alphamill.domain.features import FeatureSnapshot
from alphamill.domain.forecasts import Forecast
from alphamill.domain.ledger import NavPoint, Settlement
from alphamill.domain.orders import Fill, Order, OrderStatus, Position, Side, order_id
from alphamill.domain.portfolios import load_portfolio
from alphamill.settings import load_settings
from alphamill.testing.decisions import commit, settle

NOON = dt.datetime(2012, 1, 2, 12, tzinfo=dt.UTC)

AT = dt.datetime(2013, 2, 28, 21, tzinfo=dt.UTC)
NEXT_OPEN = dt.datetime(2013, 3, 1, 14, 30, tzinfo=dt.UTC)


def _order() -> Order:
    quantity = Decimal(40)
    identity = order_id("demo", AT, "IBM", Side.BUY, quantity)
    return Order(identity, "demo", AT, "IBM", Side.BUY, quantity, Decimal("200.83"), "target 8.0 % of NAV")


def _decision(order: Order) -> Decision:
    return Decision(
        id="dec_1",
        portfolio="demo",
        decided_at=AT,
        source="model",
        state=TradingState.ACTIVE,
        data_version="bars@7",
        model_version="forecaster-3",
        run_id="run42",
        nav_usd=Decimal(100_000),
        prices={"IBM": Decimal("200.83"), "MSFT": Decimal("27.80")},
        snapshots=(FeatureSnapshot("IBM", AT, {"rsi_14": 55.5}), FeatureSnapshot("MSFT", AT, {"rsi_14": 44.4})),
        forecasts=(
            Forecast("IBM", AT, 0.0021, 0.02, "forecaster-3"),
            Forecast("MSFT", AT, 0.0001, 0.02, "forecaster-3"),
        ),
        signals={"IBM": Signal.BUY, "MSFT": Signal.HOLD},
        weights_before={"IBM": 0.0},
        target_weights={"IBM": 0.08},
        rules=(
            RuleResult("max_weight", "IBM", Verdict.PASS, "OK", ""),
            RuleResult("max_turnover", "*", Verdict.SHRINK, "MAX_TURNOVER", "by a tenth"),
            RuleResult("max_weight", "MSFT", Verdict.PASS, "OK", "not about IBM"),
        ),
        orders=(order,),
    )


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ALPHAMILL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path / "home"


@pytest.fixture
def filled_order(home: Path) -> Order:
    settings = load_settings()
    order = _order()
    spec = load_portfolio(settings.portfolios[0])
    home.mkdir()
    ledger = SqlLedger(settings.ledger_url)
    ledger.register(spec, NOON)
    commit(ledger, _decision(order))
    fill = Fill("fill_1", order.id, "IBM", Side.BUY, Decimal(40), Decimal("201.10"), Decimal("4.02"), NEXT_OPEN)
    cash = Decimal(100_000) + fill.cash_usd
    done = Order(**{**_fields(order), "status": OrderStatus.FILLED, "filled_quantity": Decimal(40)})
    position = Position("IBM", Decimal(40), Decimal("201.10"))
    nav = NavPoint(AT + dt.timedelta(days=1), Decimal(99_000), cash)
    settle(ledger, Settlement("demo", nav.at, (done,), (fill,), cash, (position,), nav))
    ledger.close()
    return done


def _fields(order: Order) -> dict[str, object]:
    return {name: getattr(order, name) for name in order.__dataclass_fields__}
