"""Flows of dysts, where it is installed, and what a user is told where it is not."""

import sys

import numpy as np
import pytest

from neuralsde.datamodules.lorenz_system import lorenz
from neuralsde.datamodules.simulated import Chaotic
from neuralsde.errors import ConfigError


@pytest.fixture
def dysts():
    return pytest.importorskip("dysts", reason="dysts is not installed: pip install neuralsde[chaos]")


def test_without_dysts_the_user_is_told_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "dysts", None)
    with pytest.raises(ConfigError, match=r"needs the package dysts: pip install neuralsde\[chaos\]"):
        Chaotic("Rossler")


@pytest.mark.usefixtures("dysts")
def test_states_solve_the_equations_at_the_wanted_speed():
    system = Chaotic("Lorenz", periods_per_second=2.0)
    times = np.tile(np.arange(400) * 0.0005, (5, 1))
    states = system.states(np.random.default_rng(0), times)
    assert states.shape == (5, 400, 3)
    slope = np.gradient(states, 0.0005 * 2.0 * system.flow.period, axis=1)[:, 1:-1]
    scale = np.abs(lorenz(states)).max()
    np.testing.assert_allclose(slope, lorenz(states)[:, 1:-1], atol=1e-3 * scale)
    assert not np.allclose(1.05 * slope, lorenz(states)[:, 1:-1], atol=1e-3 * scale)


@pytest.mark.usefixtures("dysts")
def test_trials_lie_on_the_attractor_and_the_generator_decides():
    system, times = Chaotic("Lorenz"), np.tile(np.arange(3) * 0.01, (40, 1))
    states = system.states(np.random.default_rng(1), times)
    assert (np.abs(states[..., 0]) < 25).all()
    assert ((states[..., 2] > 0) & (states[..., 2] < 55)).all()
    assert states[:, 0].std(0).min() > 5  # on both lobes
    np.testing.assert_array_equal(states, system.states(np.random.default_rng(1), times))


@pytest.mark.usefixtures("dysts")
def test_no_trial_repeats_another(monkeypatch):
    """Within a split, trials are disjoint stretches of time; splits are different solutions, far apart after the burn-in."""
    system, solved = Chaotic("Lorenz"), []
    solve = Chaotic.solve
    monkeypatch.setattr(Chaotic, "solve", lambda self, start, times: solved.append((start, times)) or solve(self, start, times))
    times = np.tile(np.arange(4) * 0.1, (6, 1)) * np.linspace(0.5, 1, 6)[:, None]  # of unequal length
    for seed in (0, 1):
        system.states(np.random.default_rng(seed), times)
    for _, asked in solved:
        assert (np.diff(asked) > 0).all()
        stretches = asked[1:].reshape(6, 4)
        assert stretches[0, 0] > 50 * system.flow.period
        np.testing.assert_allclose(stretches - stretches[:, :1], times * system.flow.period, atol=1e-9)
    burnt = np.linspace(0, 50, 200) * system.flow.period
    first, second = (solve(system, start, burnt) for start, _ in solved)
    assert np.linalg.norm(first - second, axis=1)[-50:].mean() > 5  # the attractor is some 40 across


@pytest.mark.usefixtures("dysts")
def test_an_unbounded_phase_is_no_state():
    system = Chaotic("Duffing")  # driven: its third coordinate is the phase of the drive
    assert len(system.start) == 3
    assert system.n_states == 2
    assert system.states(np.random.default_rng(0), np.array([[0.0, 0.1]])).shape == (1, 2, 2)
    with pytest.raises(ConfigError, match="all of whose coordinates grow without bound; choose another"):
        Chaotic("ArnoldBeltramiChildress")


@pytest.mark.usefixtures("dysts")
def test_an_unknown_flow_is_refused_with_close_names():
    with pytest.raises(ConfigError, match=r"data.system.name is 'Roessler', but dysts has no such flow.* did you mean Rossler"):
        Chaotic("Roessler")
    with pytest.raises(ConfigError, match=r"choose one of Aizawa, "):
        Chaotic("qqqqq")
    with pytest.raises(ConfigError, match=r"did you mean Lorenz"):
        Chaotic("lorenz")
    with pytest.raises(ConfigError, match=r"data.system.periods_per_second is 0.0; give a number above 0"):
        Chaotic("Lorenz", 0.0)
