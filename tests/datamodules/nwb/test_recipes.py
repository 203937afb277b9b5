"""The recipes for the Neural Latents Benchmark train on files of its layout."""

import copy

import pytest

from neuralsde.training.build import instantiate_part
from tests.helpers.tiny import composed, light_training, shrink

BINS = {"mc_maze": (35, 10), "mc_rtt": (30, 10), "area2_bump": (30, 10), "dmfc_rsg": (75, 10)}  # of 20 ms, Pei et al. 2021
SESSIONS = ["mc_maze_large", "mc_maze_medium", "mc_maze_small"]  # of MC_Maze's layout
FAST = ("mc_rtt", "area2_bump")
RECIPES = [pytest.param(name, marks=[] if name in FAST else pytest.mark.slow) for name in (*BINS, *SESSIONS)]


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_trains_on_a_file_of_its_layout(pair, name):
    layout = name if name in BINS else "mc_maze"
    config = copy.deepcopy(composed(f"experiment=langevinflow/{name}", "data.bin_width_s=0.02", "run_dir=unused"))
    config.data.path, config.data.cache = str(pair(layout)), False
    shrink(config.model)
    data = instantiate_part(config, "data")
    data.setup()
    assert (data.spec.observed_bins, data.spec.forward_bins) == BINS[layout]
    assert data.data.name == f"{name}_20"
    weights = light_training(config, data).weights
    assert (weights / weights.min()).unique().tolist() == pytest.approx([1.0, 1.5, 4.0])  # held-in, forward, held-out entries
