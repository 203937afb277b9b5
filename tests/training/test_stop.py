"""A run that is told to stop keeps where it stands in the midst of an epoch, and goes on as if it had not."""

import os
import signal
import stat

import pytest
import torch

from neuralsde.errors import CheckpointError
from neuralsde.training.checkpoint import epochs_done, read_checkpoint
from neuralsde.training.stop import job, put_back
from neuralsde.workflow import train
from tests.helpers.faults import rows, signal_at, state
from tests.helpers.tiny import tiny_config, tiny_simulated

SHORT = ["data.observed_bins=5", "data.forward_bins=1", "training.baselines=false", "trainer.check_val_every_n_epoch=1"]
FRESH = [*tiny_simulated("double_well"), "model=latent_sde", "model/likelihood=gaussian"]


def stopped(folder, monkeypatch, step, *words, number=signal.SIGTERM):
    """Train until `step`; the exit status."""
    config = tiny_config(folder, *SHORT, *words)
    with monkeypatch.context() as patch:
        signal_at(patch, step, number)
        with pytest.raises(SystemExit) as stop:
            train(config)
    return stop.value.code


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "run"
    train(tiny_config(folder, *SHORT))
    return folder


@pytest.mark.parametrize("step", [pytest.param(1, marks=pytest.mark.slow), 4], ids=["first_epoch", "second_epoch"])
def test_a_run_stopped_in_an_epoch_goes_on_exactly(whole, tmp_path, monkeypatch, capsys, step):
    folder = tmp_path / "run"
    assert stopped(folder, monkeypatch, step) == 143
    assert "neuralsde resume" in capsys.readouterr().err
    checkpoint = read_checkpoint(folder / "checkpoints" / "last.ckpt")
    assert checkpoint["global_step"] == step + 1
    assert epochs_done(checkpoint) == step // 3
    train(tiny_config(folder, *SHORT, "ckpt=auto"))
    assert rows(folder) == rows(whole)
    torch.testing.assert_close(state(folder), state(whole), rtol=0, atol=0)


def test_a_signal_in_the_last_batch_lets_the_epoch_end(whole, tmp_path, monkeypatch):
    folder = tmp_path / "run"
    assert stopped(folder, monkeypatch, 2) == 143
    assert len(rows(folder)) == 1
    train(tiny_config(folder, *SHORT, "ckpt=auto"))
    assert rows(folder) == rows(whole)


def test_other_batches_are_refused_in_the_midst_of_an_epoch(tmp_path, monkeypatch):
    stopped(tmp_path, monkeypatch, 1)
    with pytest.raises(CheckpointError, match=r"stopped in an epoch of 3 batches, which now has 6: repeat data\.batch_size"):
        train(tiny_config(tmp_path, *SHORT, "ckpt=auto", "data.batch_size=4"))


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """A SLURM job of one task, whose `scontrol` writes down what it is told."""
    told = tmp_path / "told"
    command = tmp_path / "bin" / "scontrol"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\necho "$@" >> {told}\n')
    command.chmod(command.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(command.parent), prepend=os.pathsep)
    names = {"NTASKS": "1", "JOB_ID": "4711", "PROCID": "0", "LOCALID": "0", "NODEID": "0", "JOB_NAME": "train"}
    for name, value in names.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    return told


def test_a_slurm_job_is_put_back_into_the_queue(whole, slurm, tmp_path, monkeypatch):
    folder = tmp_path / "run"
    before = signal.getsignal(signal.SIGUSR1)
    assert stopped(folder, monkeypatch, 4, number=signal.SIGUSR1) == 143
    assert slurm.read_text() == "requeue 4711\n"
    assert signal.getsignal(signal.SIGUSR1) == before
    assert not list(folder.glob("hpc_ckpt*"))  # Lightning's own handling is off
    train(tiny_config(folder, *SHORT, "ckpt=auto"))
    torch.testing.assert_close(state(folder), state(whole), rtol=0, atol=0)


def test_preemption_is_slurm_s_to_requeue(slurm, tmp_path, monkeypatch):
    """SIGTERM also comes from scancel."""
    assert stopped(tmp_path / "run", monkeypatch, 1) == 143
    assert not slurm.exists()


def test_a_task_of_an_array_is_named_as_scontrol_wants_it(slurm, monkeypatch):
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "4700")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "3")
    assert job() == "4700_3"


def test_a_job_that_slurm_will_not_requeue_is_told(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    put_back("4711")
    assert "Job 4711 was not put back into the queue (No such file or directory): submit it again." in capsys.readouterr().err
