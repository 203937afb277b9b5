"""Pictures of analyses: what they show is what they were given, and they draw without a warning."""

import numpy as np
import pytest

from neuralsde.plots import (
    confusion,
    decoded_directions,
    decoded_traces,
    decoded_values,
    eigenvalue_plane,
    flow_field,
    potential_map,
)
from tests.plots.test_plots import ink


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def grid():
    x, y = np.linspace(-2, 2, 15), np.linspace(-1, 1, 11)
    return x, y, np.stack(np.meshgrid(x, y), axis=-1)


@pytest.mark.parametrize("labelled", [pytest.param(False, marks=pytest.mark.slow), True])
def test_flow_field(rng, labelled):
    x, y, vectors = grid()
    points, kinds = np.array([[0.0, 0.0], [1.0, 0.5], [9.0, 0.0]]), ["unstable", "saddle", "stable"]
    paths = rng.normal(size=(12, 8, 2)).cumsum(1) / 5
    condition = np.repeat(np.arange(3), 4) if labelled else None
    speed = np.linalg.norm(vectors, axis=-1)
    figure = flow_field(x, y, vectors, speed, points, kinds, paths, condition, ("a", "b", "c"), (0.6, 0.3), "flow")
    ax = figure.axes[0]
    marks = [tuple(line.get_xydata()[0]) for line in ax.lines if line.get_marker() in ("o", "x") and line.get_markersize() == 7]
    assert marks == [(0.0, 0.0), (1.0, 0.5)]  # the third lies outside
    legend = [t.get_text() for t in figure.legends[0].texts]
    assert legend == (["a", "b", "c"] if labelled else []) + ["unstable", "saddle"]
    assert ax.get_xlabel() == "PC 1 (60%)"
    assert ax.get_xlim() == (-2, 2)
    assert ink(figure) > 0.1


def test_a_flow_that_stands_still_draws():
    x, y, vectors = grid()
    figure = flow_field(x, y, 0 * vectors, np.zeros(vectors.shape[:2]), np.zeros((0, 2)), [])
    assert not figure.legends
    assert ink(figure) > 0.01


@pytest.mark.parametrize("scale", [0.0, 1.0])
def test_potential(scale):
    x, y, states = grid()
    figure = potential_map(x, y, scale * (states**2).sum(-1), np.zeros((1, 2)), (0.6, 0.3), "potential")
    assert [t.get_text() for t in figure.legends[0].texts] == ["minimum"]
    assert ink(figure) > 0.1


def test_eigenvalues_are_drawn_in_hz_with_zero_growth_inside_the_frame():
    values = [np.array([-1 + 2j * np.pi, -1 - 2j * np.pi]), np.array([0.5, -2.0])]
    figure = eigenvalue_plane(values, ["stable", "saddle"], "eigenvalues")
    first = figure.axes[0].lines[0].get_xydata()
    np.testing.assert_allclose(first, [[-1, 1], [-1, -1]])
    low, high = figure.axes[0].get_xlim()
    assert low < -2 < 0 < 0.5 < high
    assert [t.get_text() for t in figure.legends[0].texts] == ["1: stable", "2: saddle"]
    assert ink(eigenvalue_plane([values[0]], ["stable"])) > 0.005


@pytest.mark.parametrize("compared", [pytest.param(False, marks=pytest.mark.slow), True])
def test_decoded_traces(rng, compared):
    true = rng.normal(size=(9, 20, 2))
    true[0] = np.nan  # this trial is not drawn
    smoothed = true + 1 if compared else None
    figure = decoded_traces(true, true + 0.1, smoothed, 0.02, ("x", "y"), {"model": 0.9}, "decoded")
    assert len(figure.axes) == 2 * 4
    assert figure.axes[0].get_title() == "trial 1"
    assert [t.get_text() for t in figure.legends[0].texts] == ["true", *["smoothed spikes"] * compared, "model (R² 0.90)"]
    np.testing.assert_allclose(figure.axes[0].lines[0].get_ydata(), true[1, :, 0])
    assert ink(figure) > 0.01


def test_directions_values_and_conditions(rng):
    angle = rng.uniform(-4, 4, (10, 5, 1))
    angle[0] = np.nan
    dots = decoded_directions(angle, angle + 0.1).axes[0].lines[1].get_xydata()
    assert dots.shape == (45, 2)
    assert abs(dots).max() <= 180
    values = rng.normal(size=(20, 2))
    values[3, 0] = np.nan
    figure = decoded_values(values, values, ("rt", "tp"), "values")
    assert [len(ax.lines[1].get_xdata()) for ax in figure.axes] == [19, 20]
    table = confusion(np.array([0, 0, 1, -1]), np.array([0, 1, 1, 0]), ("left", "right"))
    np.testing.assert_allclose(table.axes[0].images[0].get_array(), [[0.5, 0.5], [0, 1]])
    for drawn in (figure, table):
        assert ink(drawn) > 0.01
