"""What a run says while it trains, where the output is no terminal."""

import re

import pytest

from neuralsde.workflow import train
from tests.helpers.tiny import tiny_config, tiny_simulated


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ([], r"epoch     2/2  loss \S+  co-bps \S+ \(best \S+\)"),
        (
            [*tiny_simulated("double_well"), "model=latent_sde", "model/likelihood=gaussian"],
            r"epoch     2/2  loss \S+  val ELBO \S+ ",
        ),
    ],
    ids=["counts", "real"],
)
def test_every_line_says_loss_and_score(words, line, tmp_path, capsys):
    train(tiny_config(tmp_path, *words, "training.baselines=false"))
    err = capsys.readouterr().err
    assert re.search(line, err)
    assert "nan" not in err
