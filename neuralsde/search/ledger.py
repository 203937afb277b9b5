"""What a search has trained, as its folder says: every leg has a folder of its own, which appears when the leg is done."""

import csv
import io
import json
import shutil
from pathlib import Path
from typing import Any

from neuralsde.errors import CheckpointError
from neuralsde.files import write_whole
from neuralsde.search.leg import History, Place, Trained
from neuralsde.training.files import read_json

SUMMARY, TABLE, OUTCOME = "search.json", "table.csv", "outcome.json"


def read_legs(folder: Path) -> list[Trained]:
    """The legs that are done.

    Raises:
        CheckpointError: a file is damaged.
    """
    return [read_outcome(path.parent) for path in sorted(folder.glob(f"trials/trial_*/generation_*/{OUTCOME}"))]


def read_outcome(leg_folder: Path) -> Trained:
    """What came of the leg that was trained in `leg_folder`.

    Raises:
        CheckpointError: its file is damaged.
    """
    path = leg_folder / OUTCOME
    try:
        return Trained.of(read_json(path))
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise CheckpointError(f"{path} is damaged ({error}): move {leg_folder} away to train that leg again.") from error


def sweep(folder: Path) -> None:
    """Take away what a killed search left half-written."""
    for path in (*folder.glob("trials/trial_*/.generation_*"), *folder.glob(".best.*"), *folder.glob(".ray*")):
        shutil.rmtree(path, ignore_errors=True)


def write_summary(folder: Path, history: History, facts: dict[str, Any]) -> None:
    """Write `search.json` and `table.csv`.

    Args:
        folder: the search's folder.
        history: what has been trained.
        facts: of the search as a whole.
    """
    legs = sorted(history.legs, key=lambda one: (one.leg.generation, one.leg.trial, one.leg.attempt))
    ranking = [{"folder": one.leg.folder, **one.as_dict()} for one in history.ranking()]
    content = {**facts, "ranking": ranking, "legs": [one.as_dict() for one in legs]}
    write_whole(folder / SUMMARY, json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    rows = [row_of(one) for one in legs]
    if rows:
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
        write_whole(folder / TABLE, text.getvalue())


def row_of(one: Trained) -> dict[str, Any]:
    """A row of the table."""
    leg, outcome = one.leg, one.outcome
    parent = "" if leg.parent is None else f"{leg.parent[0]}/{leg.parent[1]}"
    place = {"trial": leg.trial, "generation": leg.generation, "attempt": leg.attempt, "parent": parent}
    scores = {"score": outcome.score, "best": outcome.best, "seconds": outcome.seconds, "failure": outcome.failure or ""}
    return {**place, **scores, **leg.settings}


def is_search(folder: Path) -> bool:
    """Whether a search was run in `folder`."""
    return (folder / SUMMARY).is_file()


def best_checkpoints(folder: Path, top: int) -> list[Path]:
    """The checkpoints of the best trials, one each, the best first.

    Raises:
        CheckpointError: there are not so many, or the summary is damaged.
    """
    content = read_json(folder / SUMMARY)
    try:
        paths = [checkpoint_of(folder / one["folder"], content["weights"]) for one in content["ranking"]]
    except (KeyError, TypeError) as error:
        raise CheckpointError(f"{folder / SUMMARY} is damaged ({error}): start the search again, which goes on.") from error
    if not 1 <= top <= len(paths):
        raise CheckpointError(
            f"{folder} holds {len(paths)} trained trials, but the best {top} are asked for: give --top 1 to {len(paths)}."
        )
    return paths[:top]


def checkpoint_of(leg_folder: Path, weights: str) -> Path:
    """The checkpoint of a leg, `best` or `last`."""
    return leg_folder / "checkpoints" / f"{weights}.ckpt"


def prune(folder: Path, history: History, kept: set[Place]) -> None:
    """Take away checkpoints that nothing goes on from and that are not the best of their trials.

    Args:
        folder: the search's folder.
        history: what has been trained.
        kept: places whose `last.ckpt` may be gone on from.
    """
    best = {one.leg.folder for one in history.ranking()}
    for one in history.legs:
        if one.leg.folder in best:
            continue
        checkpoint_of(folder / one.leg.folder, "best").unlink(missing_ok=True)
        if one.leg.place not in kept:
            checkpoint_of(folder / one.leg.folder, "last").unlink(missing_ok=True)
