"""The best trial, handed out as a run like any other in the search's `best` folder."""

import os
import secrets
import shutil
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from neuralsde import workflow
from neuralsde.evaluation.load import load
from neuralsde.evaluation.report import Picture, add_pictures, write_report
from neuralsde.files import write_whole
from neuralsde.search.ledger import checkpoint_of
from neuralsde.search.leg import History, Trained
from neuralsde.search.pictures import search_figures
from neuralsde.search.settings import Prepared, Searched
from neuralsde.training.fit import prepare_fit
from neuralsde.training.run_record import RunRecord

FOLDER = "best"
TITLES = {"search_scores": "Scores of the search", "search_settings": "Settings of the search"}


def write_winner(prepared: Prepared, history: History) -> Path:
    """Write the `best` folder: config, checkpoints, metrics, scores, pictures, report; and the search's own pictures.

    Args:
        prepared: the search.
        history: what has been trained.
    """
    winner = history.ranking()[0]
    lineage = history.lineage(winner)
    text = notes(lineage, prepared.searched)
    folder = copy_run(prepared, winner, text)
    write_record(prepared, folder, sum(one.outcome.seconds for one in lineage))
    config = OmegaConf.load(folder / "config.yaml")
    assert isinstance(config, DictConfig)
    run = load(checkpoint_of(folder, prepared.searched.weights), allow_targets=prepared.allow_targets)
    run = workflow.calibrated(run, run.datamodule, prepared.allow_targets)
    workflow.evaluate(run, run.datamodule, folder, [], config)
    figures = search_figures(prepared, history, lineage)
    workflow.save_figures(figures, prepared.folder / "plots")
    add_pictures(folder, [Picture(TITLES[name], figure, text) for name, figure in figures.items()])
    write_report(folder)
    return folder


def copy_run(prepared: Prepared, winner: Trained, text: str) -> Path:
    """The winner's folder, copied to `best`, with what it says of itself put right."""
    target = prepared.folder / FOLDER
    work = target.with_name(f".{FOLDER}.{os.getpid()}-{secrets.token_hex(4)}")
    source = prepared.folder / winner.leg.folder
    shutil.copytree(source, work)
    config = OmegaConf.load(work / "config.yaml")
    OmegaConf.update(config, "run_dir", str(target))
    comment = "".join(f"# {line}\n" for line in text.splitlines())
    write_whole(work / "config.yaml", comment + OmegaConf.to_yaml(config))
    shutil.rmtree(target, ignore_errors=True)
    os.replace(work, target)
    return target


def notes(lineage: list[Trained], searched: Searched) -> str:
    """How the winner was made, and what a run with its last settings would not repeat."""
    last = lineage[-1].leg
    lines = [f"Trial {last.trial} of a search; chosen by {searched.monitor} on validation trials, which is therefore too good."]
    changed = [key for key in last.settings if len({one.leg.settings[key] for one in lineage}) > 1]
    if any(one.leg.inherits for one in lineage):
        lines.append("It went on with other trials' weights: " + " → ".join(f"trial {one.leg.trial}" for one in lineage) + ".")
    if changed:
        lines.append("The settings are those at its end; they changed on the way, so that a run of them is another:")
    lines += [f"{key}: {', '.join(values_on_the_way(lineage, key, searched))}." for key in changed]
    return "\n".join(lines)


def values_on_the_way(lineage: list[Trained], key: str, searched: Searched) -> list[str]:
    """Values of a setting, each with the epoch until which it held."""
    legs = [one.leg for one in lineage]
    after = [*legs[1:], None]
    ends = [leg for leg, later in zip(legs, after, strict=True) if later is None or later.settings[key] != leg.settings[key]]
    return [f"{leg.settings[key]} to epoch {searched.stops[leg.generation]}" for leg in ends]


def write_record(prepared: Prepared, folder: Path, seconds: float) -> None:
    """`run.json`, as of a run that this command trained."""
    config: Any = OmegaConf.load(folder / "config.yaml")
    fit = prepare_fit(config, prepared.data, folder / "unused")
    record = RunRecord(folder, fit, config.seed)
    record.content["starts"][-1]["wall_s"] = round(seconds, 1)
    record.write()
