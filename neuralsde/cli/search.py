"""Search for hyperparameters of what the command line composes, with the words of `train`."""

import os
import sys

import hydra
from omegaconf import DictConfig

from neuralsde.cli.composition import composed_or_explained
from neuralsde.cli.console import quiet_chatter, run_or_explain
from neuralsde.cli.train import CONFIGS
from neuralsde.cli.trust import remember, trusted


def search() -> float | None:
    """Search as the command line says; population based training where it does not say. Returns the winner's score."""
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")
    remember(sys.argv[1:])
    if not any(word.startswith("search=") for word in sys.argv[1:]):
        sys.argv.append("search=pbt")
    return run_or_explain(lambda: composed_or_explained(_hydra_main, CONFIGS))


@hydra.main(version_base="1.3", config_path=CONFIGS, config_name="train")
def _hydra_main(config: DictConfig) -> float:
    return run_or_explain(lambda: _search(config))


def _search(config: DictConfig) -> float:
    from neuralsde.search.run import search as run_search

    quiet_chatter()
    return run_search(config, trusted())
