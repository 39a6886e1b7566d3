"""What every step begins with."""

from alphamill.adapters.progress import report_progress
from alphamill.embedded.watch import exit_with_runtime
from alphamill.errors import DataUnfit
from alphamill.settings import Settings, load_settings


def begin(stage: str, message: str) -> Settings:
    """Settings of the environment; from here on the step ends with the runtime that started it."""
    exit_with_runtime()
    report_progress(stage, 0, 1, message)
    return load_settings()


def finish(stage: str, message: str) -> None:
    report_progress(stage, 1, 1, message)


def data_version(bars_version: int) -> str:
    """How a version of the bars table is written in cards, decisions and reports."""
    return f"bars@{bars_version}"


def bars_version_of(data_version: str) -> int:
    """The inverse of `data_version`."""
    table, _, number = data_version.partition("@")
    if table != "bars" or not number.isdecimal():
        raise DataUnfit(f"{data_version!r} names no version of the bars table.", field="data_version")
    return int(number)
