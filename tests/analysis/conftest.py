"""Runs that were trained for two steps on made-up recordings: enough to be read, decoded and analysed."""

import copy
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from neuralsde.evaluation.load import Run
from tests.helpers.nwb_files import write_pair
from tests.helpers.tiny import light_config, light_data, light_training, tiny_simulated


def opened(*words: str) -> Run:
    """A run after two steps, its data in memory already."""
    config, data = copy.deepcopy(light_config(*words)), light_data(*words)
    config.model.dynamics.latent_size = 4
    run = Run(
        light_training(config, data).eval(), OmegaConf.create(OmegaConf.to_container(config, resolve=True)), Path("unused")
    )
    run.__dict__["datamodule"] = data
    return run


@pytest.fixture(scope="session")
def reaching(tmp_path_factory) -> Run:
    """16 + 8 reaches of two directions, with hand position and velocity in the file: LangevinFlow."""
    folder = write_pair(tmp_path_factory.mktemp("maze"), "mc_maze", n_train=24, n_val=10)
    data = ["data=nlb_mc_maze", f"data.path={folder}", "data.bin_width_s=0.05", "data.cache=false", "data.batch_size=8"]
    return opened(*data, "model=langevinflow")


@pytest.fixture(scope="session")
def wells() -> Run:
    """A latent SDE whose prior is of the Langevin type, which does not read the time."""
    return opened(*tiny_simulated("double_well"), "model=latent_sde", "model/likelihood=gaussian")
