import torch

from neuralsde.sde import AbstractSDE, Calculus, GeometricBrownian, ItoForm, NoiseType, OrnsteinUhlenbeck
from neuralsde.sde.convert import StratonovichForm, correction

T = torch.tensor(0.4)


class General(AbstractSDE):
    noise, calculus = NoiseType.GENERAL, Calculus.STRATONOVICH

    def __init__(self):
        super().__init__()
        self.net = torch.nn.Sequential(torch.nn.Linear(2, 8), torch.nn.Tanh(), torch.nn.Linear(8, 6)).double()

    def drift(self, t, z):
        return -z

    def diffusion(self, t, z):
        return self.net(z).unflatten(-1, (2, 3))

    def noise_size(self, state_size):
        return 3


def test_geometric_brownian_motion_loses_half_its_variance():
    z = torch.rand(4, 2)
    sde = StratonovichForm(GeometricBrownian(0.5, 0.8))
    assert sde.calculus is Calculus.STRATONOVICH
    torch.testing.assert_close(sde.drift(T, z), (0.5 - 0.32) * z)


def test_general_noise_agrees_with_the_full_jacobian():
    torch.manual_seed(0)
    sde, z = General(), torch.randn(2, dtype=torch.float64)
    g = sde.diffusion(T, z)
    jacobian = torch.func.jacrev(lambda x: sde.diffusion(T, x))(z)  # (state, noise, state)
    expected = torch.einsum("ijk,kj->i", jacobian, g) / 2
    torch.testing.assert_close(correction(sde, T, z[None])[0], expected)
    torch.testing.assert_close(ItoForm(sde).drift(T, z[None])[0], -z + expected)
    assert ItoForm(sde).noise_size(2) == 3


def test_there_and_back_is_the_same_equation_and_additive_noise_needs_no_correction():
    z = torch.rand(4, 2, dtype=torch.float64)
    gbm, ou = GeometricBrownian(0.5, 0.8), OrnsteinUhlenbeck(1.0, 0.0, 1.0)
    torch.testing.assert_close(ItoForm(StratonovichForm(gbm)).drift(T, z), gbm.drift(T, z))
    assert torch.equal(StratonovichForm(ou).drift(T, z), ou.drift(T, z))
    assert torch.equal(ItoForm(ou).diffusion(T, z), ou.diffusion(T, z))


def test_the_correction_can_be_differentiated():
    z = torch.rand(4, 2, requires_grad=True)
    correction(GeometricBrownian(0.5, 0.8), T, z).sum().backward()
    torch.testing.assert_close(z.grad, torch.full_like(z, 0.32))
