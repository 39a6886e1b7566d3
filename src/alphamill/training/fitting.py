"""Fit one network, the same bits for the same seed. This module imports torch."""

import copy
import math
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw

from alphamill.errors import DataUnfit, InvalidConfig
from alphamill.training.dataset import BoolArray, Dataset, IntArray
from alphamill.training.models import Scaled, build_network
from alphamill.training.params import ModelParams

#: Share of the training sessions that early stopping looks at, the newest ones.
HOLDOUT = 0.15


class TrainingDiverged(DataUnfit):
    """The loss or a weight became NaN or infinite: these parameters do not fit these rows."""


def fit(dataset: Dataset, train_rows: IntArray | BoolArray, params: ModelParams, seed: int) -> Scaled:
    """Minimise the Gaussian negative log likelihood over `train_rows` with AdamW, its rate falling to 0.

    Feature and label scales come from `train_rows` alone and become part of the module. Runs on one CPU thread
    with deterministic algorithms: the same arguments give the same weights bit for bit. The caller's torch
    state (seed, threads, determinism) is left as it was.

    Parameters
    ----------
    train_rows
        Mask or positions. With `params.patience_epochs` the newest `HOLDOUT` of their sessions serve for early
        stopping, purged by horizon + 1 sessions, and are not trained on.

    Returns
    -------
    Scaled
        In eval mode: raw features (n, k) to mean (n,) and std (n,) of the forward return, fractions.

    Raises
    ------
    DataUnfit
        No rows; a feature or the label is constant over them; or `TrainingDiverged`.
    InvalidConfig
        Unknown architecture, or too few sessions to hold some out.
    """
    rows = np.flatnonzero(train_rows) if train_rows.dtype == np.bool_ else np.asarray(train_rows, dtype=np.int64)
    held_out = np.empty(0, dtype=np.int64)
    if params.patience_epochs is not None:
        rows, held_out = _hold_out(dataset, rows)
    with _repeatable(seed):
        module = _scaled(dataset, rows, build_network(len(dataset.features), params))
        optimizer = _AdamW(list(module.parameters()), params, params.epochs * math.ceil(len(rows) / params.batch_size))
        shuffle = np.random.default_rng(seed)
        stopping = _EarlyStopping(module, params.patience_epochs)
        x, y = _tensors(dataset, rows)
        hx, hy = _tensors(dataset, held_out)
        for epoch in range(params.epochs):
            _epoch(module, optimizer, x, y, shuffle.permutation(len(rows)), params.batch_size)
            _check_finite(module, params, epoch)
            if len(held_out) and stopping.is_over(_loss_of(module, hx, hy)):
                break
        stopping.restore_best()
    module.eval()
    return module


def predict(module: nn.Module, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and std for raw features of shape (n, k), as float32 arrays of shape (n,)."""
    with torch.inference_mode():
        mean, std = module(torch.from_numpy(np.array(x, dtype=np.float32)))
    return mean.numpy(), std.numpy()


@contextmanager
def _repeatable(seed: int) -> Iterator[None]:
    # The debug mode sets the same switch as use_deterministic_algorithms, which imports torch's compiler: 4 s.
    threads, strict = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        torch.set_num_threads(1)
        torch.set_deterministic_debug_mode("error")
        try:
            yield
        finally:
            torch.set_num_threads(threads)
            torch.set_deterministic_debug_mode(strict)


def _scaled(dataset: Dataset, rows: IntArray, net: nn.Module) -> Scaled:
    if not len(rows):
        raise DataUnfit("there are no training rows.", field="train_rows", remedy="Load a longer history.")
    x = dataset.x[rows].astype(np.float64)
    std, label_std = x.std(axis=0), float(dataset.y[rows].astype(np.float64).std())
    names = [*dataset.features, "label"]
    floor = 1e-7 * np.abs([*x.mean(axis=0), 0.0])
    constant = [name for name, s, low in zip(names, [*std, label_std], floor, strict=True) if s <= low]
    if constant:
        raise DataUnfit(
            f"{', '.join(constant)} is constant over the {len(rows)} training rows.",
            field=constant[0],
            remedy="Leave the feature out, or train on a longer window.",
        )
    to_tensor = {"dtype": torch.float32}
    return Scaled(
        net,
        torch.tensor(x.mean(axis=0), **to_tensor),
        torch.tensor(std, **to_tensor),
        torch.tensor(label_std, **to_tensor),
    )


def _hold_out(dataset: Dataset, rows: IntArray) -> tuple[IntArray, IntArray]:
    session = dataset.session[rows]
    sessions = np.unique(session)
    start = sessions[-max(1, int(len(sessions) * HOLDOUT))]
    kept = rows[session < start - dataset.horizon_bars - 1]
    held = rows[session >= start]
    kept = kept[dataset.label_end[kept] < dataset.ts[held].min()]
    if not len(kept):
        raise InvalidConfig(
            f"{len(sessions)} training sessions are too few to hold some out.",
            field="patience_epochs",
            remedy="Load a longer history or set patience_epochs to null.",
        )
    return kept, held


def _tensors(dataset: Dataset, rows: IntArray) -> tuple[Tensor, Tensor]:
    return torch.from_numpy(dataset.x[rows]), torch.from_numpy(dataset.y[rows])


def _loss(module: Scaled, x: Tensor, y: Tensor) -> Tensor:
    """Gaussian negative log likelihood, Nix and Weigend (1994), in units of the label scale."""
    mean, std = module(x)
    scale = module.label_std
    return nn.functional.gaussian_nll_loss(mean / scale, y / scale, (std / scale).square(), eps=1e-12)


def _loss_of(module: Scaled, x: Tensor, y: Tensor) -> float:
    with torch.inference_mode():
        return float(_loss(module.eval(), x, y))


def _epoch(module: Scaled, optimizer: "_AdamW", x: Tensor, y: Tensor, order: IntArray, batch_size: int) -> None:
    module.train()
    for batch in torch.from_numpy(order).split(batch_size):
        loss = _loss(module, x[batch], y[batch])
        optimizer.step(torch.autograd.grad(loss, optimizer.weights))


def _check_finite(module: nn.Module, params: ModelParams, epoch: int) -> None:
    if not all(bool(weight.isfinite().all()) for weight in module.parameters()):
        raise TrainingDiverged(
            f"{params.architecture} diverged in epoch {epoch + 1}: a weight is NaN or infinite.",
            field="learning_rate",
            remedy=f"Lower learning_rate (it was {params.learning_rate}).",
        )


class _AdamW:
    """torch's functional AdamW. The class `torch.optim.AdamW` would import torch's compiler first: 4 s a process.

    The learning rate falls linearly to nothing over all steps: at a constant one the weights never settle, and what
    they keep moving by is as large as the weak signals of this trade (Defazio et al. 2023, "When, Why and How Much?").
    """

    def __init__(self, weights: list[Tensor], params: ModelParams, steps: int) -> None:
        self.weights = weights
        self._done, self._all = 0, steps
        self._rate, self._decay = params.learning_rate, params.weight_decay
        self._first = [torch.zeros_like(weight) for weight in weights]
        self._second = [torch.zeros_like(weight) for weight in weights]
        self._steps = [torch.zeros(()) for _ in weights]

    def step(self, gradients: tuple[Tensor, ...]) -> None:
        with torch.no_grad():
            adamw(
                self.weights,
                list(gradients),
                self._first,
                self._second,
                [],
                self._steps,
                fused=True,
                amsgrad=False,
                beta1=0.9,
                beta2=0.999,
                lr=self._rate * (1.0 - self._done / self._all),
                weight_decay=self._decay,
                eps=1e-8,
                maximize=False,
            )
        self._done += 1


class _EarlyStopping:
    """Keeps the best weights seen and says when patience is spent."""

    def __init__(self, module: nn.Module, patience: int | None) -> None:
        self._module, self._patience, self._best_loss, self._since_best = module, patience, np.inf, 0
        self._best: dict[str, Tensor] | None = None

    def is_over(self, loss: float) -> bool:
        if loss < self._best_loss:
            self._best_loss, self._since_best = loss, 0
            self._best = copy.deepcopy(self._module.state_dict())
        else:
            self._since_best += 1
        return self._patience is not None and self._since_best >= self._patience

    def restore_best(self) -> None:
        if self._best is not None:
            self._module.load_state_dict(self._best)
