import dataclasses
import re
import xml.etree.ElementTree as ET
from decimal import Decimal
from html.parser import HTMLParser
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from alphamill.domain.decisions import Decision, RuleResult, Verdict
from alphamill.domain.orders import Fill, Order, OrderStatus, Side
from alphamill.errors import InvalidInput
from alphamill.evaluation.parity import Parity
from alphamill.evaluation.report import RunReport, headline, render, verdict_paragraph
from alphamill.evaluation.report.charts import weights_chart
from alphamill.evaluation.report.sentences import sharpe_difference
from alphamill.evaluation.report.trades import interventions, order_rows
from alphamill.testing.decisions import sample_decision

VOID = {"meta", "br", "link", "img", "hr", "input"}


def _sample() -> Any:
    # importlib mode knows no sibling modules; this is the one of this folder.
    spec = spec_from_file_location("report_sample", Path(__file__).with_name("report_sample.py"))
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Balance(HTMLParser):
    """Fails on tags closed in the wrong order and collects ids."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.ids += [value for name, value in attrs if name == "id" and value]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.ids += [value for name, value in attrs if name == "id" and value]


@pytest.fixture(scope="module")
def report(make_panel: Any) -> RunReport:
    return _sample().sample_report(make_panel(0.03, days=300, horizon=5))  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def page(report: RunReport) -> str:
    return render(report)


def test_the_page_needs_no_network_and_no_script(page: str) -> None:
    fetched = re.findall(r'(?:src|href)="(?!#)[^"]*"|url\((?!#)[^)]*\)|@import|<script|<link', page)
    assert fetched == []
    assert "default-src 'none'" in page
    assert len(page.encode()) < 2_000_000


def test_tags_are_balanced_and_ids_unique(page: str) -> None:
    parser = Balance()
    parser.feed(page)
    assert parser.open == []
    assert len(parser.ids) == len(set(parser.ids))


def test_charts_are_whole_svg_in_the_colour_of_the_page(page: str) -> None:
    charts = re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL)
    assert len(charts) == 4
    for chart in charts:
        ET.fromstring(chart)
        assert "currentColor" in chart
        assert "#010203" not in chart


def test_equal_weight_is_drawn_beside_the_model_whatever_the_order_of_the_files(report: RunReport) -> None:
    navs = dict.fromkeys(("12-1 momentum", "equal weight", "linear", "model"), report.navs["model"])
    page = render(dataclasses.replace(report, navs=navs))
    assert 'aria-label="Equity and drawdown of model, equal weight, 12-1 momentum, linear"' in page


def test_verdict_and_key_numbers_stand_before_the_first_chart(page: str, report: RunReport) -> None:
    top = page[: page.index("<svg")]
    assert headline(report.summary, report.navs) in top
    assert "Accepted for paper trading" in top
    assert f"{report.summary.performance.sharpe:.2f}" in top


def test_every_order_is_shown_with_its_reason_and_its_explain_command(page: str, report: RunReport) -> None:
    assert report.trading is not None
    for order in report.trading.orders:
        assert f"alphamill explain {order.id}" in page
        assert order.reason in page
    assert "48 earlier orders" in page


def test_every_gate_check_and_caveat_is_shown(page: str, report: RunReport) -> None:
    for check in report.verdict.checks:
        assert check.name in page
    assert "survivors" in page


def test_data_facts_are_shown(page: str) -> None:
    for fact in ("12,154 bars", "bars@12", "OHLC_INCONSISTENT", "2005-02-28", "2 missing sessions", "public domain"):
        assert fact in page


def test_text_from_outside_is_escaped(report: RunReport) -> None:
    assert report.trading is not None
    hostile = dataclasses.replace(report.trading.orders[0], reason="<script>alert(1)</script>")
    trading = dataclasses.replace(report.trading, orders=(hostile,), fills=())
    page = render(dataclasses.replace(report, trading=trading))
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_a_run_without_replay_splits_gaps_or_weights_renders(report: RunReport) -> None:
    data = dataclasses.replace(
        report.data, splits=report.data.splits.clear(), gaps=report.data.gaps.clear(), quarantined={}
    )
    page = render(dataclasses.replace(report, trading=None, data=data, weights=report.weights.clear()))
    assert "Replay through the live path" not in page
    assert "every row passed every rule" in page


def test_lost_parity_is_said_with_the_first_difference(report: RunReport) -> None:
    assert report.trading is not None
    lost = Parity(60, 59, 61, ("order 3: live a, backtest b", "fill 3: live c, backtest d"))
    page = render(dataclasses.replace(report, trading=dataclasses.replace(report.trading, parity=lost)))
    assert "2 differences" in page
    assert "order 3: live a, backtest b" in page


def test_a_refused_model_is_called_refused(report: RunReport) -> None:
    verdict = report.verdict.model_copy(update={"accepted": False, "approved_for": "none"})
    assert "Refused for paper trading" in render(dataclasses.replace(report, verdict=verdict))


def test_the_models_curve_is_required(report: RunReport) -> None:
    with pytest.raises(InvalidInput, match="model"):
        render(dataclasses.replace(report, navs={"equal weight": report.navs["equal weight"]}))


def test_headline_says_which_side_won(make_panel: Any, make_summary: Any, make_performance: Any) -> None:
    panel = make_panel(0.1, days=50)
    assert headline(make_summary(panel, sharpe=0.5)) == "The model does not beat equal weight after costs."
    assert headline(make_summary(panel, sharpe=0.9)) == "The model beats equal weight after costs."
    assert "no baseline" in headline(make_summary(panel, baselines={}))
    linear = make_summary(panel, baselines={"linear": make_performance(2.0)})
    assert headline(linear) == "The model does not beat the linear model after costs."


def test_a_lucky_lead_is_called_luck(make_panel: Any, make_summary: Any, make_nav: Any) -> None:
    summary = make_summary(make_panel(0.1, days=50), sharpe=0.9)
    noise = {"model": make_nav(0.0006, seed=1), "equal weight": make_nav(0.0004, seed=2)}
    assert headline(summary, noise).endswith("chance alone can explain the difference.")
    sure = {"model": make_nav(0.003, seed=1), "equal weight": make_nav(0.0004, seed=1)}
    assert headline(summary, sure) == "The model beats equal weight after costs."
    assert "more than chance explains" in verdict_paragraph(summary, sure)


def test_curves_with_few_common_days_get_no_interval(make_nav: Any) -> None:
    assert sharpe_difference(make_nav(0.001, days=20), make_nav(0.0), periods_per_year=252) is None


@pytest.mark.parametrize(("ic", "said"), [(0.0, "not distinguishable from no skill"), (0.2, "chance does not explain")])
def test_the_paragraph_says_what_the_ranking_is_worth(make_panel: Any, make_summary: Any, ic: float, said: str) -> None:
    assert said in verdict_paragraph(make_summary(make_panel(ic)), {})


def test_the_paragraph_knows_wrong_and_absent_rankings(make_panel: Any, make_summary: Any) -> None:
    panel = make_panel(0.2)
    assert "reliably wrong" in verdict_paragraph(make_summary(panel.with_columns(-pl.col("mean"))), {})
    assert "do not rank" in verdict_paragraph(make_summary(panel.with_columns(mean=0.1)), {})


def test_an_order_row_averages_its_fills() -> None:
    decision = sample_decision(1)
    order = dataclasses.replace(decision.orders[0], quantity=Decimal("1200.50"), status=OrderStatus.FILLED)

    def fill(id_: str, quantity: str, price: str) -> Fill:
        return Fill(
            id_, order.id, order.symbol, Side.BUY, Decimal(quantity), Decimal(price), Decimal(1), order.decided_at
        )

    (row,) = order_rows([order], [fill("a", "1", "10"), fill("b", "3", "20")])
    assert (row.quantity, row.fill_price, row.commission) == ("1,200.5", "17.50", "2.00")
    (empty,) = order_rows([order], [])
    assert (empty.fill_price, empty.commission) == (None, None)


def test_orders_come_newest_first() -> None:
    orders: list[Order] = [order for number in (3, 1, 2) for order in sample_decision(number).orders]
    days = [row.decided_on for row in order_rows(orders, [])]
    assert days == sorted(days, reverse=True)


def test_interventions_count_what_was_held_back_and_skip_what_passed() -> None:
    def decided(number: int, *rules: RuleResult) -> Decision:
        return dataclasses.replace(sample_decision(number), rules=rules)

    rows = interventions(
        [
            decided(2, RuleResult("stop", "IBM", Verdict.DENY, "STOP", "later")),
            decided(
                1,
                RuleResult("stop", "FB", Verdict.DENY, "STOP", "earlier"),
                RuleResult("x", "FB", Verdict.PASS, "X", ""),
            ),
        ]
    )
    held = {(row.kind, row.code): (row.symbols, row.times, row.latest) for row in rows}
    assert held["denied", "STOP"] == ("FB, IBM", 2, "later")
    assert held["refused", "STALE_FEATURES"][1] == 2
    assert len(held) == 2


def test_short_weights_are_drawn_as_lines() -> None:
    at = _sample().times(3)
    frame = pl.DataFrame(
        {"at": list(at) * 2, "symbol": ["A"] * 3 + ["B"] * 3, "weight": [0.5, 0.4, 0.3, -0.5, -0.4, -0.3]}
    )
    long_only = frame.with_columns(pl.col("weight").abs())
    assert "FillBetween" in weights_chart(long_only, "w")
    assert "FillBetween" not in weights_chart(frame, "w")
