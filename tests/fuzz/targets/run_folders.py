"""What lies in a run's folder, as a report and a resumed run read it."""

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from omegaconf import OmegaConf

from neuralsde.cli.resume import settings_of
from neuralsde.evaluation.report import Picture, add_pictures, write_report, write_trajectories
from neuralsde.training.csv_log import CSVLog
from neuralsde.training.settings import check_settings
from neuralsde.training.targets import check_targets, refuse_own_trust
from tests.evaluation.report.conftest import CONFIG, METRICS, RECORD, SCORES
from tests.fuzz import text
from tests.fuzz.target import Target
from tests.helpers.tiny import tiny_config


def good_folder(folder: Path) -> Path:
    """A run's folder with everything in it, made once."""
    if not folder.exists():
        folder.mkdir()
        contents = {
            "config.yaml": CONFIG,
            "metrics.csv": METRICS,
            "scores.json": json.dumps(SCORES),
            "run.json": json.dumps(RECORD),
        }
        for name, content in contents.items():
            (folder / name).write_text(content)
        latents = np.random.default_rng(0).normal(size=(6, 8, 4)).cumsum(1)
        write_trajectories(folder, latents, np.repeat([0, 1], 3), ("a", "b"), np.arange(8) * 0.02)
        figure = Figure((1, 1))
        figure.subplots().plot([0, 1])
        add_pictures(folder, [Picture("Flow", figure, "Arrows.")])
    return folder


def write_seed(folder: Path, name: str) -> list[Path]:
    seed = folder / f"seed{Path(name).suffix}"
    shutil.copy(good_folder(folder / "good") / name, seed)
    return [seed]


def in_place(path: Path, name: str, use: Callable[[Path], object]) -> None:
    """Use a run's folder in which one file has been replaced."""
    folder = good_folder(path.parent / "run")
    kept = (folder / name).read_bytes()
    try:
        shutil.copy(path, folder / name)
        use(folder)
    finally:
        (folder / name).write_bytes(kept)


def goes_on(folder: Path) -> None:
    CSVLog(folder).continue_from(5)


def write_run_config(folder: Path) -> list[Path]:
    """The config of a run, its model in place of what refers to data."""
    config = tiny_config(folder / "run")
    config.model = {"_target_": "neuralsde.models.LatentModel", "encoder": {"_target_": "neuralsde.nn.encoders.GRUEncoder"}}
    config.spec = {"kind": "counts"}
    (folder / "seed.yaml").write_text(OmegaConf.to_yaml(config, resolve=True))
    return [folder / "seed.yaml"]


def resumed(path: Path) -> None:
    """What a resumed run does before it reads data."""
    folder = path.parent / "resumed"
    folder.mkdir(exist_ok=True)
    shutil.copy(path, folder / "config.yaml")
    config = settings_of(folder, None)
    refuse_own_trust(config, ())
    check_settings(config)
    check_targets(config)


def report_target(name: str, share: float, mutations=text.MUTATIONS, guided: bool = False) -> Target:
    read = partial(in_place, name=name, use=write_report)
    return Target(f"report {name}", Path(name).suffix, partial(write_seed, name=name), read, mutations, guided, share)


TARGETS = [
    report_target("run.json", 0.7, guided=True),
    report_target("scores.json", 0.5),
    report_target("plots/trajectories.json", 0.5),
    report_target("plots/captions.json", 0.3),
    report_target("metrics.csv", 0.5),
    report_target("config.yaml", 0.7),
    report_target("plots/flow.png", 0.5, mutations=()),
    Target("resume metrics.csv", ".csv", partial(write_seed, name="metrics.csv"),
           partial(in_place, name="metrics.csv", use=goes_on), text.MUTATIONS, guided=True),
    Target("resume config.yaml", ".yaml", write_run_config, resumed, text.MUTATIONS),
]  # fmt: skip
