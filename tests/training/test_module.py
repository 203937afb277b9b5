"""What the LightningModule does to a batch, to the optimiser and to the schedule."""

import math
from dataclasses import replace

import pytest
import torch

from neuralsde.errors import ConfigError
from neuralsde.evaluation.load import load
from neuralsde.inference.objectives import Loss
from neuralsde.training.build import instantiate_part
from neuralsde.training.fit import build_module, fill_in_sizes
from neuralsde.workflow import train
from tests.helpers.tiny import tiny_config, tiny_simulated


@pytest.fixture
def module_and_batch(tmp_path):
    config = tiny_config(tmp_path)
    data = instantiate_part(config, "data")
    fill_in_sizes(config, data.spec)
    data.setup()
    return build_module(config, data.spec), data.train_set.__getitems__([0, 1, 2])


def test_hidden_entries_heldout_units_and_forward_bins_are_learned(module_and_batch):
    module, batch = module_and_batch
    inputs, _, learned, aside = module.mask(batch)
    assert aside is None
    assert learned[:, 10:].all()
    assert learned[:, :, 9:].all()
    shown = inputs != 0
    assert not (learned[:, :10, :9] & shown).any()
    assert 0.15 < learned[:, :10, :9].float().mean() < 0.45  # 30 % are hidden


def test_loss_gradient_never_reaches_a_kept_entry_s_own_likelihood(module_and_batch):
    """Of the held-in entries, those that were shown carry no gradient and the hidden ones do."""
    module, batch = module_and_batch
    torch.manual_seed(0)
    inputs, _, learned, _ = module.mask(batch)
    parameter = torch.zeros(batch.targets.shape, requires_grad=True)
    log_prob = module.model.likelihood.log_prob(parameter, batch.targets)
    module.objective(log_prob, {}, batch.known, learned, 0).total.backward()
    shown = inputs > 0
    assert shown.any()
    assert (parameter.grad[:, :10, :9][shown] == 0).all()
    assert (parameter.grad[:, 10:] != 0).any()


def test_bins_without_a_target_need_no_decoding(tmp_path, monkeypatch):
    config = tiny_config(tmp_path, "model=latent_sde", "model/decoder=mlp")
    data = instantiate_part(config, "data")
    fill_in_sizes(config, data.spec)
    data.setup()
    module, batch = build_module(config, data.spec).eval(), data.train_set.__getitems__([0, 1, 2])
    module.spec = replace(data.spec, predicts_inputs=False)  # nothing is hidden
    batch.known[:, :4], batch.known[:, 8:] = False, False
    decoded, losses = [], []
    module.model.decoder.register_forward_hook(lambda _, inputs, output: decoded.append(inputs[0].shape[1]))
    for bins in (slice(4, 8), slice(None)):
        torch.manual_seed(0)
        module.explained = bins
        losses.append(module.loss(batch).loss.total.item())
    assert decoded == [4, 13]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_short_last_batch_is_used(tmp_path):
    data = instantiate_part(tiny_config(tmp_path, "data.batch_size=7"), "data")
    data.setup()
    n = len(data.train_set)
    assert n % 7
    assert len(data.train_dataloader()) == n // 7 + 1


def test_weight_decay_rises_with_the_epochs(tmp_path, monkeypatch):
    seen, step = [], torch.optim.Adam.step

    def watched(self, *arguments, **settings):
        seen.append(self.param_groups[0]["weight_decay"])
        return step(self, *arguments, **settings)

    monkeypatch.setattr(torch.optim.Adam, "step", watched)
    settings = ["optimizer=adam", "optimizer.weight_decay=0.4", "training.weight_decay_ramp_epochs=4", "trainer.max_epochs=6"]
    train(tiny_config(tmp_path, *settings, "training.baselines=false"))
    per_epoch = seen[:: len(seen) // 6]
    assert per_epoch == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4, 0.4])


@pytest.mark.parametrize(
    "schedule", ["plateau", *(pytest.param(name, marks=pytest.mark.slow) for name in ("warmup_cosine", "cosine", "constant"))]
)
def test_every_schedule_runs_with_rare_validations(tmp_path, schedule):
    rare = ["trainer.max_epochs=5", "trainer.check_val_every_n_epoch=2", "training.baselines=false"]
    train(tiny_config(tmp_path, f"schedule={schedule}", *rare, "data.observed_bins=5"))


@pytest.mark.parametrize("group", ["schedule", "training"])
def test_nothing_can_watch_a_score_that_the_data_do_not_give(tmp_path, group):
    words = [*tiny_simulated("double_well"), "model=latent_sde", "model/likelihood=gaussian", "schedule=plateau"]
    with pytest.raises(ConfigError, match=rf"{group}\.monitor is val/co_bps, but validation .* only val/nll, val/elbo"):
        train(tiny_config(tmp_path / "run", *words, f"{group}.monitor=val/co_bps"))
    assert not (tmp_path / "run").exists()


def test_clipping_one_part_leaves_the_others_alone(module_and_batch):
    module, _ = module_and_batch
    for parameter in module.model.parameters():
        parameter.grad = torch.full_like(parameter, 1e-4)
    for parameter in module.model.dynamics.parameters():
        parameter.grad.fill_(1e12)
    module.configure_gradient_clipping(torch.optim.SGD(module.model.parameters(), 1.0), 5.0, "norm")
    assert torch.cat([p.grad.flatten() for p in module.model.dynamics.parameters()]).norm() == pytest.approx(5.0, rel=1e-3)
    assert (module.model.encoder.embed.weight.grad == 1e-4).all()


def test_validation_scores_are_those_of_the_averaged_weights_in_the_checkpoint(tmp_path):
    train(tiny_config(tmp_path, "trainer.max_epochs=4", "training.ema_decay=0.9", "training.baselines=false"))
    checkpoint = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)
    name = "model.likelihood.readout.weight"
    assert not torch.equal(checkpoint["state_dict"][name], checkpoint["current_model_state"][name])
    torch.testing.assert_close(
        load(tmp_path).module.state_dict()[name],
        torch.load(tmp_path / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"][name],
    )


def test_dropout_while_predicting_changes_the_rates(tmp_path):
    train(tiny_config(tmp_path, "training.baselines=false"))
    run = load(tmp_path)
    assert abs(run.predict(dropout=True).rates - run.predict().rates).max() > 1e-3


def test_the_loss_is_the_bound_of_the_bins_that_are_learned_from(tmp_path):
    """Where the prior runs forward bins alone, they enter neither the likelihood nor the share of the divergence."""
    words = [*tiny_simulated("double_well"), "model=latent_sde", "model/likelihood=gaussian", "data.forward_bins=4"]
    config = tiny_config(tmp_path, *words)
    data = instantiate_part(config, "data")
    fill_in_sizes(config, data.spec)
    data.setup()
    module, batch = build_module(config, data.spec), data.train_set.__getitems__([0, 1, 2])
    observed = data.spec.observed_bins
    assert batch.known[:, observed:].all()
    torch.manual_seed(0)
    loss = module.loss(batch).loss.total
    torch.manual_seed(0)
    output = module(batch)
    log_lik = module.model.likelihood.log_prob(output.parameter, batch.targets)[:, :observed].sum()
    expected = (sum(cost.sum() for cost in output.kl.values()) - log_lik) / batch.known[:, :observed].sum()
    torch.testing.assert_close(loss, expected)


def test_held_out_units_and_forward_bins_weigh_as_told(tmp_path):
    """The likelihood's gradient, entry by entry, against that of the same pass with equal weights."""
    config = tiny_config(tmp_path, "training.heldout_weight=4", "training.forward_weight=2")
    data = instantiate_part(config, "data")
    fill_in_sizes(config, data.spec)
    data.setup()
    module, batch = build_module(config, data.spec), data.train_set.__getitems__([0, 1, 2])
    entries = []
    module.objective.forward = lambda log_prob, *_, **__: entries.append(log_prob) or Loss(log_prob.sum(), {})
    for weights in (module.weights, torch.ones_like(module.weights)):
        module.weights = weights
        torch.manual_seed(0)
        module.loss(batch)
    ratio = entries[0] / entries[1]
    heldin, heldout, forward = ratio[:, :10, :9], ratio[:, :10, 9:], ratio[:, 10:]
    torch.testing.assert_close(heldout, torch.full_like(heldout, 4 * heldin[0, 0, 0].item()))
    torch.testing.assert_close(forward, torch.full_like(forward, 2 * heldin[0, 0, 0].item()))
    assert ratio.mean().item() == pytest.approx(1.0)


def test_epoch_means_stay_on_the_device_of_the_loss(module_and_batch):
    """Processes on GPUs can add up nothing else."""
    module, _ = module_and_batch
    module._count_terms(Loss(torch.zeros((), device="meta"), {}), ["kl"], 3)
    assert {total.device.type for total in module.means.sums.values()} == {"meta"}


def test_the_norm_penalty_is_added_to_what_is_minimised_alone(module_and_batch):
    module, batch = module_and_batch
    totals = []
    for module.norm_penalty in (0.0, 0.5):
        torch.manual_seed(0)
        totals.append(module.training_step(batch, 0))
    norms = [math.sqrt(sum(x * x for x in p.flatten().tolist())) for p in module.model.dynamics.parameters() if p.requires_grad]
    assert (totals[1] - totals[0]).item() == pytest.approx(0.5 * sum(norms), rel=1e-4)
    assert module._step.loss.total.item() == pytest.approx(totals[0].item())
