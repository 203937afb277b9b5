"""What a latent process hands on: a path and what it cost."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
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


def sample_standard(
    mean: Float[Tensor, "batch state"], log_var: Float[Tensor, "batch state"]
) -> tuple[Float[Tensor, "batch state"], Float[Tensor, " batch"]]:
    r"""A sample of $\mathcal N(m, e^{l})$ and its divergence from $\mathcal N(0, 1)$, summed over the state."""
    sample = mean + torch.exp(log_var / 2) * torch.randn_like(mean)
    return sample, 0.5 * (mean.square() + log_var.exp() - log_var - 1).sum(1)
