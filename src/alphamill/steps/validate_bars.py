"""Step 2: what landed is accepted, corrected by a named rule, or quarantined with a reason."""

from pathlib import Path

from alphamill.monitoring.textfile import add_quarantined
from alphamill.ports import Clock
from alphamill.settings import Settings
from alphamill.steps.ingest_bars import LANDING
from alphamill.steps.step import begin, finish
from alphamill.validation import require_fit, validate
from alphamill.validation.report import render


def validate_bars(
    landing_version: int, report_path: str, *, settings: Settings | None = None, clock: Clock | None = None
) -> int:
    """Check one version of the landing table and merge the accepted bars into the bars table.

    The report and the quarantine are written before a batch unfit to trade on fails the step.

    Returns
    -------
    Version of the bars table.

    Raises
    ------
    DataUnfit
        Too much was quarantined or is missing.
    """
    parts = begin("validate", "checking bars", settings)
    landed = parts.lake().read(LANDING, landing_version)
    calendar = parts.portfolios()[0].universe.calendar
    result = validate(landed, calendar=calendar, now=(clock or parts.clock()).now())
    Path(report_path).parent.mkdir(parents=True, exist_ok=True)
    Path(report_path).write_text(render(result))
    if result.quarantined.height:
        parts.lake().write("quarantine", result.quarantined)
        add_quarantined(parts.settings.home.resolve() / "metrics" / "validate_bars.prom", result.reason_counts())
    require_fit(result)
    version = parts.bars().append(result.accepted)
    finish(
        parts, "validate", f"{result.accepted.height:,} accepted, {result.quarantined.height} quarantined, v{version}"
    )
    return version
