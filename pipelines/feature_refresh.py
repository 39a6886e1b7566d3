"""Every bar or every day: new bars become features, offline for training and online for trading."""

from kfp import dsl

from components.build_features.component import build_features
from components.ingest_bars.component import ingest_bars
from components.materialize_features.component import materialize_features
from components.validate_bars.component import validate_bars
from pipelines.uncached import uncached


@dsl.pipeline(name="feature-refresh")
def feature_refresh(feed: str = "sample", until: str = "", horizon_bars: int = 5):
    landing = uncached(ingest_bars(feed=feed, until=until))
    bars = uncached(validate_bars(landing_version=landing.output))
    features = uncached(build_features(bars_version=bars.outputs["Output"]))
    uncached(
        materialize_features(
            bars_version=bars.outputs["Output"], features_version=features.output, horizon_bars=horizon_bars
        )
    )
