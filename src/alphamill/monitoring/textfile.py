"""Counts of a step, which ends before anybody could scrape it: a file in the text format, for a textfile collector."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, write_to_textfile
from prometheus_client.parser import text_string_to_metric_families

from alphamill.monitoring.metrics import Metrics

_SHOWN: Final = "alphamill_bars_quarantined_total"


def add_quarantined(path: Path, reasons: Mapping[str, int]) -> None:
    """Add to the quarantined bars counted in `path`, by reason; the file is replaced in one step.

    One writer at a time: of two at the same moment, one count is lost.
    """
    metrics = Metrics(CollectorRegistry())
    metrics.on_quarantined(_counted(path))
    metrics.on_quarantined(reasons)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_to_textfile(str(path), metrics.registry.restricted_registry([_SHOWN]))


def _counted(path: Path) -> dict[str, int]:
    if not path.is_file():
        return {}
    families = text_string_to_metric_families(path.read_text())
    samples = [sample for family in families for sample in family.samples if sample.name == _SHOWN]
    return {sample.labels["reason"]: int(sample.value) for sample in samples}
