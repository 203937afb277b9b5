"""Records in the text layout of the PhysioNet/CinC Challenge 2012, as an archive or as a folder."""

import io
import tarfile
from pathlib import Path

import numpy as np

HEADER = "Time,Parameter,Value"


def record_text(number: int, rng: np.random.Generator, rows: int = 8) -> str:
    """A stay with the five rows of admission, then heart rate, temperature and glucose now and then."""
    admission = {"RecordID": number, "Age": 40 + number % 40, "Gender": number % 2, "Height": -1, "ICUType": 2, "Weight": 80}
    lines = [f"00:00,{name},{value}" for name, value in admission.items()]
    for minute in np.sort(rng.choice(np.arange(10, 2880), rows, replace=False)).tolist():
        stamp = f"{minute // 60:02d}:{minute % 60:02d}"
        lines += [
            f"{stamp},{name},{rng.normal(mean, 5):.1f}" for name, mean in (("HR", 85), ("Temp", 37)) if rng.random() < 0.8
        ]
        lines.append(f"{stamp},Glucose,{rng.normal(130, 20):.0f}")
    return "\n".join([HEADER, *lines]) + "\n"


def record_texts(n: int, seed: int = 0) -> dict[str, str]:
    """Texts by file name."""
    rng = np.random.default_rng(seed)
    return {f"{132000 + 7 * k}.txt": record_text(132000 + 7 * k, rng) for k in range(n)}


def outcomes_text(texts: dict[str, str]) -> str:
    rows = [f"{name.removesuffix('.txt')},6,1,5,-1,{k % 3 == 0:d}" for k, name in enumerate(sorted(texts))]
    return "\n".join(["RecordID,SAPS-I,SOFA,Length_of_stay,Survival,In-hospital_death", *rows]) + "\n"


def write_tar(path: Path, members: dict[str, str]) -> Path:
    """An archive whose members have the names given, whatever they are."""
    with tarfile.open(path, "w:gz") as archive:
        for name, text in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(text.encode())
            archive.addfile(info, io.BytesIO(text.encode()))
    return path


def write_set(folder: Path, texts: dict[str, str], set_name: str = "a") -> Path:
    """`set-a.tar.gz` with its outcomes."""
    members = {f"set-{set_name}/{name}": text for name, text in texts.items()}
    return write_tar(folder / f"set-{set_name}.tar.gz", {f"Outcomes-{set_name}.txt": outcomes_text(texts)} | members)
