"""One run of Weights & Biases for each trial of a search, all in one group; written when the search is over."""

import math
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from neuralsde.files import write_whole
from neuralsde.plots import read_metrics
from neuralsde.search.leg import History, Trained
from neuralsde.search.pictures import legs_of
from neuralsde.search.settings import Prepared
from neuralsde.training.wandb_log import wandb_logger

MARK = "wandb_logged"


def log_trials(prepared: Prepared, history: History) -> None:
    """Log the trials that have not been logged, where the config asks for Weights & Biases."""
    if not prepared.config.logger.wandb:
        return
    for one in history.ranking():
        folder = prepared.folder / Path(one.leg.folder).parent
        if not (folder / MARK).exists():
            log_trial(prepared, legs_of(history, one.leg.trial), folder)
            write_whole(folder / MARK, "")


def log_trial(prepared: Prepared, legs: list[Trained], folder: Path) -> None:
    """Log the epochs of a trial, with the settings that held in them, and its best score.

    Args:
        prepared: the search.
        legs: of the trial.
        folder: of the trial, whose name is the run's.
    """
    config = OmegaConf.load(prepared.folder / legs[-1].leg.folder / "config.yaml")
    assert isinstance(config, DictConfig)
    plain: Any = OmegaConf.to_container(config)
    settings = {key: plain["logger"][key] for key in ("project", "entity", "tags")}
    logger = wandb_logger(folder, plain, group=plain["logger"]["group"] or prepared.folder.name, **settings)
    run = logger.experiment
    for row in rows_of(prepared, legs):
        run.log(row)
    run.summary.update({f"best/{prepared.searched.monitor.removeprefix('val/')}": max_merit(prepared, legs)})
    run.finish()


def max_merit(prepared: Prepared, legs: list[Trained]) -> float:
    """The best score of a trial."""
    return (max if prepared.searched.higher else min)(one.outcome.best for one in legs)


def rows_of(prepared: Prepared, legs: list[Trained]) -> list[dict[str, float]]:
    """Metrics by epoch, each leg's own, with its settings where they are numbers."""
    rows = []
    for one in legs:
        columns = read_metrics(prepared.folder / one.leg.folder / "metrics.csv")
        begin = prepared.searched.stops[one.leg.generation - 1] if one.leg.generation else 0
        settings = {f"settings/{k}": float(v) for k, v in one.leg.settings.items() if isinstance(v, int | float)}
        for index, epoch in enumerate(columns["epoch"]):
            if epoch >= begin:
                known = {name: float(values[index]) for name, values in columns.items() if math.isfinite(values[index])}
                rows.append({**known, **settings, "generation": float(one.leg.generation)})
    return rows
