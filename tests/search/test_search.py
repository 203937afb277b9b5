"""Searches that train tiny models: in this process, and on Ray with a kill on the way."""

import csv
import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from lightning.pytorch.callbacks import Callback
from omegaconf import OmegaConf

import neuralsde
from neuralsde.errors import CheckpointError, ConfigError, DivergenceError
from neuralsde.evaluation.ensemble import Ensemble
from neuralsde.plots import read_metrics
from neuralsde.search import train_leg as training
from neuralsde.search.ledger import best_checkpoints, read_legs
from neuralsde.search.leg import History, Leg
from neuralsde.search.run import search, train_all
from neuralsde.search.settings import prepare_search
from neuralsde.search.train_leg import Job, train_leg
from neuralsde.search.wandb_runs import log_trials
from tests.helpers.tiny import composed, tiny_config, tiny_overrides
from tests.search.helpers import outcome

SHORT = ["trainer.max_epochs=2", "trainer.check_val_every_n_epoch=1", "training.baselines=false", "search.ray=false"]
PBT = ["search=pbt", *SHORT, "search.n_trials=3", "search.method.generations=2", "search.method.quantile=0.34"]


def trained(config):
    """The history of a search of which no winner is handed out."""
    prepared = prepare_search(config)
    prepared.folder.mkdir(parents=True, exist_ok=True)
    return train_all(prepared)


def table(folder):
    """The legs of a search without their times."""
    with (folder / "table.csv").open() as file:
        return sorted([{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)], key=str)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """The folder of a finished search."""
    folder = tmp_path_factory.mktemp("search") / "pbt"
    search(tiny_config(folder, *PBT))
    return folder


def test_the_winner_is_a_run_like_any_other(done):
    run = neuralsde.load(done)
    assert run.path == done / "best" / "checkpoints" / "best.ckpt"
    assert np.isfinite(run.predict(n_samples=2).rates).all()
    best = json.loads((done / "search.json").read_text())["ranking"][0]
    for key, value in best["settings"].items():
        assert OmegaConf.select(run.config, key) == value
    metrics = read_metrics(done / "best" / "metrics.csv")
    assert metrics["epoch"].tolist() == [0, 1]
    assert metrics["val/co_bps"][-1] == pytest.approx(best["best"])
    assert {"scores.json", "run.json", "report.html"} <= {path.name for path in (done / "best").iterdir()}
    assert {path.name for path in (done / "plots").iterdir()} == {"search_scores.png", "search_settings.png"}


def test_checkpoints_that_nothing_needs_are_gone(done):
    kept = sorted(
        str(path.relative_to(done / "trials").parent.parent) for path in done.glob("trials/*/*/checkpoints/best.ckpt")
    )
    assert kept == sorted(
        one["folder"].removeprefix("trials/") for one in json.loads((done / "search.json").read_text())["ranking"]
    )


def test_the_best_trials_make_an_ensemble(done):
    paths = best_checkpoints(done, 3)
    runs = [neuralsde.load(path) for path in paths]
    mean = Ensemble.of(runs).predict(n_samples=2).rates
    np.testing.assert_allclose(mean, np.mean([run.predict(n_samples=2).rates for run in runs], 0), rtol=1e-6)
    with pytest.raises(CheckpointError, match=r"holds 3 trained trials, but the best 4 are asked for: give --top 1 to 3"):
        best_checkpoints(done, 4)


class Killed(Exception):
    """Stands for a kill at some point."""


@pytest.mark.slow
@pytest.mark.parametrize("where", ["run_of", "write_whole"])
def test_a_search_that_was_cut_off_in_a_leg_ends_as_one_that_was_not(where, done, tmp_path, monkeypatch):
    calls, whole = [], getattr(training, where)

    def cut(*args):
        calls.append(args)
        if len(calls) == 5:
            raise Killed
        return whole(*args)

    with monkeypatch.context() as patch:
        patch.setattr(training, where, cut)
        with pytest.raises(Killed):
            trained(tiny_config(tmp_path / "cut", *PBT))
    assert len(trained(tiny_config(tmp_path / "cut", *PBT)).legs) == 6
    assert table(tmp_path / "cut") == table(done)
    assert not list(tmp_path.glob("cut/trials/*/.*"))


def test_a_folder_of_another_search_is_refused(done):
    with pytest.raises(ConfigError, match=r"holds a search with search\.n_trials=3, but this one asks for 5: go on with it by"):
        search(tiny_config(done, *PBT, "search.n_trials=5"))


def job(config, stops, generation, parent=None):
    prepared = prepare_search(config)
    leg = Leg(0, generation, {"optimizer.lr": 3e-3}, None if parent is None else (0, generation - 1))
    searched = replace(prepared.searched, stops=stops)
    return Job(OmegaConf.to_container(config, resolve=False), config.run_dir, leg, parent, searched)  # pyright: ignore


@pytest.mark.slow
def test_legs_without_a_change_are_the_run_that_never_stopped(tmp_path):
    whole, parts = (tiny_config(tmp_path / name, *PBT) for name in ("whole", "parts"))
    alone = train_leg(job(whole, (2,), 0)).outcome
    first = job(parts, (1, 2), 0)
    train_leg(first)
    again = train_leg(job(parts, (1, 2), 1, str(tmp_path / "parts" / first.leg.folder))).outcome
    assert again.score == alone.score


@pytest.mark.slow
def test_a_leg_trains_with_its_own_learning_rate_on_the_schedule_of_the_whole_run(tmp_path, monkeypatch):
    rates = []

    class Watch(Callback):
        def on_train_batch_start(self, trainer, *_):
            rates.append((trainer.global_step, trainer.optimizers[0].param_groups[0]["lr"]))

    monkeypatch.setattr(training, "StopAfter", lambda epochs, kind=training.StopAfter: both(kind(epochs), Watch()))
    config = tiny_config(tmp_path / "run", *PBT)
    first = job(config, (1, 2), 0)
    train_leg(first)
    rates.clear()
    other = job(config, (1, 2), 1, str(tmp_path / "run" / first.leg.folder))
    train_leg(replace(other, leg=replace(other.leg, settings={"optimizer.lr": 6e-3})))
    steps = np.array([step for step, _ in rates])
    total = 2 * (steps[0])
    expected = 6e-3 * np.minimum(1, (steps + 1) / 50) * 0.5 * (1 + np.cos(np.pi * steps / total))
    np.testing.assert_allclose([rate for _, rate in rates], expected, rtol=1e-6)


def both(first, second):
    """One callback that does what two do."""
    first.on_train_batch_start = second.on_train_batch_start
    return first


def test_trials_that_diverge_are_marked_and_replaced(tmp_path, monkeypatch):
    broken = {"trial_000/generation_000", "trial_001/generation_001"}

    def run(one, work):
        if one.leg.folder.removeprefix("trials/") in broken:
            raise DivergenceError("The training loss became nan in epoch 0.")
        return outcome(1.0)

    monkeypatch.setattr(training, "run_of", run)
    trained(tiny_config(tmp_path, *PBT))
    legs = json.loads((tmp_path / "search.json").read_text())["legs"]
    failed = [one for one in legs if one["failure"]]
    assert [(one["trial"], one["generation"], one["attempt"]) for one in failed] == [(0, 0, 0), (1, 1, 0)]
    assert any(one["trial"] == 0 and one["attempt"] == 1 and one["score"] is not None for one in legs)


def test_a_search_whose_trials_all_fail_says_so(tmp_path, monkeypatch):
    def fail(*_):
        raise DivergenceError("The training loss became nan in epoch 0.")

    monkeypatch.setattr(training, "run_of", fail)
    with pytest.raises(DivergenceError, match=r"All 3 trials failed, the last one since: The training loss became nan"):
        trained(tiny_config(tmp_path, *PBT))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["search.n_trials=0"], r"search\.n_trials is 0; give a whole number"),
        (["search.gpus_per_trial=-1"], r"search\.gpus_per_trial is -1; give a number of at least 0"),
        (["search.method.generations=9"], r"stops 9 times in 2 epochs, but validates in every 1 of them only"),
        (["ckpt=last"], r"ckpt is last, but the trials of a search begin anew"),
        (["+data.phase=test"], r"data\.phase=test would choose among trials by the test split: search with data\.phase=val"),
        (
            ["search.space.model.encoder.dropout.uniform=[0.1,1.5]"],
            r"search\.space allows model\.encoder\.dropout=1\.5: .*\[0, 1\)",
        ),
        (
            ["search.space.optimizer.lr.loguniform=[1e-3,1e-2]", "+search.space.objective.kl_per.choice=[entry,bin]"],
            "kl_per=bin",
        ),
        (["+search.space.model.encoder.hidden_size.choice=[8,16]"], r"model\.encoder\.hidden_size, but it changes the shapes"),
        (["training.val_samples=0"], r"training\.val_samples is 0"),
    ],
)
def test_what_cannot_be_searched_is_refused_before_anything_is_written(words, sentence, tmp_path):
    with pytest.raises(ConfigError, match=sentence):
        search(tiny_config(tmp_path / "run", *PBT, *words))
    assert not (tmp_path / "run").exists()


def test_random_search_may_change_shapes(tmp_path):
    words = ["search=random", *SHORT, "search.n_trials=2", "trainer.max_epochs=1"]
    prepared = prepare_search(tiny_config(tmp_path, *words, "+search.space.model.encoder.hidden_size.choice=[8,16]"))
    assert "model.encoder.hidden_size" in prepared.space.drawn(0, 0)


def test_without_ray_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r'not installed: pip install "neuralsde\[search\]", or set search\.ray=false'):
        search(tiny_config(tmp_path, *PBT, "search.ray=true"))


@pytest.mark.slow
def test_trials_are_runs_of_one_group_on_weights_and_biases(done, monkeypatch):
    opened = []

    class Recorded:
        def __init__(self, folder, config, **settings):
            self.settings, self.rows, self.summary = {"name": folder.name, **settings}, [], {}
            self.experiment = self
            opened.append(self)

        def log(self, row):
            self.rows.append(row)

        def finish(self):
            self.finished = True

    monkeypatch.setattr("neuralsde.search.wandb_runs.wandb_logger", Recorded)
    prepared = prepare_search(composed(*PBT, *tiny_overrides(done.parent / "other", "logger=wandb")))
    prepared = replace(prepared, config=OmegaConf.merge(prepared.config, {"run_dir": str(done)}))
    config_of_legs = OmegaConf.create({"project": "p", "entity": None, "group": None, "tags": []})
    monkeypatch.setattr("neuralsde.search.wandb_runs.OmegaConf.load", lambda _: OmegaConf.create({"logger": config_of_legs}))
    for _ in range(2):  # the second time there is nothing left to log
        log_trials(prepared, History(True, read_legs(done)))
    assert sorted(one.settings["name"] for one in opened) == ["trial_000", "trial_001", "trial_002"]
    assert {one.settings["group"] for one in opened} == {done.name}
    for one in opened:
        assert [row["epoch"] for row in one.rows] == [0, 1]
        assert "settings/optimizer.lr" in one.rows[0]
        assert one.finished


# -- on Ray -------------------------------------------------------------------------------------------------------------


def command(folder: Path, *words: str) -> subprocess.Popen:
    with folder.with_suffix(".log").open("a") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "neuralsde.search", *words], stdout=log, stderr=log, start_new_session=True
        )


def finished(process: subprocess.Popen, folder: Path) -> None:
    assert process.wait(timeout=600) == 0, folder.with_suffix(".log").read_text()[-3000:]


def wait_for(folder: Path, pattern: str, process: subprocess.Popen) -> None:
    while not list(folder.glob(pattern)):
        assert process.poll() is None, folder.with_suffix(".log").read_text()[-3000:]
        time.sleep(0.1)


@pytest.mark.slow
def test_population_based_training_on_ray_improves_and_survives_a_kill_and_a_stop(tmp_path):
    pytest.importorskip("ray", reason="ray is not installed")
    small = ["trainer.max_epochs=9", "trainer.check_val_every_n_epoch=1", "search=pbt", "search.n_trials=4"]
    words = [*small, "search.method.generations=3", "training.baselines=false"]
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    finished(command(whole, *tiny_overrides(whole, *words)), whole)
    first = command(cut, *tiny_overrides(cut, *words))
    wait_for(cut, "trials/*/generation_001", first)
    first.kill()
    first.wait()
    second = command(cut, f"run_dir={cut}")
    wait_for(cut, "trials/*/generation_002", second)
    second.send_signal(signal.SIGTERM)
    assert second.wait(timeout=120) == 143, cut.with_suffix(".log").read_text()[-3000:]
    assert f"go on with neuralsde search run_dir={cut}" in cut.with_suffix(".log").read_text()
    finished(command(cut, f"run_dir={cut}"), cut)
    assert table(cut) == table(whole)
    scores = {
        generation: max(float(row["best"]) for row in table(whole) if row["generation"] == generation) for generation in "02"
    }
    assert scores["2"] > scores["0"]
    predictions = [neuralsde.load(folder).predict(n_samples=2).rates for folder in (whole, cut)]
    np.testing.assert_array_equal(*predictions)


@pytest.mark.slow
def test_ray_trains_what_this_process_trains(tmp_path):
    pytest.importorskip("ray", reason="ray is not installed")
    words = [*SHORT, "search=asha", "search.n_trials=4", "search.method.rungs=2", "search.method.factor=2"]
    search(tiny_config(tmp_path / "here", *words))
    finished(command(tmp_path / "ray", *tiny_overrides(tmp_path / "ray", *words, "search.ray=true")), tmp_path / "ray")
    assert table(tmp_path / "ray") == table(tmp_path / "here")
