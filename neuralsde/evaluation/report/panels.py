"""Panels of curves over epochs: what the page's script draws."""

import math
from typing import Any

import numpy as np
from jaxtyping import Float

from neuralsde.evaluation.glossary import learned_name
from neuralsde.plots.curves import HIGHER_IS_BETTER, LEARNED

MOST_POINTS = 500
"""Points of a curve; of longer ones every second, third, … is kept."""
ORDER = ("loss", "co_bps", "fp_bps", "elbo", "nll")
"""Panels that come first."""
TITLES = {
    "loss": "Loss",
    "nll": "Negative log-likelihood",
    "elbo": "Evidence lower bound",
    "co_bps": "co-bps",
    "fp_bps": "fp-bps",
    "kl_initial": "KL of the initial state",
    "kl_path": "KL of the path",
    "kl_initial_weight": "Weight of the initial state's KL",
    "kl_path_weight": "Weight of the path's KL",
    "grad_norm": "Norm of the gradient",
}
UNITS = {"nll": "nats per entry", "elbo": "nats per entry", "co_bps": "bits per spike", "fp_bps": "bits per spike"}


def curve_panels(columns: dict[str, Float[np.ndarray, " epoch"]]) -> list[dict[str, Any]]:
    """One panel per quantity of `metrics.csv`, training and validation together; what is learned is left out."""
    panels: dict[str, dict[str, np.ndarray]] = {}
    for name, values in columns.items():
        if name not in ("epoch", "step") and not name.startswith(LEARNED):
            split, _, quantity = name.rpartition("/")
            panels.setdefault(quantity, {})[split] = values
    first = {name: i for i, name in enumerate(ORDER)}
    names = sorted(panels, key=lambda name: first.get(name, len(first)))
    return [
        {
            "title": TITLES.get(name, name.replace("_", " ")),
            "unit": UNITS.get(name, ""),
            "series": [series(columns["epoch"], split, values, name) for split, values in panels[name].items()],
        }
        for name in names
    ]


def learned_panels(columns: dict[str, Float[np.ndarray, " epoch"]], time: str = "second") -> list[dict[str, Any]]:
    """One panel per learned quantity, a curve for each of its components.

    Args:
        columns: of `metrics.csv`.
        time: unit of the equation's clock.
    """
    panels: dict[str, list[np.ndarray]] = {}
    for name, values in columns.items():
        if name.startswith(LEARNED):
            panels.setdefault(name.removeprefix(LEARNED).rpartition("/")[0], []).append(values)
    return [
        {
            "title": learned_name(name, time)[0],
            "unit": learned_name(name, time)[1],
            "series": [series(columns["epoch"], str(i + 1), values) for i, values in enumerate(lines)],
            **({"reference": 0.5} if name.startswith("hurst") else {}),
        }
        for name, lines in panels.items()
    ]


def series(
    epoch: Float[np.ndarray, " epoch"], name: str, values: Float[np.ndarray, " epoch"], quantity: str = ""
) -> dict[str, Any]:
    """A curve where its values are known, thinned, with its best value where higher is better."""
    known = np.flatnonzero(np.isfinite(values))
    stride = -(-len(known) // MOST_POINTS) or 1
    kept = known[::-1][::stride][::-1]  # the last value stays
    curve = {"name": name, "x": [int(e) + 1 for e in epoch[kept]], "y": [significant(float(v)) for v in values[kept]]}
    if quantity.endswith(HIGHER_IS_BETTER) and len(known):
        best = known[values[known].argmax()]
        curve["best"] = [int(epoch[best]) + 1, significant(float(values[best]))]
    return curve


def significant(value: float, digits: int = 6) -> float:
    """Rounded to so many significant digits."""
    return float(f"{value:.{digits - 1}e}") if math.isfinite(value) else value
