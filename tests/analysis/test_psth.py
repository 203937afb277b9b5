"""Condition averages beside a loop over conditions."""

from dataclasses import replace

import numpy as np
import pytest

from neuralsde.analysis.psth import psth
from neuralsde.datamodules.batches import stack_targets
from neuralsde.errors import ConfigError, DataError
from tests.helpers.tiny import TINY_LORENZ, light_data


@pytest.fixture(scope="module")
def data():
    data = light_data(*TINY_LORENZ).data
    heldin = data.train.heldin.copy()
    heldin[:3, :2] = np.nan
    condition = data.train.condition.copy()
    condition[5] = -1
    return replace(data, train=replace(data.train, heldin=heldin, condition=condition))


def test_means_and_errors_are_those_of_each_conditions_trials(data):
    trials, rates = data.train, np.random.default_rng(0).gamma(2.0, 0.1, (len(data.train), 13, 12))
    found = psth(data, trials, rates)
    recorded = stack_targets(trials, data.spec)
    for index in range(found.model.mean.shape[0]):
        own = trials.condition == index
        assert found.trials[index] == own.sum()
        if not own.any():
            assert np.isnan(found.model.mean[index]).all()
            continue
        for average, values in ((found.model, rates), (found.data, recorded)):
            known = (~np.isnan(values[own])).sum(0)
            np.testing.assert_array_equal(average.n[index], known)
            with np.errstate(all="ignore"):
                mean = np.nansum(values[own], axis=0, dtype=float) / known
                spread = np.nansum((values[own] - mean) ** 2, axis=0) / (known - 1)
                sem = np.where(known > 1, np.sqrt(spread / known), np.nan)
            np.testing.assert_allclose(average.mean[index], mean, rtol=1e-6)
            np.testing.assert_allclose(average.sem[index], sem, rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(found.times, np.arange(13) * data.spec.bin_width_s)


def test_jittered_windows_are_put_back(data):
    trials = replace(data.train, jitter=np.full(len(data.train), 2))
    rates = np.random.default_rng(0).gamma(2.0, 0.1, (len(data.train), 13, 12))
    moved, still = psth(data, trials, rates), psth(data, data.train, rates)
    np.testing.assert_allclose(moved.model.mean[:, 2:], still.model.mean[:, :-2])
    assert np.isnan(moved.model.mean[:, :2]).all()


def test_smoothing_keeps_what_is_unknown_unknown(data):
    rates = np.ones((len(data.train), 13, 12))
    rough, fine = psth(data, data.train, rates, 0.0), psth(data, data.train, rates, 40.0)
    np.testing.assert_array_equal(np.isnan(fine.data.mean), np.isnan(rough.data.mean))
    assert np.nanstd(fine.data.mean) < np.nanstd(rough.data.mean)
    with pytest.raises(ConfigError, match=r"kernel_ms=-1\.0"):
        psth(data, data.train, rates, -1.0)
    with pytest.raises(DataError, match=r"has no conditions to average over; .*condition_columns"):
        psth(data, replace(data.train, condition=None), rates)


def test_a_run_averages_a_split(reaching):
    found = reaching.psth("train", n_samples=2)
    assert found.trials.sum() == (reaching.data.train.condition >= 0).sum()
    assert found.names == reaching.data.condition_names
    assert found.model.sem.shape == found.data.sem.shape
