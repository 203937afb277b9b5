"""Strong order of every (solver, noise type): slopes on coupled paths against the solver itself, and then the limit."""

import functools

import pytest
import torch

from neuralsde.sde import Calculus, ItoForm, NoiseType
from neuralsde.solvers import (
    SEA,
    SRA1,
    EulerMaruyama,
    GeneralShARK,
    Heun,
    Milstein,
    ReversibleHeun,
    ShARK,
    SlowRK,
    SPaRK,
)
from tests.solvers.problems import DOUBLE, NetSDE, draw, measured_order, rms, solve

SOLVERS = [EulerMaruyama, Heun, ReversibleHeun, Milstein, SEA, SRA1, ShARK, GeneralShARK, SlowRK, SPaRK]
CASES = [(solver, noise) for solver in SOLVERS for noise in solver.strong_order]
TOLERANCE = 0.4  # of the slope; the standard error of a slope over 128 paths and four levels is about .1
PATHS = 128
LEVELS = range(2, 6)


def problem(noise):
    return NetSDE(noise, m=1 if noise is NoiseType.SCALAR else 5)


@functools.cache
def heun(noise, fine):
    """Equation, start, path and Heun's solution on it, which every solver is held to."""
    sde, z0 = problem(noise), torch.full((64, 3), 0.5, dtype=DOUBLE)
    path = draw(fine, (64, sde.noise_size(3)))
    return sde, z0, path, solve(sde, Heun(), z0, path, fine)


def in_calculus_of(solver, sde):
    wrong = solver.calculus is Calculus.ITO and sde.noise is not NoiseType.ADDITIVE
    return ItoForm(sde) if wrong else sde


def name(case):
    return getattr(case, "__name__", None) or case.name


@pytest.mark.parametrize(("solver", "noise"), CASES, ids=name)
def test_strong_order_against_itself(solver, noise):
    sde = in_calculus_of(solver, problem(noise))
    z0 = torch.full((PATHS, 3), 0.5, dtype=DOUBLE)
    order, _ = measured_order(sde, solver(), z0, levels=LEVELS)
    assert abs(order - solver.strong_order[noise]) < TOLERANCE


@pytest.mark.parametrize(
    ("fine", "tolerance"), [(256, 0.12), pytest.param(2048, 0.05, marks=pytest.mark.slow)], ids=["256", "2048"]
)
@pytest.mark.parametrize(("solver", "noise"), CASES, ids=name)
def test_the_limit_is_that_of_heun(solver, noise, fine, tolerance):
    """Root mean square distance at the last time to Heun's solution in `fine` steps on the same path."""
    sde, z0, path, truth = heun(noise, fine)
    steps = fine if solver.strong_order[noise] == 0.5 else fine // 4
    assert rms(solve(in_calculus_of(solver, sde), solver(), z0, path, steps) - truth) < tolerance


def test_the_limit_test_sees_the_wrong_calculus():
    """Control: Euler on the uncorrected drift has a perfect order towards the wrong solution."""
    sde, z0 = problem(NoiseType.DIAGONAL), torch.full((64, 3), 0.5, dtype=DOUBLE)
    sde.calculus = Calculus.ITO  # a lie
    path = draw(512, (64, 3))
    wrong = solve(sde, EulerMaruyama(), z0, path, 512)
    assert abs(measured_order(sde, EulerMaruyama(), z0, LEVELS)[0] - 0.5) < TOLERANCE
    sde.calculus = Calculus.STRATONOVICH
    assert rms(wrong - solve(sde, Heun(), z0, path, 512)) > 0.1


def test_the_order_test_sees_missing_areas():
    """Control: without H the schemes of order 3/2 fall to order 1."""
    sde, z0 = problem(NoiseType.ADDITIVE), torch.full((PATHS, 3), 0.5, dtype=DOUBLE)

    class Blind(ShARK):
        def step_with_error(self, sde, t, state, path):
            return super().step_with_error(sde, t, state, path.__class__(path.dt, path.w, 0 * path.h))

    assert measured_order(sde, Blind(), z0, LEVELS, reference=ShARK())[0] < 1.5 - TOLERANCE
