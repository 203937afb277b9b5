"""Contestants in torch: ours with and without the C kernel, a plain loop, torchsde in three settings, bare matrix products."""

import os
from collections.abc import Callable

import torch
import torchsde
from torch import Tensor

from benchmarks.peers.problem import Case, NetSDE
from neuralsde.kernels.build import SETTING
from neuralsde.noise import Brownian
from neuralsde.solvers import EulerMaruyama, integrate

Solve = Callable[[], Tensor]


def torch_contestants(case: Case, sde: NetSDE, z0: Tensor) -> dict[str, Solve]:
    """Each draws its own noise and returns the solution at time one."""
    times, dt = torch.tensor([0.0, 1.0]), 1 / case.steps

    def tuned() -> Tensor:
        bm = torchsde.BrownianInterval(0.0, 1.0, size=z0.shape, dt=dt, cache_size=None)
        return torchsde.sdeint(sde, z0, times, bm=bm, method="euler", dt=dt)[-1]

    def plain() -> Tensor:
        z, noise = z0, torch.randn(case.steps, *z0.shape) * dt**0.5
        for w in noise:
            z = z + sde.net(z) * dt + sde.sigma * w
        return z

    def ours() -> Tensor:
        return integrate(sde, EulerMaruyama(), z0, times, Brownian(), substeps=case.steps)[-1]

    return {
        "ours": ours,
        "torch_loop": ours,
        "plain_loop": plain,
        "torchsde_tuned": tuned,
        "torchsde": lambda: torchsde.sdeint(sde, z0, times, method="euler", dt=dt)[-1],
        "torchsde_adjoint": lambda: torchsde.sdeint_adjoint(sde, z0, times, method="euler", dt=dt)[-1],
    }


def without_kernels(run: Callable[[], None]) -> Callable[[], None]:
    """The same through torch's operations alone."""

    def run_in_torch() -> None:
        os.environ[SETTING] = "0"
        try:
            run()
        finally:
            del os.environ[SETTING]

    return run_in_torch


def forward(solve: Solve) -> Callable[[], None]:
    def run() -> None:
        with torch.no_grad():
            solve()

    return run


def forward_backward(solve: Solve, sde: NetSDE) -> Callable[[], None]:
    def run() -> None:
        torch.autograd.grad(solve().square().mean(), list(sde.parameters()))

    return run


def matrix_products(case: Case, backward: bool) -> Callable[[], None]:
    """The products that no implementation avoids: two per step, two more per step of the backward pass that carry the
    adjoint, and one per weight over all times and samples at once."""
    z, x = torch.randn(case.batch, case.state), torch.randn(case.batch, case.hidden)
    a, b = torch.randn(case.state, case.hidden), torch.randn(case.hidden, case.state)
    every_z, every_x = (torch.randn(case.steps * case.batch, n) for n in (case.state, case.hidden))
    to_hidden, to_state = torch.empty_like(x), torch.empty_like(z)

    def run() -> None:
        for _ in range(case.steps * (2 if backward else 1)):
            torch.mm(z, a, out=to_hidden)
            torch.mm(x, b, out=to_state)
        if backward:
            torch.mm(every_z.t(), every_x)
            torch.mm(every_x.t(), every_z)

    return run
