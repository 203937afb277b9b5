"""Bounds against the exact log-evidence of the same discretised model, a joint Gaussian written out by brute force."""

import math
from dataclasses import replace
from functools import partial

import pytest
import torch

from neuralsde.errors import ConfigError
from neuralsde.inference import BoundedControl, Estimator, LatentSDE, LinearGaussianSDE, Pull
from neuralsde.likelihoods import Gaussian, Poisson
from neuralsde.models import LatentModel
from neuralsde.nn.decoders import MLPDecoder
from neuralsde.nn.encoders import GRUEncoder
from neuralsde.sde import LangevinType, LearnedOrnsteinUhlenbeck
from neuralsde.solvers import EulerMaruyama
from tests.inference.linear_gaussian_oracle import Chain

BINS, STATES, CHANNELS, SUBSTEPS = 7, 2, 3, 2
TIMES = torch.cumsum(torch.tensor([[0.0, 0.1, 0.3, 0.1, 0.2, 0.15, 0.25]], dtype=torch.float64), 1)


def model(process=LinearGaussianSDE, control=BoundedControl, substeps=SUBSTEPS, seed=0, **settings):
    torch.manual_seed(seed)
    dynamics = partial(
        process, latent_size=STATES, sde=partial(LearnedOrnsteinUhlenbeck, rates=(0.7, 2.0)), control=control,
        solver=EulerMaruyama(), duration_s=1.0, substeps=substeps, **settings,
    )  # fmt: skip
    made = LatentModel(
        GRUEncoder(CHANNELS, 8, 4, read_gaps=True),
        dynamics,
        partial(MLPDecoder, layers=0),
        partial(Gaussian, target_dim=CHANNELS),
    ).double()
    with torch.no_grad():
        made.dynamics.prior_mean.normal_()
        made.dynamics.prior_log_var.normal_(std=0.3)
        made.dynamics.sde.mean.normal_()
        made.likelihood.log_excess_std.add_(torch.tensor([0.3, 0.8, 1.1]))
    return made


def chain(made, times=TIMES, substeps=SUBSTEPS) -> Chain:
    dynamics, likelihood = made.dynamics, made.likelihood
    sde, d = dynamics.sde.prepared(), made.dynamics
    dt = (times[0].diff() / substeps).repeat_interleave(substeps)
    parts = (sde.rate, sde.mean, sde.sigma, d.prior_mean, d.prior_log_var.exp(), dt, substeps)
    observed = (likelihood.readout.weight, likelihood.readout.bias, likelihood.noise_std())
    return Chain(*(p.detach() if isinstance(p, torch.Tensor) else p for p in (*parts, *observed)))


def observations(n=3, bins=BINS):
    generator = torch.Generator().manual_seed(1)
    y = torch.randn(n, bins, CHANNELS, dtype=torch.float64, generator=generator)
    seen = torch.rand(n, bins, CHANNELS, generator=generator) < 0.7
    return y * seen, seen


def log_weights(made, y, seen, samples, estimator, times=TIMES):
    """Of each sample and trial, (sample, trial): log-likelihood less the estimated divergences."""
    output = made(y, seen, times, samples, estimator)
    log_prob = made.likelihood.log_prob(output.parameter, y.repeat(samples, 1, 1)).masked_fill(~seen.repeat(samples, 1, 1), 0.0)
    return (log_prob.sum((1, 2)) - sum(output.kl.values())).unflatten(0, (samples, -1))


@pytest.mark.parametrize("estimator", [Estimator.SAMPLED, Estimator.LANDING])
def test_the_exact_control_s_bound_is_the_log_evidence_without_variance(estimator):
    """Every single sample's log-weight is the log-evidence, to rounding: with irregular steps, substeps and gaps."""
    made = model().eval()
    y, seen = observations()
    exact = torch.stack([chain(made).log_evidence(*pair) for pair in zip(y, seen, strict=True)])
    with torch.no_grad():
        weights = log_weights(made, y, seen, 5, estimator)
    torch.testing.assert_close(weights, exact.expand(5, -1), atol=1e-8, rtol=0)
    # Control: another noise of the observations, as a variance taken for a standard deviation would give.
    made.likelihood.log_excess_std.data.mul_(2)
    assert (log_weights(made, y, seen, 5, estimator) - exact).abs().min() > 0.01


def test_the_analytic_bound_is_the_log_evidence_within_error():
    """The mean over 5000 samples, within four standard errors; a divergence averaged over states is seen (control)."""
    made = model().eval()
    y, seen = observations()
    exact = torch.stack([chain(made).log_evidence(*pair) for pair in zip(y, seen, strict=True)])
    with torch.no_grad():
        weights = log_weights(made, y, seen, 5000, Estimator.ANALYTIC)
        output = made(y, seen, TIMES, 5000, Estimator.ANALYTIC)
    error = 4 * weights.std(0) / math.sqrt(len(weights))
    assert ((weights.mean(0) - exact).abs() < error).all()
    halved = weights.mean(0) + output.kl["kl_path"].unflatten(0, (5000, -1)).mean(0) / STATES
    assert ((halved - exact).abs() > error).all()


def test_sampled_paths_have_the_exact_posterior_s_moments():
    """Mean and covariance of the path at the bins, 40,000 samples, six standard errors."""
    made = model().eval()
    y, seen = observations(1)
    mean, covariance = chain(made).posterior(y[0], seen[0])
    index = torch.cat([torch.arange(STATES) + n * SUBSTEPS * STATES for n in range(BINS)])
    mean, covariance = mean[index], covariance[index][:, index]
    with torch.no_grad():
        paths = made(y, seen, TIMES, 40_000).latents.flatten(1)
    deviation = covariance.diagonal().sqrt()
    assert ((paths.mean(0) - mean).abs() < 6 * deviation / 200).all()
    assert ((paths.T.cov() - covariance).abs() < 6 * math.sqrt(2) * torch.outer(deviation, deviation) / 200).all()
    assert ((1.05 * paths.mean(0) - mean).abs() > 6 * deviation / 200).any()  # control


@pytest.mark.parametrize("seed", range(3))
def test_an_untrained_bound_stays_below_the_log_evidence(seed):
    """Of random controls, four standard errors of 4000 samples; 64 samples together come closer, and stay below."""
    made = model(LatentSDE, Pull, seed=seed).eval()
    y, seen = observations()
    exact = torch.stack([chain(made).log_evidence(*pair) for pair in zip(y, seen, strict=True)])
    with torch.no_grad():
        one = log_weights(made, y, seen, 4096, Estimator.SAMPLED)
    error = 4 * one.std(0) / 64
    many = torch.logsumexp(one.unflatten(0, (64, 64)), 1) - math.log(64)
    assert (one.mean(0) - error < exact).all()
    assert (many.mean(0) - 4 * many.std(0) / 8 < exact).all()
    assert (many.mean(0) > one.mean(0) + error).all()
    assert (one.mean(0) < exact - error).any()  # the bound of a random control is not tight


@pytest.mark.parametrize("estimator", [pytest.param(Estimator.SAMPLED, marks=pytest.mark.slow), Estimator.LANDING])
def test_estimators_agree_in_value_and_in_gradient(estimator):
    """Of the divergences alone, over the same 50 x 400 paths, for every parameter that they depend on; six standard errors.

    A divergence that is a fifth too large, and one of the other sign, must be seen (controls)."""
    made = model(LatentSDE, Pull).dynamics
    with torch.no_grad():
        made.control.target.bias.fill_(0.7), made.control.rate.bias.fill_(0.5), made.control.out.weight.normal_(std=0.3)
    parameters = dict(made.named_parameters())
    context = torch.randn(1, BINS, 16, dtype=torch.float64).expand(400, -1, -1)
    estimates = {}
    for choice in (Estimator.ANALYTIC, estimator):
        rows = []
        for seed in range(50):
            torch.manual_seed(seed)
            value = sum(cost.mean() for cost in made(context, TIMES, BINS, choice).kl.values())
            gradients = torch.autograd.grad(value, list(parameters.values()), allow_unused=True)
            rows.append(torch.cat([value.detach()[None], *(g.flatten() for g in gradients if g is not None)]))
        estimates[choice] = torch.stack(rows)
    difference = estimates[estimator] - estimates[Estimator.ANALYTIC]
    error = 6 * difference.std(0) / math.sqrt(50) + 1e-9
    assert (difference.mean(0).abs() < error).all()
    exact = estimates[Estimator.ANALYTIC].mean(0)
    for factor in (1.2, -1.0):
        off = (factor * estimates[estimator].mean(0) - exact).abs() > error
        assert off[0]
        assert off.double().mean() > 0.3


def test_sticking_the_landing_has_less_variance_the_finer_the_steps():
    """At the optimal continuous control (unit scale) the log-weight's deviation falls with the steps; the plain one's stays."""
    deviations = {}
    for substeps in (2, 8, 32):
        made = model(substeps=substeps).eval()
        y, seen = observations(1)

        class UnitScale(LinearGaussianSDE):
            def _condition(self, *arguments):
                start, plan = super()._condition(*arguments)
                return start, replace(plan, scale=None)

        made.dynamics.__class__ = UnitScale
        with torch.no_grad():
            for estimator in (Estimator.LANDING, Estimator.ANALYTIC):
                deviations[estimator, substeps] = log_weights(made, y, seen, 1000, estimator).std()
    landing = [deviations[Estimator.LANDING, n] for n in (2, 8, 32)]
    assert landing[0] > 1.5 * landing[1] > 2.25 * landing[2]
    assert deviations[Estimator.ANALYTIC, 32] > 5 * landing[2]
    assert deviations[Estimator.ANALYTIC, 32] > 0.7 * deviations[Estimator.ANALYTIC, 2]


def test_a_part_that_is_not_linear_gaussian_is_refused():
    with pytest.raises(ConfigError, match=r"LinearGaussianSDE knows .* Ornstein–Uhlenbeck .* got LangevinType"):
        LinearGaussianSDE(
            4, 2, sde=partial(LangevinType, sigma=0.5), control=BoundedControl, solver=EulerMaruyama(), duration_s=1.0
        )
    dynamics = partial(
        LinearGaussianSDE, latent_size=2, sde=LearnedOrnsteinUhlenbeck, control=BoundedControl, solver=EulerMaruyama(),
        duration_s=1.0,
    )  # fmt: skip
    with pytest.raises(ConfigError, match=r"choose model/decoder=linear .* model/likelihood=gaussian"):
        LatentModel(GRUEncoder(3, 4, 4), dynamics, partial(MLPDecoder, layers=0), partial(Poisson, target_dim=3))


@pytest.mark.slow
def test_a_trained_bound_is_within_a_twentieth_of_a_nat_per_observation():
    """A general latent SDE, trained on data of its own kind: the gap to its own model's log-evidence, on fresh trials."""
    torch.manual_seed(0)
    truth = model(seed=3)
    times = 0.15 * torch.arange(BINS, dtype=torch.float64)[None]
    with torch.no_grad():
        y = truth.likelihood.sample(truth.generate(640, times).parameter)
    train, test, everything = y[:512], y[512:], torch.ones(512, BINS, CHANNELS, dtype=torch.bool)
    made = model(LatentSDE, Pull, substeps=1, seed=5).train()
    optimizer = torch.optim.Adam(made.parameters(), 1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 700)
    for step in range(700):
        rows = torch.randint(512, (128,), generator=torch.Generator().manual_seed(step))
        loss = -log_weights(made, train[rows], everything[:128], 1, Estimator.LANDING, times).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step(), schedule.step()

    def gap(latent):
        """Of the bound to the model's own log-evidence, nats per observation."""
        with torch.no_grad():
            bound = log_weights(latent.eval(), test, everything[:128], 200, Estimator.LANDING, times).mean(0)
        oracle = chain(latent, times, 1)
        exact = torch.stack([oracle.log_evidence(trial, everything[0]) for trial in test])
        return (exact - bound).mean().item() / (BINS * CHANNELS)

    print(f"gap {gap(made):.4f} nats per observation, untrained {gap(model(LatentSDE, Pull, substeps=1)):.2f}")
    assert -0.005 < gap(made) < 0.05
    assert gap(model(LatentSDE, Pull, substeps=1)) > 0.05  # control
