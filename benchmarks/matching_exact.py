"""The bound of posteriors that are given by their exact marginals, beside the log-evidence of their data.

    python -m benchmarks.matching_exact [--draws 40000] [--bound continuous]

Three observations on [0, 2] of a linear prior; the moments are those of its exact posterior, a Gaussian process
(`tests/inference/gaussian_process_oracle.py`), in place of learned curves. Each draw is one estimate of the bound as
`objective=sde_matching` makes it, from 24 times, or with `--bound discrete` from 24 of the solver's 40 steps.

Prints one JSON object a line: `prior`, `bound` (mean, nats), `standard_error`, `log_evidence`. The last two are posteriors that
cannot be exact: a factorised one of a plane that rotates, and one with the right marginals and no current around them.
"""

import argparse
import json

import torch

from neuralsde.inference.path import Bound, Matching
from tests.inference.gaussian_process_oracle import diagonal_moments
from tests.inference.test_matched_sde import (
    OU,
    PLANE,
    PLANE_MOMENTS,
    SPRING,
    bounds,
    ornstein_uhlenbeck,
    oscillator,
    plane,
)

CASES = {
    "Ornstein–Uhlenbeck": (ornstein_uhlenbeck, OU),
    "rotating plane": (lambda: plane(PLANE_MOMENTS), PLANE),
    "underdamped oscillator": (oscillator, SPRING),
    "rotating plane, factorised": (lambda: plane(diagonal_moments(PLANE), "diagonal"), PLANE),
    "rotating plane, no current": (lambda: plane(PLANE_MOMENTS, last=0.0), PLANE),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=40000)
    parser.add_argument("--bound", default="continuous", choices=[bound.value for bound in Bound])
    arguments = parser.parse_args()
    draws, matching = arguments.draws, Matching(24, None, Bound(arguments.bound))
    torch.set_num_threads(1)
    for name, (process, posterior) in CASES.items():
        samples, evidence = bounds(process(), posterior, draws, matching)
        line = {"prior": name, "bound": samples.mean().item(), "standard_error": (samples.std() / draws**0.5).item()}
        rounded = {key: round(value, 4) if isinstance(value, float) else value for key, value in line.items()}
        print(json.dumps({**rounded, "log_evidence": round(evidence.item(), 4)}, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    main()
