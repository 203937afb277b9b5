"""What a latent process hands on: a path and what it cost."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class LatentPath:
    """A sample of the posterior path.

    Args:
        states: (batch, bin, latent).
        kl: divergence of the posterior from the prior in nats, term by name, each (batch,).
    """

    states: Tensor
    kl: dict[str, Tensor]
