"""Put on PYTHONPATH by benchmarks.demo: every process of the demo notes how long its heavy imports took.

One JSON line per process start and per import, appended to the file named by ALPHAMILL_BENCH_IMPORTS. The packages
themselves are imported as always.
"""

import importlib.abc
import importlib.machinery
import json
import os
import sys
import time

HEAVY = {
    *("deltalake", "fastapi", "feast", "kfp", "kserve", "kubernetes", "matplotlib", "mlflow", "onnx", "onnxruntime"),
    *("onnxscript", "pandas", "polars", "pyarrow", "ray", "scipy", "sklearn", "sqlalchemy", "talib", "torch"),
}
FILE = os.environ.get("ALPHAMILL_BENCH_IMPORTS", "")


def note(**fields: object) -> None:
    line = json.dumps({"pid": os.getpid(), "at": time.time(), **fields}) + "\n"
    descriptor = os.open(FILE, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.write(descriptor, line.encode())
    os.close(descriptor)


class Timed(importlib.abc.MetaPathFinder):
    """Finds the heavy packages as Python would, and times the run of their top module."""

    def __init__(self) -> None:
        self.open: list[str] = []

    def find_spec(self, name, path=None, target=None):  # type: ignore[no-untyped-def]
        if name not in HEAVY:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is None or spec.loader is None:
            return None
        run = spec.loader.exec_module

        def exec_module(module):  # type: ignore[no-untyped-def]
            start, parents = time.perf_counter(), list(self.open)
            self.open.append(name)
            try:
                run(module)
            finally:
                self.open.pop()
                note(imported=name, secs=time.perf_counter() - start, within=parents)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


if FILE:
    note(argv=sys.orig_argv[1:])
    sys.meta_path.insert(0, Timed())
