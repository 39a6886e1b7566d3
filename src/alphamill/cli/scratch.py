"""A replay on a home of its own: history up to a session, the live path after it."""

from pathlib import Path

import polars as pl

from alphamill import environment
from alphamill.adapters.clock.system import SYSTEM_CLOCK
from alphamill.bootstrap import bar_store, feature_store, ledger, model_registry, model_server, portfolios
from alphamill.cli.progress import StageProgress
from alphamill.cli.replaying import replay_bars, split_sessions, start_replay
from alphamill.domain.bars import RAW_BAR_SCHEMA
from alphamill.domain.ledger import PortfolioRecord
from alphamill.runtimes.embedded import Runtime
from alphamill.secret_url import SecretUrl
from alphamill.settings import Settings


def replay_in_scratch(settings: Settings, sessions: int, model: str) -> tuple[PortfolioRecord, Path]:
    """Replay the newest `sessions` of the bars table; the record at the end, and the home that holds it."""
    from alphamill.adapters.files.progress import report_progress

    stored = bar_store(settings).read()
    cut, ahead = split_sessions(stored, sessions)
    home = settings.home.resolve() / "replays" / f"{SYSTEM_CLOCK.now():%Y%m%dT%H%M%S}"
    alone = _alone(settings, home)
    spec = portfolios(alone)[0]
    with Runtime(alone) as runtime:
        scratch = runtime.settings
        bar_store(scratch).append(stored.filter(pl.col("session") <= cut))
        _prime_features(scratch, stored.filter(pl.col("session") <= cut))
        model_server(scratch).deploy(model_registry(scratch).get(scratch.model_name, model), scratch.model_name)
        url = start_replay(runtime)
        progress = home / "progress.jsonl"
        books = ledger(scratch)
        told = environment.variables({environment.PROGRESS_FILE: str(progress)})
        with told, StageProgress(progress, stages=("trade",)):
            report_progress("trade", 0, sessions)
            replay_bars(
                url,
                ahead.select(RAW_BAR_SCHEMA.names()),
                spec,
                books,
                lambda done, total: report_progress("trade", done, total, f"session {done} of {total}"),
            )
        return books.record(spec.name), home


def _alone(settings: Settings, home: Path) -> Settings:
    """Lake, ledger and broker below `home`, whatever is configured; the registry stays the real one.

    Gateway and trader, processes of their own, are told the same.
    """
    registry = SecretUrl(settings.tracking_uri)
    own = {"home": home, "lake_uri": None, "ledger_dsn": None, "mlflow_tracking_uri": registry}
    return settings.model_copy(update=own)


def _prime_features(settings: Settings, bars: pl.DataFrame) -> None:
    from alphamill.features import compute

    rows = compute(bars)
    store = feature_store(settings)
    store.write_offline(rows)
    store.materialize(until=rows["ts"].max())  # type: ignore[arg-type]
