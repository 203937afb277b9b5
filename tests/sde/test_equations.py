import pytest
import torch

from neuralsde.errors import ConfigError
from neuralsde.nn.potentials import CoupledOscillators
from neuralsde.sde import (
    CoxIngersollRoss,
    DoubleWell,
    Geometric,
    GeometricBrownian,
    LangevinType,
    LearnedLangevin,
    LearnedOrnsteinUhlenbeck,
    LinearNoise,
    Neural,
    NeuralAdditive,
    NoiseType,
    OrnsteinUhlenbeck,
    StochasticLorenz,
    UnderdampedLangevin,
)

torch.manual_seed(0)
EQUATIONS = [
    (OrnsteinUhlenbeck(1.0, 0.5, 0.3), 3),
    (OrnsteinUhlenbeck(torch.nn.Parameter(torch.ones(3)), 0.5, 0.3), 3),
    (GeometricBrownian(0.1, 0.2), 3),
    (DoubleWell(), 3),
    (StochasticLorenz(), 3),
    (CoxIngersollRoss(1.0, 1.0, 0.5), 3),
    (UnderdampedLangevin(lambda x: (x**2).sum(-1)), 4),
    (Neural(3), 3),
    (NeuralAdditive(3), 3),
    (LangevinType(3), 3),
    (LinearNoise(3), 3),
    (Geometric(3), 3),
    (LangevinType(3, sigma=0.5), 3),
    (LinearNoise(3, sigma=0.5), 3),
    (Geometric(3, sigma=0.5), 3),
    (LearnedOrnsteinUhlenbeck(3), 3),
    (LearnedLangevin(4, CoupledOscillators, 2.0, (0.4, 3.0), 0.02), 4),
]


@pytest.mark.parametrize(("sde", "size"), EQUATIONS, ids=lambda x: type(x).__name__)
@pytest.mark.parametrize("time_shape", [(), (1, 1), (5, 1)])
def test_shapes_follow_the_noise_type_at_shared_and_per_sample_times(sde, size, time_shape):
    z, t = torch.rand(5, size), torch.rand(time_shape)
    assert sde.drift(t, z).shape == z.shape
    g = sde.diffusion(t, z)
    assert g.shape in [z.shape, (*z.shape, sde.noise_size(size))]
    if sde.noise is NoiseType.DIAGONAL:
        assert g.shape == z.shape


@pytest.mark.parametrize(("sde", "size"), EQUATIONS, ids=lambda x: type(x).__name__)
def test_the_noise_type_is_true(sde, size):
    """The derivative of g in z is zero for additive noise and diagonal for diagonal noise."""
    z, t = torch.rand(size) + 0.1, torch.tensor(0.3)
    jacobian = torch.func.jacrev(lambda x: sde.diffusion(t, x))(z)
    if sde.noise is NoiseType.ADDITIVE:
        assert not jacobian.any()
    else:
        torch.testing.assert_close(jacobian, torch.diag(jacobian.diagonal()))
        g, slope = sde.diffusion_with_slope(t, z)
        torch.testing.assert_close(g, sde.diffusion(t, z))
        torch.testing.assert_close(slope, jacobian.diagonal())
        assert jacobian.any()


def test_lorenz_rests_at_its_fixed_point():
    c = (8 / 3 * 27) ** 0.5
    z = torch.tensor([[c, c, 27.0]])
    assert StochasticLorenz().drift(torch.tensor(0.0), z).abs().max() < 1e-4


def test_langevin_drift_by_hand():
    """F = x^4 / 4 with m = 2, gamma = 3: dv = -3 v - x^3 / 2, noise sqrt(2 * 3 * .5 / 2) on v alone."""
    sde = UnderdampedLangevin(lambda x: (x**4).sum(-1) / 4, friction=3.0, mass=2.0, temperature=0.5)
    z, t = torch.tensor([[2.0, 0.1]]), torch.tensor(0.0)
    torch.testing.assert_close(sde.drift(t, z), torch.tensor([[0.1, -0.3 - 4.0]]))
    torch.testing.assert_close(sde.diffusion(t, z), torch.tensor([[[0.0], [1.5**0.5]]]))
    closed = UnderdampedLangevin(lambda x: x.sum(-1), 3.0, 2.0, 0.5, gradient=lambda x: x**3)
    torch.testing.assert_close(closed.drift(t, z), sde.drift(t, z))


def test_langevin_control_enters_where_the_noise_does():
    class Controlled(UnderdampedLangevin):
        def control(self, t, z):
            return torch.ones_like(z[..., :1])

    z, t = torch.tensor([[2.0, 0.1]]), torch.tensor(0.0)
    free, controlled = (c(lambda x: (x**2).sum(-1), 2.0) for c in (UnderdampedLangevin, Controlled))
    difference = controlled.drift(t, z) - free.drift(t, z)
    torch.testing.assert_close(difference, controlled.diffusion(t, z)[..., 0])


def test_langevin_refuses_what_does_not_fit():
    def quadratic(x):
        return (x**2).sum(-1)

    with pytest.raises(ConfigError, match=r"friction of a Langevin equation must be positive, but it is -1.0"):
        UnderdampedLangevin(quadratic, friction=-1.0)
    with pytest.raises(ConfigError, match=r"size is 3, an odd one"):
        UnderdampedLangevin(quadratic).drift(torch.tensor(0.0), torch.zeros(2, 3))
    with pytest.raises(ConfigError, match=r"3 values of friction, but 2 positions"):
        UnderdampedLangevin(quadratic, torch.ones(3)).drift(torch.tensor(0.0), torch.zeros(2, 4))


def test_learned_friction_is_a_parameter():
    sde = UnderdampedLangevin(lambda x: (x**2).sum(-1), torch.nn.Parameter(torch.ones(2)))
    assert [name for name, _ in sde.named_parameters()] == ["friction"]


def test_families_shape_their_coefficients():
    """The LSDE's drift reads no time; the geometric family is silent at zero; the LNSDE's noise saturates in time."""
    early, late, z = torch.tensor([[0.1]]), torch.tensor([[0.7]]), torch.randn(4, 3)
    lsde, lnsde, gsde = LangevinType(3), LinearNoise(3), Geometric(3)
    assert torch.equal(lsde.drift(early, z), lsde.drift(late, z))
    assert not torch.equal(lsde.diffusion(early, z), lsde.diffusion(late, z))
    assert not gsde.drift(early, 0 * z).any()
    assert not gsde.diffusion(early, 0 * z).any()
    far = lnsde.volatility(torch.tensor([[1e3]]), z)
    torch.testing.assert_close(far, lnsde.volatility(torch.tensor([[1e4]]), z))


@pytest.mark.parametrize("family", [LangevinType, LinearNoise, Geometric])
def test_a_control_path_drives_a_family_with_the_same_parameters(family):
    sde, z, t = family(3, control_size=2), torch.ones(4, 3), torch.rand(4, 1)
    with pytest.raises(ConfigError, match="expects 2 control channels, but none was given"):
        sde.drift(t, z)
    driven = sde.driven_by(lambda t: torch.cat([t, t**2], -1))
    assert driven.drift(t, z).unique(dim=0).shape[0] == 4
    assert next(driven.parameters()) is next(sde.parameters())
    with pytest.raises(ConfigError, match="expects 0 control channels, but one was given"):
        family(3).driven_by(lambda t: t).drift(t, z)


@pytest.mark.parametrize(("sde", "size"), EQUATIONS, ids=lambda x: type(x).__name__)
def test_coordinates_go_there_and_back_and_preparing_changes_nothing(sde, size):
    z, t = torch.rand(5, size) + 0.1, torch.tensor(0.3)
    prepared = sde.prepared()
    torch.testing.assert_close(prepared.from_coordinates(prepared.coordinates(z)), z)
    torch.testing.assert_close(prepared.drift(t, z), sde.drift(t, z))
    torch.testing.assert_close(prepared.diffusion(t, z), sde.diffusion(t, z))


def test_a_learned_process_is_the_ornstein_uhlenbeck_process_it_describes():
    """Stationary deviation and rates as given, in sigma^2 / 2 theta and in the drift at a unit state."""
    sde = LearnedOrnsteinUhlenbeck(3, rates=(0.5, 8.0), deviation=0.7)
    rates = torch.tensor([0.5, 2.0, 8.0])
    torch.testing.assert_close(-sde.drift(torch.tensor(0.0), torch.ones(3)), rates)
    torch.testing.assert_close((sde.sigma() ** 2 / (2 * rates)).sqrt(), torch.full((3,), 0.7))


@pytest.mark.parametrize("family", [LangevinType, LinearNoise, Geometric])
def test_held_drifts_are_bounded_and_point_inward(family):
    """Of the unconstrained coordinates: within +-2 at the start, and against the state far out; the theory form is neither."""
    t, y = torch.tensor(0.3), torch.linspace(-40, 40, 81)[:, None].expand(-1, 3)
    drifts = {}
    for sigma in (0.5, None):
        torch.manual_seed(0)
        sde = family(3, sigma=sigma)
        with torch.no_grad():
            drifts[sigma] = sde.log_drift(t, y.exp().double().float()) if family is Geometric else sde.drift(t, y)
    held = drifts[0.5]
    assert held.abs().max() <= 2.0
    assert (held[:20] > 0).all()
    assert (held[-20:] < 0).all()
    assert not drifts[None].abs().max() <= 2.0
