"""Neal's funnel by underdamped Langevin dynamics: `python -m benchmarks.funnel [--chains 32] [--time 200]`.

y ~ N(0, 9) and nine x_i ~ N(0, e^y): the state is (y, x). Three samplers, one JSON object each: QUICSORT with constant
steps, QUICSORT with adaptive steps (step doubling, revisited times), and numpyro's NUTS (bench extra; 500 warm-up
draws per chain, whose gradients are not counted). Effective samples are numpyro's estimate over all chains, the mean
over coordinates as published, and beside it that of the worst coordinate. The first fifth of the Langevin chains is
dropped, and its gradients are counted.

Published (notebooks of "Single-seed generation of Brownian paths and integrals"; NUTS with 16 warm-up draws), gradient
evaluations per effective sample: NUTS 48,958, QUICSORT constant 9,534, adaptive 152.
"""

import argparse
import json

import numpy as np
import torch
from torch import Tensor

from neuralsde.noise import Brownian, BrownianTree
from neuralsde.sde import UnderdampedLangevin
from neuralsde.solvers import QUICSORT, PIDController, integrate, integrate_adaptive

SIZE, DOUBLE = 10, torch.float64
FORCES = 2  # per step of QUICSORT


def potential(z: Tensor) -> Tensor:
    y, x = z[..., 0], z[..., 1:]
    return y**2 / 18 + (SIZE - 1) / 2 * y + torch.exp(-y) * x.square().sum(-1) / 2


def gradient(z: Tensor) -> Tensor:
    y, x = z[..., :1], z[..., 1:]
    scaled = torch.exp(-y) * x
    by_y = y / 9 + (SIZE - 1) / 2 - (scaled * x).sum(-1, keepdim=True) / 2
    return torch.cat([by_y, scaled], -1)


def report(sampler: str, draws: np.ndarray, evaluations: float, **more: float) -> None:
    """`draws` is (chains, draws, size); `evaluations` counts gradients of all chains."""
    from numpyro.diagnostics import effective_sample_size

    effective = [float(effective_sample_size(draws[..., d])) for d in range(SIZE)]
    count = draws.shape[0] * draws.shape[1]
    line = {
        "sampler": sampler,
        "gradients_per_effective_sample": round(evaluations / float(np.mean(effective)), 1),
        "of_the_worst_coordinate": round(evaluations / min(effective), 1),
        "gradients_per_draw": round(evaluations / count, 1),
        "effective_per_draw": round(float(np.mean(effective)) / count, 4),
        "mean_y": round(float(draws[..., 0].mean()), 3),
        "sd_y (3)": round(float(draws[..., 0].std()), 3),
    }
    print(json.dumps(line | more), flush=True)


def langevin(chains: int, time: float, step: float, tolerance: float) -> None:
    sde = UnderdampedLangevin(potential, friction=1.0, gradient=gradient)
    z0 = torch.randn(chains, 2 * SIZE, generator=torch.Generator().manual_seed(0), dtype=DOUBLE)
    times = torch.arange(0, time + 1, dtype=DOUBLE)
    burn = len(times) // 5
    per_unit = round(1 / step)
    path = integrate(sde, QUICSORT(), z0, times, Brownian(torch.Generator().manual_seed(1)), per_unit)
    draws = path[burn:, :, :SIZE].transpose(0, 1).numpy()
    report("QUICSORT constant", draws, FORCES * per_unit * time * chains, step=1 / per_unit)

    dt_min = 2.0**-12
    tree = BrownianTree(1, 0.0, time, dt_min / 2)
    controller = PIDController(tolerance, dt_min=dt_min, dt_max=1.0)
    found = integrate_adaptive(sde, QUICSORT(), z0, times, tree, controller, dt0=0.01, max_trials=10**6)
    draws = found.path[burn:, :, :SIZE].transpose(0, 1).numpy()
    trials = (found.accepted + found.rejected).sum().item()
    report("QUICSORT adaptive", draws, 3 * FORCES * trials, rejected=round(found.rejected.sum().item() / trials, 3))


def nuts(chains: int, draws: int) -> None:
    import jax.numpy as jnp
    import jax.random
    from numpyro.infer import MCMC, NUTS

    def energy(z: jnp.ndarray) -> jnp.ndarray:
        return z[0] ** 2 / 18 + (SIZE - 1) / 2 * z[0] + jnp.exp(-z[0]) * (z[1:] ** 2).sum() / 2

    kernel = NUTS(potential_fn=energy)
    sampler = MCMC(kernel, num_warmup=500, num_samples=draws, num_chains=chains, chain_method="vectorized", progress_bar=False)
    start = jax.random.normal(jax.random.PRNGKey(0), (chains, SIZE))
    sampler.run(jax.random.PRNGKey(1), init_params=start, extra_fields=("num_steps",))
    found = np.asarray(sampler.get_samples(group_by_chain=True))
    report("NUTS", found, float(sampler.get_extra_fields()["num_steps"].sum()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chains", type=int, default=32)
    parser.add_argument("--time", type=float, default=200.0)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--step", type=float, default=1 / 64)
    parser.add_argument("--tolerance", type=float, default=0.005)
    arguments = parser.parse_args()
    try:
        import numpyro  # noqa: F401
    except ImportError as missing:
        print(json.dumps({"skipped": f"{missing}; install the bench extra"}))
        return
    nuts(arguments.chains, arguments.draws)
    langevin(arguments.chains, arguments.time, arguments.step, arguments.tolerance)


if __name__ == "__main__":
    main()
