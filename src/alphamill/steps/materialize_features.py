"""Step 4: features into Feast, the newest ones online, and the point-in-time training rows out of it."""

from alphamill.bootstrap import model_features
from alphamill.features.labels import forward_return
from alphamill.settings import Settings
from alphamill.steps.step import begin, finish


def materialize_features(
    bars_version: int, features_version: int, horizon_bars: int, *, settings: Settings | None = None
) -> int:
    """Load the online store and write the training table: features as known at each label's time.

    Returns
    -------
    Version of the training table: symbol, ts, model features, label, label_end_ts.
    """
    parts = begin("materialize", "loading Feast", settings)
    rows = parts.lake().read("features", features_version)
    store = parts.offline_features()
    store.write(rows)
    online = store.materialize(until=rows["ts"].max())  # type: ignore[arg-type]
    labels = forward_return(parts.bars().read(version=bars_version), horizon_bars)
    joined = store.training_rows(labels.select("symbol", "ts"), model_features(parts.settings))
    training = joined.join(labels, on=["symbol", "ts"], how="left", validate="1:1").sort("ts", "symbol")
    version = parts.lake().write("training", training)
    finish(parts, "materialize", f"{online} rows online, {training.height:,} training rows")
    return version
