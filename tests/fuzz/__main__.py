"""Read mutated files with everything that reads one (make fuzz).

python -m tests.fuzz                          # 12,000 files, then those that coverage finds
python -m tests.fuzz --only nwb --files 2000  # targets whose names begin so
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.fuzz.campaign import Tally, run
from tests.fuzz.target import Target, all_targets


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m tests.fuzz", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--files", type=int, default=12_000, help="mutated files in all (default: 12000)")
    parser.add_argument("--guided", type=int, default=2_000, help="files for each target that coverage guides (default: 2000)")
    parser.add_argument("--seed", type=int, default=0, help="of the mutations (default: 0)")
    parser.add_argument("--only", default="", help="begin of the names of targets")
    parser.add_argument("--failures", default="fuzz_failures", help="folder for files that fail (default: fuzz_failures)")
    return parser.parse_args()


def main() -> int:
    """Status 1 where anything but a refusal in our own words came out."""
    options = arguments()
    targets = {name: target for name, target in all_targets().items() if name.startswith(options.only)}
    failures, start = Path(options.failures), time.monotonic()
    tallies: dict[str, Tally] = {}
    total = sum(target.share for target in targets.values())
    print(f"{'target':<26}{'files':>7}{'read':>7}{'refused':>9}{'ways':>6}{'failed':>8}{'slowest':>9}{'peak':>9}")
    for name, target in targets.items():
        numbers = range(round(options.files * target.share / total) + 1)
        with tempfile.TemporaryDirectory() as folder:
            tallies[name] = run(target, numbers, options.seed, Path(folder), failures)
        show(name, tallies[name])
    for name, target in targets.items():
        if target.guided and options.guided:
            tallies[f"{name}, guided"] = guided(target, options, failures)
            show(f"{name}, guided", tallies[f"{name}, guided"])
    return summary(tallies, failures, time.monotonic() - start)


def guided(target: Target, options: argparse.Namespace, failures: Path) -> Tally:
    """Files that coverage finds, in a process whose Python code is instrumented."""
    with tempfile.TemporaryDirectory() as folder:
        counts = Path(folder) / "counts.json"
        words = [target.name, str(options.guided), str(options.seed), folder, str(failures.absolute())]
        ended = subprocess.run([sys.executable, "-m", "tests.fuzz.guided", *words], capture_output=True, text=True)
        tally = Tally()
        if counts.is_file():
            content = json.loads(counts.read_text())
            for kind in ("kinds", "refused", "failed"):
                getattr(tally, kind).update(content[kind])
        if tally.files < options.guided:
            last = (ended.stderr.strip().splitlines() or ["no output"])[-1]
            tally.kinds["failed"] += 1
            tally.failed[f"ended with {ended.returncode} after {tally.files} files: {last[:200]}"] += 1
        return tally


def show(name: str, tally: Tally) -> None:
    """A row for a target."""
    kinds = tally.kinds
    print(
        f"{name:<26}{tally.files:>7}{kinds['read']:>7}{kinds['refused']:>9}{len(tally.refused):>6}{kinds['failed']:>8}"
        f"{tally.slowest_s:>7.1f} s{tally.peak_mb:>6.0f} MB",
        flush=True,
    )


def summary(tallies: dict[str, Tally], failures: Path, seconds: float) -> int:
    """Totals, and each kind of failure."""
    files, failed = (sum(f(t) for t in tallies.values()) for f in (lambda t: t.files, lambda t: t.kinds["failed"]))
    ways = sum(len(t.refused) for t in tallies.values())
    print(f"\n{files} files in {seconds:.0f} s: {failed} failures; refused in {ways} places.")
    for name, tally in tallies.items():
        for what, count in tally.failed.most_common():
            print(f"  {name}: {count} × {what}")
    if failed:
        print(f"Files that fail are kept in {failures}/.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
