"""A small recurrent decoder."""

import copy
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from neuralsde.analysis.ridge import trial_folds

HIDDEN, BATCH, RATE, DECAY = 32, 32, 5e-3, 1e-2
MOST_EPOCHS, PATIENCE = 150, 15
"""Epochs at most, and epochs without a better validation loss after which training ends."""
VALIDATED = 5
"""One of so many training trials is kept apart, to say when to stop."""


class GRUDecoder(nn.Module):
    """A GRU that reads the bins of a trial in their order, and a linear map from its state; both sides standardised.

    Args:
        input_size: features per bin.
        output_size: channels per bin.
    """

    def __init__(self, input_size: int, output_size: int):
        super().__init__()
        self.dropout = nn.Dropout(0.2)
        self.gru = nn.GRU(input_size, HIDDEN, batch_first=True)
        self.readout = nn.Linear(HIDDEN, output_size)

    def forward(self, x: Float[Tensor, "trial bin feature"]) -> Float[Tensor, "trial bin channel"]:
        return self.readout(self.gru(self.dropout(x))[0])


@dataclass(frozen=True)
class FittedGRU:
    """A trained decoder and the units of what it reads and writes.

    Args:
        net: the decoder, in evaluation mode.
        input_units: mean and standard deviation of each feature, (2, feature).
        output_units: mean and standard deviation of each channel, (2, channel).
        epochs: of training, up to the best one.
        validation_loss: mean squared error of the trials kept apart, in units of the variance.
    """

    net: GRUDecoder
    input_units: np.ndarray
    output_units: np.ndarray
    epochs: int
    validation_loss: float
    weights: ClassVar[None] = None  # it is not linear
    intercept: ClassVar[None] = None

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Values, (trial, bin, channel), from features (trial, bin, feature)."""
        with torch.inference_mode():
            decoded = self.net(standardised(features, self.input_units)).numpy().astype(np.float64)
        return decoded * self.output_units[1] + self.output_units[0]

    @property
    def chosen(self) -> dict[str, float]:
        """When training ended, and how well the trials kept apart were decoded."""
        return {"epochs": float(self.epochs), "validation_r2": 1 - self.validation_loss}


def fit_gru(features: np.ndarray, values: np.ndarray, seed: int) -> FittedGRU:
    """Train on four fifths of the trials until the rest is not decoded better any more; the random state is left as it was.

    Args:
        features: (trial, bin, feature).
        values: (trial, bin, channel); bins with a NaN are left out.
        seed: of weights, batches and the trials kept apart.

    Raises:
        DataError: there are too few trials with known values.
    """
    known = np.asarray(~np.isnan(values).any(-1))
    usable = np.asarray(known.any(1))
    apart = (trial_folds(usable, VALIDATED, seed) == 0) & usable
    fitted = ~apart & usable
    inputs, outputs = (units_of(part[fitted][known[fitted]]) for part in (features, values))
    x, y = standardised(features, inputs), standardised(values, outputs)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = GRUDecoder(x.shape[2], y.shape[2])
        epochs, loss = train(net, (x[fitted], y[fitted]), (x[apart], y[apart]))
    return FittedGRU(net, inputs, outputs, epochs, loss)


def train(net: GRUDecoder, fitted: tuple[Tensor, Tensor], apart: tuple[Tensor, Tensor]) -> tuple[int, float]:
    """Leave `net` with the weights that decode the trials `apart` best; returns their epoch and their loss."""
    optimizer = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=DECAY)
    best, best_loss, best_epoch = copy.deepcopy(net.state_dict()), float("inf"), 0
    for epoch in range(1, MOST_EPOCHS + 1):
        net.train()
        for index in torch.randperm(len(fitted[0])).split(BATCH):
            optimizer.zero_grad()
            squared_error(net(fitted[0][index]), fitted[1][index]).backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
        net.eval()
        with torch.inference_mode():
            loss = squared_error(net(apart[0]), apart[1]).item()
        if loss < best_loss:
            best, best_loss, best_epoch = copy.deepcopy(net.state_dict()), loss, epoch
        if epoch - best_epoch >= PATIENCE:
            break
    net.load_state_dict(best)
    return best_epoch, best_loss


def squared_error(decoded: Float[Tensor, "*batch"], values: Float[Tensor, "*batch"]) -> Float[Tensor, ""]:
    """Mean over the known entries."""
    known = ~values.isnan()
    return (decoded - values)[known].square().mean()


def units_of(rows: np.ndarray) -> np.ndarray:
    """Mean and standard deviation of each column, (2, column); one where it does not vary."""
    spread = rows.std(0)
    return np.stack([rows.mean(0), np.where(spread > 0, spread, 1.0)])


def standardised(values: np.ndarray, units: np.ndarray) -> Tensor:
    """Values in their units, float32."""
    return torch.from_numpy(((values - units[0]) / units[1]).astype(np.float32))
