"""What a model says of trials, and where it goes from there: files, and labelled arrays."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from neuralsde.datamodules.trials import TrialData
from neuralsde.errors import NeuralSDEError


@dataclass(frozen=True)
class Coordinates:
    """What the axes of a prediction stand for.

    Args:
        times: time of each bin since the first observed one, (trial, bin), in `time_unit`; one row where all trials share them.
        bin_width_s: width of a bin (irregular: the usual one), likewise.
        observed_bins: bins that the model observed; those after them are forecast.
        heldin: units that the model observed; those after them were held out.
        n_classes: classes of each unit of categories, 0 otherwise.
        trial_id: identity of each trial in its file, (trial,).
        condition: index of each trial's condition, (trial,), -1 for none.
        condition_names: of the conditions, where known.
        kind: what an entry is: `counts`, `real`, `binary` or `category`.
        names: what each trial is called in its file, (trial,), where it has a name.
        stamps: time of each bin as the file tells it, (trial, bin), numbers or dates (datetime64); None for `times`.
        rows: bins that something is said of, (trial, bin), bool; None for all.
        shown: values that the model was shown of what it predicts, (trial, bin, channel), NaN elsewhere; None for none.
        channel_names: of what is predicted, or of the classes; empty for numbers.
        time_unit: of `times`, seconds except in tables that say otherwise.
        zone: offset from UTC that dates are told in, such as `+00:00`; empty for none.
    """

    times: np.ndarray
    bin_width_s: float
    observed_bins: int
    heldin: int
    n_classes: int = 0
    trial_id: np.ndarray | None = None
    condition: np.ndarray | None = None
    condition_names: tuple[str, ...] = ()
    kind: str = "counts"
    names: np.ndarray | None = None
    stamps: np.ndarray | None = None
    rows: np.ndarray | None = None
    shown: np.ndarray | None = None
    channel_names: tuple[str, ...] = ()
    time_unit: str = "s"
    zone: str = ""

    def labels(self) -> list[str] | None:
        """Name (or number) of each trial's condition, empty for none; None where trials have no conditions."""
        if self.condition is None:
            return None
        names = self.condition_names or tuple(map(str, range(int(self.condition.max(initial=-1)) + 1)))
        return [names[index] if index >= 0 else "" for index in self.condition]


@dataclass(frozen=True)
class Prediction:
    """What a model says of trials. The bins are observed and forward ones, of a forecast those beyond the data.

    Args:
        rates: expected values (counts per bin), (trial, bin, held-in + held-out unit), float32; of categories the
            probabilities, (trial, bin, unit * class). NaN in bins of which nothing is said, such as those that pad a series.
        latents: mean latent path, (trial, bin, latent), float32.
        lower: lower end of the predictive interval of the observations, (trial, bin, unit), where one was asked for.
        upper: its upper end.
        quantiles: of the observations, by probability, each (trial, bin, unit), where some were asked for.
        coordinates: what the axes stand for; None where the arrays were put together by hand.
    """

    rates: np.ndarray
    latents: np.ndarray
    lower: np.ndarray | None = None
    upper: np.ndarray | None = None
    quantiles: dict[float, np.ndarray] = field(default_factory=dict)
    coordinates: Coordinates | None = None

    def __len__(self) -> int:
        return len(self.rates)

    @property
    def axes(self) -> Coordinates:
        """The coordinates, of a prediction that has them.

        Raises:
            NeuralSDEError: it has none.
        """
        if self.coordinates is None:
            raise NeuralSDEError(
                "The prediction does not say what its axes stand for; take one of run.predict, or give coordinates=."
            )
        return self.coordinates

    @property
    def forward_rates(self) -> np.ndarray:
        """Rates of the bins that the model did not observe, (trial, forward bin, unit)."""
        return self.rates[:, self.axes.observed_bins :]

    @property
    def heldout_rates(self) -> np.ndarray:
        """Rates of the held-out units in the observed bins, (trial, observed bin, held-out unit)."""
        axes = self.axes
        return self.rates[:, : axes.observed_bins, axes.heldin * max(axes.n_classes, 1) :]

    def named_by(self, data: TrialData) -> "Prediction":
        """The same with the names that the data have for conditions and channels, and their unit of time."""
        names = {"condition_names": data.condition_names, "channel_names": data.target_names}
        return replace(self, coordinates=replace(self.axes, **names, time_unit=data.time_unit, zone=data.zone))

    def mapped(self, function: Callable[[np.ndarray], np.ndarray]) -> "Prediction":
        """The same with what it says of the observations passed through an increasing function."""
        ends = {name: function(end) for name in ("lower", "upper") if (end := getattr(self, name)) is not None}
        quantiles = {p: function(values) for p, values in self.quantiles.items()}
        return replace(self, rates=function(self.rates), quantiles=quantiles, **ends)

    def save(self, path: str | Path) -> None:
        """Write an HDF5 file, whole or not at all; `Prediction.load` reads it.

        Raises:
            DataError: `path` cannot be written.
        """
        from neuralsde.evaluation.prediction_file import write

        write(Path(path), self)

    @staticmethod
    def load(path: str | Path) -> "Prediction":
        """The prediction that `save` wrote.

        Raises:
            DataError: the file is missing, damaged or of another kind.
        """
        from neuralsde.evaluation.prediction_file import read

        return read(Path(path))

    def to_table(self) -> dict[str, np.ndarray]:
        """Columns `series`, `time`, `channel`, `mean` and, where they were asked for, `median`, `lower`, `upper` and a column
        per quantile such as `q0.05`: a line for each value that was predicted, none for what pads a series or was shown. Of
        classes `series`, `class` and `probability`.

        Raises:
            NeuralSDEError: the prediction has no coordinates.
        """
        from neuralsde.evaluation.prediction_table import columns

        return columns(self)

    def shown_table(self) -> dict[str, np.ndarray]:
        """Columns `series`, `time`, `channel` and `value` of what the model was shown: the past beside a forecast.

        Raises:
            NeuralSDEError: the prediction has no coordinates.
        """
        from neuralsde.evaluation.prediction_table import shown_columns

        return shown_columns(self)

    def save_table(self, path: str | Path) -> None:
        """Write `to_table()` as .csv or .parquet (extra `irregular`), whole or not at all.

        Raises:
            ConfigError: `path` has another ending, or pyarrow is not installed.
            DataError: `path` cannot be written.
        """
        from neuralsde.evaluation.prediction_table import write

        write(Path(path), self)

    def to_xarray(self) -> Any:
        """An `xarray.Dataset`, with dimensions trial, time, unit and latent; needs the extra `analysis`.

        Raises:
            ConfigError: xarray is not installed.
            NeuralSDEError: the prediction has no coordinates.
        """
        from neuralsde.evaluation.prediction_xarray import dataset

        return dataset(self)

    def to_nwb(self, path: str | Path, description: str = "Rates and latents inferred by neuralsde") -> None:
        """Write an NWB file whose processing module `neuralsde` holds rates and latents, trials one after the other, and
        whose trials table says which samples are whose; needs the extra `nlb`.

        Raises:
            ConfigError: pynwb is not installed.
            DataError: `path` cannot be written.
            NeuralSDEError: the prediction has no coordinates.
        """
        from neuralsde.evaluation.prediction_nwb import write

        write(Path(path), self, description)
