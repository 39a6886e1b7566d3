"""Step 3: every registered feature of every bar."""

from alphamill.features.table import compute_in_parts, schema
from alphamill.settings import Settings
from alphamill.steps.step import begin, finish


def build_features(bars_version: int, *, settings: Settings | None = None) -> int:
    """Compute the feature table from one version of the bars; a part is written while the next is computed.

    Returns
    -------
    Version of the feature table.
    """
    parts = begin("features", "computing features", settings)
    columns = schema()
    bars = parts.bars().read(version=bars_version)
    version = parts.lake().write_parts("features", columns, compute_in_parts(bars))
    finish(parts, "features", f"{len(columns) - 2} features, {bars.height:,} rows")
    return version
