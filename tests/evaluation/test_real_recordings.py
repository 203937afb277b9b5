"""Baselines on real recordings, beside scores that were obtained elsewhere."""

import numpy as np
import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf
from scipy.signal.windows import gaussian

from neuralsde.evaluation.baselines import baseline_table
from neuralsde.evaluation.scores import score
from tests.helpers.shared import shared_path

pytestmark = pytest.mark.slow


def recording(name, folder):
    config = OmegaConf.load(f"configs/data/{name}.yaml")
    return instantiate(config, path=str(shared_path(folder)), cache=False).data


def test_reach8_baselines():
    """Scores of a plain smoothing (40 ms) with Poisson regression and of the condition PSTH, both selected on `val`."""
    table = baseline_table(recording("reach8", "data/neural/reach8"))
    assert table["smoothing"]["co_bps"] == pytest.approx(0.1288, abs=0.003)
    assert table["smoothing"]["vel_r2"] > 0.64
    assert table["condition_psth"]["co_bps"] == pytest.approx(0.1681, abs=0.003)
    assert table["condition_psth"]["vel_r2"] > 0.94


def test_plan8_baselines():
    table = baseline_table(recording("plan8", "data/neural/plan8"))
    assert table["smoothing"]["co_bps"] == pytest.approx(0.253, abs=0.005)
    assert table["condition_psth"]["co_bps"] == pytest.approx(0.236, abs=0.005)


def test_the_benchmarks_own_smoothing_recipe_scores_what_its_authors_published():
    """nlb_tools' own check: co-bps .1528, velocity R² .5224, PSTH R² .3871 on MC_Maze_Large, val phase, 5 ms bins."""
    data = recording("nlb_mc_maze_large", "data/neural/mc_maze_large")
    window = gaussian(60, 10, sym=True)

    def smoothed(counts):
        return np.apply_along_axis(np.convolve, 1, counts, window / window.sum(), mode="same")

    def design(heldin):
        x = np.log(smoothed(heldin) + 1e-4).reshape(-1, heldin.shape[-1])
        return np.column_stack([x, np.ones(len(x))])

    x, y = design(data.train.heldin), smoothed(data.train.heldout).reshape(-1, data.train.heldout.shape[-1])
    weights = np.linalg.pinv(x.T @ x + 1e6 * np.eye(x.shape[1])) @ x.T @ y

    def rates(trials):
        heldout = np.clip(design(trials.heldin) @ weights, 1e-9, 1e20).reshape(*trials.heldin.shape[:2], -1)
        observed = np.concatenate([smoothed(trials.heldin), heldout], axis=-1)
        return np.pad(observed, ((0, 0), (0, data.spec.forward_bins), (0, 0)))

    scores = score(data, rates(data.train), rates(data.eval))
    assert scores["co_bps"] == pytest.approx(0.1528, abs=1e-4)
    assert scores["vel_r2"] == pytest.approx(0.5224, abs=1e-4)
    assert scores["psth_r2"] == pytest.approx(0.3871, abs=1e-4)
