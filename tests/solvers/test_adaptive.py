import pytest
import torch

from neuralsde.errors import ConfigError
from neuralsde.noise import BrownianTree, LevyArea
from neuralsde.sde import CoxIngersollRoss, DoubleWell, NoiseType, UnderdampedLangevin
from neuralsde.solvers import (
    ALIGN,
    DriftImplicitCIR,
    PIDController,
    RootController,
    ShARK,
    SPaRK,
    integrate,
    integrate_adaptive,
)
from tests.solvers.problems import DOUBLE, NetSDE

COARSE = PIDController(atol=2e-2, dt_min=2.0**-7)
TIMES = torch.tensor([0.0, 0.4, 1.0], dtype=DOUBLE)


def tree(seed=0, tolerance=2.0**-11, area=LevyArea.SPACE_TIME):
    return BrownianTree(seed, 0.0, 1.0, tolerance, area)


def test_every_rejected_time_is_visited_and_none_is_left_waiting():
    sde, z0 = DoubleWell(20.0, 1.0), torch.zeros(6, 1, dtype=DOUBLE)
    found = integrate_adaptive(sde, ShARK(), z0, TIMES, tree(), COARSE, dt0=0.3, record=True)
    assert not found.waiting.any()
    assert (found.rejected > 0).all()
    for sample in range(6):
        accepted, rejected = (x[:, sample, 0] for x in (found.accepted_times, found.rejected_times))
        accepted, rejected = accepted[~accepted.isnan()], rejected[~rejected.isnan()]
        assert len(accepted) == found.accepted[sample]
        assert (accepted.diff() > 0).all()
        assert set(rejected.tolist()) <= set(accepted.tolist())
        assert set(TIMES[1:].tolist()) <= set(accepted.tolist())


def test_skipping_rejected_times_is_seen():
    """Control of the test above: without revisits, rejected times are missing."""
    sde, z0 = DoubleWell(20.0, 1.0), torch.zeros(6, 1, dtype=DOUBLE)
    found = integrate_adaptive(sde, ShARK(), z0, TIMES, tree(), COARSE, dt0=0.3, record=True, revisit=False)
    rejected = found.rejected_times[~found.rejected_times.isnan()]
    assert not set(rejected.tolist()) <= set(found.accepted_times.flatten().tolist())


def test_a_sample_does_not_depend_on_its_neighbours():
    sde, z0 = DoubleWell(20.0, 1.0), torch.tensor([[0.0], [1.0], [-2.0]], dtype=DOUBLE)
    together = integrate_adaptive(sde, ShARK(), z0, TIMES[:2], tree(), COARSE)
    moved = integrate_adaptive(sde, ShARK(), z0 * torch.tensor([[1.0], [1.0], [0.5]], dtype=DOUBLE), TIMES[:2], tree(), COARSE)
    torch.testing.assert_close(together.path[:, :2], moved.path[:, :2], rtol=1e-12, atol=1e-12)
    assert together.accepted.unique().numel() > 1


@pytest.mark.parametrize(
    ("sde", "solver", "size"),
    [
        pytest.param(DoubleWell(5.0, 1.0), ShARK(), 1, marks=pytest.mark.slow),
        (NetSDE(NoiseType.GENERAL, m=2), SPaRK(), 3),
        (CoxIngersollRoss(1.0, 1.0, 0.8), DriftImplicitCIR(), 1),
        (UnderdampedLangevin(lambda x: (x**4).sum(-1)), ALIGN(), 2),
    ],
    ids=lambda x: type(x).__name__,
)
def test_a_smaller_tolerance_comes_closer_to_the_same_solution(sde, solver, size):
    """Embedded and step-doubling estimates, commutative and general noise: errors against 256 constant steps fall."""
    z0 = torch.full((16, size), 0.5, dtype=DOUBLE)
    truth = integrate(sde, solver, z0, torch.linspace(0, 1, 257, dtype=DOUBLE), tree())[-1]
    errors, steps = [], []
    for atol in (3e-2, 6e-3):
        found = integrate_adaptive(sde, solver, z0, TIMES[[0, 2]], tree(), PIDController(atol, dt_min=2.0**-9), dt0=0.1)
        errors.append((found.path[-1] - truth).square().mean().sqrt())
        steps.append(found.accepted.double().mean())
    assert errors[1] < errors[0] / 1.3
    assert errors[1] < 0.03
    assert steps[1] > steps[0]


def test_a_time_asked_for_costs_its_own_step_and_no_more():
    """Steps of .05 without error, cut to .025 at each multiple of .125: three each, where growing again takes four."""
    sde, z0, times = DoubleWell(0.0, 1.0), torch.zeros(2, 1, dtype=DOUBLE), torch.linspace(0, 1, 9, dtype=DOUBLE)
    controller = PIDController(dt_min=2.0**-9, dt_max=0.05, grow=1.2)
    found = integrate_adaptive(sde, ShARK(), z0, times, tree(), controller, dt0=0.05)
    assert (found.accepted == 3 * 8).all()
    control = integrate_adaptive(sde, ShARK(), z0, times[:2], tree(), controller, dt0=0.025 * 1.2)
    assert (control.accepted > 3).all()


def test_steps_by_the_root_of_the_state_follow_its_law_and_take_one_step_a_trial():
    sde, z0 = CoxIngersollRoss(1.0, 1.0, 2.2), torch.ones(3, 1, dtype=DOUBLE)
    calls = []

    class Counted(DriftImplicitCIR):
        def step(self, *arguments):
            calls.append(None)
            return super().step(*arguments)

    controller = RootController(2.0**-4, dt_min=2.0**-7)
    found = integrate_adaptive(sde, Counted(), z0, TIMES[[0, 2]], tree(), controller, dt0=0.1, record=True)
    assert len(calls) == len(found.accepted_times)
    assert (found.rejected > 0).any()
    assert not found.waiting.any()
    # The state at the accepted times, once more, with the law written out.
    for sample in range(3):
        ends = found.accepted_times[:, sample, 0]
        ends = torch.cat([torch.zeros(1, dtype=DOUBLE), ends[~ends.isnan()]])
        z = integrate(sde, DriftImplicitCIR(), z0, ends, tree())[:, sample, 0]
        lowest = torch.minimum(z[1:], z[:-1])
        longest = torch.maximum(1.1 * (lowest / 16) ** (2 / 3), torch.tensor(2 * 2.0**-7, dtype=DOUBLE))
        assert (ends.diff() <= longest + 1e-12).all()
        assert not (ends.diff() <= longest / 3).all()  # control: a bound that is too small does not hold


def test_gradients_flow_through_accepted_steps():
    stiffness = torch.nn.Parameter(torch.tensor(4.0, dtype=DOUBLE))
    sde, z0 = DoubleWell(), torch.zeros(2, 1, dtype=DOUBLE)
    sde.stiffness = stiffness
    integrate_adaptive(sde, ShARK(), z0, TIMES, tree(), COARSE).path[-1].sum().backward()
    assert stiffness.grad.isfinite()
    assert stiffness.grad != 0


def test_what_does_not_fit_is_refused_with_both_values():
    z0 = torch.zeros(2, 1, dtype=DOUBLE)
    with pytest.raises(ConfigError, match=r"resolves 0.1, but steps may be as short as 0.000244"):
        integrate_adaptive(DoubleWell(), ShARK(), z0, TIMES, tree(tolerance=0.1))
    with pytest.raises(ConfigError, match=r"took 3 trials and is at time 0"):
        integrate_adaptive(DoubleWell(), ShARK(), z0, TIMES, tree(), COARSE, dt0=1e-2, max_trials=3)
