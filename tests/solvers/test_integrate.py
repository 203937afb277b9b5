import gc

import pytest
import torch

from neuralsde.errors import ConfigError, DivergenceError
from neuralsde.noise import Brownian, BrownianTree, FixedPath, LevyArea
from neuralsde.sde import DoubleWell, GeometricBrownian, Neural, OrnsteinUhlenbeck, StratonovichForm, UnderdampedLangevin
from neuralsde.solvers import ALIGN, EulerMaruyama, Heun, ShARK, integrate
from neuralsde.solvers.integrate import stretches
from tests.solvers.problems import DOUBLE, draw

OU = OrnsteinUhlenbeck(1.0, 0.0, 0.5)


def brownian(seed=0):
    return Brownian(torch.Generator().manual_seed(seed))


def test_output_times_substeps_and_shapes():
    path = FixedPath(draw(6, (2, 4, 3)))
    z0, times = torch.ones(2, 4, 3, dtype=DOUBLE), torch.tensor([0.0, 1.0], dtype=DOUBLE)
    every = integrate(OU, ShARK(), z0, torch.linspace(0, 1, 7, dtype=DOUBLE), path)
    ends = integrate(OU, ShARK(), z0, times, path, substeps=6)
    assert every.shape == (7, 2, 4, 3)
    torch.testing.assert_close(ends, every[[0, -1]])
    torch.testing.assert_close(every[0], z0)


def test_times_may_differ_per_sample():
    """Each sample equals a solve of its own with its own times, on the same tree."""
    tree, z0 = BrownianTree(0, 0.0, 2.0, 1e-3, LevyArea.SPACE_TIME), torch.ones(2, 1, dtype=DOUBLE)
    times = torch.tensor([[0.0, 0.5], [0.3, 0.7], [1.0, 2.0]], dtype=DOUBLE).unsqueeze(-1)
    both = integrate(DoubleWell(), ShARK(), z0, times, tree, substeps=3)
    for sample in range(2):
        alone = integrate(DoubleWell(), ShARK(), z0, times[:, sample, 0], tree, substeps=3)
        torch.testing.assert_close(both[:, sample], alone[:, sample])


def test_a_seed_repeats_a_solve():
    z0, times = torch.ones(4, 2), torch.linspace(0, 1, 5)
    first, again, other = (integrate(OU, EulerMaruyama(), z0, times, brownian(s)) for s in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("steps", [1, 7, 100])
def test_checkpointing_changes_neither_solution_nor_gradient(steps):
    torch.manual_seed(0)
    sde, path, times = Neural(2).double(), FixedPath(draw(steps * 2, (3, 2))), torch.linspace(0, 1, steps + 1).double()
    results = []
    for checkpoint in (False, True):
        z0 = torch.ones(3, 2, dtype=DOUBLE, requires_grad=True)
        z = integrate(sde, EulerMaruyama(), z0, times, path, substeps=2, checkpoint=checkpoint)
        results.append((z, *torch.autograd.grad(z.square().sum(), [z0, *sde.parameters()])))
    for plain, stretched in zip(*results, strict=True):
        torch.testing.assert_close(plain, stretched, rtol=1e-12, atol=1e-14)


def test_checkpointing_redraws_the_same_noise():
    torch.manual_seed(0)
    sde, z0, times = Neural(2).double(), torch.ones(3, 2, dtype=DOUBLE), torch.linspace(0, 1, 26, dtype=DOUBLE)
    z = integrate(sde, EulerMaruyama(), z0, times, brownian(), checkpoint=True)
    redrawn = torch.autograd.grad(z.square().sum(), list(sde.parameters()))
    sources = brownian().spawn(stretches(25))
    grids = torch.split(times[:-1].view(-1, 1, 1), stretches(25))
    pieces = []
    for source, grid in zip(sources, grids, strict=True):
        stretch = torch.cat([grid, grid[-1:] + 1 / 25])
        pieces.append(source.increments(stretch, (3, 2)))
    path = pieces[0].__class__(*(torch.cat(x) for x in zip(*((p.dt, p.w) for p in pieces), strict=True)))
    stored = integrate(sde, EulerMaruyama(), z0, times, FixedPath(path))
    torch.testing.assert_close(z, stored)
    for a, b in zip(redrawn, torch.autograd.grad(stored.square().sum(), list(sde.parameters())), strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("substeps", [1, 5])
def test_checkpointing_differentiates_the_start_of_a_method_that_remembers_more(substeps):
    force = torch.nn.Linear(1, 1).double()
    sde = UnderdampedLangevin(lambda x: x.sum(-1), gradient=force)
    path, times = FixedPath(draw(10, (3, 1))), torch.linspace(0, 1, 10 // substeps + 1, dtype=DOUBLE)
    results = []
    for checkpoint in (False, True):
        z0 = torch.ones(3, 2, dtype=DOUBLE, requires_grad=True)
        z = integrate(sde, ALIGN(), z0, times, path, substeps, checkpoint)
        results.append((z, *torch.autograd.grad((z[1:] * z[:-1]).sum(), [z0, *force.parameters()])))
    for plain, stretched in zip(*results, strict=True):
        torch.testing.assert_close(plain, stretched, rtol=1e-12, atol=1e-14)


def test_checkpointing_holds_no_graph_and_a_square_root_of_the_states():
    """Numbers saved for the backward pass: 4 times as many steps, about twice as many."""
    saved = []
    for steps in (64, 256, 1024):
        z0 = torch.ones(4, 2, requires_grad=True)
        z = integrate(OU, EulerMaruyama(), z0, torch.tensor([0.0, 1.0]), brownian(), steps, checkpoint=True)
        node = z.grad_fn
        saved.append(sum(x.numel() for x in node.saved_tensors))
        assert len(node.next_functions) == 1
    assert saved[1] < 2.2 * saved[0]
    assert saved[2] < 2.2 * saved[1]


def test_checkpointing_refuses_a_tensor_it_was_not_told_of():
    sde, outside = OrnsteinUhlenbeck(1.0, 0.0, 0.5), torch.ones(2, requires_grad=True)
    sde.mean = outside * 2
    times, z0 = torch.linspace(0, 1, 5), torch.ones(4, 2)
    with pytest.raises(ConfigError, match=r"reads a tensor of shape \(2,\)"):
        integrate(sde, EulerMaruyama(), z0, times, brownian(), checkpoint=True)
    z = integrate(sde, EulerMaruyama(), z0, times, brownian(), checkpoint=True, context=[sde.mean])
    assert torch.autograd.grad(z.sum(), outside)[0].all()


def test_stretches_add_up():
    for steps in (1, 2, 3, 10, 99, 100, 101):
        assert sum(stretches(steps)) == steps
        assert max(stretches(steps)) - min(stretches(steps)) <= 1


@pytest.mark.slow
def test_a_hundred_thousand_steps_need_no_recursion_and_leave_no_objects_behind():
    """The collector's count of objects after 100,000 steps is that after 1,000, give or take a hundred."""
    counts = {}

    class Counting(EulerMaruyama):
        def step(self, sde, t, state, path):
            self.steps = getattr(self, "steps", 0) + 1
            if self.steps in (1_000, 100_000):
                gc.collect()
                counts[self.steps] = len(gc.get_objects())
            return super().step(sde, t, state, path)

    with torch.no_grad():
        times = torch.tensor([0.0, 1000.0], dtype=DOUBLE)
        z = integrate(OU, Counting(), torch.ones(2, 1), times, brownian(), substeps=100_000)
    assert z.isfinite().all()
    assert abs(counts[100_000] - counts[1_000]) < 100


def test_double_precision_times_serve_a_single_precision_state():
    z = integrate(OU, EulerMaruyama(), torch.ones(2, 1), torch.tensor([1e6, 1e6 + 0.01], dtype=DOUBLE), brownian())
    assert z.dtype == torch.float32
    assert (z[1] != z[0]).all()


def test_divergence_names_the_first_bad_time_and_counts_the_samples():
    class Cubic(OrnsteinUhlenbeck):
        def drift(self, t, z):
            return z**3

    z0 = torch.tensor([[0.0], [1e3], [1e5], [0.0]])
    with pytest.raises(DivergenceError, match=r"finite at time 2 \(point 2 of 9\), in 2 of 4 samples"):
        integrate(Cubic(1.0, 0.0, 0.1), EulerMaruyama(), z0, torch.arange(10.0), brownian())


def test_what_does_not_fit_is_refused_with_both_values():
    z0, times, gbm = torch.ones(4, 2), torch.linspace(0, 1, 5), GeometricBrownian(0.1, 0.2)
    with pytest.raises(ConfigError, match="ShARK supports ADDITIVE noise, but GeometricBrownian has DIAGONAL noise"):
        integrate(gbm, ShARK(), z0, times, brownian())
    with pytest.raises(ConfigError, match="Heun converges to the Stratonovich solution, but GeometricBrownian is"):
        integrate(gbm, Heun(), z0, times, brownian())
    integrate(StratonovichForm(gbm), Heun(), z0, times, brownian())
    with pytest.raises(ConfigError, match=r"must increase, but time 1 is 0.5 and time 2 is 0.2"):
        integrate(OU, Heun(), z0, torch.tensor([0.0, 0.5, 0.2]), brownian())
    with pytest.raises(ConfigError, match=r"have shape \(1, 1, 1\) for a state of shape \(4, 2\)"):
        integrate(OU, Heun(), z0, times[:1], brownian())
    with pytest.raises(ConfigError, match="substeps is 0"):
        integrate(OU, Heun(), z0, times, brownian(), substeps=0)
    with pytest.raises(ConfigError, match=r"path has dtype torch.float64, but the state has torch.float32"):
        integrate(OU, Heun(), z0, times, FixedPath(draw(4, (4, 2))))
    with pytest.raises(ConfigError, match=r"path has shape \(4, 4, 2\).*asks for \(4, 5, 2\)"):
        integrate(OU, Heun(), torch.ones(5, 2, dtype=DOUBLE), times, FixedPath(draw(4, (4, 2))))
