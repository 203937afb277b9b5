"""Files that coverage guides (atheris): `python -m tests.fuzz.guided TARGET FILES SEED FOLDER FAILURES`."""

import json
import os
import sys
from pathlib import Path

import atheris

INSTRUMENTED = ["neuralsde.datamodules", "neuralsde.evaluation", "zipfile", "json", "csv"]
SAVE_EVERY = 100
MOST_BYTES = 200_000


def main() -> None:
    """Mutate until so many files have been read; counts are in `counts.json` of the folder, since libFuzzer never returns."""
    name, files, seed, folder, failures = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]), Path(sys.argv[5])
    with atheris.instrument_imports(include=INSTRUMENTED):
        from tests.fuzz.campaign import Tally, keep
        from tests.fuzz.target import all_targets
        from tests.fuzz.worker import outcome_of

        target = all_targets()[name]
    for part in ("seeds", "corpus", "work"):
        (folder / part).mkdir()
    for i, path in enumerate(target.seeds(folder / "seeds")):
        (folder / "corpus" / str(i)).write_bytes(path.read_bytes())
    os.chdir(folder / "work")
    tally, path = Tally(), folder / "work" / f"file{target.suffix}"

    def one(content: bytes) -> None:
        path.write_bytes(content)
        outcome = outcome_of(target, path)
        tally.add(outcome)
        if outcome.kind == "failed":
            keep(target, path, 10**6 + tally.files, outcome.what, failures, tally)
        if tally.files % SAVE_EVERY == 0 or tally.files >= files:
            (folder / "counts.json").write_text(
                json.dumps({kind: getattr(tally, kind) for kind in ("kinds", "refused", "failed")})
            )
        if tally.files >= files:
            os._exit(0)

    failures.mkdir(parents=True, exist_ok=True)  # libFuzzer wants it there
    limits = [f"-max_len={MOST_BYTES}", "-timeout=30", "-rss_limit_mb=3000", f"-artifact_prefix={failures}/"]
    atheris.Setup([sys.argv[0], f"-seed={seed + 1}", "-len_control=0", *limits, str(folder / "corpus")], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
