"""Bounds of several samples on a linear-Gaussian model, whose log-evidence is known, and the published loss of that name."""

import math

import pytest
import torch

from neuralsde.errors import ConfigError
from neuralsde.inference import ELBO, Estimator, PublishedIWAE
from neuralsde.inference.path import gaussian_sample
from neuralsde.inference.scale import DiagonalScale

READOUT = torch.tensor([[1.0, 0.5], [-0.3, 0.8], [0.6, 0.1]], dtype=torch.float64)
NOISE = 0.5
Y = torch.tensor([0.9, -0.4, 1.3], dtype=torch.float64)
MEAN, LOG_VAR = torch.tensor([0.3, -0.1]), torch.tensor([-0.5, 0.2])  # of a posterior that is not the exact one
TRIALS, REPEATS = 40, 25
KNOWN = torch.ones(TRIALS, 1, 3, dtype=torch.bool)


def evidence() -> float:
    """log p(y) of y = A z + noise with z standard normal."""
    covariance = READOUT @ READOUT.T + NOISE**2 * torch.eye(3, dtype=torch.float64)
    return float(torch.distributions.MultivariateNormal(torch.zeros(3, dtype=torch.float64), covariance).log_prob(Y))


def bounds(objective, estimator: Estimator) -> tuple[float, float]:
    """The bound in nats, a mean over 1000 independent values, and five standard errors of it."""
    k = objective.samples
    mean, log_var = (part.double().expand(REPEATS * k * TRIALS, -1) for part in (MEAN, LOG_VAR))
    z, cost = gaussian_sample(
        mean, DiagonalScale(log_var[None] / 2), torch.zeros(2).double(), torch.zeros(2).double(), estimator
    )
    log_prob = torch.distributions.Normal(z @ READOUT.T, NOISE).log_prob(Y)[:, None].unflatten(0, (REPEATS, -1))
    each = zip(log_prob, cost.unflatten(0, (REPEATS, -1)), strict=True)
    found = -3 * torch.stack([objective(entries, {"kl": kl}, KNOWN, KNOWN, 0).total for entries, kl in each])
    return found.mean().item(), 5 * found.std().item() / REPEATS**0.5


def full(k: int, **settings) -> PublishedIWAE:
    return PublishedIWAE(k, kl_wait_epochs=0, kl_approach=0.0, **settings)


def test_the_bound_rises_with_the_samples_to_the_log_evidence():
    """With five standard errors. The control: the published form, whose divergence does not go with its sample, passes it."""
    torch.manual_seed(0)
    exact = evidence()
    (one, e1), (four, e4), (many, e64) = (bounds(ELBO(samples=k, estimator="sampled"), Estimator.SAMPLED) for k in (1, 4, 64))
    assert one + e1 < four - e4
    assert four + e4 < many - e64
    assert one + e1 < exact - 0.1
    assert abs(many - exact) < e64 + 0.02
    published, error = bounds(full(64, per_entry=False), Estimator.ANALYTIC)
    assert published - error > exact
    inside, error = bounds(full(64, per_entry=False, estimator="sampled"), Estimator.SAMPLED)
    assert abs(inside - exact) < error + 0.02


def test_one_sample_is_the_elbo():
    torch.manual_seed(0)
    log_prob, kl = torch.randn(4, 5, 3), {"a": torch.rand(4), "b": torch.rand(4)}
    known = torch.ones(4, 5, 3, dtype=torch.bool)
    elbo = ELBO()(log_prob, kl, known, known, 0)
    for objective in (ELBO(samples=1, estimator="sampled"), full(1), full(1, per_entry=False)):
        loss = objective(log_prob, kl, known, known, 0)
        torch.testing.assert_close(loss.total, elbo.total)
        for name, value in elbo.terms.items():
            torch.testing.assert_close(loss.terms[name], value)


def test_the_published_loss_is_its_formula():
    """Trial by trial, with trials of different numbers of entries, one of which has none."""
    torch.manual_seed(0)
    k, trials = 3, 4
    log_prob, kl = torch.randn(k * trials, 5, 2), torch.rand(trials).repeat(k)
    known = torch.rand(trials, 5, 2) < torch.tensor([0.9, 0.5, 0.2, 0.0])[:, None, None]
    objective = PublishedIWAE(k)
    epoch = 59
    beta = 1 - 0.99 ** (60 - 10)
    expected = 0.0
    for n in range(trials):
        entries = max(int(known[n].sum()), 1)
        inner = [(log_prob[i * trials + n][known[n]].sum() - beta * kl[n]) / entries for i in range(k)]
        expected -= (math.log(sum(math.exp(x) for x in inner)) - math.log(k)) / trials
    loss = objective(log_prob, {"kl_states": kl}, known, torch.ones_like(known), epoch)
    assert loss.total == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize(("epoch", "weight"), [(0, 0.0), (9, 0.0), (10, 0.01), (11, 0.0199), (299, 1 - 0.99**290)])
def test_the_published_weight_waits_and_approaches_one(epoch, weight):
    assert PublishedIWAE().weight_at(epoch) == pytest.approx(weight)


@pytest.mark.parametrize("settings", [{"samples": 0}, {"kl_approach": 1.0}, {"kl_wait_epochs": -1}])
def test_impossible_settings_are_refused(settings):
    with pytest.raises(ConfigError):
        PublishedIWAE(**settings)
