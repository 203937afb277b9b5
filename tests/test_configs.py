"""Every config composes, and every combination of parts trains on tiny data, or says which two parts do not fit."""

import copy
import dataclasses
import functools
import re
from itertools import product, zip_longest
from pathlib import Path

import numpy as np
import pytest
from hydra.utils import get_class
from omegaconf import DictConfig, OmegaConf

from neuralsde.cli import CONFIGS
from neuralsde.datamodules.trials import DataSpec
from neuralsde.errors import ConfigError
from neuralsde.evaluation.predict import predict
from neuralsde.training.fit import build_module, fill_in_sizes
from neuralsde.workflow import train
from tests.helpers.tiny import (
    TINY_LORENZ,
    composed,
    light_config,
    light_data,
    light_training,
    shrink,
    tiny_config,
    tiny_simulated,
)

ROOT = Path(CONFIGS)
SPEC = DataSpec(
    observed_dim=7, target_dim=10, observed_bins=6, forward_bins=2, bin_width_s=0.02, behavior_dim=2, n_conditions=3
)
CLASSES = dataclasses.replace(SPEC, target_dim=1, kind="category", n_classes=3, predicts_inputs=False)
FRAMES = dataclasses.replace(SPEC, observed_dim=256, target_dim=256, kind="real")
TINY_VIDEO = [
    "data=moving_digits",
    "data.n_train=8",
    "data.n_eval=4",
    "data.observed_bins=6",
    "data.forward_bins=2",
    "data.batch_size=4",
    "data.frame_s=0.02",  # the released recursion damps by the bin, and is meant for 20 ms
]


def choices(group: str) -> list[str]:
    return sorted(str(path.relative_to(ROOT / group).with_suffix("")) for path in (ROOT / group).rglob("*.yaml"))


MODELS = [name for name in choices("model") if "/" not in name]
ENCODERS, DECODERS = ([name for name in choices(f"model/{part}") if name != "video"] for part in ("encoder", "decoder"))
DYNAMICS, LIKELIHOODS = choices("model/dynamics"), choices("model/likelihood")
ALIKE = {"neural_lnsde", "neural_gsde", "published_lsde", "published_gsde"}  # to encoders and decoders, as their siblings
FOR_SERIES = {
    "control_path", "convolution", "path_gru", "rocket", "smoothing", "summary", "gru_decay", "neural_lsde", "published_lnsde",
    "neural_cde", "none", "pooled", "published_classifier", "path_grid", "gaussian_states", "mtan",
}  # fmt: skip
FOR_VALUES = {"neural_lsde", "neural_lnsde", "neural_gsde", "neural_cde", "gru_d", "latent_ode"}  # models of real values
UNLIKE = [name for name in DYNAMICS if name not in ALIKE]
ARRAYS = {"arrays", "stevenson", "head_direction", "miller_chewie_1003", "miller_chewie_1219", "miller_mihi_0303", "miller"}
SERIES = {"csv", "mujoco", "physionet2012", "sepsis2019", "speech_commands", "ucr"}
FILES = {"lfads_lorenz", "nwb", "plan8", "reach8", "trial_file"} | ARRAYS | SERIES
RECORDED = FILES | {n for n in choices("data") if n.startswith("nlb_")}
GENERATED = [name for name in choices("data") if "/" not in name and name not in RECORDED]
FREE = [
    [f"{group}={name}" for name in choices(group)]
    for group in ("objective", "optimizer", "schedule", "trainer", "training", "predict", "logger")
]  # which go with each other, so that one composition has a choice of each
CHOICES = [[word for word in words if word] for words in zip_longest(*FREE)] + [
    [f"{group}={name}"]
    for group in ("data", "experiment", "search")
    for name in choices(group)
    if (group, name) != ("search", "base")  # what all searches share
]
OWN_TIMES = r"has times of its own, but model\.decoder .*: choose model/decoder=mtan"
HOLDS = {
    "gaussian": "real values",
    "contaminated": "real values",
    "heteroscedastic": "real values",
    "poisson": "counts",
    "negative_binomial": "counts",
    "bernoulli": "binary values",
    "categorical": "class indices",
}  # what a likelihood describes, and what an observation of simulated data of that name gives


@pytest.mark.parametrize("words", CHOICES, ids=" ".join)
def test_every_choice_builds_a_module(words):
    config = composed("run_dir=unused", *words)
    for key in OmegaConf.missing_keys(config.data):
        OmegaConf.update(config, key, "given by the user")
    spec = FRAMES if config.model.decoder._target_.endswith("VideoDecoder") else SPEC
    if config.model.likelihood._target_.endswith("Categorical"):
        weights = config.model.likelihood.class_weights
        spec = CLASSES if weights is None else dataclasses.replace(CLASSES, n_classes=len(weights))
    fill_in_sizes(config, spec)
    module = build_module(config, spec)
    assert OmegaConf.create(module.record["config"]).model == OmegaConf.to_container(config.model, resolve=True)


@functools.cache
def part(group: str, name: str) -> DictConfig:
    """One part's config with small layers, composed alone."""
    config = composed(name=f"model/{group}/{name}").model[group]
    shrink(config)
    return config


def mixed(config: DictConfig, **parts: str) -> DictConfig:
    """`config` with other parts of the model, without composing it anew."""
    config = copy.deepcopy(config)
    for group, name in parts.items():
        config.model[group] = part(group, name)
    return config


def some_of(names: list[str], fast: set[str], *before) -> list:
    """All names, after values of other arguments; those that are not `fast` in the slow lane: each of them trains without a
    Trainer in the fast one."""
    return [pytest.param(*before, name, marks=[] if name in fast else pytest.mark.slow) for name in names]


def trains_and_predicts(config: DictConfig, words: list[str]) -> None:
    data = light_data(*words)
    module, spec = light_training(config, data), data.spec
    rates = predict(module, data.data.eval, n_samples=2).rates
    assert rates.shape == (len(data.data.eval), spec.total_bins, spec.target_dim * max(spec.n_classes, 1))
    assert np.isfinite(rates).all()


def pairs_first(encoders: list[str], dynamics: list[str], decoders: list[str]) -> list:
    """Every combination; those that a Latin square picks, among which every two parts meet, in the fast lane. Parts for series
    with gaps meet few others there."""
    general = [[name for name in names if name not in FOR_SERIES] for names in (encoders, dynamics, decoders)]
    square = {
        (encoder, dynamic, general[2][(i + j) % len(general[2])])
        for (i, encoder), (j, dynamic) in product(enumerate(general[0]), enumerate(general[1]))
    }
    fast = (
        square
        | set(product(["convolution", "path_gru", "rocket", "gru"], ["langevin_type", "neural_lsde"], ["mlp", "pooled"]))
        | {("control_path", "published_lnsde", "published_classifier"), ("smoothing", "neural_lsde", "mlp")}
        | {("summary", "neural_lsde", "pooled")}
        | {("gru_decay", "none", "mlp"), ("control_path", "neural_cde", "mlp"), ("gru", "langevin_type", "mtan")}
        | {("path_grid", "gaussian_states", "mtan"), ("path_grid", "langevin_type", "mtan"), ("path_grid", "ode", "mlp")}
    )
    return [pytest.param(*c, marks=[] if c in fast else pytest.mark.slow) for c in product(encoders, dynamics, decoders)]


def test_every_two_parts_meet_in_the_fast_lane():
    fast = [case.values for case in pairs_first(ENCODERS, UNLIKE, DECODERS) if not case.marks]
    groups = [set(names) - FOR_SERIES for names in (ENCODERS, UNLIKE, DECODERS)]
    for first, second in ((0, 1), (0, 2), (1, 2)):
        assert {(names[first], names[second]) for names in fast} >= set(product(groups[first], groups[second]))
    assert {name for names in fast for name in names} >= FOR_SERIES


@pytest.mark.parametrize(("encoder", "dynamics", "decoder"), pairs_first(ENCODERS, UNLIKE, DECODERS), ids=lambda value: value)
def test_every_combination_of_parts_trains_on_counts(encoder, dynamics, decoder):
    parts = {"encoder": encoder, "dynamics": dynamics, "decoder": decoder}
    config = mixed(light_config(*TINY_LORENZ, "model=latent_sde"), **parts)
    if dynamics == "released_langevin":  # its state is the context, here of 75, 19, or a multiple of 4
        config.model.dynamics.potential_rows = {"smoothing": 5, "path_grid": 1}.get(encoder, 4)
    if encoder == "path_grid" and decoder != "mtan":
        with pytest.raises(ConfigError, match=OWN_TIMES):
            light_training(config, light_data(*TINY_LORENZ))
        return
    if get_class(config.model.dynamics._target_).wants_evidence:
        with pytest.raises(ConfigError, match=r"choose model/decoder=linear .* model/likelihood=gaussian"):
            light_training(config, light_data(*TINY_LORENZ))
        return
    trains_and_predicts(config, TINY_LORENZ)


SOME_FOR_VIDEO = {"langevin_type", "linear_gaussian", "ode", "released_langevin", "none"}


@pytest.mark.parametrize(
    ("encoder", "dynamics", "decoder"),
    [
        *(
            pytest.param("video", name, "video", marks=[] if name in SOME_FOR_VIDEO else pytest.mark.slow)
            for name in DYNAMICS  # which see a context and a state, whatever they are of
        ),
        *(("video", "langevin_type", name) for name in DECODERS),
        *((name, "langevin_type", "video") for name in ENCODERS),
    ],
    ids=lambda value: value,
)
def test_parts_for_video_train_with_all_others(encoder, dynamics, decoder):
    parts = {"encoder": encoder, "dynamics": dynamics, "decoder": decoder}
    config = mixed(light_config(*TINY_VIDEO, "model=latent_sde", "model/likelihood=gaussian"), **parts)
    config.model.likelihood.readout = "identity" if decoder == "video" else "linear"
    if encoder == "path_grid":
        with pytest.raises(ConfigError, match=OWN_TIMES):
            light_training(config, light_data(*TINY_VIDEO))
        return
    if get_class(config.model.dynamics._target_).wants_evidence:
        with pytest.raises(ConfigError, match=r"choose model/decoder=linear .* and an encoder without content"):
            light_training(config, light_data(*TINY_VIDEO))
        return
    trains_and_predicts(config, TINY_VIDEO)


@pytest.mark.parametrize("part", ["encoder", "decoder"])
def test_parts_for_video_refuse_what_is_no_frame(part):
    config = mixed(light_config(*TINY_LORENZ, "model=latent_sde"), **{part: "video"})
    with pytest.raises(ConfigError, match=rf"model\.{part} Video.* is for square frames .*: choose data=moving_digits"):
        light_training(config, light_data(*TINY_LORENZ))


def fitting_first(datasets: list[str]) -> list:
    """Every set of data with every likelihood; refusals but those of one set of each kind in the slow lane."""
    cases, kinds = [], set()
    for data in sorted(datasets, key="chaos".__eq__):  # which is not always there
        kind = kind_of(data)
        cases += [
            pytest.param(data, name, marks=[] if HOLDS[name] == kind or kind not in kinds else pytest.mark.slow)
            for name in LIKELIHOODS
        ]
        kinds.add(kind)
    return cases


def kind_of(data: str) -> str:
    """What simulated data hold."""
    if data in ("lorenz", "moving_digits"):
        return {"lorenz": "counts", "moving_digits": "real values"}[data]
    return HOLDS[OmegaConf.load(ROOT / "data" / f"{data}.yaml").defaults[0].observation.removesuffix("_precise")]


@pytest.mark.parametrize(("data", "likelihood"), fitting_first(GENERATED), ids=lambda value: value)
def test_every_likelihood_trains_on_the_data_that_it_describes(data, likelihood):
    if data == "chaos":
        pytest.importorskip("dysts", reason="data=chaos needs the package dysts")
    words = {"lorenz": TINY_LORENZ, "moving_digits": TINY_VIDEO}.get(data) or tiny_simulated(data)
    config = mixed(light_config(*words, "model=latent_sde"), likelihood=likelihood)
    found = kind_of(data)
    if HOLDS[likelihood] == found:
        trains_and_predicts(config, words)
        return
    fitting = " or ".join(f"model/likelihood={name}" for name in LIKELIHOODS if HOLDS[name] == found)
    sentence = f"describes {HOLDS[likelihood]}, but data .* hold {found}: choose {fitting}\\."
    with pytest.raises(ConfigError, match=sentence):
        light_training(config, light_data(*words))


SOME_DYNAMICS = {"langevin_type", "underdamped_langevin"}


@pytest.mark.parametrize(
    ("estimator", "dynamics"),
    [
        *(("analytic", name) for name in DYNAMICS),  # tests/inference has all estimators of each process
        *some_of(DYNAMICS, SOME_DYNAMICS, "sampled"),
        *some_of(DYNAMICS, SOME_DYNAMICS, "landing"),
    ],
)
def test_every_dynamics_trains_on_values_at_random_times_some_of_them_missing(dynamics, estimator):
    words = [*tiny_simulated("stochastic_lorenz"), "data.irregular=true", "data.train_drop=0.3", "data.eval_drop=0.3"]
    samples = 3 if estimator == "sampled" else 1
    objective = [f"objective.estimator={estimator}", f"objective.samples={samples}"]
    config = mixed(light_config(*words, *objective, "model=latent_sde", "model/likelihood=gaussian"), dynamics=dynamics)
    if estimator in {e.value for e in get_class(config.model.dynamics._target_).estimators}:
        trains_and_predicts(config, words)
        return
    with pytest.raises(ConfigError, match=r"estimates its divergence as analytic alone: set objective\.samples=1"):
        light_training(config, light_data(*words))


@pytest.mark.parametrize("dynamics", DYNAMICS)
def test_every_dynamics_is_driven_by_fractional_noise_or_says_why_not(dynamics):
    words = [*tiny_simulated("stochastic_lorenz"), "data.irregular=true", "data.train_drop=0.3", "data.eval_drop=0.3"]
    config = light_config(*words, "model=latent_sde", "model/noise=fractional", "model/likelihood=gaussian")
    config = mixed(config, dynamics=dynamics)
    if dynamics in ("ode", "released_langevin", "neural_cde", "none"):
        with pytest.raises(ConfigError, match=r"is not driven by a noise of choice: set model/noise=brownian"):
            light_training(config, light_data(*words))
        return
    if dynamics in ("published_lnsde", "published_gsde", "gaussian_states"):
        with pytest.raises(ConfigError, match="EulerMaruyama takes the Itô integral, which FractionalBrownian has no limit of"):
            light_training(config, light_data(*words))
        return
    trains_and_predicts(config, words)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ["model/likelihood=gaussian"],
            "Gaussian describes real values, but data mc_maze hold counts: choose model/likelihood=",
        ),
        (
            ["model/dynamics=released_langevin", "objective.samples=5", "objective.estimator=sampled"],
            "objective.samples=5 needs objective.estimator=sampled, but model.dynamics ReleasedLangevin",
        ),
    ],
    ids=["likelihood", "estimator"],
)
def test_parts_that_do_not_fit_are_refused_before_the_recording_is_looked_for(words, sentence, tmp_path):
    with pytest.raises(ConfigError, match=re.escape(sentence)):
        train(tiny_config(tmp_path / "run", "data=nlb_mc_maze", f"data.path={tmp_path / 'absent'}", *words))
    assert not (tmp_path / "run").exists()


def test_a_recording_without_a_path_asks_for_it(tmp_path):
    with pytest.raises(ConfigError, match=r"data\.path is not given; add data\.path=… to the command line"):
        train(tiny_config(tmp_path / "run", "data=arrays"))
    assert not (tmp_path / "run").exists()


def test_logarithms_are_averaged_of_counts_alone(tmp_path):
    words = [*tiny_simulated("double_well"), "model/likelihood=gaussian", "predict.average=log_rate"]
    with pytest.raises(ConfigError, match=r"but data double_well hold real values: set predict\.average=rate"):
        train(tiny_config(tmp_path, *words))


@pytest.mark.parametrize("model", some_of(MODELS, {"langevinflow", "latent_sde", "neural_lsde"}))
def test_every_model_trains_and_scores_on_its_own(model, tmp_path):
    of_values = tiny_simulated("stochastic_lorenz") if model in FOR_VALUES else []
    assert train(tiny_config(tmp_path, *of_values, f"model={model}", "training.baselines=false", "trainer.max_epochs=1")) > -50


@pytest.mark.parametrize("dynamics", some_of(DYNAMICS, SOME_DYNAMICS))
def test_every_dynamics_trains_and_scores_on_its_own(dynamics, tmp_path):
    words = [
        *tiny_simulated("stochastic_lorenz"),
        "model=latent_sde",
        "model/likelihood=gaussian",
        f"model/dynamics={dynamics}",
    ]
    worst = -1000 if dynamics.startswith("published_") else -50  # the published equations step over the raw times
    assert train(tiny_config(tmp_path, *words, "training.baselines=false", "trainer.max_epochs=1")) > worst


@pytest.mark.parametrize("experiment", choices("experiment"))
def test_every_experiment_says_where_its_values_come_from(experiment):
    lines = (ROOT / "experiment" / f"{experiment}.yaml").read_text().splitlines()
    settings = ("  ", "optimizer", "data", "trainer")
    values = [line for line in lines if line.startswith(settings) and ":" in line and "override" not in line]
    assert values
    for line in values:
        assert "#" in line, f"{experiment}: {line!r} states no source"


def test_sample_validation_logs_the_entries_set_aside(tmp_path):
    aside = "training.sample_validation={_target_: neuralsde.inference.SampleValidation, share: 0.2}"
    train(tiny_config(tmp_path, aside, "training.baselines=false"))
    header = (tmp_path / "metrics.csv").read_text().splitlines()[0]
    assert "train/sample_validation_nll" in header


@pytest.mark.gpu
@pytest.mark.parametrize("trainer", ["gpu", "gpu_bf16"])
def test_training_on_a_gpu_scores_like_the_cpu(trainer, tmp_path):
    import torch

    if not torch.cuda.is_available():
        pytest.skip("no CUDA device here")
    common = ["training.baselines=false", "trainer.max_epochs=8"]
    cpu = train(tiny_config(tmp_path / "cpu", *common))
    gpu = train(tiny_config(tmp_path / "gpu", *common, f"trainer={trainer}", "trainer.max_epochs=8"))
    assert gpu == pytest.approx(cpu, abs=0.1)


@pytest.mark.parametrize("process", ["none", "published_gsde"])
def test_states_are_inferred_along_the_process_that_is_chosen(process):
    chosen = f"model/dynamics@model.dynamics.process={process}"
    found = composed("experiment=stable_sde_paper/physionet2012", "data.reader.path=x", chosen).model.dynamics.process
    assert found._target_ == composed(f"model/dynamics={process}").model.dynamics._target_
    assert found.latent_size == 64
