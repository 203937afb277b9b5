"""From a run's folder to `report.html`."""

from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined, Template

from neuralsde.errors import CheckpointError
from neuralsde.evaluation.report.facts import data_of, duration, made_of, model_of, scored_later, title_of, value_at, wall_time
from neuralsde.evaluation.report.panels import curve_panels, learned_panels
from neuralsde.evaluation.report.pictures import read_pictures
from neuralsde.evaluation.report.score_table import channel_tables, headline, score_tables, verdict
from neuralsde.evaluation.report.trajectories import read_trajectories
from neuralsde.files import write_whole
from neuralsde.plots import read_metrics
from neuralsde.training.files import read_config, read_json
from neuralsde.training.run_record import read_record
from neuralsde.training.shape import NUMBER, Names

PAGE = files("neuralsde.evaluation.report") / "page"
SCORES = {
    "baselines?": Names(Names((*NUMBER, type(None)))),
    "intervals?": str,
    "channels?": Names(Names(Names(NUMBER))),
    "predict?": {"weights": str, "n_samples": int},
    "data?": {"name": str, "source": str, "eval_trials": int, "called?": str},
}
"""What `scores.json` has to look like beside the scores."""
TIMES = {"s": "second", "min": "minute", "h": "hour", "d": "day"}
PHASES = ("val", "test")
"""Of the trials that `neuralsde evaluate --phase` scored later, beside those of the run."""


def write_report(run: str | Path) -> Path:
    """Write `report.html` into a run's folder: one file that needs no network; returns its path.

    Everything is read from the folder: `config.yaml` and, where there are any, `scores.json`, `scores_test.json`,
    `metrics.csv`, `run.json` and `plots/`.

    Args:
        run: the run's folder, or a checkpoint in it.

    Raises:
        CheckpointError: it is no run's folder, or a file in it is damaged.
    """
    folder = folder_of(Path(run))
    path = folder / "report.html"
    write_whole(path, render(folder))
    return path


def folder_of(path: Path) -> Path:
    """The run's folder, given it or one of its checkpoints."""
    folder = path.parent.parent if path.suffix == ".ckpt" else path
    if not (folder / "config.yaml").is_file():
        raise CheckpointError(f"There is no run in {folder} (no config.yaml): give a run's folder or a checkpoint in one.")
    return folder


def render(folder: Path) -> str:
    """The page's HTML."""
    return template().render(**content_of(folder))


@cache
def template() -> Template:
    """The page without its content."""
    environment = Environment(
        loader=FunctionLoader(lambda name: (PAGE / name).read_text(encoding="utf-8")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}
    return environment.get_template("report.html.j2")


def content_of(folder: Path) -> dict[str, Any]:
    """What the template shows."""
    config, record = read_config(folder / "config.yaml"), read_record(folder)
    scores = read_json(folder / "scores.json", SCORES)
    metrics = folder / "metrics.csv"
    columns = read_metrics(metrics) if metrics.is_file() else {}
    tables, channels = score_tables(scores), channel_tables(scores)
    main = headline(tables)
    others = {phase: read_json(folder / f"scores_{phase}.json", SCORES) for phase in PHASES}
    called = record.get("data", {}).get("called", "trials")
    for phase, found in others.items():
        tables |= {f"{phase} {called}{split and f': {split}'}": lines for split, lines in score_tables(found).items()}
        channels |= {f"{title}, {phase} {called}": lines for title, lines in channel_tables(found).items()}
    model, data = title_of(record, config, scores)
    pictures = read_pictures(folder)
    unit: str = record.get("data", {}).get("time_unit", "s")
    clock = TIMES.get(unit, unit) if value_at(config, "model.dynamics.model_time") is None else "unit of model time"
    curves, learned = (curve_panels(columns), learned_panels(columns, clock)) if "epoch" in columns else ([], [])
    # What the page's scripts draw needs no picture, but one stands in for it where scripts do not run.
    live = {"training": curves, "learned": learned, "latents": read_trajectories(folder)}
    return {
        "name": folder.resolve().name,
        "model": model,
        "data": data,
        "main": main,
        "verdict": verdict(main) if main else None,
        "tables": tables,
        "called": called,
        "channels": channels,
        "epochs": int(columns["epoch"].max()) + 1 if "epoch" in columns else 0,
        "parameters": record.get("parameters"),
        "wall_time": duration(wall_time(record)),
        "curves": curves,
        "learned": learned,
        "trajectories": live["latents"],
        "pictures": [p for p in pictures if not live.get(p.name)],
        "stand_ins": {p.name: p for p in pictures if live.get(p.name)},
        "facts": {
            "The run": made_of(record, config),
            "The data": [*data_of(record, scores), *scored_later(others)],
            "The model": model_of(record, config, scores),
        },
        "config": (folder / "config.yaml").read_text(encoding="utf-8"),
        "version": record.get("versions", {}).get("neuralsde", ""),
    }
