"""Misspelt words of the command line: what there is instead."""

import pytest
from hydra import compose, initialize_config_dir
from hydra.errors import HydraException

from neuralsde.cli import CONFIGS
from neuralsde.cli.composition import explained


def test_a_launcher_that_is_not_installed_is_told_its_extra():
    error = HydraException(
        "Could not find 'hydra/launcher/submitit_slurm'\n\nAvailable options in 'hydra/launcher':\n\tbasic\n"
    )
    assert explained(error, [], CONFIGS) == (
        "hydra/launcher=submitit_slurm needs the extra slurm: pip install 'neuralsde[slurm]'."
    )


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["trainer.max_epoch=3"], "There is no setting trainer.max_epoch; did you mean trainer.max_epochs?"),
        (["max_epochs=3", "logger=csv"], "There is no setting max_epochs; did you mean trainer.max_epochs?"),
        (
            ["objective=sde_matching", "objective.point=4"],
            "There is no setting objective.point; did you mean objective.points?",
        ),
        (["foo=3", "bar=4"], "There is no setting foo; `python train.py --cfg job` lists all."),
        (
            ["model=langevinflo"],
            "There is no model=langevinflo; choose one of gru_d, langevinflow, langevinflow_released, latent_ode, "
            "latent_sde, neural_cde, neural_gsde, neural_lnsde, neural_lsde.",
        ),
        (
            ["objective=sde_matching", "model/curves=splin"],
            "There is no model/curves=splin; choose one of attention, kernel, spline.",
        ),
        (["experiment=fractional/bridg"], "There is no experiment=fractional/bridg; did you mean fractional/bridge?"),
        (["experiment=bridge"], "There is no experiment=bridge; did you mean fractional/bridge?"),
        (
            ["experiment=langevinflow_released"],
            "There is no experiment=langevinflow_released; choose one of langevinflow_released/lfads_lorenz, "
            "langevinflow_released/lorenz, langevinflow_released/reach8.",
        ),
        (["nonsense"], "Error parsing override 'nonsense'; give words such as data=lorenz or trainer.max_epochs=100."),
    ],
)
def test_a_misspelt_word_is_told_what_there_is(words, sentence):
    with pytest.raises(HydraException) as mistake, initialize_config_dir(CONFIGS, version_base="1.3"):
        compose("train", overrides=words)
    assert explained(mistake.value, words, CONFIGS) == sentence
