"""Feature tables from file to file, for bars that do not live in the lake."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl
from polars.io.plugins import register_io_source

from alphamill.domain.bars import BAR_VALUES
from alphamill.domain.features import FEATURE_KEY
from alphamill.errors import StoreUnavailable
from alphamill.features.table import compute_in_parts, schema


def compute_file(source: Path, target: Path, names: Sequence[str] | None = None) -> None:
    """Features of a Parquet file of bars into another, LZ4, each part written while the next is computed.

    Parameters
    ----------
    source
        At least symbol, ts and `BAR_VALUES`, each symbol's rows in time order.
    target
        Replaced; after an error it is as before.
    names
        As for `compute`.

    Raises
    ------
    InvalidBar, InvalidFeatures, DataUnfit
        As `compute`.
    StoreUnavailable
        The source cannot be read or the target not be written.
    """
    scratch = target.with_name(f"{target.name}.tmp")
    try:
        bars = pl.read_parquet(source, columns=[*FEATURE_KEY, *BAR_VALUES])
        parts = register_io_source(lambda *_: compute_in_parts(bars, names), schema=schema(names))
        parts.sink_parquet(scratch, compression="lz4")
        scratch.replace(target)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise StoreUnavailable(
            f"cannot compute {target} from {source}: {error}.",
            remedy="Check that the source is a Parquet file of bars, and disk space and permissions of the target.",
        ) from error
    finally:
        scratch.unlink(missing_ok=True)
