"""Forecasts and samples of the prior, from a run that was opened."""

import copy
from pathlib import Path

import numpy as np
import pytest

from neuralsde.errors import ConfigError
from neuralsde.evaluation.load import Run
from tests.helpers.tiny import light_config, light_data, light_training, tiny_simulated

WORDS = [*tiny_simulated("double_well"), "model=latent_sde", "model/likelihood=gaussian"]  # 8 + 3 bins of one channel


def opened(*words: str) -> Run:
    config = copy.deepcopy(light_config(*WORDS, *words))
    return Run(light_training(config, light_data(*WORDS)).eval(), config, Path("unused"))


@pytest.fixture(scope="module")
def run():
    return opened()


def test_a_forecast_has_the_bins_asked_for_and_an_interval_in_order(run):
    found = run.forecast(5, interval=0.9, n_samples=20)
    assert found.rates.shape == found.lower.shape == found.upper.shape == (6, 5, 1)
    assert found.latents.shape == (6, 5, 8)
    assert np.isfinite(found.rates).all()
    assert (found.lower < found.upper).all()
    wide, narrow = (run.forecast(5, interval=p, n_samples=20) for p in (0.9, 0.5))
    assert (wide.lower < narrow.lower).all()
    assert (narrow.upper < wide.upper).all()


def test_the_prior_is_sampled_as_long_as_asked_for(run):
    values, means, latents = run.generate(7)
    assert values.shape == means.shape == (7, 11, 1)
    assert latents.shape == (7, 11, 8)
    assert 0.05 < (values - means).std() < 0.2  # the noise that the likelihood starts with is 0.1
    assert all(part.shape[:2] == (3, 20) for part in run.generate(3, bins=20))


def test_the_same_seed_gives_the_same_numbers(run):
    for draw in (lambda seed: run.forecast(4, seed=seed).rates, lambda seed: run.generate(4, seed=seed)[0]):
        np.testing.assert_array_equal(draw(0), draw(0))
        assert not np.array_equal(draw(0), draw(1))


def test_a_decoder_that_reads_the_context_cannot_go_beyond_the_data():
    run = opened("model.decode_context=true")
    for use in (lambda: run.forecast(2), lambda: run.generate(2)):
        with pytest.raises(ConfigError, match=r"Train with model\.decode_context=false"):
            use()
    assert np.isfinite(run.predict().rates).all()
