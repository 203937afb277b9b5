"""Whole runs of two processes on one machine, started by the first of them or by torchrun."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from neuralsde.errors import ConfigError
from neuralsde.training import launch
from neuralsde.training.stop import STOPPED
from neuralsde.workflow import train
from tests.helpers.tiny import FAST, TINY_LORENZ, tiny_config, tiny_simulated

ROOT = Path(launch.__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
TWO = ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2", "trainer.max_epochs=3"]
EVERY = ["trainer.check_val_every_n_epoch=1", "training.baselines=false", "objective.kl_ramp_epochs=0"]
REAL = [
    *tiny_simulated("stochastic_lorenz"),
    "data.irregular=true",
    "data.train_drop=0.3",
    "data.n_eval=7",
    "data.eval_batch_size=3",
    "model=latent_sde",
    "model/likelihood=gaussian",
]


def rows(run_dir):
    with (run_dir / "metrics.csv").open(newline="") as file:
        return [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(file)]


def assert_same_run(one, other, epochs=3):
    """Losses, scores and weights of two runs."""
    assert len(rows(one)) == len(rows(other)) == epochs
    for before, after in zip(rows(one), rows(other), strict=True):
        assert after == pytest.approx(before, rel=1e-4, abs=1e-5)
    first, second = (torch.load(run / "checkpoints/last.ckpt", weights_only=True)["state_dict"] for run in (one, other))
    torch.testing.assert_close(second, first, rtol=1e-5, atol=1e-6)
    scores = [json.loads((run / "scores.json").read_text()) for run in (one, other)]
    numbers = [{name: value for name, value in score.items() if isinstance(value, float)} for score in scores]
    assert numbers[1] == pytest.approx(numbers[0], rel=1e-4, abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("words", [[], REAL, ["schedule=plateau", "schedule.patience=0"]], ids=["counts", "real", "plateau"])
def test_a_run_of_two_processes_is_that_of_one(words, tmp_path):
    common = [*words, *EVERY]
    train(tiny_config(tmp_path / "one", *common, "trainer.max_epochs=3"))
    train(tiny_config(tmp_path / "two", *common, *TWO))
    assert_same_run(tmp_path / "one", tmp_path / "two")
    assert len(json.loads((tmp_path / "two" / "run.json").read_text())["starts"]) == 1


@pytest.mark.slow
def test_a_run_may_go_on_in_another_number_of_processes(tmp_path):
    train(tiny_config(tmp_path / "one", *EVERY, "schedule=constant", "trainer.max_epochs=3"))
    train(tiny_config(tmp_path / "parts", *EVERY, "schedule=constant", "trainer.max_epochs=2"))
    train(tiny_config(tmp_path / "parts", *EVERY, "schedule=constant", *TWO, "ckpt=last"))
    assert_same_run(tmp_path / "one", tmp_path / "parts")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["stopped", "killed"])
def test_two_processes_that_are_stopped_go_on_as_if_they_had_not_been(number, tmp_path):
    words = [*TINY_LORENZ, *FAST, *EVERY, *TWO, "data.trials_per_condition=60", "trainer.max_epochs=4"]
    whole, cut = ([sys.executable, "train.py", *words, f"run_dir={tmp_path / name}", "ckpt=auto"] for name in ("one", "cut"))
    subprocess.run(whole, cwd=ROOT, env=ENVIRONMENT, check=True, capture_output=True)
    with subprocess.Popen(
        cut, cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        next(line for line in process.stdout if line.startswith("epoch") and "2/4" in line)
        time.sleep(0.3)
        process.send_signal(number)
        assert process.wait(60) == {signal.SIGTERM: STOPPED, signal.SIGKILL: -signal.SIGKILL}[number]
    subprocess.run(cut, cwd=ROOT, env=ENVIRONMENT, check=True, capture_output=True)
    assert_same_run(tmp_path / "one", tmp_path / "cut", 4)


def torchrun(words):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "train.py", *words]
    return [subprocess.Popen(command, cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True)]


def srun(words):
    """What `srun --ntasks-per-node=2` starts, on one node that is this machine."""
    tasks = {"SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "2", "SLURM_NNODES": "1", "SLURM_NODEID": "0"}
    job = {"SLURM_JOB_ID": str(launch.free_port()), "SLURM_JOB_NAME": "train", "SLURM_NODELIST": "127.0.0.1"}
    numbers = ({"SLURM_PROCID": str(rank), "SLURM_LOCALID": str(rank)} for rank in range(2))
    command = [sys.executable, "train.py", *words]
    return [
        subprocess.Popen(command, cwd=ROOT, env=ENVIRONMENT | tasks | job | number, stdout=subprocess.PIPE, text=True)
        for number in numbers
    ]


@pytest.mark.slow
@pytest.mark.parametrize("start", [torchrun, srun])
def test_processes_that_others_start_make_one_folder_however_it_is_named(start, tmp_path):
    (tmp_path / "one").mkdir()
    dated = f"run_dir={tmp_path}/one/${{now:%f}}"  # in microseconds: processes would disagree
    processes = start([*TINY_LORENZ, *FAST, *EVERY, *TWO, dated])
    said = [process.communicate(timeout=200)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes)
    assert "".join(said).count("scoring:") == 1
    (run,) = (tmp_path / "one").iterdir()
    train(tiny_config(tmp_path / "alone", *EVERY, "trainer.max_epochs=3"))
    assert_same_run(tmp_path / "alone", run)


@pytest.mark.slow
def test_a_process_that_cannot_begin_ends_the_run_with_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(launch, "FOLLOWER", "neuralsde.no_such_module")
    with pytest.raises(ConfigError, match=r"Process 1 of this run ended with status 1 before training began"):
        train(tiny_config(tmp_path, *TWO))


def test_several_devices_without_ddp_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"trainer\.devices is 2, which makes 2 processes, .* choose trainer=ddp"):
        train(tiny_config(tmp_path / "run", "trainer=cpu", "trainer.devices=2"))
    assert not (tmp_path / "run").exists()


def test_several_processes_without_ddp_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(launch, "environment", lambda: type("Two", (), {"world_size": lambda self: 2})())
    with pytest.raises(ConfigError, match=r"2 processes were started, but trainer\.strategy=auto .* choose trainer=ddp"):
        train(tiny_config(tmp_path / "run"))
    assert not (tmp_path / "run").exists()
