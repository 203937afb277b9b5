"""Sweeps by a job launcher."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from neuralsde.cli import CONFIGS
from tests.helpers.tiny import FAST, TINY_LORENZ


def test_a_sweep_by_slurm_composes():
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher", reason="needs the extra slurm")
    words = ["hydra/launcher=submitit_slurm", "hydra.launcher.partition=gpu", "hydra.launcher.gpus_per_node=1"]
    with initialize_config_dir(CONFIGS, version_base="1.3"):
        launcher = compose("train", overrides=words, return_hydra_config=True).hydra.launcher
    assert launcher._target_.endswith("SlurmLauncher")
    assert (launcher.partition, launcher.gpus_per_node) == ("gpu", 1)


@pytest.mark.slow
def test_each_job_of_a_sweep_has_a_folder_of_its_own(tmp_path):
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher", reason="needs the extra slurm")
    root = Path(CONFIGS).resolve().parent
    words = [*TINY_LORENZ, *FAST, "training.baselines=false", "trainer.max_epochs=1", "seed=0,1"]
    command = [sys.executable, str(root / "train.py"), "-m", "hydra/launcher=submitit_local", *words]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True, timeout=200)
    runs = sorted((tmp_path / "runs" / "lorenz" / "langevinflow").iterdir())
    assert [run.name.rpartition("_")[2] for run in sorted(runs, key=lambda run: run.name[-1])] == ["0", "1"]
    assert all((run / "scores.json").is_file() for run in runs)
