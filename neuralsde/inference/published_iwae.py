import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from neuralsde.errors import ConfigError
from neuralsde.inference.objectives import ELBO, Loss
from neuralsde.shares import Share


class PublishedIWAE(ELBO):
    r"""The loss that the code of mTAN, and of the published stable neural SDEs after it, calls IWAE. For a trial of $n$ entries

    $$-\log \frac1K \sum_{i=1}^K \exp \frac{\log p(y \mid z_i) - \beta\,\mathrm{KL}}{n},$$

    averaged over trials, so that few entries count as much as many. `ELBO` with `samples` and `estimator=sampled`
    (`objective=iwae`) is the bound that it is named after. The differences, each with a switch:

    * its divergence is the analytic one, equal for all samples, not each sample's own $\log q/p$. The weights are then those of
      the likelihood alone, and the value passes the log-evidence: it is no bound for $K > 1$;
    * the exponent is divided by $n$, which makes the weights nearly equal and the value nearly that of one sample.

    $\beta$ is 0 for some epochs and then $1 - r^{e - e_0}$, in epoch $e$ counted from 1.

    Args:
        samples: $K$.
        estimator: of the divergence: `analytic` as published, or `sampled`.
        per_entry: divide the exponent by $n$ as published; otherwise divide the logarithm, so that with `estimator=sampled` and
            $\beta = 1$ a trial's loss is its bound per entry.
        kl_wait_epochs: $e_0$.
        kl_approach: $r$; 0 for full weight after the wait.

    Raises:
        ConfigError: an impossible setting.

    Reference: Shukla & Marlin, *Multi-time attention networks for irregularly sampled time series*, 2021, arXiv:2101.10318; its
    code.
    """

    def __init__(
        self,
        samples: int = 5,
        estimator: str = "analytic",
        per_entry: bool = True,
        kl_wait_epochs: int = 10,
        kl_approach: float = 0.99,
    ):
        super().__init__(estimator=estimator)
        if type(samples) is not int or samples < 1:
            raise ConfigError(f"objective.samples is {samples}; give a whole number of at least 1.")
        if type(per_entry) is not bool:
            raise ConfigError(f"objective.per_entry is {per_entry}; give true or false.")
        if (
            type(kl_wait_epochs) is not int
            or not isinstance(kl_approach, int | float)
            or not (0 <= kl_approach < 1 and kl_wait_epochs >= 0)
        ):
            raise ConfigError(
                f"objective got kl_wait_epochs={kl_wait_epochs} and kl_approach={kl_approach}; give a whole number of "
                "at least 0, and a number from 0 up to 1."
            )
        self.samples, self.per_entry, self.kl_wait_epochs, self.kl_approach = samples, per_entry, kl_wait_epochs, kl_approach

    def weight_at(self, epoch: int, term: str = "") -> float:
        """$\\beta$ during `epoch`, counted from 0; of all terms."""
        waited = epoch + 1 - self.kl_wait_epochs
        return 1 - self.kl_approach**waited if waited > 0 else 0.0

    def forward(
        self,
        log_prob: Float[Tensor, "paths bin target"],
        kl: dict[str, Tensor],
        known: Bool[Tensor, "batch bin target"],
        learned: Bool[Tensor, "batch bin target"],
        epoch: int,
        share: float = 1.0,
        own: Share | None = None,
    ) -> Loss:
        """The loss of a batch, or of one process's share of it; arguments as of `ELBO`."""
        learned = learned & known
        entries, trials = learned.sum((1, 2)).clamp(min=1), len(known) if own is None else own.whole
        log_lik = log_prob.masked_fill(~learned.repeat(self.samples, 1, 1), 0.0).sum((1, 2)).unflatten(0, (self.samples, -1))
        costs = {name: value.unflatten(0, (self.samples, -1)) for name, value in kl.items()}
        exponent = log_lik - self.weight_at(epoch) * sum(costs.values(), torch.zeros_like(log_lik))
        if self.per_entry:
            found = torch.logsumexp(exponent / entries, 0) - math.log(self.samples)
        else:
            found = (torch.logsumexp(exponent, 0) - math.log(self.samples)) / entries
        means = {name: (value.mean(0) / entries).sum() / trials for name, value in costs.items()}
        terms = {"nll": -(log_lik.mean(0) / entries).sum() / trials, **means}
        return Loss(-found.sum() / trials, {name: value.detach() for name, value in terms.items()})
