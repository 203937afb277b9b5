"""Real processes: killed, told to stop, started again. `make faults` does the same fifty times."""

import os
import signal
import subprocess
import sys
import time

import pytest

from benchmarks import faults
from tests.helpers.faults import rows, state
from tests.helpers.tiny import tiny_overrides

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("case", ["lorenz", "nwb", "wandb"])
def test_killed_runs_end_as_undisturbed_ones(case, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["faults", "--kills", "3", "--seed", "1", "--cases", case])
    faults.main()
    assert "3 of 3 kills resumed, 3 of 3 equal to 1e-06" in capsys.readouterr().out


def begun(folder, *words):
    """A training process of many short epochs."""
    overrides = tiny_overrides(folder, "training.baselines=false", "trainer.max_epochs=40", *words)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "train.py", *overrides, "ckpt=auto"],
        cwd=faults.ROOT,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_process_that_is_told_to_stop_ends_with_143_and_goes_on_exactly(tmp_path):
    process = begun(tmp_path / "parts")
    while not (tmp_path / "parts" / "checkpoints" / "last.ckpt").exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate()
    assert process.returncode == 143
    assert "Stopped in epoch" in err
    assert len(rows(tmp_path / "parts")) < 40
    for folder in ("parts", "whole"):
        process = begun(tmp_path / folder)
        _, err = process.communicate()
        assert process.returncode == 0, err
    assert rows(tmp_path / "parts") == rows(tmp_path / "whole")
    assert str(state(tmp_path / "parts")) == str(state(tmp_path / "whole"))
