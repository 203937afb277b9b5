"""The one path from a config to a scored checkpoint: data, model, fit, score, plots."""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.loggers import Logger, WandbLogger
from matplotlib.figure import Figure
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.table import Table

from neuralsde.datamodules.batches import TrialDataModule
from neuralsde.evaluation.baselines import baseline_table
from neuralsde.evaluation.ensemble import Ensemble
from neuralsde.evaluation.figures import draw_figures
from neuralsde.evaluation.load import Run, load
from neuralsde.evaluation.scores import score
from neuralsde.training.build import instantiate_part
from neuralsde.training.csv_log import CSVLog
from neuralsde.training.fit import Fit, fill_in_sizes, prepare_fit
from neuralsde.training.fit_check import check_fit
from neuralsde.training.settings import check_settings
from neuralsde.training.wandb_log import wandb_logger

SCORE_NAMES = {
    "co_bps": "co-bps",
    "fp_bps": "fp-bps",
    "vel_r2": "vel R²",
    "psth_r2": "PSTH R²",
    "tp_corr": "tp corr",
    "rate_r2": "rate R²",
    "state_r2": "state R²",
    "signal_r2": "signal R²",
    "forward_r2": "forward R²",
    "forward_rmse": "forward RMSE",
    "rmse": "RMSE",
    "missing_rmse": "missing RMSE",
    "log_loss": "log loss",
    "accuracy": "accuracy",
    "forward_log_loss": "forward log loss",
    "forward_accuracy": "forward accuracy",
}


def train(config: DictConfig) -> float:
    """Train, score and draw what `config` describes; returns the model's main score.

    Raises:
        NeuralSDEError: anything a user can mend, in one sentence.
    """
    started = time.monotonic()
    check_settings(config)
    run_dir = Path(config.run_dir)
    L.seed_everything(config.seed, verbose=False)
    data = instantiate_part(config, "data")
    check_fit(config, data)
    fill_in_sizes(config, data.spec)
    prepared = prepare_fit(config, data, run_dir)
    prepare_folder(run_dir, config)
    loggers = make_loggers(config, run_dir)
    announce(prepared, data, run_dir, loggers)
    prepared.run(loggers)
    checkpoint = run_dir / "checkpoints" / f"{config.predict.weights}.ckpt"
    scores = evaluate(load(checkpoint, allow_targets=("",)), data, run_dir, loggers, config)
    print(f"{run_dir}: checkpoint {checkpoint.relative_to(run_dir)}, scores.json, metrics.csv, plots/")
    print(f"Open it in Python with neuralsde.load({str(run_dir)!r}). Took {time.monotonic() - started:.0f} s.")
    return next((scores[key] for key in SCORE_NAMES if key in scores), float("nan"))


def announce(prepared: Fit, data: TrialDataModule, run_dir: Path, loggers: list[Logger]) -> None:
    """Say what is about to happen, before the first epoch."""
    spec, module = data.spec, prepared.module
    channels = "units" if spec.kind == "counts" else "channels"
    units = f"{spec.observed_dim} + {spec.target_dim - spec.observed_dim} held-out {channels}"
    width = f"{spec.bin_width_s * 1000:g} ms" if spec.longest_s is None else "irregular width"
    bins = f"{spec.observed_bins} + {spec.forward_bins} forward bins of {width}"
    print(f"{data.data.name}: {len(data.data.train)} training and {len(data.data.eval)} evaluation trials, {units}, {bins}")
    weights = sum(p.numel() for p in module.model.parameters())
    trainer = prepared.trainer
    print(f"model: {weights:,} weights, {trainer.max_epochs} epochs on {trainer.strategy.root_device}; run: {run_dir}")
    for logger in loggers:
        if isinstance(logger, WandbLogger):
            print(f"Weights & Biases: {'offline, upload with `wandb sync`' if logger.experiment.offline else 'online'}")


def prepare_folder(run_dir: Path, config: DictConfig) -> None:
    """Make the run's folder and write its resolved config."""
    run_dir.mkdir(parents=True, exist_ok=True)
    write_whole(run_dir / "config.yaml", OmegaConf.to_yaml(config, resolve=True))


def make_loggers(config: DictConfig, run_dir: Path) -> list[Logger]:
    """`metrics.csv` always, Weights & Biases where the config asks for it."""
    loggers: list[Logger] = [CSVLog(run_dir)]
    if config.logger.wandb:
        plain: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # pyright: ignore[reportAssignmentType]
        settings = {key: value for key, value in plain["logger"].items() if key != "wandb"}
        loggers.append(wandb_logger(run_dir, plain, **settings))
    return loggers


def evaluate(
    run: Run | Ensemble, data: TrialDataModule, run_dir: Path, loggers: list[Logger], config: DictConfig
) -> dict[str, float]:
    """Predict every split, score it beside the baselines, write `scores.json` and the plots; returns the scores."""
    recording = data.data
    print(
        f"scoring: {run.config.predict.n_samples} posterior samples of every trial" + ", baselines" * config.training.baselines
    )
    label = "" if not sys.stderr.isatty() else "{}"
    predictions = {
        name: run.predict(trials, label=label.format(name))
        for name, trials in {"train": recording.train, "eval": recording.eval, **recording.extra}.items()
    }
    rates = {name: prediction.rates for name, prediction in predictions.items()}
    extra = {name: rates[name] for name in recording.extra}
    latents = (predictions[name].latents for name in ("train", "eval"))
    scores = score(recording, rates["train"], rates["eval"], extra, *latents)
    baselines = baseline_table(recording) if config.training.baselines else {}
    content = {**scores, "baselines": baselines, **provenance(run, data)}
    write_whole(run_dir / "scores.json", json.dumps(content, indent=2) + "\n")
    print_table(scores, baselines, recording.name, len(recording.eval))
    figures = draw_figures(recording, predictions, run_dir / "metrics.csv") if config.training.plots else {}
    save_figures(figures, run_dir / "plots")
    log_to_wandb(loggers, scores, baselines, run_dir / "plots", figures)
    return scores


def provenance(run: Run | Ensemble, data: TrialDataModule) -> dict[str, Any]:
    """What the scores were computed from."""
    return {
        "checkpoint": str(run.path),
        "predict": OmegaConf.to_container(run.config.predict, resolve=True),
        "data": {"name": data.data.name, "source": data.data.source, "eval_trials": len(data.data.eval)},
    }


def write_whole(path: Path, content: str) -> None:
    """Write a text file whole or not at all."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_text(content)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def print_table(scores: dict[str, float], baselines: dict[str, dict[str, float]], name: str, n_trials: int) -> None:
    """The score table on standard output, the model above its baselines, extra splits below."""
    splits = ["", *sorted({key.split("/")[0] for key in scores if "/" in key})]
    for split in splits:
        prefix = f"{split}/" if split else ""
        columns = [key for key in SCORE_NAMES if prefix + key in scores]
        table = Table(title=f"{name}: {split.replace('_', ' ') or f'{n_trials} evaluation trials'}", title_justify="left")
        table.add_column("")
        for key in columns:
            table.add_column(SCORE_NAMES[key], justify="right")
        for row, values in {"this model": scores, **baselines}.items():
            cells = [f"{values[prefix + key]:.4f}" if prefix + key in values else "–" for key in columns]
            table.add_row(row.replace("_", " "), *cells, style="bold" if row == "this model" else "")
        Console().print(table)


def save_figures(figures: dict[str, Figure], folder: Path) -> None:
    """One PNG per figure."""
    folder.mkdir(exist_ok=True)
    for name, figure in figures.items():
        figure.savefig(folder / f"{name}.png", dpi=150)


def log_to_wandb(
    loggers: list[Logger],
    scores: dict[str, float],
    baselines: dict[str, dict[str, float]],
    plots: Path,
    figures: dict[str, Figure],
) -> None:
    """Final scores, the table and the pictures, where Weights & Biases is on; then close the run."""
    for logger in loggers:
        if isinstance(logger, WandbLogger):
            run = logger.experiment
            run.summary.update({f"score/{key}": value for key, value in scores.items()})
            rows = [
                [model, key, value]
                for model, values in {"this model": scores, **baselines}.items()
                for key, value in values.items()
            ]
            logger.log_table("scores", columns=["model", "score", "value"], data=rows)
            for name in figures:
                logger.log_image(f"plots/{name}", [str(plots / f"{name}.png")])
            run.finish()
