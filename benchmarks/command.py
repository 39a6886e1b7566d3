"""The command line of one benchmark: `python -m benchmarks.NAME [--quick] [--json FILE]`."""

import argparse
import datetime as dt
import importlib
import json
import time
from pathlib import Path
from typing import Protocol

from alphamill.cli.parent import exit_with_parent
from benchmarks import machine
from benchmarks.section import Row, Section, figure


class Benchmark(Protocol):
    """What a module of this package offers.

    Its docstring says what is measured and how. `PROSE` is hand-written Markdown for the page: where the time goes,
    what the next lever is, and why an aim is missed. `measure(True)` does the same on little data, in seconds.
    Heavy libraries are imported inside `measure`: the page is written without them.
    """

    TITLE: str
    PROSE: str

    def measure(self, quick: bool) -> Section: ...


def main(name: str, arguments: list[str] | None = None) -> None:
    """Measure, show, and write the result if a file is named."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}")
    parser.add_argument("--quick", action="store_true", help="little data, few rounds: does it run?")
    parser.add_argument("--json", type=Path, help="also write the result here")
    options = parser.parse_args(arguments)
    exit_with_parent()
    benchmark: Benchmark = importlib.import_module(f"benchmarks.{name}")
    facts, start = machine.facts(), time.perf_counter()
    section = benchmark.measure(options.quick)
    if options.json:
        result = {
            "name": name,
            "quick": options.quick,
            "measured_on": f"{dt.datetime.now(dt.UTC):%Y-%m-%d}",
            "took_secs": round(time.perf_counter() - start, 1),
            "machine": facts,
            **section.to_dict(),
        }
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(result, indent=1) + "\n")
    show(benchmark.TITLE, section)


def show(title: str, section: Section) -> None:
    """The rows, tables and checks on the terminal."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    table = Table("what", "against", "ours", "peer", "ratio", "aim", "", title=title, title_justify="left")
    for row in section.rows:
        table.add_row(*cells(row))
    console.print(table)
    for behind in section.tables:
        lines = Table(*behind.header, title=behind.title, title_justify="left")
        for line in behind.lines:
            lines.add_row(*line)
        console.print(lines)
    for check in section.checks:
        console.print(f"checked: {check}", highlight=False)


def cells(row: Row) -> tuple[str, ...]:
    """A row as text, for the terminal and for the page."""
    return (
        row.what,
        row.against or "-",
        f"{figure(row.ours)} {row.unit}",
        "-" if row.peer is None else f"{figure(row.peer)} {row.unit}",
        "-" if row.ratio is None else f"{figure(row.ratio)}x",
        "-" if row.aim is None else f"{row.aim}{'' if row.aim.of == 'ratio' else f' {row.unit}'}",
        {None: "", True: "met", False: "missed"}[row.met],
    )
