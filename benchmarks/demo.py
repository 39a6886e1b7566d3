"""`alphamill demo` as a user runs it: stage by stage, and what each of its processes waits for.

One run on an empty home. A stage begins with its first line in the progress file; "before" is the time since the
stage before it ended: processes that start, and imports. Imports are timed by a hook in every process, top packages
only; what a package imports itself counts for the package.
"""

import json
import os
import shlex
import subprocess
import sys
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from alphamill.cli.parent import EXIT_WITH_PARENT
from benchmarks.command import main
from benchmarks.section import Aim, Row, Section, Table

TITLE = "The demo"

PROSE = """
**Where the time goes.** Most of it is work: fits (`train`, `evaluate`) and sixty sessions posted bar by bar over HTTP
(`trade`). Every step is a process of its own, as it is a pod on a cluster, so the time before a stage is Python and
imports: Feast for `materialize`, MLflow for `register` and `deploy`, Ray for the first trial, KServe before a
forecaster is ready. The trader imports no Feast: the names that it declares are noted beside its registry, and rows are
read and written in its layout. What Feast, MLflow or KServe import themselves (torch, clouds, pandas) cannot be left
out from here.

**Next lever.** Feast's own imports, which materialize waits for: it imports torch and the clients of several clouds
whether they are used or not. And MLflow in `register` and `deploy`: both could be one step, at the price of a coarser
pipeline.
"""

#: Heavy packages that each process has a use for; anything else it imports is waited for in vain.
NEEDS: Final = {
    "demo": {"polars", "pyarrow", "deltalake", "sqlalchemy", "mlflow", "onnxruntime", "talib", "matplotlib", "scipy"},
    "pipeline": {"kfp"},
    "ingest_bars": {"polars", "pyarrow", "deltalake"},
    "validate_bars": {"polars", "pyarrow", "deltalake"},
    "build_features": {"polars", "pyarrow", "deltalake", "talib"},
    "materialize_features": {"polars", "pyarrow", "deltalake", "feast", "pandas", "talib"},
    "tune_model": {"polars", "pyarrow", "deltalake", "ray", "torch", "mlflow", "sqlalchemy"},
    "train_model": {
        *("polars", "pyarrow", "deltalake", "torch", "mlflow", "sqlalchemy", "onnx", "onnxscript", "onnxruntime"),
    },
    "backtest_model": {"polars", "pyarrow", "deltalake", "torch", "mlflow", "onnxruntime", "sqlalchemy", "scipy"},
    "register_model": {"mlflow", "sqlalchemy"},
    "deploy_model": {"mlflow", "sqlalchemy"},
    "forecaster": {"kserve", "onnxruntime"},
    "gateway": {"polars", "pyarrow", "deltalake", "fastapi", "sqlalchemy", "mlflow"},
    "trader": {"polars", "pyarrow", "deltalake", "fastapi", "sqlalchemy", "talib"},
    "spawned by evaluate": {"polars", "scipy", "talib"},
    "ray trial": {"ray", "torch", "polars", "pyarrow"},
    "ray system": {"ray"},
}


def measure(quick: bool) -> Section:
    arguments = ["ingest"] if quick else ["demo"]
    with TemporaryDirectory(prefix="alphamill-bench-") as folder:
        home, notes = Path(folder), Path(folder) / "imports.jsonl"
        start = time.perf_counter()
        spans = _run(home, notes, arguments)
        total = time.perf_counter() - start
        processes = _processes(notes)
    stages, before = [], 0.0
    for stage, (begun, ended) in spans.items():
        stages.append((stage, f"{max(0.0, begun - before):.1f} s", f"{ended - begun:.1f} s"))
        before = ended
    waits = sum(process.secs for process in processes)
    vain = sum(process.vain_secs for process in processes)
    rows = [
        Row("all stages", total, "s", aim=Aim(180.0, of="ours")),
        Row("imports of all processes, the part without a use", vain, "s", "all of their imports", waits),
    ]
    lines = [
        (p.name, f"{p.secs:.1f} s", ", ".join(p.used) or "-", ", ".join(p.unused) or "-")
        for p in sorted(processes, key=lambda p: -p.secs)
        if p.secs > 0.05
    ]
    return Section(
        rows,
        [
            Table("Stages, in order.", ("stage", "before it", "itself"), stages),
            Table("Processes: heavy imports.", ("process", "seconds", "with a use", "without"), lines),
        ],
    )


@dataclass(frozen=True, slots=True)
class _Process:
    """What one process imported: seconds in all, and packages with and without a use there."""

    name: str
    secs: float
    vain_secs: float
    used: tuple[str, ...]
    unused: tuple[str, ...]


def _run(home: Path, notes: Path, arguments: list[str]) -> dict[str, tuple[float, float]]:
    """Begin and end of each stage, in seconds since the start."""
    from alphamill.adapters.files.progress import ProgressTail

    probe = str(Path(__file__).with_name("probe"))
    env = {**os.environ, "ALPHAMILL_HOME": str(home), "ALPHAMILL_BENCH_IMPORTS": str(notes), "PYTHONPATH": probe}
    env[EXIT_WITH_PARENT] = str(os.getpid())
    command = [sys.executable, "-m", "alphamill.cli", *arguments]
    tail = ProgressTail(home / ("demo" if arguments == ["demo"] else "") / "progress.jsonl")
    spans: dict[str, tuple[float, float]] = {}
    start = time.perf_counter()
    with (home / "demo.log").open("wb") as log, subprocess.Popen(command, env=env, stdout=log, stderr=log) as child:
        while child.poll() is None:
            time.sleep(0.02)
            for line in tail.read():
                now = time.perf_counter() - start
                spans[line.stage] = (spans.get(line.stage, (now, now))[0], now)
    if child.returncode:
        raise RuntimeError(f"the demo ended with {child.returncode}:\n{(home / 'demo.log').read_text()[-3000:]}")
    return spans


def _processes(notes: Path) -> list[_Process]:
    commands: dict[int, list[str]] = {}
    imports: dict[int, dict[str, tuple[float, bool]]] = defaultdict(dict)
    for text in notes.read_text().splitlines():
        line: dict[str, Any] = json.loads(text)
        if "argv" in line:
            commands.setdefault(line["pid"], line["argv"])
        else:
            imports[line["pid"]][line["imported"]] = (line["secs"], not line["within"])
    found = []
    for pid, argv in commands.items():
        name = _name(argv)
        needs = NEEDS.get(name, set()) | ({"kfp"} if "--function_to_execute" in argv else set())
        own = imports[pid]
        # A package that another one imports is that one's wait; kfp is the executor's own.
        secs = sum(secs for secs, outermost in own.values() if outermost)
        unused = {package: secs for package, (secs, outermost) in own.items() if outermost and package not in needs}
        found.append(
            _Process(name, secs, sum(unused.values()), tuple(sorted(needs & own.keys())), tuple(sorted(unused)))
        )
    return found


def _name(argv: list[str]) -> str:
    text = shlex.join(argv)
    if "--function_to_execute" in argv:
        return argv[argv.index("--function_to_execute") + 1]
    if "default_worker" in text or "setup_worker" in text:
        return "ray trial"
    known = {"spawn_main": "spawned by evaluate", "/ray/": "ray system", "adapters.kfp": "pipeline", "guard": "guard"}
    known |= {"serving.forecaster": "forecaster", "serving.gateway": "gateway", "serving.trader": "trader"}
    known["alphamill.cli"] = "demo"
    return next((name for word, name in known.items() if word in text), text[:60])


if __name__ == "__main__":
    main("demo")
