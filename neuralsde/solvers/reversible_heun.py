from jaxtyping import Float
from torch import Tensor

from neuralsde.noise import Increments
from neuralsde.sde import AbstractSDE, Calculus, Time, noise_term
from neuralsde.solvers.base import AbstractEmbeddedSolver, orders

Pair = tuple[Float[Tensor, "*batch state"], Float[Tensor, "*batch state"]]


class ReversibleHeun(AbstractEmbeddedSolver):
    r"""Heun's method made algebraically reversible; the state is $(z, \hat z)$ with $\hat z_0 = z_0$.

    With $F(t, x) = h f(t, x) + g(t, x) W$:

    $$\hat z_1 = 2 z - \hat z + F(t, \hat z), \qquad z_1 = z + \tfrac12 (F(t, \hat z) + F(t + h, \hat z_1)).$$

    Converges to the Stratonovich solution. Strong order 1 for commutative noise, 1/2 for general. `inverse` returns to
    the earlier state exactly up to round-off, which gives exact gradients at memory that does not grow with the steps:
    see `integrate_reversible`. Reported to be less stable than Heun's method at large steps.

    Reference: Kidger, Foster, Li, Lyons, "Efficient and accurate gradients for neural SDEs", arXiv 2105.13493.
    """

    calculus = Calculus.STRATONOVICH
    strong_order = orders(additive=1.0, commutative=1.0, general=0.5)

    def init(self, sde: AbstractSDE, t: Time, z: Float[Tensor, "*batch state"]) -> Pair:
        return z, z

    def solution(self, state: Pair) -> Float[Tensor, "*batch state"]:
        return state[0]

    def step_with_error(
        self, sde: AbstractSDE, t: Time, state: Pair, path: Increments
    ) -> tuple[Pair, Float[Tensor, "*batch state"]]:
        z, hat = state
        first = _move(sde, t, hat, path)
        hat1 = 2 * z - hat + first
        second = _move(sde, t + path.dt, hat1, path)
        return (z + (first + second) / 2, hat1), (second - first) / 2

    def inverse(self, sde: AbstractSDE, t: Time, state: Pair, path: Increments) -> Pair:
        """The state at `t` from that at `t + path.dt`."""
        z1, hat1 = state
        second = _move(sde, t + path.dt, hat1, path)
        hat = 2 * z1 - hat1 - second
        return z1 - (_move(sde, t, hat, path) + second) / 2, hat


def _move(sde: AbstractSDE, t: Time, x: Tensor, path: Increments) -> Tensor:
    return path.dt * sde.drift(t, x) + noise_term(sde.diffusion(t, x), path.w)
