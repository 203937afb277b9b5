"""Equations along a control path: against torchsde on the same Brownian path, and against closed forms."""

import functools
import math

import numpy as np
import pytest
import torch
import torchsde

from neuralsde.errors import ConfigError
from neuralsde.inference import DrivenSDE
from neuralsde.inference.driven_sde import HeldPath
from neuralsde.noise import FixedPath, Increments
from neuralsde.sde import (
    AbstractDriven,
    Geometric,
    LangevinType,
    LinearNoise,
    PublishedGeometric,
    PublishedLangevinType,
    PublishedLinearNoise,
)
from neuralsde.sde.base import Calculus, NoiseType
from neuralsde.solvers import EulerMaruyama, LogEuler, integrate

BATCH, BINS, CONTROL, STATE = 5, 12, 3, 4
PUBLISHED = [
    PublishedLangevinType,
    PublishedLinearNoise,
    PublishedGeometric,
    functools.partial(PublishedGeometric, gate="one_minus_sigmoid"),
]


class Given(torch.nn.Module):
    """The published equations as they are written down, one operation a line, for torchsde."""

    noise_type, sde_type = "diagonal", "ito"

    def __init__(self, sde, values: torch.Tensor):
        super().__init__()
        self.sde, self.values = sde, values

    def f(self, t, y):
        sde, x = self.sde, self.values[int(t.round())]
        u = sde.embed_state(torch.cat([t.sin().expand(len(y), 1), t.cos().expand(len(y), 1), y], 1) if sde.reads_time else y)
        m = sde.mix(torch.cat([u, sde.embed_control(x)], 1))
        for layer in sde.hidden:
            m = layer(torch.relu(m))
        if isinstance(sde, PublishedGeometric):
            m = m * (torch.tanh(y) if sde.gate == "tanh" else 1 - torch.sigmoid(y))
        return torch.tanh(m)

    def g(self, t, y):
        first, _, second = self.sde.noise_net
        s = torch.relu(second(torch.relu(first(torch.stack([t.sin(), t.cos()])))))
        return torch.tanh(torch.sigmoid(self.sde.theta) * (s.expand_as(y) if self.sde.noise is NoiseType.ADDITIVE else s * y))


class Drawn:
    """The same Brownian path for torchsde, asked for step by step."""

    def __init__(self, w: torch.Tensor):
        self.w, self.shape, self.dtype, self.device, self.levy_area_approximation = w, w.shape[1:], w.dtype, w.device, "none"

    def __call__(self, ta, tb=None, **_):
        return self.w[round(float(ta))]


@pytest.mark.parametrize("family", PUBLISHED)
def test_published_equations_step_as_torchsde_does(family):
    torch.manual_seed(0)
    sde = family(state_size=STATE, control_size=CONTROL).double()
    values, z0 = torch.randn(BINS, BATCH, CONTROL).double(), torch.randn(BATCH, STATE).double()
    w, times = torch.randn(BINS - 1, BATCH, STATE).double(), torch.arange(BINS).double()
    path = Increments(torch.ones(BINS - 1, 1, 1).double(), w)
    driven = sde.driven_by(HeldPath(times.view(-1, 1, 1), values))
    ours = integrate(driven, EulerMaruyama(), z0, times, FixedPath(path))
    theirs = torchsde.sdeint(Given(sde, values), z0, times, bm=Drawn(w), method="euler", dt=1.0)
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)
    other = integrate(
        sde.driven_by(HeldPath(times.view(-1, 1, 1), values.flip(0))), EulerMaruyama(), z0, times, FixedPath(path)
    )
    assert not torch.allclose(other, theirs)


def test_published_forecaster_has_as_many_weights_as_its_code():
    sde = functools.partial(PublishedLinearNoise, depth=2)
    dynamics = DrivenSDE(14, 64, sde, EulerMaruyama(), duration_s=49.0)
    readout = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.Linear(64, 14))
    assert sum(p.numel() for part in (dynamics, readout) for p in part.parameters()) == 32_207


@pytest.mark.parametrize("shared", [True, False])
def test_a_held_path_keeps_each_bins_value_until_the_next(shared):
    rng = np.random.default_rng(1)
    clock = torch.tensor(rng.uniform(0.5, 1.5, (BINS, 1 if shared else BATCH, 1)).cumsum(0))
    values = torch.tensor(rng.normal(size=(BINS, BATCH, CONTROL)))
    path = HeldPath(clock, values)
    asked = torch.tensor(rng.uniform(0.0, float(clock.max()) + 2, (7, clock.shape[1], 1)))
    for t, found in zip(asked, path(asked), strict=True):
        torch.testing.assert_close(path(t).expand(BATCH, CONTROL), found)
        for n in range(BATCH):
            own = clock[:, 0 if shared else n, 0]
            k = max(int((own <= t[0 if shared else n, 0]).sum()) - 1, 0)
            assert torch.equal(found[n], values[k, n])
    for bins in (
        slice(0, -1),
        slice(3, 7),
        slice(2, None, 2),
        slice(0, 0),
    ):  # a step for each bin, of all and of some; other steps
        assert torch.equal(path(clock[bins].contiguous()), values[bins])


class Follow(AbstractDriven):
    r"""$dz = a (X(t) - z)\,dt + b\,dW$, whose mean and variance have closed forms."""

    noise, calculus, a, b = NoiseType.ADDITIVE, Calculus.ITO, 2.0, 0.5

    def __init__(self, state_size: int, control_size: int):
        super().__init__(control_size)

    def drift(self, t, z):
        return self.a * (self.control(t) - z)

    def diffusion(self, t, z):
        return torch.full_like(z, self.b)


def test_stretches_of_bins_are_solved_along_the_mean_of_the_path():
    torch.manual_seed(0)
    sde = functools.partial(LangevinType, sigma=1e-9)
    coarse = DrivenSDE(CONTROL, STATE, sde, EulerMaruyama(), duration_s=8.0, most_steps=4).double()
    times = torch.arange(9.0)[None].double()
    context = torch.randn(BATCH, 9, CONTROL).double()
    ends = [0, 2, 4, 6, 8]
    means = torch.stack([context[:, a : a + (3 if a == 6 else 2)].mean(1) for a in ends[:-1]], 1)
    found = coarse(context, times, 9).states
    coarse.most_steps = None
    z0, control = coarse.start(context[:, 0]), torch.cat([means, context[:, -1:]], 1)
    expected = coarse._along(control.transpose(0, 1), z0, times[:, ends]).transpose(0, 1)
    torch.testing.assert_close(found[:, ends], expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(found[:, 1], (expected[:, 0] + expected[:, 1]) / 2, atol=1e-6, rtol=0)
    assert not torch.allclose(coarse(context, times, 9).states[:, 4], found[:, 4], atol=1e-3)


def test_the_path_follows_the_context_bin_by_bin_and_beyond():
    torch.manual_seed(0)
    process = DrivenSDE(1, 1, Follow, EulerMaruyama(), duration_s=2.0, substeps=50).double()
    times = torch.tensor([[0.0, 0.3, 1.0, 2.0]]).double()
    levels = torch.tensor([1.0, -2.0, 0.5, 3.0]).double()
    n = 20_000
    path = process(levels.view(1, 4, 1).expand(n, -1, -1), times, 4)
    assert path.kl == {}
    z, variance = process.start(levels[:1].view(1, 1)).item(), 0.0
    for k, step in enumerate(times.diff()[0].tolist()):
        decay = math.exp(-2 * step)
        z, variance = levels[k].item() + (z - levels[k].item()) * decay, variance * decay**2 + 0.0625 * (1 - decay**2)
        found = path.states[:, k + 1, 0]
        assert found.mean().item() == pytest.approx(z, abs=0.02 + 4 * math.sqrt(variance / n))
        assert found.var().item() == pytest.approx(variance, rel=0.06)
    assert path.end is not None
    ahead = process.go_on(path.end, torch.tensor([[2.0, 6.0]]).double())
    assert ahead[:, 0, 0].mean().item() == pytest.approx(3.0, abs=0.02)  # along the last value of the context
    assert abs(path.states[:, 3, 0].mean().item() - 3.0) > 0.5  # which has not acted before


def test_a_geometric_state_stays_positive_at_ten_times_the_step():
    torch.manual_seed(0)
    process = DrivenSDE(2, 3, functools.partial(Geometric, sigma=0.5), LogEuler(), duration_s=1.0, model_time=40.0)
    states = process(torch.randn(64, 9, 2), torch.linspace(0, 1, 9)[None], 9).states
    assert (states > 0).all()
    assert states.isfinite().all()


def test_there_is_no_prior_and_no_flow():
    process = DrivenSDE(2, 3, LangevinType, EulerMaruyama(), duration_s=1.0)
    with pytest.raises(ConfigError, match="no prior to sample from"):
        process.from_prior(3, torch.linspace(0, 1, 4)[None])
    with pytest.raises(ConfigError, match="no flow of its own"):
        process.equation()


def test_norms_are_penalised_of_the_equation_alone():
    """Of which the published vector field consists: its initial network lies beside it, in the model."""
    process = DrivenSDE(2, 3, PublishedLangevinType, EulerMaruyama(), duration_s=1.0)
    named = {id(p) for p in process.penalised()}
    assert {name.partition(".")[0] for name, p in process.named_parameters() if id(p) in named} == {"sde"}
    assert {name.partition(".")[0] for name, p in process.named_parameters() if id(p) not in named} == {"start"}


@pytest.mark.parametrize("family", [LangevinType, LinearNoise, Geometric])
@pytest.mark.parametrize("sigma", [None, 0.3])
def test_a_prepared_equation_is_the_same_along_its_path(family, sigma):
    torch.manual_seed(2)
    sde = family(state_size=STATE, control_size=CONTROL, sigma=sigma).double()
    clock = torch.rand(BINS, BATCH, 1).double().cumsum(0)
    driven = sde.driven_by(HeldPath(clock, torch.randn(BINS, BATCH, CONTROL).double()))
    ready, t, z = driven.prepared(), clock[3] + 0.1, torch.randn(BATCH, STATE).double().abs()
    assert ready is not driven
    torch.testing.assert_close(ready.drift(t, z), driven.drift(t, z))
    assert not torch.allclose(ready.drift(clock[0], z), driven.drift(t, z))


def test_impossible_stretches_are_refused():
    with pytest.raises(ConfigError, match=r"model\.dynamics\.most_steps is 0"):
        DrivenSDE(CONTROL, STATE, LangevinType, EulerMaruyama(), duration_s=1.0, most_steps=0)
