"""Runs of every kind of data write a report with the pictures of their kind."""

import pytest

from neuralsde.workflow import train
from tests.evaluation.report.test_page import cells, parsed, payload, text_of
from tests.helpers.tiny import tiny_config, tiny_simulated
from tests.nn.test_video import SMALL, VIDEO

SERIES = "model=latent_sde", "training.plots=true"
KINDS = {
    "irregular": (
        [*tiny_simulated("ornstein_uhlenbeck"), *SERIES, "model/likelihood=gaussian", "data.irregular=true"],
        "Recorded and predicted values",
    ),
    "labels": (
        [*tiny_simulated("double_well_class"), *SERIES, "model/likelihood=categorical"],
        "Recorded and predicted values",
    ),
    "video": ([*VIDEO, *SMALL, "training.plots=true"], "Frames"),
    "counts of one epoch": (["trainer.max_epochs=1", "training.plots=true"], "Spikes and inferred rates"),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_run_writes_its_report(kind, tmp_path):
    words, picture = KINDS[kind]
    train(tiny_config(tmp_path / "run", *words))
    path = tmp_path / "run" / "report.html"
    tree = parsed(path)
    assert path.stat().st_size < 5e6
    assert picture in text_of(tree)
    assert cells(tree)
    assert payload(tree, "trajectories-data")["conditions"]
    assert payload(tree, "curves-data")
