"""Trials drawn from a model's prior, in a file."""

from pathlib import Path

import h5py
import numpy as np

from neuralsde.evaluation.hdf5_file import write_file
from neuralsde.evaluation.load import Run


def write_samples(path: Path, run: Run, n: int, bins: int | None, seed: int) -> tuple[int, ...]:
    """Write observations, expected values, latents and times of trials from the prior, whole or not at all.

    Args:
        path: the HDF5 file.
        run: a trained model whose decoder reads the latent path alone.
        n: trials.
        bins: of each; None for as many as a trial of the data has.
        seed: of the draws.

    Returns:
        Trials, bins, units.

    Raises:
        ConfigError: a number is impossible, or the decoder reads the encoder's context as well.
        DataError: the file cannot be written.
    """
    values, means, latents = run.generate(n, bins, seed)
    spec = run.module.spec

    def fill(file: h5py.File) -> None:
        file.attrs.update({"checkpoint": str(run.path), "seed": seed, "bin_width_s": spec.bin_width_s, "kind": spec.kind})
        file["times"] = np.arange(values.shape[1]) * spec.bin_width_s
        for name, part in {"observations": values, "means": means, "latents": latents}.items():
            file.create_dataset(name, data=part, compression="gzip")

    write_file(path, fill)
    return values.shape
