"""Between snapshots and a model's arrays: one place, so that every forecaster asks the same way."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from alphamill.domain.features import FeatureSnapshot
from alphamill.domain.forecasts import Forecast, Forecasts, ModelSignature
from alphamill.errors import ForecasterUnavailable, InvalidFeatures

FloatMatrix = npt.NDArray[np.float32]


def feature_matrix(signature: ModelSignature, snapshots: Sequence[FeatureSnapshot]) -> FloatMatrix:
    """Snapshots as the model's input, columns in the order of the signature.

    Parameters
    ----------
    signature
        Names the expected features in order. Values are taken by name; further names are ignored.
    snapshots
        Raw, unscaled feature values; scaling is inside the model's graph.

    Returns
    -------
    ndarray of float32, shape (n_snapshots, n_features)
        All finite.

    Raises
    ------
    InvalidFeatures
        A snapshot lacks a feature, or a value is NaN or infinite (also: too large for float32).
    """
    names = signature.features
    try:
        values = [snapshot.values[name] for snapshot in snapshots for name in names]
    except KeyError as error:
        raise _lacking(signature, snapshots) from error
    with np.errstate(over="ignore"):
        inputs = np.array(values, dtype=np.float64).reshape(len(snapshots), len(names)).astype(np.float32)
    _refuse_non_finite(signature, snapshots, inputs)
    return inputs


def _lacking(signature: ModelSignature, snapshots: Sequence[FeatureSnapshot]) -> InvalidFeatures:
    snapshot = next(s for s in snapshots if not set(signature.features) <= set(s.values))
    missing = [name for name in signature.features if name not in snapshot.values]
    return InvalidFeatures(
        f"{snapshot.symbol} at {snapshot.ts.isoformat()} lacks {', '.join(missing)}.",
        field="features",
        remedy=f"{signature.model_id} expects, in order: {', '.join(signature.features)}.",
    )


def _refuse_non_finite(signature: ModelSignature, snapshots: Sequence[FeatureSnapshot], inputs: FloatMatrix) -> None:
    finite = np.isfinite(inputs)
    if finite.all():
        return
    bad = np.argwhere(~finite)
    snapshot, name = snapshots[bad[0][0]], signature.features[bad[0][1]]
    raise InvalidFeatures(
        f"{name} of {snapshot.symbol} at {snapshot.ts.isoformat()} is {snapshot.values[name]}, not a finite float32.",
        field=name,
        remedy=f"{signature.model_id} expects finite values, in order: {', '.join(signature.features)}.",
    )


def to_forecasts(
    signature: ModelSignature,
    snapshots: Sequence[FeatureSnapshot],
    mean: npt.NDArray[np.floating],
    std: npt.NDArray[np.floating],
) -> Forecasts:
    """A model's answer under its signature, one row per snapshot in order.

    Parameters
    ----------
    signature
        Of the version that gave `mean` and `std`.
    mean, std
        Shape (n_snapshots,), fractions over the horizon.

    Raises
    ------
    ForecasterUnavailable
        The answer has another length, is not finite, or a std is not above zero.
    """
    n = len(snapshots)
    if mean.shape != (n,) or std.shape != (n,):
        raise ForecasterUnavailable(
            f"{signature.name} {signature.version} answered shapes {mean.shape} and {std.shape} for {n} rows.",
            field="mean",
            remedy="Deploy a model with outputs mean [n] and std [n].",
        )
    wrong = np.flatnonzero(~(np.isfinite(mean) & np.isfinite(std) & (std > 0)))
    if len(wrong):
        first = wrong[0]
        raise ForecasterUnavailable(
            f"{signature.name} {signature.version} answered mean {mean[first]}, std {std[first]} "
            f"for {snapshots[first].symbol}; both must be finite and std above zero.",
            field="std" if np.isfinite(mean[first]) else "mean",
            remedy="Roll back to the previous version.",
        )
    rows = tuple(
        Forecast(snapshot.symbol, snapshot.ts, mean=m, std=s, model_version=signature.version)
        for snapshot, m, s in zip(snapshots, mean.tolist(), std.tolist(), strict=True)
    )
    return Forecasts(signature, rows)
