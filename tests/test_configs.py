"""Every config composes, and every combination of parts trains on tiny data."""

from itertools import product
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from neuralsde.cli import CONFIGS
from neuralsde.datamodules.trials import DataSpec
from neuralsde.training.fit import build_module, fill_in_sizes
from neuralsde.workflow import train
from tests.helpers.tiny import tiny_config

ROOT = Path(CONFIGS)
SPEC = DataSpec(
    observed_dim=7, target_dim=10, observed_bins=6, forward_bins=2, bin_width_s=0.02, behavior_dim=2, n_conditions=3
)


def choices(group: str) -> list[str]:
    return sorted(str(path.relative_to(ROOT / group).with_suffix("")) for path in (ROOT / group).rglob("*.yaml"))


MODELS = [name for name in choices("model") if "/" not in name]
GROUPS = [
    (group, name)
    for group in ("objective", "optimizer", "schedule", "trainer", "training", "predict", "logger", "data", "experiment")
    for name in choices(group)
]


def composed(*overrides: str):
    with initialize_config_dir(CONFIGS, version_base="1.3"):
        return compose("train", overrides=["run_dir=unused", *overrides])


@pytest.mark.parametrize(("group", "name"), GROUPS, ids=lambda value: value)
def test_every_choice_builds_a_module(group, name):
    config = composed(f"{group}={name}")
    fill_in_sizes(config, SPEC)
    module = build_module(config, SPEC)
    assert OmegaConf.create(module.record["config"]).model == OmegaConf.to_container(config.model, resolve=True)


@pytest.mark.parametrize(
    ("encoder", "dynamics", "decoder"),
    list(product(choices("model/encoder"), choices("model/dynamics"), choices("model/decoder"))),
    ids=lambda value: value,
)
def test_every_combination_of_parts_trains(encoder, dynamics, decoder, tmp_path):
    parts = [f"model/encoder={encoder}", f"model/dynamics={dynamics}", f"model/decoder={decoder}"]
    small = ["model.encoder.hidden_size=8", *(["model.decoder.model_size=8"] if decoder == "transformer" else [])]
    score = train(tiny_config(tmp_path, *parts, *small, "training.baselines=false"))
    assert score > -5  # bits per spike of a barely trained model; NaN fails


@pytest.mark.parametrize("model", MODELS)
def test_every_model_trains_on_its_own(model, tmp_path):
    assert train(tiny_config(tmp_path, f"model={model}", "training.baselines=false", "trainer.max_epochs=1")) > -50


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
