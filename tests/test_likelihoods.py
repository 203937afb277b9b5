import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from scipy import stats

from neuralsde.cli import CONFIGS
from neuralsde.errors import ConfigError
from neuralsde.likelihoods import (
    Bernoulli,
    Categorical,
    ContaminatedGaussian,
    Gaussian,
    HeteroscedasticGaussian,
    NegativeBinomial,
    Poisson,
)

GENERATOR = torch.Generator().manual_seed(0)
PARAMETER = torch.randn(4, 5, 3, dtype=torch.float64, generator=GENERATOR)
COUNTS = torch.randint(0, 12, (4, 5, 3), generator=GENERATOR).double()
REALS = torch.randn(4, 5, 3, dtype=torch.float64, generator=GENERATOR)
LOGITS = torch.randn(4, 5, 12, dtype=torch.float64, generator=GENERATOR)  # 3 channels of 4 classes
CLASSES = torch.randint(0, 4, (4, 5, 3), generator=GENERATOR).double()


def poisson(parameter):
    return Poisson(2, 3).double(), stats.poisson(np.exp(parameter))


def negative_binomial(parameter, dispersion=0.4):
    mean, r = np.exp(parameter), 1 / dispersion
    return NegativeBinomial(2, 3, dispersion).double(), stats.nbinom(r, r / (r + mean))


def gaussian(parameter):
    return Gaussian(2, 3, noise_std=0.3).double(), stats.norm(parameter, 0.3)


def bernoulli(parameter):
    return Bernoulli(2, 3).double(), stats.bernoulli(1 / (1 + np.exp(-parameter)))


SCALAR = [(poisson, COUNTS), (negative_binomial, COUNTS), (gaussian, REALS), (bernoulli, COUNTS % 2)]


def reference(distribution, y):
    continuous = isinstance(distribution.dist, stats.rv_continuous)
    return torch.as_tensor((distribution.logpdf if continuous else distribution.logpmf)(y))


@pytest.mark.parametrize(("made", "y"), SCALAR)
def test_log_density_and_mean_are_scipy_s(made, y):
    likelihood, distribution = made(PARAMETER.numpy())
    ours = likelihood.log_prob(PARAMETER, y) + likelihood.log_base(y)
    torch.testing.assert_close(ours, reference(distribution, y.numpy()))
    torch.testing.assert_close(likelihood.mean(PARAMETER), torch.as_tensor(distribution.mean()))


def test_categorical_is_one_draw_of_scipy_s_multinomial():
    likelihood = Categorical(2, 3, n_classes=4).double()
    log_prob, mean = likelihood.log_prob(LOGITS, CLASSES), likelihood.mean(LOGITS)
    for trial, bin, channel in np.ndindex(4, 5, 3):
        p = np.exp(LOGITS[trial, bin, 4 * channel : 4 * channel + 4].numpy())
        one_hot = np.eye(4)[int(CLASSES[trial, bin, channel])]
        expected = stats.multinomial.logpmf(one_hot, 1, p / p.sum())
        assert log_prob[trial, bin, channel].item() == pytest.approx(expected)
        np.testing.assert_allclose(mean[trial, bin, 4 * channel : 4 * channel + 4], p / p.sum())
    assert likelihood(torch.zeros(4, 5, 2, dtype=torch.float64)).shape == LOGITS.shape


def test_smoothing_spreads_a_share_of_each_observation_while_training():
    likelihood = Categorical(2, 3, n_classes=4, smoothing=0.2).double()
    log_p = LOGITS.unflatten(-1, (3, 4)).log_softmax(-1)
    spread = 0.8 * torch.nn.functional.one_hot(CLASSES.long(), 4) + 0.05
    torch.testing.assert_close(likelihood.log_prob(LOGITS, CLASSES), (spread * log_p).sum(-1))
    torch.testing.assert_close(
        likelihood.eval().log_prob(LOGITS, CLASSES), Categorical(2, 3, n_classes=4).log_prob(LOGITS, CLASSES)
    )
    with pytest.raises(ConfigError, match=r"model\.likelihood\.smoothing is 1\.0"):
        Categorical(2, 3, n_classes=4, smoothing=1.0)


def test_weights_of_classes_count_while_learning_alone():
    plain, weighted = (
        Categorical(2, 3, n_classes=4).double(),
        Categorical(2, 3, n_classes=4, class_weights=[1, 10, 2, 0.5]).double(),
    )
    expected = plain.log_prob(LOGITS, CLASSES)
    factors = torch.tensor([1.0, 10.0, 2.0, 0.5], dtype=torch.float64)[CLASSES.long()]
    torch.testing.assert_close(weighted.log_prob(LOGITS, CLASSES), factors * expected)
    torch.testing.assert_close(weighted.eval().log_prob(LOGITS, CLASSES), expected)


@pytest.mark.parametrize("dispersion", [1e-4, 0.05, 0.0999, 0.1001, 1.0, 50.0])
def test_negative_binomial_is_scipy_s_on_both_sides_of_the_series(dispersion):
    likelihood, distribution = negative_binomial(PARAMETER.numpy(), dispersion)
    expected = reference(distribution, COUNTS.numpy())
    torch.testing.assert_close(likelihood.log_prob(PARAMETER, COUNTS), expected, rtol=1e-6, atol=1e-8)
    single = likelihood.float().log_prob(PARAMETER.float(), COUNTS.float())
    torch.testing.assert_close(single.double(), expected, rtol=1e-5, atol=2e-5)


def test_negative_binomial_without_dispersion_is_poisson_in_single_precision():
    y, parameter = COUNTS.float(), PARAMETER.float()
    expected = Poisson(2, 3).log_prob(parameter, y) + Poisson(2, 3).log_base(y)
    torch.testing.assert_close(NegativeBinomial(2, 3, 1e-9).log_prob(parameter, y), expected, rtol=1e-5, atol=1e-5)
    # Control: the difference of two logarithms of Γ, at r = 1e5, is far off where the series is not.
    r = torch.tensor(1e5)
    cancelled = torch.lgamma(r + y) - torch.lgamma(r) - y * r.log() + y * parameter - parameter.exp() - torch.lgamma(y + 1)
    assert (cancelled - expected).abs().max() > 1e-2


@pytest.mark.parametrize("dispersion", [0.01, 0.4])
def test_gradient_of_the_dispersion(dispersion):
    likelihood = NegativeBinomial(2, 3, dispersion).double()

    def log_prob(parameter, log_dispersion):
        return torch.func.functional_call(likelihood, {"log_dispersion": log_dispersion}, (parameter, COUNTS))

    likelihood.forward = likelihood.log_prob
    start = likelihood.log_dispersion.detach().requires_grad_()
    assert torch.autograd.gradcheck(log_prob, (PARAMETER.clone().requires_grad_(), start))


@pytest.mark.parametrize("made", [made for made, _ in SCALAR])
def test_draws_have_the_distribution_s_mean_and_variance(made):
    """n = 200,000 draws for each of three parameters, six standard errors; moments 5 % off are seen."""
    n, parameter = 200_000, torch.tensor([[-1.0, 0.3, 1.2]], dtype=torch.float64)
    likelihood, distribution = made(parameter[0].numpy())
    torch.manual_seed(0)
    draws = likelihood.sample(parameter.expand(1, n, 3))[0]
    mean, variance, _, kurtosis = (torch.tensor(np.broadcast_to(m, 3)) for m in distribution.stats(moments="mvsk"))
    for found, true, error in (
        (draws.mean(0), mean, (variance / n).sqrt()),
        (draws.var(0), variance, variance * ((kurtosis + 2) / n).sqrt()),
    ):
        assert ((found - true).abs() < 6 * error).all()
        assert ((found - 1.05 * true).abs() > 6 * error).any()


def test_draws_of_a_category_have_its_probabilities():
    """n = 200,000 draws for each of two channels of three classes, six standard errors; probabilities 10 % off are seen."""
    n, likelihood = 200_000, Categorical(2, 2, n_classes=3)
    parameter = torch.tensor([[0.0, 1.0, -1.0, 0.5, 0.5, 2.0]])
    torch.manual_seed(0)
    draws = likelihood.sample(parameter.expand(1, n, 6))[0]
    assert draws.dtype == torch.float32
    share = torch.nn.functional.one_hot(draws.long(), 3).double().mean(0).flatten()
    p = likelihood.mean(parameter)[0].double()
    error = (p * (1 - p) / n).sqrt()
    assert ((share - p).abs() < 6 * error).all()
    assert ((share - 1.1 * p).abs() > 6 * error).all()


@pytest.mark.parametrize(
    ("made", "mean", "start"),
    [
        (poisson, [0.0, 0.5, 3.0], [1e-4, 0.5, 3.0]),
        (negative_binomial, [0.0, 0.5, 3.0], [1e-4, 0.5, 3.0]),
        (gaussian, [0.0, -0.5, 3.0], [0.0, -0.5, 3.0]),
        (bernoulli, [0.0, 0.5, 1.0], [1e-4, 0.5, 1 - 1e-4]),
    ],
)
def test_training_starts_at_the_data_s_mean(made, mean, start):
    likelihood, _ = made(np.zeros(3))
    likelihood.start_at(torch.tensor(mean, dtype=torch.float64))
    found = likelihood.mean(likelihood(torch.zeros(1, 1, 2, dtype=torch.float64)))[0, 0]
    torch.testing.assert_close(found, torch.tensor(start, dtype=torch.float64))


def test_only_counts_have_a_mean_on_a_log_scale():
    for made in (poisson, negative_binomial):
        likelihood, _ = made(np.zeros(3))
        torch.testing.assert_close(likelihood.log_mean(PARAMETER), likelihood.mean(PARAMETER).log())
    for likelihood in (Gaussian(2, 3), Bernoulli(2, 3), Categorical(2, 3, n_classes=4)):
        with pytest.raises(ConfigError, match=f"is {type(likelihood).__name__}: set predict.average=rate"):
            likelihood.log_mean(PARAMETER)


def test_every_kind_of_data_has_a_likelihood():
    assert Poisson.kinds == NegativeBinomial.kinds == {"counts"}
    assert (Gaussian.kinds, Bernoulli.kinds, Categorical.kinds) == ({"real"}, {"binary"}, {"category"})


def test_noise_is_learned_where_asked_for_and_keeps_its_floor():
    learned, held = Gaussian(2, 3, noise_std=0.3), Gaussian(2, 3, noise_std=0.3, learn_noise=False)
    for likelihood in (learned, held):
        torch.testing.assert_close(likelihood.noise_std(), torch.full((3,), 0.3))
        likelihood.log_prob(likelihood(torch.ones(1, 1, 2)), torch.zeros(1, 1, 3)).sum().backward()
    assert learned.log_excess_std.grad is not None
    assert held.log_excess_std.grad is None
    with torch.no_grad():
        learned.log_excess_std.fill_(-50)
    torch.testing.assert_close(learned.noise_std(), torch.full((3,), 1e-3))


def test_a_step_of_adam_moves_the_noise_as_many_times_further_as_its_rate_says():
    moved = {}
    for rate in (1.0, 5.0):
        likelihood = Gaussian(2, 3, noise_std=0.3, smallest_std=0.0, noise_rate=rate)
        start, optimizer = likelihood.noise_std().detach(), torch.optim.Adam(likelihood.parameters(), lr=1e-3)
        (-likelihood.log_prob(torch.zeros(1, 1, 3), torch.zeros(1, 1, 3)).sum()).backward()
        optimizer.step()
        torch.testing.assert_close(start, torch.full((3,), 0.3))
        moved[rate] = (likelihood.noise_std() / start).log()
    torch.testing.assert_close(moved[1.0], torch.full((3,), -1e-3), rtol=1e-3, atol=0.0)
    torch.testing.assert_close(moved[5.0], 5 * moved[1.0], rtol=1e-3, atol=0.0)


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        (lambda: Gaussian(2, 3, noise_rate=0.0), "noise_rate is 0.0; give a number above 0"),
        (lambda: NegativeBinomial(2, 3, dispersion=0.0), "dispersion is 0.0; give a positive number"),
        (lambda: Gaussian(2, 3, noise_std=1e-3), "noise_std=0.001 and smallest_std=0.001; start the noise above its floor"),
        (lambda: Categorical(2, 3, n_classes=0), "n_classes is 0, but Categorical tells at least 2"),
        (lambda: Categorical(2, 3, n_classes=2, class_weights=[1, 0]), r"class_weights is \[1, 0\]; give one positive number"),
    ],
)
def test_impossible_settings_are_refused(made, sentence):
    with pytest.raises(ConfigError, match=sentence):
        made()


@pytest.mark.parametrize("path", sorted((Path(CONFIGS) / "model/likelihood").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_config_builds(path):
    config = OmegaConf.merge({"spec": {"target_dim": 3, "n_classes": 4}}, {"likelihood": OmegaConf.load(path)})
    likelihood = instantiate(config.likelihood)(input_size=2)
    parameter = likelihood(torch.zeros(4, 5, 2))
    assert likelihood.log_prob(parameter, likelihood.sample(parameter)).shape == (4, 5, 3)


def test_a_heteroscedastic_gaussian_reads_out_mean_and_deviation():
    torch.manual_seed(0)
    likelihood = HeteroscedasticGaussian(3, 2, noise_std=0.5)
    features, y = torch.randn(4, 5, 3), torch.randn(4, 5, 2)
    parameter = likelihood(features)
    mean, std = likelihood.moments(parameter)
    torch.testing.assert_close(likelihood.log_prob(parameter, y), torch.distributions.Normal(mean, std).log_prob(y))
    likelihood.start_at(torch.tensor([3.0, -1.0]))
    assert likelihood.readout.bias[:2].tolist() == [3.0, -1.0]
    assert torch.allclose(likelihood.moments(likelihood(torch.zeros(1, 1, 3)))[1], torch.tensor(0.5))


def test_at_beta_one_the_mean_learns_as_from_squared_errors():
    gradients = {}
    for beta in (0.0, 1.0):
        likelihood = HeteroscedasticGaussian(1, 1, beta=beta)
        parameter = torch.tensor([[[0.3, 1.2]], [[0.3, -2.0]]], requires_grad=True)  # means, and log deviations far apart
        value = likelihood.log_prob(parameter, torch.ones(2, 1, 1))
        value.sum().backward()
        gradients[beta] = value.detach(), parameter.grad
    torch.testing.assert_close(gradients[0.0][0], gradients[1.0][0])
    torch.testing.assert_close(gradients[1.0][1][..., 0], torch.full((2, 1), 0.7))
    assert not torch.allclose(gradients[0.0][1][..., 0], torch.full((2, 1), 0.7))


@pytest.mark.parametrize("kind", [HeteroscedasticGaussian, ContaminatedGaussian])
def test_a_faithful_mean_learns_from_squared_errors_and_its_deviation_from_the_likelihood(kind):
    torch.manual_seed(0)
    likelihood = kind(3, 2, faithful=True, noise_std=0.4).double()
    features, y = torch.randn(4, 5, 3).double().requires_grad_(), torch.randn(4, 5, 2).double()
    parameter = likelihood(features)
    value = likelihood.log_prob(parameter, y)
    mean, std = likelihood.moments(parameter)
    by_features = torch.autograd.grad(value.sum(), features, retain_graph=True)[0]
    squares = torch.autograd.grad(-0.5 * (y - mean).square().sum(), features, retain_graph=True)[0]
    torch.testing.assert_close(by_features, squares)
    # The deviation's net: as if the mean were known.
    weight = next(likelihood.scale_net.parameters())
    plain = (likelihood.log_density((y - mean.detach()) / std) - std.log()).sum()
    torch.testing.assert_close(value.sum(), plain)
    found, expected = (torch.autograd.grad(part, weight, retain_graph=True)[0] for part in (value.sum(), plain))
    torch.testing.assert_close(found, expected)
    assert not torch.allclose(torch.autograd.grad(-0.5 * ((y - mean) / std).square().sum(), features)[0], by_features)
    with pytest.raises(ConfigError, match=r"beta is 0\.5, but faithful"):
        kind(3, 2, faithful=True, beta=0.5)


def test_a_contaminated_gaussian_is_scipy_s_mixture_and_draws_from_it():
    """n = 200,000 draws, six standard errors; a Gaussian of the same deviation has far fewer values beyond 4 of them."""
    likelihood, n = ContaminatedGaussian(2, 3, share=0.2, width=5.0).double(), 200_000
    parameter = torch.randn(4, 5, 6, dtype=torch.float64, generator=GENERATOR)
    mean, std = (part.numpy() for part in likelihood.moments(parameter))
    density = 0.8 * stats.norm.pdf(REALS, mean, std) + 0.2 * stats.norm.pdf(REALS, mean, 5 * std)
    torch.testing.assert_close(likelihood.log_prob(parameter, REALS), torch.as_tensor(np.log(density)))
    means, stds, weight = (part.detach().numpy() for part in likelihood.components(parameter))
    parts = weight[:, None, None] * stats.norm.pdf(REALS, means, stds)
    np.testing.assert_allclose(parts.sum(0), density)
    torch.manual_seed(0)
    z = (likelihood.sample(parameter[:1, :1].expand(1, n, -1))[0].detach().numpy() - mean[0, 0]) / std[0, 0]
    beyond = 2 * (0.8 * stats.norm.sf(4) + 0.2 * stats.norm.sf(4 / 5))
    assert np.abs((np.abs(z) > 4).mean(0) - beyond).max() < 6 * math.sqrt(beyond / n) < beyond - 2 * stats.norm.sf(4)
    with pytest.raises(ConfigError, match=r"share=0\.0 and width=3"):
        ContaminatedGaussian(2, 3, share=0.0)
