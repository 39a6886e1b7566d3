"""`alphamill check lookahead` over the product's own code, on a small market: it holds, and it sees what is broken."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml
from typer.testing import CliRunner

from alphamill.cli import __main__ as cli
from alphamill.cli.check import verdict
from alphamill.domain.portfolios import Delisting, PortfolioSpec, RiskLimits, Universe
from alphamill.evaluation.lookahead import Finding, Probe, check_probe
from alphamill.features import MODEL_FEATURES, Prices, feature, registry
from alphamill.features.history import BarHistory
from alphamill.proofs import lookahead_probes
from alphamill.proofs.lookahead import check_lookahead
from alphamill.proofs.lookahead_controls import Outcome, control_market
from alphamill.proofs.lookahead_decisions import Decisions
from alphamill.proofs.lookahead_probes import Fits, training_set
from alphamill.proofs.synthetic_market import synthetic_market
from alphamill.settings import Settings
from alphamill.training import Dataset, fit
from alphamill.training.windows import evaluation_windows

SYMBOLS = ("SYN000", "SYN001", "SYN002")
LEAK = '''
import numpy as np
from alphamill.features import Prices, feature

@feature("peek", inputs=("close",), warm_up=0)
def peek(prices: Prices) -> np.ndarray:
    """The last close of the history, at every bar."""
    return np.full(prices.close.size, prices.close[-1])
'''


@pytest.fixture
def own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Features registered by a test are gone after it."""
    monkeypatch.setattr(registry, "_FEATURES", dict(registry._FEATURES))


@pytest.fixture(scope="module")
def bars() -> pl.DataFrame:
    return control_market(2)


@pytest.fixture(scope="module")
def spec(bars: pl.DataFrame) -> PortfolioSpec:
    """With stops close enough to trip, and a symbol that stops trading within some of the truncated runs."""
    sessions = bars["session"].unique().sort()
    gone = {"SYN002": Delisting(last_session=sessions[len(sessions) * 3 // 4])}
    return PortfolioSpec(
        name="check",
        universe=Universe(symbols=SYMBOLS, delistings=gone),
        risk=RiskLimits(take_profit_pct=4, trailing_stop_pct=2),
    )


@pytest.fixture(scope="module")
def findings(spec: PortfolioSpec, bars: pl.DataFrame) -> list[Finding]:
    return check_lookahead(Settings(), spec, bars, cuts=5, seed=0)


def test_nothing_in_the_product_looks_ahead(findings: list[Finding]) -> None:
    assert [finding for finding in findings if not finding.holds] == []


def test_everything_is_among_what_was_checked(findings: list[Finding]) -> None:
    seen = {(finding.kind, finding.name) for finding in findings}
    shipped = {known.name for known in registry.registered()}
    assert {("feature", name) for name in shipped} <= seen
    assert {("newest", name) for name in shipped} <= seen
    assert {
        ("label", "label"), ("label", "label_end_ts"), ("purge", "evaluation folds"), ("purge", "tuning folds"),
        ("purge", "tuning before evaluation"), ("fit", "feature mean"), ("fit", "label std"), ("fit", "forecast mean"),
        ("decision", "forecast"), ("decision", "signal"), ("decision", "target weight"), ("decision", "order"),
        ("fill", "after the decision's bar"), ("fill", "at the open of its own bar"),
    } <= seen  # fmt: skip
    compared = {(finding.kind, finding.name): finding.compared for finding in findings}
    assert compared["decision", "order"] > 100
    assert compared["fill", "after the decision's bar"] > 50


def test_scaling_on_more_than_the_training_rows_is_caught(bars: pl.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    def greedy(dataset: Dataset, rows: np.ndarray, *rest: Any) -> Any:
        return fit(dataset, np.arange(len(dataset)), *rest)

    dataset = training_set(bars, MODEL_FEATURES, 5)
    fits = Fits.of(dataset, evaluation_windows(dataset), seed=0)
    monkeypatch.setattr(lookahead_probes, "fit", greedy)
    found = {f.name: f.differing for f in check_probe(Probe("fit", fits), bars, fits.cuts[:1], 0)}
    assert found["feature mean"] > 0
    assert found["forecast mean"] > 0


def test_newest_row_that_is_not_the_tables_is_caught(bars: pl.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    newest = lookahead_probes.newest

    def shorter(history: BarHistory) -> pl.DataFrame:
        """Starts later than the table did, which recursive indicators must not."""
        frames = [pl.DataFrame(_rows(history, symbol)).tail(200) for symbol in history.symbols]
        return newest(BarHistory.from_bars(pl.concat(frames)))

    monkeypatch.setattr(lookahead_probes, "newest", shorter)
    probe = Probe("newest", lookahead_probes.newest_rows, newest_only=True)
    found = {f.name: f.differing for f in check_probe(probe, bars, [bars["ts"].max() - dt.timedelta(days=30)], 0)}
    assert found["ema_ratio"] > 0
    assert found["ret_1"] == 0


def _rows(history: BarHistory, symbol: str) -> dict[str, Any]:
    window = history.window(symbol)
    names = ("open", "high", "low", "close", "volume", "price_factor", "split_factor")
    ts = pl.Series(window.ts).cast(pl.Datetime("us", "UTC"))
    return {"symbol": [symbol] * len(ts), "ts": ts, **{name: getattr(window, name) for name in names}}


def test_own_feature_that_looks_ahead_is_caught_and_so_are_the_orders_it_leads_to(
    bars: pl.DataFrame, spec: PortfolioSpec, own_registry: None
) -> None:
    @feature("peek", inputs=("close",), warm_up=0)
    def peek(prices: Prices) -> np.ndarray:
        return np.full(prices.close.size, prices.close[-1] / 1000.0)

    cuts = [bars["ts"].unique().sort()[250]]
    found = {f.name: f for f in check_probe(Probe("feature", lookahead_probes.feature_rows), bars, cuts, 0)}
    assert [name for name, finding in found.items() if finding.differing] == ["peek"]
    names = (*MODEL_FEATURES, "peek")
    decided = {f.name: f for f in check_probe(Probe("decision", Decisions(spec, names, bars)), bars, cuts, 0)}
    assert decided["forecast"].differing > 0
    assert decided["order"].differing > 0


@pytest.fixture(scope="module")
def feed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("feed")
    columns = ["symbol", "session", "open", "high", "low", "close", "volume"]
    synthetic_market(3, 440, seed=4).select(columns).write_parquet(folder / "bars.parquet")
    return folder


@pytest.fixture(scope="module")
def portfolio(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("portfolio") / "portfolio.yaml"
    document = {"universe": {"symbols": list(SYMBOLS)}}
    kind = {"apiVersion": "alphamill.dev/v1alpha1", "kind": "Portfolio", "metadata": {"name": "check"}}
    file.write_text(yaml.safe_dump({**kind, "spec": document}))
    return file


def invoke(arguments: Sequence[str | Path], monkeypatch: pytest.MonkeyPatch) -> tuple[int, str]:
    monkeypatch.setenv("COLUMNS", "140")
    monkeypatch.setenv("ALPHAMILL_PORTFOLIOS", "[]")  # the option sets it: undone after the test
    result = CliRunner().invoke(cli.app, ["check", "lookahead", *map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


def test_command_checks_a_folder_and_ends_with_zero(
    feed: Path, portfolio: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, text = invoke(["--feed", feed, "--portfolio", portfolio, "--cuts", "2", "--seed", "3"], monkeypatch)
    assert code == 0, text
    assert "no look-ahead" in text
    assert all(
        name in text for name in ("momentum_12_1", "label_end_ts", "target weight", "at the open of its own bar")
    )


def test_command_ends_with_one_on_an_own_feature_that_looks_ahead(
    feed: Path, portfolio: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_registry: None
) -> None:
    extension = tmp_path / "peeking_feature.py"
    extension.write_text(LEAK)
    monkeypatch.setenv("ALPHAMILL_EXTENSIONS", f'["{extension}"]')
    code, text = invoke(["--feed", feed, "--portfolio", portfolio, "--cuts", "2"], monkeypatch)
    assert code == 1
    assert "look-ahead:" in text
    told = text[text.index("What looks ahead") :]
    row = next(line for line in told.splitlines() if "peek" in line and "feature" in line)
    assert "SYN00" in row
    assert "with later bars" in row
    assert "ret_1 " not in told


def test_nothing_to_compare_is_no_proof() -> None:
    findings = [Finding("feature", "ret_1", 2, 10, 0), Finding("feature", "momentum_12_1", 2, 0, 0)]
    assert "not proved" in verdict(findings)
    assert "feature momentum_12_1" in verdict(findings)
    assert not all(finding.holds for finding in findings)


@pytest.mark.parametrize(("caught", "expected"), [(True, 0), (False, 1)])
def test_controls_end_with_one_when_a_leak_is_missed(
    caught: bool, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    clean = Finding("control", "value", 1, 10, 0)
    leak = replace(clean, differing=3) if caught else clean
    monkeypatch.setattr(
        "alphamill.proofs.lookahead_controls.run_controls", lambda seed: [Outcome("planted", (leak,), (clean,))]
    )
    code, text = invoke(["--controls"], monkeypatch)
    assert code == expected
    assert ("caught" if caught else "MISSED") in text
