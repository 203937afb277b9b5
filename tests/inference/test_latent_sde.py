"""Controlled posteriors of every equation: divergences against closed forms, and what a control may never do."""

import math
from functools import partial

import pytest
import torch
from torch import nn

from neuralsde.errors import ConfigError
from neuralsde.inference import BoundedControl, Control, Estimator, LangevinPull, LatentODE, LatentSDE, Pull
from neuralsde.nn.potentials import CoupledOscillators, NetPotential, Quadratic
from neuralsde.noise import FractionalBrownian
from neuralsde.sde import Geometric, LangevinType, LearnedLangevin, LearnedOrnsteinUhlenbeck, LinearNoise, Neural
from neuralsde.solvers import BAOAB, OBABO, SRA1, EulerMaruyama, LinearNoiseSplitting, LogEuler, Milstein, ShARK

langevin = partial(LearnedLangevin, friction=2.0, frequency=(0.4, 3.0), step=0.02)
fractional = partial(FractionalBrownian, hurst=0.3, learn=True)
PROCESSES = {
    "langevin_type": (partial(LangevinType, sigma=0.5), Pull, EulerMaruyama),
    "langevin_type_shark": (partial(LangevinType, sigma=0.5), Pull, ShARK),
    "linear_noise": (partial(LinearNoise, sigma=0.5), BoundedControl, LinearNoiseSplitting),
    "geometric": (partial(Geometric, sigma=0.5), Pull, LogEuler),
    "neural": (Neural, Pull, EulerMaruyama),
    "neural_milstein": (Neural, Pull, Milstein),
    "ornstein_uhlenbeck": (LearnedOrnsteinUhlenbeck, Pull, SRA1),
    "underdamped_quadratic": (partial(langevin, potential=Quadratic), LangevinPull, BAOAB),
    "underdamped_coupled": (partial(langevin, potential=CoupledOscillators), LangevinPull, OBABO),
    "underdamped_net": (partial(langevin, potential=NetPotential), LangevinPull, BAOAB),
    "fractional_langevin_type": (partial(LangevinType, sigma=0.5), Pull, EulerMaruyama, fractional),
    "fractional_smooth": (partial(LangevinType, sigma=0.5), Pull, EulerMaruyama, partial(fractional, hurst=0.8)),
    "fractional_neural": (Neural, Pull, Milstein, partial(fractional, kind="type_ii")),
    "fractional_linear_noise": (partial(LinearNoise, sigma=0.5), BoundedControl, LinearNoiseSplitting, fractional),
    "fractional_geometric": (partial(Geometric, sigma=0.5), Pull, LogEuler, partial(fractional, kind="type_ii", knots=3)),
    "fractional_underdamped": (partial(langevin, potential=Quadratic), LangevinPull, BAOAB, fractional),
}


def process(name, control=None, size=4, **settings):
    torch.manual_seed(0)
    sde, own, solver, *noise = PROCESSES[name]
    time = {"duration_s": 1.0, "model_time": None if "underdamped" in name else 4.0}
    return LatentSDE(
        5, size, sde=sde, control=control or own, solver=solver(), noise=noise[0] if noise else None, **time, **settings
    ).double()


def times(bins, step=0.02):
    return step * torch.arange(bins, dtype=torch.float64)[None]


class Silent(Control):
    """Steers nowhere."""

    def __init__(self, context_size, state_size, noise_size, memory_size=0):
        super().__init__(context_size, noise_size, narrows=False)
        self.noise_size = noise_size

    def plan(self, context, spread, dt, outlook=None):
        return (context,)

    def forward(self, y, memory, *features):
        return y.new_zeros(len(y), self.noise_size)


@pytest.mark.parametrize("name", PROCESSES)
def test_without_control_the_posterior_is_the_prior_and_costs_nothing(name):
    """KL = 0 for each estimator, and the same path as the free prior's on the same noise."""
    quiet = process(name, Silent, substeps=2)
    nn.init.zeros_(quiet.initial.weight), nn.init.zeros_(quiet.initial.bias)
    quiet.initial_log_var = 0.0
    for estimator in Estimator:
        path = quiet(torch.randn(7, 6, 5, dtype=torch.float64), times(6), 6, estimator)
        for cost in path.kl.values():
            torch.testing.assert_close(cost, torch.zeros(7, dtype=torch.float64), atol=1e-12, rtol=0)
    torch.manual_seed(1)
    steered = quiet(torch.randn(7, 6, 5, dtype=torch.float64), times(6), 6).states
    torch.manual_seed(1)
    torch.randn(7, 6, 5, dtype=torch.float64)
    free = quiet.from_prior(7, times(6))
    torch.testing.assert_close(steered, free)


@pytest.mark.parametrize("name", PROCESSES)
def test_gradients_reach_every_parameter(name):
    wired = process(name)
    with torch.no_grad():  # nets that start at zero pass nothing back
        for module in wired.control.modules():
            if isinstance(module, nn.Linear):
                module.weight.normal_(std=0.1)
    for estimator in Estimator:
        wired.zero_grad()
        path = wired(torch.randn(7, 6, 5, dtype=torch.float64), times(6), 6, estimator)
        (path.states.square().mean() + sum(cost.mean() for cost in path.kl.values())).backward()
        for parameter_name, parameter in wired.named_parameters():
            assert parameter.grad is not None, parameter_name
            assert parameter.grad.isfinite().all(), parameter_name


@pytest.mark.parametrize("name", PROCESSES)
def test_the_divergence_is_that_of_the_law_that_is_sampled(name):
    r"""Two-sided, for every solver: $E_q[f(z)\, p/q] = E_p[f(z)]$ with $f = 1$ and $f$ the end's first coordinate.

    A mild control and increments a tenth narrower; 20,000 paths, six standard errors. The weights must fail with the
    divergence halved, or with the narrowing left out of it (controls)."""
    mild, n = process(name, size=2), 20_000
    nn.init.zeros_(mild.initial.weight), nn.init.zeros_(mild.initial.bias)
    mild.initial_log_var = 0.0
    with torch.no_grad():
        mild.control.scale.bias.fill_(-2.25)  # s = exp(-softplus(-2.25)) = 0.905
        for module in mild.control.modules():
            if isinstance(module, nn.Linear) and module is not mild.control.scale:
                module.weight.mul_(0.3)
        context = 0.5 * torch.randn(1, 4, 5, dtype=torch.float64).expand(n, -1, -1)
        path = mild(context, times(4, 0.05), 4, Estimator.SAMPLED)
        free = mild.sde.prepared().coordinates(mild.from_prior(n, times(4, 0.05))[:, -1])[:, 0]
        end = mild.sde.prepared().coordinates(path.end[:, :2])[:, 0]
    log_weight = -path.kl["kl_path"]
    narrowing = -3 * mild.sde.noise_size(2) * mild.control.scale.bias[0].exp().log1p()  # the sum of ln s over steps

    def agree(log_weight):
        weight = log_weight.exp()
        error = 6 * (((weight * end).var() + free.var()) / n).sqrt()
        return bool(abs(weight.mean() - 1) < 6 * weight.std() / n**0.5 and abs((weight * end).mean() - free.mean()) < error)

    assert agree(log_weight)
    assert not agree(log_weight / 2)
    assert not agree(log_weight + narrowing)


class Returning(Control):
    r"""Turns an Ornstein–Uhlenbeck prior of rate a into one of rate b around m: u = ((a - b) y + b m) / sigma."""

    def __init__(self, context_size, state_size, noise_size, slope=0.0, shift=0.0):
        super().__init__(context_size, noise_size, narrows=False)
        self.slope, self.shift = slope, shift

    def plan(self, context, spread, dt, outlook=None):
        return (context,)

    def forward(self, y, memory, *features):
        return self.slope * y + self.shift


def test_path_kl_is_that_of_two_ornstein_uhlenbeck_processes():
    r"""Against $\frac12 \int E u^2 dt$ in closed form: prior rate 1.5, posterior rate 4 around 0.7, sigma 0.9, from 0.3 on.

    1000 steps, 2000 paths of two states, four standard errors; a divergence averaged over states must fail (control)."""
    a, b, m, sigma, z0, duration = 1.5, 4.0, 0.7, 0.9, 0.3, 1.0
    slope, shift = (a - b) / sigma, b * m / sigma
    prior = LatentSDE(
        5, 2, sde=partial(LearnedOrnsteinUhlenbeck, rates=(a, a), deviation=sigma / math.sqrt(2 * a)),
        control=partial(Returning, slope=slope, shift=shift), solver=EulerMaruyama(), duration_s=1.0, substeps=100,
    ).double()  # fmt: skip
    nn.init.zeros_(prior.initial.weight)
    with torch.no_grad():
        prior.initial.bias.copy_(torch.tensor([z0, z0, -60.0, -60.0]))
    with torch.no_grad():
        path = prior(torch.zeros(2000, 11, 5, dtype=torch.float64), times(11, 0.1), 11)
    # u = slope z + shift with z Gaussian: mean m + (z0 - m) e^{-bt}, variance sigma^2 (1 - e^{-2bt}) / 2b.
    t = torch.linspace(0, duration, 20_001, dtype=torch.float64)
    mean, variance = m + (z0 - m) * torch.exp(-b * t), sigma**2 * (1 - torch.exp(-2 * b * t)) / (2 * b)
    exact = 2 * 0.5 * torch.trapezoid((slope * mean + shift) ** 2 + slope**2 * variance, t)
    cost = path.kl["kl_path"]
    assert abs(cost.mean() - exact) < 4 * cost.std() / math.sqrt(len(cost)) + 0.004 * exact  # and the steps' own error
    assert abs(cost.mean() / 2 - exact) > 0.1 * exact


def test_a_langevin_path_is_the_multiplied_out_chain():
    """Mean and covariance after 8 controlled bins of one mode against the BAOAB factors; 40,000 paths, six standard errors."""
    steered = process(
        "underdamped_quadratic", partial(LangevinPull, narrows=False), size=2, steer_forward=True, decode_coordinates=True
    )
    steered.initial_log_var = 0.0
    with torch.no_grad():
        for layer, bias in ((steered.initial, 0.0), (steered.control.target, 1.5), (steered.control.gains, 0.8)):
            layer.weight.zero_(), layer.bias.fill_(bias)
    step, gain = 0.02, math.log1p(math.exp(0.8))
    gamma, omega = steered.sde.log_friction.exp().item(), steered.sde.frequency().item()
    half, decay = step * omega / 2, math.exp(-gamma * step)
    push = math.sqrt((1 - decay**2) * step)  # of a control that shifts the increment by u h
    kick, drift = torch.tensor([[1.0, 0], [-half, 1]]).double(), torch.tensor([[1.0, half], [0, 1]]).double()
    after, before = kick @ drift, drift @ kick
    # The control reads the state at the start of the step, before kick and drift.
    matrix = after @ (
        torch.tensor([[1.0, 0], [0, decay]]).double() @ before + torch.tensor([[0, 0], [-push * gain, -push * gain]])
    )
    offset = after @ torch.tensor([0, push * gain * 1.5]).double()
    noise = after @ torch.tensor([0, math.sqrt(1 - decay**2)]).double()
    mean, covariance = torch.zeros(2).double(), torch.eye(2).double()
    for _ in range(8):
        mean, covariance = matrix @ mean + offset, matrix @ covariance @ matrix.T + torch.outer(noise, noise)
    states = steered(torch.zeros(40_000, 9, 5, dtype=torch.float64), times(9), 9).states[:, -1]
    bound = 6 * covariance.diag().sqrt() / 200
    assert ((states.mean(0) - mean).abs() < bound).all()
    assert ((states.T.cov() - covariance).abs() < 6 * 2 * covariance.diag().max() / 200).all()
    assert ((states.mean(0) - 1.3 * mean).abs() > bound).any()  # control


def test_oscillators_keep_unit_variance():
    """BAOAB's position variance is exact for a harmonic mode; 4000 x 2 samples, six standard errors."""
    free = process("underdamped_quadratic", decode_coordinates=True)
    with torch.no_grad():
        positions = free.from_prior(4000, times(60))[:, -1, :2]
    standard_error = math.sqrt(2 / positions.numel())
    assert abs(positions.var() - 1) < 6 * standard_error
    assert abs(1.15 * positions.var() - 1) > 6 * standard_error  # control


@pytest.mark.parametrize("name", ["underdamped_quadratic", "underdamped_coupled", "underdamped_net"])
def test_modes_that_learn_to_be_too_fast_stay_stable(name):
    fast = process(name, Silent)
    with torch.no_grad():
        fast.sde.log_frequency.fill_(math.log(1e4))
    assert fast.from_prior(3, times(200)).isfinite().all()


def test_a_mode_too_fast_for_the_bin_is_refused():
    with pytest.raises(ConfigError, match=r"go up to 20.0 Hz.*0.02 s cannot follow"):
        LearnedLangevin(4, Quadratic, 2.0, (1.0, 20.0), 0.02)


def test_geometric_states_never_change_sign():
    """Not under strong controls, at coarse steps either."""
    wild = process("geometric", partial(Pull, rate=20.0))
    with torch.no_grad():
        wild.control.target.weight.mul_(20)
        states = wild(3 * torch.randn(500, 40, 5, dtype=torch.float64), times(40, 1.0), 40).states
    assert states.isfinite().all()
    assert (states > 0).all()
    assert states.min() < 0.02  # control: they come close to zero


def test_forward_bins_are_the_prior_s_continuation():
    """On the same noise: the observed bins alone, then `go_on` from their end."""
    latent, context = process("langevin_type"), torch.randn(3, 8, 5, dtype=torch.float64)
    torch.manual_seed(0)
    whole = latent(context, times(8), 5)
    torch.manual_seed(0)
    observed = latent(context[:, :5], times(5), 5)
    rest = latent.go_on(observed.end, times(8)[:, 4:])
    torch.testing.assert_close(whole.states, torch.cat([observed.states, rest], 1))
    assert (rest - observed.states[:, -1:]).abs().min() > 1e-4  # it moves
    for name, cost in observed.kl.items():
        torch.testing.assert_close(whole.kl[name], cost)


def test_forward_bins_do_not_read_the_context():
    """The context of bins that are not observed changes nothing, learned from or not; with `steer_forward` it does."""
    context = torch.randn(3, 8, 5, dtype=torch.float64)
    other = context.clone()
    other[:, 5:] += 1.0
    for steer, learn, same in ((False, None, True), (False, True, True), (True, None, False)):
        latent = process("langevin_type", steer_forward=steer, learn_forward=learn)
        assert latent.learns_forward == (steer if learn is None else learn)
        paths = []
        for c in (context, other):
            torch.manual_seed(0)
            paths.append(latent(c, times(8), 5))
        assert torch.equal(paths[0].states, paths[1].states) == same
        assert torch.equal(paths[0].kl["kl_path"], paths[1].kl["kl_path"]) == same


@pytest.mark.parametrize("name", ["langevin_type", "geometric", "linear_noise", "underdamped_quadratic"])
def test_times_of_their_own_equal_shared_ones(name):
    latent, context = process(name), torch.randn(3, 6, 5, dtype=torch.float64)
    paths = []
    for clock in (times(6), times(6).repeat(3, 1)):
        torch.manual_seed(0)
        paths.append(latent(context, clock, 6))
    torch.testing.assert_close(paths[0].states, paths[1].states)
    torch.manual_seed(0)
    slow = latent(context, torch.cat([times(6), 2 * times(6), times(6)]), 6).states
    torch.testing.assert_close(slow[0], paths[0].states[0])
    assert not torch.allclose(slow[1], paths[0].states[1])


def test_going_on_is_the_same_law_as_never_having_stopped():
    """From far outside the stationary law, in one go and in two: moments at the end and products with the state where the
    second begins; 20,000 paths each, six standard errors. A continuation that stands still must fail (control)."""
    free = process("ornstein_uhlenbeck", size=2)
    with torch.no_grad():
        free.prior_mean.fill_(3.0), free.prior_log_var.fill_(-2.0)
        whole = free.from_prior(20_000, times(21))
        half = free.from_prior(20_000, times(11))[:, -1]
        rest = free.go_on(half, times(21)[:, 10:])
    assert rest.shape == (20_000, 10, 2)

    def agree(end):
        pairs = [(whole[:, -1] ** m, end**m) for m in (1, 2)] + [(whole[:, -1] * whole[:, 10], end * half)]
        return all(bool(((a.mean(0) - b.mean(0)).abs() < 6 * ((a.var(0) + b.var(0)) / 20_000).sqrt()).all()) for a, b in pairs)

    assert agree(rest[:, -1])
    assert not agree(half)


@pytest.mark.parametrize(
    "name", ["fractional_neural", *(pytest.param(f"fractional_{n}", marks=pytest.mark.slow) for n in ("smooth", "geometric"))]
)
def test_going_on_takes_the_memory_along(name):
    """What follows a path of the posterior without control is the law of the prior in one go: products of moves before and
    after, 20,000 paths each, six standard errors. Without its memory the continuation must fail (control)."""
    free = process(name, Silent, size=2)
    with torch.no_grad():
        nn.init.zeros_(free.initial.weight), nn.init.zeros_(free.initial.bias)
        free.initial_log_var = 0.0
        if free.noise.knots == 1:
            free.noise.raw.fill_(2.0)
        whole = free.sde.coordinates(free.from_prior(20_000, times(21)))
        path = free(torch.zeros(20_000, 11, 5, dtype=torch.float64), times(11), 11)
        before = free.sde.coordinates(path.states)
        forgetful = path.end.clone()
        forgetful[:, 2:] = 0.0

    def agree(end):
        with torch.no_grad():
            after = free.sde.coordinates(free.go_on(end, times(21)[:, 10:]))
        ours = (after[:, 3] - before[:, -1]) * (before[:, -1] - before[:, 7])
        its = (whole[:, 14] - whole[:, 10]) * (whole[:, 10] - whole[:, 7])
        return bool(((ours.mean(0) - its.mean(0)).abs() < 6 * ((ours.var(0) + its.var(0)) / 20_000).sqrt()).all())

    assert agree(path.end)
    assert not agree(forgetful)


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (lambda: process("underdamped_quadratic", Pull), r"Pull needs one Brownian motion per state, but there are 2 for 4"),
        (
            lambda: process("langevin_type", LangevinPull),
            r"LangevinPull steers positions .* there are 4 Brownian motions for 4",
        ),
        (lambda: LearnedLangevin(3, Quadratic, 2.0, (0.4, 3.0), 0.02), "give an even latent_size"),
    ],
)
def test_parts_that_do_not_fit_are_refused(build, sentence):
    with pytest.raises(ConfigError, match=sentence):
        build()


def test_a_pull_on_noise_that_vanishes_is_refused():
    with pytest.raises(ConfigError, match=r"use neuralsde\.inference\.BoundedControl"):
        process("linear_noise", Pull)(torch.randn(3, 6, 5, dtype=torch.float64), times(6), 6)


def test_a_solver_that_does_not_fit_is_refused():
    with pytest.raises(ConfigError, match="ShARK supports ADDITIVE noise, but Neural has DIAGONAL"):
        LatentSDE(5, 4, sde=Neural, control=Pull, solver=ShARK(), duration_s=1.0)


@pytest.mark.parametrize("method", ["rk4", "dopri5"])
def test_an_ode_is_its_closed_form(method):
    """Linear decay at rates of their own, at irregular times that differ per trial."""
    ode = LatentODE(5, 2, partial(LearnedOrnsteinUhlenbeck, rates=(0.5, 2.0)), 1.0, None, method).double()
    clock = torch.cumsum(torch.rand(3, 9, dtype=torch.float64) / 5, 1)
    path = ode(torch.randn(3, 9, 5, dtype=torch.float64), clock, 9)
    decay = torch.exp(-torch.tensor([0.5, 2.0]).double() * (clock - clock[:, :1])[..., None])
    torch.testing.assert_close(path.states, path.states[:, :1] * decay, atol=2e-5, rtol=1e-4)
    assert set(path.kl) == {"kl_initial"}
    with pytest.raises(ConfigError, match=r"method is .magic.; choose one of euler"):
        LatentODE(5, 2, LearnedOrnsteinUhlenbeck, 1.0, None, "magic").double()(
            torch.randn(3, 9, 5, dtype=torch.float64), clock, 9
        )
