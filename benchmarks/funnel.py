"""Neal's funnel by underdamped Langevin dynamics: `python -m benchmarks.funnel [--force neal released] [--chains 64]`.

y ~ N(0, 9) and nine x_i ~ N(0, e^y): the state is (y, x). Three samplers, one JSON object each: QUICSORT with constant
steps, QUICSORT with adaptive steps (step doubling, revisited times), and numpyro's NUTS (bench extra). Effective samples
are numpyro's estimate over all chains: their mean over coordinates, the published mean in which y weighs as much as all
x_i, and the worst coordinate. Chains start at 0; the burn-in of the Langevin chains is dropped and its gradients are
counted, the warm-up of NUTS is not counted.

Two forces. `neal` is the gradient of the funnel's potential. `released` is what the published figures were made with:
there exp(y/2) is a constant to the gradient, so that y feels only its own prior, y/9, and nothing of the x_i. For NUTS
that gradient is not the energy's, and few proposals are accepted. Each force has its own settings: `released` the
published ones (steps of 1/256, tolerance 1/64, 16 draws of warm-up from a step of 2).

Published (notebooks of "Single-seed generation of Brownian paths and integrals"), gradient evaluations per effective
sample: NUTS 48,958, QUICSORT constant 9,534, adaptive 152. The last counts two gradients per trial, where step doubling
takes six: 456 (`as_published` below counts as they did).
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from neuralsde.noise import Brownian, BrownianTree
from neuralsde.sde import UnderdampedLangevin
from neuralsde.solvers import QUICSORT, PIDController, integrate, integrate_adaptive

SIZE, DOUBLE = 10, torch.float64
FORCES = 2  # per step of QUICSORT
BURN = 16  # draws


def potential(z: Tensor) -> Tensor:
    y, x = z[..., 0], z[..., 1:]
    return y**2 / 18 + (SIZE - 1) / 2 * y + torch.exp(-y) * x.square().sum(-1) / 2


def gradient(z: Tensor) -> Tensor:
    y, x = z[..., :1], z[..., 1:]
    scaled = torch.exp(-y) * x
    by_y = y / 9 + (SIZE - 1) / 2 - (scaled * x).sum(-1, keepdim=True) / 2
    return torch.cat([by_y, scaled], -1)


def released(z: Tensor) -> Tensor:
    y, x = z[..., :1], z[..., 1:]
    return torch.cat([y / 9, torch.exp(-y) * x], -1)


def report(force: str, sampler: str, draws: np.ndarray, evaluations: float, **more: float) -> None:
    """`draws` is (chains, draws, size); `evaluations` counts gradients of all chains."""
    from numpyro.diagnostics import effective_sample_size

    effective = np.array([float(effective_sample_size(draws[..., d])) for d in range(SIZE)])
    count = draws.shape[0] * draws.shape[1]
    weighted = effective[0] / 2 + effective[1:].mean() / 2
    line = {
        "force": force,
        "sampler": sampler,
        "gradients_per_effective_sample": round(evaluations / effective.mean(), 1),
        "y_weighs_half": round(evaluations / weighted, 1),
        "of_the_worst_coordinate": round(evaluations / effective.min(), 1),
        "gradients_per_draw": round(evaluations / count, 1),
        "effective_per_draw": round(effective.mean() / count, 4),
        "mean_y": round(float(draws[..., 0].mean()), 3),
        "sd_y (3)": round(float(draws[..., 0].std()), 3),
    }
    if sampler == "QUICSORT adaptive":
        line["as_published"] = round(evaluations / 3 / weighted, 1)
    print(json.dumps(line | more), flush=True)


@dataclass(frozen=True)
class Setting:
    """Of one force: its gradient, constant step, tolerance, shortest step, and NUTS's warm-up draws and first step."""

    gradient: Callable[[Tensor], Tensor]
    step: float
    tolerance: float
    dt_min: float
    warmup: int
    first_step: float


SETTINGS = {
    "neal": Setting(gradient, 2.0**-6, 0.005, 2.0**-12, 500, 1.0),
    "released": Setting(released, 2.0**-8, 2.0**-6, 2.0**-10, 16, 2.0),
}


def langevin(force: str, setting: Setting, chains: int, draws: int, every: float, seed: int) -> None:
    sde = UnderdampedLangevin(potential, friction=1.0, gradient=setting.gradient)
    z0 = torch.zeros(chains, 2 * SIZE, dtype=DOUBLE)
    times = every * torch.arange(BURN + draws + 1, dtype=DOUBLE)
    per_draw = round(every / setting.step)
    path = integrate(sde, QUICSORT(), z0, times, Brownian(torch.Generator().manual_seed(seed)), per_draw)
    kept = path[BURN + 1 :, :, :SIZE].transpose(0, 1).numpy()
    report(force, "QUICSORT constant", kept, FORCES * per_draw * (BURN + draws) * chains, step=setting.step)

    tree = BrownianTree(seed, 0.0, times[-1].item(), setting.dt_min / 2)
    controller = PIDController(setting.tolerance, dt_min=setting.dt_min, pcoeff=0.1, icoeff=0.4)
    found = integrate_adaptive(sde, QUICSORT(), z0, times, tree, controller, dt0=0.01, max_trials=10**6)
    kept = found.path[BURN + 1 :, :, :SIZE].transpose(0, 1).numpy()
    trials = (found.accepted + found.rejected).sum().item()
    more = {
        "tolerance": setting.tolerance,
        "trials_per_unit": round(trials / chains / times[-1].item(), 2),
        "rejected": round(found.rejected.sum().item() / trials, 3),
    }
    report(force, "QUICSORT adaptive", kept, 3 * FORCES * trials, **more)


def nuts(force: str, setting: Setting, chains: int, draws: int) -> None:
    import jax
    import jax.numpy as jnp
    from numpyro.infer import MCMC, NUTS

    def energy(z: jnp.ndarray) -> jnp.ndarray:
        y = z[0] if force == "neal" else jax.lax.stop_gradient(z[0])
        return z[0] ** 2 / 18 + (SIZE - 1) / 2 * y + jnp.exp(-y) * (z[1:] ** 2).sum() / 2

    kernel = NUTS(potential_fn=energy, step_size=setting.first_step)
    sampler = MCMC(
        kernel, num_warmup=setting.warmup, num_samples=draws, num_chains=chains, chain_method="vectorized", progress_bar=False
    )
    sampler.run(jax.random.PRNGKey(1), init_params=jnp.zeros((chains, SIZE)), extra_fields=("num_steps",))
    found = np.asarray(sampler.get_samples(group_by_chain=True))
    report(force, "NUTS", found, float(sampler.get_extra_fields()["num_steps"].sum()), warmup=setting.warmup)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--force", nargs="+", choices=SETTINGS, default=list(SETTINGS))
    parser.add_argument("--chains", type=int, default=64)
    parser.add_argument("--draws", type=int, default=128, help="per chain")
    parser.add_argument("--every", type=float, default=2.0, help="time between draws")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tolerance", type=float, help="of the adaptive steps; of the setting if not given")
    parser.add_argument("--warmup", type=int, help="draws of NUTS; of the setting if not given")
    arguments = parser.parse_args()
    try:
        import numpyro  # noqa: F401
    except ImportError as missing:
        print(json.dumps({"skipped": f"{missing}; install the bench extra"}))
        return
    for force in arguments.force:
        setting = SETTINGS[force]
        if arguments.tolerance:
            setting = replace(setting, tolerance=arguments.tolerance)
        if arguments.warmup:
            setting = replace(setting, warmup=arguments.warmup)
        nuts(force, setting, arguments.chains, arguments.draws)
        langevin(force, setting, arguments.chains, arguments.draws, arguments.every, arguments.seed)


if __name__ == "__main__":
    main()
