"""Made-up recordings, written once per session."""

from pathlib import Path

import hydra
import pytest
from omegaconf import OmegaConf

from neuralsde.datamodules.nwb import NWBDataModule
from tests.helpers import nwb_files

CONFIGS = Path(__file__).parents[3] / "configs" / "data"


def datamodule(config: str, path: Path, **settings) -> NWBDataModule:
    """The datamodule of `configs/data/<config>.yaml` on the files at `path`, uncached unless asked."""
    settings = {"cache": False} | settings
    return hydra.utils.instantiate(OmegaConf.load(CONFIGS / f"{config}.yaml"), path=str(path), **settings)


@pytest.fixture(scope="session")
def pair(tmp_path_factory):
    """A function from the name of an NLB set to a folder with a made-up train and test file."""
    written = {}

    def folder(name: str) -> Path:
        if name not in written:
            written[name] = nwb_files.write_pair(tmp_path_factory.mktemp(name), name)
        return written[name]

    return folder
