"""Step 6: walk-forward backtests of the model, the champion and the baselines, by the trader that trades."""

from kfp import dsl

from components.image import PIPELINE_IMAGE


@dsl.component(base_image=PIPELINE_IMAGE, install_kfp_package=False)
def backtest_model(
    run_id: str,
    params: str,
    trials: int,
    bars_version: int,
    features_version: int,
    training_version: int,
    horizon_bars: int,
    seed: int,
) -> str:
    from alphamill.steps.backtest_model import backtest_model

    return backtest_model(run_id, params, trials, bars_version, features_version, training_version, horizon_bars, seed)
