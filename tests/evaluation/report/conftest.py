"""Folders of runs, made without training."""

import json

import numpy as np
import pytest
from matplotlib.figure import Figure

from neuralsde.evaluation.report import Picture, add_pictures, write_trajectories

CONFIG = """\
model: {encoder: {_target_: neuralsde.nn.encoders.GRUEncoder}, dynamics: {_target_: neuralsde.inference.LatentSDE}}
data: {_target_: neuralsde.datamodules.lorenz.LorenzData}
seed: 3
"""
SCORES = {
    "co_bps": 1.25,
    "rate_r2": 0.5,
    "heldout_conditions/co_bps": 0.75,
    "baselines": {"smoothing": {"co_bps": 1.0, "rate_r2": 0.75}, "condition_psth": {"co_bps": 1.125}},
    "predict": {"weights": "best", "n_samples": 32},
    "data": {"name": "lorenz", "source": "Lorenz generator", "eval_trials": 6},
}
METRICS = """\
epoch,step,train/loss,train/nll,learned/hurst/0,learned/hurst/1,val/nll,val/co_bps
0,9,0.9,0.8,0.5,0.5,,
1,19,0.7,0.6,0.4,0.55,0.75,0.125
2,29,0.5,0.4,0.3,0.6,0.7,0.0625
"""
RECORD = {
    "seed": 3,
    "choices": {"model": "langevinflow", "data": "lorenz"},
    "parameters": 52573,
    "versions": {"neuralsde": "0.1.0", "torch": "2.13.0"},
    "machine": {"device": "cpu", "cores": 2, "threads": 1, "system": "Linux x86_64"},
    "data": {
        "name": "lorenz", "source": "session.nwb", "kind": "counts", "train_trials": 24, "eval_trials": 6,
        "channels": [8, 4], "bins": [20, 5], "bin_width_s": 0.02,
        "files": [{"name": "session.nwb", "bytes": 2_000_000, "sha256": "ab" * 32}],
    },
    "starts": [{"command": "python train.py 'a=[1,2]'", "began": "2026-01-31T12:00:00+00:00", "wall_s": 61.0}],
}  # fmt: skip


@pytest.fixture
def run_folder(tmp_path):
    """Makes a run's folder; arguments replace its parts, None leaves one out."""

    def make(name="run", scores=SCORES, metrics=METRICS, record=RECORD, config=CONFIG, pictures=True):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "config.yaml").write_text(config)
        for file, content in (("scores.json", scores), ("run.json", record)):
            if content is not None:
                (folder / file).write_text(json.dumps(content))
        if metrics is not None:
            (folder / "metrics.csv").write_text(metrics)
        if pictures:
            latents = np.random.default_rng(0).normal(size=(12, 25, 5)).cumsum(1)
            write_trajectories(folder, latents, np.repeat([0, 1, 2], 4), ("a", "b", "c"), np.arange(25) * 0.02)
            figure = Figure((2, 1))
            figure.subplots().plot([0, 1])
            add_pictures(folder, [Picture("Flow & <field>", figure, "Arrows show the drift.")])
        return folder

    return make
