"""Weekly, on drift or by hand: search, train, judge out of sample, and serve the model if the gate accepts it."""

from kfp import dsl

from components.backtest_model.component import backtest_model
from components.deploy_model.component import deploy_model
from components.register_model.component import register_model
from components.train_model.component import train_model
from components.tune_model.component import tune_model
from pipelines.uncached import uncached


@dsl.pipeline(name="train-and-deploy")
def train_and_deploy(
    bars_version: int,
    features_version: int,
    training_version: int,
    horizon_bars: int = 5,
    max_trials: int = 8,
    seed: int = 0,
):
    data = {"bars_version": bars_version, "training_version": training_version, "horizon_bars": horizon_bars}
    tuned = uncached(tune_model(**data, max_trials=max_trials, seed=seed))
    best = {name: tuned.outputs[name] for name in ("run_id", "params", "trials")}
    model = uncached(train_model(**best, **data, seed=seed))
    judged = uncached(backtest_model(**best, **data, features_version=features_version, seed=seed))
    judged.after(model)  # training notes the champion that the backtest measures beside the model
    accepted = uncached(register_model(model_dir=model.output, summary_path=judged.output))
    with dsl.If(accepted.output == True, name="accepted"):  # noqa: E712 kfp builds a condition
        uncached(deploy_model())
