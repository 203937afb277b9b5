"""Independent Gaussian states along another process, and the published interpolation model that they are part of."""

import functools
import math

import numpy as np
import pytest
import torch

from neuralsde.errors import ConfigError
from neuralsde.inference import ContextAlone, DrivenSDE, Estimator, GaussianStates
from neuralsde.likelihoods import Gaussian
from neuralsde.models import LatentModel
from neuralsde.nn.decoders import MLPDecoder, MTANDecoder
from neuralsde.nn.encoders import PathGrid
from neuralsde.sde import PublishedLinearNoise
from neuralsde.solvers import EulerMaruyama

TRIALS, BINS, CHANNELS, POINTS, LATENT, HIDDEN, T = 4, 7, 3, 8, 2, 6, 48.0


def published_process():
    return functools.partial(
        DrivenSDE,
        latent_size=HIDDEN,
        sde=PublishedLinearNoise,
        solver=EulerMaruyama(),
        duration_s=T,
        model_time=1.0,
    )


def model(share_path=True):
    torch.manual_seed(0)
    return LatentModel(
        PathGrid(CHANNELS, T, POINTS, "zero", read_mask=False, published=True),
        functools.partial(GaussianStates, latent_size=LATENT, process=published_process(), share_path=share_path),
        functools.partial(MTANDecoder, duration_s=T, recurrent_size=5, time_size=4, heads=1, hidden_size=5, activation="relu"),
        functools.partial(Gaussian, target_dim=CHANNELS, noise_std=0.01, learn_noise=False),
    ).double()


def trials():
    generator = torch.Generator().manual_seed(1)
    times = (torch.rand(TRIALS, BINS, generator=generator, dtype=torch.float64) * T).sort(1)[0]
    times[:, 0] = 0.0
    seen = torch.rand(TRIALS, BINS, CHANNELS, generator=generator) < 0.6
    return torch.randn(TRIALS, BINS, CHANNELS, generator=generator, dtype=torch.float64) * seen, seen, times


def test_the_published_interpolation_is_its_formulas():
    """The whole model against the code's formulas, one operation a line, on the same random numbers."""
    built, (values, seen, times) = model(), trials()
    torch.manual_seed(3)
    output = built(values, seen, times, samples=2)

    grid = built.encoder(values, seen, times)
    process, head, decoder = built.dynamics.process, built.dynamics.head, built.decoder
    torch.manual_seed(3)
    dt = 1 / (POINTS - 1)
    w = torch.randn(POINTS - 1, TRIALS, HIDDEN, dtype=torch.float64) * math.sqrt(dt)
    z, path = process.start(grid[:, 0]), []
    for k in range(POINTS):
        path.append(z)
        if k < POINTS - 1:
            t, sde = torch.tensor([k * dt], dtype=torch.float64), process.sde
            clock = torch.cat([t.sin(), t.cos()]).expand(TRIALS, -1)
            u = sde.embed_state(torch.cat([clock, z], 1))
            m = sde.mix(torch.cat([u, sde.embed_control(grid[:, k])], 1))
            for layer in sde.hidden:
                m = layer(m.relu())
            s = sde.noise_net(clock).relu()
            z = z + m.tanh() * dt + torch.tanh(sde.theta.sigmoid() * s * z) * w[k]
    _, first, _, second, out = head
    found = out(second(first(torch.stack(path, 1).tanh()).relu()))
    mean, log_var = found[..., :LATENT], found[..., LATENT:]
    noise = torch.randn(2 * TRIALS, POINTS * LATENT, dtype=torch.float64).view(2 * TRIALS, POINTS, LATENT)
    states = mean.repeat(2, 1, 1) + (log_var / 2).exp().repeat(2, 1, 1) * noise
    kl = 0.5 * (log_var.exp() + mean**2 - 1 - log_var).sum((1, 2))
    torch.testing.assert_close(output.kl["kl_states"], kl.repeat(2))
    points = torch.linspace(0, T, POINTS, dtype=torch.float64)[None]
    expected = built.likelihood(decoder(states, points, times))
    torch.testing.assert_close(output.parameter, expected)
    # What pictures and files show of the path: at the bins, on straight lines between the points.
    for row in range(2 * TRIALS):
        at = times[row % TRIALS].numpy()
        for channel in range(LATENT):
            line = np.interp(at, points[0].numpy(), states[row, :, channel].detach().numpy())
            np.testing.assert_allclose(output.latents[row, :, channel].detach().numpy(), line, rtol=1e-9)


def test_samples_share_a_path_or_have_one_each():
    values, seen, times = trials()
    for share_path in (True, False):
        kl = model(share_path)(values, seen, times, samples=3).kl["kl_states"].view(3, TRIALS)
        assert bool(torch.allclose(kl[0], kl[1])) == share_path


@pytest.mark.parametrize("estimator", list(Estimator))
def test_estimators_of_the_divergence_agree(estimator):
    """Along a process without noise: the mean over 40,000 samples against the closed form, six standard errors."""
    torch.manual_seed(0)
    dynamics = GaussianStates(5, LATENT, ContextAlone).double()
    context, times = torch.randn(1, 3, 5).double(), torch.arange(3.0).double()[None]
    kl = dynamics(context.repeat(40_000, 1, 1), times, 3, estimator, None, 40_000).kl["kl_states"]
    mean, log_var = dynamics.head(context).chunk(2, 2)
    exact = torch.distributions.kl_divergence(
        torch.distributions.Normal(mean, (log_var / 2).exp()), torch.distributions.Normal(0.0, 1.0)
    ).sum()
    assert abs(kl.mean() - exact) < 6 * kl.std() / 40_000**0.5 + 1e-9
    assert abs(kl.mean() - 1.1 * exact) > 6 * kl.std() / 40_000**0.5  # and a tenth more would be seen


def test_the_prior_is_standard_normal_and_is_decoded_at_any_times():
    torch.manual_seed(0)
    built = model()
    made = built.generate(500, torch.linspace(0, T, 5, dtype=torch.float64)[None])
    assert made.parameter.shape == (500, 5, CHANNELS)
    drawn = built.dynamics.from_prior(500, torch.zeros(1, POINTS))
    assert drawn.std().item() == pytest.approx(1.0, abs=6 / (2 * drawn.numel()) ** 0.5)


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        ({"decoder": MLPDecoder}, r"MLPDecoder decodes a state where it is: choose model/decoder=mtan"),
        ({"decode_context": True}, r"set model\.decode_context=false"),
    ],
)
def test_parts_at_the_bins_refuse_an_encoder_with_times_of_its_own(parts, sentence):
    settings = {
        "encoder": PathGrid(CHANNELS, T),
        "dynamics": ContextAlone,
        "likelihood": functools.partial(Gaussian, target_dim=1),
    }
    settings["decoder"] = functools.partial(MTANDecoder, duration_s=T)
    with pytest.raises(ConfigError, match=sentence):
        LatentModel(**{**settings, **parts})


def test_what_cannot_go_on_says_so():
    values, seen, times = trials()
    with pytest.raises(ConfigError, match="PathGrid has times of its own, which end with the trial"):
        model().forecast(values, seen, times, times[:, -1:] + 1)
    with pytest.raises(ConfigError, match="cannot go on beyond the data"):
        GaussianStates(5, LATENT, ContextAlone).go_on(torch.zeros(1, LATENT), torch.zeros(1, 2))
