"""Population based training: the worse trials take over the better ones' models and change their settings."""

from collections.abc import Sequence

from neuralsde.errors import ConfigError
from neuralsde.search.leg import History, Leg, Place, Trained
from neuralsde.search.methods.base import SearchMethod, check_share, check_whole
from neuralsde.search.space import Space


class PopulationBasedTraining(SearchMethod):
    """All trials train one generation; then each of the worst goes on with weights and optimizer of one of the best (exploit)
    and with its settings, perturbed or drawn anew (explore). A trial that diverged is replaced in the same way.

    Args:
        generations: stops, evenly spaced.
        quantile: share of the trials that are replaced, and share that they are replaced by.
        factors: numbers are multiplied by one of them; choices go to a neighbour.
        resample: probability that a setting is drawn anew instead.

    Reference: Jaderberg et al., *Population based training of neural networks*, 2017, arXiv:1711.09846; for neural
    population dynamics Keshtkaran et al., *A large-scale neural network training framework for generalized estimation of
    single-trial population dynamics* (AutoLFADS), Nature Methods 2022.
    """

    keeps_shapes = True

    def __init__(
        self,
        generations: int = 10,
        quantile: float | int = 0.25,
        factors: Sequence[float | int] = (0.8, 1.2),
        resample: float | int = 0.25,
    ):
        check_whole("generations", generations, 2)
        check_share("quantile", quantile, 0.0, 0.5)
        check_share("resample", resample, 0.0, 1.0)
        self._generations, self.quantile, self.resample = generations, quantile, resample
        self.factors = tuple(factors)
        if not self.factors or not all(isinstance(f, int | float) and f > 0 for f in self.factors):
            raise ConfigError(f"search.method.factors is {list(factors)}; give positive numbers, such as [0.8, 1.2].")

    @property
    def generations(self) -> int:
        return self._generations

    def share(self, generation: int) -> float:
        return (generation + 1) / self.generations

    def next_legs(self, space: Space, history: History, trials: int, attempts: int) -> list[Leg]:
        if legs := self.first_legs(space, history, trials, attempts):
            return legs
        for generation in range(1, self.generations):
            before = [one for trial in range(trials) if (one := history.at(trial, generation - 1)) is not None]
            legs = self.evolve(space, history, before, generation)
            if missing := [leg for leg in legs if history.at(*leg.place) is None]:
                return missing
        return []

    def evolve(self, space: Space, history: History, before: list[Trained], generation: int) -> list[Leg]:
        """The legs of a generation, a function of the seed and of the scores of the last one.

        Args:
            space: what settings are drawn from.
            history: which scores are better.
            before: the last generation, one for each trial, some of which may have failed.
            generation: number of the new one.
        """
        alive = sorted(
            (one for one in before if not one.failed), key=lambda one: (-history.merit(one.outcome.score), one.leg.trial)
        )
        if not alive:
            return []
        replaced = min(int(self.quantile * len(before) + 0.5), len(alive) // 2)
        best, worst = alive[: max(replaced, 1)], alive[len(alive) - replaced :]
        losers = {one.leg.trial for one in (*worst, *(one for one in before if one.failed))}
        return [
            self.replacement(space, best, one.leg.trial, generation)
            if one.leg.trial in losers
            else Leg(one.leg.trial, generation, one.leg.settings, one.leg.place)
            for one in before
        ]

    def replacement(self, space: Space, best: list[Trained], trial: int, generation: int) -> Leg:
        """A leg that goes on from one of the best, with settings near its."""
        chosen = best[space.generator(trial, generation, 1).integers(len(best))].leg
        settings = space.explored(chosen.settings, trial, generation, self.factors, self.resample)
        return Leg(trial, generation, settings, chosen.place)

    def legs_in_all(self, trials: int, history: History) -> int:
        return trials * self.generations + sum(one.leg.attempt > 0 for one in history.legs)

    def parents(self, history: History, trials: int) -> set[Place]:
        generation = max((one.leg.generation for one in history.legs), default=0)
        started = {one.leg.trial for one in history.legs if one.leg.generation == generation}
        first = generation if len(started) == trials else generation - 1
        return {one.leg.place for one in history.legs if first <= one.leg.generation < self.generations - 1}
