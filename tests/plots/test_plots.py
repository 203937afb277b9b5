"""Every figure draws, without pyplot and without warnings (which pytest turns into errors)."""

import subprocess
import sys

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from neuralsde.plots import (
    angle_traces,
    condition_means,
    hand_trajectories,
    latent_trajectories,
    learned_curves,
    psth_grid,
    raster_and_rates,
    rates_vs_truth,
    read_metrics,
    series,
    training_curves,
)
from neuralsde.plots.raster import peak_order
from neuralsde.plots.style import condition_colors, short_names
from neuralsde.plots.trajectories import principal_components

N_TRIALS, N_BINS, N_UNITS = 24, 15, 9
WIDTH_S = 0.02


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def rates(rng):
    return rng.gamma(2.0, 0.2, (N_TRIALS, N_BINS, N_UNITS))


@pytest.fixture
def condition():
    return np.repeat(np.arange(-1, 5), 4)


def image(figure):
    """The drawn pixels, (height, width, 3)."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]


def ink(figure):
    """Share of pixels that are not white."""
    return (image(figure) < 250).any(-1).mean()


@pytest.mark.parametrize("known", [pytest.param(False, marks=pytest.mark.slow), True])
def test_raster_and_rates(rng, rates, known):
    counts = rng.poisson(rates[0]).astype(float)
    counts[-5:, -3:] = np.nan
    figure = raster_and_rates(counts, rates[0], WIDTH_S, rates[0] if known else None, 6, 10, "trial 0")
    assert len(figure.axes) == (6 if known else 4)  # each panel and its colour bar
    assert figure.axes[-1].get_ylabel().endswith("(Hz)")
    assert ink(figure) > 0.2


def test_units_are_sorted_by_peak_within_held_in_and_held_out():
    rates = np.zeros((4, 5))
    rates[[3, 0, 1, 2, 0], range(5)] = 1.0
    assert peak_order(rates, 3).tolist() == [1, 2, 0, 4, 3]


def test_rates_vs_truth(rates):
    figure = rates_vs_truth(rates * 1.1, rates, WIDTH_S, title="rates")
    assert len(figure.axes) == 12
    assert figure.axes[0].get_ylabel().endswith("rate (Hz)")
    line = figure.axes[0].lines[0]
    assert line.get_xdata()[0] == pytest.approx(10.0)  # the middle of a 20 ms bin, in ms
    assert ink(figure) > 0.02


@pytest.mark.parametrize("everything", [pytest.param(False, marks=pytest.mark.slow), True])
def test_series(rng, everything):
    values = rng.normal(size=(N_TRIALS, N_BINS, 2)).cumsum(1)
    seen = np.ones(values.shape, bool)
    seen[:, [2, 5]], seen[:, 10:] = False, False
    recorded = np.where(seen | (np.arange(N_BINS) >= 10)[:, None], values, np.nan)
    times = np.sort(rng.random((N_TRIALS, N_BINS)), axis=1)
    more = {"truth": values, "lower": values - 1, "upper": values + 1, "observed_bins": 10} if everything else {}
    figure = series(times, recorded, seen, values + 0.1, title="series", **more)
    assert len(figure.axes) == 3 * 2
    names = {text.get_text() for text in figure.legends[0].texts}
    always = {"observed", "recorded, not observed", "predicted"}
    assert names == always | ({"true", "interval", "forecast begins"} if everything else set())
    lines = figure.axes[0].lines  # of trial 0, channel 0; points come after the lines
    points = lines[2 if everything else 1].get_xydata()
    np.testing.assert_allclose(points, np.column_stack([times[0], values[0, :, 0]])[seen[0, :, 0]])
    if everything:
        assert times[0, 9] < lines[-1].get_xdata()[0] < times[0, 10]
    assert ink(figure) > 0.02


def test_psth_grid_and_condition_means(rates, condition):
    means = condition_means(rates, condition, 6)
    np.testing.assert_allclose(means[0], rates[4:8].mean(0))
    assert np.isnan(means[5]).all()
    figure = psth_grid(means, means, WIDTH_S, tuple(f"type={i}, version=0" for i in range(6)))
    assert [t.get_text() for t in figure.legends[0].texts][-1] == "type=5"
    assert ink(figure) > 0.02


@pytest.mark.parametrize("dim", [2, 5])
@pytest.mark.parametrize("labelled", [False, True])
def test_latent_trajectories(rng, condition, dim, labelled):
    latents = rng.normal(size=(N_TRIALS, N_BINS, dim)).cumsum(1)
    figure = latent_trajectories(latents, condition if labelled else None, tuple("abcde"))
    assert ink(figure) > 0.05


def test_principal_components_keep_all_variance_of_three_dimensions(rng):
    latents = rng.normal(size=(N_TRIALS, N_BINS, 3)) * [3.0, 2.0, 1.0]
    path, labels = principal_components(latents)
    centred = latents - latents.mean((0, 1))
    np.testing.assert_allclose((path**2).sum(-1), (centred**2).sum(-1))
    assert labels[0].startswith("PC 1 (6")


@pytest.mark.parametrize("condition", [None, np.full(12, -1)])
def test_trials_without_conditions_are_drawn_without_a_legend(rng, condition):
    """As the test trials of a benchmark, whose other splits do have names of conditions."""
    figure = latent_trajectories(rng.normal(size=(12, 9, 3)), condition, tuple("abcde"))
    assert len(figure.axes[0].lines) > 1
    assert not figure.legends
    figure = hand_trajectories(rng.normal(size=(12, 9, 2)), np.ones((12, 9, 2)), 0.5, condition, tuple("abcde"))
    assert not figure.legends


def test_hand_trajectories(rng, condition):
    velocity = rng.normal(size=(N_TRIALS, N_BINS, 2))
    velocity[4, 3:] = np.nan  # a shorter trial
    velocity[5, 0] = np.nan  # this trial is left out
    figure = hand_trajectories(velocity, np.ones_like(velocity), 0.5, condition, tuple("abcde"))
    true, decoded = (ax.lines[0].get_xydata() for ax in figure.axes[:2])
    np.testing.assert_allclose(true[0], 0)
    np.testing.assert_allclose(true[3], velocity[4, :3].sum(0) * 0.5)
    np.testing.assert_allclose(decoded[3], 1.5)
    assert np.isnan(true[4:]).all()
    assert np.isnan(decoded[4:]).all()
    drawn = [line.get_xydata()[-1] for line in figure.axes[0].lines]
    np.testing.assert_allclose(drawn[1], velocity[6].sum(0) * 0.5)
    assert ink(figure) > 0.02


def test_angle_traces_break_where_the_direction_passes_half_a_turn(rng):
    times = np.tile(0.1 * np.arange(N_BINS), (N_TRIALS, 1))
    true = (np.linspace(150, 210, N_BINS)[:, None] + 180) % 360 - 180 + np.zeros((N_TRIALS, 1, 2))
    figure = angle_traces(true, true - 10, times, ["head", "goal"], n_trials=3, title="directions")
    assert len(figure.axes) == 6
    line = figure.axes[0].lines[0].get_xydata()
    assert np.isnan(line[:, 1]).sum() == 1
    assert figure.axes[3].get_ylabel() == "goal (°)"
    assert ink(figure) > 0.01


def test_training_curves_from_a_file(tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_text("epoch,step,train/loss,val/co_bps,note\n0,5,0.9,,x\n1,10,0.8,0.1,\n2,15,0.7,0.05,\n")
    columns = read_metrics(path)
    assert set(columns) == {"epoch", "step", "train/loss", "val/co_bps"}
    assert np.isnan(columns["val/co_bps"][0])
    figure = training_curves(columns, "a run")
    best = figure.axes[1].lines[-1]
    assert (best.get_xdata()[0], best.get_ydata()[0]) == (1, 0.1)
    assert ink(figure) > 0.01


def test_learned_parameters_have_a_panel_each_and_a_line_per_component():
    columns = {"epoch": np.arange(3.0), "train/loss": np.zeros(3)}
    columns |= {f"learned/hurst/{i}": np.full(3, 0.5 + 0.1 * i) for i in range(4)} | {"learned/sigma/0": np.ones(3)}
    figure = learned_curves(columns, "a run")
    titles = {ax.get_title(): len(ax.lines) for ax in figure.axes if ax.get_visible()}
    assert titles == {"hurst": 5, "sigma": 1}  # and the line of Brownian motion
    assert len(training_curves(columns).axes) == 1  # the loss alone


def test_colours_and_names():
    for n in (3, 8, 20):
        assert len({str(color) for color in condition_colors(n)}) == n
    assert short_names(["type=0, version=1", "type=1, version=1"]) == ["type=0", "type=1"]
    assert short_names(["only"]) == ["only"]


def test_pyplot_is_never_imported():
    code = "import sys, neuralsde.plots; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
