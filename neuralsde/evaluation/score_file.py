"""Score a submission file against a targets file, as the benchmark's server does."""

from pathlib import Path

import h5py
import numpy as np

from neuralsde.datamodules.nwb.hdf5 import dataset_in, group_in, names_in, one_line, open_hdf5, read
from neuralsde.errors import DataError
from neuralsde.metrics import bits_per_spike, psth_r2, tp_corr, vel_r2

Arrays = dict[str, np.ndarray]


def evaluate(targets: str | Path, submission: str | Path) -> dict[str, dict[str, float]]:
    """Scores of every recording that both files hold, named as `score` names them.

    Args:
        targets: file with one group per recording: `eval_spikes_heldout`, `train_behavior`, `psth`, … ;
            `write_targets` makes one, and the benchmark has published that of its test trials.
        submission: file with one group per recording: `eval_rates_heldout`, …; `write_submission` makes one.

    Raises:
        DataError: a file is missing or damaged, a data set is missing, or the files share no recording.
        NeuralSDEError: rates of the wrong shape, or NaN, infinite or negative.
    """
    truth, rates = read_groups(Path(targets)), read_groups(Path(submission))
    names = [name for name in rates if name in truth]
    if not names:
        raise DataError(f"{submission} holds {', '.join(rates) or 'nothing'}, but {targets} {', '.join(truth) or 'nothing'}.")
    try:
        return {name: evaluate_group(truth[name], rates[name]) for name in names}
    except KeyError as error:
        raise DataError(f"{submission} or {targets} lacks the data set {error}.") from error
    except (ValueError, TypeError, IndexError) as error:
        raise DataError(f"{submission} and {targets} do not fit each other: {one_line(error)}; write both anew.") from error


def evaluate_group(truth: Arrays, rates: Arrays) -> dict[str, float]:
    """Scores of one recording."""
    eval_rates = both(rates, "eval_rates_{}")
    scores = {"co_bps": bits_per_spike(rates["eval_rates_heldout"], truth["eval_spikes_heldout"])}
    if "eval_rates_heldin_forward" in rates and "eval_spikes_heldin_forward" in truth:
        scores["fp_bps"] = bits_per_spike(both(rates, "eval_rates_{}_forward"), both(truth, "eval_spikes_{}_forward"))
    behavior = truth.get("eval_behavior")
    if behavior is not None and behavior.ndim == 2:
        scores["tp_corr"] = tp_corr(eval_rates, truth["eval_spikes_heldout"], behavior)
    elif behavior is not None:
        masks = truth.get("train_decode_mask"), truth.get("eval_decode_mask")
        train_rates = both(rates, "train_rates_{}")
        scores["vel_r2"] = vel_r2(train_rates, truth["train_behavior"], eval_rates, behavior, *masks)
    if "psth" in truth:
        condition = labels(truth["eval_cond_idx"], len(eval_rates))
        scores["psth_r2"] = psth_r2(truth["psth"], eval_rates, condition, truth.get("eval_jitter"))
    return scores


def both(group: Arrays, name: str) -> np.ndarray:
    """Held-in and held-out units together."""
    return np.concatenate([group[name.format("heldin")], group[name.format("heldout")]], axis=-1)


def labels(trials_of_conditions: np.ndarray, n_trials: int) -> np.ndarray:
    """Condition of each trial, (trial,), from the lists of trials of each condition; -1 for none."""
    condition = np.full(n_trials, -1)
    for index, trials in enumerate(trials_of_conditions):
        condition[trials] = index
    return condition


def read_groups(path: Path) -> dict[str, Arrays]:
    """All groups of an HDF5 file."""
    if not path.exists():
        raise DataError(f"There is no file {path}.")
    with open_hdf5(path, "HDF5 file", "it is damaged or another kind of file") as file:
        groups = {name: group for name in names_in(file) if (group := group_in(file, name)) is not None}
        return {name: read_arrays(group) for name, group in groups.items()}


def read_arrays(group: h5py.Group) -> Arrays:
    """All data sets of one group.

    Raises:
        DataError: one holds no numbers, or is damaged.
    """
    found = {name: dataset for name in names_in(group) if (dataset := dataset_in(group, name)) is not None}
    for name, dataset in found.items():
        listed = h5py.check_vlen_dtype(dataset.dtype)  # of conditions: the trials of each
        if dataset.dtype.kind not in "biuf" and (listed is None or np.dtype(listed).kind not in "iu"):
            raise DataError(f"{group.file.filename}: `{group.name}/{name}` holds {dataset.dtype}; numbers are needed.")
    return {name: read(dataset) for name, dataset in found.items()}
