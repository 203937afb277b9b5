"""What training minimises, as named terms."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from neuralsde.errors import ConfigError
from neuralsde.inference.path import Bound, Estimator, Matching
from neuralsde.shares import Share

PerTerm = float | int | Mapping[str, float | int]


@dataclass(frozen=True)
class Loss:
    """The number to minimise and what it is made of (all scalars; `terms` are detached)."""

    total: Tensor
    terms: dict[str, Tensor]

    def times(self, factor: int) -> "Loss":
        """The same, multiplied."""
        return Loss(self.total * factor, {name: value * factor for name, value in self.terms.items()})


class ELBO(nn.Module):
    r"""Negative evidence lower bound, $-\log p(y \mid z) + \sum_k \beta_k \mathrm{KL}_k$, or its tighter form of $K$ samples,

    $$-\log \frac1K \sum_{i=1}^K p(y \mid z_i) \prod_k \Bigl(\frac{p_k(z_i)}{q_k(z_i)}\Bigr)^{\beta_k}.$$

    With `kl_per="entry"` both parts are nats per observed entry (bin and unit), so that $\beta = 1$ is the bound itself.
    `kl_per="trial"` adds the KL per trial to the likelihood per entry, as the LangevinFlow release does: its $\beta = 0.1$
    weighs the KL some thousand times more.

    Where only some entries are learned from, the form of several samples bounds the log-evidence of those; that of one sample
    scales their likelihood up to all, which an average may, and a log of an average may not.

    Args:
        kl_weight: final weight $\beta$, of all terms or by a term's name (a term that is not named has 1).
        kl_ramp_epochs: epochs over which the weight rises linearly from 0, likewise (a term that is not named: 0).
        kl_per: see above.
        count_blocked: keep entries that carry no gradient in the value and in the average, as the release does.
        samples: $K$.
        estimator: `analytic`, `sampled` or `landing`; see `neuralsde.inference.path.Estimator`. More than one sample needs
            `sampled`.

    Raises:
        ConfigError: settings that do not fit each other.

    Reference: Burda, Grosse, Salakhutdinov, *Importance weighted autoencoders*, 2016, arXiv:1509.00519; Roeder, Wu,
    Duvenaud, *Sticking the landing*, 2017, arXiv:1703.09194.
    """

    matching: Matching | None = None  # what is drawn at random, where the objective does not simulate

    def __init__(
        self,
        kl_weight: PerTerm = 1.0,
        kl_ramp_epochs: PerTerm = 0,
        kl_per: str = "entry",
        count_blocked: bool = False,
        samples: int = 1,
        estimator: str = "analytic",
    ):
        super().__init__()
        if kl_per not in ("entry", "trial"):
            raise ConfigError(f"objective.kl_per is {kl_per!r}; choose entry or trial.")
        if estimator not in (known := [e.value for e in Estimator]):
            raise ConfigError(f"objective.estimator is {estimator!r}; choose one of {', '.join(known)}.")
        if samples < 1 or (samples > 1 and (estimator != "sampled" or kl_per != "entry" or count_blocked)):
            raise ConfigError(
                f"objective.samples is {samples}; give 1, or more together with objective.estimator=sampled, kl_per=entry and "
                "count_blocked=false."
            )
        self.kl_weight, self.kl_ramp_epochs = kl_weight, kl_ramp_epochs
        self.kl_per, self.count_blocked, self.samples = kl_per, count_blocked, samples
        self.estimator = Estimator(estimator)

    def weight_at(self, epoch: int, term: str = "") -> float:
        """The weight of a KL term during `epoch`, counted from 0."""
        weight, ramp = of_term(self.kl_weight, term, 1.0), of_term(self.kl_ramp_epochs, term, 0.0)
        return weight * min(epoch / ramp, 1.0) if ramp else weight

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
        """The loss of a batch, or of one process's share of it: then the processes' losses, unless their share is empty, add up
        to the batch's.

        Args:
            log_prob: log-likelihood of each entry, in nats; of all trials under the first sample, then the second, …
            kl: divergences by name, each (sample * batch,), in nats.
            known: entries that were observed.
            learned: entries that the gradient may flow from.
            epoch: training epoch, from 0.
            share: of a trial's bins, those that the entries are of, where they are some drawn at random.
            own: which trials of the batch these are, where several processes divide it.
        """
        for name, setting in (("kl_weight", self.kl_weight), ("kl_ramp_epochs", self.kl_ramp_epochs)):
            if isinstance(setting, Mapping) and (unknown := set(setting) - set(kl)):
                raise ConfigError(
                    f"objective.{name} names {', '.join(sorted(unknown))}, but the terms are {', '.join(sorted(kl))}; use "
                    "those."
                )
        learned = learned & known
        trials, known_entries, entries = count(known, learned, own)
        scale = share * trials / known_entries.clamp(min=1)  # trials per entry
        if self.kl_per == "trial":
            scale = torch.ones_like(scale)
        part = 1.0 if own is None else own.part
        means = {name: value.mean() * part * scale for name, value in kl.items()}
        weights = {name: self.weight_at(epoch, name) for name in kl}
        if self.count_blocked:
            flowing = torch.where(learned, log_prob, log_prob.detach())
            nll = -flowing.masked_fill(~known, 0.0).sum() / known_entries
        else:
            log_lik = log_prob.masked_fill(~learned.repeat(self.samples, 1, 1), 0.0).sum((1, 2))
            nll = -log_lik.sum() / self.samples / entries
            if self.samples > 1:
                ratio = sum((weights[name] * value for name, value in kl.items()), torch.zeros_like(log_lik))
                log_weight = (log_lik - ratio).unflatten(0, (self.samples, -1))
                total = -(torch.logsumexp(log_weight, 0) - math.log(self.samples)).sum() / entries
                return Loss(total, {"nll": nll.detach(), **{k: v.detach() for k, v in means.items()}})
        total = nll + sum(weights[name] * value for name, value in means.items())
        return Loss(total, {"nll": nll.detach(), **{k: v.detach() for k, v in means.items()}})


class SDEMatching(ELBO):
    r"""The same bound, learned without simulating a path: its parts are estimated from states that are drawn at random times.

    $$-\sum_n \mathrm E \log p(y_n \mid z_{t_n}) + \mathrm{KL}(q(z_0) \| p(z_0))
      + T\,\mathrm E_t \tfrac12 |\tilde f - f|^2 / g^2,$$

    each a sum over all bins or all times in expectation, however few are drawn. For `model.dynamics` that have a posterior
    given by its marginals (`MatchedSDE`).

    Args:
        points: times of each trial at which the path's divergence is evaluated, one from each of as many stretches.
        observations: bins of each trial whose observations are explained; None for all.
        part_bins: draw all of them from a part of each trial of about so many bins, another one each time, so that a step costs
            the same in trials of any length; needs a `LocalEncoder`. None for the whole trial.
        bound: `continuous`, that of the equation in continuous time, or `discrete`, that of the solver's own steps, as `ELBO`
            learns: exactly for Euler–Maruyama steps of additive noise (in unconstrained coordinates), which go from one
            marginal to the next, and for other steps as they become short.
        kl_weight: see `ELBO`.
        kl_ramp_epochs: see `ELBO`.

    Raises:
        ConfigError: an impossible setting.

    Reference: Bartosh, Vetrov, Naesseth, *SDE matching*, 2025, arXiv:2502.02472.
    """

    def __init__(
        self,
        points: int = 16,
        observations: int | None = None,
        bound: str = "continuous",
        kl_weight: PerTerm = 1.0,
        kl_ramp_epochs: PerTerm = 0,
        part_bins: int | None = None,
    ):
        super().__init__(kl_weight, kl_ramp_epochs)
        for name, value in {"points": points, "observations": observations, "part_bins": part_bins}.items():
            if value is None and name != "points":
                continue
            if type(value) is not int or value < 1:
                raise ConfigError(f"objective.{name} is {value}; give a whole number of at least 1.")
        if bound not in (known := [b.value for b in Bound]):
            raise ConfigError(f"objective.bound is {bound!r}; choose one of {', '.join(known)}.")
        self.matching = Matching(points, observations, Bound(bound), part_bins)


def count(
    known: Bool[Tensor, "batch bin target"], learned: Bool[Tensor, "batch bin target"], own: Share | None
) -> tuple[int, Tensor, Tensor]:
    """Trials of the whole batch, entries that were observed, and those learned from (at least 1)."""
    counts = torch.stack([known.sum(), learned.sum()])
    if own is None:
        return len(known), counts[0], counts[1].clamp(min=1)
    known_entries, entries = own.summed(counts)
    return own.whole, known_entries, entries.clamp(min=1)


def of_term(value: PerTerm, term: str, default: float) -> float:
    """A term's own value, where values are given by name, else the common one."""
    return float(value.get(term, default)) if isinstance(value, Mapping) else float(value)
