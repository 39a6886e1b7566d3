"""What a decision was decided on is one thing: one answer of one version, whenever the model is switched."""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
import pytest

from alphamill.adapters.brokers.paper.broker import PaperBroker
from alphamill.adapters.memory.ledger import InMemoryLedger
from alphamill.domain.decisions import Decision
from alphamill.domain.features import FeatureSnapshot
from alphamill.domain.forecasts import Forecast, Forecasts, ModelSignature
from alphamill.domain.portfolios import ModelRef, PortfolioSpec, Sizing
from alphamill.domain.signature import feature_matrix, to_forecasts
from alphamill.domain.venues import Capabilities
from alphamill.errors import ForecasterUnavailable, InvalidFeatures, ModelMismatch
from alphamill.features import registered
from alphamill.features.history import BarHistory
from alphamill.ports import Forecaster
from alphamill.testing.features import InMemoryOnlineFeatures
from alphamill.testing.forecaster import SwitchingForecaster
from alphamill.testing.notifier import InMemoryNotifier
from alphamill.trading.inputs import DecisionInputs, gather
from alphamill.trading.market import Market, market_at
from alphamill.trading.newest import NewestFeatures, SessionFeatures
from alphamill.trading.portfolio_trader import PortfolioTrader

SEEDS = 1_000
READ = ("ret_1", "rsi_14", "volatility_21")


class LinearModel:
    """The `Forecaster` port; each version weighs its features by their places, and in its own way."""

    def __init__(self, version: str, features: tuple[str, ...], horizon_bars: int = 5) -> None:
        self._signature = ModelSignature(
            "forecaster", version, features, horizon_bars, "bars@0", f"run-{version}", "paper"
        )

    def signature(self) -> ModelSignature:
        return self._signature

    def mean_of(self, snapshot: FeatureSnapshot) -> float:
        weighed = sum(place * snapshot.values[name] for place, name in enumerate(self._signature.features, start=1))
        return 0.01 * float(np.tanh(weighed + int(self._signature.version)))

    def forecast(self, snapshots: Sequence[FeatureSnapshot]) -> Forecasts:
        feature_matrix(self._signature, snapshots)
        means = np.array([self.mean_of(snapshot) for snapshot in snapshots])
        return to_forecasts(self._signature, snapshots, means, np.full(len(snapshots), 0.03))


FIRST = LinearModel("1", READ)
#: Another version in another order, content with what the first one reads.
REORDERED = LinearModel("2", ("volatility_21", "ret_1"))
LONGER = LinearModel("3", READ, horizon_bars=21)
OTHER_FEATURES = LinearModel("4", ("ret_63", *READ))
#: Everything at once, as after a retraining from scratch.
ALL_NEW = LinearModel("5", ("volatility_21", "ret_63", "ret_1"), horizon_bars=21)
MODELS = (FIRST, REORDERED, LONGER, OTHER_FEATURES, ALL_NEW)
BY_ID = {model.signature().model_id: model for model in MODELS}


class SwitchingReads:
    """`SessionFeatures` during whose reading the model is switched."""

    def __init__(self, features: SessionFeatures, forecaster: SwitchingForecaster) -> None:
        self._features, self._forecaster = features, forecaster

    def refresh(self, history: BarHistory, symbols: Sequence[str]) -> None:
        self._features.refresh(history, symbols)

    def read_online(self, symbols: Sequence[str], features: Sequence[str]) -> dict[str, FeatureSnapshot]:
        self._forecaster.switch()
        return self._features.read_online(symbols, features)


class RecordsTheFirst:
    """The bug that this file is about: rows of whoever answers, under the signature that was asked for before."""

    def __init__(self, asks: Forecaster) -> None:
        self._asks = asks
        self._first: ModelSignature | None = None

    def signature(self) -> ModelSignature:
        self._first = self._first or self._asks.signature()
        return self._first

    def forecast(self, snapshots: Sequence[FeatureSnapshot]) -> Forecasts:
        first = self.signature()
        rows = self._asks.forecast(snapshots).rows
        return Forecasts(first, tuple(replace(row, model_version=first.version) for row in rows))


@dataclass(frozen=True)
class Desk:
    """One closed session, ready to be decided as often as a test wants."""

    spec: PortfolioSpec
    history: BarHistory
    features: NewestFeatures
    market: Market

    def gather(self, spec: PortfolioSpec, features: SessionFeatures, forecaster: Forecaster) -> DecisionInputs:
        return gather(spec, spec.universe.symbols, self.market.ts, features, forecaster, Capabilities("paper"))

    def decide(self, spec: PortfolioSpec, features: SessionFeatures, forecaster: Forecaster) -> Decision:
        ledger = InMemoryLedger()
        ledger.register(spec, self.market.ts)
        trader = PortfolioTrader(
            spec,
            features=features,
            forecaster=forecaster,
            broker=PaperBroker(spec.broker, initial_cash={spec.name: spec.initial_cash_usd}, session_open=_no_open),
            ledger=ledger,
            history=self.history,
            notifier=InMemoryNotifier(),
        )
        trader.on_session(self.market)
        return ledger.decisions(spec.name)[-1]


def _no_open(session: object) -> None:
    raise AssertionError("no session comes after the one decided")


@pytest.fixture(scope="module")
def desk(market: pl.DataFrame, spec: PortfolioSpec) -> Desk:
    history, features = BarHistory(), NewestFeatures(InMemoryOnlineFeatures(tuple(f.name for f in registered())))
    history.replace(market)
    features.refresh(history, spec.universe.symbols)
    sizing = Sizing(method="equal_weight", covariance_bars=60, max_weight=0.5)
    closed = market_at(history, spec.universe.symbols, market["ts"].max(), "bars@1")  # type: ignore[arg-type]
    return Desk(spec.model_copy(update={"sizing": sizing}), history, features, closed)


@dataclass(frozen=True)
class Scene:
    """One interleaving: who is deployed one after the other, and when; what the portfolio expects."""

    models: tuple[LinearModel, ...]
    switch_at: frozenset[int]
    switch_while_reading: bool
    version: str | None

    @classmethod
    def of(cls, seed: int) -> "Scene":
        rng = random.Random(seed)
        begins = rng.choice((FIRST, FIRST, REORDERED, *MODELS))
        follows = [model for model in MODELS if model is not begins]
        models = (begins, *rng.sample(follows, rng.choice((1, 1, 2))))
        # A decision has five moments; more are there when its question is asked again.
        moments = rng.sample(range(1, 12), rng.choice((0, 1, 1, 2, 6, 11)))
        version = rng.choice((None, None, models[0].signature().version))
        return cls(models, frozenset(moments), rng.random() < 0.25, version)

    def play(self, desk: Desk, bug: Callable[[Forecaster], Forecaster] = lambda asks: asks) -> "Played":
        spec = desk.spec.model_copy(update={"model": ModelRef(version=self.version)})
        seen = []
        for work in (desk.gather, desk.decide):
            forecaster = SwitchingForecaster(self.models, self.switch_at)
            reads = SwitchingReads(desk.features, forecaster) if self.switch_while_reading else desk.features
            seen.append(work(spec, reads, bug(forecaster)))
        return Played(spec, *seen)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Played:
    """What `gather` gave and what was decided, by the same script."""

    spec: PortfolioSpec
    inputs: DecisionInputs
    decision: Decision

    def mixed(self) -> list[str]:
        """Everything by which the decision is not that of one answer of one model that the portfolio expects."""
        decision, answer = self.decision, self.inputs.answer
        problems = [] if decision.forecasts == self.inputs.forecasts else ["gather and decision differ"]
        if answer is None or not decision.forecasts:
            named = (decision.model_version, decision.run_id, decision.forecasts, answer)
            return problems if named == ("", "", (), None) else [*problems, f"recorded without an answer: {named}"]
        model = BY_ID[decision.model_version]
        signature = model.signature()
        snapshots = {snapshot.symbol: snapshot for snapshot in decision.snapshots}
        expected = {s: Forecast(s, x.ts, model.mean_of(x), 0.03, signature.version) for s, x in snapshots.items()}
        checks = {
            "signature": answer.signature == signature,
            "run": decision.run_id == signature.run_id,
            "horizon": signature.horizon_bars == self.spec.model.horizon_bars,
            "pinned version": self.spec.model.version in (None, signature.version),
            "numbers": {row.symbol: row for row in decision.forecasts} == expected,
        }
        return [
            *problems,
            *(f"another {what} than {signature.model_id}'s" for what, holds in checks.items() if not holds),
        ]

    def refused(self) -> tuple[str, str]:
        """Code and detail of the refusals, which are one and the same for every symbol."""
        (why,) = {(r.code, r.detail) for r in self.decision.refusals}
        assert {r.symbol for r in self.decision.refusals} == set(self.spec.universe.symbols)
        assert self.decision.orders == ()
        return why


def test_of_1000_interleavings_no_decision_mixes_two_models_and_every_refusal_names_why(desk: Desk) -> None:
    outcomes: Counter[str] = Counter()
    for seed in range(SEEDS):
        scene = Scene.of(seed)
        played = scene.play(desk)
        assert played.mixed() == [], (seed, scene)
        if played.decision.forecasts:
            assert played.decision.refusals == ()
            outcomes[played.decision.model_version] += 1
            outcomes["another than began"] += played.decision.model_version != scene.models[0].signature().model_id
            continue
        code, detail = played.refused()
        outcomes[code] += 1
        deployed = [model.signature().model_id for model in scene.models]
        assert code in {"MODEL_MISMATCH", "FORECASTER_UNAVAILABLE"}
        assert code == "FORECASTER_UNAVAILABLE" or any(name in detail for name in deployed), (seed, detail)
    assert outcomes.keys() == {
        "forecaster-1",
        "forecaster-2",
        "forecaster-4",
        "another than began",
        "MODEL_MISMATCH",
        "FORECASTER_UNAVAILABLE",
    }, "the seeds reach every way that it can end"
    assert min(outcomes.values()) >= 10, outcomes


def test_the_same_1000_interleavings_find_a_decision_that_records_the_first_signature(desk: Desk) -> None:
    found = [problem for seed in range(SEEDS) for problem in Scene.of(seed).play(desk, RecordsTheFirst).mixed()]
    assert any("numbers" in problem for problem in found)


def decided(
    desk: Desk, first: LinearModel, second: LinearModel, at: int | None, *, version: str | None = None
) -> Decision:
    """`first` is deployed, and `second` from the moment `at` on; while the features are read if None."""
    return Scene((first, second), frozenset({at} if at else ()), at is None, version).play(desk).decision


#: Between the signature and the question, while features are read, before and after the question is written.
MOMENTS = (2, None, 3, 4)


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_version_of_the_same_horizon_whose_features_were_read_is_accepted_as_itself(
    desk: Desk, moment: int | None
) -> None:
    decision = decided(desk, FIRST, REORDERED, moment)
    assert (decision.model_version, decision.run_id, decision.refusals) == ("forecaster-2", "run-2", ())
    by_symbol = {snapshot.symbol: snapshot for snapshot in decision.snapshots}
    assert {f.symbol: f.mean for f in decision.forecasts} == {s: REORDERED.mean_of(x) for s, x in by_symbol.items()}
    assert decision.orders


def test_a_switch_after_the_answer_changes_nothing(desk: Desk) -> None:
    assert decided(desk, FIRST, LONGER, 5).model_version == "forecaster-1"


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_version_of_another_horizon_refuses_every_symbol_and_names_both(desk: Desk, moment: int | None) -> None:
    decision = decided(desk, FIRST, LONGER, moment)
    assert {(r.symbol, r.code) for r in decision.refusals} == {
        (s, "MODEL_MISMATCH") for s in desk.spec.universe.symbols
    }
    assert decision.refusals[0].detail == (
        "forecaster-3 (21 bars ahead) answers, after forecaster-1 (5 bars ahead) had been asked; the portfolio asks "
        "for 5 bars. Deploy a model of that horizon or change the portfolio."
    )
    assert (decision.model_version, decision.run_id, decision.forecasts, decision.orders) == ("", "", (), ())
    assert len(decision.snapshots) == len(desk.spec.universe.symbols), "what was read is recorded all the same"


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_version_that_needs_other_features_than_were_read_refuses_every_symbol(
    desk: Desk, moment: int | None
) -> None:
    for second in (OTHER_FEATURES, ALL_NEW):
        decision = decided(desk, FIRST, second, moment)
        assert {r.code for r in decision.refusals} == {"MODEL_MISMATCH"}
        detail = decision.refusals[0].detail
        assert detail.startswith("forecaster-1 (5 bars ahead) told which features to read")
        assert "lacks ret_63" in detail
        assert second.signature().model_id in detail


@pytest.mark.parametrize("moment", MOMENTS)
def test_another_version_than_the_pinned_one_refuses_every_symbol(desk: Desk, moment: int | None) -> None:
    decision = decided(desk, FIRST, REORDERED, moment, version="1")
    assert {r.code for r in decision.refusals} == {"MODEL_MISMATCH"}
    assert "forecaster-2 (5 bars ahead) answers" in decision.refusals[0].detail
    assert "the portfolio pins version 1" in decision.refusals[0].detail


def test_what_is_wrong_from_the_beginning_is_refused_before_features_are_read(desk: Desk) -> None:
    for model, version in ((LONGER, None), (FIRST, "2")):
        decision = decided(desk, model, FIRST, 99, version=version)
        assert {r.code for r in decision.refusals} == {"MODEL_MISMATCH"}
        assert decision.snapshots == ()


def test_features_that_the_model_of_the_beginning_refuses_too_are_no_mismatch(desk: Desk) -> None:
    class Unbounded:
        def refresh(self, history: BarHistory, symbols: Sequence[str]) -> None: ...

        def read_online(self, symbols: Sequence[str], features: Sequence[str]) -> dict[str, FeatureSnapshot]:
            return {s: FeatureSnapshot(s, desk.market.ts, dict.fromkeys(features, 1e300)) for s in symbols}

    inputs = desk.gather(desk.spec, Unbounded(), FIRST)
    assert {r.code for r in inputs.refusals} == {InvalidFeatures("").code}


def test_an_answer_on_features_that_were_not_read_is_refused_whoever_gives_it(desk: Desk) -> None:
    class Careless(LinearModel):
        """Answers under a signature whose features it did not look at."""

        def forecast(self, snapshots: Sequence[FeatureSnapshot]) -> Forecasts:
            return replace(super().forecast(snapshots), signature=replace(self._signature, features=("ret_63",)))

    inputs = desk.gather(desk.spec, desk.features, Careless("1", READ))
    assert {r.code for r in inputs.refusals} == {ModelMismatch("").code}
    assert "answered on ret_63" in inputs.refusals[0].detail


def test_a_model_that_is_switched_at_every_question_is_unavailable(desk: Desk) -> None:
    forecaster = SwitchingForecaster((FIRST, REORDERED), range(1, 100))
    with pytest.raises(ForecasterUnavailable, match="switched during each of 3 questions"):
        forecaster.forecast(tuple(desk.features.read_online(desk.spec.universe.symbols, READ).values()))


def test_rows_of_one_version_under_the_signature_of_another_cannot_be_made(desk: Desk) -> None:
    rows = FIRST.forecast(tuple(desk.features.read_online(desk.spec.universe.symbols, READ).values())).rows
    with pytest.raises(ModelMismatch, match="by version 1 is no answer of forecaster-2"):
        Forecasts(REORDERED.signature(), rows)
