"""Step 3: every registered feature of every bar."""

from alphamill.adapters.delta import write_frame
from alphamill.bootstrap import bar_store, table_uri
from alphamill.features import compute
from alphamill.steps.step import begin, finish


def build_features(bars_version: int) -> int:
    """Compute the feature table from one version of the bars.

    Returns
    -------
    Version of the feature table.
    """
    settings = begin("features", "computing features")
    rows = compute(bar_store(settings).read(version=bars_version))
    version = write_frame(table_uri(settings, "features"), rows)
    finish("features", f"{rows.width - 2} features, {rows.height:,} rows")
    return version
