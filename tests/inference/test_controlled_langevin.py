import math

import pytest
import torch

from neuralsde.errors import ConfigError
from neuralsde.inference import ControlledLangevin

STEP = 0.02


def process(modes=2, **settings):
    torch.manual_seed(0)
    return ControlledLangevin(5, modes, STEP, **settings).double()


def uncontrolled(**settings):
    """A process whose gains are nil and whose start is the prior's: the posterior is the prior."""
    free = process(initial_log_var=0.0, **settings)
    with torch.no_grad():
        free.gains.bias.fill_(-60.0)
        free.initial.weight.zero_()
        free.initial.bias.zero_()
    return free


def transition(process, gain_x, gain_v, target):
    """Mean map and noise covariance of one bin of one mode, (x, v) to (x, v), multiplied out from the BAOAB factors."""
    gamma, omega = process.log_friction.exp()[0].item(), process.log_frequency.exp()[0].item()
    half, decay = STEP * omega / 2, math.exp(-gamma * STEP)
    push = (1 - decay) * math.sqrt(2 / gamma)
    kick = torch.tensor([[1.0, 0], [-half, 1]]).double()
    drift = torch.tensor([[1.0, half], [0, 1]]).double()
    ou = torch.tensor([[1.0, 0], [-push * gain_x, decay - push * gain_v]]).double()
    before, after = drift @ kick, kick @ drift
    offset = after @ torch.tensor([0, push * gain_x * target]).double()
    noise = after @ torch.tensor([0, math.sqrt(1 - decay**2)]).double()
    return after @ ou @ before, offset, torch.outer(noise, noise)


def test_without_control_the_posterior_is_the_prior_and_costs_nothing():
    path = uncontrolled()(torch.randn(7, 10, 5, dtype=torch.float64))
    for cost in path.kl.values():
        torch.testing.assert_close(cost, torch.zeros(7, dtype=torch.float64), atol=1e-20, rtol=0)


def test_prior_keeps_unit_variance():
    """BAOAB's position variance is exact for a harmonic mode; n = 4000 x 2, bound of six standard errors."""
    states = uncontrolled()(torch.zeros(4000, 60, 5, dtype=torch.float64)).states[:, -1, :2]
    standard_error = math.sqrt(2 / states.numel())
    assert abs(states.var() - 1) < 6 * standard_error
    assert abs((1.15 * states.var()) - 1) > 6 * standard_error  # control


def test_path_moments_are_those_of_the_brute_force_gaussian():
    """Mean and covariance after 8 controlled bins against the multiplied-out linear-Gaussian chain; n = 40,000, 6 SE."""
    steered = process(modes=1, initial_log_var=0.0)
    with torch.no_grad():
        for layer, bias in ((steered.initial, 0.0), (steered.target, 1.5), (steered.gains, 0.8)):
            layer.weight.zero_()
            layer.bias.fill_(bias)
    gain = math.log1p(math.exp(0.8))
    matrix, offset, noise = transition(steered, gain, gain, 1.5)
    mean, covariance = torch.zeros(2).double(), torch.eye(2).double()
    for _ in range(8):
        mean, covariance = matrix @ mean + offset, matrix @ covariance @ matrix.T + noise
    states = steered(torch.zeros(40_000, 9, 5, dtype=torch.float64)).states[:, -1]
    bound = 6 * covariance.diag().sqrt() / 200
    assert ((states.mean(0) - mean).abs() < bound).all()
    assert ((states.T.cov() - covariance).abs() < 6 * 2 * covariance.diag().max() / 200).all()
    assert ((states.mean(0) - 1.3 * mean).abs() > bound).any()  # control


def test_path_kl_is_the_divergence_of_the_two_chains():
    """One step: posterior and prior transitions are Gaussians in v before the last drift; their divergence by the formula."""
    steered = process(modes=1)
    with torch.no_grad():
        steered.target.bias.fill_(2.0)
    context = torch.randn(6, 2, 5, dtype=torch.float64)
    torch.manual_seed(3)
    path = steered(context)
    gamma = steered.log_friction.exp()
    decay = torch.exp(-gamma * STEP)
    kick = 0.5 * STEP * steered.log_frequency.exp()
    x, v = path.states[:, 0].chunk(2, 1)
    v = v - kick * x
    x = x + kick * v
    gains = torch.nn.functional.softplus(steered.gains(context[:, 1]))
    control = gains[:, :1] * (steered.target(context[:, 1]) - x) - gains[:, 1:] * v
    shift = (1 - decay) / gamma * torch.sqrt(2 * gamma) * control
    expected = 0.5 * shift.square() / (1 - decay**2)  # KL(N(a + shift, s2) || N(a, s2))
    torch.testing.assert_close(path.kl["kl_path"], expected.sum(1))


def test_a_mode_too_fast_for_the_bin_is_refused():
    with pytest.raises(ConfigError, match=r"goes up to 20.0 Hz.*0.02 s cannot follow"):
        process(frequency_hz=(1.0, 20.0))


def test_a_mode_that_learns_to_be_too_fast_stays_stable():
    fast = uncontrolled()
    with torch.no_grad():
        fast.log_frequency.fill_(math.log(1e4))
    assert fast(torch.zeros(3, 200, 5, dtype=torch.float64)).states.isfinite().all()
