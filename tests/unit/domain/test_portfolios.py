"""What a portfolio file may hold; everything else is refused by name, file and remedy."""

import datetime as dt
from pathlib import Path

import pytest

from alphamill.domain.portfolios import Universe, load_portfolio
from alphamill.errors import InvalidConfig

HEAD = "apiVersion: alphamill.dev/v1alpha1\nkind: Portfolio\n"
NAMED = HEAD + "metadata: {name: x}\n"


def with_spec(text: str) -> str:
    return f"{NAMED}spec: {{universe: {{symbols: [AAPL]}}, {text}}}\n"


def test_a_short_file_has_defaults_for_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(with_spec("sizing: {max_weight: 0.1}"))
    spec = load_portfolio(path)
    assert (spec.name, spec.universe.symbols, spec.sizing.max_weight) == ("x", ("AAPL",), 0.1)
    assert spec.sizing.gross_limit == 1.0
    assert (spec.model.horizon_bars, spec.model.version) == (5, None)


def test_a_file_may_pin_the_version_that_must_answer(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(with_spec('model: {version: "3"}'))
    assert load_portfolio(path).model.version == "3"


@pytest.mark.parametrize(
    ("text", "field", "words"),
    [
        ("", None, "holds no mapping"),
        ("- 1", None, "holds no mapping"),
        ("a: [1, 2\nb: }", None, "cannot be read"),
        (NAMED.encode() + b"spec: {name: caf\xe9}", None, "cannot be read: .*utf-8"),
        (NAMED.replace("kind: Portfolio\n", ""), "kind", "not a Portfolio"),
        (NAMED + "spec:\n", "spec", "spec is no mapping"),
        (NAMED + "spec: [1]\n", "spec", "spec is no mapping"),
        (NAMED, "spec", "spec is no mapping"),
        (HEAD + "metadata:\nspec: {}\n", "metadata", "metadata is no mapping"),
        (HEAD + "metadata: hello\nspec: {}\n", "metadata", "metadata is no mapping"),
        (with_spec("model: {version: 3}"), "model.version", "valid string"),
        (with_spec("model: {version: ''}"), "model.version", "at least 1 character"),
        (with_spec("colour: red"), "colour", "Extra inputs"),
        (with_spec("sizing: {max_weight: 0.1}, sizing: {max_weight: 0.4}"), None, "'sizing' stands there twice"),
        (with_spec("sizing: {gross_limit: 9}"), "sizing.gross_limit", "less than or equal to 4"),
        (with_spec("risk: {max_turnover_pct: .inf}"), "risk.max_turnover_pct", "finite number"),
        (with_spec("risk: {max_turnover_pct: .nan}"), "risk.max_turnover_pct", "finite number"),
        (with_spec("broker: {slippage_bps: 10000}"), "broker.slippage_bps", "less than 10000"),
        (with_spec("broker: {commission_bps: 10000}"), "broker.commission_bps", "less than 10000"),
        (with_spec("broker: {commission_usd_per_share: -1}"), "broker.commission_usd_per_share", "greater than"),
        (with_spec("broker: {commission_min_usd: .nan}"), "broker.commission_min_usd", "finite number"),
        (with_spec("broker: {slippage_usd_per_share: 1e9}"), "broker.slippage_usd_per_share", "less than"),
        (with_spec("broker: {share_step: 0}"), "broker.share_step", "greater than"),
        (with_spec("broker: {share_step: 100}"), "broker.share_step", "less than or equal to 1"),
        (with_spec("broker: {share_step: 0.3}"), "broker.share_step", "a whole number of steps"),
        (with_spec("broker: {max_participation_pct: 0}"), "broker.max_participation_pct", "greater than 0"),
        (with_spec("broker: {max_participation_pct: 101}"), "broker.max_participation_pct", "equal to 100"),
        (with_spec("initial_cash_usd: 0"), "initial_cash_usd", "greater than 0"),
        (NAMED + "spec: {universe: {symbols: []}}", "universe.symbols", "at least 1 item"),
        (NAMED + "spec: {universe: {symbols: [AAPL, AAPL]}}", "universe", "symbols must be unique"),
        (NAMED + "spec: {universe: {symbols: [aapl]}}", "universe.symbols.0", "match pattern"),
        (NAMED + "spec: {universe: {symbols: ['']}}", "universe.symbols.0", "match pattern"),
        (NAMED + "spec: {universe: {symbols: [GOOG, ON]}}", "universe.symbols.1", "valid string"),
    ],
)
def test_a_bad_file_is_refused_with_file_field_and_remedy(
    tmp_path: Path, text: str | bytes, field: str | None, words: str
) -> None:
    path = tmp_path / "p.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InvalidConfig, match=words) as caught:
        load_portfolio(path)
    assert str(path) in caught.value.message
    assert caught.value.field == (field or str(path))
    assert caught.value.remedy


@pytest.mark.parametrize(("written", "read"), [("1", "1"), ("0.001", "0.001"), ("'0.10'", "0.1"), ("0.25", "0.25")])
def test_a_step_that_divides_one_share_is_read_exactly(tmp_path: Path, written: str, read: str) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(with_spec(f"broker: {{share_step: {written}, commission_usd_per_share: 0.005}}"))
    broker = load_portfolio(path).broker
    assert (str(broker.share_step), str(broker.commission_usd_per_share)) == (read, "0.005")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match=r"no_such\.yaml cannot be read"):
        load_portfolio(tmp_path / "no_such.yaml")


def test_a_symbol_trades_until_the_end_of_its_last_session() -> None:
    universe = Universe.model_validate({"symbols": ["A", "B"], "delistings": {"B": {"last_session": "2024-03-07"}}})
    assert universe.trading(dt.date(2024, 3, 7)) == {"A", "B"}
    assert universe.trading(dt.date(2024, 3, 8)) == {"A"}
