"""The commands as a user types them, in this process, which has loaded torch already; the slow lane has one of its own."""

import contextlib
import io
import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from neuralsde.cli import train
from neuralsde.cli.console import data_settings
from neuralsde.cli.main import parser
from neuralsde.workflow import print_table
from tests.helpers.tiny import tiny_overrides

ROOT = Path(__file__).parents[2]


def process(*words):
    """A command's status, standard output and error; Weights & Biases stays off the network and never asks."""
    environment = {**os.environ, "WANDB_MODE": "offline", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *map(str, words)], cwd=ROOT, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    return done.returncode, done.stdout, done.stderr


def bare(folder):
    """Words of a run that logs and draws as it does when nothing is said of it."""
    return [word for word in tiny_overrides(folder) if not word.startswith(("logger", "training.plots"))]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run's folder, and what was printed."""
    folder = tmp_path_factory.mktemp("cli") / "run"
    out = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out):
        patch.setattr(sys, "argv", ["train.py", *bare(folder)])
        train()
    return folder, out.getvalue()


def test_the_bare_command_trains_scores_and_leaves_everything_in_its_folder(trained):
    folder, out = trained
    assert "co-bps" in out
    assert "smoothing" in out
    assert f"neuralsde.load('{folder}')" in out
    written = {str(p.relative_to(folder)) for p in folder.rglob("*") if "wandb" not in p.parts}
    assert {"config.yaml", "metrics.csv", "scores.json", "checkpoints/best.ckpt", "checkpoints/last.ckpt"} <= written
    assert {"report.html", "run.json", "plots/trajectories.json"} <= written
    assert {"plots/raster.png", "plots/latents.png", "plots/training.png", "plots/rates.png"} <= written
    scores = json.loads((folder / "scores.json").read_text())
    assert {"co_bps", "fp_bps", "rate_r2", "baselines"} <= scores.keys()
    assert {"smoothing", "condition_psth"} <= scores["baselines"].keys()
    (offline,) = (folder / "wandb").glob("offline-run-*")
    images = {path.name.split("_")[0] for path in (offline / "files" / "media" / "images" / "plots").glob("*.png")}
    assert {"raster", "latents", "training", "rates"} <= images


@pytest.mark.slow
def test_a_process_of_its_own_and_the_installed_command_train_the_same(trained, run, tmp_path, monkeypatch):
    folder, _ = trained
    status, out, err = process("train.py", *bare(tmp_path / "process"))
    assert status == 0, err
    assert f"neuralsde.load('{tmp_path / 'process'}')" in out
    monkeypatch.chdir(tmp_path)
    status, _, err = run("train", *tiny_overrides(tmp_path / "run"))
    assert status == 0, err
    first, *others = (json.loads((f / "scores.json").read_text()) for f in (folder, tmp_path / "process", tmp_path / "run"))
    assert [other["co_bps"] for other in others] == [first["co_bps"]] * 2


def test_a_folder_that_holds_a_run_is_not_overwritten(trained, run):
    folder, _ = trained
    before = (folder / "metrics.csv").read_bytes()
    status, _, err = run("train", *tiny_overrides(folder))
    assert status == 2
    assert f"neuralsde resume {folder}" in err
    assert (folder / "metrics.csv").read_bytes() == before


@pytest.mark.slow
def test_resume_goes_on_with_the_run_s_own_settings(trained, run, tmp_path):
    folder, _ = trained
    copy = tmp_path / "run"
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("wandb"))
    status, _, err = run("resume", copy)
    assert status == 0, err
    assert (
        json.loads((copy / "scores.json").read_text())["co_bps"] == json.loads((folder / "scores.json").read_text())["co_bps"]
    )
    status, _, err = run("resume", tmp_path / "nowhere")
    assert status == 2
    assert "give the folder of a run" in err
    (copy / "config.yaml").write_text("a: [1")
    status, _, err = run("resume", copy)
    assert status == 2
    assert "config.yaml is damaged" in err


@pytest.mark.slow
def test_evaluate_repeats_the_scores(trained, run, tmp_path):
    folder, _ = trained
    before = json.loads((folder / "scores.json").read_text())
    status, out, err = run("evaluate", folder, "--into", tmp_path)
    assert status == 0, err
    assert "this model" in out
    after = json.loads((tmp_path / "scores.json").read_text())
    assert after["co_bps"] == before["co_bps"]
    assert not (tmp_path / "report.html").exists()


def test_trials_that_cannot_be_scored_get_a_sentence_instead_of_an_empty_table(capsys):
    print_table({}, {"smoothing": {}}, "reach8", "200 evaluation trials")
    assert "reach8: nothing of the 200 evaluation trials can be scored" in capsys.readouterr().out


@pytest.mark.slow
def test_evaluate_renews_the_report_of_a_run(trained, run, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(trained[0], copy, ignore=shutil.ignore_patterns("wandb"))
    (copy / "report.html").write_text("old")
    status, _, err = run("evaluate", copy)
    assert status == 0, err
    assert "How it was made" in (copy / "report.html").read_text()


@pytest.mark.parametrize(
    ("words", "sentences"),
    [
        (["model=langevinflw"], ["langevinflw", "langevinflow"]),
        (["data=lorentz"], ["lorentz", "lorenz"]),
        (["model.decoder.dropuot=0.1"], ["dropuot"]),
        (["model.dynamics.sde.frequency=[1.0,90.0]"], ["90.0 Hz", "lower model.dynamics.sde.frequency"]),
        (["data.batch_size=0"], ["data.batch_size is 0"]),
        (["optimizer.lr=fast"], ["check optimizer"]),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else "",
)
def test_a_mistake_gets_a_sentence_and_no_traceback(words, sentences, run, tmp_path):
    status, _, err = run("train", *tiny_overrides(tmp_path / "run", *words))
    assert status != 0
    assert "Traceback" not in err
    for sentence in sentences:
        assert sentence in err


def test_absent_recording_says_how_to_fetch_it(run, tmp_path):
    status, _, err = run("train", "data=nlb_mc_maze", "data.path=nowhere", "logger=csv", f"run_dir={tmp_path / 'run'}")
    assert status == 2
    assert "Traceback" not in err
    assert "nowhere" in err
    assert "python -m neuralsde download nlb_mc_maze" in err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [(["evaluate", "nowhere"], "There is no checkpoint at nowhere"), (["download", "nlb_mc_mase"], "nlb_mc_maze")],
)
def test_other_commands_explain_mistakes_too(words, sentence, run):
    status, _, err = run(*words)
    assert status == 2
    assert "Traceback" not in err
    assert sentence in err


def test_the_phase_to_score_replaces_that_of_the_run():
    evaluate = ["evaluate", "run", "--data-path", "file.npz"]
    assert data_settings(parser().parse_args(evaluate)) == {"path": "file.npz"}
    assert data_settings(parser().parse_args([*evaluate, "--phase", "test"])) == {"path": "file.npz", "phase": "test"}
    assert data_settings(parser().parse_args(["submit", "run", "file.h5"])) == {"phase": "test"}


def test_help_shows_examples():
    status, out, _ = process("-m", "neuralsde", "--help")
    assert status == 0
    assert "neuralsde train model=langevinflow data=lorenz" in out


def test_a_disk_that_fills_up_gets_a_sentence_and_leaves_nothing_half_written(run, tmp_path):
    """A limit on the size of files stands for a full disk."""
    folder = tmp_path / "run"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        status, _, err = run("train", *tiny_overrides(folder))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert status == 2
    assert "cannot be written" in err
    assert "Traceback" not in err
    assert not list(folder.iterdir())
