"""Proof 6 on the product's own training path: it learns what is there, and the check sees when it does not."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from alphamill.cli import __main__ as cli
from alphamill.errors import DataUnfit
from alphamill.evaluation.forecast_metrics import forecast_metrics
from alphamill.evaluation.recovery import Recovery
from alphamill.proofs import learning as product
from alphamill.proofs.learning import (
    OVERCONFIDENT,
    SHUFFLES,
    STRENGTHS,
    Learned,
    confidence,
    learn,
    market_seeds,
    recovered,
    without_signal,
)
from alphamill.proofs.learning_runs import (
    HORIZON,
    Size,
    forecasts,
    market,
    rows_of,
    training_rows,
    with_labels_of_other_names,
)
from alphamill.training import Dataset

SMALL = Size(names=40, sessions=800)
MARKETS = 3


@pytest.fixture(scope="module")
def by_strength() -> dict[float, Learned]:
    """Three markets for each strength, none of them used twice."""
    seeds = market_seeds(1, MARKETS * len(STRENGTHS))
    return {
        strength: learn(strength, seeds[i * MARKETS : (i + 1) * MARKETS], size=SMALL)
        for i, strength in enumerate(STRENGTHS)
    }


@pytest.fixture(scope="module")
def rows() -> list[Dataset]:
    return [rows_of(market(SMALL, 0.1, seed).bars) for seed in market_seeds(2, 2)]


def judged(sets: list[Dataset]) -> Recovery:
    """The IC of these rows against what a signal of 0.1 is known to give."""
    panels = tuple(forecasts(rows, seed) for seed, rows in enumerate(sets))
    learned = Learned(
        0.1,
        round(training_rows(sets[0])),
        panels,
        tuple(forecast_metrics(panel, horizon_bars=HORIZON) for panel in panels),
    )
    return recovered(learned, names=SMALL.names, rows=1)[0]


@pytest.mark.parametrize("strength", STRENGTHS)
def test_the_known_ic_is_recovered_within_its_band(by_strength: dict[float, Learned], strength: float) -> None:
    found = recovered(by_strength[strength], names=SMALL.names, rows=2 * len(STRENGTHS))
    assert [finding.verdict for finding in found] == ["in the band", "in the band"]


def test_the_band_is_narrow_enough_to_tell_strengths_apart(by_strength: dict[float, Learned]) -> None:
    at = {s: recovered(learned, names=SMALL.names, rows=8)[0] for s, learned in by_strength.items()}
    assert at[0.1].low > at[0.02].known
    assert at[0.05].low > at[0.0].known
    assert at[0.0].high < at[0.05].known


def test_a_feature_that_holds_some_of_the_target_is_too_good(rows: list[Dataset]) -> None:
    def leaking(dataset: Dataset) -> Dataset:
        x = dataset.x.copy()
        x[:, 1] += 0.15 * x[:, 1].std() * (dataset.y / dataset.y.std())
        return replace(dataset, x=x)

    assert judged([leaking(dataset) for dataset in rows]).verdict == "leak"


def test_features_a_session_late_lose_the_signal(rows: list[Dataset]) -> None:
    def late(dataset: Dataset) -> Dataset:
        names = len(dataset.symbols)
        return replace(dataset, x=np.concatenate([dataset.x[:names], dataset.x[:-names]]))

    assert judged([late(dataset) for dataset in rows]).verdict == "signal lost"


def test_features_joined_to_the_wrong_name_lose_the_signal(rows: list[Dataset]) -> None:
    def mixed(dataset: Dataset) -> Dataset:
        x = dataset.x.reshape(-1, len(dataset.symbols), len(dataset.features)).copy()
        third = len(dataset.symbols) // 3
        x[:, :third] = np.roll(x[:, :third], 1, axis=1)
        return replace(dataset, x=x.reshape(dataset.x.shape))

    assert judged([mixed(dataset) for dataset in rows]).verdict == "signal lost"


def test_the_same_rows_untouched_are_in_the_band(rows: list[Dataset]) -> None:
    assert judged(rows).verdict == "in the band"


def test_shuffled_labels_leave_no_ic() -> None:
    # The ones that the command takes when nobody gives it a seed.
    found = without_signal(market_seeds(0, len(STRENGTHS) * MARKETS + SHUFFLES)[-SHUFFLES:])
    assert found.holds
    assert max(abs(t) for t in found.t) < 2


def test_every_name_gets_the_labels_of_another_for_good(rows: list[Dataset]) -> None:
    dataset = rows[0]
    moved = with_labels_of_other_names(dataset, seed=3)
    names = len(dataset.symbols)
    before, after = dataset.y.reshape(-1, names), moved.y.reshape(-1, names)
    source = [int(np.flatnonzero((before == column[:, None]).all(axis=0))[0]) for column in after.T]
    assert sorted(source) == list(range(names))
    assert all(name != given for name, given in enumerate(source))
    assert np.array_equal(moved.x, dataset.x)


def test_labels_of_names_that_do_not_share_their_days_are_refused(rows: list[Dataset]) -> None:
    holed = rows[0].take(np.arange(1, len(rows[0])))
    with pytest.raises(DataUnfit, match="share their days"):
        with_labels_of_other_names(holed, seed=3)


def test_a_well_specified_model_is_honest_about_itself(by_strength: dict[float, Learned]) -> None:
    says = confidence("model", by_strength[0.1].panels)
    assert [(band.nominal, band.holds) for band in says.coverage] == [(0.5, True), (0.8, True), (0.95, True)]
    assert says.brier < says.base_rate
    assert says.honest


@pytest.mark.parametrize("scale", [OVERCONFIDENT, 0.9, 1.15])
def test_a_spread_that_is_wrong_is_seen(by_strength: dict[float, Learned], scale: float) -> None:
    says = confidence("twin", by_strength[0.1].panels, scale=scale)
    assert not any(band.holds for band in says.coverage)
    assert not says.honest


def test_overconfidence_costs_more_than_the_base_rate(by_strength: dict[float, Learned]) -> None:
    says = confidence("twin", by_strength[0.1].panels, scale=OVERCONFIDENT)
    assert says.brier > says.base_rate


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(product, "SIZE", Size(names=20, sessions=500))
    monkeypatch.setattr(product, "SHUFFLED_SIZE", Size(names=10, sessions=400))
    monkeypatch.setattr(product, "SHUFFLES", 3)
    monkeypatch.setattr(product, "try_gate", lambda seed, tell: [])


@pytest.mark.usefixtures("quick")
def test_the_command_shows_the_table_and_passes() -> None:
    result = CliRunner().invoke(cli.app, ["check", "learning", "--markets", "2", "--seed", "3"])
    assert result.exit_code == 0, result.output
    assert result.output.count("in the band") == 2 * len(STRENGTHS)
    assert "every known IC lies in its band" in result.output


@pytest.mark.usefixtures("quick")
def test_the_command_fails_when_forecasts_know_the_future(monkeypatch: pytest.MonkeyPatch) -> None:
    def peeking(dataset: Dataset, seed: int) -> pl.DataFrame:
        return forecasts(dataset, seed).with_columns(mean=pl.col("mean") + 0.05 * pl.col("label"))

    monkeypatch.setattr(product, "forecasts", peeking)
    result = CliRunner().invoke(cli.app, ["check", "learning", "--markets", "1"])
    assert result.exit_code == 1
    assert "leak" in result.output
    assert "not learned as known" in result.output
