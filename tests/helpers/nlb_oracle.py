"""The benchmark's own code (nlb_tools 0.0.4) as an oracle, with its faults under a current pandas worked round.

It pins pandas <= 1.3.4, which no current Python can install, so it is installed with `--no-deps`. Since pandas 1.4 its
`load` leaves the rows of a session unsorted, which misplaces bins silently; since pandas 3 its `resample` writes into a
read-only array. Its smoothing opens a pool of processes, which is only slow.
"""

import inspect
import textwrap
import warnings
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

REACH_CONDITIONS = ["trial_type", "trial_version"]


def load_oracle():
    """Modules (make_tensors, nwb_interface) of nlb_tools, repaired; skips the test where it is not installed."""
    pytest.importorskip("nlb_tools", reason="nlb_tools is not installed (pip install --no-deps nlb_tools)")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from nlb_tools import make_tensors, nwb_interface
    dataset = nwb_interface.NWBDataset
    if not hasattr(dataset, "repaired"):
        rewrite(dataset, "load", "data = pd.concat(data_list, axis=1)", "data = pd.concat(data_list, axis=1).sort_index()")
        rewrite(dataset, "resample", "to_numpy()", "to_numpy(copy=True)")
        rewrite(dataset, "smooth_spk", "parallelized=True", "parallelized=False")
        dataset.repaired = True
    make_tensors.PARAMS |= {
        "reach8": reach_params((-140, 160), 100, "move_onset_time", "hand_vel", 100),
        "plan8": reach_params((0, 500), 200, "start_time", None, None),
    }
    return make_tensors, nwb_interface


def rewrite(owner: type, method: str, old: str, new: str) -> None:
    """Replace a piece of a method's source."""
    source = textwrap.dedent(inspect.getsource(getattr(owner, method)))
    assert source.count(old) >= 1, f"{method} of nlb_tools is not the one known"
    namespace = inspect.getmodule(owner).__dict__
    exec(source.replace(old, new), namespace)
    setattr(owner, method, namespace[method])


def reach_params(window, forward, align, behavior, lag):
    """Parameters in nlb_tools' form for the recordings that its own table does not have."""
    make = {"align_field": align, "align_range": window, "allow_overlap": True}
    psth = {"align_field": align, "align_range": window}
    return {
        "spk_field": "spikes",
        "hospk_field": "heldout_spikes",
        "behavior_source": "data" if behavior else "trial_info",
        "behavior_field": behavior or ["trial_type"],
        "lag": lag,
        "make_params": make,
        "eval_make_params": make,
        "fp_len": forward,
        "psth_params": {"cond_fields": REACH_CONDITIONS, "make_params": psth, "kern_sd": 50},
    }


@contextmanager
def quiet():
    """nlb_tools warns through numpy and pandas about what it does on purpose."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def oracle_tensors(path: Path, name: str, bin_ms: int, phase: str, with_psth: bool = True) -> dict[str, np.ndarray]:
    """All of nlb_tools' tensors for a folder or file: train input, eval input and, in the phase `val`, targets."""
    make_tensors, nwb_interface = load_oracle()
    fitted = "train" if phase == "val" else ["train", "val"]
    options = {"save_file": False, "return_dict": True}
    with quiet():
        dataset = nwb_interface.NWBDataset(str(path))
        if bin_ms != 1:
            dataset.resample(bin_ms)
        extra = {"include_behavior": name != "plan8", "include_forward_pred": True}
        train = make_tensors.make_train_input_tensors(dataset, name, fitted, **extra, **options)
        scored = make_tensors.make_eval_input_tensors(dataset, name, phase, **options)
        targets = {}
        if phase == "val":
            (targets,) = make_tensors.make_eval_target_tensors(
                dataset, name, fitted, phase, include_psth=with_psth, **options
            ).values()
    targets = {f"target_{key.removeprefix('eval_')}" if key == "eval_spikes_heldout" else key: v for key, v in targets.items()}
    return train | scored | targets
