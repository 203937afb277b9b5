"""What scores, learned quantities and pictures are called, what they are measured in, and what they say."""

from typing import NamedTuple


class Score(NamedTuple):
    """A score as readers meet it.

    Args:
        name: in tables.
        unit: what a value of 1 is.
        higher: whether higher is better.
        meaning: one plain sentence.
        goal: the best value, where neither the highest nor the lowest is.
    """

    name: str
    unit: str
    higher: bool
    meaning: str
    goal: float | None = None

    def merit(self, value: float) -> float:
        """How good a value is: higher is better."""
        if self.goal is not None:
            return -abs(value - self.goal)
        return value if self.higher else -value

    @property
    def better(self) -> str:
        """Which values are better, in words."""
        return "nearest is best" if self.goal is not None else f"{'higher' if self.higher else 'lower'} is better"


SCORES: dict[str, Score] = {
    "co_bps": Score(
        "co-bps",
        "bits per spike",
        True,
        "How much better the rates explain spikes of units that the model never saw than means do.",
    ),
    "fp_bps": Score(
        "fp-bps", "bits per spike", True, "How much better the rates explain spikes after the observed window than means do."
    ),
    "vel_r2": Score("vel R²", "1 is perfect", True, "How much of the behaviour a linear decoder reads from the rates."),
    "angle_r2": Score(
        "angle R²", "1 is perfect", True, "How much of a direction's cosine and sine a linear decoder reads from the rates."
    ),
    "angle_error_deg": Score(
        "angle error (deg)",
        "degrees",
        False,
        "Typical angle between a direction and what a linear decoder reads from the rates.",
    ),
    "psth_r2": Score("PSTH R²", "1 is perfect", True, "How well the rates match each condition's mean response."),
    "tp_corr": Score(
        "tp corr",
        "−1 is perfect",
        False,
        "Correlation of the speed of the neural state with the time that the subject produced.",
    ),
    "rate_r2": Score("rate R²", "1 is perfect", True, "How much of the true log-rates the model recovers, all units together."),
    "rate_r2_uniform": Score(
        "rate R², mean of units",
        "1 is perfect",
        True,
        "How much of the true log-rates the model recovers, each unit counting once.",
    ),
    "state_r2": Score("state R²", "1 is perfect", True, "How much of the true state a linear map reads from the latents."),
    "signal_r2": Score(
        "signal R²", "1 is perfect", True, "How much of the true signal, without its noise, the model recovers."
    ),
    "forward_r2": Score(
        "forward R²", "1 is perfect", True, "How much of the true signal after the observed window it forecasts."
    ),
    "forward_rmse": Score("forward RMSE", "the data's unit", False, "Typical error of the forecast after the observed window."),
    "rmse": Score("RMSE", "the data's unit", False, "Typical distance between what was recorded and what the model says."),
    "forward_scaled_rmse": Score(
        "forward RMSE (sd)",
        "each channel's standard deviation",
        False,
        "Typical error of the forecast, in standard deviations of each channel in the training series.",
    ),
    "scaled_rmse": Score(
        "RMSE (sd)",
        "each channel's standard deviation",
        False,
        "Typical error, in standard deviations of each channel in the training series.",
    ),
    "scaled_mse": Score("MSE (sd²)", "each channel's variance", False, "Mean squared error, in variances of each channel."),
    "scaled_crps": Score(
        "CRPS (sd)",
        "each channel's standard deviation",
        False,
        "Typical distance of the predicted distribution from the values, in standard deviations of each channel.",
    ),
    "mse": Score("MSE", "the data's unit, squared", False, "Mean squared error of the predicted values."),
    "crps": Score("CRPS", "the data's unit", False, "Typical distance of the predicted distribution from the values."),
    "nll": Score("NLL", "nats per value", False, "Surprise at the values, given the predicted distribution."),
    "coverage_90": Score("90 % coverage", "0.9 is perfect", True, "How often the 90 % interval holds the value.", goal=0.9),
    "missing_rmse": Score("missing RMSE", "the data's unit", False, "Typical error in bins that were hidden from the model."),
    "log_loss": Score("log loss", "nats", False, "Surprise at what was recorded, given the model's probabilities."),
    "accuracy": Score("accuracy", "share", True, "How often the most probable class is the recorded one."),
    "auroc": Score("AUROC", "0.5 is chance", True, "How often one of a class is ranked above one that is not."),
    "calibration_error": Score(
        "calibration error", "0 is perfect", False, "How far the probabilities are from how often they hold."
    ),
    "forward_log_loss": Score("forward log loss", "nats", False, "Surprise at what was recorded after the observed window."),
    "forward_accuracy": Score("forward accuracy", "share", True, "Accuracy after the observed window."),
    "forward_auroc": Score("forward AUROC", "0.5 is chance", True, "AUROC after the observed window."),
    "forward_calibration_error": Score(
        "forward calibration error", "0 is perfect", False, "The same after the observed window."
    ),
}
"""In the order of importance: the first that a run has is its main score."""

DETAILS = {"rate_r2_uniform"}
"""Scores that the terminal's table leaves out."""

SCORE_NAMES = {key: score.name for key, score in SCORES.items() if key not in DETAILS}


def score_named(key: str) -> Score:
    """What is known of a score; of one that is not listed, its name and that higher is better."""
    return SCORES.get(key) or Score(key.replace("_", " "), "", True, "")


LEARNED: dict[str, tuple[str, str]] = {
    "friction": ("Friction", "per {time}"),
    "frequency_hz": ("Frequency of the potential's oscillators", "cycles per {time}"),
    "rate": ("Rate of return to the mean", "per {time}"),
    "sigma": ("Noise level σ", "state per √{time}"),
    "hurst": ("Hurst index of the noise", "0.5 is Brownian motion"),
}
"""Name and unit of what `learned/…` columns hold."""


def learned_name(key: str, time: str = "second") -> tuple[str, str]:
    """Name and unit of a learned quantity; of one that is not listed, its key.

    Args:
        key: as in `learned/KEY/0`.
        time: unit of the equation's clock, that of the data (seconds) unless `model.dynamics.model_time` is set.
    """
    knot = key.removeprefix("hurst_knot_")
    if knot != key:
        return f"Hurst index at knot {int(knot) + 1}", LEARNED["hurst"][1]
    name, unit = LEARNED.get(key, (key.replace("_", " "), ""))
    return name, unit.format(time=time)


PICTURES: dict[str, tuple[str, str]] = {
    "raster": (
        "Spikes and inferred rates",
        "The evaluation trial with the most spikes, and the rates that the model infers for it. Units are sorted by the "
        "time of their peak, held-out units apart.",
    ),
    "rates": (
        "Inferred and true rates",
        "Units and trials of the evaluation split: the rate that generated the spikes, and the one that the model infers.",
    ),
    "psth": (
        "Condition averages",
        "Mean response of units to each condition, measured and inferred. A model that only smooths gets the shape and misses "
        "the height.",
    ),
    "hand": (
        "Decoded movement",
        "Hand paths, true beside those that a ridge decoder, fitted to training trials, reads from the rates.",
    ),
    "angle": ("Decoded direction", "Directions, true beside those that a ridge decoder reads from the rates."),
    "series": (
        "Recorded and predicted values",
        "What the model observed, what was recorded but hidden from it, and what it predicts, in the evaluation split.",
    ),
    "frames": ("Frames", "Evaluation videos above the model's own frames."),
    "latents": (
        "Latent trajectories",
        "The latent state in its first three principal components. Thick lines are means over a condition's trials; dots mark "
        "the start.",
    ),
    "training": ("Training", "Every logged quantity over epochs; a cross marks the best of a score."),
    "learned": (
        "Learned parameters",
        "What the dynamics have learned that has a name, over epochs; one line for each component.",
    ),
}
"""Title and caption of the pictures of a run."""


def picture_text(name: str) -> tuple[str, str]:
    """Title and caption of a picture; of one that is not listed, its name."""
    return PICTURES.get(name, (name.replace("_", " ").capitalize(), ""))
