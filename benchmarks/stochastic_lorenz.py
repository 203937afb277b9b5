"""Generated marginals of a latent SDE on the stochastic Lorenz attractor, ours beside torchsde's recipe.

    python -m benchmarks.stochastic_lorenz [--minutes 4] [--seeds 0] [--threads 1]

Data: `data=stochastic_lorenz` (1024 series of 41 observations on [0, 1], standardised, observation noise 0.01). Both models
have the same prior net (drift 128-128, a small diffusion net per component, 4 states) and a linear read-out; the recipe has its
own encoder and posterior drift, ours a smaller recurrence and a control, as `experiment=latent_sde/stochastic_lorenz` has them.
Both train for the same wall-clock time, the recipe on whole batches, ours on batches of 64. Then each is simulated from its
prior, and at t = 0.25, 0.5, 0.75 and 1 the divergence KL(data || model) is estimated from 10,000 fresh series of the system and
10,000 of the model (`neuralsde.metrics.knn_kl`, neighbour 5, three dimensions). That estimate is low for a model that is
narrower than the data, so the other order is printed as well (`reverse`). Also printed: the same between two sets of fresh
series (`data`, what a perfect model would get) and from the series' per-time Gaussians (`gaussian`, the trivial baseline).

Prints one JSON object a line: `model`, `seed`, `step_ms` (median of a training step), `steps`, `kl` at the four times.
"""

import argparse
import itertools
import json
import statistics
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from hydra import compose, initialize_config_dir
from torch import Tensor

from benchmarks.peers.torchsde_recipe import STEP, TorchsdeRecipe
from neuralsde.cli import CONFIGS
from neuralsde.inference import Estimator, LatentSDE, Pull
from neuralsde.likelihoods import Gaussian
from neuralsde.metrics import knn_kl
from neuralsde.models import LatentModel
from neuralsde.nn.decoders import MLPDecoder
from neuralsde.nn.encoders import GRUEncoder
from neuralsde.noise import Brownian
from neuralsde.sde import Neural
from neuralsde.solvers import EulerMaruyama, integrate
from neuralsde.training.build import instantiate_part

LATENT, CONTEXT, HIDDEN, NOISE = 4, 64, 128, 0.01
BATCH = 64
FRESH, CHECKED = 10_000, (10, 20, 30, 40)  # series, and the bins at t = 0.25, 0.5, 0.75, 1


def ours(channels: int) -> LatentModel:
    """The framework's parts around the recipe's prior net; one Euler step per observation."""
    sde = partial(Neural, hidden_size=HIDDEN, depth=2)
    dynamics = partial(
        LatentSDE, latent_size=LATENT, sde=sde, control=partial(Pull, hidden_size=32, rate=5.0), solver=EulerMaruyama(),
        duration_s=1.0,
    )  # fmt: skip
    return LatentModel(
        GRUEncoder(channels, 24, 8, direction="backward"), dynamics, partial(MLPDecoder, layers=0),
        partial(Gaussian, target_dim=channels, noise_std=0.1, smallest_std=NOISE / 2, noise_rate=5.0),
    )  # fmt: skip


def train_ours(y: Tensor, times: Tensor, seconds: float) -> tuple[Callable[[int], Tensor], list[float]]:
    """A sampler of series (n, time, channel), and the milliseconds of each training step."""
    model, seen = ours(y.shape[2]), torch.ones_like(y[:BATCH], dtype=torch.bool)
    optimizer = torch.optim.Adam(model.parameters(), 1e-2, betas=(0.9, 0.95))
    batches = itertools.chain.from_iterable(torch.randperm(len(y)).split(BATCH)[: len(y) // BATCH] for _ in itertools.count())

    def step(progress: float) -> None:
        for group in optimizer.param_groups:
            group["lr"] = 1e-2 * min(1.0, 10 * progress + 0.1) * 0.5 * (1 + np.cos(np.pi * progress))
        batch = y[next(batches)]
        output = model(batch, seen, times[None], 1, Estimator.ANALYTIC)
        log_prob = model.likelihood.log_prob(output.parameter, batch).sum((1, 2)).mean()
        kl = torch.stack(list(output.kl.values())).sum(0).mean()
        loss = kl - log_prob
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    laps = clock(step, seconds)
    return lambda n: model.likelihood.sample(model.generate(n, times[None]).parameter), laps


def train_torchsde(y: Tensor, times: Tensor, seconds: float) -> tuple[Callable[[int], Tensor], list[float]]:
    """The same for torchsde's recipe."""
    model = TorchsdeRecipe(y.shape[2], LATENT, CONTEXT, HIDDEN, NOISE)
    optimizer, schedule = model.optimizer()

    def step(progress: float) -> None:
        optimizer.zero_grad()
        model.loss(y, times).backward()
        optimizer.step(), schedule.step()
        model.iterations += 1

    def generate(n: int) -> Tensor:
        steps = round(float(times[1] - times[0]) / STEP * 2)  # finer than the recipe's own 0.01, which does not divide a bin
        paths = integrate(model.prior, EulerMaruyama(), model.start(n), times, Brownian(), steps)
        means = model.readout(paths)
        return (means + NOISE * torch.randn_like(means)).transpose(0, 1)

    return generate, clock(step, seconds)


def clock(step: Callable[[float], None], seconds: float) -> list[float]:
    """Run `step` (told its share of the time) until the time is up; milliseconds of each."""
    laps, begin = [], time.perf_counter()
    while (now := time.perf_counter()) - begin < seconds:
        step((now - begin) / seconds)
        laps.append((time.perf_counter() - now) * 1e3)
    return laps


def lorenz() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Training series, their times, and two sets of fresh series in the same units."""
    with initialize_config_dir(CONFIGS, version_base="1.3"):
        config = compose("train", overrides=["run_dir=unused", "data=stochastic_lorenz", f"data.n_eval={2 * FRESH}"])
    data = instantiate_part(config, "data").data
    fresh = torch.from_numpy(data.eval.heldin)
    times = data.spec.bin_width_s * torch.arange(data.spec.observed_bins)
    return torch.from_numpy(data.train.heldin), times, fresh[:FRESH], fresh[FRESH:]


def divergences(data: Tensor, model: Tensor) -> dict[str, list[float]]:
    """KL(data || model) and KL(model || data) at the times checked."""
    pairs = [(data[:, bin].numpy(), model[:, bin].numpy()) for bin in CHECKED]
    return {"kl": [round(knn_kl(p, q), 3) for p, q in pairs], "reverse": [round(knn_kl(q, p), 3) for p, q in pairs]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=4.0, help="of training, for each model")
    parser.add_argument("--seeds", type=int, nargs="*", default=[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--models", nargs="*", default=["ours", "torchsde"])
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    y, times, fresh, again = lorenz()
    print(json.dumps({"model": "data", **divergences(fresh, again)}))
    gaussian = y.mean(0) + y.std(0) * torch.randn(FRESH, *y.shape[1:])
    print(json.dumps({"model": "gaussian", **divergences(fresh, gaussian)}), flush=True)
    trainers = {"ours": train_ours, "torchsde": train_torchsde}
    for seed in arguments.seeds:
        for name in arguments.models:
            torch.manual_seed(seed)
            generate, laps = trainers[name](y, times, 60 * arguments.minutes)
            with torch.no_grad():
                found = divergences(fresh, generate(FRESH))
            line = {"model": name, "seed": seed, "step_ms": round(statistics.median(laps), 1), "steps": len(laps), **found}
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
