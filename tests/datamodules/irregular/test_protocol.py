from dataclasses import replace

import numpy as np
import pytest

from neuralsde.datamodules.irregular.mujoco import MujocoForecast
from neuralsde.datamodules.irregular.protocol import read_protocol, write_protocol
from neuralsde.errors import DataError


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "paths.npy"
    np.save(path, np.random.default_rng(0).normal(size=(10, 30, 3)).astype(np.float32))
    return lambda rate, seed=0: MujocoForecast(path, rate, 12, 4, mask_seed=seed, keep_empty_rows=True).read()


def test_splits_and_masks_come_back(tmp_path, data):
    write_protocol(tmp_path / "protocol.npz", data(0.5))
    found = read_protocol(tmp_path / "protocol.npz")
    assert found.name == "mujoco"
    np.testing.assert_array_equal(found.seen["val"], ~np.isnan(data(0.5).val.values))
    assert found.differs_from(data(0.5)) == ""
    assert found.differs_from(data(0.5, seed=1)) == "other values of the train series may be seen"
    assert found.differs_from(replace(data(0.5), test=data(0.5).val)) == "the test series are others"


def test_other_files_are_refused(tmp_path):
    (tmp_path / "protocol.npz").write_bytes(b"PK not an archive")
    np.savez(tmp_path / "other.npz", x=np.zeros(2))
    for name in ("protocol.npz", "other.npz", "none.npz"):
        with pytest.raises(DataError, match="splits and masks cannot be read"):
            read_protocol(tmp_path / name)
