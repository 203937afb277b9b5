"""Peak memory of a solve and its backward pass, plain, checkpointed and reversible, against the number of steps.

    python -m benchmarks.checkpoint_memory [--steps 400 1600 6400 25600]

Each measurement runs in a process of its own; what counts is the rise of the peak resident size above that before the
solve. Prints one JSON object a line, and last the exponent of steps that fits each way: 1 is linear, .5 a square root.
"""

import argparse
import json
import math
import resource
import subprocess
import sys

import torch

from neuralsde.noise import Brownian
from neuralsde.sde import Neural, StratonovichForm
from neuralsde.solvers import EulerMaruyama, integrate, integrate_reversible

BATCH, STATE = 64, 32
LIMITS = {"plain": 1600, "checkpoint": 25600, "reversible": 6400}  # steps beyond which a way is not measured


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def solve(way: str, steps: int) -> None:
    torch.manual_seed(0)
    sde, z0 = Neural(STATE), torch.randn(BATCH, STATE)
    times = torch.tensor([0.0, 1.0], dtype=torch.float64)
    if way == "reversible":
        z = integrate_reversible(StratonovichForm(sde), z0, times, Brownian(), steps)
    else:
        z = integrate(sde, EulerMaruyama(), z0, times, Brownian(), steps, checkpoint=way == "checkpoint")
    z[-1].square().mean().backward()


def child(way: str, steps: int) -> None:
    solve(way, 16)  # libraries, thread pools and code are loaded before the measurement
    before = peak_mib()
    solve(way, steps)
    print(peak_mib() - before)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, nargs="+", default=[400, 1600, 6400, 25600])
    parser.add_argument("--child", nargs=2)
    arguments = parser.parse_args()
    if arguments.child:
        return child(arguments.child[0], int(arguments.child[1]))
    for way, limit in LIMITS.items():
        found = {}
        for steps in (n for n in arguments.steps if n <= limit):
            command = [sys.executable, "-m", "benchmarks.checkpoint_memory", "--child", way, str(steps)]
            found[steps] = float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
            print(json.dumps({"way": way, "steps": steps, "peak_mib": round(found[steps], 1)}), flush=True)
        first, last = min(found), max(found)
        exponent = math.log(max(found[last], 0.1) / max(found[first], 0.1)) / math.log(last / first)
        print(json.dumps({"way": way, "exponent": round(exponent, 2), "from": first, "to": last}), flush=True)


if __name__ == "__main__":
    main()
