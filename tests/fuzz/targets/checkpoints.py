"""Checkpoints: loaded, and as what another run begins with."""

from pathlib import Path

from omegaconf import OmegaConf

import neuralsde
from neuralsde.training.init_from import take_model
from tests.fuzz import checkpoints
from tests.fuzz.target import Target

STORED = Path(__file__).parents[2] / "data"


def seeds(folder: Path) -> list[Path]:
    return sorted(STORED.glob("*.ckpt"))


def without_execution(path: Path) -> None:
    assert not Path(checkpoints.SENTINEL).exists(), f"{path} ran what was in it"


def read(path: Path) -> None:
    try:
        neuralsde.load(path)
    finally:
        without_execution(path)


def begin_with(path: Path) -> None:
    try:
        take_model(OmegaConf.create({"init_from": str(path), "ckpt": None, "model": None}), path.parent)
    finally:
        without_execution(path)


TARGETS = [
    Target("checkpoint", ".ckpt", seeds, read, checkpoints.MUTATIONS, share=2.0),
    Target("init_from", ".ckpt", seeds, begin_with, checkpoints.MUTATIONS),
]
