"""Write the rates and latents of trials to a file, HDF5 (.h5) or NWB (.nwb), or a line for each predicted value to a table
(.csv, .parquet). Rates of several checkpoints are averaged."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuralsde.cli.console import Result, add_checkpoints, add_samples, bar, numbers, opened_all, sampling, together
from neuralsde.errors import ConfigError

if TYPE_CHECKING:
    from neuralsde.evaluation.ensemble import Ensemble
    from neuralsde.evaluation.load import Run
    from neuralsde.evaluation.prediction import Prediction

HELP = "write rates and latents to a file"
EXAMPLES = """  neuralsde predict runs/mine rates.h5
  neuralsde predict runs/mine rates.nwb --split train
  neuralsde predict runs/mine forecasts.csv --split test
  neuralsde predict runs/mine intervals.h5 --n-samples 1000 --interval 0.9 --quantiles 0.05,0.5,0.95
  neuralsde predict runs/seed0 runs/seed1 mean_of_two.h5
  neuralsde predict runs/mine ahead.h5 --ahead 20 --average median
  neuralsde predict runs/mine forecasts.csv --data new_patients.csv --horizon 7 --every 1 --quantiles 0.1,0.5,0.9
  neuralsde predict runs/mine forecasts.csv --data new_patients.csv --times 2024-05-01,2024-05-02
"""
WRITERS = {".h5": "save", ".hdf5": "save", ".nwb": "to_nwb", ".csv": "save_table", ".parquet": "save_table"}
TABLES = (".csv", ".parquet")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_checkpoints(parser)
    parser.add_argument("file", metavar="FILE", help="what to write: .h5, .hdf5, .nwb, .csv or .parquet")
    parser.add_argument(
        "--split",
        help="trials to predict: train, eval (those of the run's scores, the default), val, test, or an extra split",
    )
    parser.add_argument("--data", metavar="TABLE", help="predict the series of this table, like the one trained on, instead")
    parser.add_argument("--horizon", type=float, metavar="T", help="of --data: forecast so far after each last row")
    parser.add_argument("--every", type=float, metavar="T", help="step of the forecast (default: the usual one in training)")
    parser.add_argument("--times", metavar="T,T,…", help="of --data: or at these times, as the table tells times")
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
    refuse_other_use(arguments)
    split = arguments.split or "eval"
    settings = {**sampling(arguments), **chosen, "label": bar(arguments.data or split)}
    runs = opened_all(arguments)
    refuse_own_source(path, arguments.data, runs)
    model = together(runs)
    if arguments.data is not None:
        return of_table(model, arguments, path, settings)
    if arguments.ahead is None:
        prediction = model.predict(split, **settings)
    else:
        prediction = model.forecast(arguments.ahead, split, **settings)
    return written(prediction, path)


def refuse_own_source(path: Path, data: str | None, runs: "list[Run]") -> None:
    """Raises:
    ConfigError: the file to write is one of those that are read.
    """
    read = [Path(data)] if data is not None else []
    for source in (*read, *(file for run in runs for file in (run.unread if run.learned else run.datamodule).files())):
        if path.resolve() == source.resolve():
            raise ConfigError(f"{path} holds the data that are read, and would be overwritten: name another file.")


def refuse_other_use(arguments: argparse.Namespace) -> None:
    """Raises:
    ConfigError: what belongs to --data is given without it, or the other way round.
    """
    given = [name for name in ("horizon", "every", "times") if getattr(arguments, name) is not None]
    if arguments.data is None and given:
        raise ConfigError(f"--{given[0]} is for series of another table: name it with --data (--ahead forecasts a split).")
    if arguments.data is not None and arguments.ahead is not None:
        raise ConfigError("--ahead forecasts bins of a split; with --data give --horizon or --times.")
    if arguments.data is not None and arguments.split is not None:
        raise ConfigError(
            f"--split {arguments.split} is of the run's own trials, but --data names other series: give one of them."
        )


def of_table(model: "Run | Ensemble", arguments: argparse.Namespace, path: Path, settings: dict[str, Any]) -> Result:
    """Write what a run says of the series of another table.

    Raises:
        ConfigError: several checkpoints are to predict.
    """
    from neuralsde.evaluation.load import Run

    if not isinstance(model, Run):
        raise ConfigError("--data is predicted by one checkpoint, as intervals cannot be averaged: name one.")
    times = [] if arguments.times is None else [number_or_word(part) for part in arguments.times.split(",")]
    prediction = model.predict_series(arguments.data, arguments.horizon, arguments.every, times, **settings)
    return written(prediction, path)


def written(prediction: "Prediction", path: Path) -> Result:
    """Write a table or arrays, and say what is in them."""
    return written_table(prediction, path) if path.suffix in TABLES else written_arrays(prediction, path)


def written_arrays(prediction: "Prediction", path: Path) -> Result:
    """Write arrays, and say what they are."""
    getattr(prediction, WRITERS[path.suffix])(path)
    n, bins, units = prediction.rates.shape
    counts, table = prediction.axes.kind == "counts", prediction.axes.names is not None
    what = "rates" if counts else "predictions"
    words = ("series", "rows", "channels") if table else ("trials", "bins", "units" if counts else "channels")
    sizes = " × ".join(f"{size} {word}" for size, word in zip((n, bins, units), words, strict=True))
    print(f"{path}: {what} of {sizes}, {prediction.latents.shape[2]} latents.")
    return {"file": str(path), "trials": n, "bins": bins, "units": units, "latents": prediction.latents.shape[2]}


def written_table(prediction: "Prediction", path: Path) -> Result:
    """Write a line for each value, and say how many."""
    prediction.save_table(path)
    table = prediction.to_table()
    lines, series = len(table["series"]), len(set(table["series"].tolist()))
    print(f"{path}: {lines} values of {series} series, with {', '.join(list(table)[1:])}.")
    return {"file": str(path), "lines": lines, "series": series, "columns": list(table)}


def number_or_word(text: str) -> float | str:
    """A number where it is one, else the word itself, such as a date."""
    try:
        return float(text)
    except ValueError:
        return text.strip()
