"""Latent SDEs driven by fractional noise, against joint Gaussians written out by brute force."""

import math
from functools import partial

import pytest
import torch
from torch import nn

from neuralsde.errors import ConfigError
from neuralsde.inference import BoundedControl, Control, Estimator, LatentODE, LatentSDE, LinearGaussianSDE, Pull
from neuralsde.inference.path import Evidence
from neuralsde.likelihoods import Gaussian
from neuralsde.models import LatentModel
from neuralsde.nn.decoders import MLPDecoder
from neuralsde.nn.encoders import GRUEncoder
from neuralsde.noise import FractionalBrownian
from neuralsde.noise.fractional_weights import Fractional, covariance, exact_covariance
from neuralsde.sde import LearnedOrnsteinUhlenbeck, LinearNoise
from neuralsde.solvers import EulerMaruyama
from tests.inference.linear_gaussian_oracle import Chain

BINS, CHANNELS, SUBSTEPS = 6, 3, 2
TIMES = torch.cumsum(torch.tensor([[0.0, 0.1, 0.3, 0.1, 0.2, 0.3]], dtype=torch.float64), 1)
KINDS = ["type_i", "type_ii"]


def model(process=LinearGaussianSDE, control=BoundedControl, hurst=(0.3, 0.8), kind="type_i", seed=0):
    torch.manual_seed(seed)
    dynamics = partial(
        process, latent_size=2, sde=partial(LearnedOrnsteinUhlenbeck, rates=(0.7, 2.0)), control=control,
        solver=EulerMaruyama(), duration_s=1.0, substeps=SUBSTEPS,
    )  # fmt: skip
    made = LatentModel(
        GRUEncoder(CHANNELS, 8, 4, read_gaps=True), dynamics, partial(MLPDecoder, layers=0),
        partial(Gaussian, target_dim=CHANNELS),
        noise=partial(FractionalBrownian, hurst=list(hurst), learn=True, kind=kind, processes=4),
    ).double()  # fmt: skip
    with torch.no_grad():
        made.dynamics.prior_mean.normal_()
        made.dynamics.prior_log_var.normal_(std=0.3)
        made.dynamics.sde.mean.normal_()
        made.likelihood.log_excess_std.add_(torch.tensor([0.3, 0.8, 1.1]))
    return made


def chain(made) -> Chain:
    """The model as one Gaussian; the law of the noise's increments from its closed-form covariance."""
    dynamics, likelihood, noise = made.dynamics, made.likelihood, made.dynamics.noise
    dt = (TIMES[0].diff() / SUBSTEPS).repeat_interleave(SUBSTEPS)
    t = torch.cat([TIMES.new_zeros(1), dt.cumsum(0)])
    weights = noise.weights() / noise.unit
    whole = torch.stack([covariance(noise.kind, w, noise.rates, t[:, None], t[None]) for w in weights])
    increments = whole.diff(dim=1).diff(dim=2)
    sde = dynamics.sde.prepared()
    parts = (sde.rate, sde.mean, sde.sigma, dynamics.prior_mean, dynamics.prior_log_var.exp(), dt, SUBSTEPS)
    observed = (likelihood.readout.weight, likelihood.readout.bias, likelihood.noise_std(), increments)
    return Chain(*(p.detach() if isinstance(p, torch.Tensor) else p for p in (*parts, *observed)))


def observations(n=3):
    generator = torch.Generator().manual_seed(1)
    y = torch.randn(n, BINS, CHANNELS, dtype=torch.float64, generator=generator)
    seen = torch.rand(n, BINS, CHANNELS, generator=generator) < 0.7
    return y * seen, seen


def evidence(made, y, seen):
    return torch.stack([chain(made).log_evidence(*pair) for pair in zip(y, seen, strict=True)])


def log_weights(made, y, seen, samples, estimator):
    output = made(y, seen, TIMES, samples, estimator)
    log_prob = made.likelihood.log_prob(output.parameter, y.repeat(samples, 1, 1)).masked_fill(~seen.repeat(samples, 1, 1), 0.0)
    return (log_prob.sum((1, 2)) - sum(output.kl.values())).unflatten(0, (samples, -1))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("estimator", [Estimator.SAMPLED, Estimator.LANDING])
def test_the_exact_control_s_bound_is_the_log_evidence_without_variance(kind, estimator):
    """Every single sample's log-weight is the log-evidence, to 1e-7: two H, uneven steps, substeps and gaps."""
    made = model(kind=kind).eval()
    y, seen = observations()
    with torch.no_grad():
        weights = log_weights(made, y, seen, 5, estimator)
        torch.testing.assert_close(weights, evidence(made, y, seen).expand(5, -1), atol=1e-7, rtol=0)
        made.dynamics.noise.raw.add_(0.1)  # control: the evidence of another H
        assert (evidence(made, y, seen) - weights).abs().min() > 1e-3


@pytest.mark.parametrize("kind", KINDS)
def test_h_learns_by_maximum_likelihood(kind):
    """The bound's gradient in H is that of the log-evidence, by a central difference of the oracle."""
    made = model(kind=kind).eval()
    y, seen = observations()
    log_weights(made, y, seen, 1, Estimator.SAMPLED).sum().backward()
    for i in range(2):
        ends = []
        for shift in (1e-4, -1e-4):
            with torch.no_grad():
                made.dynamics.noise.raw[0, i] += shift
                ends.append(evidence(made, y, seen).sum())
                made.dynamics.noise.raw[0, i] -= shift
        torch.testing.assert_close(made.dynamics.noise.raw.grad[0, i], (ends[0] - ends[1]) / 2e-4, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_an_untrained_bound_stays_below_the_log_evidence(kind):
    """Of random controls, also of what the noise remembers at the start; four standard errors of 4096 samples."""
    for seed in range(2):
        made = model(LatentSDE, Pull, kind=kind, seed=seed).eval()
        with torch.no_grad():
            for layer in [m for m in made.dynamics.modules() if isinstance(m, nn.Linear)]:
                layer.weight.add_(0.2 * torch.randn_like(layer.weight))
            y, seen = observations()
            exact = evidence(made, y, seen)
            one = log_weights(made, y, seen, 4096, Estimator.SAMPLED)
        error, many = 4 * one.std(0) / 64, torch.logsumexp(one.unflatten(0, (64, 64)), 1) - math.log(64)
        assert (one.mean(0) - error < exact).all()
        assert (many.mean(0) - 4 * many.std(0) / 8 < exact).all()
        assert (many.mean(0) > one.mean(0) + error).all()
        assert (one.mean(0) < exact - error).any()  # the bound of a random control is not tight


def test_a_past_that_is_not_inferred_costs_nothing_and_one_that_is_counts_per_latent():
    """kl_memory: zero at the start of training, and 1/2 (m^2 + s^2 - 1 - ln s^2) for each remembered number."""
    made = model(LatentSDE, Pull).dynamics
    context = torch.randn(3, BINS, 16, dtype=torch.float64)
    assert made(context, TIMES, BINS).kl["kl_memory"].abs().max() == 0
    with torch.no_grad():
        made.past.bias[:8] = 0.5
        made.past.bias[8:] = math.log(0.25)
    one = 0.5 * (0.25 + 0.25 - 1 - math.log(0.25))
    torch.testing.assert_close(made(context, TIMES, BINS).kl["kl_memory"], torch.full((3,), 8 * one, dtype=torch.float64))


# -- bridges ----------------------------------------------------------------------------------------------------------


def bridge(process, control, hurst, steps, kind="type_ii", horizon=2.0, rate=1e-9, noise=None):
    """One state from 0 on, dX = -rate X dt + dB, on `steps` steps of [0, horizon]."""
    if noise is None:
        noise = partial(FractionalBrownian, hurst=hurst, kind=kind, processes=5, range=[0.1, 40.0], normalize="none")
    made = process(
        4, 1, sde=partial(LearnedOrnsteinUhlenbeck, rates=(rate, rate), deviation=1 / math.sqrt(2 * rate)), control=control,
        solver=EulerMaruyama(), duration_s=horizon, substeps=steps, noise=noise,
    ).double()  # fmt: skip
    with torch.no_grad():
        for parameter in (made.initial.weight, made.initial.bias):
            parameter.zero_()
        made.prior_log_var.fill_(-40.0)
        made.initial_log_var = -40.0
    return made


def exact_log_p(hurst, o=1.0, r=0.1):
    """log p(o) of the spec's bridge: type II, released grid, horizon 2, from the closed-form covariance."""
    noise = FractionalBrownian(1, 2.0, hurst, kind="type_ii", processes=5, range=[0.1, 40.0], normalize="none")
    two = torch.tensor([2.0], dtype=torch.float64)
    variance = covariance(Fractional.TYPE_II, noise.weights()[0] / noise.unit, noise.rates, two, two) + r**2
    return float(-0.5 * (o**2 / variance + variance.log() + math.log(2 * math.pi)))


class ClosedForm(Control):
    """The exact control of a bridge in continuous time, held over a step (derived from the Gaussian law of what is ahead)."""

    def __init__(self, context_size, state_size, noise_size, memory_size, owner, steps, horizon=2.0, o=1.0, r=0.1):
        super().__init__(context_size, noise_size, narrows=False)
        self.owner, self.o, self.r, self.horizon, self.steps = owner, o, r, horizon, steps
        self.clock = nn.Parameter(torch.zeros(()))

    def plan(self, context, spread, dt, outlook=None):
        self.n = 0
        return (context,)

    def forward(self, y, memory, *features):
        noise = self.owner[0].noise
        tau, w, g = self.horizon * (1 - self.n / self.steps), noise.weights()[0] / noise.unit, noise.rates
        self.n += 1
        state = memory[:, 0] * noise.unit
        mean = y[:, 0] + (w * torch.expm1(-g * tau) * state).sum(-1)
        both = g[:, None] + g
        variance = (w[:, None] * w * -torch.expm1(-both * tau) / both).sum()
        u = (w * torch.exp(-g * tau)).sum() * (self.o - mean) / (variance + self.r**2)
        return (u[:, None] + 0 * self.clock) * torch.sign(w.sum())


def bridge_bound(made, n=4000, o=1.0, r=0.1, estimator=Estimator.SAMPLED):
    """Mean and standard error of the bound of one observation at the end."""
    horizon = torch.tensor([[0.0, 2.0]], dtype=torch.float64)
    with torch.no_grad():
        path = made(torch.zeros(n, 2, 4, dtype=torch.float64), horizon, 2, estimator)
    log_lik = -0.5 * ((o - path.states[:, -1, 0]) / r) ** 2 - math.log(r) - 0.5 * math.log(2 * math.pi)
    weight = log_lik - path.kl["kl_path"]
    return weight.mean().item(), weight.std().item() / math.sqrt(n)


@pytest.mark.parametrize(
    ("hurst", "known"),
    [*(pytest.param(*case, marks=pytest.mark.slow) for case in ((0.2, -1.508), (0.5, -1.517))), (0.8, -1.560)],
)
def test_the_closed_form_control_s_bound_approaches_log_p(hurst, known):
    """log p against independent figures, and the bound at more and more steps; the gap shrinks by 1.5 or more as steps are
    quadrupled, until within its error."""
    log_p = exact_log_p(hurst)
    assert log_p == pytest.approx(known, abs=6e-4)
    gaps, errors = [], []
    for steps in (50, 200, 800):
        owner = []
        made = bridge(LatentSDE, partial(ClosedForm, owner=owner, steps=steps), hurst, steps)
        owner.append(made)
        bound, error = bridge_bound(made, 1000)
        gaps.append(log_p - bound), errors.append(error)
        print(f"H {hurst}: {steps} steps, bound {bound:.3f} +- {error:.3f}, log p {log_p:.3f}")
    assert min(gaps) > -4 * max(errors)
    for coarse, fine, error in zip(gaps, gaps[1:], errors[1:], strict=False):
        assert fine < coarse / 1.5 or fine < 4 * error
    assert gaps[-1] < 0.1 * gaps[0] or gaps[-1] < 0.05


@pytest.mark.parametrize("hurst", [0.2, 0.5, 0.8])
def test_exact_conditioning_gives_log_p_at_ten_steps(hurst):
    made = bridge(LinearGaussianSDE, BoundedControl, hurst, 10)
    precision = torch.zeros(2, 1, 1, 1, dtype=torch.float64)
    precision[1] = 100.0
    path = made(
        torch.zeros(50, 2, 4, dtype=torch.float64), torch.tensor([[0.0, 2.0]], dtype=torch.float64), 2, Estimator.SAMPLED,
        Evidence(precision, precision[..., 0]),
    )  # fmt: skip
    log_lik = -0.5 * ((1 - path.states[:, -1, 0]) / 0.1) ** 2 - math.log(0.1) - 0.5 * math.log(2 * math.pi)
    bound = log_lik - path.kl["kl_path"] - path.kl["kl_initial"]
    torch.testing.assert_close(bound, torch.full((50,), exact_log_p(hurst), dtype=torch.float64), atol=1e-5, rtol=0)


@pytest.mark.parametrize("hurst", [0.3, 0.7, *(pytest.param(h, marks=pytest.mark.slow) for h in (0.1, 0.5, 0.9))])
@pytest.mark.parametrize("rate", [pytest.param(1e-9, marks=pytest.mark.slow), 2.0])
def test_bridges_are_those_of_exact_fractional_noise(hurst, rate):
    r"""Deviation along a bridge to X_2 = 0 seen through noise of 0.1, theta 0 and 2, against conditioning of the exact process.

    Truth: the covariance of fractional Brownian motion, and for theta > 0 of $X = B - \theta \int e^{-\theta(t - v)} B_v dv$ by
    the trapezoid rule. 4000 paths; 6 % (12 % at H = .1 and .9, where the approximation of eight processes is poorest) allowed;
    the bridge of an H off by .2 must fail (control).
    """
    steps, n, tolerance = 32, 4000, 0.12 if hurst in (0.1, 0.9) else 0.06
    noise = partial(FractionalBrownian, hurst=hurst, kind="type_i", processes=8)
    made = bridge(LinearGaussianSDE, BoundedControl, hurst, 4, rate=rate, noise=noise)
    times = torch.linspace(0, 2, steps + 1, dtype=torch.float64)
    precision = torch.zeros(steps + 1, 1, 1, 1, dtype=torch.float64)
    precision[-1] = 100.0
    with torch.no_grad():
        found = made(
            torch.zeros(n, steps + 1, 4, dtype=torch.float64), times[None], steps + 1,
            evidence=Evidence(precision, 0 * precision[..., 0]),
        ).states[:, 1:, 0].std(0)  # fmt: skip
    found = found[1::2]

    def truth(h):
        fine = torch.linspace(0, 2, 16 * steps + 1, dtype=torch.float64)
        b = exact_covariance(Fractional.TYPE_I, torch.tensor(h), fine[:, None], fine[None])
        cell = torch.full_like(fine, fine[1])
        weight = torch.tril(torch.exp(-rate * (fine[:, None] - fine))) * cell
        weight = weight - torch.diag(0.5 * cell) - 0.5 * weight[:, :1] * torch.eye(1, len(fine), dtype=torch.float64)
        m = torch.eye(len(fine), dtype=torch.float64) - rate * weight
        k = m @ b @ m.T
        posterior = k - torch.outer(k[:, -1], k[-1]) / (k[-1, -1] + 0.01)
        return posterior.diagonal()[32::32].sqrt()

    assert ((found / truth(hurst) - 1).abs() < tolerance).all()
    assert ((found / truth(hurst + (0.2 if hurst < 0.5 else -0.2)) - 1).abs() > tolerance).any()


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (
            lambda noise: LatentODE(4, 2, sde=partial(LinearNoise, sigma=0.5), duration_s=1.0, noise=noise),
            "LatentODE is not driven by a noise of choice: set model/noise=brownian",
        ),
        (
            lambda noise: LatentSDE(
                4, 2, sde=partial(LinearNoise, sigma=0.5), control=BoundedControl, solver=EulerMaruyama(), duration_s=1.0,
                noise=noise,
            ),
            "EulerMaruyama takes the Itô integral",
        ),
    ],
)  # fmt: skip
def test_dynamics_that_it_does_not_drive_are_refused(build, sentence):
    with pytest.raises(ConfigError, match=sentence):
        build(partial(FractionalBrownian, hurst=0.3))
