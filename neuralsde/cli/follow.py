"""What the other processes of a run on one machine do: train along with the first, from the run's own config."""

import sys
from collections.abc import Sequence
from pathlib import Path

from neuralsde.cli.console import quiet_chatter, run_or_explain
from neuralsde.training.files import read_config


def follow(run_dir: Path, allow_targets: Sequence[str]) -> None:
    """Train along with the process that made the folder `run_dir`."""
    from neuralsde import workflow

    quiet_chatter()
    workflow.train(read_config(run_dir / "config.yaml"), allow_targets)


if __name__ == "__main__":
    run_or_explain(lambda: follow(Path(sys.argv[1]), sys.argv[2:]))
