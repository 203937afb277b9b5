"""Steps chosen by an error estimate, per sample, on one Brownian path that rejected steps have to revisit."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from neuralsde.errors import ConfigError
from neuralsde.noise import BrownianTree
from neuralsde.sde import AbstractSDE
from neuralsde.solvers.base import AbstractEmbeddedSolver, AbstractSolver, State
from neuralsde.solvers.controller import AbstractController, PIDController
from neuralsde.solvers.integrate import Times, check_finite, time_grid

REVISITS = 128  # rejected times that may wait at once, per sample


@dataclass
class AdaptiveSolution:
    """What an adaptive solve found and did.

    Args:
        path: the solution at the times asked for.
        accepted: accepted steps per sample.
        rejected: rejected steps per sample.
        accepted_times: ends of accepted steps, trial by trial, NaN where a sample's trial was no accepted step;
            None unless recorded.
        rejected_times: the same for rejected steps.
        waiting: rejected times per sample that were never revisited: all zero.
    """

    path: Float[Tensor, "times *batch state"]
    accepted: Int[Tensor, "*batch 1"]
    rejected: Int[Tensor, "*batch 1"]
    waiting: Int[Tensor, "*batch 1"]
    accepted_times: Float[Tensor, "trials *batch 1"] | None = None
    rejected_times: Float[Tensor, "trials *batch 1"] | None = None


def integrate_adaptive(
    sde: AbstractSDE,
    solver: AbstractSolver,
    z0: Float[Tensor, "*batch state"],
    times: Times,
    noise: BrownianTree,
    controller: AbstractController | None = None,
    dt0: float | None = None,
    max_trials: int = 100_000,
    revisit: bool = True,
    record: bool = False,
) -> AdaptiveSolution:
    """The solution of `sde` at `times`, in steps that every sample chooses for itself.

    The end of a rejected step is later stepped to exactly: a method that skips the times at which it has looked at
    the path would choose its steps by the noise, and may converge to a wrong limit where noise does not commute.
    A method without an error estimate of its own is compared with two steps of half the length, and keeps these, unless
    the controller reads no error. A step cut short to end at a time asked for does not shorten those that follow.

    Args:
        sde, solver, z0, times: as for `integrate`.
        noise: the path; its tolerance must be at most half of the controller's `dt_min`.
        controller: of the step length; `PIDController()` if None.
        dt0: first step; a hundredth of the span if None.
        max_trials: trials after which to give up.
        revisit: whether rejected times are revisited; False only to show why they must be.
        record: whether to keep the times of all trials.

    Raises:
        ConfigError: as `integrate`, or the tree is too coarse, or the trials or the room for rejected times ran out.
        DivergenceError: the solution stopped being finite.

    Reference: Foster & Jelinčič, "On the convergence of adaptive approximations for SDEs", arXiv 2311.14201.
    """
    controller = controller or PIDController()
    solver.check(sde)
    if noise.tolerance > controller.dt_min / 2:
        raise ConfigError(
            f"The Brownian tree resolves {noise.tolerance}, but steps may be as short as {controller.dt_min}; "
            "give it half of that."
        )
    goals = time_grid(times.double(), z0).expand(-1, *z0.shape[:-1], 1)
    dt = torch.full_like(goals[0], dt0) if dt0 else (goals[-1] - goals[0]) / 100
    run = _Run(sde, solver, noise, controller, goals[0], dt, solver.init(sde, goals[0].to(z0.dtype), z0), revisit, record)
    kept = [z0]
    for goal in goals[1:]:
        while (run.t < goal).any():
            if run.trials >= max_trials:
                raise ConfigError(f"The adaptive solve took {max_trials} trials and is at time {run.t.min():g}.")
            run.trial(goal)
        kept.append(solver.solution(run.state))
    path = torch.stack(kept)
    check_finite(path, goals)
    if run.forgotten.any():
        raise ConfigError(f"More than {REVISITS} rejected times waited at once; allow shorter steps or larger errors.")
    times_of = (torch.stack(log) if log else None for log in (run.accepted_log, run.rejected_log))
    return AdaptiveSolution(path, run.accepted, run.rejected, run.waiting, *times_of)


class _Run:
    """Where every sample stands: time, step length, state of the method, last errors, rejected times still to visit."""

    def __init__(self, sde, solver, noise, controller, t, dt, state, revisit, record):
        self.sde, self.solver, self.noise, self.controller = sde, solver, noise, controller
        self.t, self.dt, self.state, self.revisit, self.record = t, dt, state, revisit, record
        self.start = t
        self.history = tuple(torch.ones_like(t) for _ in range(2))
        self.stack = torch.zeros(REVISITS, *t.shape, dtype=t.dtype, device=t.device)
        self.waiting = torch.zeros_like(t, dtype=torch.long)
        self.forgotten = torch.zeros_like(t, dtype=torch.bool)
        self.accepted, self.rejected = torch.zeros_like(self.waiting), torch.zeros_like(self.waiting)
        self.order = solver.strong_order[sde.noise] + 0.5
        self.accepted_log: list[Tensor] = []
        self.rejected_log: list[Tensor] = []
        self.trials = 0

    def trial(self, goal: Tensor) -> None:
        """One step of every sample that has not reached its `goal`, kept where its error is small enough."""
        dt_min = self.controller.dt_min
        self.trials += 1
        active = self.t < goal
        latest = self.stack.gather(0, (self.waiting - 1).clamp(min=0).unsqueeze(0))[0]
        target = torch.where(self.waiting > 0, latest, goal)
        end = self.t + self.dt
        end = torch.where(end > target - dt_min, target, end)  # no sliver shorter than dt_min is left
        # A sample that has arrived takes a step that is thrown away.
        begin, end = torch.where(active, self.t, self.start), torch.where(active, end, goal)
        state, error = self._step(begin, end)
        before, after = self.solver.solution(self.state), self.solver.solution(state)
        scaled, dt = self.controller.advise(
            end - begin, before.detach(), after.detach(), error.detach(), self.history, self.order
        )
        small = (scaled <= 1) | (end - begin <= 2 * dt_min)
        accept, reject = active & small, active & ~small
        self._keep(accept, state)
        self._remember(accept, reject, end, target)
        self._adapt(active, accept, scaled, dt, end - begin)
        if self.record:
            self.accepted_log.append(torch.where(accept, end, torch.nan))
            self.rejected_log.append(torch.where(reject, end, torch.nan))
        self.t = torch.where(accept, end, self.t)

    def _step(self, begin: Tensor, end: Tensor) -> tuple[State, Tensor]:
        z = self.solver.solution(self.state)
        shape = (*z.shape[:-1], self.sde.noise_size(z.shape[-1]))
        t, area = begin.to(z.dtype), self.solver.levy_area
        if isinstance(self.solver, AbstractEmbeddedSolver):
            path = self.noise.increments(torch.stack([begin, end]), shape, area, z.dtype)
            return self.solver.step_with_error(self.sde, t, self.state, path[0])
        if not self.controller.reads_error:
            path = self.noise.increments(torch.stack([begin, end]), shape, area, z.dtype)
            return self.solver.step(self.sde, t, self.state, path[0]), torch.zeros_like(z)
        middle = (begin + end) / 2
        path = self.noise.increments(torch.stack([begin, middle, end]), shape, area, z.dtype)
        whole = self.solver.step(self.sde, t, self.state, path.coarsen(2)[0])
        half = self.solver.step(self.sde, t, self.state, path[0])
        halves = self.solver.step(self.sde, middle.to(z.dtype), half, path[1])
        return halves, self.solver.solution(whole) - self.solver.solution(halves)

    def _keep(self, accept: Tensor, state: State) -> None:
        if isinstance(state, tuple):
            self.state = tuple(torch.where(accept, new, old) for new, old in zip(state, self.state, strict=True))
        else:
            self.state = torch.where(accept, state, self.state)

    def _remember(self, accept: Tensor, reject: Tensor, end: Tensor, target: Tensor) -> None:
        """Take a rejected time off the stack where it has been reached, put one on where a step was rejected."""
        if self.revisit:
            new = reject & (end != target)  # the target of a step is waited for already
            self.forgotten = self.forgotten | (new & (self.waiting == REVISITS))
            new = new & (self.waiting < REVISITS)
            self.waiting = self.waiting - (accept & (self.waiting > 0) & (end == target)).long()
            top = self.waiting.clamp(max=REVISITS - 1).unsqueeze(0)
            kept = self.stack.gather(0, top)
            self.stack = self.stack.scatter(0, top, torch.where(new.unsqueeze(0), end.unsqueeze(0), kept))
            self.waiting = self.waiting + new.long()
        self.accepted, self.rejected = self.accepted + accept, self.rejected + reject

    def _adapt(self, active: Tensor, accept: Tensor, scaled: Tensor, dt: Tensor, length: Tensor) -> None:
        # At most half after a rejection, so that the retried step cannot be stretched to the same end again.
        dt = torch.where(accept, dt, torch.minimum(dt, length / 2))
        dt = torch.where(accept & (length < self.dt), torch.maximum(dt, self.dt), dt)
        self.dt = torch.where(active, dt.clamp(self.controller.dt_min, self.controller.dt_max), self.dt)
        last = (scaled, self.history[0])
        self.history = tuple(torch.where(accept, new, old) for new, old in zip(last, self.history, strict=True))
