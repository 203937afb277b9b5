"""`run.json`: how a run was made — the commands, versions, machine and data — so that its report can say so later."""

import json
import os
import platform
import shlex
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

import neuralsde
from neuralsde.datamodules.batches import TrialDataModule
from neuralsde.datamodules.checksums import sha256_of
from neuralsde.errors import CheckpointError
from neuralsde.files import write_whole
from neuralsde.training.files import read_json
from neuralsde.training.fit import Fit
from neuralsde.training.shape import Finite, Names

FILE = "run.json"
SHAPE = {
    "choices?": Names(str),
    "parameters?": int,
    "versions?": Names(str),
    "machine?": {"device": str, "system": str},
    "starts?": [{"command": str, "began": str, "wall_s": (Finite, type(None))}],
    "data?": {
        "name": str,
        "source": str,
        "kind": str,
        "called?": str,
        "train_trials": int,
        "eval_trials": int,
        "channels": [int, int],
        "bins": [int, int],
        "bin_width_s": (Finite, type(None)),
        "time_unit?": str,
        "files": [{"name": str, "bytes": int, "sha256": str}],
    },
}
"""What it has to look like, for those who read it."""
GROUPS = ("model", "data", "model/encoder", "model/dynamics", "model/noise", "model/decoder", "model/likelihood", "experiment")


class RunRecord:
    """Writes `run.json` when a run starts, and its wall time when it ends; a resumed run adds a start.

    Args:
        folder: the run's folder.
        prepared: what is about to be trained.
        seed: the run's seed.
    """

    def __init__(self, folder: Path, prepared: Fit, seed: int):
        self.path, self.begin = folder / FILE, time.monotonic()
        earlier = earlier_record(folder)
        start = {"command": command_line(sys.argv), "began": datetime.now(UTC).isoformat(timespec="seconds"), "wall_s": None}
        self.content = {
            "seed": seed,
            "choices": choices(prepared.module.record["config"]) or earlier.get("choices", {}),
            "parameters": sum(p.numel() for p in prepared.module.model.parameters()),
            "versions": versions(),
            "machine": machine(prepared.trainer.strategy.root_device),
            "data": data_record(prepared.data),
            "starts": [*earlier.get("starts", []), start],
        }
        self.rate = prepared.module.record["config"]["optimizer"].get("lr")
        went_back = [entry for entry in earlier.get("back_offs", []) if entry["lr"] == self.rate]
        self.content |= {"back_offs": went_back} if went_back else {}
        self.write()

    def end(self) -> None:
        """Note how long this start took."""
        self.content["starts"][-1]["wall_s"] = round(time.monotonic() - self.begin, 1)
        self.write()

    @property
    def back_offs(self) -> list[dict[str, Any]]:
        """How often, and why, the run went back with a lower learning rate; not at another rate of the settings."""
        return self.content.get("back_offs", [])

    def back_off(self, reason: str) -> None:
        """Note that the run goes back."""
        self.content["back_offs"] = [*self.back_offs, {"lr": self.rate, "reason": reason}]
        self.write()

    def write(self) -> None:
        write_whole(self.path, json.dumps(self.content, indent=2, ensure_ascii=False) + "\n")


def read_record(folder: Path) -> dict[str, Any]:
    """What `run.json` holds; empty where there is none.

    Raises:
        CheckpointError: it is damaged.
    """
    return read_json(folder / FILE, SHAPE)


def earlier_record(folder: Path) -> dict[str, Any]:
    """The same; a damaged one is put aside, as a run can go on without it."""
    try:
        return read_record(folder)
    except CheckpointError:
        aside = folder / f"{FILE}.damaged"
        os.replace(folder / FILE, aside)
        print(f"{folder / FILE} was damaged and is {aside.name} now; the record of earlier starts is lost.", file=sys.stderr)
        return {}


def command_line(argv: list[str]) -> str:
    """What was typed, as a shell reads it.

    Args:
        argv: as `sys.argv`; `neuralsde train` (or `search`) has been joined in its first word.
    """
    program, *command = argv[0].rsplit(" ", 1) if argv[0].endswith((" train", " search")) else [argv[0]]
    path = Path(program)
    if path.name == "__main__.py":
        package = [path.parent.name] if path.parent.name == "neuralsde" else [path.parent.parent.name, path.parent.name]
        words = ["python", "-m", ".".join(package)]
    elif path.suffix == ".py":
        words = ["python", program]
    else:
        words = [path.name]
    return shlex.join([*words, *command, *argv[1:]])


def choices(config: dict[str, Any]) -> dict[str, str]:
    """Which file of each config group was chosen, where the command line composed the config and these choices hold."""
    if not HydraConfig.initialized():
        return {}
    chosen = OmegaConf.to_container(HydraConfig.get().runtime.choices)
    kept = [group for group in GROUPS if config.get("init_from") is None or not group.startswith("model")]
    return {group: chosen[group] for group in kept if isinstance(chosen, dict) and chosen.get(group)}


def versions() -> dict[str, str]:
    """Of what the numbers depend on."""
    return {
        "neuralsde": neuralsde.__version__,
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "lightning": lightning.__version__,
        "numpy": np.__version__,
    }


def machine(device: torch.device) -> dict[str, Any]:
    """Where it ran; the machine's name is nobody's business."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return {
        "device": name,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def data_record(data: TrialDataModule) -> dict[str, Any]:
    """What was trained on, with the checksums of the files that it came from."""
    recording, spec = data.data, data.spec
    return {
        "name": recording.name,
        "source": recording.source,
        "kind": spec.kind,
        "called": recording.called,
        "train_trials": len(recording.train),
        "eval_trials": len(recording.eval),
        "channels": [spec.observed_dim, spec.target_dim - spec.observed_dim],
        "bins": [spec.observed_bins, spec.forward_bins],
        "bin_width_s": spec.bin_width_s if spec.longest_s is None else None,
        "time_unit": recording.time_unit,
        "files": [{"name": p.name, "bytes": p.stat().st_size, "sha256": sha256_of(p)} for p in data.files()],
    }
