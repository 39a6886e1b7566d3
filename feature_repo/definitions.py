"""What Feast serves: one view of all registered features. Declarations only; `alphamill.features` computes them."""

from datetime import timedelta
from pathlib import Path

from feast import Entity, FeatureService, FeatureView, Field, FileSource, ValueType
from feast.types import Float64, String

from alphamill.bootstrap import model_features as seen_by_model
from alphamill.environment import FEATURES_DIR, require
from alphamill.features import registered
from alphamill.settings import load_settings

symbol = Entity(
    name="symbol", join_keys=["symbol"], value_type=ValueType.STRING, description="Ticker, as in the bars table."
)

offline = FileSource(
    name="daily_features_offline",
    path=str(Path(require(FEATURES_DIR)).resolve() / "features.parquet"),
    timestamp_field="ts",
)

daily_features = FeatureView(
    name="daily_features",
    entities=[symbol],
    # No limit here: Feast does not enforce it online, and offline it would turn old rows to null.
    # `alphamill.features.require_fresh` refuses stale rows.
    ttl=timedelta(0),
    schema=[
        Field(name="symbol", dtype=String),
        *(Field(name=f.name, dtype=Float64, description=f.doc, tags={"unit": f.unit}) for f in registered()),
    ],
    source=offline,
    online=True,
    description="Features of daily bars, stamped with the close of the bar they end on.",
)

model_features = FeatureService(name="model_features", features=[daily_features[list(seen_by_model(load_settings()))]])
