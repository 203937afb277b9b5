"""`run.json` says how a run was made."""

import hashlib
import json
from functools import partial

import pytest

from neuralsde.datamodules import checksums
from neuralsde.datamodules.checksums import sha256_of
from neuralsde.datamodules.lorenz_file import LorenzFile
from neuralsde.datamodules.moving_digits import MovingDigits
from neuralsde.errors import DataError
from neuralsde.training.run_record import command_line, data_record, read_record
from neuralsde.workflow import train
from tests.helpers.tiny import TINY_LORENZ, light_data, tiny_config, tiny_simulated


@pytest.mark.parametrize(
    ("argv", "typed"),
    [
        (["train.py", "data=lorenz", "data.window_ms=[-200,600]"], "python train.py data=lorenz 'data.window_ms=[-200,600]'"),
        (["/somewhere/bin/neuralsde train", "seed=1"], "neuralsde train seed=1"),
        (["/somewhere/bin/neuralsde", "resume", "runs/a b"], "neuralsde resume 'runs/a b'"),
        (["/somewhere/neuralsde/__main__.py train", "seed=1"], "python -m neuralsde train seed=1"),
    ],
)
def test_the_command_is_told_as_it_was_typed(argv, typed):
    assert command_line(argv) == typed


def test_checksums_are_kept_until_the_file_changes(tmp_path, monkeypatch):
    path, cache = tmp_path / "a.nwb", tmp_path / "cache" / "checksums.json"
    path.write_bytes(b"spikes")
    assert sha256_of(path, cache) == hashlib.sha256(b"spikes").hexdigest()
    monkeypatch.setattr(checksums.hashlib, "file_digest", None)  # would fail if it were called
    assert sha256_of(path, cache) == hashlib.sha256(b"spikes").hexdigest()
    monkeypatch.undo()
    path.write_bytes(b"other spikes")
    assert sha256_of(path, cache) == hashlib.sha256(b"other spikes").hexdigest()


def test_a_damaged_cache_or_one_that_cannot_be_written_does_no_harm(tmp_path):
    path = tmp_path / "a.nwb"
    path.write_bytes(b"spikes")
    (tmp_path / "damaged.json").write_text("{")
    assert sha256_of(path, tmp_path / "damaged.json") == sha256_of(path, path / "below a file" / "checksums.json")
    with pytest.raises(DataError, match=r"check data\.path"):
        sha256_of(tmp_path / "nowhere", tmp_path / "cache.json")


def test_sources_name_their_files(tmp_path):
    assert LorenzFile(tmp_path / "lorenz.h5", batch_size=4).files() == [tmp_path / "lorenz.h5"]
    digits = partial(MovingDigits, batch_size=4, size=16, n_train=4, n_eval=4, observed_bins=5)
    assert digits(mnist=str(tmp_path / "mnist.npz")).files() == [tmp_path / "mnist.npz"]
    assert digits().files() == []


def test_the_record_holds_the_checksums_of_the_files(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "session.nwb"
    path.write_bytes(b"spikes")
    data = light_data(*TINY_LORENZ)
    monkeypatch.setattr(data, "files", lambda: [path])
    digest = hashlib.sha256(b"spikes").hexdigest()
    assert data_record(data)["files"] == [{"name": "session.nwb", "bytes": 6, "sha256": digest}]
    assert (tmp_path / "cache" / "neuralsde" / "checksums.json").is_file()


@pytest.mark.slow
def test_a_run_of_real_values_records_itself_and_writes_its_report_and_a_resumed_one_adds_a_start(tmp_path):
    folder = tmp_path / "run"
    words = [*tiny_simulated("ornstein_uhlenbeck"), "model=latent_sde", "model/likelihood=gaussian", "training.plots=true"]
    config = tiny_config(folder, *words)
    train(config)
    record = read_record(folder)
    assert record["data"]["source"] == json.loads((folder / "scores.json").read_text())["data"]["source"]
    assert record["data"]["channels"][0] > 0
    assert record["parameters"] > 0
    assert [start["wall_s"] > 0 for start in record["starts"]] == [True]
    page = (folder / "report.html").read_text()
    assert "signal R²" in page
    config.ckpt = "last"
    train(config)
    assert len(read_record(folder)["starts"]) == 2
    assert read_record(folder)["parameters"] == record["parameters"]
