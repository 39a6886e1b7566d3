"""Step 3: every registered feature of every bar."""

from alphamill.adapters.delta.tables import write_parts
from alphamill.bootstrap import bar_store, table_uri
from alphamill.features.table import compute_in_parts, schema
from alphamill.settings import Settings
from alphamill.steps.step import begin, finish


def build_features(bars_version: int, *, settings: Settings | None = None) -> int:
    """Compute the feature table from one version of the bars; a part is written while the next is computed.

    Returns
    -------
    Version of the feature table.
    """
    settings = begin("features", "computing features", settings)
    columns = schema()
    bars = bar_store(settings).read(version=bars_version)
    version = write_parts(table_uri(settings, "features"), columns, compute_in_parts(bars))
    finish("features", f"{len(columns) - 2} features, {bars.height:,} rows")
    return version
