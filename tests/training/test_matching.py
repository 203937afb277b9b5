"""Training without simulating, through the module: which entries count, and how many bins they stand for."""

import pytest
import torch

from neuralsde.errors import ConfigError
from neuralsde.inference import MatchedSDE
from neuralsde.likelihoods import Gaussian
from neuralsde.training.build import instantiate_part
from neuralsde.training.fit import build_module, fill_in_sizes, start_at_mean_rates
from tests.helpers.tiny import tiny_config


def tiny_module(tmp_path, words):
    """A module at its start, and its data."""
    torch.manual_seed(0)
    config = tiny_config(tmp_path, *words)
    data = instantiate_part(config, "data")
    fill_in_sizes(config, data.spec)
    data.setup()
    return build_module(config, data.spec), data


@pytest.mark.slow
@pytest.mark.parametrize("model", ["latent_sde", "langevinflow"])
def test_some_bins_estimate_the_loss_of_all(model, tmp_path):
    """In expectation: the mean over draws of three bins is that of all bins, within four standard errors of the pair."""
    words = [f"model={model}", "objective=sde_matching", "training.coordinated_dropout.keep_probability=1.0"]
    words += ["model.encoder.dropout=0.0", "model.encoder.input_dropout=0.0", "objective.kl_ramp_epochs=0"]
    losses = {}
    for bins in ("3", "null"):
        module, data = tiny_module(tmp_path, [*words, f"objective.observations={bins}"])
        batch = next(iter(data.train_dataloader()))
        torch.manual_seed(0)
        with torch.no_grad():
            losses[bins] = torch.stack([module.loss(batch).loss.total for _ in range(200)])
    error = sum(sample.var() / len(sample) for sample in losses.values()) ** 0.5
    assert abs(losses["3"].mean() - losses["null"].mean()) < 4 * error
    assert losses["3"].mean() > 8 * error  # so that half of the loss would be seen


PARTS = [
    "model=latent_sde",
    "objective=sde_matching",
    "objective.kl_ramp_epochs=0",
    "objective.kl_weight=1.0",
    "model/encoder=local",
]


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        [],
        ["objective.bound=discrete"],
        ["model/curves=attention"],
        ["model/dynamics=underdamped_langevin"],
        ["model.encoder.pass_on=true", "model.encoder.stride=1", "model.dynamics.curves.knot_bins=1"],
    ],
)
def test_parts_of_trials_estimate_the_loss_of_all(words, tmp_path):
    """In expectation, term by term; the start costs enough that a factor which is forgotten would be seen."""
    samples = {}
    for part in ("3", "null"):
        module, data = tiny_module(tmp_path, [*PARTS, *words, f"objective.part_bins={part}"])
        module.model.dynamics.prior_mean.data.fill_(3.0)  # a start that costs something
        batch = next(iter(data.train_dataloader()))
        torch.manual_seed(0)
        with torch.no_grad():
            losses = [module.loss(batch).loss for _ in range(100)]
        samples[part] = {name: torch.stack([loss.terms[name] for loss in losses]) for name in losses[0].terms}
    for name, found in samples["3"].items():
        expected = samples["null"][name]
        error = ((found.var() + expected.var()) / len(found)) ** 0.5
        assert abs(found.mean() - expected.mean()) < 4 * error + 1e-6 * expected.mean().abs(), name
        if name == "kl_initial":
            assert expected.mean() > 5 * error


@pytest.mark.parametrize(
    ("words", "told"), [(["model/encoder=gru"], "model/encoder=local"), (["model/curves=kernel"], "spline or att")]
)
def test_parts_need_a_local_context_and_local_curves_before_anything_is_trained(words, told, tmp_path):
    with pytest.raises(ConfigError, match=told):
        tiny_module(tmp_path, [*PARTS, *words, "objective.part_bins=3"])


@pytest.mark.parametrize(
    ("words", "near"),
    [([], True), (["model.dynamics.covariance=diagonal"], True), (["model.encoder.pass_on=false"], False)],
)
def test_means_begin_at_observations_that_are_passed_on(words, near, tmp_path):
    """Read linearly off a path of as many states as channels; small weights of the rest of the context are in the way."""
    simulated = ["data=stochastic_lorenz", "data.n_train=16", "data.n_eval=8", "data.batch_size=16", "data.observed_bins=12"]
    model = ["model=latent_sde", "model/likelihood=gaussian", "model/encoder=local", "model.encoder.pass_on=true"]
    module, data = tiny_module(tmp_path, [*simulated, *model, "model/dynamics=neural", "objective=sde_matching", *words])
    start_at_mean_rates(module, data)
    batch, dynamics = next(iter(data.train_dataloader())), module.model.dynamics
    assert isinstance(dynamics, MatchedSDE)
    assert isinstance(module.model.likelihood, Gaussian)
    context, clock = module.model.encoder(batch.values, batch.seen, batch.times), dynamics.clock(batch.times)[..., 0].t()
    bins = torch.arange(12).expand(16, -1)
    moments = dynamics.marginals.moments_in(dynamics.sde.prepared(), context, clock.float(), bins)
    error = (module.model.likelihood.readout(moments.mean) - batch.targets).std() / batch.targets.std()
    assert (error < 0.2) == near
    assert near or error > 0.8


def test_the_divergence_weighs_as_in_the_bound_whatever_is_drawn(tmp_path):
    """Nats per entry: a trial's divergence over the entries of all its bins, not of those drawn."""
    terms = {}
    for bins in ("2", "null"):
        module, data = tiny_module(tmp_path, ["model=latent_sde", "objective=sde_matching", f"objective.observations={bins}"])
        batch = next(iter(data.train_dataloader()))
        torch.manual_seed(0)
        done = module.loss(batch)
        terms[bins] = done.loss.terms["kl_initial"] / done.output.kl["kl_initial"].mean()
    torch.testing.assert_close(terms["2"], terms["null"])


def test_entries_are_hidden_in_the_stretch_that_is_read_as_in_whole_trials(tmp_path):
    """Forward bins and held-out units are learned from, and of the rest what is hidden."""
    words = ["data.observed_bins=50", "model.encoder.dilations=[1]", "objective.part_bins=3"]
    module, data = tiny_module(tmp_path, [*PARTS, *words])
    batch, observed, unit = next(iter(data.train_dataloader())), 50, data.spec.observed_dim
    matching = module.objective.matching
    assert matching is not None
    stretch = module.model.some_stretch(matching, batch.values, data.spec.total_bins, observed)
    assert stretch is not None
    inputs, _, learned, _ = module.mask(batch, stretch)
    bins = stretch.bins
    assert inputs.shape[1] < 0.8 * observed
    assert learned[bins >= observed].all()
    assert learned[..., unit:].all()
    within = (bins >= 0) & (bins < observed)
    inputs, learned, values = inputs[within], learned[..., :unit][within], stretch.of(batch.values)[within]
    torch.testing.assert_close(inputs, torch.where(learned, 0.0, values / 0.7))
    assert 0.2 < learned.float().mean() < 0.4


def test_a_step_draws_no_more_in_longer_trials(tmp_path, monkeypatch):
    """Parts of three bins: entries of what their context reads are hidden, not those of whole trials."""
    drawn, rand = {}, torch.rand

    def counted(*size, **settings):
        made = rand(*size, **settings)
        drawn[bins] += made.numel()
        return made

    monkeypatch.setattr(torch, "rand", counted)
    for bins in (30, 300):
        drawn[bins] = 0
        words = [f"data.observed_bins={bins}", "model.encoder.dilations=[1]", "objective.part_bins=3"]
        module, data = tiny_module(tmp_path, [*PARTS, *words])
        batch, drawn[bins] = next(iter(data.train_dataloader())), 0
        module.loss(batch)
    assert 0 < drawn[300] <= drawn[30]
