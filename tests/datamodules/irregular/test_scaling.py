from dataclasses import replace

import numpy as np
import pytest

from neuralsde.datamodules.irregular.assemble import padded
from neuralsde.datamodules.irregular.scaling import fit_scale, standardise
from neuralsde.datamodules.irregular.series import SeriesData
from neuralsde.errors import ConfigError

NAN = np.nan


def collection(n=6):
    rng = np.random.default_rng(0)
    values = [rng.normal(3, 2, (5, 2)) for _ in range(3 * n)]
    for v in values:
        v[rng.random(v.shape) < 0.3] = NAN
    series = padded([np.arange(5.0)] * (3 * n), values, [f"s{k}" for k in range(3 * n)])
    return SeriesData("tiny", *(series[k * n : (k + 1) * n] for k in range(3)), ("x", "y"))


def test_each_kind_of_scale():
    column = np.array([[1.0, 0, 5, NAN], [3, 0, NAN, NAN], [8, 0, 5, NAN]])
    z, least = fit_scale(column, "z"), fit_scale(column, "min_max")
    np.testing.assert_allclose(z.centre, [4, 0, 5, 0])
    np.testing.assert_allclose(z.width, [np.std([1, 3, 8]), 1, 1, 1])
    np.testing.assert_allclose(least(column)[:, 0], [0, 2 / 8, 7 / 8])
    np.testing.assert_allclose(fit_scale(column, "range")(column)[:, 0], [0, 2 / 7, 1])
    np.testing.assert_allclose(fit_scale(column, "none")(column), column)
    np.testing.assert_allclose(z.undo(z(column)), column, rtol=1e-6)
    with pytest.raises(ConfigError, match=r"data.reader.scale is log"):
        fit_scale(column, "log")


@pytest.mark.parametrize("kind", ["z", "min_max"])
def test_no_statistic_looks_at_validation_or_test_series(kind):
    data = collection()
    other = replace(
        data, test=replace(data.test, values=data.test.values * 100), val=replace(data.val, values=data.val.values - 9)
    )
    ours, theirs = (standardise(d, kind)[0].train.values for d in (data, other))
    np.testing.assert_array_equal(ours, theirs)
    ours, theirs = (standardise(d, kind, "all")[0].train.values for d in (data, other))
    assert not np.array_equal(ours, theirs, equal_nan=True)


def test_hidden_values_and_values_ahead_are_scaled_alike():
    data = collection()
    hidden = np.full_like(data.train.values, NAN)
    hidden[:, ::2] = data.train.values[:, ::2]
    ahead_times = np.full((6, 1), 9.0)
    train = replace(
        data.train, targets=data.train.values, values=hidden, ahead=data.train.values[:, :1], ahead_times=ahead_times
    )
    scaled, scale = standardise(replace(data, train=train))
    np.testing.assert_allclose(np.nanmean(scale(np.concatenate([train.targets, train.ahead], 1)), (0, 1)), 0, atol=1e-6)
    seen = ~np.isnan(scaled.train.values)
    np.testing.assert_array_equal(scaled.train.values[seen], scaled.train.targets[seen])
    np.testing.assert_array_equal(scaled.train.ahead, scaled.train.targets[:, :1])
    with pytest.raises(ConfigError, match=r"data.reader.stats is test"):
        standardise(data, "z", "test")
