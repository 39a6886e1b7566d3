"""The report of a run: what came in, what was learned, what the gate said, what was traded and why."""

import datetime as dt
from pathlib import Path

import polars as pl

from alphamill.domain.bars import UTC_TS, bars_version_of
from alphamill.domain.models import ModelCard
from alphamill.domain.portfolios import PortfolioSpec
from alphamill.evaluation.gate import GateVerdict
from alphamill.evaluation.parity import Parity
from alphamill.evaluation.report import DataSection, RunReport, TradingSection, render
from alphamill.evaluation.summary import EvaluationSummary
from alphamill.features import registered
from alphamill.ports import Wiring
from alphamill.steps.ingest_bars import LANDING
from alphamill.steps.run_folder import MODEL_ID, SUMMARY, TRIALS, VERDICT, WEIGHTS, read_navs, run_folder
from alphamill.validation import ValidationResult, validate

REPORT = "report.html"


def write_report(parts: Wiring, run_id: str, *, parity: Parity | None = None) -> Path:
    """Render the run's folder and the first portfolio's ledger into one HTML file in that folder."""
    now = parts.clock().now()
    folder, spec = run_folder(parts.settings, run_id), parts.portfolios()[0]
    summary = EvaluationSummary.model_validate_json((folder / SUMMARY).read_text())
    report = RunReport(
        created_at=now,
        portfolio=spec,
        data=_data(parts, spec, summary.data_version, now),
        card=ModelCard.model_validate_json((folder / "model" / "card.json").read_text()),
        model_id=(folder / MODEL_ID).read_text(),
        trials=pl.read_parquet(folder / TRIALS),
        summary=summary,
        verdict=GateVerdict.model_validate_json((folder / VERDICT).read_text()),
        navs=read_navs(folder),
        weights=pl.read_parquet(folder / WEIGHTS),
        trading=_trading(parts, spec, parity),
        feature_docs={feature.name: feature.doc for feature in registered()},
    )
    path = folder / REPORT
    path.write_text(render(report))
    return path


def _data(parts: Wiring, spec: PortfolioSpec, data_version: str, now: dt.datetime) -> DataSection:
    result = _validated(parts, spec, now)
    bars = parts.bars().read(version=bars_version_of(data_version))
    session = pl.col("session")
    symbols = bars.group_by("symbol").agg(bars=pl.len(), first=session.min(), last=session.max()).sort("symbol")
    return DataSection(
        source=", ".join(bars["source"].unique().sort()),
        data_version=data_version,
        sessions=bars["session"].n_unique(),
        symbols=symbols,
        quarantined=result.reason_counts(),
        splits=result.splits,
        gaps=result.gaps,
    )


def _validated(parts: Wiring, spec: PortfolioSpec, now: dt.datetime) -> ValidationResult:
    """What validation said of the batch that landed last; it is quick and gives the same answer again."""
    landed = parts.lake().read(LANDING)
    return validate(landed, calendar=spec.universe.calendar, now=now)


def _trading(parts: Wiring, spec: PortfolioSpec, parity: Parity | None) -> TradingSection | None:
    reader = parts.ledger()
    rows = [(point.at, float(point.nav_usd)) for point in reader.nav_points(spec.name)]
    if len(rows) < 2:
        return None
    return TradingSection(
        nav=pl.DataFrame(rows, schema={"at": UTC_TS, "nav_usd": pl.Float64}, orient="row"),
        decisions=tuple(reader.decisions(spec.name)),
        orders=tuple(reader.orders(spec.name)),
        fills=tuple(reader.fills(spec.name)),
        parity=parity,
    )
