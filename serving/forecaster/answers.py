"""What the server lets out: finite numbers of the right shape, or an error. Free of KServe, so quick to import."""

import numpy as np

from alphamill.adapters.onnx.forecaster import OnnxForecaster
from alphamill.domain.signature import FloatMatrix
from alphamill.errors import ForecasterUnavailable, InvalidConfig


def answer(forecaster: OnnxForecaster, matrix: FloatMatrix) -> tuple[FloatMatrix, FloatMatrix]:
    """Mean and std, float32 (n,), of raw features, float32 (n, k).

    Raises
    ------
    ForecasterUnavailable
        The graph fails, or its answer has another length, is not finite, or a std is not above zero.
    """
    mean, std = forecaster.predict(matrix)
    n = (len(matrix),)
    if mean.shape != n or std.shape != n:
        raise ForecasterUnavailable(f"the model answered shapes {mean.shape} and {std.shape} for {n[0]} rows.")
    wrong = np.flatnonzero(~(np.isfinite(mean) & np.isfinite(std) & (std > 0)))
    if len(wrong):
        first = wrong[0]
        raise ForecasterUnavailable(
            f"the model answered mean {mean[first]}, std {std[first]} for row {first}; "
            "both must be finite, std above zero."
        )
    return mean, std


def warm_up(forecaster: OnnxForecaster) -> None:
    """Ask once for zeros; raises `InvalidConfig` when the model has no usable answer."""
    try:
        answer(forecaster, np.zeros((2, len(forecaster.signature().features)), dtype=np.float32))
    except ForecasterUnavailable as error:
        raise InvalidConfig(
            f"the model fails its warm-up: {error}", field="model.onnx", remedy="Deploy another version."
        ) from error
