"""Fourteen features of 800 names x 3,300 days, from one Parquet file to another.

Two worker processes, one bound to one core and one to two, take turns. "Compute" is from a frame in memory to a frame
in memory. "Parquet to Parquet" also reads the bars and writes the table, LZ4 in both; its floor reads and writes the
same bytes and computes nothing. TA-Lib is called per symbol on numpy slices, polars with `.over`, pandas with
`groupby`. Before the clock starts all of them must give the same values.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.command import main
from benchmarks.measure import interleave
from benchmarks.section import Aim, Section, Table, figure, row

TITLE = "Features"

PROSE = """
**Where the time goes.** On one core, in processor time: reading a twentieth, computing and encoding the table about
half each. Of computing, three tenths are the three moving deviations: ours are merged from halves and keep their
digits after a spike (`docs/adr/0002-own-moving-moments.md`), and cost two to three times TA-Lib's running sums. Most
of the rest of the difference is checking, which TA-Lib leaves to its caller: bars positive, finite and in order,
features finite after their warm-up. TA-Lib holds the interpreter lock (two threads take as long as one after the
other), so a second core cannot help to compute; it encodes one part of the table while the next part is computed.
Before this benchmark the same features took 5.6 s of processor time to compute: symbols as Python objects, and one
polars query per symbol and feature.

**Where an aim is missed.** On two cores the best possible time is that of the longer half, computing or encoding,
plus the read. The floor alone is more than half of TA-Lib's whole time on one core, so 0.6x of that leaves room only
if all computing is hidden behind the encoding. On one core nothing can be hidden, and 1.3x of the floor would mean to
compute in less than a third of the time that reading and writing take.

**Next lever.** A worker process per core, each with a share of the symbols and a file of its own. A process must
import polars and TA-Lib first, which takes as long as computing some hundred names, so it pays for larger tables
only.
"""


def measure(quick: bool) -> Section:
    names, small, sessions = (20, 10, 600) if quick else (800, 200, 3_300)
    with TemporaryDirectory(prefix="alphamill-bench-") as folder, ExitStack() as stack:
        _write_bars(Path(folder), names, small, sessions)
        one, two = (stack.enter_context(_worker(Path(folder), cores)) for cores in (1, 2))
        checks = two("check").split("\n")
        work = ("floor", "ours", "talib", "ours compute", "talib compute")
        contestants = {f"{call} {cores}": partial(ask, call) for call in work for ask, cores in ((one, 1), (two, 2))}
        contestants |= {f"{call} small": partial(two, call) for call in ("ours small", "polars", "pandas")}
        t = interleave(contestants, rounds=3 if quick else 7, at_most_secs=18)
        steps = {call: partial(two, call) for call in ("step", "step floor")}
        s = interleave(steps, rounds=2, at_most_secs=5)
    total, compute = "Parquet to Parquet", "compute"
    rows = [
        row(f"{compute}, 1 core", t["ours compute 1"], against="TA-Lib per symbol, 1 core", peer=t["talib compute 1"]),
        row(f"{total}, 1 core", t["ours 1"], against="TA-Lib per symbol, 1 core", peer=t["talib 1"], aim=Aim(1.0)),
        row(f"{total}, 2 cores", t["ours 2"], against="TA-Lib per symbol, 1 core", peer=t["talib 1"], aim=Aim(0.6)),
        row(f"{total}, 2 cores", t["ours 2"], against="TA-Lib per symbol, 2 cores", peer=t["talib 2"]),
        row(f"{total}, 1 core", t["ours 1"], against="the floor, 1 core", peer=t["floor 1"], aim=Aim(1.3)),
        row(f"{total}, 2 cores", t["ours 2"], against="the floor, 2 cores", peer=t["floor 2"], aim=Aim(1.3)),
        *(
            row(f"{total}, {small} names, 2 cores", t["ours small small"], against=peer, peer=t[f"{key} small"])
            for key, peer in (("polars", "polars `.over`, 2 cores"), ("pandas", "pandas `groupby`"))
        ),
        row("step `features`, Delta to Delta", s["step"], against="read and write the same", peer=s["step floor"]),
    ]
    lines = [(f"{cores}", *(f"{figure(t[f'{call} {cores}'].median * 1e3)} ms" for call in work)) for cores in (1, 2)]
    return Section(rows, [Table("Medians by cores.", ("cores", *work), lines)], checks)


def _write_bars(folder: Path, names: int, small: int, sessions: int) -> None:
    from alphamill.adapters.delta.bar_store import DeltaBarStore
    from benchmarks.market import bars

    every = bars(names, sessions)
    every.write_parquet(folder / "bars.parquet", compression="lz4")
    few = every[: small * sessions]
    few.write_parquet(folder / "small.parquet", compression="lz4")
    DeltaBarStore(str(folder / "lake" / "bars")).append(few)


@contextmanager
def _worker(folder: Path, cores: int) -> Iterator[Callable[[str], str]]:
    """A process on so many cores; ask it for a contestant by name, get what that one has to say."""
    # Polars sizes its thread pool when it is imported.
    env = {**os.environ, "POLARS_MAX_THREADS": str(cores), "OMP_NUM_THREADS": str(cores)}
    command = [sys.executable, "-m", "benchmarks.features_worker", str(folder), str(cores)]
    with subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        requests, answers = child.stdin, child.stdout

        def ask(call: str) -> str:
            requests.write(f"{call}\n")
            requests.flush()
            answer = answers.readline().rstrip("\n").replace("\\n", "\n")
            if answer.startswith("failed") or not answer:
                raise RuntimeError(f"{call}: {answer}")
            return answer

        yield ask
        requests.close()


if __name__ == "__main__":
    main("features")
