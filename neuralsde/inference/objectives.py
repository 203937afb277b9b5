"""What training minimises, as named terms."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from neuralsde.errors import ConfigError


@dataclass(frozen=True)
class Loss:
    """The number to minimise and what it is made of (all scalars; `terms` are detached)."""

    total: Tensor
    terms: dict[str, Tensor]


class ELBO(nn.Module):
    r"""Negative evidence lower bound, $-\log p(y \mid z) + \beta \sum_k \mathrm{KL}_k$.

    With `kl_per="entry"` both parts are nats per observed entry (bin and unit), so that $\beta = 1$ is the bound itself.
    `kl_per="trial"` adds the KL per trial to the likelihood per entry, as the LangevinFlow release does: its $\beta = 0.1$
    weighs the KL some thousand times more.

    Args:
        kl_weight: final weight $\beta$.
        kl_ramp_epochs: epochs over which the weight rises linearly from 0.
        kl_per: see above.
        count_blocked: keep entries that carry no gradient in the value and in the average, as the release does.
    """

    def __init__(
        self,
        kl_weight: float = 1.0,
        kl_ramp_epochs: int = 0,
        kl_per: str = "entry",
        count_blocked: bool = False,
    ):
        super().__init__()
        if kl_per not in ("entry", "trial"):
            raise ConfigError(f"objective.kl_per is {kl_per!r}; choose entry or trial.")
        self.kl_weight, self.kl_ramp_epochs = kl_weight, kl_ramp_epochs
        self.kl_per, self.count_blocked = kl_per, count_blocked

    def weight_at(self, epoch: int) -> float:
        """The KL's weight during `epoch`, counted from 0."""
        return self.kl_weight * min(epoch / self.kl_ramp_epochs, 1.0) if self.kl_ramp_epochs else self.kl_weight

    def forward(
        self,
        log_prob: Float[Tensor, "batch bin target"],
        kl: dict[str, Tensor],
        known: Bool[Tensor, "batch bin target"],
        learned: Bool[Tensor, "batch bin target"],
        epoch: int,
    ) -> Loss:
        """The loss of a batch.

        Args:
            log_prob: log-likelihood of each entry, in nats.
            kl: divergences by name, each (batch,), in nats.
            known: entries that were observed.
            learned: entries that the gradient may flow from.
            epoch: training epoch, from 0.
        """
        learned = learned & known
        if self.count_blocked:
            flowing = torch.where(learned, log_prob, log_prob.detach())
            nll = -flowing.masked_fill(~known, 0.0).sum() / known.sum()
        else:
            nll = -log_prob.masked_fill(~learned, 0.0).sum() / learned.sum().clamp(min=1)
        scale = 1.0 if self.kl_per == "trial" else len(known) / known.sum()  # trials per entry
        terms = {name: value.mean() * scale for name, value in kl.items()}
        weight = self.weight_at(epoch)
        total = nll + weight * sum(terms.values())
        return Loss(total, {"nll": nll.detach(), **{k: v.detach() for k, v in terms.items()}})
