"""Writes the checkpoints in tests/data that later versions have to load: python -m tests.helpers.store_checkpoint

Each lies beside what its model observed and what it said of it, so that nothing but the checkpoint itself is tested.
"""

import copy
import sys
import tempfile
from pathlib import Path

import h5py

import neuralsde
from neuralsde.workflow import train
from tests.helpers.tiny import TINY_LORENZ, shrink, tiny_config, tiny_simulated

DATA = Path(__file__).parents[1] / "data"
STORED = {
    "langevinflow": [*TINY_LORENZ, "model=langevinflow"],
    "fractional": [*tiny_simulated("double_well"), "model=latent_sde", "model/likelihood=gaussian", "model/noise=fractional"],
}
"""Command-line words of each stored model."""


def store(name: str, folder: Path) -> None:
    """Train a tiny model and keep its checkpoint, its inputs and its rates."""
    config = copy.deepcopy(tiny_config(folder, *STORED[name], "training.baselines=false", "trainer.max_epochs=3"))
    shrink(config.model)
    train(config)
    run = neuralsde.load(folder)
    DATA.mkdir(exist_ok=True)
    (DATA / f"{name}-{neuralsde.__version__}.ckpt").write_bytes(run.path.read_bytes())
    with h5py.File(DATA / f"{name}-{neuralsde.__version__}.h5", "w") as file:
        file.create_dataset("heldin", data=run.data.eval.heldin, compression="gzip")
        file.create_dataset("rates", data=run.predict(seed=0).rates, compression="gzip")


if __name__ == "__main__":
    for name in sys.argv[1:] or STORED:
        with tempfile.TemporaryDirectory() as place:
            store(name, Path(place))
