import math

import pytest
import torch

from benchmarks.langevinflow_step import PlainRelease, our_model
from neuralsde.errors import ConfigError
from neuralsde.inference import ReleasedLangevin
from neuralsde.training.build import instantiate_part
from tests.helpers.tiny import tiny_config

TIMES = 0.02 * torch.arange(9, dtype=torch.float64)[None]


def dynamics(size=12, **switches):
    torch.manual_seed(0)
    return ReleasedLangevin(size, bin_width_s=0.02, friction_per_s=27.5, **switches).double()


def context(batch=4, bins=6, size=12):
    return torch.randn(batch, bins, size, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("observed", "targets", "parameters"),
    [(137, 182, 4_510_422), (98, 130, 4_433_930), (49, 65, 4_338_105), (40, 54, 4_321_294)],
    ids=["mc_maze", "mc_rtt", "area2_bump", "dmfc_rsg"],
)
def test_parameter_count_is_the_release_s(tmp_path, observed, targets, parameters):
    sizes = f"spec={{observed_dim: {observed}, target_dim: {targets}, total_bins: 45, bin_width_s: 0.02, kind: counts}}"
    config = tiny_config(tmp_path, "model=langevinflow_released", sizes)
    model = instantiate_part(config, "model")
    assert sum(p.numel() for p in model.parameters()) == parameters


def test_recursion_is_the_release_s():
    """Ours, with the force as a matrix product, against a loop with the force by autograd, on the same noise."""
    torch.manual_seed(0)
    plain = PlainRelease().double().eval()
    torch.nn.init.normal_(plain.kernel)
    process = ReleasedLangevin(280, bin_width_s=0.02, friction_per_s=27.5, kernel_init="random_normalized").double()
    process.potential.load_state_dict({"kernel": plain.kernel})
    for head, theirs in zip(("z_m", "z_l", "v_m", "v_l"), plain.heads, strict=True):
        process.heads[head].load_state_dict(theirs.state_dict())
    h = torch.randn(2, 9, 280, dtype=torch.float64)
    torch.manual_seed(1)
    path = process(h, TIMES, 9)
    torch.manual_seed(1)
    draws = [torch.randn(2, 280, dtype=torch.float64) for _ in range(2)]
    z = plain.heads[0](h[:, 0]) + torch.exp(plain.heads[1](h[:, 0]) / 2) * draws[0]
    v = plain.heads[2](h[:, 0]) + torch.exp(plain.heads[3](h[:, 0]) / 2) * draws[1]
    for bin, eps in enumerate(torch.randn(8, 2, 280, dtype=torch.float64), start=1):
        (force,) = torch.autograd.grad(plain.potential(z).sum(), z, create_graph=True)
        z, v = z + 0.01 * v, 0.45 * (v - 0.01 * force) + math.sqrt(1.1) * eps
        torch.testing.assert_close(path.states[:, bin], torch.cat([z, v], 1))


def gaussian_kl(mean, variance, prior_variance):
    q = torch.distributions.Normal(mean, variance**0.5)
    return torch.distributions.kl_divergence(q, torch.distributions.Normal(torch.zeros(()).double(), prior_variance**0.5))


def test_gaussian_transition_kl_is_the_divergence_of_two_normals():
    process = dynamics(transition_kl="gaussian")
    mean = torch.randn(4, 5, 12, dtype=torch.float64)
    expected = gaussian_kl(mean, torch.tensor(1.1).double(), 0.1).sum((1, 2))
    torch.testing.assert_close(process._path_kl(mean, torch.randn_like(mean)), expected)


def test_released_transition_kl_is_the_formula_as_shipped():
    velocity, g = torch.randn(4, 5, 12, dtype=torch.float64), 0.55
    expected = 0.5 * (math.log(0.1) - 2 * g - 1 + velocity**2 / 0.1 + math.exp(2 * g) / 0.1).sum((1, 2))
    torch.testing.assert_close(dynamics()._path_kl(torch.zeros_like(velocity), velocity), expected)


def test_both_transition_kls_have_the_same_expected_gradient():
    """They differ by a constant in expectation over the noise; 40,000 samples, bound of six standard errors."""
    mean = torch.tensor([[[0.7, -1.3]]], dtype=torch.float64, requires_grad=True)
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(40_000, 1, 2, dtype=torch.float64, generator=generator) * math.sqrt(1.1)
    (exact,) = torch.autograd.grad(dynamics(transition_kl="gaussian")._path_kl(mean, mean).sum(), mean)
    velocity = (mean.detach() + noise).requires_grad_()
    (samples,) = torch.autograd.grad(dynamics()._path_kl(velocity, velocity).sum(), velocity)  # d velocity / d mean = 1
    bound = 6 * samples.std(0) / math.sqrt(len(samples))
    assert ((samples.mean(0) - exact[0]).abs() < bound).all()
    assert ((samples.mean(0) * 1.05 - exact[0]).abs() > bound).all()  # control: five per cent off is seen


def test_ablated_latent_is_zero_and_costs_the_same():
    # `dynamics` seeds torch with 0 each time, so both paths draw the same noise.
    path = dynamics(ablate_latent=True)(context(), TIMES[:, :6], 6)
    kept = dynamics()(context(), TIMES[:, :6], 6)
    assert (path.states == 0).all()
    assert (kept.states != 0).any()
    for name, cost in kept.kl.items():
        torch.testing.assert_close(path.kl[name], cost)


def test_context_does_not_depend_on_the_latent():
    """h needs neither z nor v: other dynamics leave what the decoder gets of the encoder alone."""
    model = our_model("off").eval()
    seen = []
    model.decoder.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    counts = torch.poisson(torch.full((2, 5, 137), 0.2))
    inputs = counts, torch.ones_like(counts, dtype=torch.bool), 0.02 * torch.arange(7)[None]
    model(*inputs)
    with torch.no_grad():
        for parameter in model.dynamics.parameters():
            parameter.add_(0.1)
    model(*inputs)
    latent, context_part = slice(None, 560), slice(560, None)
    torch.testing.assert_close(seen[0][..., context_part], seen[1][..., context_part], rtol=0, atol=0)
    assert not torch.allclose(seen[0][..., latent], seen[1][..., latent])


def test_exact_noise_keeps_unit_variance():
    """With the force off, v is AR(1): stationary variance 1 for the exact noise, 1.38 as released (n = 8,000, ±6 SE)."""
    for noise, variance in (("exact_ou", 1.0), ("euler_release", 1.1 / (1 - 0.45**2))):
        process = dynamics(size=4, noise_law=noise, model_time_per_s=0.0)
        velocity = process(torch.zeros(2000, 30, 4, dtype=torch.float64), 0.02 * torch.arange(30).double()[None], 30).states[
            :, -1, 4:
        ]
        standard_error = variance * math.sqrt(2 / velocity.numel())
        assert abs(velocity.var() - variance) < 6 * standard_error
        assert abs(1.3 * velocity.var() - variance) > 6 * standard_error  # control


@pytest.mark.parametrize(
    ("switches", "sentence"),
    [
        ({"transition_kl": "no"}, "choose released or gaussian"),
        ({"noise_law": "no"}, "choose euler_release or exact_ou"),
        ({"friction_per_s": 60.0}, "damps 1.2 per 0.02 s bin"),
    ],
)
def test_impossible_settings_are_refused(switches, sentence):
    with pytest.raises(ConfigError, match=sentence):
        ReleasedLangevin(12, **{"bin_width_s": 0.02, "friction_per_s": 27.5, **switches})
