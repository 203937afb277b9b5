"""Contestants in JAX: a scan written by hand, and diffrax with its virtual Brownian tree; both compiled."""

import itertools
from collections.abc import Callable
from typing import Any

import diffrax
import jax
import jax.numpy as jnp
import lineax
from torch import Tensor

from benchmarks.peers.problem import Case, NetSDE


def parameters(sde: NetSDE) -> dict[str, Any]:
    return {name.replace(".", "_"): jnp.array(value.detach().numpy()) for name, value in sde.named_parameters()}


def net(p: dict[str, Any], z: Any) -> Any:
    return jnp.tanh(z @ p["net_0_weight"].T + p["net_0_bias"]) @ p["net_2_weight"].T + p["net_2_bias"]


def scan(case: Case, p: dict[str, Any], z0: Any, key: Any) -> Any:
    dt = 1 / case.steps
    noise = jax.random.normal(key, (case.steps, *z0.shape)) * dt**0.5
    return jax.lax.scan(lambda z, w: (z + net(p, z) * dt + p["sigma"] * w, None), z0, noise)[0]


def virtual_tree(case: Case, p: dict[str, Any], z0: Any, key: Any) -> Any:
    path = diffrax.VirtualBrownianTree(0.0, 1.0, tol=0.5 / case.steps, shape=z0.shape, key=key)
    terms = diffrax.MultiTerm(
        diffrax.ODETerm(lambda t, z, args: net(p, z)),
        diffrax.ControlTerm(lambda t, z, args: lineax.DiagonalLinearOperator(jnp.broadcast_to(p["sigma"], z0.shape)), path),
    )
    solution = diffrax.diffeqsolve(terms, diffrax.Euler(), 0.0, 1.0, 1 / case.steps, z0, max_steps=case.steps + 2)
    return solution.ys[-1]


def jax_contestants(case: Case, sde: NetSDE, z0: Tensor, backward: bool) -> dict[str, Callable[[], None]]:
    """Compiled, with a new key per call."""
    p, start, seeds = parameters(sde), jnp.array(z0.numpy()), itertools.count()

    def contestant(solve: Callable[..., Any]) -> Callable[[], None]:
        def value(p: dict[str, Any], key: Any) -> Any:
            return solve(case, p, start, key)

        def loss(p: dict[str, Any], key: Any) -> Any:
            return (value(p, key) ** 2).mean()

        compiled = jax.jit(jax.grad(loss) if backward else value)
        return lambda: jax.block_until_ready(compiled(p, jax.random.PRNGKey(next(seeds))))

    return {"jax_scan": contestant(scan), "diffrax": contestant(virtual_tree)}
