"""Fits: the same bits for the same seed, scales from the training window, failures that say so."""

import copy
import datetime as dt

import numpy as np
import polars as pl
import pytest
import torch

from alphamill.errors import DataUnfit, InvalidConfig
from alphamill.training import (
    Dataset,
    GaussianHead,
    ModelParams,
    TrainingDiverged,
    WalkForward,
    architecture,
    architectures,
    build_dataset,
    fit,
    fitting,
    gaussian_nll,
    predict,
    walk_forward_forecasts,
)
from alphamill.training.models import adopt, build_network, builder

SPLITS = WalkForward(n_folds=2, purge_bars=6)
MLP = ModelParams(architecture="mlp", hidden=(8,), dropout=0.2, epochs=4, batch_size=128)


def all_rows(dataset: Dataset) -> np.ndarray:
    return np.arange(len(dataset))


def weights(module: torch.nn.Module) -> list[bytes]:
    return [value.numpy().tobytes() for value in module.state_dict().values()]


def test_same_seed_gives_the_same_bits(dataset: Dataset) -> None:
    first = fit(dataset, all_rows(dataset), MLP, seed=1)
    torch.rand(7)  # the caller's random state must not matter
    assert weights(fit(dataset, all_rows(dataset), MLP, seed=1)) == weights(first)
    assert weights(fit(dataset, all_rows(dataset), MLP, seed=2)) != weights(first)


def test_callers_torch_state_is_left_alone(dataset: Dataset) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    before = (torch.get_num_threads(), torch.get_deterministic_debug_mode())
    fit(dataset, all_rows(dataset), MLP, seed=1)
    assert torch.equal(torch.rand(3), expected)
    assert (torch.get_num_threads(), torch.get_deterministic_debug_mode()) == before


def test_mask_and_positions_mean_the_same(dataset: Dataset) -> None:
    mask = dataset.session < 200
    assert weights(fit(dataset, mask, MLP, 0)) == weights(fit(dataset, np.flatnonzero(mask), MLP, 0))


def test_scales_come_from_the_training_rows_alone(dataset: Dataset) -> None:
    rows = np.flatnonzero(dataset.session < 100)
    module = fit(dataset, rows, MLP, 0)
    assert module.feature_mean.numpy() == pytest.approx(dataset.x[rows].mean(axis=0, dtype=np.float64))
    assert module.feature_std.numpy() == pytest.approx(dataset.x[rows].std(axis=0, dtype=np.float64))
    assert float(module.label_std) == pytest.approx(dataset.y[rows].std(dtype=np.float64))


def test_rows_outside_the_training_window_change_nothing(dataset: Dataset) -> None:
    rows = np.flatnonzero(dataset.session < 100)
    assert weights(fit(dataset.take(rows), np.arange(len(rows)), MLP, 0)) == weights(fit(dataset, rows, MLP, 0))


@pytest.mark.parametrize("name", ["linear", "mlp"])
def test_known_mean_and_spread_are_learned(dataset: Dataset, name: str) -> None:
    params = ModelParams(architecture=name, hidden=(16,), epochs=60, batch_size=128, learning_rate=1e-2)
    module = fit(dataset, dataset.session < 300, params, seed=0)
    test = dataset.session >= 310
    mean, std = predict(module, dataset.x[test])
    truth = 0.01 * dataset.x[test][:, 0]
    assert np.corrcoef(mean, truth)[0, 1] > 0.9
    wild = dataset.x[test][:, 1] > 0
    assert std[wild].mean() > 1.5 * std[~wild].mean()
    constant = np.full_like(std, dataset.y[dataset.session < 300].std())
    assert gaussian_nll(mean, std, dataset.y[test]) < gaussian_nll(0 * mean, constant, dataset.y[test]) - 0.1


def test_early_stopping_keeps_the_weights_of_the_best_epoch_on_held_out_sessions(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = ModelParams(architecture="mlp", hidden=(64,), epochs=12, learning_rate=3e-2)
    rows = np.flatnonzero(dataset.session < 120)
    held = np.flatnonzero((dataset.session >= 102) & (dataset.session < 120))  # the newest 15 %
    trained = dataset.session < 102 - 6  # purged by horizon + 1 sessions

    by_epoch: list[torch.nn.Module] = []
    check = fitting._check_finite

    def keeping(module: torch.nn.Module, params: ModelParams, epoch: int) -> None:
        by_epoch.append(copy.deepcopy(module).eval())
        check(module, params, epoch)

    with monkeypatch.context() as patch:
        patch.setattr(fitting, "_check_finite", keeping)
        fit(dataset, trained, params, 0)
    scores = [gaussian_nll(*predict(module, dataset.x[held]), dataset.y[held]) for module in by_epoch]
    assert 0 < int(np.argmin(scores)) < 11, "the sample must overfit within the epochs for this test to say anything"

    stopped = fit(dataset, rows, params.model_copy(update={"patience_epochs": 12}), 0)
    assert weights(stopped) == weights(by_epoch[int(np.argmin(scores))])
    impatient = fit(dataset, rows, params.model_copy(update={"patience_epochs": 1}), 0)
    first_worse = next(epoch for epoch in range(1, 12) if scores[epoch] >= scores[epoch - 1])
    assert weights(impatient) == weights(by_epoch[first_worse - 1])


def test_the_weights_settle_where_least_squares_has_them() -> None:
    # At a constant step size they would keep moving by about sqrt(rate / 2 / sqrt(batch)), 0.02 here.
    rng = np.random.default_rng(1)
    x = rng.standard_normal((20_000, 3))
    y = 0.01 * (x @ [0.05, 0.0, -0.02] + rng.standard_normal(20_000))
    days = np.repeat(np.arange(2_000), 10)
    ts = dt.datetime(2010, 1, 4, 21, tzinfo=dt.UTC)
    frame = pl.DataFrame(
        {
            "symbol": [f"S{i}" for i in range(10)] * 2_000,
            "ts": [ts + dt.timedelta(days=int(day)) for day in days],
            "label": y,
            "label_end_ts": [ts + dt.timedelta(days=int(day) + 2) for day in days],
            **{f"f{i}": x[:, i] for i in range(3)},
        }
    )
    dataset = build_dataset(frame, ["f0", "f1", "f2"], horizon_bars=1)
    module = fit(dataset, np.arange(len(dataset)), ModelParams(weight_decay=0.0, learning_rate=2e-2), 0)
    scaled = (dataset.x - dataset.x.mean(axis=0)) / dataset.x.std(axis=0)
    expected = np.linalg.lstsq(np.c_[scaled, np.ones(len(scaled))], dataset.y / dataset.y.std(), rcond=None)[0][:3]
    np.testing.assert_allclose(module.net.out.weight.detach().numpy()[0], expected, atol=1.5e-2)


def test_early_stopping_needs_sessions_to_hold_out(dataset: Dataset) -> None:
    with pytest.raises(InvalidConfig, match="too few to hold some out"):
        fit(dataset, dataset.session < 5, ModelParams(patience_epochs=1), 0)


def test_diverging_training_is_an_error(dataset: Dataset) -> None:
    @architecture("breaks-in-fit")
    def breaks(n_features: int, params: ModelParams) -> torch.nn.Module:
        head = GaussianHead(torch.nn.Identity(), n_features)
        torch.nn.init.constant_(head.out.weight, float("nan"))
        return head

    with pytest.raises(TrainingDiverged, match="Lower learning_rate"):
        fit(dataset, all_rows(dataset), ModelParams(architecture="breaks-in-fit"), 0)


def test_constant_feature_is_refused_by_name(dataset: Dataset) -> None:
    frame = dataset.keys().with_columns(
        f0=pl.Series(dataset.x[:, 0]),
        same=pl.lit(123.456),
        label=pl.Series(dataset.y),
        label_end_ts=pl.col("ts") + pl.duration(days=6),
    )
    flat = build_dataset(frame, ("f0", "same"), horizon_bars=5)
    with pytest.raises(DataUnfit, match="same is constant"):
        fit(flat, all_rows(flat), ModelParams(), 0)


def test_no_training_rows_is_an_error(dataset: Dataset) -> None:
    with pytest.raises(DataUnfit, match="no training rows"):
        fit(dataset, np.empty(0, dtype=np.int64), ModelParams(), 0)


def test_extreme_feature_does_not_make_an_extreme_forecast(dataset: Dataset) -> None:
    module = fit(dataset, all_rows(dataset), ModelParams(), 0)
    far, further = (np.array([[size, 0, 1000]], dtype=np.float32) for size in (1e3, 1e6))
    assert predict(module, far) == predict(module, further)


def test_third_architecture_is_a_few_lines(dataset: Dataset) -> None:
    @architecture("crossed")
    def crossed(n_features: int, params: ModelParams) -> torch.nn.Module:
        return GaussianHead(torch.nn.Sequential(torch.nn.Linear(n_features, 4), torch.nn.Tanh()), 4)

    assert "crossed" in architectures()
    mean, std = predict(fit(dataset, all_rows(dataset), ModelParams(architecture="crossed"), 0), dataset.x)
    assert np.isfinite(mean).all()
    assert (std > 0).all()


def test_name_is_registered_once() -> None:
    with pytest.raises(InvalidConfig, match="registered already"):
        architecture("linear")(lambda n_features, params: torch.nn.Identity())


def test_builders_of_another_process_do_not_replace_known_ones() -> None:
    linear = builder("linear")
    adopt({"linear": lambda n_features, params: torch.nn.Identity(), "from-elsewhere": linear})
    assert builder("linear") is linear
    assert builder("from-elsewhere") is linear


def test_unknown_architecture_names_the_known_ones() -> None:
    with pytest.raises(InvalidConfig, match=r"unknown architecture 'forest'.*linear, mlp"):
        build_network(3, ModelParams(architecture="forest"))


def test_mlp_needs_a_hidden_layer() -> None:
    with pytest.raises(InvalidConfig, match="at least one hidden layer"):
        build_network(3, ModelParams(architecture="mlp", hidden=()))


def test_network_starts_at_mean_zero_and_std_one() -> None:
    mean, std = predict(build_network(3, MLP).eval(), np.ones((4, 3), dtype=np.float32))
    assert mean.tolist() == [0.0] * 4
    assert std == pytest.approx(1.0)


def test_forecasts_cover_the_test_windows_once_each(dataset: Dataset) -> None:
    forecasts = walk_forward_forecasts(dataset, MLP, SPLITS, seed=1)
    tested = np.concatenate([fold.test_rows for fold in SPLITS.split(dataset)])
    assert forecasts.columns == ["symbol", "ts", "mean", "std", "label", "fold"]
    assert forecasts.select("symbol", "ts").equals(dataset.take(np.sort(tested)).keys())
    assert forecasts["label"].to_list() == dataset.y[np.sort(tested)].astype(np.float64).tolist()
    assert forecasts.null_count().sum_horizontal()[0] == 0
    assert forecasts.equals(walk_forward_forecasts(dataset, MLP, SPLITS, seed=1))


def test_forecasts_do_not_know_later_rows(dataset: Dataset) -> None:
    forecasts = walk_forward_forecasts(dataset, MLP, SPLITS, seed=1)
    first = forecasts.filter(pl.col("fold") == 0)
    fold = SPLITS.split(dataset)[0]
    cut = dataset.take(dataset.session <= dataset.session[fold.test_rows].max())
    module = fit(cut, fold.train_rows, MLP, 1)
    mean, std = predict(module, cut.x[fold.test_rows])
    assert first["mean"].to_list() == mean.astype(np.float64).tolist()
    assert first["std"].to_list() == std.astype(np.float64).tolist()


def test_nll_of_a_standard_normal_at_its_mean_is_half_log_two_pi() -> None:
    zero, one = np.zeros(1, dtype=np.float32), np.ones(1, dtype=np.float32)
    assert gaussian_nll(zero, one, zero) == pytest.approx(0.9189385332046727)
    assert gaussian_nll(zero, one, 2 * one) == pytest.approx(0.9189385332046727 + 2.0)
