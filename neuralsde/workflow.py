"""The one path from a config to a scored checkpoint: data, model, fit, score, plots."""

import copy
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
from lightning.pytorch.loggers import Logger, WandbLogger
from matplotlib.figure import Figure
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.table import Table

from neuralsde.analysis.dynamics import dynamics_of
from neuralsde.datamodules.batches import TrialDataModule, stack_targets
from neuralsde.datamodules.trials import TrialData
from neuralsde.errors import ConfigError
from neuralsde.evaluation.analysis_figures import dynamics_figures
from neuralsde.evaluation.baselines import baseline_table, times_of
from neuralsde.evaluation.calibration import PROBABILITY, Calibration, conformity, left_out
from neuralsde.evaluation.distribution import Sums, distribution_sums, trivial_sums
from neuralsde.evaluation.ensemble import Ensemble
from neuralsde.evaluation.figures import draw_figures
from neuralsde.evaluation.glossary import SCORE_NAMES
from neuralsde.evaluation.load import Run, load
from neuralsde.evaluation.predict import Prediction, Sampling
from neuralsde.evaluation.progress_pictures import ProgressPictures
from neuralsde.evaluation.report import write_report, write_trajectories
from neuralsde.evaluation.report.score_table import MODEL
from neuralsde.evaluation.scores import score
from neuralsde.files import remove_leftovers, write_picture, write_whole
from neuralsde.training.back_off import fit_with_back_off
from neuralsde.training.build import instantiate_part
from neuralsde.training.checkpoint import add_to_record, checkpoint_to_resume
from neuralsde.training.csv_log import CSVLog
from neuralsde.training.fit import Fit, fill_in_sizes, prepare_fit
from neuralsde.training.fit_check import check_fit
from neuralsde.training.init_from import InitialModel, take_model
from neuralsde.training.launch import others_started, report_ready
from neuralsde.training.processes import agreed
from neuralsde.training.run_record import RunRecord
from neuralsde.training.settings import check_settings, check_switches
from neuralsde.training.targets import check_targets, refuse_own_trust
from neuralsde.training.wandb_log import log_checkpoints, wandb_logger

MOST_CHANNELS = 8  # in the terminal's table
WEIGHTS = ("best", "last")  # that a run keeps
CALIBRATION_SAMPLES, AT_A_TIME = 400, 50  # of which the ends of an interval are told well enough; of few trials each
DYNAMICS_SEEDS = 50  # visited states from which fixed points are looked for, for a run's own pictures


def train(config: DictConfig, allow_targets: Sequence[str] = ()) -> float:
    """Train, score and draw what `config` describes; returns the model's main score.

    Args:
        config: composed, or that of a run to go on with.
        allow_targets: further packages whose classes the config, and checkpoints that it names, may build; what the config
            itself says of them counts for nothing.

    Raises:
        NeuralSDEError: anything a user can mend, in one sentence.
    """
    started = time.monotonic()
    refuse_own_trust(config, allow_targets)
    check_settings(config)
    Sampling(config.predict.n_samples, config.predict.average, config.predict.get("interval"))  # refuses what scoring would
    config.run_dir = agreed(config.run_dir, config.trainer.accelerator)
    run_dir = Path(config.run_dir)
    initial = take_model(config, run_dir, allow_targets)
    check_targets(config, allow_targets)
    check_switches(config)
    L.seed_everything(config.seed, verbose=False)
    data = instantiate_part(config, "data")
    if initial is not None:
        initial.refuse_other_kind(config.data.get("name") or type(data).__name__, data.kind)
    check_fit(config, data)
    fill_in_sizes(config, data.spec)
    prepared = prepare_fit(config, data, run_dir, initial)
    refuse_back_off_of_several(config, prepared)
    if not prepared.leads:
        return follow(prepared)
    prepare_folder(run_dir, config)
    record = RunRecord(run_dir, prepared, config.seed)
    loggers = make_loggers(config, run_dir)
    announce(prepared, data, run_dir, loggers)
    again = partial(prepare_again, config, data, run_dir, initial)
    with others_started(prepared.trainer, run_dir, allow_targets):
        fit_with_back_off(config, prepared, again, record, loggers, partial(progress_pictures, config, data, loggers))
    checkpoint = run_dir / "checkpoints" / f"{config.predict.weights}.ckpt"
    run = calibrated(load(checkpoint, allow_targets=tuple(allow_targets)), data, tuple(allow_targets))
    scores = evaluate(run, data, run_dir, loggers, config)
    record.end()
    report = write_report(run_dir)
    print(f"{run_dir}: checkpoint {checkpoint.relative_to(run_dir)}, scores.json, metrics.csv, plots/, {report.name}")
    print(f"Open it in Python with neuralsde.load({str(run_dir)!r}). Took {time.monotonic() - started:.0f} s.")
    return next((scores[key] for key in SCORE_NAMES if key in scores), float("nan"))


def refuse_back_off_of_several(config: DictConfig, prepared: Fit) -> None:
    """Raises:
    ConfigError: the run would go back by itself, and several processes train it, which end where one of them diverges.
    """
    if config.training.get("back_off") is not None and prepared.trainer.world_size > 1:
        raise ConfigError(
            f"training.back_off goes back in one process, but {prepared.trainer.world_size} train here: set it to null, or "
            "trainer.devices=1."
        )


def follow(prepared: Fit) -> float:
    """Train along with the process that leads, which writes, speaks and scores."""
    report_ready()
    prepared.run([])
    return float("nan")


def prepare_again(config: DictConfig, data: TrialDataModule, run_dir: Path, initial: InitialModel | None) -> Fit:
    """The same run from its last good checkpoint, or from where it began if there is none."""
    L.seed_everything(config.seed, verbose=False)
    onward: DictConfig = copy.deepcopy(config)
    onward.ckpt = "auto"
    if checkpoint_to_resume(onward, run_dir) is None and config.ckpt not in (None, "last"):
        onward.ckpt = config.ckpt
    return prepare_fit(onward, data, run_dir, initial)


def announce(prepared: Fit, data: TrialDataModule, run_dir: Path, loggers: list[Logger]) -> None:
    """Say what is about to happen, before the first epoch."""
    spec, module = data.spec, prepared.module
    channels = "units" if spec.kind == "counts" else "channels"
    if spec.predicts_inputs:
        units = f"{spec.observed_dim} + {spec.target_dim - spec.observed_dim} held-out {channels}"
    else:
        units = f"{spec.observed_dim} {channels} seen, {spec.target_dim} to predict"
    width = f"{spec.bin_width_s * 1000:g} ms" if spec.longest_s is None else "irregular width"
    bins, called = f"{spec.observed_bins} + {spec.forward_bins} forward bins of {width}", data.data.called
    if called == "series":
        bins = f"up to {spec.observed_bins} rows" + f" and {spec.forward_bins} ahead" * (spec.forward_bins > 0)
    print(f"{data.data.name}: {len(data.train_set)} training and {len(data.data.eval)} evaluation {called}, {units}, {bins}")
    weights = sum(p.numel() for p in module.model.parameters())
    trainer = prepared.trainer
    print(f"model: {weights:,} weights, {trainer.max_epochs} epochs on {trainer.strategy.root_device}; run: {run_dir}")
    if prepared.resume is not None:
        print(f"It goes on from {prepared.resume}, after {prepared.epochs_done} epochs.")
    if prepared.initial is not None:
        print(f"It begins with the model of {prepared.initial}.")
    for logger in loggers:
        if isinstance(logger, WandbLogger):
            print(f"Weights & Biases: {'offline, upload with `wandb sync`' if logger.experiment.offline else 'online'}")


def prepare_folder(run_dir: Path, config: DictConfig) -> None:
    """Make the run's folder, without what a killed start left half-written, and write its resolved config."""
    run_dir.mkdir(parents=True, exist_ok=True)
    remove_leftovers(run_dir)
    write_whole(run_dir / "config.yaml", OmegaConf.to_yaml(config, resolve=True))


def make_loggers(config: DictConfig, run_dir: Path) -> list[Logger]:
    """`metrics.csv` always, Weights & Biases where the config asks for it."""
    loggers: list[Logger] = [CSVLog(run_dir)]
    if config.logger.wandb:
        plain: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # pyright: ignore[reportAssignmentType]
        settings = {key: plain["logger"][key] for key in ("project", "entity", "group", "tags")}
        loggers.append(wandb_logger(run_dir, plain, **settings))
    return loggers


def progress_pictures(config: DictConfig, data: TrialDataModule, loggers: list[Logger]) -> list[ProgressPictures]:
    """What draws pictures while training goes on, for each logger that shows them."""
    settings = config.logger
    if not settings.wandb or settings.get("pictures_every") is None:
        return []
    shown_by = [logger for logger in loggers if isinstance(logger, WandbLogger)]
    return [ProgressPictures(data.data, logger, settings.pictures_every, settings.pictures_share) for logger in shown_by]


def calibrated(run: Run, data: TrialDataModule, allow_targets: tuple[str, ...] = ()) -> Run:
    """The run with intervals as wide as its validation trials ask for, which its checkpoint holds from now on; as it is where
    the data ask for none. The folder's other weights are calibrated too, each by what they say themselves."""
    if not data.calibrate:
        return run
    if data.phase != "val":
        print(f"Intervals are not calibrated, as data.phase is {data.phase}: it takes validation series.")
        return run
    others = [path for name in WEIGHTS if (path := run.path.with_name(f"{name}.ckpt")) != run.path and path.is_file()]
    for each in (*(load(path, allow_targets=allow_targets) for path in others), run):
        scores = scores_of_intervals(each, data)
        found = Calibration.fit(scores, rounds=len(scores) // len(data.data.eval))
        add_to_record(each.path, "calibration", found.plain())
    print(f"calibrated: {found.told()}")
    return replace(run, calibration=found)


def scores_of_intervals(run: Run, data: TrialDataModule) -> np.ndarray:
    """How much wider intervals of the model itself have to be to hold the calibration trials' values, (trial, bin, channel),
    the evaluation trials first; see `conformity`."""
    bare = replace(run, calibration=None)
    settings = {"interval": PROBABILITY, "n_samples": CALIBRATION_SAMPLES, "sample_batch": AT_A_TIME}
    parts = [
        conformity(bare.predict(trials, average="rate", **settings), trials.in_units(stack_targets(trials, data.spec)))
        for trials in data.calibration_trials()
    ]
    return np.concatenate(parts)


def distributions(run: Run, data: TrialDataModule, n_samples: int, seed: int) -> tuple[Sums | None, Sums | None]:
    """Scores of what the run says of the evaluation trials, and of what it would say without its calibration, where it has one.
    Of trials that it was calibrated on each is told by the factor of the others, so that its coverage says something."""
    trials, settings = data.data.eval, (n_samples, seed)
    before = distribution_sums(run.module, trials, *settings)
    if run.calibration is None or before is None:
        return before, None
    factor = run.calibration.factor
    if data.phase == "val":
        scores = scores_of_intervals(run, data)
        factor = left_out(scores, run.calibration.probability, len(scores) // len(trials))
    return distribution_sums(run.module, trials, *settings, factor=factor), before


def evaluate(
    run: Run | Ensemble, data: TrialDataModule, run_dir: Path, loggers: list[Logger], config: DictConfig, phase: str = ""
) -> dict[str, float]:
    """Predict every split, score it beside the baselines, write `scores.json` and the plots; returns the scores.

    With a `phase`, of other trials than those that the run's own scores are of, it is `scores_PHASE.json` and `plots_PHASE`.
    """
    ending = f"_{phase}" if phase else ""
    recording = data.data
    print(
        f"scoring: {run.config.predict.n_samples} posterior samples of all {recording.called}"
        + ", baselines" * config.training.baselines
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
    sums = before = None
    if isinstance(run, Run) and not recording.spec.predicts_inputs:
        sums, before = distributions(run, data, config.predict.n_samples, config.predict.seed)
    scores |= {} if sums is None else sums.pooled(recording.deviations)
    baselines = {} if before is None else {"before calibration": before.pooled(recording.deviations)}
    baselines |= baseline_table(recording) if config.training.baselines else {}
    channels = {} if sums is None else channel_scores(sums, recording, config.training.baselines)
    content = {**scores, "baselines": baselines, "channels": channels, **provenance(run, data)}
    write_whole(run_dir / f"scores{ending}.json", json.dumps(content, indent=2) + "\n")
    name, trials = (
        f"{recording.name}, {phase}" if phase else recording.name,
        f"{len(recording.eval)} evaluation {recording.called}",
    )
    print_table(scores, baselines, name, trials)
    print_channels(channels)
    figures = draw_figures(recording, predictions, run_dir / "metrics.csv") if config.training.plots else {}
    if config.training.plots and isinstance(run, Run):
        figures |= dynamics_pictures(run, predictions["eval"])
    save_figures(figures, run_dir / f"plots{ending}")
    if config.training.plots and not phase:
        save_trajectories(run_dir, data, predictions["eval"])
    log_to_wandb(loggers, scores, baselines, run_dir, figures, config)
    return scores


def channel_scores(sums: Sums, data: TrialData, baselines: bool) -> dict[str, dict[str, dict[str, float]]]:
    """By channel, in its own unit: scores of this model and, where asked for, of each trivial predictor; none of one alone."""
    names = data.target_names or tuple(map(str, range(len(sums.known))))
    if len(names) < 2:
        return {}
    trivial = {key: trivial_sums(data.eval, data.spec, said) for key, said in data.trivial.items()} if baselines else {}
    rows = {MODEL: sums, **trivial}
    told = {row: found.by_channel(names) for row, found in rows.items()}
    return {name: {row: found[name] for row, found in told.items()} for name in told[MODEL]}


def dynamics_pictures(run: Run, prediction: Prediction) -> dict[str, Figure]:
    """Flow field, eigenvalues and potential of the prior, where it has a drift that does not change with time."""
    try:
        found = dynamics_of(run.module.model.dynamics, prediction, at_s=None, seeds=DYNAMICS_SEEDS, seed=0)
    except ConfigError as reason:
        print(f"No picture of the flow: {reason}")
        return {}
    return dynamics_figures(found)


def provenance(run: Run | Ensemble, data: TrialDataModule) -> dict[str, Any]:
    """What the scores were computed from."""
    return {
        "checkpoint": str(run.path),
        "predict": OmegaConf.to_container(run.config.predict, resolve=True),
        **({"intervals": run.calibration.told()} if isinstance(run, Run) and run.calibration is not None else {}),
        "data": {
            "name": data.data.name,
            "source": data.data.source,
            "eval_trials": len(data.data.eval),
            "called": data.data.called,
        },
    }


def print_table(scores: dict[str, float], baselines: dict[str, dict[str, float]], name: str, trials: str) -> None:
    """The score table on standard output, the model above its baselines, extra splits below."""
    if not scores:
        print(
            f"{name}: nothing of the {trials} can be scored, since the file withholds what scores compare "
            "with (held-out counts, behaviour, conditions); `neuralsde submit` writes their predictions."
        )
        return
    splits = ["", *sorted({key.split("/")[0] for key in scores if "/" in key})]
    for split in splits:
        prefix = f"{split}/" if split else ""
        columns = [key for key in SCORE_NAMES if prefix + key in scores]
        table = Table(title=f"{name}: {split.replace('_', ' ') or trials}", title_justify="left")
        table.add_column("")
        for key in columns:
            table.add_column(SCORE_NAMES[key], justify="right")
        for row, values in {MODEL: scores, **baselines}.items():
            cells = [f"{values[prefix + key]:.4f}" if prefix + key in values else "–" for key in columns]
            table.add_row(row.replace("_", " "), *cells, style="bold" if row == MODEL else "")
        Console().print(table)


def print_channels(channels: dict[str, dict[str, dict[str, float]]]) -> None:
    """Scores by channel on standard output, this model's beside those of trivial predictors; of the first channels alone."""
    if not channels:
        return
    shown, keys = list(channels)[:MOST_CHANNELS], ("rmse", "crps", "coverage_90")
    further = f" ({len(shown)} of {len(channels)}; scores.json has all)" if len(shown) < len(channels) else ""
    table = Table(title=f"by channel, in its own unit{further}", title_justify="left")
    for title in ("channel", ""):
        table.add_column(title)
    for key in keys:
        table.add_column(SCORE_NAMES[key], justify="right")
    for name in shown:
        for row, values in channels[name].items():
            first = name if row == MODEL else ""
            cells = [f"{values[key]:.4g}" for key in keys]
            table.add_row(first, row.replace("_", " "), *cells, style="bold" if row == MODEL else "")
    Console().print(table)


def save_figures(figures: dict[str, Figure], folder: Path) -> None:
    """One PNG per figure."""
    folder.mkdir(exist_ok=True)
    for name, figure in figures.items():
        write_picture(folder / f"{name}.png", figure)


def save_trajectories(run_dir: Path, data: TrialDataModule, prediction: Prediction) -> None:
    """Latent paths of the evaluation trials, for the report."""
    trials, spec = data.data.eval, data.spec
    times = times_of(trials, spec).mean(0)
    write_trajectories(run_dir, prediction.latents, trials.condition, data.data.condition_names, times)


def log_to_wandb(
    loggers: list[Logger],
    scores: dict[str, float],
    baselines: dict[str, dict[str, float]],
    run_dir: Path,
    figures: dict[str, Figure],
    config: DictConfig,
) -> None:
    """Final scores, the table, the pictures and the checkpoints, where Weights & Biases is on; then close the run."""
    for logger in loggers:
        if isinstance(logger, WandbLogger):
            run = logger.experiment
            run.summary.update({f"score/{key}": value for key, value in scores.items()})
            rows = [
                [model, key, value] for model, values in {MODEL: scores, **baselines}.items() for key, value in values.items()
            ]
            logger.log_table("scores", columns=["model", "score", "value"], data=rows)
            for name in figures:
                logger.log_image(f"plots/{name}", [str(run_dir / "plots" / f"{name}.png")])
            if config.logger.checkpoints:
                log_checkpoints(run, run_dir / "checkpoints", scores, config.predict.weights)
            run.finish()
