"""Every kind of data gets its pictures."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from neuralsde.evaluation.figures import draw_figures
from neuralsde.evaluation.predict import Prediction


def drawn(data, tmp_path, interval=False):
    """Names of the figures, each drawn without a warning, and the names in the legend of the series."""
    latents = np.zeros((len(data.eval), data.spec.total_bins, 4), np.float32) + np.arange(len(data.eval))[:, None, None]
    rates = data.eval.rates
    width = np.ones((*rates.shape[:2], data.spec.target_dim), np.float32)  # of categories, an interval of the index
    ends = (rates[..., : width.shape[2]] - width, rates[..., : width.shape[2]] + width) if interval else (None, None)
    figures = draw_figures(
        data, {"train": Prediction(rates, latents), "eval": Prediction(rates, latents, *ends)}, tmp_path / "none"
    )
    for figure in figures.values():
        FigureCanvasAgg(figure).draw()
    legend = {t.get_text() for t in figures["series"].legends[0].texts} if "series" in figures else set()
    return set(figures), legend


def test_counts_get_a_raster(recording, tmp_path):
    assert drawn(recording, tmp_path)[0] == {"raster", "rates", "latents"}


@pytest.mark.parametrize("interval", [pytest.param(False, marks=pytest.mark.slow), True])
def test_real_values_get_a_series_with_the_interval_that_was_predicted(real_data, tmp_path, interval):
    names, legend = drawn(real_data, tmp_path, interval)
    assert names == {"series", "latents"}
    assert ("interval" in legend) is interval
    assert {"observed", "recorded, not observed", "true", "predicted", "forecast begins"} <= legend


@pytest.mark.parametrize("kind", [pytest.param("binary", marks=pytest.mark.slow), "category"])
def test_labels_get_their_probabilities_without_an_interval(label_data, tmp_path, kind):
    names, legend = drawn(label_data[kind], tmp_path, interval=True)
    assert names == {"series", "latents"}
    assert "interval" not in legend


def test_real_values_without_truth_or_forward_bins(real_data, tmp_path):
    spec, kept = replace(real_data.spec, forward_bins=0), real_data.eval
    trials = replace(kept, heldin_forward=None, heldout_forward=None, rates=kept.rates[:, :20], states=None)
    _, legend = drawn(replace(real_data, spec=spec, eval=trials), tmp_path)
    assert "forecast begins" not in legend


def test_directions_and_movements_get_pictures_of_their_own(recording, tmp_path):
    rng = np.random.default_rng(0)

    def moved(trials):
        angle = rng.uniform(0, 6, (len(trials), 20))
        return replace(trials, behavior=np.stack([angle, angle**2, np.cos(angle), np.sin(angle)], axis=-1))

    train, scored = moved(recording.train), moved(recording.eval)
    names = ("x", "y", "cos head", "sin head")
    data = replace(recording, train=train, eval=scored, behavior_kind="continuous", behavior_names=names, length_unit="cm")
    rates = {"train": Prediction(train.rates, train.rates), "eval": Prediction(scored.rates, scored.rates)}
    figures = draw_figures(replace(data, angle_channels=((2, 3),)), rates, tmp_path / "none")
    assert {"hand", "angle"} <= figures.keys()
    assert figures["hand"].axes[0].get_xlabel() == "x (cm)"
    assert figures["angle"].axes[0].get_ylabel() == "head (°)"
    one = replace(
        data, train=replace(train, behavior=train.behavior[..., 2:]), eval=replace(scored, behavior=scored.behavior[..., 2:])
    )
    only = draw_figures(replace(one, behavior_names=names[2:], angle_channels=((0, 1),)), rates, tmp_path / "none")
    assert "angle" in only
    assert "hand" not in only
