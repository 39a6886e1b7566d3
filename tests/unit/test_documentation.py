"""The documents say what the code does: their code runs, their tables are the code's, their commands exist."""

import ast
import json
import re
import runpy
import shlex
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import BaseModel

from alphamill import errors
from alphamill.extensions import load_extensions

REPO_ROOT = Path(__file__).resolve().parents[2]

DOCUMENT = runpy.run_path(str(REPO_ROOT / "scripts" / "document.py"))
DOCUMENTS: list[Path] = DOCUMENT["documents"]()
README = (REPO_ROOT / "README.md").read_text()
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
FENCE = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"(?<![\w/])(?:\.venv/bin/)?alphamill ((?:[a-z-]+ ?)+[^`\n#|]*)")
REPO_PATH = re.compile(r"`((?:src|serving|scripts|tests|pipelines|components|examples|docs|feature_repo)/[\w./-]*)`")
UPPER_CASE = re.compile(r"[A-Z]+(_[A-Z]+)*")


def ids(path: Path) -> str:
    return str(path.relative_to(REPO_ROOT))


@pytest.mark.parametrize("path", DOCUMENTS, ids=ids)
def test_what_is_generated_is_what_the_code_says_now(path: Path) -> None:
    text = path.read_text()
    assert DOCUMENT["rewritten"](text) == text, "run: .venv/bin/python scripts/document.py"


@pytest.mark.parametrize("path", DOCUMENTS, ids=ids)
def test_links_and_named_files_exist(path: Path) -> None:
    text = path.read_text()
    linked = [path.parent / link for link in LINK.findall(text) if "://" not in link]
    named = [REPO_ROOT / name for name in REPO_PATH.findall(text)]
    assert not [str(target) for target in (*linked, *named) if not target.exists()]


def commands(text: str) -> list[list[str]]:
    """Every `alphamill ...` in shell fences and in back-ticked words."""
    shell = "\n".join(body for language, body in FENCE.findall(text) if language == "sh")
    spans = re.findall(r"`((?:\.venv/bin/)?alphamill [^`]+)`", FENCE.sub("", text))
    return [shlex.split(found) for found in COMMAND.findall("\n".join((shell, *spans)))]


@pytest.mark.parametrize("path", DOCUMENTS, ids=ids)
def test_every_command_and_option_exists(path: Path) -> None:
    from typer.main import get_command

    from alphamill.cli.__main__ import app

    for words in commands(path.read_text()):
        command: Any = get_command(app)
        while words and words[0] in getattr(command, "commands", {}):
            command = command.commands[words.pop(0)]
        known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
        assert not hasattr(command, "commands") or not words or "|" in words[0] or words[0].startswith("-"), words
        assert {word for word in words if word.startswith("--")} <= known, (command.name, words)


def test_the_commands_of_the_readme_are_found() -> None:
    found = [" ".join(words) for words in commands(README)]
    assert "replay --sessions 60" in found
    assert len(found) > 12


def bodies() -> list[tuple[str, dict[str, Any]]]:
    """Pairs of what a curl line of the README sends, or answers get, by the path it names."""
    pairs, path = [], ""
    for language, body in FENCE.findall(README):
        if language == "sh" and "curl" in body:
            path = body.split("127.0.0.1:8800", 1)[1].split()[0]
            sent = re.search(r"'(\{.*\})'", body)
            pairs += [(f"send {path}", json.loads(sent[1]))] if sent else []
        elif language == "json":
            pairs.append((f"answer {path}", json.loads(body)))
    return pairs


def test_the_api_examples_are_what_the_gateway_takes_and_gives() -> None:
    from alphamill.features import MODEL_FEATURES
    from serving.gateway.schemas import BarIn, Done, ModelOut, PredictIn, Prediction, TargetDone, WeightsIn

    schemas: dict[str, type[BaseModel]] = {
        "send /api/data": BarIn,
        "answer /api/data": Done,
        "send /api/predict": PredictIn,
        "answer /api/predict": Prediction,
        "send /api/portfolio/update": WeightsIn,
        "answer /api/portfolio/update": TargetDone,
        "answer /api/model/forecaster-1": ModelOut,
    }
    shown = dict(bodies())
    assert shown.keys() == schemas.keys()
    for name, body in shown.items():
        parsed = schemas[name].model_validate(body)
        if name.startswith("answer"):
            assert parsed.model_dump(mode="json") == body
    assert len(shown["send /api/predict"]["features"]) == len(MODEL_FEATURES)


def test_the_example_weights_are_within_the_example_portfolio() -> None:
    from alphamill.domain.portfolios import load_portfolio
    from alphamill.trading.targets import require_valid_targets

    spec = load_portfolio(REPO_ROOT / "examples" / "portfolio.yaml")
    require_valid_targets(spec, dict(bodies())["send /api/portfolio/update"]["weights"])


def codes_in(*modules: str) -> set[str]:
    """Upper-case string constants: the codes that these modules give."""
    found = set()
    for module in modules:
        for node in ast.walk(ast.parse((REPO_ROOT / "src" / "alphamill" / module).read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and UPPER_CASE.fullmatch(node.value):
                found.add(node.value)
    return found


def documented(heading: str) -> set[str]:
    text = (REPO_ROOT / "docs" / "codes.md").read_text().split(f"## {heading}\n")[1].split("\n## ")[0]
    return set(re.findall(r"^\| `([A-Z_]+)` \|", text, re.MULTILINE))


def test_every_refusal_is_documented_and_no_other() -> None:
    trading = (f"trading/{module}.py" for module in ("portfolio_trader", "delistings", "exits", "market"))
    given = codes_in(*trading, "features/staleness.py")
    assert documented("Why a decision left a symbol alone") == given


def test_every_risk_code_is_documented_and_no_other() -> None:
    given = codes_in("risk/rule.py", "risk/order_rules.py", "risk/target_rules.py", "risk/exit_rules.py")
    assert documented("What a risk rule said") == given


def test_every_error_is_in_the_table() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and kind is not errors.AlphamillError]
    classes = {kind("").code for kind in kinds if issubclass(kind, errors.AlphamillError)}
    assert documented("Errors") == classes


def test_own_data_passes_from_folder_to_accepted_bars() -> None:
    import datetime as dt

    from alphamill.adapters.feeds.files import FolderFeed
    from alphamill.domain.portfolios import load_portfolio
    from alphamill.ingestion import normalise
    from alphamill.validation import validate

    universe = load_portfolio(REPO_ROOT / "examples" / "own_data.yaml").universe
    feed, now = FolderFeed(REPO_ROOT / "examples" / "own_data"), dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    bars = normalise(feed.read(), source=feed.source, calendar=universe.calendar, ingested_at=now)
    result = validate(bars, calendar=universe.calendar, now=now)
    assert result.fit_to_trade
    assert (result.accepted.height, result.quarantined.height, result.gaps.height) == (120, 0, 0)
    assert set(result.accepted["symbol"]) == set(universe.symbols)
    assert [(row["symbol"], row["ratio"]) for row in result.splits.iter_rows(named=True)] == [("ACME", 2.0)]


@pytest.fixture(autouse=True)
def _forget_extensions(monkeypatch: pytest.MonkeyPatch) -> None:
    """What an example registers is known to its test only."""
    from alphamill.features import registry
    from alphamill.risk import rule
    from alphamill.training import models

    for module, name in ((registry, "_FEATURES"), (rule, "_OWN"), (models, "_ARCHITECTURES")):
        monkeypatch.setattr(module, name, dict(getattr(module, name)))
    for example in (REPO_ROOT / "examples").glob("own_*.py"):
        monkeypatch.delitem(sys.modules, example.stem, raising=False)


def test_own_feature_is_the_same_in_batch_and_for_the_newest_bar() -> None:
    from alphamill.features import compute, newest
    from alphamill.features.history import BarHistory
    from alphamill.proofs.synthetic_market import synthetic_market

    load_extensions([str(REPO_ROOT / "examples" / "own_feature.py")])
    bars = synthetic_market(2, 80, seed=3)
    table = compute(bars, ["overnight_gap"])
    assert table["overnight_gap"].null_count() == 2
    now = newest(BarHistory.from_bars(bars), ["overnight_gap"])
    assert now.equals(table.group_by("symbol", maintain_order=True).last())
    first = bars.filter(bars["symbol"] == "SYN000").sort("ts")
    assert table["overnight_gap"][1] == pytest.approx(first["open"][1] / first["close"][0] - 1.0, abs=1e-12)


def test_own_model_is_registered_and_learns() -> None:
    import datetime as dt

    import polars as pl

    from alphamill.training import architectures, build_dataset, fit, parse_params, predict

    load_extensions([str(REPO_ROOT / "examples" / "own_model.py")])
    assert "residual" in architectures()
    rng = np.random.default_rng(0)
    days = [dt.datetime(2010, 1, 4, 21, tzinfo=dt.UTC) + dt.timedelta(days=i) for i in range(306)]
    stamps = pl.Series(days, dtype=pl.Datetime("us", "UTC"))
    x = rng.normal(size=(300, 2))
    label = 0.02 * x[:, 0] + 0.005 * rng.normal(size=300)
    frame = pl.DataFrame({"symbol": "AAA", "ts": stamps[:300], "label_end_ts": stamps[6:], "label": label})
    frame = frame.with_columns(f0=pl.Series(x[:, 0]), f1=pl.Series(x[:, 1]))
    data = build_dataset(frame, ("f0", "f1"), horizon_bars=5)
    params = {"architecture": "residual", "hidden": [8], "epochs": 20, "batch_size": 32, "learning_rate": 0.01}
    mean, std = predict(fit(data, np.arange(len(data)), parse_params(params), seed=0), data.x)
    assert np.isfinite(mean).all()
    assert (std > 0).all()
    assert np.corrcoef(mean, data.y)[0, 1] > 0.8


def test_own_rules_run_with_the_default_ones() -> None:
    import datetime as dt
    from decimal import Decimal

    from alphamill.domain.decisions import TradingState
    from alphamill.domain.orders import Order, Side, order_id
    from alphamill.domain.portfolios import load_portfolio
    from alphamill.risk import RiskContext, check_orders, check_targets, default_rules

    load_extensions([str(REPO_ROOT / "examples" / "own_rule.py")])
    plain = load_portfolio(REPO_ROOT / "examples" / "portfolio.yaml")
    risk = plain.risk.model_copy(update={"own_rules": ("half_speed", "restricted_list")})
    spec = plain.model_copy(update={"risk": risk})
    rules = default_rules(spec)
    at, price = dt.datetime(2013, 1, 2, 21, tzinfo=dt.UTC), Decimal(20)
    context = RiskContext(
        spec=spec,
        state=TradingState.ACTIVE,
        nav_usd=Decimal(87_000),
        peak_nav_usd=Decimal(100_000),
        cash_usd=Decimal(87_000),
        positions={},
        prices={"FB": price, "IBM": price},
        volumes={"FB": Decimal(10**7), "IBM": Decimal(10**7)},
        decided_at=at,
    )
    targets, said = check_targets(rules, context, {"FB": 0.2, "IBM": 0.4})
    assert targets == {"FB": 0.1, "IBM": 0.2}
    assert said[0].code == "HALF_SPEED"
    quantity = Decimal(100)
    orders = [
        Order(order_id("demo", at, s, Side.BUY, quantity), "demo", at, s, Side.BUY, quantity, price, "")
        for s in ("FB", "IBM")
    ]
    kept, results = check_orders(rules, context, orders)
    assert [order.symbol for order in kept] == ["IBM"]
    assert results[0].code == "RESTRICTED"
