"""Fixed points and frequencies against closed forms, and the sentences for what has none."""

import math
from functools import partial

import numpy as np
import pytest
import torch

from neuralsde.analysis.dynamics import dynamics_of
from neuralsde.analysis.fixed_points import fixed_points
from neuralsde.analysis.flow import flow_on, plane_of
from neuralsde.errors import ConfigError
from neuralsde.evaluation.prediction import Coordinates, Prediction
from neuralsde.inference import LangevinPull, LatentSDE, Pull, ReleasedLangevin
from neuralsde.nn.potentials import CoupledOscillators, NetPotential
from neuralsde.noise import FractionalBrownian
from neuralsde.sde import DoubleWell, LearnedLangevin, LearnedOrnsteinUhlenbeck, Neural
from neuralsde.solvers import BAOAB, EulerMaruyama


def visited(*shape, seed=0, scale=1.0):
    """A prediction whose latents are noise, on a clock of 1 s."""
    latents = scale * np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    times = np.linspace(0, 1, shape[1])[None]
    return Prediction(np.zeros((*shape[:2], 1), np.float32), latents, coordinates=Coordinates(times, times[0, 1], shape[1], 1))


def process(sde, size, control=Pull, **settings):
    torch.manual_seed(0)
    settings = {"solver": EulerMaruyama(), "duration_s": 1.0, **settings}
    return LatentSDE(3, size, sde, partial(control, hidden_size=4) if control is Pull else control, **settings)


def langevin(potential, size=4, friction=2.0, frequency=(0.5, 2.0)):
    sde = partial(LearnedLangevin, potential=potential, friction=friction, frequency=frequency, step=0.01)
    return process(sde, size, LangevinPull, solver=BAOAB(), decode_coordinates=True)


def test_the_double_well_has_two_stable_points_and_an_unstable_one():
    stiffness, per_second = 4.0, 2.0
    well = process(lambda state_size: DoubleWell(stiffness), 1, model_time=per_second)
    found = dynamics_of(well, visited(10, 8, 1), None, 40, 0)
    by_place = {round(float(p.state[0])): p for p in found.fixed_points}
    assert {place: p.kind for place, p in by_place.items()} == {-1: "stable", 0: "unstable", 1: "stable"}
    for place, slope in ((-1, -2 * stiffness), (0, stiffness), (1, -2 * stiffness)):
        point = by_place[place]
        np.testing.assert_allclose(point.state, [place], atol=1e-8)
        np.testing.assert_allclose(point.eigenvalues, [slope * per_second])
        np.testing.assert_allclose(point.time_constants_s, [-1 / (slope * per_second)])
        assert point.frequencies_hz == [0.0]
    assert found.flow is None
    assert found.at_s is None


def test_a_damped_oscillator_has_its_frequency_and_its_decay():
    """$\\lambda = -\\gamma/2 \\pm i \\sqrt{\\omega^2 k - \\gamma^2/4}$ with $k$ the potential's curvatures."""
    model = langevin(lambda size: CoupledOscillators(size, 1, 0.3), frequency=(1.0, 1.0 + 1e-9))
    found = dynamics_of(model, visited(10, 8, 4), None, 20, 0)
    (point,) = found.fixed_points
    assert point.kind == "stable"
    np.testing.assert_allclose(point.state, 0, atol=1e-8)
    omega, gamma = 2 * math.pi, 2.0
    stiffness = np.linalg.eigvalsh([[1 + 0.6, -0.6], [-0.6, 1 + 0.6]])  # two springs between two oscillators
    expected = np.sqrt(omega**2 * stiffness - gamma**2 / 4) / (2 * math.pi)
    np.testing.assert_allclose(np.sort(point.frequencies_hz), np.repeat(expected, 2), rtol=1e-6)
    np.testing.assert_allclose(point.time_constants_s, 2 / gamma, rtol=1e-6)
    (minimum,) = found.minima
    np.testing.assert_allclose(minimum.curvatures, stiffness, rtol=1e-6)
    assert minimum.value == 0.0
    assert found.learned["friction"].unit == "1/s"
    np.testing.assert_allclose(found.learned["friction"].values, gamma, rtol=1e-6)
    assert found.learned["frequency_hz"].unit == "Hz"


def test_wells_of_a_learned_potential_are_its_minima_and_the_barrier_is_a_saddle():
    model = langevin(lambda size: NetPotential(size, 1), size=2, friction=1.0, frequency=(1.0, 1.0))
    form = model.sde.potential
    with torch.no_grad():  # F = x²/2 - 3 ln cosh(x): F' = x - 3 tanh(x)
        form.inner.weight.fill_(1.0), form.inner.bias.zero_(), form.outer.fill_(-3.0)
    found = dynamics_of(model, visited(20, 8, 2, scale=3.0), None, 60, 0)
    kinds = sorted(p.kind for p in found.fixed_points)
    assert kinds == ["saddle", "stable", "stable"]
    for minimum in found.minima:
        x = minimum.position[0]
        assert x == pytest.approx(3 * math.tanh(x), abs=1e-6)
        assert minimum.curvatures[0] == pytest.approx(1 - 3 / math.cosh(x) ** 2, rel=1e-6)
    assert abs(found.minima[0].position[0]) == pytest.approx(2.984704585, rel=1e-6)
    assert found.landscape is None  # one position has no plane


def test_a_limit_cycle_has_an_unstable_focus_and_points_that_are_near_are_one():
    """Stuart and Landau's oscillator, $\\dot z = (1 + 2\\pi i) z - |z|^2 z$."""
    turn = torch.tensor([[1.0, -2 * math.pi], [2 * math.pi, 1.0]], dtype=torch.float64)

    def field(z):
        return z @ turn.T - z.square().sum(-1, keepdim=True) * z

    states = np.random.default_rng(0).normal(size=(300, 2))
    (point,) = fixed_points(field, states, 30, 0)
    assert point.kind == "unstable"
    np.testing.assert_allclose(point.eigenvalues, [1 + 2j * math.pi, 1 - 2j * math.pi], rtol=1e-6)
    np.testing.assert_allclose(point.frequencies_hz, 1.0)
    np.testing.assert_allclose(point.time_constants_s, -1.0)


def test_a_line_of_points_is_marginal_and_a_flow_that_never_rests_has_none():
    states = np.random.default_rng(0).normal(size=(100, 2))
    line = fixed_points(lambda z: z * z.new_tensor([-1.0, 0.0]), states, 5, 0)
    assert {p.kind for p in line} == {"marginal"}
    assert np.isinf(line[0].time_constants_s).any()
    assert line[0].summary["time_constants_s"].count(None) == 1
    assert fixed_points(lambda z: torch.ones_like(z) + 0.1 * torch.sin(z), states, 5, 0) == ()


def test_the_flow_in_a_plane_is_that_of_the_states_on_it():
    rng = np.random.default_rng(0)
    states = rng.normal(size=(500, 3)) * [3.0, 2.0, 0.1]
    matrix = torch.from_numpy(rng.normal(size=(3, 3)))
    plane = plane_of(states, points=5)
    flow = flow_on(plane, lambda z: z @ matrix.T)
    np.testing.assert_allclose(plane.axes @ plane.axes.T, np.eye(2), atol=1e-12)
    at = plane.origin + plane.x[3] * plane.axes[0] + plane.y[1] * plane.axes[1]
    change = matrix.numpy() @ at
    np.testing.assert_allclose(flow.vectors[1, 3], plane.axes @ change)
    assert flow.speed[1, 3] == pytest.approx(np.linalg.norm(change))
    np.testing.assert_allclose(plane.project(at), [plane.x[3], plane.y[1]])
    assert plane.share.sum() > 0.99


def test_coordinates_that_the_decoder_reads_carry_the_flow_of_the_state():
    """Velocities in units of their stationary deviation: the flow is scaled by the same units."""
    model = langevin(lambda size: CoupledOscillators(size, 1, 0.3), frequency=(0.5, 2.0))
    y, sde = torch.randn(5, 4), model.sde.prepared()
    z = sde.from_coordinates(y)
    step = 1e-3 * sde.drift(torch.tensor(0.0), z)
    expected = (sde.coordinates(z + step) - sde.coordinates(z - step)) / 2e-3
    torch.testing.assert_close(model.drift(y, 0.0), expected, rtol=1e-2, atol=1e-2)


def test_rates_and_noise_are_learned_on_the_clock_of_the_recording():
    sde = partial(LearnedOrnsteinUhlenbeck, rates=(0.5, 0.5))
    model = process(sde, 2, duration_s=2.0, model_time=8.0)  # four units of model time per second
    found = dynamics_of(model, visited(4, 8, 2), None, 10, 0)
    np.testing.assert_allclose(found.learned["rate"].values, 2.0, rtol=1e-6)
    np.testing.assert_allclose(found.fixed_points[0].time_constants_s, 0.5, rtol=1e-6)
    # Stationary variance is σ² / 2θ on any clock.
    np.testing.assert_allclose(found.learned["sigma"].values ** 2 / (2 * found.learned["rate"].values), 1.0, rtol=1e-6)
    fractional = process(sde, 2, noise=partial(FractionalBrownian, learn=True, hurst=0.7), solver=EulerMaruyama())
    learned = dynamics_of(fractional, visited(4, 8, 2), None, 10, 0).learned
    np.testing.assert_allclose(learned["hurst"].values, 0.7, rtol=1e-6)
    assert (learned["hurst"].unit, learned["sigma"].unit) == ("", "state/time^H")


def test_an_equation_that_reads_the_time_is_held_or_refused():
    model = process(partial(Neural, hidden_size=8), 2)
    with pytest.raises(ConfigError, match=r"drift of Neural changes .* give at_s= .* from 0 to 1, .*dynamics=langevin_type"):
        dynamics_of(model, visited(4, 8, 2), None, 5, 0)
    held = [dynamics_of(model, visited(4, 8, 2), t, 5, 0) for t in (0.0, 1.0)]
    assert held[0].at_s == 0.0
    assert not np.allclose(held[0].flow.vectors, held[1].flow.vectors)


def test_a_recursion_has_no_drift():
    model = ReleasedLangevin(8, bin_width_s=0.02, friction_per_s=27.5)
    with pytest.raises(ConfigError, match="ReleasedLangevin steps from bin to bin and has no drift"):
        dynamics_of(model, visited(4, 8, 16), None, 5, 0)
    with pytest.raises(ConfigError, match="seeds=0"):
        dynamics_of(model, visited(4, 8, 16), None, 0, 0)


def test_a_run_reads_its_own_dynamics_and_leaves_the_model_as_it_was(wells):
    before = {name: value.clone() for name, value in wells.module.state_dict().items()}
    found = wells.dynamics(seeds=10, n_samples=2)
    assert found.flow.speed.shape == found.flow.vectors.shape[:2]
    assert all(torch.equal(before[name], value) for name, value in wells.module.state_dict().items())
    assert {p.dtype for p in wells.module.parameters()} == {torch.float32}
