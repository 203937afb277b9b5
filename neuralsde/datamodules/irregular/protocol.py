"""Which series are in which split, and which of their values may be seen: saved with a run, so that it can be repeated."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from neuralsde.datamodules.irregular.series import SeriesData, SeriesSet
from neuralsde.errors import DataError
from neuralsde.files import write_atomically

SPLITS = ("train", "val", "test")


class Protocol(NamedTuple):
    """What a run was shown of a collection.

    Args:
        name: of the collection.
        source: where it came from.
        names: of the series, by split.
        seen: values that may be seen, (series, row, channel), bool, by split; of training series in the first epoch.
    """

    name: str
    source: str
    names: dict[str, np.ndarray]
    seen: dict[str, np.ndarray]

    def differs_from(self, data: SeriesData) -> str:
        """What is other in `data`, one clause; empty where nothing is."""
        for split in SPLITS:
            series: SeriesSet = getattr(data, split)
            if not np.array_equal(self.names[split], series.names):
                return f"the {split} series are others"
            if not np.array_equal(self.seen[split], ~np.isnan(series.values)):
                return f"other values of the {split} series may be seen"
        return ""


def protocol_of(data: SeriesData) -> Protocol:
    """The protocol that `data` follow."""
    sets: dict[str, SeriesSet] = {split: getattr(data, split) for split in SPLITS}
    names = {split: s.names for split, s in sets.items()}
    return Protocol(data.name, data.source, names, {split: ~np.isnan(s.values) for split, s in sets.items()})


def write_protocol(path: Path, data: SeriesData) -> None:
    """Write splits and masks to an .npz file, a bit for each value, whole or not at all."""
    found, image = protocol_of(data), io.BytesIO()
    arrays: dict[str, Any] = {f"{split}_names": found.names[split] for split in SPLITS}
    arrays |= {f"{split}_seen": np.packbits(found.seen[split]) for split in SPLITS}
    shapes = {split: found.seen[split].shape for split in SPLITS}
    facts = json.dumps({"name": found.name, "source": found.source, "shapes": shapes})
    np.savez_compressed(image, facts=np.array(facts), **arrays)
    write_atomically(path, image.getvalue())


def read_protocol(path: Path) -> Protocol:
    """Splits and masks from such a file.

    Raises:
        DataError: it is missing, damaged, or another kind of file.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            facts = json.loads(str(file["facts"]))
            names = {split: file[f"{split}_names"] for split in SPLITS}
            bits = {split: file[f"{split}_seen"] for split in SPLITS}
        seen = {s: np.unpackbits(b, count=int(np.prod(facts["shapes"][s]))).astype(bool) for s, b in bits.items()}
        seen = {split: flat.reshape(facts["shapes"][split]) for split, flat in seen.items()}
        return Protocol(facts["name"], facts["source"], names, seen)
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: splits and masks cannot be read ({error}); give a file that a run has written.") from error
