"""Step 5a: search configurations on the oldest sessions; every trial goes to MLflow."""

from alphamill.settings import Settings
from alphamill.steps.run_folder import TRIALS, load_dataset, run_folder
from alphamill.steps.step import begin
from alphamill.training import ParamSpace
from alphamill.training.windows import tuning_rows, tuning_windows


def tune_model(
    bars_version: int,
    training_version: int,
    horizon_bars: int,
    trials: int,
    seed: int,
    *,
    settings: Settings | None = None,
) -> tuple[str, str, int]:
    """Run the search.

    Returns
    -------
    run_id, best parameters as JSON, true number of trials.
    """
    parts = begin("train", "starting the search", settings)
    dataset = tuning_rows(load_dataset(parts, training_version, bars_version, horizon_bars))
    report = parts.progress()
    result = parts.search().run(
        dataset,
        tuning_windows(dataset),
        space=ParamSpace(architecture=parts.settings.architectures),
        trials=trials,
        seed=seed,
        on_progress=lambda done, total: report("train", done, total + 2, f"trial {done} of {total}"),
    )
    result.table().write_parquet(run_folder(parts.settings, result.run_id) / TRIALS)
    return result.run_id, result.best.params.model_dump_json(), len(result.trials)
