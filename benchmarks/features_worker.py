"""`python -m benchmarks.features_worker FOLDER CORES`: runs a contestant for each line on stdin, answers one line."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

_SETTLED = 500  # bars after which recursive averages have forgotten how they started


def contestants(folder: Path) -> dict[str, Callable[[], Any]]:
    """By name; what is read before is read once, here."""
    import polars as pl

    from alphamill.adapters.delta.bar_store import DeltaBarStore
    from alphamill.adapters.delta.tables import read_frame, write_frame, write_parts
    from alphamill.features.files import compute_file
    from alphamill.features.table import compute, compute_in_parts, schema
    from benchmarks.peers import features as peers

    bars, small, target = folder / "bars.parquet", folder / "small.parquet", folder / f"out-{os.getpid()}.parquet"
    loaded = pl.read_parquet(bars)
    peers_loaded = peers.read(bars)
    table = compute(loaded, peers.NAMES)
    lake = f"{folder}/lake"

    def floor() -> None:
        pl.read_parquet(bars)
        table.write_parquet(target, compression="lz4")

    def pandas() -> None:
        frame = peers.read(small).to_pandas()
        peers.pandas(frame).to_parquet(target, compression="lz4", index=False)

    def step_floor() -> None:
        DeltaBarStore(f"{lake}/bars").read()
        write_frame(f"{lake}/floor", table[: pl.scan_parquet(small).select(pl.len()).collect().item()])

    def step() -> None:
        rows = DeltaBarStore(f"{lake}/bars").read()
        write_parts(f"{lake}/features", schema(peers.NAMES), compute_in_parts(rows, peers.NAMES))

    return {
        "floor": floor,
        "ours": lambda: compute_file(bars, target, peers.NAMES),
        "ours small": lambda: compute_file(small, target, peers.NAMES),
        "ours compute": lambda: compute(loaded, peers.NAMES),
        "talib": lambda: peers.talib(peers.read(bars)).write_parquet(target, compression="lz4"),
        "talib compute": lambda: peers.talib(peers_loaded),
        "polars": lambda: peers.polars(peers.read(small)).write_parquet(target, compression="lz4"),
        "pandas": pandas,
        "step": step,
        "step floor": step_floor,
        "check": lambda: check(small, target, read_frame),
    }


def check(small: Path, target: Path, read_frame: Callable[..., Any]) -> str:
    """Every contestant's values are ours: TA-Lib's all, the others' once their averages have settled."""
    import numpy as np
    import polars as pl

    from alphamill.features.files import compute_file
    from benchmarks.measure import same
    from benchmarks.peers import features as peers

    compute_file(small, target, peers.NAMES)
    ours = pl.read_parquet(target)
    settled = pl.int_range(pl.len()).over("symbol") >= _SETTLED
    bars = peers.read(small)
    pandas = pl.from_pandas(peers.pandas(bars.to_pandas()))
    others = {"TA-Lib": peers.talib(bars), "polars": peers.polars(bars), "pandas": pandas}
    answers = []
    for name, theirs in others.items():
        a, b = (f if name == "TA-Lib" else f.filter(settled) for f in (ours, theirs))
        values = [f.select(peers.NAMES).cast(pl.Float64).fill_null(np.nan).to_numpy() for f in (a, b)]
        span = "" if name == "TA-Lib" else f" from bar {_SETTLED} on"
        answers.append(same(f"ours and {name}'s features{span}", *values, 1e-8))
    return "\\n".join(answers)


def main(folder: Path, cores: int) -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    calls = contestants(folder)
    for line in sys.stdin:
        try:
            answer = calls[line.strip()]()
        except Exception as error:  # the one who asks reports it
            answer = f"failed: {error!r}"
        sys.stdout.write(f"{answer if isinstance(answer, str) else 'done'}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
