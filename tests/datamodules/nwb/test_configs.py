"""The data configs: every setting is there to be overridden, and none is misspelt."""

from dataclasses import fields
from inspect import signature

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from neuralsde.datamodules.nwb import NWBDataModule
from neuralsde.datamodules.nwb.download import known_names
from neuralsde.datamodules.nwb.recipe import Recipe
from tests.datamodules.nwb.conftest import CONFIGS

NAMES = [*known_names(), "reach8", "plan8", "nwb"]
SETTINGS = {f.name for f in fields(Recipe)} | set(signature(NWBDataModule).parameters) - {"settings"}


@pytest.mark.parametrize("name", NAMES)
def test_every_setting_is_listed(name):
    config = OmegaConf.load(CONFIGS / f"{name}.yaml")
    assert set(config) == SETTINGS | {"_target_"}
    assert config.path == f"data/{name}"
    assert config.download == (name if name.startswith("nlb_") else None)
    if name.startswith("nlb_"):
        assert config.name == name.removeprefix("nlb_")
        assert (CONFIGS.parents[1] / "data" / name / "README.md").is_file()


def test_overrides_of_the_command_line():
    with initialize_config_dir(str(CONFIGS), version_base=None):
        config = compose(
            "nwb",
            overrides=["window_ms=[-200,600]", "trial_filter={result:[R,F]}", "behavior=hand_vel", "heldout_column=null"],
        )
    settings = {f.name: config[f.name] for f in fields(Recipe)}
    recipe = Recipe.from_settings(settings)
    assert recipe.window_ms == (-200, 600)
    assert recipe.trial_filter == {"result": ("R", "F")}
    assert recipe.heldout_column is None
    assert (recipe.n_bins, recipe.forward_bins, recipe.group_name) == (40, 10, "nwb")


@pytest.mark.parametrize(("bin_width_s", "name"), [(0.005, "mc_maze"), (0.02, "mc_maze_20"), (0.001, "mc_maze_1")])
def test_group_names(bin_width_s, name):
    assert Recipe("mc_maze", (-250, 450), bin_width_s=bin_width_s).group_name == name
