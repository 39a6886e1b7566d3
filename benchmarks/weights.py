"""Target weights of 50, 200 and 500 names: forecasts, signals, returns and what is held in; weights out.

"Ours" is `target_weights` from end to end: the Ledoit-Wolf correlation of 126 days, the quadratic program, rounding to
the limits. The bare solvers get the program prepared, without the correlation's time. "Same program" is ours, with
absolute values cut into segments, for all names at once; "textbook" has helper variables for them. Long only holds up
to 5 % of a name and pays 10 bp for turnover; long and short has twice the NAV in absolute weights. Before the clock
starts all of them must give the same weights.
"""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from benchmarks.command import main
from benchmarks.measure import Timing, interleave, same
from benchmarks.peers import solvers
from benchmarks.section import Aim, Row, Section, Table, figure, row

TITLE = "Target weights"

PROSE = """
The program is small because most weights are zero: it starts with 64 segments and those of held names, and a name joins
when its reduced cost says so. The table shows how many segments the last program had, of all there are. What is left is
the correlation, which the bare solvers are given, and some sixty calls of numpy. These take most of a millisecond
whatever the number of names: at 50 names, and at 200 long only, the bare solver is done before, and the aim is missed.
From 500 names on the aim is met. When nearly all of hundreds of names are held, the program is as large as the bare
one, and the ratio tends to one.

The textbook program is what most would hand to a solver. Long and short it would need two helper variables per name.

Next lever: keep the correlation's sums from bar to bar. It would save a part of the first column and cost a second way
to compute them. Below 200 names there is nothing to win: an order takes longer to write than its weights.
"""

RISK_AVERSION, COST, TOLERANCE = 5.0, 0.001, 2e-6


def measure(quick: bool) -> Section:
    rows: list[Row] = []
    checks: list[str] = []
    lines = []
    for names in (20, 50) if quick else (50, 200, 500):
        for long_only in (True, False):
            problem = Problem.of(names, long_only)
            kind = "long only" if long_only else "long and short"
            contestants = _contestants(problem)
            checks += _check(problem, contestants, f"{names} names, {kind}")
            t = interleave(contestants | _parts(problem), rounds=3 if quick else 300, at_most_secs=1.0)
            rows += _rows(f"{names} names, {kind}", t)
            lines.append((f"{names}, {kind}", *_spent(t), *_sizes(problem)))
    rows.sort(key=lambda line: line.against)
    header = ("names", "correlation", "program", "rest", "segments in the program", "of")
    return Section(rows, [Table("Where the time goes, medians in ms.", header, lines)], checks)


@dataclass(frozen=True)
class Problem:
    """One decision: what `target_weights` takes, and the same as matrices."""

    arguments: dict[str, Any]
    mean: np.ndarray
    factors: Any
    current: np.ndarray
    limits: Any

    @classmethod
    def of(cls, names: int, long_only: bool) -> "Problem":
        """Returns with five common factors; what is held is yesterday's solution, drifted."""
        from alphamill.domain.forecasts import Forecast
        from alphamill.domain.portfolios import Sizing
        from alphamill.portfolio import signals, target_weights
        from alphamill.portfolio.bounds import bounds
        from alphamill.portfolio.correlation import shrunk_correlation

        rng = np.random.default_rng(names)
        symbols = [f"N{i:04d}" for i in range(names)]
        loadings = np.vstack([np.ones(names), rng.normal(0.0, 0.4, (4, names))])
        returns = 0.012 * (0.5 * rng.standard_normal((126, 5)) @ loadings + rng.standard_normal((126, names)))
        std, mean = rng.uniform(0.02, 0.06, names), rng.normal(0.0, 0.006, names)
        sizing = Sizing(
            max_weight=0.05,
            gross_limit=1.0 if long_only else 2.0,
            long_only=long_only,
            risk_aversion=RISK_AVERSION,
            turnover_penalty_bps=COST * 1e4,
        )

        def asked(means: np.ndarray, current: dict[str, float]) -> dict[str, Any]:
            now = dt.datetime(2020, 1, 2, 21, tzinfo=dt.UTC)
            told = zip(symbols, means.tolist(), std.tolist(), strict=True)
            forecasts = [Forecast(symbol, now, mean, std, "1") for symbol, mean, std in told]
            given = {"forecasts": forecasts, "signals": signals(forecasts, sizing.signal_threshold_bps)}
            return {"sizing": sizing, **given, "returns": returns, "current": current, "horizon_bars": 5}

        held = target_weights(**asked(mean, {}))
        drifted = {symbol: weight * rng.uniform(0.97, 1.03) for symbol, weight in held.items() if weight}
        mean = mean + rng.normal(0.0, 0.003, names)
        arguments = asked(mean, drifted)
        current = np.array([drifted.get(symbol, 0.0) for symbol in symbols])
        told = [arguments["signals"][symbol] for symbol in symbols]
        limits = bounds(sizing, told, current, sizing.gross_limit)
        return cls(arguments, mean, shrunk_correlation(returns, symbols).scaled(std), current, limits)


def _contestants(problem: Problem) -> dict[str, Callable[[], np.ndarray]]:
    from alphamill.portfolio import target_weights

    given = (problem.mean, problem.factors, problem.current, problem.limits, RISK_AVERSION, COST)
    textbook = {} if problem.arguments["sizing"].long_only is False else {"textbook": solvers.piqp_on_textbook(*given)}
    return textbook | {
        "ours": lambda: np.array(list(target_weights(**problem.arguments).values())),
        "segments": solvers.piqp_on_segments(*given),
        "osqp": solvers.osqp_on_segments(*given),
        "skfolio": solvers.skfolio_mean_risk(*given, returns=problem.arguments["returns"]),
    }


def _check(problem: Problem, contestants: dict[str, Callable[[], np.ndarray]], what: str) -> list[str]:
    """Weights equal up to their rounding; skfolio and osqp, whose tolerances are wider, up to theirs."""
    ours = contestants["ours"]()
    wide = {"osqp": 1e-4, "skfolio": 5e-4}
    for name, call in contestants.items():
        # Under 1e-4 our weights are nothing.
        theirs = np.where(np.abs(weights := call()) < 1e-4, 0.0, weights)
        same(f"{what}, {name}", np.where(np.abs(ours) < 1e-4, 0.0, ours), theirs, wide.get(name, TOLERANCE))
    held = int((ours != 0).sum())
    return [f"{what}: {held} held; piqp gives the same weights within 2e-6, osqp within 1e-4, skfolio within 5e-4."]


def _rows(what: str, t: dict[str, Timing]) -> list[Row]:
    ours = partial(row, what, t["ours"])
    return [
        ours(against="bare piqp, same program", peer=t["segments"], aim=Aim(1.3)),
        *(ours(against="bare piqp, textbook program", peer=t[key]) for key in ("textbook",) if key in t),
        ours(against="bare osqp, same program", peer=t["osqp"]),
        ours(against="skfolio, covariance given", peer=t["skfolio"]),
    ]


def _parts(problem: Problem) -> dict[str, Callable[[], object]]:
    """What ours spends its time on, by itself."""
    from alphamill.portfolio.correlation import shrunk_correlation
    from alphamill.portfolio.mean_variance import mean_variance

    symbols = [forecast.symbol for forecast in problem.arguments["forecasts"]]
    program = {"current": problem.current, "limits": problem.limits}
    program |= {"risk_aversion": RISK_AVERSION, "turnover_cost": COST}
    return {
        "correlation": one_thread(partial(shrunk_correlation, problem.arguments["returns"], symbols)),
        "program": one_thread(partial(mean_variance, problem.mean, problem.factors, **program)),
    }


def one_thread(call: Callable[[], object]) -> Callable[[], object]:
    """As `target_weights` runs them."""
    from threadpoolctl import ThreadpoolController

    pools = ThreadpoolController()

    def run() -> object:
        with pools.limit(limits=1):
            return call()

    return run


def _spent(t: dict[str, Timing]) -> tuple[str, ...]:
    spent = [t[name].median * 1e3 for name in ("correlation", "program")]
    return tuple(map(figure, (*spent, max(t["ours"].median * 1e3 - sum(spent), 0.0))))


def _sizes(problem: Problem) -> tuple[str, str]:
    """Segments of the last program, and of all names."""
    from alphamill.portfolio import mean_variance as module
    from alphamill.portfolio.segments import Segments, solve

    sizes = [0]

    def counted(*given: Any) -> Any:
        sizes.append(len(given[1]))
        return solve(*given)

    module.solve = counted
    try:
        _parts(problem)["program"]()
    finally:
        module.solve = solve
    limits = problem.limits
    rest = np.clip(0.0, limits.lower, limits.upper)
    return str(sizes[-1]), str(len(Segments.of(rest, limits.lower, limits.upper, problem.current).name))


if __name__ == "__main__":
    main("weights")
