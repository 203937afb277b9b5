"""Learning without simulating: against exact posteriors, brute-force Gaussians, simulation and the solver's own bound."""

import itertools
import json
import math
import subprocess
import sys
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from scipy.optimize import minimize_scalar
from scipy.stats import kstest

from benchmarks.scaling import PARTS, Case, build, peak_mib
from neuralsde.errors import ConfigError, DivergenceError
from neuralsde.inference import Estimator, LatentODE, MatchedSDE, SDEMatching
from neuralsde.inference.full_marginals import FullMarginals, MovingFullGaussian, root
from neuralsde.inference.marginals import DiagonalMarginals, MovingGaussian
from neuralsde.inference.matched_sde import antithetic, some_bins, step_ends, stratified
from neuralsde.inference.path import Bound, Matching
from neuralsde.nn.curves import SplineCurves
from neuralsde.nn.curves.base import interval_of
from neuralsde.nn.local_context import Part, whole
from neuralsde.nn.potentials import Quadratic
from neuralsde.noise import FractionalBrownian
from neuralsde.sde import (
    AbstractSDE,
    Calculus,
    Geometric,
    LangevinType,
    LearnedLangevin,
    LearnedOrnsteinUhlenbeck,
    LinearNoise,
    Neural,
    NeuralAdditive,
    NoiseType,
)
from neuralsde.solvers import BAOAB, EulerMaruyama, Heun, LinearNoiseSplitting, LogEuler, Milstein
from neuralsde.solvers.integrate import time_grid
from tests.inference.gaussian_process_oracle import (
    ExactCurves,
    LinearPosterior,
    diagonal_moments,
    full_moments,
    underdamped_moments,
)

T, Y, NOISE = torch.tensor([0.5, 1.2, 2.0]).double(), torch.tensor([[0.7], [-0.2], [0.4]]).double(), 0.3
BINS = 41
TIMES = torch.linspace(0, 2, BINS).double()[None]
SEEN = (T / 0.05).round().long()
STANDARD_ERRORS = 4.0  # of which a mean may be off: alpha 6e-5 for each assertion


def matrix(*rows):
    return torch.tensor(rows, dtype=torch.float64)


class Rotating(AbstractSDE):
    """dz = A z dt + sigma dW."""

    noise = NoiseType.ADDITIVE
    calculus = Calculus.ITO

    def __init__(self, state_size, a, sigma):
        super().__init__()
        self.a, self.sigma = a, sigma

    def drift(self, t, z):
        return z @ self.a.T.to(z)

    def diffusion(self, t, z):
        return torch.full_like(z, self.sigma)


THETA, SIGMA = 1.1, 0.8
OU = LinearPosterior(matrix([-THETA]), matrix([SIGMA**2]), matrix([1.0]), matrix([1.0]), T, Y, NOISE)
TURN = matrix([-0.4, 2.5], [-2.5, -0.8])
PLANE = LinearPosterior(TURN, 0.7**2 * torch.eye(2).double(), torch.eye(2).double(), matrix([1.0, 0.3]), T, Y, NOISE)
GAMMA, OMEGA = 1.5, 3.0  # in units of velocity's deviation, omega = thermal speed
KICK = matrix([0.0, 0.0], [0.0, 2 * GAMMA * OMEGA**2])
SPRING = LinearPosterior(
    matrix([0.0, 1.0], [-(OMEGA**2), -GAMMA]), KICK, matrix([1.0, 0.0], [0.0, OMEGA**2]), matrix([1.0, 0.0]), T, Y, NOISE
)


OU_MOMENTS, PLANE_MOMENTS, SPRING_MOMENTS = diagonal_moments(OU), full_moments(PLANE), underdamped_moments(SPRING)
SPRING_SCALED = {
    True: SPRING_MOMENTS[True],
    False: lambda t: SPRING_MOMENTS[False](t) - math.log(OMEGA),
}  # of the thermal speed


def exact(size, moments, sde, solver=None, last=1.0, **settings):
    """A process whose marginals are `moments`, for trials of two seconds, started at a standard normal."""
    curves = partial(ExactCurves, moments=moments, last=last)
    process = MatchedSDE(
        3, size, curves=curves, sde=sde, solver=solver or EulerMaruyama(), duration_s=2.0, initial_log_var=0.0, **settings
    )
    return process.double()


def ornstein_uhlenbeck(**settings):
    sde = partial(LearnedOrnsteinUhlenbeck, rates=[THETA, THETA], deviation=SIGMA / math.sqrt(2 * THETA))
    return exact(1, OU_MOMENTS, sde, covariance="diagonal", **settings)


def oscillator(**settings):
    sde = partial(LearnedLangevin, potential=Quadratic, friction=GAMMA, frequency=[OMEGA / (2 * math.pi)] * 2, step=0.05)
    return exact(2, SPRING_SCALED, sde, BAOAB(), decode_coordinates=True, **settings)


def plane(moments, covariance="full", **settings):
    return exact(2, moments, partial(Rotating, a=TURN, sigma=0.7), covariance=covariance, **settings)


def bounds(process, posterior, trials=8000, matching=None, seed=0):
    """Samples of the bound, (trials,), and the log-evidence."""
    torch.manual_seed(seed)
    context = torch.zeros(trials, BINS, 3).double()
    match = process.match(context, TIMES, BINS, matching or Matching(24, None, Bound.CONTINUOUS))
    return log_likelihood(match.states[:, SEEN], posterior) - sum(match.kl.values()), posterior.log_evidence()


def log_likelihood(states, posterior):
    return torch.distributions.Normal(states @ posterior.c.T, NOISE).log_prob(Y).sum((1, 2))


def off(samples, value):
    """Standard errors by which the mean of `samples` is above `value`."""
    return ((samples.mean() - value) / samples.std() * len(samples) ** 0.5).item()


@pytest.mark.parametrize(
    ("process", "posterior"),
    [(ornstein_uhlenbeck, OU), (lambda: plane(PLANE_MOMENTS), PLANE), (oscillator, SPRING)],
    ids=["ornstein_uhlenbeck", "rotating_plane", "underdamped_oscillator"],
)
def test_exact_marginals_give_the_log_evidence(process, posterior):
    samples, evidence = bounds(process(), posterior)
    assert abs(off(samples.detach(), evidence)) < STANDARD_ERRORS


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: plane(diagonal_moments(PLANE), "diagonal"),  # a factorised posterior
        lambda: plane(PLANE_MOMENTS, last=0.0),  # the right marginals, and no current around them
        lambda: plane(PLANE_MOMENTS, last=-1.0),  # the current's sign
    ],
    ids=["factorised", "no_current", "current_the_other_way"],
)
def test_other_posteriors_of_a_rotating_plane_bound_it_less_tightly(wrong):
    samples, evidence = bounds(wrong(), PLANE)
    assert off(samples.detach(), evidence) < -2 * STANDARD_ERRORS


def test_the_oscillator_s_bound_sees_a_velocity_that_is_too_wide():
    process = oscillator()
    process.marginals.log_std = math.log(1.5)  # of positions and velocities
    samples, evidence = bounds(process, SPRING)
    assert off(samples.detach(), evidence) < -2 * STANDARD_ERRORS


def gradients(value, process):
    return torch.stack([g.squeeze() for g in torch.autograd.grad(value, [process.sde.log_rate, process.sde.log_deviation])])


def test_gradients_of_the_prior_are_those_of_the_log_evidence_and_of_the_solver_s_bound():
    process = ornstein_uhlenbeck(substeps=5)
    matched = gradients(bounds(process, OU, trials=10000)[0].mean(), process)
    rate, deviation = (p.detach().clone().requires_grad_() for p in (process.sde.log_rate, process.sde.log_deviation))
    variance = (2 * deviation + math.log(2) + rate).exp()[None]
    posterior = LinearPosterior(-rate.exp()[None], variance, matrix([1.0]), matrix([1.0]), T, Y, NOISE)
    true = torch.stack([g.squeeze() for g in torch.autograd.grad(posterior.log_evidence(), [rate, deviation])])
    torch.manual_seed(1)
    path = process(torch.zeros(10000, BINS, 3).double(), TIMES, BINS)
    solved = gradients((log_likelihood(path.states[:, SEEN], OU) - sum(path.kl.values())).mean(), process)
    # 10,000 trials leave an error of about .006; the solver's steps, a fifth of a bin each, one of .05.
    torch.testing.assert_close(matched, true, atol=0.02, rtol=0.0)
    torch.testing.assert_close(solved, true, atol=0.08, rtol=0.0)
    assert (true.abs() > 0.2).all()  # there is something to be equal to


@pytest.mark.parametrize(
    ("make", "substeps"),
    [
        pytest.param(ornstein_uhlenbeck, 3, id="diagonal"),
        pytest.param(lambda **s: plane_of_steps(**s), 1, id="full"),
        pytest.param(ornstein_uhlenbeck, 1, id="diagonal-whole", marks=pytest.mark.slow),
        pytest.param(lambda **s: plane_of_steps(**s), 3, id="full-substeps", marks=pytest.mark.slow),
    ],
)
def test_the_discrete_bound_is_the_solver_s(make, substeps):
    """In expectation, for Euler steps of additive noise: they take the marginals of a step's start to those of its end."""
    process, trials = make(substeps=substeps), 4000
    torch.manual_seed(2)
    matched = process.match(torch.zeros(trials, BINS, 3).double(), TIMES, BINS, Matching(20, None, Bound.DISCRETE)).kl[
        "kl_path"
    ]
    path = process(torch.zeros(trials, BINS, 3).double(), TIMES, BINS)
    both = torch.stack([matched, path.kl["kl_path"]]).detach()
    error = (both.var(1) / trials).sum().sqrt()
    assert abs(both.mean(1).diff()).item() < STANDARD_ERRORS * error
    assert abs(1.07 * both[0].mean() - both[1].mean()) > STANDARD_ERRORS * error


def plane_of_steps(**settings):
    return exact(2, PLANE_MOMENTS, partial(Rotating, a=TURN, sigma=0.7), covariance="full", **settings)


@pytest.mark.parametrize(
    ("make", "posterior", "tolerance"),
    [(ornstein_uhlenbeck, OU, 0.05), (plane_of_steps, PLANE, 0.05), (oscillator, SPRING, 0.15)],
    ids=["diagonal", "full", "underdamped"],
)
def test_simulated_paths_have_the_marginals(make, posterior, tolerance):
    process = make(substeps=5 if make is oscillator else 1)  # Euler steps of additive noise are exact; BAOAB's tend to it
    torch.manual_seed(3)
    states = process(torch.zeros(10000, BINS, 3).double(), TIMES, BINS).states.detach()
    unit = torch.tensor([1.0, OMEGA]).double() if make is oscillator else 1.0
    mean, covariance = posterior.mean(TIMES[0]) / unit, posterior.covariance(TIMES[0]).diagonal(dim1=1, dim2=2) / unit**2
    assert ((states.mean(0) - mean).abs() / covariance.sqrt()).max() < tolerance
    assert (states.var(0) / covariance - 1).abs().max() < 2 * tolerance


class Stratonovich(Neural):
    """The same coefficients in the other sense."""

    calculus = Calculus.STRATONOVICH


class Wavy(AbstractSDE):
    """Noise .8 + .6 sin 2z, no drift."""

    noise = NoiseType.DIAGONAL
    calculus = Calculus.ITO

    def drift(self, t, z):
        return torch.zeros_like(z)

    def diffusion(self, t, z):
        return 0.8 + 0.6 * torch.sin(2 * z)


@pytest.mark.parametrize("slope", [1.0, pytest.param(0.0, marks=pytest.mark.slow)])
def test_the_drift_keeps_the_marginals_under_noise_that_depends_on_the_state(slope):
    """m = sin 2t, s = .5 + .4 t to t = 1 (spec: KS distance .002, and .17 without the slope of the diffusion)."""
    torch.manual_seed(4)
    paths, steps = 10000, 400
    sde, marginals = Wavy(), DiagonalMarginals(partial(SplineCurves), 1, 1, 0.0).double()
    z = 0.5 * torch.randn(paths, 1).double()
    for n in range(steps):
        t = torch.tensor(n / steps).double()
        s, one = 0.5 + 0.4 * t, torch.ones(1, 1, 1).double()
        moments = MovingGaussian(torch.sin(2 * t) * one, s * one, 2 * torch.cos(2 * t) * one, 0.4 / s * one)
        standard = ((z - moments.mean[0]) / s)[:, None]
        u = marginals.control(sde, t.expand(paths, 1), moments, standard)[:, 0]
        g, g_slope = sde.diffusion_with_slope(t, z)
        drift = g * (u - (1 - slope) * g_slope)
        z = z + drift / steps + g * torch.randn_like(z) / steps**0.5
    found = kstest(((z[:, 0] - math.sin(2.0)) / 0.9).numpy(), "norm").statistic
    # The 1e-4 quantile of the statistic at 10,000 paths is .022.
    assert found < 0.022 if slope else found > 0.1


def test_the_drift_is_that_of_amortised_reparametrisation():
    """For additive noise, A (m - z) + m' with A = (Q / S - d log S / dt) / 2."""
    torch.manual_seed(5)
    process = ornstein_uhlenbeck()
    mean, slope, growth, standard = torch.randn(4, 6, 7, 1).double()
    std = torch.rand(6, 7, 1).double() + 0.1
    t = torch.rand(6, 7).double()
    u = process.marginals.control(process.sde.prepared(), t, MovingGaussian(mean, std, slope, growth), standard)
    z, q = mean + std * standard, SIGMA**2
    a = (q / std**2 - 2 * growth) / 2
    expected = (a * (mean - z) + slope + THETA * z) / SIGMA
    torch.testing.assert_close(u, expected, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("points", [1, 4, 5])
def test_neighbours_share_a_normal_of_either_sign(points):
    torch.manual_seed(0)
    made = antithetic(torch.Size((20_000, points)), 2, torch.zeros(1).double())
    assert made.shape == (20_000, points, 2)
    torch.testing.assert_close(made[:, 1::2], -made[:, : points - 1 : 2] if points > 1 else made[:, 1::2])
    alone = made[:, ::2].transpose(0, 1).flatten(1)
    torch.testing.assert_close(torch.corrcoef(alone), torch.eye(len(alone)).double().squeeze(), atol=0.03, rtol=0)
    assert all(kstest(row.numpy(), "norm").pvalue > 1e-3 for row in alone)


def test_the_prior_s_own_marginals_cost_nothing():
    match = of_prior(OU).match(torch.zeros(50, BINS, 3).double(), TIMES, BINS, Matching(8, 5, Bound.CONTINUOUS))
    assert match.kl["kl_path"].abs().max() < 1e-9
    assert match.kl["kl_initial"].abs().max() < 1e-9


@pytest.mark.parametrize(
    ("posterior", "kind"),
    [
        pytest.param(OU, "marginals", id="diagonal"),
        pytest.param(PLANE, "full_marginals", id="full", marks=pytest.mark.slow),
    ],
)
def test_the_prior_s_own_marginals_cost_next_to_nothing_in_steps(posterior, kind, monkeypatch):
    """Which know how the prior's drift moves a state: without, a step contracts as if the observations did it all."""

    def cost():
        torch.manual_seed(0)
        match = of_prior(posterior).match(torch.zeros(500, BINS, 3).double(), TIMES, BINS, Matching(40, 5, Bound.DISCRETE))
        return match.kl["kl_path"].mean().item()

    found = cost()
    monkeypatch.setattr(f"neuralsde.inference.{kind}.jacobian", lambda sde, t, y: y.new_zeros(*y.shape, y.shape[-1]))
    assert 0 <= found < cost() / 5


def of_prior(posterior):
    """A process whose marginals are its prior's: those given observations of nothing."""
    nothing = LinearPosterior(posterior.a, posterior.q, posterior.p0, 0 * posterior.c, T, Y, NOISE)
    if posterior is PLANE:
        return plane(full_moments(nothing))
    rates = partial(LearnedOrnsteinUhlenbeck, rates=[THETA, THETA], deviation=SIGMA / math.sqrt(2 * THETA))
    return exact(1, diagonal_moments(nothing), rates, covariance="diagonal")


def test_a_step_is_the_cheapest_between_its_marginals():
    """By brute force over what a step keeps of the deviation, for steps that an observation narrows and others."""
    process, dt = ornstein_uhlenbeck(), 0.05
    for before, after in ((0.5, 0.5), (0.5, 0.45), (0.3, 0.32)):

        def divergence(kept, before=before, after=after):
            left = (after**2 - (kept * before) ** 2) / (SIGMA**2 * dt)
            away = (kept - 1 + THETA * dt) * before
            return 0.5 * (away**2 / (SIGMA**2 * dt) + left - 1 - math.log(left))

        here, there = (MovingGaussian(*torch.tensor([0.0, std, 0.0, 0.0]).double().view(4, 1, 1, 1)) for std in (before, after))
        t = torch.zeros(1, 1).double()
        kept = process.marginals.steps(process.sde.prepared(), t, t + dt, here, there).features[4].item()
        best = minimize_scalar(divergence, bounds=(0.0, 0.999 * after / before), method="bounded", options={"xatol": 1e-12})
        assert abs(divergence(kept) - best.fun) < 1e-9
        assert divergence(kept + 0.01) > best.fun + 1e-6


def test_steps_between_full_marginals_reach_them_in_single_precision():
    """Also where a step adds little to marginals of very unequal axes."""
    torch.manual_seed(0)
    sde, n = NeuralAdditive(8), 200
    with torch.no_grad():
        sde.log_sigma.fill_(math.log(0.1))
    mean, std, mixing = torch.randn(2, n, 1, 8), torch.randn(2, n, 1, 8).exp(), torch.randn(2, n, 1, 8, 8).tril(-1)
    here, there = (MovingFullGaussian(*x, x[0], x[0], x[2], x[2]) for x in zip(mean, std, mixing, strict=True))
    own, dt = SimpleNamespace(size=8), torch.full((n, 1), 0.01)
    steps = FullMarginals.steps(own, sde.prepared(), torch.zeros(n, 1), dt, here, there)  # pyright: ignore
    begin, end, gain, scale = (x.double() for x in (root(here), root(there), steps.features[4], steps.scale))
    found = gain @ begin @ begin.mT @ gain.mT + 0.1**2 * 0.01 * scale @ scale.mT
    left = torch.linalg.solve_triangular(end, found, upper=False)
    error = (torch.linalg.solve_triangular(end, left.mT, upper=False) - torch.eye(8)).abs().amax((-1, -2))
    assert error.median() < 1e-5
    assert error.max() < 1e-3
    here.std[:2] = torch.nan
    with pytest.raises(DivergenceError, match=r"not finite in 2 of 200 samples; a lower optimizer\.lr"):
        FullMarginals.steps(own, sde.prepared(), torch.zeros(n, 1), dt, here, there)  # pyright: ignore


def test_few_points_and_observations_estimate_the_same():
    process, trials = ornstein_uhlenbeck(), 40000
    torch.manual_seed(6)
    context = torch.zeros(trials, BINS, 3).double()
    few = process.match(context, TIMES, BINS, Matching(1, 1, Bound.CONTINUOUS))
    many = process.match(context[:4000], TIMES, BINS, Matching(200, None, Bound.CONTINUOUS)).kl["kl_path"].mean()
    assert abs(off(few.kl["kl_path"].detach(), many.detach())) < STANDARD_ERRORS
    # A sum over bins from one of them: each is as likely as any.
    share = few.bins[:, 0].bincount(minlength=BINS) / trials
    assert (share - 1 / BINS).abs().max() < STANDARD_ERRORS * (1 / BINS / trials) ** 0.5 * 1.1
    assert abs(off((few.kl["kl_path"] / 2).detach(), many.detach())) > STANDARD_ERRORS  # the trial's length forgotten


def test_points_are_stratified():
    torch.manual_seed(7)
    everything = whole(100, torch.device("cpu"))
    assert ((stratified(everything, 8) * 8).long() == torch.arange(8)).all()
    bins = some_bins(everything, 23, 7)
    assert (bins.diff(dim=1) >= 0).all()
    assert bins.min() >= 0
    assert bins.max() <= 22
    assert (some_bins(whole(2, torch.device("cpu")), 5, 9) == torch.arange(5)).all()


def test_points_of_a_part_are_in_it():
    torch.manual_seed(10)
    part = Part(torch.arange(5).repeat(20), 5)
    assert ((stratified(part, 8) * 40).long() == part.index[:, None] * 8 + torch.arange(8)).all()
    assert (some_bins(part, 20, None) == part.index[:, None] * 4 + torch.arange(4)).all()


@pytest.mark.parametrize("rows", [1, 4])
def test_ends_of_steps_are_the_solver_s(rows):
    torch.manual_seed(8)
    clock = torch.rand(rows, 9).double().cumsum(1)
    grid = time_grid(clock.t()[..., None], torch.zeros(4, 1), 3)[..., 0].t()
    ends = step_ends(clock, torch.arange(25).expand(4, -1), 3)
    torch.testing.assert_close(ends, grid.expand(4, -1))


@pytest.mark.parametrize("rows", [1, 3])
def test_an_interval_holds_its_time(rows):
    torch.manual_seed(9)
    clock = torch.rand(rows, 9).cumsum(1)
    t = torch.cat([clock[:, :1] + (clock[:, -1:] - clock[:, :1]) * torch.rand(3, 50), clock.expand(3, -1)], 1)
    begin, bins = interval_of(clock, t), clock.expand(3, -1)
    assert (bins.gather(1, begin) <= t).all()
    last = t == bins[:, -1:]  # which ends the last interval
    assert ((t < bins.gather(1, begin + 1)) | last).all()
    assert (begin[last] == 7).all()


def memory_of_matching(process, bins, bound, learn_context=False):
    """MiB at the peak of a step that learns from 8 times and bins of each of four trials."""
    context = torch.randn(4, bins, 128, requires_grad=learn_context)
    times = torch.arange(bins)[None] * 0.02

    def step():
        match = process.match(context, times, bins, Matching(8, 8, bound))
        (match.states.sum() + sum(match.kl.values()).sum()).backward()

    step()
    return peak_mib(step)


@pytest.mark.parametrize("dynamics", ["langevin_type", pytest.param("underdamped_langevin", marks=pytest.mark.slow)])
def test_matching_takes_no_more_memory_in_a_longer_trial(dynamics):
    """But for the times, and for the gradient in the context where it is asked for: a control that must grow."""
    process, long, mib = build(Case(PARTS[0], dynamics, "matching", 100)).model.dynamics, 4000, 4 / 2**20
    assert isinstance(process, MatchedSDE)
    for bound in Bound:
        short = memory_of_matching(process, 100, bound)
        assert memory_of_matching(process, long, bound) < short + 2 * long * mib  # seconds, and the equation's unit
        assert memory_of_matching(process, long, bound, learn_context=True) > short + 4 * long * 128 * mib


@pytest.mark.slow
def test_the_benchmark_of_a_trial_s_length_shows_that_matching_does_not_see_it():
    words = ["-m", "benchmarks.scaling", "--bins", "100", "1000", "--longest-solver", "100", "--repeats", "1"]
    found = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=True).stdout
    lines = [json.loads(line) for line in found.splitlines()]
    ratios = {(one["how"], one["part"]): one["mib_ratio"] for one in lines if "mib_ratio" in one and one["to"] == 1000}
    assert ratios["matching", "objective"] < 1.05
    assert ratios["matching", "objective+context"] > 2
    assert ratios["solver", "encoder"] > 5


langevin = partial(LearnedLangevin, friction=2.0, frequency=(0.4, 3.0), step=0.02, potential=Quadratic)
PROCESSES = {
    "langevin_type": (partial(LangevinType, sigma=0.5), EulerMaruyama),
    "geometric": (partial(Geometric, sigma=0.5), LogEuler),
    "neural": (Neural, EulerMaruyama),
    "neural_milstein": (Neural, Milstein),
    "ornstein_uhlenbeck": (LearnedOrnsteinUhlenbeck, EulerMaruyama),
    "underdamped": (langevin, BAOAB),
}


def process_of(name, covariance="full", **settings):
    torch.manual_seed(0)
    sde, solver = PROCESSES[name]
    time = {"duration_s": 1.0, "model_time": None if "underdamped" in name else 4.0}
    return MatchedSDE(5, 4, curves=SplineCurves, sde=sde, solver=solver(), covariance=covariance, **time, **settings).double()


def half(*values):
    """All combinations; every second one, among which every two values meet, in the fast lane."""
    every = itertools.product(*map(enumerate, values))
    return [
        pytest.param(*(value for _, value in places), marks=[] if sum(i for i, _ in places) % 2 == 0 else pytest.mark.slow)
        for places in every
    ]


@pytest.mark.parametrize(("name", "covariance", "bound"), half(PROCESSES, ["full", "diagonal"], list(Bound)))
def test_every_parameter_is_learned_by_matching_and_by_simulating(name, covariance, bound):
    process = process_of(name, covariance)
    context = torch.randn(3, 12, 5).double()
    times = 0.02 * torch.arange(12).double()[None]
    match = process.match(context, times, 10, Matching(4, 3, bound))
    assert match.states.shape == (3, 3, 4)
    assert match.bins.max() < 10
    (match.states.square().sum() + sum(match.kl.values()).sum()).backward()
    missing = [n for n, p in process.named_parameters() if p.grad is None]
    assert not missing
    for estimator in Estimator:
        path = process(context, times, 10, estimator)
        assert path.states.shape == (3, 12, 4)
        assert all(torch.isfinite(value).all() for value in path.kl.values())


@pytest.mark.parametrize(
    "name",
    ["underdamped", *(pytest.param(n, marks=pytest.mark.slow) for n in ("langevin_type", "geometric", "neural_milstein"))],
)
def test_estimators_agree_on_the_divergence_of_a_simulated_path(name):
    process = process_of(name, substeps=2)
    context, times = torch.randn(1, 8, 5).double().expand(4000, -1, -1), 0.02 * torch.arange(8).double()[None]
    torch.manual_seed(1)
    with torch.no_grad():
        analytic, sampled = (sum(process(context, times, 8, e).kl.values()) for e in (Estimator.ANALYTIC, Estimator.SAMPLED))
    error = ((analytic.var() + sampled.var()) / 4000).sqrt()
    assert abs(analytic.mean() - sampled.mean()) < STANDARD_ERRORS * error


@pytest.mark.parametrize(
    ("sde", "solver", "settings", "reason"),
    [
        (partial(LinearNoise, sigma=0.5), LinearNoiseSplitting, {}, "vanishes where its state is zero"),
        (
            partial(LangevinType, sigma=0.5),
            EulerMaruyama,
            {"noise": partial(FractionalBrownian, hurst=0.3)},
            "Noise that remembers",
        ),
        (Stratonovich, Heun, {}, "is meant in the sense of Stratonovich"),
        (partial(LangevinType, sigma=0.5), EulerMaruyama, {"covariance": "half"}, "covariance is 'half'; choose full or diag"),
        (
            partial(LangevinType, sigma=0.5),
            EulerMaruyama,
            {"learn_forward": True},
            "learn_forward=true with steer_forward=false",
        ),
    ],
)
def test_what_has_no_such_posterior_is_refused(sde, solver, settings, reason):
    with pytest.raises(ConfigError, match=reason):
        MatchedSDE(5, 4, curves=SplineCurves, sde=sde, solver=solver(), duration_s=1.0, **settings)


def test_other_processes_and_single_bins_are_refused():
    matching, context = Matching(2, 2, Bound.CONTINUOUS), torch.randn(2, 3, 5).double()
    times = torch.arange(3).double()[None]
    ode = LatentODE(5, 4, sde=partial(LangevinType, sigma=0.5), duration_s=1.0).double()
    with pytest.raises(ConfigError, match="LatentODE can only be simulated"):
        ode.match(context, times, 3, matching)
    for ask in (lambda p: p.match(context, times, 1, matching), lambda p: p(context, times, 1)):
        with pytest.raises(ConfigError, match="one observed bin"):
            ask(process_of("langevin_type"))


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"points": 0}, "objective.points is 0"),
        ({"observations": -1}, "objective.observations is -1"),
        ({"part_bins": 0}, "objective.part_bins is 0"),
        ({"bound": "exact"}, "objective.bound is 'exact'; choose one of continuous, discrete"),
    ],
)
def test_settings_of_the_objective_are_checked(settings, reason):
    with pytest.raises(ConfigError, match=reason):
        SDEMatching(**settings)
