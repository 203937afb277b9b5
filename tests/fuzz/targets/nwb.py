"""Recordings in NWB files, whole as users read them."""

from functools import partial
from pathlib import Path

from hydra.utils import instantiate
from omegaconf import OmegaConf

from neuralsde.cli import CONFIGS
from tests.fuzz import hdf5
from tests.fuzz.target import Target
from tests.helpers.nwb_files import VARIANTS, write_session

SIZES = {"n_train": 8, "n_val": 4, "n_test": 2, "n_heldin": 3, "n_heldout": 2}


def write_seed(folder: Path, name: str) -> list[Path]:
    """A small recording with one thing of each kind."""
    return [write_session(folder / "seed.nwb", VARIANTS[name](**SIZES)[0])]


def read(path: Path, name: str) -> None:
    config = OmegaConf.load(Path(CONFIGS) / "data" / f"nlb_{name}.yaml")
    instantiate(config, path=str(path), cache=False).setup()


TARGETS = [
    Target(f"nwb {name}", ".nwb", partial(write_seed, name=name), partial(read, name=name), hdf5.MUTATIONS, share=share)
    for name, share in (("mc_maze", 1.5), ("area2_bump", 0.7), ("dmfc_rsg", 0.7))
]
