"""A replay on a home of its own: history up to a session, the live path after it."""

from pathlib import Path

import polars as pl

from alphamill import environment
from alphamill.bootstrap import supervisor, wiring
from alphamill.cli.progress import StageProgress
from alphamill.cli.replaying import replay_bars, split_sessions, start_replay
from alphamill.domain.bars import RAW_BAR_SCHEMA
from alphamill.domain.ledger import PortfolioRecord
from alphamill.ports import Wiring
from alphamill.secret_url import SecretUrl
from alphamill.settings import Settings


def replay_in_scratch(settings: Settings, sessions: int, model: str) -> tuple[PortfolioRecord, Path]:
    """Replay the newest `sessions` of the bars table; the record at the end, and the home that holds it."""
    real = wiring(settings)
    stored = real.bars().read()
    cut, ahead = split_sessions(stored, sessions)
    home = settings.home.resolve() / "replays" / f"{real.clock().now():%Y%m%dT%H%M%S}"
    alone = _alone(settings, home)
    with supervisor(alone) as runtime:
        scratch = wiring(runtime.settings)
        spec, report, name = scratch.portfolios()[0], scratch.progress(), settings.model_name
        scratch.bars().append(stored.filter(pl.col("session") <= cut))
        _prime_features(scratch, stored.filter(pl.col("session") <= cut))
        scratch.model_server().deploy(scratch.registry().get(name, model), name)
        url = start_replay(runtime)
        progress = home / "progress.jsonl"
        books = scratch.ledger()
        told = environment.variables({environment.PROGRESS_FILE: str(progress)})
        with told, StageProgress(progress, stages=("trade",)):
            report("trade", 0, sessions)
            replay_bars(
                url,
                ahead.select(RAW_BAR_SCHEMA.names()),
                spec,
                books,
                lambda done, total: report("trade", done, total, f"session {done} of {total}"),
            )
        return books.record(spec.name), home


def _alone(settings: Settings, home: Path) -> Settings:
    """Lake, ledger and broker below `home`, whatever is configured; the registry stays the real one.

    Gateway and trader, processes of their own, are told the same.
    """
    registry = SecretUrl(settings.tracking_uri)
    own = {"home": home, "lake_uri": None, "ledger_dsn": None, "mlflow_tracking_uri": registry}
    return settings.model_copy(update=own)


def _prime_features(parts: Wiring, bars: pl.DataFrame) -> None:
    from alphamill.features import compute

    rows = compute(bars)
    store = parts.offline_features()
    store.write(rows)
    store.materialize(until=rows["ts"].max())  # type: ignore[arg-type]
