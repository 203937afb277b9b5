"""Checkpoints of released versions still load, and still say the same."""

from pathlib import Path

import h5py
import numpy as np
import pytest

import neuralsde
from neuralsde.datamodules.trials import Trials

STORED = sorted((Path(__file__).parents[1] / "data").glob("*.ckpt"))


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.stem)
def test_a_stored_checkpoint_predicts_what_it_did(path):
    with h5py.File(path.with_suffix(".h5")) as file:
        heldin, rates = file["heldin"][()], file["rates"][()]
    run = neuralsde.load(path)
    np.testing.assert_allclose(run.predict(Trials(heldin), seed=0).rates, rates, rtol=1e-4, atol=1e-5)
    assert not np.allclose(run.predict(Trials(heldin), seed=1).rates, rates, rtol=1e-4, atol=1e-5)


def test_they_are_small():
    assert len(STORED) >= 2
    assert max(path.stat().st_size for path in STORED) < 200_000
