import pytest
import torch

from neuralsde.errors import ConfigError
from neuralsde.nn.potentials import CoupledOscillators, LocallyCoupledOscillators, NetPotential, Quadratic


def brute_force(kernel, z, channels):
    """The potential by its definition, sum over i, j of <C_i, Z_j>, index by index."""
    weight = kernel / kernel.norm(dim=2, keepdim=True)
    rows = z.view(channels, -1)
    length, total = rows.shape[1], 0.0
    for i in range(channels):
        for p in range(length):
            taps = [(k, t) for k in range(channels) for t in range(3) if 0 <= p + t - 1 < length]
            force = sum(weight[i, k, t] * rows[k, p + t - 1] for k, t in taps)
            total = total + sum(force * rows[j, p] for j in range(channels))
    return total


def test_potential_is_its_definition():
    potential = LocallyCoupledOscillators(20, 4, "random_normalized").double()
    z = torch.randn(3, 20, dtype=torch.float64)
    expected = torch.stack([brute_force(potential.kernel, sample, 4) for sample in z])
    torch.testing.assert_close(potential(z), expected, rtol=1e-12, atol=1e-12)


def test_matrix_is_the_gradient():
    potential = LocallyCoupledOscillators(280, 4, "random_normalized").double()
    z = torch.randn(5, 280, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(potential(z).sum(), z)
    torch.testing.assert_close(z @ potential.matrix(), gradient, rtol=1e-10, atol=1e-10)


def test_potential_is_an_indefinite_quadratic_form_of_rank_140():
    matrix = LocallyCoupledOscillators(280, 4, "random_normalized").double().matrix().detach()
    torch.testing.assert_close(matrix, matrix.T)
    eigenvalues = torch.linalg.eigvalsh(matrix)
    assert (eigenvalues > 1e-9).sum() == 70
    assert (eigenvalues < -1e-9).sum() == 70


def test_kernel_from_zeros_freezes_at_a_sign():
    """The first gradient is huge, so Adam takes one step of a sign and its second moment then holds the kernel still."""
    torch.manual_seed(0)
    potential = LocallyCoupledOscillators(280, 4)
    optimizer = torch.optim.Adam(potential.parameters(), 3e-3)

    def step():
        loss = potential(torch.randn(8, 280)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def normalized():
        return torch.nn.functional.normalize(potential.kernel.detach(), dim=2)

    step()
    signs = normalized().sign() / 3**0.5
    torch.testing.assert_close(normalized(), signs, rtol=1e-4, atol=1e-4)
    for _ in range(1000):
        step()
    torch.testing.assert_close(normalized(), signs, rtol=1e-2, atol=1e-2)


def test_kernel_from_random_moves():
    """Control of the test above: without the zero start the kernel is not held."""
    torch.manual_seed(0)
    potential = LocallyCoupledOscillators(280, 4, "random_normalized")
    optimizer = torch.optim.Adam(potential.parameters(), 3e-3)
    start = torch.nn.functional.normalize(potential.kernel.detach(), dim=2).clone()
    for _ in range(200):
        optimizer.zero_grad()
        potential(torch.randn(8, 280)).mean().backward()
        optimizer.step()
    assert (torch.nn.functional.normalize(potential.kernel.detach(), dim=2) - start).abs().max() > 0.05


def test_sizes_that_do_not_split_are_refused():
    with pytest.raises(ConfigError, match="does not split into 4 rows"):
        LocallyCoupledOscillators(30, 4)


CONFINING = [
    lambda: Quadratic(5),
    lambda: CoupledOscillators(5),
    lambda: CoupledOscillators(5, reach=3, stiffness=2.0),
    lambda: CoupledOscillators(5).double().prepared(),
    lambda: NetPotential(5, 16),
]


@pytest.fixture(params=CONFINING)
def confining(request):
    torch.manual_seed(0)
    potential = request.param().double()
    with torch.no_grad():
        for parameter in potential.parameters():
            parameter.add_(torch.randn_like(parameter))
    return potential


def test_a_confining_potential_s_force_is_its_gradient(confining):
    x = 3 * torch.randn(7, 5, dtype=torch.float64)
    expected = torch.func.grad(lambda z: confining(z).sum())(x)
    torch.testing.assert_close(confining.gradient(x), expected)
    assert not torch.allclose(1.05 * confining.gradient(x), expected)  # control


def test_no_curvature_exceeds_its_bound(confining):
    """Largest eigenvalues of the Hessian at 200 random states, near and far."""
    states = torch.randn(200, 5, dtype=torch.float64) * torch.logspace(-1, 1, 200, dtype=torch.float64)[:, None]
    largest = torch.linalg.eigvalsh(torch.func.vmap(torch.func.jacrev(torch.func.grad(confining)))(states))[:, -1]
    assert (largest <= confining.curvature() + 1e-9).all()
    assert (largest > 0.2 * confining.curvature()).any()  # the bound is no more than a few times too large


def test_coupled_oscillators_are_the_sum_over_springs():
    """Spring by spring, on the ring; and positive definite whatever was learned, with a smallest curvature of one."""
    potential = CoupledOscillators(4, reach=2).double()
    with torch.no_grad():
        potential.log_stiffness.normal_(std=3.0)
    x, k = torch.randn(4, dtype=torch.float64), potential.log_stiffness.exp()
    springs = sum(k[o, p] * (x[(p + o + 1) % 4] - x[p]) ** 2 for o in range(2) for p in range(4))
    torch.testing.assert_close(potential(x), 0.5 * (x.square().sum() + springs))
    torch.testing.assert_close(torch.linalg.eigvalsh(potential.matrix())[0], torch.ones((), dtype=torch.float64))


@pytest.mark.parametrize("settings", [{"reach": 0}, {"reach": 5}, {"stiffness": 0.0}])
def test_impossible_springs_are_refused(settings):
    with pytest.raises(ConfigError, match="give a reach from 1 to below 5"):
        CoupledOscillators(5, **settings)
