"""What a person sees: help without weight, errors without tracebacks, a ledger one can read and stop."""

import datetime as dt
import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from alphamill import environment
from alphamill.adapters.sql import SqlLedger
from alphamill.cli import __main__ as cli
from alphamill.cli import stages
from alphamill.domain.decisions import TradingState
from alphamill.domain.orders import Order
from alphamill.domain.portfolios import load_portfolio
from alphamill.errors import AlphamillError, InvalidConfig, InvalidInput, NotFound, StoreUnavailable
from alphamill.evaluation.gate import GateVerdict
from alphamill.settings import load_settings
from alphamill.testing.decisions import sample_spec

HEAVY = ("deltalake", "fastapi", "feast", "httpx", "kfp", "kserve", "mlflow", "numpy", "pandas", "polars", "pydantic")
COMMANDS = [
    ["demo"], ["ingest"], ["features"], ["train"], ["pipeline", "compile"], ["serve", "forecaster"],
    ["serve", "gateway"], ["serve", "trader"],
    ["serve", "all"], ["backtest"], ["replay"], ["explain"], ["portfolio", "status"], ["portfolio", "halt"],
    ["portfolio", "reduce"], ["portfolio", "resume"], ["portfolio", "orders"], ["doctor"],
    ["check", "lookahead"], ["check", "learning"],
]  # fmt: skip


def invoke(*arguments: str) -> str:
    result = CliRunner().invoke(cli.app, list(arguments))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def state() -> TradingState:
    settings = load_settings()
    ledger = SqlLedger(settings.ledger_url)
    try:
        return ledger.record(load_portfolio(settings.portfolios[0]).name).state
    finally:
        ledger.close()


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys; sys.argv = ['alphamill', '--help']\n"
        "from alphamill.cli.__main__ import main\n"
        "try: main()\n"
        "except SystemExit as end: assert end.code == 0\n"
        f"loaded = [name for name in {(*HEAVY, 'ray', 'redis', 'sqlalchemy', 'torch')!r} if name in sys.modules]\n"
        "assert not loaded, loaded"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert all(words[0] in done.stdout for words in COMMANDS)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_command_explains_itself(words: list[str]) -> None:
    help_text = invoke(*words, "--help")
    assert "Usage:" in help_text
    assert len(help_text.splitlines()) > 5


def test_status_shows_state_money_and_positions(filled_order: Order) -> None:
    text = invoke("portfolio", "status")
    for words in ("ACTIVE", "99,000.00 USD", "1.00 % from 100,000.00", "IBM 40 @ 201.10", "none", "forecaster-3"):
        assert words in text


@pytest.mark.parametrize(
    ("command", "expected"),
    [("halt", TradingState.HALTED), ("reduce", TradingState.REDUCING), ("resume", TradingState.ACTIVE)],
)
def test_state_is_set_with_nothing_but_the_ledger_running(
    filled_order: Order, command: str, expected: TradingState
) -> None:
    text = invoke("portfolio", command, "--reason", "because")
    assert state() is expected
    assert f"-> {expected.value}" in text
    assert "because" in invoke("portfolio", "status")


def test_a_halt_that_would_halt_nothing_is_refused(home: Path) -> None:
    with pytest.raises(StoreUnavailable, match="does not exist"):
        invoke("portfolio", "halt")
    ledger = SqlLedger(load_settings().ledger_url)
    ledger.register(sample_spec("other"), dt.datetime(2012, 1, 2, tzinfo=dt.UTC))
    ledger.close()
    with pytest.raises(NotFound, match="ALPHAMILL_HOME"):
        invoke("portfolio", "halt")


def test_unknown_portfolio_names_those_there_are(home: Path) -> None:
    with pytest.raises(NotFound, match=r"'other' is not configured \(known: demo\)"):
        invoke("portfolio", "status", "--portfolio", "other")


def test_orders_are_listed_with_their_ids_and_reasons(filled_order: Order) -> None:
    text = invoke("portfolio", "orders")
    for words in (filled_order.id, "buy", "40", "IBM", "filled"):
        assert words in text


def test_an_order_is_one_whole_line_in_80_columns(filled_order: Order, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    (line,) = [line for line in invoke("portfolio", "orders").splitlines() if filled_order.id in line]
    assert "buy 40 IBM" in line
    assert "filled" in line
    assert "…" not in line
    assert len(invoke("portfolio", "orders").splitlines()) == 5


def test_explain_goes_back_from_the_order_to_the_data(filled_order: Order) -> None:
    text = invoke("explain", filled_order.id)
    for words in (
        f"{filled_order.id}: buy 40 IBM, filled",
        "target 8.0 % of NAV",
        "2013-03-01 14:30:00+00:00  40 @ 201.10",
        "dec_1 at 2013-02-28 21:00:00+00:00 (model, ACTIVE)",
        "weight 0.0000 -> 0.0800",
        "max_turnover: shrink MAX_TURNOVER by a tenth",
        "mean 21.00 bps, std 200.00 bps, confidence 0.542",
        "as of 2013-02-28 21:00:00+00:00",
        "rsi_14 = 55.5",
        "forecaster-3",
        "run run42",
        "data version bars@7",
    ):
        assert words in text
    assert "44.4" not in text
    assert "not about IBM" not in text


def test_explain_of_an_unknown_order_is_not_found(filled_order: Order) -> None:
    with pytest.raises(NotFound, match=r"ord_nothing.*`alphamill portfolio orders`"):
        invoke("explain", "ord_nothing")


def test_ingest_says_what_it_accepted_and_refuses_a_date_that_is_none(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(__file__).parents[3] / "examples" / "own_data"
    monkeypatch.setenv("ALPHAMILL_PORTFOLIOS", json.dumps([str(folder.with_suffix(".yaml"))]))
    text = invoke("ingest", "--feed", str(folder))
    assert "accepted, 0 quarantined" in text
    assert "bars version 0" in text
    with pytest.raises(InvalidInput, match="YYYY-MM-DD"):
        invoke("ingest", "--feed", str(folder), "--until", "2020-13-01")


def test_train_repeats_what_the_gate_said(tmp_path: Path) -> None:
    said = "Refused for paper trading: RankIC is worse than the champion's."
    verdict = GateVerdict(
        accepted=False, profile="paper", approved_for="none", compared_with_champion=True, checks=(), summary=said
    )
    (tmp_path / "verdict.json").write_text(verdict.model_dump_json())
    assert stages.said_by_gate(str(tmp_path / "summary.json")) == said


def run_main(monkeypatch: pytest.MonkeyPatch, raised: BaseException, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["alphamill", *arguments, "doctor"])
    monkeypatch.setattr("alphamill.settings.read_settings", lambda: (_ for _ in ()).throw(raised))
    monkeypatch.setattr(cli.signal, "signal", lambda *_: None)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


def test_error_becomes_its_exit_code_and_three_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    error = InvalidConfig("the port is 0.", field="ALPHAMILL_PORT", remedy="Take another.")
    assert run_main(monkeypatch, error) == error.exit_code == 2
    said = capsys.readouterr().err
    assert [line.split()[0] for line in said.splitlines()] == ["error", "field", "remedy"]
    assert "Traceback" not in said


def test_ctrl_c_exits_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_main(monkeypatch, KeyboardInterrupt()) == 130


def test_debug_shows_the_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(environment.DEBUG, "")
    with pytest.raises(AlphamillError, match="the port"):
        run_main(monkeypatch, InvalidConfig("the port is 0."), "--debug")


def test_status_says_which_symbol_stops_trading(filled_order: Order, home: Path, monkeypatch) -> None:
    document = yaml.safe_load(load_settings().portfolios[0].read_text())
    document["spec"]["universe"]["delistings"] = {"IBM": {"last_session": "2031-01-03", "cash_per_share_usd": "12.5"}}
    file = home / "with_a_delisting.yaml"
    file.write_text(yaml.safe_dump(document))
    monkeypatch.setenv("ALPHAMILL_PORTFOLIOS", f'["{file}"]')
    assert "IBM after 2031-01-03, paid out at 12.5 USD a share" in invoke("portfolio", "status")
