"""Times contestants against each other: in turns, in one process, after a warm-up."""

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

Call = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Timing:
    """Samples of one contestant, in seconds: elapsed, and CPU of this process (all threads, not its children)."""

    wall: tuple[float, ...]
    cpu: tuple[float, ...] = ()

    @property
    def median(self) -> float:
        return float(np.median(self.wall))

    @property
    def p99(self) -> float:
        return float(np.percentile(self.wall, 99))

    @property
    def cpu_median(self) -> float:
        return float(np.median(self.cpu))


def interleave(
    contestants: Mapping[str, Call],
    *,
    rounds: int,
    warm_up: int = 1,
    at_most_secs: float = float("inf"),
    before: Mapping[str, Call] | None = None,
) -> dict[str, Timing]:
    """Let every contestant run once per round; who starts moves on by one each round.

    What slows the machine for a while then slows all of them, and a ratio of medians stays fair.

    Parameters
    ----------
    rounds
        Samples per contestant.
    warm_up
        Rounds before those that count.
    at_most_secs
        No new round starts after so long; at least three count.
    before
        Called untimed before each sample of the contestant of that name.
    """
    names = list(contestants)
    untimed = before or {}
    wall: dict[str, list[float]] = {name: [] for name in names}
    cpu: dict[str, list[float]] = {name: [] for name in names}
    for number in range(-warm_up, rounds):
        if number == 0:
            gc.collect()
            start = time.perf_counter()
        if number >= 3 and time.perf_counter() - start > at_most_secs:
            break
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            if name in untimed:
                untimed[name]()
            sample = _sample(contestants[name])
            if number >= 0:
                wall[name].append(sample[0])
                cpu[name].append(sample[1])
    return {name: Timing(tuple(wall[name]), tuple(cpu[name])) for name in names}


def _sample(call: Call) -> tuple[float, float]:
    cpu, wall = time.process_time(), time.perf_counter()
    call()
    return time.perf_counter() - wall, time.process_time() - cpu


def same(what: str, ours: Sequence[float] | np.ndarray, peer: Sequence[float] | np.ndarray, tolerance: float) -> str:
    """A sentence that both give the same numbers; NaN equals NaN.

    Raises
    ------
    AssertionError
        They do not: such contestants cannot be compared.
    """
    a, b = np.asarray(ours, dtype=float), np.asarray(peer, dtype=float)
    if a.shape != b.shape:
        raise AssertionError(f"{what}: shape {a.shape} against {b.shape}")
    if not np.array_equal(np.isnan(a), np.isnan(b)):
        raise AssertionError(f"{what}: values are missing in different places")
    worst = float(np.nanmax(np.abs(a - b) / np.maximum(1.0, np.abs(b)), initial=0.0))
    if worst > tolerance:
        raise AssertionError(f"{what}: {worst:.2g} apart, allowed is {tolerance:.2g}")
    return f"{what}: {worst:.1g} apart at most over {a.size:,} values."
