"""Speed of the fixed-grid loop beside its peers: `python -m benchmarks.solvers [--rounds 9] [--cores 1] [--cases 0 1 2]`.

Every round times every contestant, one after the other, so that a disturbance by other work on the machine hits
all of them; a line gives medians over rounds, and as ratio the median over rounds of peer / ours. Slow peers sit out
after their share of time. All contestants are held to the same `--cores`.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable

import torch

from benchmarks.peers.problem import Case, NetSDE
from benchmarks.peers.torch_peers import forward, forward_backward, matrix_products, torch_contestants, without_kernels
from neuralsde.training.heap import keep_freed_memory

CASES = [Case(64, 32, 64, 100), Case(256, 64, 128, 200), Case(16, 8, 16, 1000)]
LONG_MS = 200.0
SHARE_S = 20.0  # a peer that has used this much time in a case is not timed again


def contestants(case: Case, backward: bool) -> dict[str, Callable[[], None]]:
    torch.manual_seed(0)
    sde, z0 = NetSDE(case), torch.randn(case.batch, case.state)
    solves = torch_contestants(case, sde, z0)
    if not backward:
        del solves["torchsde_adjoint"]  # it differs in the backward pass only
    found = {name: forward_backward(solve, sde) if backward else forward(solve) for name, solve in solves.items()}
    found["torch_loop"] = without_kernels(found["torch_loop"])
    found["limit"] = matrix_products(case, backward)
    try:
        from benchmarks.peers.jax_peers import jax_contestants
    except ImportError as missing:
        print(json.dumps({"case": case.name, "peer": "jax_scan, diffrax", "skipped": f"{missing}; install the bench extra"}))
        return found
    return found | jax_contestants(case, sde, z0, backward)


def lap(run: Callable[[], None]) -> float:
    """Milliseconds: median of up to five calls in a row, as in a training loop; one call where it takes long."""
    calls: list[float] = []
    while len(calls) < 5 and sum(calls) < LONG_MS:
        start = time.perf_counter()
        run()
        calls.append((time.perf_counter() - start) * 1e3)
    return statistics.median(calls)


def race(runs: dict[str, Callable[[], None]], rounds: int) -> dict[str, list[float]]:
    """Milliseconds per contestant and round, after a round to warm up (and to compile)."""
    for name, run in runs.items():
        if not name.startswith("torchsde"):  # nothing to compile, and slow
            run()
    laps: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            if sum(laps[name]) < SHARE_S * 1e3:
                laps[name].append(lap(run))
    return laps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--cores", type=int, default=1)
    parser.add_argument("--cases", type=int, nargs="*", default=range(len(CASES)))
    arguments = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-arguments.cores :])
    torch.set_num_threads(arguments.cores)
    keep_freed_memory()  # for all contestants alike
    for case in (CASES[n] for n in arguments.cases):
        for backward in (False, True):
            laps = race(contestants(case, backward), arguments.rounds)
            ours = laps.pop("ours")
            for peer, theirs in laps.items():
                ratio = statistics.median(b / a for a, b in zip(ours, theirs, strict=False))
                line = {
                    "case": case.name,
                    "pass": "forward+backward" if backward else "forward",
                    "ours_ms": round(statistics.median(ours), 2),
                    "peer": peer,
                    "peer_ms": round(statistics.median(theirs), 2),
                    "ratio": round(ratio, 2),
                    "rounds": len(theirs),
                    "cores": arguments.cores,
                }
                print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
