"""How a run was made, in rows of a name and a value."""

import math
from typing import Any, NamedTuple

from omegaconf import DictConfig

NOT_RECORDED = "not recorded"
PARTS = ("encoder", "dynamics", "dynamics.sde", "dynamics.solver", "dynamics.control", "noise", "decoder", "likelihood")
KINDS = {"counts": "units", "real": "channels", "binary": "channels", "category": "channels"}


class Fact(NamedTuple):
    """A row.

    Args:
        name: what.
        values: one or more lines.
        code: whether the lines are to be copied as they are.
    """

    name: str
    values: list[str]
    code: bool = False


def made_of(record: dict[str, Any], config: DictConfig) -> list[Fact]:
    """Command, seed, versions and machine, from `run.json`."""
    starts = record.get("starts", [])
    versions, machine = record.get("versions", {}), record.get("machine", {})
    cores = f"cores: {machine.get('cores')}, threads: {machine.get('threads')}" if machine else ""
    return [
        Fact("Command" if len(starts) < 2 else "Commands", [s["command"] for s in starts] or [NOT_RECORDED], bool(starts)),
        Fact("Began (UTC)", [s["began"].replace("T", " ").removesuffix("+00:00") for s in starts] or [NOT_RECORDED]),
        Fact("Wall time", [duration(wall_time(record))]),
        Fact("Seed", [str(config.get("seed", NOT_RECORDED))]),
        Fact("Versions", [", ".join(f"{name} {version}" for name, version in versions.items()) or NOT_RECORDED]),
        Fact("Machine", [", ".join([machine["device"], cores, machine["system"]]) if machine else NOT_RECORDED]),
    ]


def size_of(seen: int, further: int, kind: str) -> str:
    """How many channels are seen and predicted; `further` is negative where what is predicted is fewer than what is seen."""
    return f"{seen} {kind} seen and {further} held out" if further >= 0 else f"{seen} {kind} seen, {seen + further} predicted"


def data_of(record: dict[str, Any], scores: dict[str, Any]) -> list[Fact]:
    """The recording and the checksums of its files."""
    scored = scores.get("data", {})
    data = record.get("data") or scored
    facts = [Fact("Recording", [data.get("name", NOT_RECORDED)]), Fact("Source", [data.get("source") or NOT_RECORDED])]
    if "channels" in data:
        unit = data.get("time_unit", "s")
        kind = KINDS.get(data["kind"], "channels")
        width = f"irregular width, times in {unit}" if data["bin_width_s"] is None else f"{1000 * data['bin_width_s']:g} ms"
        called, (seen, ahead) = data.get("called", "trials"), data["bins"]
        rows = f"up to {seen} rows{f' and {ahead} ahead' * (ahead > 0)}, times in {unit}"
        facts += [
            Fact(called.capitalize(), [f"{data['train_trials']} for training, {data['eval_trials']} for evaluation"]),
            Fact("Size", [size_of(data["channels"][0], data["channels"][1], kind)]),
            Fact("Time", [rows if called == "series" else f"{seen} bins observed and {ahead} to forecast, of {width}"]),
        ]
    if scored.get("source") != data.get("source") and "eval_trials" in scored:  # `evaluate --phase test` came later
        facts.append(Fact("Scored", [f"{scored['eval_trials']} {scored.get('called', 'trials')} of {scored['source']}"]))
    files = [f"{file['name']}  ({file['bytes'] / 1e6:.1f} MB)  sha256 {file['sha256']}" for file in data.get("files", [])]
    return [*facts, Fact("Files", files or ["none: generated from the settings"], bool(files))] if "files" in data else facts


def scored_later(others: dict[str, dict[str, Any]]) -> list[Fact]:
    """How many trials of each other phase have been scored."""
    scored = {phase: found["data"] for phase, found in others.items() if "data" in found}
    return [Fact("Scored too", [f"{d['eval_trials']} {phase} {d.get('called', 'trials')}"]) for phase, d in scored.items()]


def model_of(record: dict[str, Any], config: DictConfig, scores: dict[str, Any]) -> list[Fact]:
    """The parts, the number of weights, and the checkpoint that was scored."""
    facts = [
        Fact(part.replace(".", ": ").capitalize(), [target.removesuffix(".of").rpartition(".")[2]], True)
        for part in PARTS
        if (target := str(value_at(config, f"model.{part}._target_") or ""))
    ]
    if source := config.get("init_from"):
        facts.append(Fact("Began with", [str(source)], True))
    if "parameters" in record:
        facts.append(Fact("Weights", [f"{record['parameters']:,}"]))
    predict = scores.get("predict", {})
    if predict:
        facts.append(Fact("Scored", [f"{predict['weights']} checkpoint, {predict['n_samples']} posterior samples per trial"]))
    if "intervals" in scores:
        facts.append(Fact("Intervals", [scores["intervals"]]))
    return facts


def value_at(config: DictConfig, name: str) -> Any:
    """The setting of a dotted name; None where there is none, or where a part of the name is no group of settings."""
    found: Any = config
    for part in name.split("."):
        found = found.get(part) if isinstance(found, DictConfig) else None
    return found


def wall_time(record: dict[str, Any]) -> float:
    """Seconds of all finished starts; NaN where none has finished."""
    known = [s["wall_s"] for s in record.get("starts", []) if s["wall_s"] is not None]
    return sum(known) if known else math.nan


def duration(seconds: float) -> str:
    """In the units that one would say it in."""
    if math.isnan(seconds):
        return NOT_RECORDED
    minutes, hours = divmod(round(seconds), 60), divmod(round(seconds / 60), 60)
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{minutes[0]} min {minutes[1]} s" if seconds < 7200 else f"{hours[0]} h {hours[1]} min"


def title_of(record: dict[str, Any], config: DictConfig, scores: dict[str, Any]) -> tuple[str, str]:
    """What was trained, and on what."""
    data = (record.get("data") or scores.get("data", {})).get("name", "")
    model = record.get("choices", {}).get("model", "")
    if not model:
        process = value_at(config, "model.dynamics.sde._target_") or value_at(config, "model.dynamics._target_")
        model = str(process or "model").rpartition(".")[2]
    return model, data or str(value_at(config, "data._target_") or "").rpartition(".")[2]
