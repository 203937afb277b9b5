"""Adaptive against constant steps on the Cox–Ingersoll–Ross process: `python -m benchmarks.cir [--method strang]`.

dX = a (b - X) dt + sigma sqrt(X) dW with a = b = 1, X_0 = 1, to time 4, by the drift-implicit Euler method or the
high-order Strang splitting, on one Brownian tree per path. Steps are constant; or by the published rule
h = (c min(X_0, X_1))^(2/3) (`RootController`); or by step doubling (`PIDController`). As published, the rule is held to
itself at a quarter of the smallest c; constant steps and doubling are held to 2^13 constant steps. Prints one JSON object
per run (mean accepted steps, mean evaluations of the method, rejected steps and the three of a doubled step
counted, RMS error at the end) and per fit (slope of log error on log mean accepted steps, and on log evaluations).

Published (notebooks of "Single-seed generation of Brownian paths and integrals", strong order, constant -> adaptive; 50,000
paths, c = 1 to 2^-11 at sigma = 1.5 and 1/2 to 2^-9 at 2.2): drift-implicit Euler .83-.86 -> .97-1.03 at sigma = 1.5 and
.46 -> .86 at 2.2; the splitting .78 -> 1.65-1.82 and .39 -> .81.
"""

import argparse
import json
from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from neuralsde.noise import BrownianTree
from neuralsde.sde import CoxIngersollRoss
from neuralsde.solvers import DriftImplicitCIR, PIDController, RootController, StrangCIR, integrate, integrate_adaptive

METHODS = {"drift_implicit": DriftImplicitCIR(), "strang": StrangCIR()}
WAYS = ["constant", "root", "doubling"]
CONSTANT, REFERENCE = range(4, 12), 13  # powers of two
DOUBLE = torch.float64
ENDS = torch.tensor([0.0, 4.0], dtype=DOUBLE)


def rms(x: Tensor) -> float:
    return x.square().mean().sqrt().item()


def slope(sizes: list[float], errors: list[float]) -> float:
    return round(-np.polyfit(np.log(sizes), np.log(errors), 1)[0], 2)


def report(case: dict, way: str, runs: Iterable[tuple[float, float, float]]) -> None:
    """`runs` yields (mean steps, mean evaluations, error)."""
    done = []
    for steps, evaluations, error in runs:
        done.append((steps, evaluations, error))
        line = {"mean_steps": round(steps, 1), "evaluations": round(evaluations, 1), "rms": float(f"{error:.3g}")}
        print(json.dumps(case | {"steps": way} | line), flush=True)
    steps, evaluations, errors = (list(x) for x in zip(*done, strict=True))
    fits = {"slope": slope(steps, errors), "slope_by_evaluations": slope(evaluations, errors)}
    print(json.dumps(case | {"steps": way} | fits), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--method", choices=METHODS, default="drift_implicit")
    parser.add_argument("--paths", type=int, default=200)
    parser.add_argument("--sigmas", type=float, nargs="+", default=[1.5, 2.2])
    parser.add_argument("--levels", type=int, nargs=2, default=[1, 7], help="of the published rule: c = 2^-level")
    parser.add_argument("--dt-min", type=float, default=2.0**-15, help="shortest adaptive step")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    arguments = parser.parse_args()
    solver, z0 = METHODS[arguments.method], torch.ones(arguments.paths, 1, dtype=DOUBLE)
    tree = BrownianTree(0, 0.0, ENDS[-1].item(), arguments.dt_min / 2, solver.levy_area)
    coarse, fine = arguments.levels
    for sigma in arguments.sigmas:
        sde, case = CoxIngersollRoss(1.0, 1.0, sigma), {"method": arguments.method, "sigma": sigma}

        def adaptive(controller, sde=sde):
            return integrate_adaptive(sde, solver, z0, ENDS, tree, controller, dt0=0.05, max_trials=10**6)

        def constant(steps, sde=sde):
            return integrate(sde, solver, z0, ENDS, tree, steps)[-1]

        def run(controller, truth, adaptive=adaptive):
            found = adaptive(controller)
            each = 3 if controller.reads_error else 1
            trials = (found.accepted + found.rejected).double().mean().item()
            # A step by step doubling is two steps of half the length.
            steps = (2 if controller.reads_error else 1) * found.accepted.double().mean().item()
            return steps, each * trials, rms(found.path[-1] - truth)

        if "constant" in arguments.ways:
            truth = constant(2**REFERENCE)
            report(case, "constant", ((2.0**n, 2.0**n, rms(constant(2**n) - truth)) for n in CONSTANT))
        if "root" in arguments.ways:
            truth = adaptive(RootController(2.0 ** -(fine + 2), arguments.dt_min)).path[-1]
            controllers = (RootController(2.0**-level, arguments.dt_min) for level in range(coarse, fine + 1))
            report(case, "root", (run(controller, truth) for controller in controllers))
        if "doubling" in arguments.ways:
            truth = constant(2**REFERENCE)
            controllers = (PIDController(c, dt_min=arguments.dt_min, pcoeff=0.2, icoeff=0.5) for c in (1e-1, 3e-2, 1e-2, 3e-3))
            report(case, "doubling", (run(controller, truth) for controller in controllers))


if __name__ == "__main__":
    main()
