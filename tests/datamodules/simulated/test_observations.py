"""Values follow the expected ones. Bounds are six standard errors; each has a control that must fail."""

import numpy as np
import pytest
from scipy.special import logsumexp

from neuralsde.datamodules.simulated import Bernoulli, Categorical, Gaussian, Poisson
from neuralsde.errors import ConfigError


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def states(rng):
    return rng.normal(size=(300, 50, 3))


def observed(observation, rng, states):
    expected = observation.readout(rng, states)(states)
    return expected, observation.draw(rng, expected)


def test_gaussian_noise_around_the_states(rng, states):
    expected, values = observed(Gaussian(0.2), rng, states)
    np.testing.assert_array_equal(expected, states)
    spread = (values - expected).std()
    bound = 6 * 0.2 / np.sqrt(2 * values.size)  # 45 000 values
    assert abs(spread - 0.2) < bound
    assert abs(spread - 0.21) > bound
    np.testing.assert_array_equal(observed(Gaussian(0.0), rng, states)[1], states)


def test_a_random_loading_mixes_all_states_at_unit_variance(rng, states):
    expected, _ = observed(Gaussian(0.1, 40, "random"), rng, states)
    weights = np.linalg.lstsq(states.reshape(-1, 3), expected.reshape(-1, 40), rcond=None)[0]
    np.testing.assert_allclose(np.linalg.norm(weights, axis=0), 1)
    assert np.abs(weights).min() > 1 / 3  # of 1 : 2 : 2, the least
    assert {tuple(s) for s in np.sign(weights.T)} > {(1, 1, 1), (-1, 1, 1)}


def test_poisson_counts_have_the_wanted_statistics(rng, states):
    rates, counts = observed(Poisson(20, 0.5, 0.8), rng, 3 + 7 * states)  # whatever the states' unit
    assert rates.mean() == pytest.approx(0.5)
    assert np.sqrt(np.log(rates).var((0, 1)).mean()) == pytest.approx(0.8)
    error = ((counts - rates) / np.sqrt(rates)).mean() * np.sqrt(counts.size)  # 300 000 counts, about N(0, 1)
    assert abs(error) < 6
    assert abs(((counts - 1.05 * rates) / np.sqrt(rates)).mean() * np.sqrt(counts.size)) > 6


def test_binary_values_have_their_probabilities(rng, states):
    chances, values = observed(Bernoulli(4.0), rng, states)
    np.testing.assert_allclose(np.log(chances / (1 - chances)), 4 * states)
    assert set(np.unique(values)) == {0, 1}

    def z(p):
        return abs((values - p).sum() / np.sqrt((p * (1 - p)).sum()))

    assert z(chances) < 6
    assert z(np.clip(chances + 0.02, 0, 1)) > 6


def test_class_indices_have_their_probabilities(rng, states):
    chances, values = observed(Categorical(3, 8.0), rng, states)
    assert chances.shape == (300, 50, 9)
    assert values.shape == (300, 50, 3)
    logits = -4 * (states[..., None] - np.array([-1, 0, 1])) ** 2
    np.testing.assert_allclose(
        np.log(chances.reshape(300, 50, 3, 3)), logits - logsumexp(logits, axis=-1, keepdims=True), atol=1e-9
    )
    for k in range(3):
        p = chances.reshape(300, 50, 3, 3)[..., k]
        assert abs(((values == k) - p).sum() / np.sqrt((p * (1 - p)).sum())) < 6
        assert abs(((values == k) - 1.1 * p).sum() / np.sqrt((p * (1 - p)).sum())) > 6


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Gaussian(-0.1), "data.observation.noise_std is -0.1; give a number above 0"),
        (lambda: Gaussian(0.1, 5).channels(3), "n_channels is 5, but the system has 3 states; give .*loading=random"),
        (lambda: Gaussian(0.1, loading="dense"), "data.observation.loading is 'dense'; give identity or random"),
        (lambda: Poisson(0, 1.0, 1.0), "data.observation.n_channels is 0; give at least 1"),
        (lambda: Poisson(5, 0.0, 1.0), "data.observation.mean_count is 0.0; give a number above 0"),
        (lambda: Poisson(5, 1.0, 50.0), "data.observation.log_rate_sd is 50; give at most 10"),
        (lambda: Bernoulli(0.0), "data.observation.gain is 0.0"),
        (lambda: Categorical(1, 1.0), "data.observation.n_classes is 1; give at least 2"),
        (lambda: Categorical(3, -1.0), "data.observation.sharpness is -1.0"),
    ],
)
def test_impossible_settings_are_refused_in_a_sentence(make, sentence):
    with pytest.raises(ConfigError, match=sentence):
        make()


def test_states_that_cannot_be_seen_through_spikes_are_refused_in_a_sentence(rng, states):
    with pytest.raises(ConfigError, match="never vary"):
        observed(Poisson(5, 1.0, 1.0), rng, np.ones((2, 3, 1)))
    with pytest.raises(ConfigError, match=r"rates then reach .* counts per bin, above 1e\+06; give less"):
        observed(Poisson(5, 1e6, 1.0), rng, states)
