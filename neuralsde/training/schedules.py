"""Learning-rate schedules as factories: `schedule(optimizer, total_steps)` gives a scheduler or None.

A scheduler that watches a score comes with a `monitor` and is stepped by the module after each validation: Lightning would
step it after the checkpoint is written, and ask for the score also in epochs without a validation.
"""

import math
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, ReduceLROnPlateau, StepLR

from neuralsde.errors import ConfigError
from neuralsde.training.monitored import less_is_better


def warmup_cosine(optimizer: Optimizer, total_steps: int, warmup_steps: int = 50) -> dict[str, Any]:
    """Rise linearly over `warmup_steps`, then fall to zero along a cosine that ends with the last step."""

    def factor(step: int) -> float:
        rise = min(1.0, (step + 1) / max(warmup_steps, 1))
        return rise * 0.5 * (1 + math.cos(math.pi * min(step / max(total_steps, 1), 1.0)))

    return {"scheduler": LambdaLR(optimizer, factor), "interval": "step"}


def plateau(
    optimizer: Optimizer,
    total_steps: int,
    factor: float = 0.95,
    patience: int = 10,
    min_lr: float = 1e-5,
    monitor: str = "val/nll",
) -> dict[str, Any]:
    """Multiply the rate by `factor` once more than `patience` validations in a row brought no new best of `monitor`."""
    mode = "min" if less_is_better(monitor) else "max"
    scheduler = ReduceLROnPlateau(optimizer, mode, factor=factor, patience=patience, threshold=0.0, min_lr=min_lr)
    return {"scheduler": scheduler, "monitor": monitor}


def step(optimizer: Optimizer, total_steps: int, every_epochs: int = 10, factor: float = 0.5) -> dict[str, Any]:
    """Multiply the rate by `factor` after every so many epochs."""
    return {"scheduler": StepLR(optimizer, every_epochs, factor), "interval": "epoch"}


def cosine(optimizer: Optimizer, total_steps: int, half_epochs: int = 10, min_lr: float = 1e-5) -> dict[str, Any]:
    """Fall to `min_lr` along a cosine in so many epochs, and rise again in as many.

    Raises:
        ConfigError: an impossible setting.
    """
    if type(half_epochs) is not int or half_epochs < 1:
        raise ConfigError(f"schedule.half_epochs is {half_epochs}; give a whole number of at least 1.")
    if not min_lr >= 0:
        raise ConfigError(f"schedule.min_lr is {min_lr}; give a number of at least 0.")
    return {"scheduler": CosineAnnealingLR(optimizer, half_epochs, min_lr), "interval": "epoch"}


def constant(optimizer: Optimizer, total_steps: int) -> None:
    """Leave the rate as it is."""
