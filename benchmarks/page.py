"""docs/benchmarks.md from the results of the last `make bench` and the prose beside each benchmark."""

import importlib
import inspect
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.command import Benchmark, cells
from benchmarks.section import Row, Section

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "benchmarks.md"

#: In the order of the page. Each is a module of this package, see `command.Benchmark`.
BENCHMARKS: tuple[str, ...] = ("features", "online", "forecast", "weights", "latency", "backtest", "demo", "tune")

_HEADER = ("what", "against", "ours", "peer", "ratio", "aim", "")
_INTRODUCTION = """# Benchmarks

Written by `make bench`; do not edit. The figures of a section are those of one run on one machine, as measured; a
section may have been measured again alone. Each ratio is ours / peer: both ran in turns in the same run, and medians
are compared unless the row says otherwise. Below 1 is faster than the peer. A missed aim stays here with its figure
and its reason.
"""


def page(results: Path = RESULTS) -> str:
    """The whole document."""
    found = [json.loads((results / f"{name}.json").read_text()) for name in BENCHMARKS]
    sections = [Section.from_dict(result) for result in found]
    rows = [
        replace(row, what=f"{_benchmark(result['name']).TITLE}: {row.what}")
        for result, section in zip(found, sections, strict=True)
        for row in section.rows
        if row.aim
    ]
    met = sum(bool(row.met) for row in rows)
    parts = [_INTRODUCTION, f"**{met} of {len(rows)} aims are met.**\n", _rows(rows), _machine(found)]
    parts += [_section(result["name"], section) for result, section in zip(found, sections, strict=True)]
    return "\n".join(parts)


def _section(name: str, section: Section) -> str:
    benchmark = _benchmark(name)
    parts = [
        f"## {benchmark.TITLE}\n",
        f"{inspect.getdoc(benchmark)}\n\n`python -m benchmarks.{name}`\n",
        _rows(section.rows),
    ]
    parts += [f"{table.title}\n\n{_table(table.header, table.lines)}" for table in section.tables]
    if section.checks:
        parts.append("Checked in the same run:\n\n" + "".join(f"- {check}\n" for check in section.checks))
    return "\n".join([*parts, f"{benchmark.PROSE.strip()}\n"])


def _benchmark(name: str) -> Benchmark:
    benchmark: Benchmark = importlib.import_module(f"benchmarks.{name}")
    return benchmark


def _machine(results: list[dict[str, Any]]) -> str:
    lines = [("measured on", results[0]["measured_on"]), *results[0]["machine"].items()] if results else []
    lines.append(("took", f"{sum(result['took_secs'] for result in results):.0f} s"))
    return _table(("", "machine"), lines)


def _rows(rows: Sequence[Row]) -> str:
    return _table(_HEADER, [cells(row) for row in rows])


def _table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    escaped = [[cell.replace("|", "\\|").replace("<", "&lt;") for cell in line] for line in lines]
    every = [list(header), ["---"] * len(header), *escaped]
    return "".join(f"| {' | '.join(line)} |\n" for line in every)
