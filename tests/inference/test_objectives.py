import pytest
import torch

from neuralsde.errors import ConfigError
from neuralsde.inference import ELBO, CoordinatedDropout, SampleValidation
from neuralsde.inference.coordinated_dropout import check_probabilities

LOG_PROB = -torch.arange(24.0).reshape(2, 3, 4)
EVERYTHING = torch.ones(2, 3, 4, dtype=torch.bool)
KL = {"path": torch.tensor([3.0, 5.0]), "start": torch.tensor([1.0, 1.0])}


def test_the_weight_one_per_entry_is_the_bound():
    """Loss times the number of entries = -(log-likelihood - KL), summed over the batch."""
    loss = ELBO()(LOG_PROB, KL, EVERYTHING, EVERYTHING, epoch=0)
    assert loss.total * 24 == pytest.approx((-LOG_PROB.sum() + 10.0).item(), rel=1e-6)


def test_released_scale_is_per_trial():
    loss = ELBO(0.1, kl_per="trial")(LOG_PROB, KL, EVERYTHING, EVERYTHING, epoch=0)
    assert loss.total == pytest.approx((-LOG_PROB.mean() + 0.1 * 5.0).item(), rel=1e-6)


def test_several_samples_are_weighed_together():
    """Against the definition, path by path: -log mean_k exp(log p(learned entries) - KL), per learned entry."""
    torch.manual_seed(0)
    log_prob, learned = torch.randn(6, 3, 4), torch.rand(2, 3, 4) < 0.6
    kl = {"kl_path": torch.rand(6), "kl_initial": torch.rand(6)}
    objective = ELBO({"kl_path": 0.5}, samples=3, estimator="sampled")
    expected = 0.0
    for trial in range(2):
        weights = [
            log_prob[k * 2 + trial][learned[trial]].sum() - 0.5 * kl["kl_path"][k * 2 + trial] - kl["kl_initial"][k * 2 + trial]
            for k in range(3)
        ]
        expected += torch.stack(weights).exp().mean().log()
    loss = objective(log_prob, kl, EVERYTHING, learned, 0)
    assert loss.total == pytest.approx((-expected / learned.sum()).item(), rel=1e-5)


def test_weights_and_ramps_by_term():
    objective = ELBO({"path": 0.5}, {"path": 10})
    assert objective.weight_at(5, "path") == pytest.approx(0.25)
    assert objective.weight_at(5, "start") == 1.0
    loss = objective(LOG_PROB, KL, EVERYTHING, EVERYTHING, 5)
    assert loss.total * 24 == pytest.approx((-LOG_PROB.sum() + 0.25 * 8.0 + 2.0).item(), rel=1e-6)


@pytest.mark.parametrize(("epoch", "weight"), [(0, 0.0), (250, 0.05), (500, 0.1), (9000, 0.1)])
def test_ramp_is_the_release_s(epoch, weight):
    assert ELBO(0.1, 500).weight_at(epoch) == pytest.approx(weight)


def test_unknown_entries_count_nowhere():
    known = EVERYTHING.clone()
    known[0, :2] = False
    spoilt = torch.where(known, LOG_PROB, 1e6)
    for objective in (ELBO(), ELBO(count_blocked=True)):
        clean = objective(LOG_PROB, KL, known, EVERYTHING, 0).total
        torch.testing.assert_close(objective(spoilt, KL, known, EVERYTHING, 0).total, clean)


@pytest.mark.parametrize("count_blocked", [True, False])
def test_blocked_entries_carry_no_gradient(count_blocked):
    learned = EVERYTHING.clone()
    learned[:, 1] = False
    log_prob = LOG_PROB.clone().requires_grad_()
    ELBO(count_blocked=count_blocked)(log_prob, KL, EVERYTHING, learned, 0).total.backward()
    assert (log_prob.grad[:, 1] == 0).all()
    assert (log_prob.grad[:, [0, 2]] < 0).all()


def test_dropped_entries_are_learned():
    counts = torch.ones(20, 30, 40)
    torch.manual_seed(0)
    kept, learned, _ = CoordinatedDropout(0.7)(counts)
    assert torch.equal(learned, ~kept)
    assert kept.float().mean() == pytest.approx(0.7, abs=0.02)


def test_released_pass_probability_lets_kept_entries_be_learned():
    torch.manual_seed(0)
    kept, learned, _ = CoordinatedDropout(0.6, 0.4)(torch.ones(20, 30, 40))
    assert learned[~kept].all()
    assert learned[kept].float().mean() == pytest.approx(0.4, abs=0.02)


def test_each_trial_keeps_a_share_of_its_own():
    torch.manual_seed(0)
    kept, learned, share = CoordinatedDropout(1.0, lowest_keep_probability=0.2)(torch.ones(400, 30, 40))
    assert torch.equal(learned, ~kept)
    found = kept.float().mean((1, 2))
    assert torch.allclose(found, share.flatten(), atol=0.06)
    assert share.mean().item() == pytest.approx(0.6, abs=0.04)
    assert share.var().item() == pytest.approx(0.8**2 / 12, rel=0.15)  # of the uniform law


@pytest.mark.parametrize("lowest", [None, 0.5])
def test_whole_channels_are_hidden_and_learned(lowest):
    torch.manual_seed(0)
    dropout = CoordinatedDropout(1.0, lowest_keep_probability=lowest, channel_dropout=0.4)
    kept, learned, share = dropout(torch.ones(2000, 30, 40))
    assert torch.equal(learned, ~kept)
    gone = (~kept).all(1)  # by chance alone: 0.5**30
    assert gone.float().mean().item() == pytest.approx(0.4 / 2, abs=0.01)
    by_trial = 0.4**2 / 12 + (0.2 - 0.16 / 3) / 40  # variance of the chances, and of 40 draws
    assert gone.float().mean(1).var().item() == pytest.approx(by_trial, rel=0.1)
    found = kept.float().mean((1, 2))
    assert (found / share.flatten()).mean().item() == pytest.approx(1, abs=0.01)  # so scaled inputs keep their mean
    assert torch.corrcoef(torch.stack([found, share.flatten()]))[0, 1] > 0.8  # trial by trial


def test_no_channel_is_hidden_whole_without_it():
    torch.manual_seed(0)
    plain = CoordinatedDropout(0.7)(torch.ones(200, 30, 40))
    assert not (~plain.kept).all(1).any()


def test_keep_probability_one_hides_nothing():
    counts = torch.ones(2, 3, 4)
    kept, learned, _ = CoordinatedDropout(1.0)(counts)
    assert kept.all()
    assert learned.all()


def test_sample_validation_sets_the_same_entries_aside_every_time():
    counts, aside = torch.ones(50, 30, 20), SampleValidation(0.2)
    first, again = aside(torch.arange(50), counts), aside(torch.arange(50).flip(0), counts).flip(0)
    assert torch.equal(first, again)
    assert first.float().mean() == pytest.approx(0.2, abs=0.02)


@pytest.mark.parametrize(
    "make",
    [
        lambda: ELBO(kl_per="bin"),
        lambda: ELBO(samples=2),
        lambda: ELBO(estimator="best"),
        lambda: ELBO(samples=2, estimator="sampled", kl_per="trial"),
        lambda: CoordinatedDropout(0.0),
        lambda: CoordinatedDropout(0.5, lowest_keep_probability=0.6),
        lambda: CoordinatedDropout(0.5, channel_dropout=1.0),
        lambda: check_probabilities(0.5, 0.0, None, "yes"),
        lambda: check_probabilities(None, 0.0, None, 0.0),
        lambda: check_probabilities(0.5, 0.0, "low", 0.0),
        lambda: SampleValidation(1.0),
    ],
    ids=[
        "elbo",
        "samples",
        "estimator",
        "per_trial",
        "cd",
        "cd_lowest",
        "cd_channels",
        "cd_word",
        "cd_null",
        "cd_lowest_word",
        "sv",
    ],
)
def test_impossible_settings_are_refused(make):
    with pytest.raises(ConfigError):
        make()
