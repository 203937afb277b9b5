"""Write the rates and latents of trials to a file, HDF5 (.h5) or NWB (.nwb). Rates of several checkpoints are averaged."""

import argparse
from pathlib import Path

from neuralsde.cli.console import Result, add_checkpoints, add_samples, bar, numbers, opened_all, sampling, together
from neuralsde.errors import ConfigError

HELP = "write rates and latents to a file"
EXAMPLES = """  neuralsde predict runs/mine rates.h5
  neuralsde predict runs/mine rates.nwb --split train
  neuralsde predict runs/mine intervals.h5 --n-samples 1000 --interval 0.9 --quantiles 0.05,0.5,0.95
  neuralsde predict runs/seed0 runs/seed1 mean_of_two.h5
  neuralsde predict runs/mine ahead.h5 --ahead 20 --average median
"""
WRITERS = {".h5": "save", ".hdf5": "save", ".nwb": "to_nwb"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_checkpoints(parser)
    parser.add_argument("file", metavar="FILE", help="what to write: .h5, .hdf5 or .nwb")
    parser.add_argument("--split", default="eval", help="trials to predict: train, eval, or an extra split (default: eval)")
    add_samples(parser)
    parser.add_argument("--average", help="rate, log_rate or median (default: the run's own)")
    parser.add_argument("--interval", type=float, metavar="P", help="a predictive interval of the observations, such as 0.9")
    parser.add_argument("--quantiles", metavar="P,P,…", help="quantiles of the observations, such as 0.05,0.5,0.95")
    parser.add_argument("--ahead", type=int, metavar="BINS", help="forecast so many bins beyond the observed ones instead")


def run(arguments: argparse.Namespace) -> Result:
    """Write the file; the result says what is in it."""
    path = Path(arguments.file)
    if path.suffix not in WRITERS:
        raise ConfigError(
            f"{path} is no kind of file that predictions are written to: give one that ends in {', '.join(WRITERS)}."
        )
    chosen = {key: value for key in ("average", "interval") if (value := getattr(arguments, key)) is not None}
    if arguments.quantiles:
        chosen["quantiles"] = numbers(arguments.quantiles)
    settings = {**sampling(arguments), **chosen, "label": bar(arguments.split)}
    model = together(opened_all(arguments))
    if arguments.ahead is None:
        prediction = model.predict(arguments.split, **settings)
    else:
        prediction = model.forecast(arguments.ahead, arguments.split, **settings)
    getattr(prediction, WRITERS[path.suffix])(path)
    n, bins, units = prediction.rates.shape
    print(f"{path}: rates of {n} trials × {bins} bins × {units} units, {prediction.latents.shape[2]} latents.")
    return {"file": str(path), "trials": n, "bins": bins, "units": units, "latents": prediction.latents.shape[2]}
