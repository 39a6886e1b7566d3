"""Bars that the validate step keeps apart are counted, over all runs, in a file that a collector can read."""

import contextlib
import datetime as dt
import shutil
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from alphamill.bootstrap import wiring
from alphamill.errors import DataUnfit
from alphamill.monitoring.textfile import add_quarantined
from alphamill.settings import Settings
from alphamill.steps.ingest_bars import ingest_bars
from alphamill.steps.validate_bars import validate_bars
from alphamill.testing.clock import ManualClock

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"


def counts(path: Path) -> dict[str, float]:
    families = text_string_to_metric_families(path.read_text())
    return {s.labels["reason"]: s.value for f in families for s in f.samples if s.name.endswith("_total")}


def test_counts_of_several_runs_add_up(tmp_path: Path) -> None:
    path = tmp_path / "metrics" / "validate_bars.prom"
    add_quarantined(path, {"FUTURE_BAR": 2})
    add_quarantined(path, {"FUTURE_BAR": 1, "BAD_SYMBOL": 4})
    assert counts(path) == {"FUTURE_BAR": 3, "BAD_SYMBOL": 4}


def test_the_validate_step_counts_what_it_keeps_apart_by_the_clock_it_is_given(tmp_path: Path) -> None:
    feed = tmp_path / "feed"
    shutil.copytree(EXAMPLES / "own_data", feed)
    settings = Settings(home=tmp_path / "home", portfolios=(EXAMPLES / "own_data.yaml",))
    clock = ManualClock(dt.datetime(2020, 1, 1, tzinfo=dt.UTC))
    landing = ingest_bars(str(feed), settings=settings, clock=clock)
    landed = wiring(settings).lake().read("landing")
    assert landed["ingested_at"].unique().to_list() == [clock.now()]
    clock.set(landed["ts"].sort()[-10])
    late = int((landed["ts"] > clock.now()).sum())
    assert late > 0
    with contextlib.suppress(DataUnfit):  # counted before the batch is judged as a whole
        validate_bars(landing, str(tmp_path / "report.html"), settings=settings, clock=clock)
    shown = counts(settings.home / "metrics" / "validate_bars.prom")
    assert shown["FUTURE_BAR"] == late
    assert pytest.approx(sum(shown.values())) == wiring(settings).lake().read("quarantine").height
