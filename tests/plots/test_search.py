"""Pictures of a search show what they are given."""

import numpy as np

from neuralsde.plots import search_scores, search_settings


def test_the_best_so_far_never_gets_worse_in_either_direction():
    lines = {0: ([1, 2], [0.5, 0.2]), 1: ([1, 2], [0.1, 0.9])}
    for higher, expected in ((True, [0.1, 0.5, 0.5, 0.9]), (False, [0.1, 0.1, 0.1, 0.1])):
        ax = search_scores(lines, 1, "val/x", higher).axes[0]
        (so_far,) = [line for line in ax.lines if line.get_label() == "best so far"]
        np.testing.assert_allclose(so_far.get_ydata(), expected)


def test_each_setting_has_a_panel_with_a_line_for_each_trial_and_the_winner_last():
    lines = {"optimizer.lr": {0: ([0, 1], [1e-3, 1e-3]), 1: ([0, 1], [1e-2, 1e-2])}, "b": {0: ([0, 1], [3, 3])}}
    figure = search_settings(lines, [([0, 1], [1e-2, 2e-2]), ([0, 1], [3, 4])], log=["optimizer.lr"])
    assert [len(ax.lines) for ax in figure.axes] == [3, 2]
    assert [ax.get_yscale() for ax in figure.axes] == ["log", "linear"]
    np.testing.assert_allclose(figure.axes[1].lines[-1].get_ydata(), [3, 4])
