"""The ready configs read the recordings that lie beside a checkout as their files describe them."""

import numpy as np
import pytest
from omegaconf import OmegaConf

from neuralsde.training.build import instantiate_part
from tests.helpers.shared import shared_path
from tests.helpers.tiny import composed

SIZES = {
    "stevenson": (144, 193, 40, 0.05, 2, 0),
    "head_direction": (16, 19, 100, 0.05, 2, 0),
    "miller_chewie_1003": (121, 161, 8, 0.1, 2, 8),
    "miller_chewie_1219": (109, 146, 9, 0.1, 2, 8),
    "miller_mihi_0303": (118, 155, 8, 0.1, 2, 8),
}
"""Held-in units, units, bins, bin width, behaviour channels, conditions."""


def recording(name, **settings):
    """The data and the arrays of the file."""
    config = composed("run_dir=unused", f"data={name}")
    path = shared_path(f"data/neural/{config.data.path.split('/')[-1]}")
    OmegaConf.update(config, "data", {"path": str(path), **settings}, merge=True)
    return instantiate_part(config, "data").data, np.load(path)


@pytest.mark.parametrize("name", SIZES)
def test_sizes(name):
    data, _ = recording(name)
    spec = data.spec
    found = (spec.observed_dim, spec.target_dim, spec.observed_bins, spec.bin_width_s, spec.behavior_dim, spec.n_conditions)
    assert found == SIZES[name]
    assert len(data.eval) >= 20
    assert np.isfinite(data.train.heldin[:, 0]).all()


def test_the_movement_of_centre_out_reaches_is_that_of_the_file_and_no_more():
    data, file = recording("miller_chewie_1003")
    for trial, behavior, times in zip(data.train.trial_id, data.train.behavior, data.train.times, strict=True):
        speed = np.linalg.norm(file["hand_vel"][trial], axis=1)
        bins = np.flatnonzero(np.nan_to_num(speed) > 5)
        np.testing.assert_array_equal(behavior[: len(bins)], file["hand_vel"][trial, bins])
        np.testing.assert_allclose(times[: len(bins)], 0.1 * (bins - bins[0]), rtol=1e-5)


def test_bins_that_a_file_leaves_out_are_later_by_as_many():
    data, file = recording("miller_mihi_0303")
    for trial, times in zip(data.train.trial_id, data.train.times, strict=True):
        n = file["length"][trial]
        steps = file["timestep"][trial, :n]
        np.testing.assert_allclose(times[:n], 0.1 * (steps - steps[0]), rtol=1e-5, atol=1e-6)


def test_the_head_s_direction_is_that_of_the_file():
    data, file = recording("head_direction")
    angle = np.arctan2(data.eval.behavior[..., 1], data.eval.behavior[..., 0])
    first = 5 * int(data.eval.trial_id[3])
    mean = np.exp(1j * file["wake_angle"][first : first + 500].astype(float)).reshape(100, 5).mean(1)
    assert np.abs(np.angle(np.exp(1j * angle[3]) / mean)).max() < 1e-5
