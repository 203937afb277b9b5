"""The pictures of an analysis, each drawn where there is what it shows."""

import numpy as np
from matplotlib.figure import Figure

from neuralsde import plots
from neuralsde.analysis.decode import Decoding
from neuralsde.analysis.dynamics import Dynamics
from neuralsde.analysis.psth import PSTH
from neuralsde.datamodules.trials import TrialData
from neuralsde.plots.style import short_names


def decoding_figures(found: Decoding, data: TrialData) -> dict[str, Figure]:
    """Decoded against true behaviour, by name.

    Args:
        found: what was decoded.
        data: the recording.
    """
    target = found.target
    what = f"direction of {target.name}" if target.kind == "angle" else target.name
    title = f"{data.name}: {what} decoded from {found.source}"
    if target.kind == "condition":
        names = short_names(target.channels)
        return {"decoded": plots.confusion(target.eval.ravel(), found.predicted.ravel(), names, title)}
    if target.kind == "angle":
        return {"decoded": plots.decoded_directions(target.eval, found.predicted, title)}
    if target.kind == "trial":
        return {"decoded": plots.decoded_values(target.eval[:, 0], found.predicted[:, 0], target.channels, title)}
    other = found.compared
    scores = {"model": found.scores["r2_uniform"]} | ({"smoothed spikes": other.scores["r2_uniform"]} if other else {})
    smoothed = None if other is None else other.predicted
    width, channels = (
        data.spec.bin_width_s,
        [name if name == target.name else f"{target.name} {name}" for name in target.channels],
    )
    drawn = {"decoded": plots.decoded_traces(target.eval, found.predicted, smoothed, width, channels, scores, title)}
    if len(target.channels) == 2 and "vel" in target.name:
        condition, names = data.eval.condition, data.condition_names
        drawn["hand"] = plots.hand_trajectories(target.eval, found.predicted, width, condition, names, title=title)
    return drawn


def dynamics_figures(found: Dynamics) -> dict[str, Figure]:
    """Flow field, eigenvalues and potential, by name.

    Args:
        found: the dynamics.
    """
    kinds = [point.kind for point in found.fixed_points]
    axes, drawn = found.visited.axes, {}
    if found.flow is not None:
        plane = found.flow.plane
        points = plane.project(np.array([p.state for p in found.fixed_points]).reshape(-1, len(plane.origin)))
        drawn["flow"] = plots.flow_field(
            plane.x,
            plane.y,
            found.flow.vectors,
            found.flow.speed,
            points,
            kinds,
            plane.project(found.visited.latents),
            axes.condition,
            axes.condition_names,
            list(plane.share),
            "Flow of the prior" + ("" if found.at_s is None else f" at {found.at_s:g} s"),
        )
    if found.fixed_points:
        drawn["eigenvalues"] = plots.eigenvalue_plane(
            [point.eigenvalues for point in found.fixed_points], kinds, "Eigenvalues at fixed points"
        )
    if found.landscape is not None:
        plane = found.landscape.plane
        minima = plane.project(np.array([m.position for m in found.minima]).reshape(-1, len(plane.origin)))
        values = found.landscape.values
        drawn["potential"] = plots.potential_map(plane.x, plane.y, values, minima, list(plane.share), "Potential")
    return drawn


def psth_figure(found: PSTH, title: str = "Condition averages (PSTH)") -> Figure:
    """Condition averages of the data (pale) and of the model (full).

    Args:
        found: the averages.
        title: of the figure.
    """
    return plots.psth_grid(found.data.mean, found.model.mean, found.bin_width_s, found.names, title=title)
