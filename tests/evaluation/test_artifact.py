"""Checkpoints on Weights & Biases, with a stub in place of its server."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import wandb

import neuralsde
from neuralsde.errors import CheckpointError
from neuralsde.evaluation.artifact import fetch

STORED = next((Path(__file__).parents[1] / "data").glob("langevinflow-*.ckpt"))


class StubAPI:
    """Knows one artifact, whose files lie in `folder`."""

    def __init__(self, folder):
        self.folder = folder

    def artifact(self, name):
        if name != "lab/reach/model:best":
            raise wandb.errors.CommError(f"artifact '{name}' not found in 'lab/reach'")
        return self

    def download(self):
        return str(self.folder)


def test_an_artifact_loads_like_its_file(tmp_path, monkeypatch):
    shutil.copy(STORED, tmp_path / "model.ckpt")
    monkeypatch.setattr(wandb, "Api", lambda: StubAPI(tmp_path))
    run = neuralsde.load("wandb:lab/reach/model:best")
    assert run.path == tmp_path / "model.ckpt"
    for name, value in neuralsde.load(STORED).module.state_dict().items():
        np.testing.assert_array_equal(run.module.state_dict()[name], value)


def test_the_checkpoint_is_found_wherever_it_lies_in_the_artifact(tmp_path):
    api = StubAPI(tmp_path)
    with pytest.raises(CheckpointError, match=r"no single checkpoint \(found: none\)"):
        fetch("wandb:lab/reach/model:best", api)
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "last.ckpt").touch()
    assert fetch("wandb:lab/reach/model:best", api) == tmp_path / "deep" / "last.ckpt"
    (tmp_path / "deep" / "best.ckpt").touch()
    assert fetch("wandb:lab/reach/model:best", api) == tmp_path / "deep" / "best.ckpt"
    (tmp_path / "checkpoints").mkdir()
    assert fetch("wandb:lab/reach/model:best", api) == tmp_path


def test_a_wrong_name_says_what_to_do(tmp_path):
    with pytest.raises(CheckpointError, match=r"cannot be fetched \(artifact 'lab/reach/modle:best' not found .*wandb login"):
        fetch("wandb:lab/reach/modle:best", StubAPI(tmp_path))
    for name in ("wandb:model", "wandb:lab/reach/model", "wandb:a/b/c/d:best"):
        with pytest.raises(CheckpointError, match="names no artifact: give wandb:entity/project/name:alias"):
            fetch(name, StubAPI(tmp_path))
