"""Small made-up recordings in the layout of the Neural Latents Benchmark's NWB files, written with pynwb.

Each variant keeps what is awkward in the real ones: gaps between observed intervals, behaviour sampled only inside
trials, a spike exactly at the end of an interval, alignment times off the millisecond grid, trials of no split.
"""

import warnings
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

MAZE_LAG_S = 0.1  # neurons lead the hand by this much


@dataclass
class Session:
    """What a file holds. Times in seconds.

    Args:
        trials: columns of the trials table, `start_time` and `stop_time` among them; a list is a ragged column.
        intervals: observed intervals, (interval, 2).
        spikes: spike times of each unit.
        heldout: which units are held out.
        series: name to (times, values, channel names).
    """

    trials: dict
    intervals: np.ndarray
    spikes: list[np.ndarray]
    heldout: np.ndarray
    series: dict[str, tuple[np.ndarray, np.ndarray, str]] = field(default_factory=dict)

    def heldin_only(self) -> "Session":
        spikes = [s for s, out in zip(self.spikes, self.heldout, strict=True) if not out]
        return Session(self.trials, self.intervals, spikes, np.zeros(len(spikes), bool), {})


def write_session(path: Path, session: Session, ids: np.ndarray | None = None) -> Path:
    """Write a session as an NWB file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pynwb on Python's newest minor versions
        from pynwb import NWBHDF5IO

        nwb = new_file()
        region = add_electrodes(nwb, len(session.spikes))
        add_trials(nwb, session.trials)
        add_units(nwb, session, region, ids)
        add_behavior(nwb, session.series)
        path.parent.mkdir(parents=True, exist_ok=True)
        with NWBHDF5IO(str(path), "w") as io:
            io.write(nwb)
    return path


def new_file():
    from pynwb import NWBFile
    from pynwb.file import Subject

    start = datetime(2020, 1, 1, tzinfo=UTC)
    subject = Subject(subject_id="fake", species="Macaca mulatta", sex="U", age="P5Y")
    return NWBFile("made-up recording", "fake", start, session_id="fake", subject=subject)


def add_electrodes(nwb, n: int):
    device = nwb.create_device(name="array")
    group = nwb.create_electrode_group(name="array", description="made up", location="M1", device=device)
    for _ in range(n):
        nwb.add_electrode(x=0.0, y=0.0, z=0.0, imp=np.nan, location="M1", filtering="none", group=group)
    return lambda unit: [unit]


def add_trials(nwb, trials: dict) -> None:
    columns = [name for name in trials if name not in ("start_time", "stop_time")]
    for name in columns:
        nwb.add_trial_column(name=name, description=name, index=isinstance(trials[name], list))
    for row in range(len(trials["start_time"])):
        nwb.add_trial(**{name: values[row] for name, values in trials.items()})


def add_units(nwb, session: Session, region, ids) -> None:
    if session.heldout is not None:
        nwb.add_unit_column(name="heldout", description="withheld in the test file")
    for k, times in enumerate(session.spikes):
        held = {} if session.heldout is None else {"heldout": bool(session.heldout[k])}
        observed = {} if session.intervals is None else {"obs_intervals": session.intervals}
        unit_id = 1011 + 10 * k if ids is None else int(ids[k])
        nwb.add_unit(id=unit_id, spike_times=times, electrodes=region(k), **observed, **held)


def add_behavior(nwb, series: dict) -> None:
    from pynwb import TimeSeries
    from pynwb.behavior import SpatialSeries

    if not series:
        return
    module = nwb.create_processing_module(name="behavior", description="behaviour")
    for name, (times, values, channels) in series.items():
        clock = {"timestamps": times} if isinstance(times, np.ndarray) else {"starting_time": times[0], "rate": times[1]}
        common = dict(name=name, data=values, comments=f"columns=[{channels}]", description=name, **clock)
        if name.endswith("_pos"):
            module.add(SpatialSeries(reference_frame="centre of the screen", unit="mm", **common))
        else:
            module.add(TimeSeries(unit="mm/s", **common))


def draw_spikes(rng: np.random.Generator, rates_hz: np.ndarray, intervals: np.ndarray) -> list[np.ndarray]:
    """Bernoulli spikes at 1 ms inside the intervals, times inside the millisecond; one at the end of an interval."""
    ms = np.arange(len(rates_hz)) / 1000
    observed = np.zeros(len(ms), bool)
    for start, stop in intervals:
        observed |= (ms >= start - 1e-9) & (ms < stop - 1e-3 + 1e-9)
    fires = (rng.random(rates_hz.shape) < rates_hz / 1000) & observed[:, None]
    spikes = [np.flatnonzero(f) / 1000 + rng.uniform(5e-5, 9.5e-4, f.sum()) for f in fires.T]
    spikes[0] = np.sort(np.append(spikes[0], intervals[len(intervals) // 2, 1]))
    return spikes


def pick_splits(rng: np.random.Generator, **counts: int) -> np.ndarray:
    return rng.permutation(np.repeat(list(counts), list(counts.values())))


def heldout_mask(rng: np.random.Generator, n_heldin: int, n_heldout: int) -> np.ndarray:
    return rng.permutation(np.repeat([False, True], [n_heldin, n_heldout]))


def smooth_noise(rng: np.random.Generator, length: int, channels: int) -> np.ndarray:
    """Random walk around zero with a time constant of 200 ms."""
    kernel = np.exp(-np.arange(1000) / 200)
    noise = rng.standard_normal((length + 999, channels))
    return np.stack([np.convolve(n, kernel, "valid") for n in noise.T], axis=1)


def maze(n_train=16, n_val=8, n_test=6, n_heldin=8, n_heldout=4, seed=0) -> tuple[Session, Session]:
    """Delayed reaches: whole trials of unequal length, observed and sampled inside trials only."""
    rng = np.random.default_rng(seed)
    n = n_train + n_val
    target_on = rng.uniform(0.55, 0.9, n)
    delay, rt = rng.uniform(0.45, 0.9, n), rng.uniform(0.28, 0.52, n)
    onset_in = np.round(target_on + delay + rt, 3)
    length = np.round(onset_in + rng.uniform(1.0, 1.4, n), 3)
    start = np.zeros(n)
    for i in range(1, n):
        start[i] = np.ceil(10 * (start[i - 1] + length[i - 1] + 0.03)) / 10
    onset = start + onset_in
    onset[1] += 3e-4  # off the millisecond grid
    types, versions = rng.integers(0, 2, n), rng.integers(0, 2, n)
    trials = {
        "start_time": start,
        "stop_time": np.round(start + length, 3),
        "trial_type": types,
        "trial_version": versions,
        "maze_id": 10 + types,
        "success": np.ones(n, bool),
        "target_on_time": start + target_on,
        "go_cue_time": start + target_on + delay,
        "move_onset_time": onset,
        "rt": rt * 1000,
        "delay": delay * 1000,
        "num_targets": 1 + versions % 2,
        "active_target": np.zeros(n, int),
        "split": pick_splits(rng, train=n_train, val=n_val),
        "target_pos": [rng.normal(size=(1 + v % 2, 2)) for v in versions],
    }
    intervals = np.stack([trials["start_time"], trials["stop_time"]], axis=1)
    ms = np.arange(round(intervals[-1, 1] * 1000)) / 1000
    angle = 2 * np.pi * (types + 2 * versions) / 4
    velocity, drive = np.zeros((len(ms), 2)), np.zeros((len(ms), 2))
    for i in range(n):
        direction = np.array([np.cos(angle[i]), np.sin(angle[i])])
        velocity += bell(ms - onset[i] - 0.15)[:, None] * direction
        drive += bell(ms - onset[i] - 0.15 + MAZE_LAG_S)[:, None] * direction
    gains = rng.normal(0, 0.006, (2, n_heldin + n_heldout))
    rates = np.exp(np.log(12.0) + drive @ gains)
    sampled = np.concatenate([np.arange(round(a * 1000), round(b * 1000)) for a, b in intervals])
    series = {
        "hand_pos": (sampled / 1000, np.cumsum(velocity / 1000, axis=0)[sampled], "x,y"),
        "hand_vel": (sampled / 1000, velocity[sampled] + rng.normal(0, 2, (len(sampled), 2)), "x,y"),
    }
    train = Session(trials, intervals, draw_spikes(rng, rates, intervals), heldout_mask(rng, n_heldin, n_heldout), series)
    return train, snippets(rng, train, n_test, "move_onset_time", 0.25, 0.7)


def bell(t: np.ndarray) -> np.ndarray:
    """Speed of a reach in mm/s."""
    return 300 * np.exp(-0.5 * (t / 0.08) ** 2)


def snippets(rng, train: Session, n: int, align: str, lead: float, length: float, n_units=None) -> Session:
    """A test file: abutted windows of held-in units, aligned `lead` seconds after each start."""
    start = np.round(np.arange(n) * (length + 0.1), 3)
    trials = {"start_time": start, "stop_time": np.round(start + length, 3)}
    if align != "start_time":
        trials[align] = np.round(start + lead, 3)
    trials["split"] = np.repeat("test", n)
    intervals = np.stack([trials["start_time"], trials["stop_time"]], axis=1)
    n_heldin = int((~train.heldout).sum())
    rates = np.full((round(intervals[-1, 1] * 1000), n_heldin), 15.0)
    return Session(trials, intervals, draw_spikes(rng, rates, intervals), np.zeros(n_heldin, bool))


def blocks(n: int, length: float, gap: float) -> np.ndarray:
    """Long observed intervals, the second of which starts off the millisecond grid."""
    start = np.round(np.arange(n) * (length + gap), 3)
    intervals = np.stack([start, start + length], axis=1)
    intervals[1, 0] += 4e-4
    return intervals


def continuous(rng, intervals: np.ndarray, n_units: int, channels: int):
    """Behaviour, sampled in the intervals, and rates that follow it."""
    length = round(intervals[-1, 1] * 1000)
    values = smooth_noise(rng, length, channels)
    rates = np.exp(np.log(15.0) + 0.05 * values @ rng.normal(size=(channels, n_units)))
    sampled = np.concatenate([np.arange(int(np.ceil(a * 1000)), round(b * 1000)) for a, b in intervals])
    return sampled, values, rates


def rtt(n_train=16, n_val=8, n_test=6, n_heldin=8, n_heldout=4, seed=1) -> tuple[Session, Session]:
    """Self-paced reaches, cut into abutted windows of 600 ms in four long intervals."""
    rng = np.random.default_rng(seed)
    per_block = -(-(n_train + n_val) // 4)
    intervals = blocks(4, 0.6 * per_block + 0.5, 0.35)
    start = np.round(np.concatenate([a + 0.1 + 0.6 * np.arange(per_block) for a in np.round(intervals[:, 0], 3)]), 3)
    start = start[: n_train + n_val]
    start[2] += 3e-4
    trials = {
        "start_time": start,
        "stop_time": start + 0.6,
        "split": pick_splits(rng, train=n_train, val=n_val),
    }
    sampled, values, rates = continuous(rng, intervals, n_heldin + n_heldout, 2)
    times = sampled / 1000
    series = {
        "finger_vel": (times, values[sampled], "x,y"),
        "finger_pos": (times, np.cumsum(values, axis=0)[sampled][:, [0, 1, 0]], "z,x,y"),
        "target_pos": (times, np.floor(values[sampled]), "x,y"),
    }
    train = Session(trials, intervals, draw_spikes(rng, rates, intervals), heldout_mask(rng, n_heldin, n_heldout), series)
    return train, snippets(rng, train, n_test, "start_time", 0.0, 0.6)


def area2(n_train=16, n_val=8, n_test=6, n_heldin=8, n_heldout=4, seed=2) -> tuple[Session, Session]:
    """Active and passive reaches; some trials belong to no split and have no condition."""
    rng = np.random.default_rng(seed)
    n = n_train + n_val + 4
    per_block = -(-n // 4)
    intervals = blocks(4, 1.5 * per_block + 0.5, 0.2)
    start = np.concatenate([a + 0.1 + 1.5 * np.arange(per_block) for a in np.round(intervals[:, 0], 3)])[:n]
    onset = np.round(start + rng.uniform(0.3, 0.5, n), 3)
    onset[3] += 3e-4
    split = pick_splits(rng, train=n_train, val=n_val, none=4)
    direction = np.where(split == "none", np.nan, rng.choice([0.0, 90.0], n))
    trials = {
        "start_time": start,
        "stop_time": start + 1.45,
        "result": rng.choice(["R", "F"], n),
        "ctr_hold_bump": rng.random(n) < 0.5,
        "move_onset_time": onset,
        "cond_dir": direction,
        "split": split,
    }
    sampled, values, rates = continuous(rng, intervals, n_heldin + n_heldout, 2)
    times = sampled / 1000
    series = {
        "hand_vel": (times, values[sampled], "x,y"),
        "force": (times, rng.normal(size=(len(times), 6)), "fx,fy,fz,mx,my,mz"),
    }
    train = Session(trials, intervals, draw_spikes(rng, rates, intervals), heldout_mask(rng, n_heldin, n_heldout), series)
    return train, snippets(rng, train, n_test, "move_onset_time", 0.1, 0.6)


def dmfc(n_train=20, n_val=10, n_test=6, n_heldin=8, n_heldout=4, seed=3) -> tuple[Session, Session]:
    """Reproduced time intervals: no behaviour series, behaviour in the trials table, windows of unequal length."""
    rng = np.random.default_rng(seed)
    n = n_train + n_val + 4
    per_block = -(-n // 6)
    intervals = blocks(6, 6.0 * per_block + 0.5, 0.2)
    start = np.concatenate([a + 0.1 + 6.0 * np.arange(per_block) for a in np.round(intervals[:, 0], 3)])[:n]
    ts = rng.choice([640.0, 1000.0], n)
    tp = np.round(ts * rng.uniform(0.8, 1.3, n), 1)
    set_time = np.round(start + 2.5 + rng.uniform(0, 0.5, n), 4)
    split = pick_splits(rng, train=n_train, val=n_val, none=4)
    trials = {
        "start_time": start,
        "stop_time": start + 5.9,
        "ready_time": set_time - ts / 1000,
        "set_time": set_time,
        "go_time": set_time + tp / 1000,
        "is_short": (ts < 800).astype(float),
        "is_eye": rng.integers(0, 2, n).astype(float),
        "theta": np.repeat(0.0, n),
        "ts": ts,
        "tp": tp,
        "is_outlier": (np.arange(n) % 9 == 4).astype(float),
        "split": split,
    }
    length = round(intervals[-1, 1] * 1000)
    rates = np.full((length, n_heldin + n_heldout), 15.0)
    train = Session(trials, intervals, draw_spikes(rng, rates, intervals), heldout_mask(rng, n_heldin, n_heldout))
    return train, snippets(rng, train, n_test, "go_time", 1.5, 1.5)


VARIANTS = {"mc_maze": maze, "mc_rtt": rtt, "area2_bump": area2, "dmfc_rsg": dmfc}


def write_pair(folder: Path, name: str, **sizes) -> Path:
    """Write the train and test file of a variant; returns the folder."""
    train, test = VARIANTS[name](**sizes)
    behavior = "behavior+" if train.series else ""
    write_session(folder / f"sub-Fake_desc-train_{behavior}ecephys.nwb", train)
    heldin_ids = 1011 + 10 * np.flatnonzero(~train.heldout)
    write_session(folder / "sub-Fake_desc-test_ecephys.nwb", test, heldin_ids)
    return folder
