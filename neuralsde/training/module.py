"""The one LightningModule: it masks, runs the model, logs the objective's terms and validates."""

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import lightning as L
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau

from neuralsde.datamodules.batches import TrialBatch
from neuralsde.datamodules.trials import DataSpec
from neuralsde.errors import ConfigError, DivergenceError
from neuralsde.inference.coordinated_dropout import CoordinatedDropout, SampleValidation
from neuralsde.inference.objectives import ELBO, Loss
from neuralsde.inference.path import Estimator, Matching
from neuralsde.metrics import accuracy, auroc, bits_per_spike
from neuralsde.models.latent import EVERY_BIN, LatentModel, ModelOutput
from neuralsde.nn.local_context import Stretch
from neuralsde.shares import set_share
from neuralsde.training.checkpoint import why_unwritten
from neuralsde.training.divergence import write_divergence
from neuralsde.training.epoch_means import EpochMeans
from neuralsde.training.guard import StepGuard, first_not_finite, largest
from neuralsde.training.processes import computed_once, mean_of, mean_over_processes, together


class TrainingPass(NamedTuple):
    """What one training step computes.

    Args:
        loss: the objective and its terms.
        output: the model's output.
        log_prob: log-likelihood of each entry in the bins that were decoded, (sample * batch, bin, unit).
        aside: entries set aside for sample validation, (batch, observed bin, held-in unit), or None.
    """

    loss: Loss
    output: ModelOutput
    log_prob: Tensor
    aside: Tensor | None


class Step(NamedTuple):
    """A training step that is under way."""

    batch: TrialBatch
    index: int
    loss: Loss


class LatentDynamics(L.LightningModule):
    """Trains a `LatentModel`.

    Args:
        model: the model.
        spec: sizes of the data.
        objective: what is minimised.
        optimizer: makes the optimiser from the parameters.
        schedule: makes the learning-rate schedule from the optimiser and the total number of steps.
        coordinated_dropout: which inputs are hidden and learned from.
        sample_validation: entries of the training trials set aside for checking; None for none.
        weight_decay_ramp_epochs: epochs over which the optimiser's weight decay rises linearly from 0; 0 for no ramp.
        seed: seed of the noise. Each step's noise is a function of (seed, step), so that a resumed run repeats it.
        val_samples: posterior samples averaged at validation.
        decay_matrices_only: leave out of the weight decay what is no matrix, such as rates and noise levels.
        heldout_weight: weight of the likelihood of held-out units in observed bins, where that of held-in units is 1.
        forward_weight: weight of the likelihood of all units in forward bins, likewise.
        norm_penalty: weight in the loss of the sum of the Euclidean norms of the parameters that the dynamics name.
        explosion_ratio: see `StepGuard`.
    """

    def __init__(
        self,
        model: LatentModel,
        spec: DataSpec,
        objective: ELBO,
        optimizer: Callable[..., Optimizer],
        schedule: Callable[..., dict[str, Any] | None],
        coordinated_dropout: CoordinatedDropout,
        sample_validation: SampleValidation | None = None,
        weight_decay_ramp_epochs: int = 0,
        seed: int = 0,
        val_samples: int = 4,
        decay_matrices_only: bool = True,
        heldout_weight: float = 1.0,
        forward_weight: float = 1.0,
        norm_penalty: float = 0.0,
        explosion_ratio: float | None = None,
    ):
        super().__init__()
        self.model, self.spec, self.objective = model, spec, objective
        self.make_optimizer, self.make_schedule = optimizer, schedule
        self.coordinated_dropout, self.sample_validation = coordinated_dropout, sample_validation
        self.weight_decay_ramp_epochs, self.seed, self.val_samples = weight_decay_ramp_epochs, seed, val_samples
        self.decay_matrices_only, self.norm_penalty = decay_matrices_only, norm_penalty
        self.weights: Tensor
        self.register_buffer("weights", entry_weights(spec, heldout_weight, forward_weight), persistent=False)
        self.explained = EVERY_BIN  # bins in which training trials have a target: no other need be decoded
        self.means, self.guard = EpochMeans(), StepGuard(explosion_ratio)
        self._watching: tuple[ReduceLROnPlateau, str] | None = None  # a scheduler and the score that it watches
        self._watching_state: dict[str, Any] | None = None
        self.record: dict[str, Any] = {}  # config and data sizes, written into each checkpoint for `neuralsde.load`

    def forward(self, batch: TrialBatch, samples: int = 1, estimator: Estimator = Estimator.ANALYTIC) -> ModelOutput:
        return self.model(batch.values, batch.seen, batch.times, samples, estimator)

    # -- training -----------------------------------------------------------------------------------------------------

    def on_train_batch_start(self, batch: TrialBatch, batch_index: int) -> None:
        torch.manual_seed(self.noise_seed)
        set_share(batch.share)

    @property
    def noise_seed(self) -> int:
        """Of the next step."""
        return self.seed * 1_000_003 + self.global_step

    def on_train_epoch_start(self) -> None:
        if self.weight_decay_ramp_epochs:
            share = min(self.current_epoch / self.weight_decay_ramp_epochs, 1.0)
            for group, final in zip(self.trainer.optimizers[0].param_groups, self._final_weight_decay, strict=True):
                group["weight_decay"] = final * share

    def training_step(self, batch: TrialBatch, batch_index: int) -> Tensor:
        done = self.loss(batch)
        loss = done.loss if batch.share is None else done.loss.times(batch.share.weight)
        self._step = Step(batch, batch_index, loss)
        self._count_terms(loss, list(done.output.kl), batch.whole)
        if done.aside is not None:
            held = done.log_prob[: len(batch.values), : self.spec.observed_bins, : self.spec.observed_dim].detach()[done.aside]
            self.means.add({"train/sample_validation_nll": -mean_of(held, batch.share)}, batch.whole)
        if not self.norm_penalty:
            return loss.total
        return loss.total + self.norm_penalty * sum(p.norm() for p in self.model.dynamics.penalised() if p.requires_grad)

    def loss(self, batch: TrialBatch) -> TrainingPass:
        """One pass through the model, with inputs hidden, and what it costs."""
        matching = self.objective.matching
        if matching is not None:
            bins, observed = batch.times.shape[1], batch.values.shape[1]
            if (stretch := self.model.some_stretch(matching, batch.values, bins, observed)) is not None:
                return self._match_stretch(batch, stretch, matching)
        return self.loss_of(batch, *self.mask(batch))

    def loss_of(self, batch: TrialBatch, inputs: Tensor, seen: Tensor, learned: Tensor, aside: Tensor | None) -> TrainingPass:
        """The same where `mask` has said what is hidden."""
        if self.objective.matching is not None:
            return self._match(batch, inputs, seen, learned)
        # Entries that the model does not explain have no share in either part of the bound.
        known, samples = batch.known.clone(), self.objective.samples
        known[:, self.learned_bins :] = False
        bins = EVERY_BIN if aside is not None or getattr(self.model.decoder, "mixes_bins", True) else self.explained
        output = self.model(inputs, seen, batch.times, samples, self.objective.estimator, bins)
        known, learned = known[:, bins], learned[:, bins]
        log_prob = self.model.likelihood.log_prob(output.parameter, batch.targets[:, bins].repeat(samples, 1, 1))
        weighed = log_prob * self.weights[: batch.targets.shape[1]][bins]  # a batch may end with its longest trial
        loss = self.objective(weighed, output.kl, known, learned & known, self.current_epoch, own=batch.share)
        return TrainingPass(loss, output, log_prob, aside)

    def _match(self, batch: TrialBatch, inputs: Tensor, seen: Tensor, learned: Tensor) -> TrainingPass:
        """The same without simulating, from some bins of each trial that the model explains; no other is looked at."""
        assert self.objective.matching is not None
        output = self.model.match(inputs, seen, batch.times, self.objective.matching)
        assert output.bins is not None
        return self._matched(batch, output, learned.take_along_dim(output.bins[..., None], 1))

    def _match_stretch(self, batch: TrialBatch, stretch: Stretch, matching: Matching) -> TrainingPass:
        """The same from a stretch of each trial, outside of which nothing is hidden or looked at."""
        inputs, seen, learned, _ = self.mask(batch, stretch)
        output = self.model.match_stretch(inputs, seen, batch.values.shape[1], batch.times, matching, stretch)
        assert output.bins is not None
        return self._matched(batch, output, learned.take_along_dim((output.bins - stretch.begin[:, None])[..., None], 1))

    def _matched(self, batch: TrialBatch, output: ModelOutput, learned: Tensor) -> TrainingPass:
        """What the states in the bins of `output` cost, of whose entries some are `learned` from."""
        assert output.bins is not None
        targets, known = (part.take_along_dim(output.bins[..., None], 1) for part in (batch.targets, batch.known))
        log_prob = self.model.likelihood.log_prob(output.parameter, targets) * self.weights[output.bins]
        share = output.bins.shape[1] / self.learned_bins
        loss = self.objective(log_prob, output.kl, known, learned, self.current_epoch, share, batch.share)
        return TrainingPass(loss, output, log_prob, None)

    def mask(self, batch: TrialBatch, stretch: Stretch | None = None) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        """Model input and which of it is seen, entries learned from (batch, bin, unit), and the entries set aside for sample
        validation; of all bins, or of those of a stretch. Encoders that do not read what is seen get the rest scaled up, so
        that its mean stays."""
        observed, unit = self.spec.observed_bins, self.spec.observed_dim
        values, seen, known = batch.values, batch.seen, batch.known
        if stretch is not None:
            values, seen, known = stretch.of(values), stretch.of(seen), stretch.of(known)
        learned = torch.ones_like(known)
        if not self.spec.predicts_inputs:
            return values, seen, learned, None
        (kept, learned_heldin, share), aside = self.coordinated_dropout(values), None
        if self.sample_validation is not None:
            assert stretch is None  # matching is refused with it
            aside = self.sample_validation(batch.index, values)
            kept, share = kept & ~aside, share * (1 - self.sample_validation.share)
            learned_heldin = learned_heldin & ~aside
            aside = aside & known[:, : aside.shape[1], :unit]
        if stretch is None:
            learned[:, :observed, :unit] = learned_heldin
        else:
            learned[..., :unit] = learned_heldin | (stretch.bins >= observed)[..., None]
        scale = 1.0 if self.model.reads_mask else 1 / share
        if (centre := self.model.centre) is not None:
            return (centre + (values - centre) * scale) * kept, seen & kept, learned, aside
        return values * kept * scale, seen & kept, learned, aside

    def _count_terms(self, loss: Loss, kl: list[str], batch_size: int) -> None:
        values = {"train/loss": loss.total, **{f"train/{name}": value for name, value in loss.terms.items()}}
        weights = {name: self.objective.weight_at(self.current_epoch, name) for name in kl}
        values |= {f"train/{name}_weight": loss.total.new_tensor(weight) for name, weight in weights.items()}
        self.means.add(values, batch_size)

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        gradients = [p.grad for p in self.model.parameters() if p.grad is not None]
        norm = torch.stack([gradient.norm() for gradient in gradients]).norm()
        self.means.add({"train/grad_norm": norm}, 1)
        if self.trainer.precision == "16-mixed":  # whose scaler tries gradients that overflow, and leaves the step out
            norm = torch.zeros_like(norm)
        loss = mean_over_processes(self._step.loss.total.detach())  # so that all stop at the same step
        if (reason := self.guard.fault(loss, norm, gradients)) is not None:
            raise DivergenceError(self._kept(reason, optimizer))

    def _kept(self, reason: str, optimizer: Optimizer) -> str:
        """Keep the step that is not taken, and tell it."""
        facts = self._facts(reason)
        told = f"{reason} in epoch {facts['epoch']}, batch {facts['batch']} (look at the term {facts['term']}"
        told += "".join(f", {what} {facts[what]}" for what in ("parameter", "gradient") if facts[what]) + ")"
        remedy = "lower optimizer.lr, set trainer.gradient_clip_val or training.back_off"
        if not self.trainer.is_global_zero:  # all processes stop, and the first one keeps and tells it
            return f"{told}: {remedy}."
        state = {"neuralsde": self.record, "state_dict": self.state_dict(), "epoch": self.current_epoch}
        state |= {"global_step": self.global_step, "optimizer_states": [optimizer.state_dict()]}
        try:
            kept = f"{write_divergence(Path(self.trainer.default_root_dir), state, self._step.batch, facts)} keeps the step"
        except (OSError, RuntimeError) as error:  # torch's zip writer turns a failed write into a RuntimeError
            kept = f"the step could not be kept ({why_unwritten(error)})"
        return f"{told}: {remedy}; {kept}."

    def _facts(self, reason: str) -> dict[str, Any]:
        """What there is to know of a step that is not taken."""
        terms, parameters = self._step.loss.terms, list(self.model.named_parameters())
        gradients = [(name, p.grad) for name, p in parameters]
        finite = bool(self._step.loss.total.isfinite())
        return {
            "reason": f"{reason.rstrip(',')}.",
            "epoch": self.current_epoch,
            "batch": self._step.index,
            "step": self.global_step,
            "noise_seed": self.noise_seed,
            "loss": self._step.loss.total.item(),
            "terms": {name: value.item() for name, value in terms.items()},
            "term": first_not_finite(terms.items()) or largest(terms.items()),
            "parameter": first_not_finite(parameters),
            "gradient": first_not_finite(gradients) or (largest(gradients) if finite else None),
        }

    def on_train_batch_end(self, outputs: Any, batch: TrialBatch, batch_index: int) -> None:
        set_share(None)
        if self.trainer.is_last_batch:
            self.log_dict(self.means.take(), on_step=False, on_epoch=True, batch_size=1, sync_dist=together())

    def on_train_epoch_end(self) -> None:
        learned = {name: value.detach().flatten() for name, value in self.model.dynamics.learned().items()}
        named = {f"learned/{name}/{i}": v for name, values in learned.items() for i, v in enumerate(values)}
        self.log_dict(named, sync_dist=together())

    # -- validation ---------------------------------------------------------------------------------------------------

    def on_validation_epoch_start(self) -> None:
        self._val: list[tuple[np.ndarray, np.ndarray]] = []
        self._val_sums: list[tuple[float, float, int]] = []  # negative log-likelihood, bound, entries
        torch.manual_seed(self.seed)  # the next step seeds its own noise

    def on_validation_batch_start(self, batch: TrialBatch, batch_index: int) -> None:
        set_share(batch.share)

    def on_validation_batch_end(self, outputs: Any, batch: TrialBatch, batch_index: int) -> None:
        set_share(None)

    def validation_step(self, batch: TrialBatch, batch_index: int) -> None:
        if batch.share is not None and not batch.share.rows:
            return
        samples, known, likelihood = self.val_samples, batch.known, self.model.likelihood
        output = self(batch, samples, self.tightest)
        log_prob = likelihood.log_prob(output.parameter, batch.targets.repeat(samples, 1, 1))
        log_prob = log_prob.masked_fill(~known.repeat(samples, 1, 1), 0.0).unflatten(0, (samples, -1))[
            :, :, : self.learned_bins
        ]
        known = known[:, : self.learned_bins]
        bound = (
            self.bound(log_prob.sum((2, 3)), output.kl, self.tightest)
            + likelihood.log_base(batch.targets[:, : self.learned_bins])[known].sum()
        )
        self._val_sums.append((-log_prob[0].sum().item(), bound.item(), int(known.sum())))
        rates = likelihood.mean(output.parameter).unflatten(0, (samples, -1)).mean(0)
        targets = torch.where(batch.known, batch.targets, torch.nan)
        self._val.append((rates.float().cpu().numpy(), targets.cpu().numpy()))

    def on_validation_epoch_end(self) -> None:
        scores = computed_once(self._scores_of, list(zip(self._val, self._val_sums, strict=True)))
        self.log_dict({name: float(value) for name, value in scores.items()}, sync_dist=together())
        if self._watching is not None and not self.trainer.sanity_checking:
            scheduler, monitor = self._watching
            scheduler.step(scores[monitor])

    def _scores_of(self, batches: list[tuple[Any, Any]]) -> dict[str, float]:
        """Scores of all validation batches."""
        rates, targets = (np.concatenate(parts) for parts in zip(*(val for val, _ in batches), strict=True))
        nll, bound, entries = (sum(parts) for parts in zip(*(sums for _, sums in batches), strict=True))
        scores = {"val/nll": nll / max(entries, 1)}
        if not self.model.decode_context:  # else the likelihood is of counts that the decoder has seen: no bound
            scores["val/elbo"] = bound / max(entries, 1)
        if self.spec.kind == "real":
            scores["val/mse"] = float(np.nanmean((rates - targets)[:, : self.learned_bins] ** 2))
        if self.spec.kind in ("binary", "category"):
            scores["val/accuracy"] = accuracy(rates, targets, self.spec.n_classes)
            scores["val/auroc"] = auroc(rates, targets, self.spec.n_classes)
        return scores | (validation_scores(rates, targets, self.spec) if self.spec.kind == "counts" else {})

    @property
    def learned_bins(self) -> int:
        """Bins, from the first, that are learned from and that `val/nll` and `val/elbo` are of."""
        return self.spec.total_bins if self.model.dynamics.learns_forward else self.spec.observed_bins

    @property
    def tightest(self) -> Estimator:
        """What the model's divergences can be estimated by for the bound of several samples."""
        allowed = self.model.dynamics.estimators
        return Estimator.SAMPLED if Estimator.SAMPLED in allowed else Estimator.ANALYTIC

    @staticmethod
    def bound(log_lik: Tensor, kl: dict[str, Tensor], estimator: Estimator) -> Tensor:
        """The lower bound of the log-evidence, summed over trials: of all samples together where they can be weighted.

        Args:
            log_lik: (sample, batch).
            kl: by name, each (sample * batch,).
            estimator: what `kl` was estimated by.
        """
        log_weight = log_lik - sum(kl.values(), log_lik.new_zeros(log_lik.numel())).view_as(log_lik)
        if estimator is Estimator.ANALYTIC:
            return log_weight.mean(0).sum()
        return (torch.logsumexp(log_weight, 0) - math.log(len(log_weight))).sum()

    # -- optimiser and checkpoint -------------------------------------------------------------------------------------

    def new_optimizer(self) -> Optimizer:
        """The optimiser at its start.

        Raises:
            ConfigError: it refuses its settings, or the groups of parameters.
        """
        try:
            return self.make_optimizer(self.parameter_groups())
        except (TypeError, ValueError, IndexError) as error:
            if "parameter groups" in str(error):
                raise ConfigError(
                    "The optimiser takes one group of parameters, but training.decay_matrices_only=true makes two: set it to "
                    "false."
                ) from error
            unknown = re.search(r"got an unexpected keyword argument '(\w+)'", str(error))
            advice = (
                f"leave out optimizer.{unknown[1]}, with ~optimizer.{unknown[1]} where it is set"
                if unknown
                else "check optimizer.*"
            )
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise ConfigError(f"The optimiser cannot be built from its settings: {reason}; {advice}.") from error

    def configure_optimizers(self):
        optimizer = self.new_optimizer()
        self._final_weight_decay = [group.get("weight_decay", 0.0) for group in optimizer.param_groups]
        schedule = self.make_schedule(optimizer, total_steps=int(self.trainer.estimated_stepping_batches))
        if schedule is not None and "monitor" in schedule:
            self._watching = (schedule["scheduler"], schedule["monitor"])
            if self._watching_state is not None:
                schedule["scheduler"].load_state_dict(self._watching_state)
            return optimizer
        return {"optimizer": optimizer, "lr_scheduler": schedule} if schedule else optimizer

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Weights that decay and, where only matrices do, those that do not: rates, scales, noise, offsets."""
        parameters = list(self.model.parameters())
        if not self.decay_matrices_only:
            return [{"params": [p for p in parameters if p.requires_grad]}]
        matrices, others = [p for p in parameters if p.ndim > 1], [p for p in parameters if p.ndim <= 1]
        return [{"params": matrices}, {"params": others, "weight_decay": 0.0}]

    def configure_gradient_clipping(
        self, optimizer: Optimizer, gradient_clip_val: float | None = None, gradient_clip_algorithm: str | None = None
    ) -> None:
        # Part by part: the released potential's first gradient is about 1e12 times too large, and a common norm would
        # silence every other part in that step.
        for part in self.model.children():
            parameters = list(part.parameters())
            if parameters and gradient_clip_val is not None:
                torch.nn.utils.clip_grad_norm_(parameters, gradient_clip_val)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["neuralsde"] = self.record
        checkpoint["epoch_means"], checkpoint["recent_losses"] = self.means.state_dict(), list(self.guard.recent)
        if self._watching is not None:
            checkpoint["watching_scheduler"] = self._watching[0].state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self._watching_state = checkpoint.get("watching_scheduler")
        if "epoch_means" in checkpoint:  # not in those of earlier versions
            self.means.load_state_dict(checkpoint["epoch_means"], self.device)
            self.guard.recent.extend(checkpoint["recent_losses"])


def entry_weights(spec: DataSpec, heldout: float, forward: float) -> Float[Tensor, "bin target"]:
    """Weights of the likelihood's entries, with a mean of 1 over all of a trial's: `heldout` is that of held-out units in
    observed bins and `forward` that of all units in forward bins, where held-in units in observed bins have 1. Entries that
    are not learned from count in that mean: where there are some, the likelihood weighs more beside the divergence."""
    weights = torch.ones(spec.total_bins, spec.target_dim)
    if spec.predicts_inputs:
        weights[: spec.observed_bins, spec.observed_dim :] = heldout
        weights[spec.observed_bins :] = forward
    return weights / weights.mean()


def validation_scores(rates: np.ndarray, targets: np.ndarray, spec: DataSpec) -> dict[str, float]:
    """Co-bps and fp-bps where the targets for them are known (NaN where not known)."""
    observed, unit = spec.observed_bins, spec.observed_dim
    scores = {}
    heldout = targets[:, :observed, unit:]
    if np.isfinite(heldout).any():
        scores["val/co_bps"] = bits_per_spike(rates[:, :observed, unit:], heldout)
    forward = targets[:, observed:]
    if np.isfinite(forward).any():
        scores["val/fp_bps"] = bits_per_spike(rates[:, observed:], forward)
    return scores
