"""Files in the layout of LFADS."""

import h5py
import numpy as np
import pytest

from neuralsde.datamodules.lorenz_file import LorenzFile
from neuralsde.errors import ConfigError, DataError
from tests.helpers.shared import shared_path


def write(path, **replaced):
    """A small file with rates in Hz and 10 ms bins; `replaced` data sets, None to leave one out."""
    rng = np.random.default_rng(0)
    hertz = np.exp(rng.normal(3.0, 1.0, (30, 20, 10)))
    counts = rng.poisson(hertz * 0.01).astype(np.float32)
    order = rng.permutation(30)
    content = {
        "train_data": counts[order[:24]], "train_truth": hertz[order[:24]], "train_inds": order[:24],
        "valid_data": counts[order[24:]], "valid_truth": hertz[order[24:]], "valid_inds": order[24:],
        "train_lowd": hertz[order[:24], :, :3], "valid_lowd": hertz[order[24:], :, :3],
        "n_trials_per_init_cond": np.array([5]),
    }  # fmt: skip
    with h5py.File(path, "w") as file:
        for name, values in (content | replaced).items():
            if values is not None:
                file[name] = values
    return content


@pytest.fixture
def path(tmp_path):
    return tmp_path / "made.h5"


def test_reads_counts_rates_and_conditions(path):
    content = write(path)
    data = LorenzFile(path, 8, heldout_fraction=0.3, forward_bins=4).data
    assert (data.spec.observed_dim, data.spec.target_dim) == (7, 10)
    assert (data.spec.observed_bins, data.spec.forward_bins, data.spec.bin_width_s) == (16, 4, 0.01)
    np.testing.assert_array_equal(data.train.heldin, content["train_data"][:, :16, :7])
    np.testing.assert_array_equal(data.eval.heldout_forward, content["valid_data"][:, 16:, 7:])
    np.testing.assert_allclose(data.train.rates, content["train_truth"] * 0.01, rtol=1e-6)
    np.testing.assert_array_equal(data.train.condition, content["train_inds"] // 5)
    np.testing.assert_allclose(data.eval.states, content["valid_lowd"], rtol=1e-6)
    assert data.spec.n_conditions == 6


def test_rates_in_counts_per_bin_need_the_bin_width(path):
    content = write(path)
    rates = {f"{s}_truth": content[f"{s}_truth"] * 0.01 * 2.5 for s in ("train", "valid")}
    write(path, **rates, conversion_factor=2.5)
    data = LorenzFile(path, 8, bin_width_s=0.02).data
    np.testing.assert_allclose(data.train.rates, content["train_truth"] * 0.01, rtol=1e-6)
    with pytest.raises(DataError, match=r"give data.bin_width_s"):
        LorenzFile(path, 8).data  # noqa: B018


def test_all_but_counts_is_optional(path):
    names = ("train_truth", "valid_truth", "train_inds", "valid_inds", "train_lowd", "valid_lowd", "n_trials_per_init_cond")
    write(path, **dict.fromkeys(names))
    data = LorenzFile(path, 8, bin_width_s=0.01, heldout_fraction=0.0).data
    assert data.train.rates is None
    assert data.train.condition is None
    assert data.train.states is None
    assert data.train.heldout is None
    assert data.spec.n_conditions == 0


@pytest.mark.parametrize(
    ("replaced", "sentence"),
    [
        ({"train_data": None}, "`train_data` is missing among n_trials_per_init_cond, train_inds"),
        ({"valid_data": np.zeros((6, 20))}, "`valid_data` has shape"),
        ({"valid_data": np.zeros((6, 20, 9)), "valid_truth": None}, "differ in bins or neurons"),
        ({"train_data": np.full((24, 20, 10), np.nan)}, "are not spike counts"),
        ({"train_truth": np.ones((24, 20, 9))}, "`train_truth` has shape"),
        ({"valid_lowd": np.ones((6, 19, 3))}, "`valid_lowd` has shape"),
        ({"valid_lowd": np.full((6, 20, 3), np.nan)}, "`valid_lowd` are not all finite"),
        ({"valid_lowd": np.ones((6, 20, 2))}, "differ in states"),
        ({"train_truth": np.full((24, 20, 10), 900.0)}, "neither counts per bin, nor Hz"),
    ],
)
def test_damaged_files_are_refused_in_a_sentence(path, replaced, sentence):
    write(path, **replaced)
    with pytest.raises(DataError, match=sentence):
        LorenzFile(path, 8).data  # noqa: B018


def test_absent_and_foreign_files_are_refused_in_a_sentence(path):
    with pytest.raises(DataError, match=r"There is no file .*made.h5; give data.path"):
        LorenzFile(path, 8).data  # noqa: B018
    path.write_text("not HDF5")
    with pytest.raises(DataError, match=r"made.h5: (this is no HDF5 file|the file is cut short)"):
        LorenzFile(path, 8).data  # noqa: B018
    write(path)
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(DataError, match=r"made.h5: (this is no HDF5 file|the file is cut short)"):
        LorenzFile(path, 8).data  # noqa: B018


def test_impossible_settings_are_refused_in_a_sentence(path):
    write(path)
    with pytest.raises(ConfigError, match=r"heldout_fraction is 1.0"):
        LorenzFile(path, 8, heldout_fraction=1.0)
    with pytest.raises(ConfigError, match=r"forward_bins is 20, but .*made.h5 has trials|trials of .* have 20 bins"):
        LorenzFile(path, 8, forward_bins=20).data  # noqa: B018


def test_the_public_file_reads():
    data = LorenzFile(shared_path("data/lorenz/lfads_lorenz.h5"), 64).data
    assert (len(data.train), len(data.eval)) == (640, 160)
    assert (data.spec.bin_width_s, data.spec.target_dim, data.spec.n_conditions) == (0.01, 60, 20)
    counts = np.concatenate([data.train.heldin, data.train.heldout], axis=-1)
    assert counts.mean() == pytest.approx(data.train.rates.mean(), rel=0.01)
