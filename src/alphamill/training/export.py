"""A fitted module as an ONNX folder that any runtime can serve. This module imports torch."""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from alphamill.domain.models import ModelCard
from alphamill.errors import DataUnfit, InvalidConfig

MODEL_FILE = "model.onnx"
CARD_FILE = "card.json"

#: Largest difference allowed between torch and onnxruntime, on forecasts in fractions.
TOLERANCE = 1e-6


def export_onnx(
    module: nn.Module, features: Sequence[str], card: ModelCard, into: Path, *, sample: np.ndarray | None = None
) -> Path:
    """Write model.onnx and card.json into the folder `into`, checked against torch first.

    The graph takes `features` FP32 (n, k), raw and in the order of the card, and gives `mean` FP32 (n,) and
    `std` FP32 (n,); n is free.

    Parameters
    ----------
    sample
        Raw features, shape (m, k), that torch and onnxruntime must agree on within 1e-6; None draws some
        around the module's training means.

    Raises
    ------
    InvalidConfig
        `features` are not the card's, in its order.
    DataUnfit
        onnxruntime computes something else than torch.
    """
    if tuple(features) != card.features:
        raise InvalidConfig(
            f"the card lists {list(card.features)}, the module takes {list(features)}.",
            field="features",
            remedy="Build the card from the data set's features.",
        )
    into.mkdir(parents=True, exist_ok=True)
    partial = into / f"{MODEL_FILE}.part"
    partial.write_bytes(_graph(module.eval(), len(card.features)))
    try:
        _check_parity(module, partial, _probes(module, len(card.features), sample))
        (into / CARD_FILE).write_text(card.model_dump_json(indent=2) + "\n")
        partial.replace(into / MODEL_FILE)
    finally:
        partial.unlink(missing_ok=True)
    return into


def _graph(module: nn.Module, n_features: int) -> bytes:
    import torch

    example = torch.zeros(2, n_features)
    with _quiet_exporter():
        program = torch.onnx.export(
            module,
            (example,),
            input_names=["features"],
            output_names=["mean", "std"],
            dynamic_shapes=({0: torch.export.Dim("n")},),
            dynamo=True,
            verbose=False,
        )
    return bytes(_without_traces(program.model_proto).SerializeToString())


def _without_traces(proto: Any) -> Any:
    """The exporter notes source paths of this machine in every node: not for publication, and not repeatable."""
    del proto.metadata_props[:]
    del proto.graph.metadata_props[:]
    for part in (*proto.graph.node, *proto.graph.value_info, *proto.graph.input, *proto.graph.output):
        del part.metadata_props[:]
    return proto


@contextlib.contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Silence what the exporter says about itself; its errors are exceptions and still come through."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _probes(module: nn.Module, n_features: int, sample: np.ndarray | None) -> np.ndarray:
    if sample is not None:
        return np.asarray(sample, dtype=np.float32).reshape(-1, n_features)
    rng = np.random.default_rng(0)
    noise = rng.normal(scale=2.0, size=(257, n_features))
    buffers = {name: buffer.numpy() for name, buffer in module.named_buffers()}
    return np.asarray(buffers.get("feature_mean", 0.0) + noise * buffers.get("feature_std", 1.0), dtype=np.float32)


def _check_parity(module: nn.Module, path: Path, x: np.ndarray) -> None:
    """A batch and its first row alone: both must agree, so that the batch size is really free."""
    import onnxruntime

    from alphamill.training.fitting import predict

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for probe in (x, x[:1]):
        expected = np.stack(predict(module, probe))
        got = np.stack(session.run(["mean", "std"], {"features": probe}))
        gap = float(np.abs(got - expected).max())
        if not gap <= TOLERANCE:
            raise DataUnfit(
                f"onnxruntime and torch differ by {gap} on {len(probe)} rows; {TOLERANCE} is allowed.",
                field="model.onnx",
                remedy="Use layers that export exactly.",
            )
