"""Fit models on labelled features, walk forward, and export them.

Names that need torch load on first use, so that importing this package stays cheap.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from alphamill.training.dataset import Dataset, build_dataset
from alphamill.training.params import ModelParams, ParamSpace, parse_params
from alphamill.training.splits import Fold, WalkForward

if TYPE_CHECKING:
    from alphamill.training.export import export_onnx
    from alphamill.training.fitting import TrainingDiverged, fit, predict
    from alphamill.training.forecasts import fold_forecasts, gaussian_nll, walk_forward_forecasts
    from alphamill.training.models import GaussianHead, Scaled, architecture, architectures

__all__ = [
    "Dataset",
    "Fold",
    "GaussianHead",
    "ModelParams",
    "ParamSpace",
    "Scaled",
    "TrainingDiverged",
    "WalkForward",
    "architecture",
    "architectures",
    "build_dataset",
    "export_onnx",
    "fit",
    "fold_forecasts",
    "gaussian_nll",
    "parse_params",
    "predict",
    "walk_forward_forecasts",
]

_NEEDS_TORCH = {
    "export": ("export_onnx",),
    "fitting": ("TrainingDiverged", "fit", "predict"),
    "forecasts": ("fold_forecasts", "gaussian_nll", "walk_forward_forecasts"),
    "models": ("GaussianHead", "Scaled", "architecture", "architectures"),
}


def __getattr__(name: str) -> Any:
    for module, names in _NEEDS_TORCH.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
