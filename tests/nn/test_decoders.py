import pytest
import torch
from torch import nn

from neuralsde.errors import ConfigError
from neuralsde.nn.attention import SelfAttentionLayer
from neuralsde.nn.decoders import MLPDecoder, PublishedClassifier, TransformerDecoder
from neuralsde.nn.dropout import Dropout

INPUT = torch.randn(3, 7, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("norm_first", [True, False])
def test_attention_layer_is_torch_s(norm_first, causal):
    ours = SelfAttentionLayer(12, 3, 20, 0.1, norm_first, causal).double().eval()
    peer = nn.TransformerEncoderLayer(12, 3, 20, 0.1, batch_first=True, norm_first=norm_first).double().eval()
    names = {"self_attn.in_proj_weight": "in_proj.weight", "self_attn.in_proj_bias": "in_proj.bias"}
    state = ours.state_dict()
    peer.load_state_dict({k: state[names.get(k, k.removeprefix("self_attn."))] for k in peer.state_dict()})
    mask = nn.Transformer.generate_square_subsequent_mask(7, dtype=torch.float64) if causal else None
    expected = peer(INPUT, mask, is_causal=causal)
    torch.testing.assert_close(ours(INPUT), expected)
    # and in training, where another code path attends (the dropout switched off)
    ours.train().dropout.p = 1e-9
    torch.testing.assert_close(ours(INPUT), expected)


def test_fixup_scales_the_residual_branches():
    torch.manual_seed(0)
    plain = TransformerDecoder(12, heads=2, feedforward_size=8)
    torch.manual_seed(0)
    scaled = TransformerDecoder(12, heads=2, feedforward_size=8, fixup=True)
    ratio = scaled.layers[0].linear1.weight / plain.layers[0].linear1.weight
    torch.testing.assert_close(ratio, torch.full_like(ratio, 0.67 * 3**-0.25))
    torch.testing.assert_close(scaled.layers[0].in_proj.weight, plain.layers[0].in_proj.weight)


def test_positions_break_the_symmetry_of_the_bins():
    for n_bins, equivariant in ((None, True), (7, False)):
        torch.manual_seed(0)
        decoder = TransformerDecoder(12, model_size=8, heads=2, n_bins=n_bins).double().eval()
        same = torch.allclose(decoder(INPUT.flip(1)).flip(1), decoder(INPUT))
        assert same == equivariant


@pytest.mark.parametrize(("causal", "reached"), [(True, [3, 4, 5, 6]), (False, list(range(7)))])
def test_causal_decoder_does_not_look_ahead(causal, reached):
    decoder = TransformerDecoder(12, heads=2, feedforward_size=8, layers=2, causal=causal).double().eval()
    other = INPUT.clone()
    other[:, 3] += 1
    difference = (decoder(INPUT) - decoder(other)).abs().amax((0, 2))
    assert difference.nonzero().flatten().tolist() == reached


@pytest.mark.parametrize("bins", [6, 8])
def test_path_of_another_length_than_the_position_code_is_refused(bins):
    path = INPUT[:, [0]].expand(-1, bins, -1).float()
    with pytest.raises(ConfigError, match=rf"decoder.n_bins is 7.* but {bins} bins arrived: set model.decoder.n_bins=null"):
        TransformerDecoder(12, n_bins=7)(path)
    assert TransformerDecoder(12)(path).shape == (3, bins, 12)


def test_heads_that_do_not_divide_the_width_are_refused():
    with pytest.raises(ConfigError, match="width 12 does not split into 5 attention heads"):
        TransformerDecoder(12, heads=5)


def test_mlp_without_layers_is_the_identity():
    decoder = MLPDecoder(12, layers=0)
    assert decoder.output_size == 12
    torch.testing.assert_close(decoder(INPUT), INPUT)


def test_dropout_has_its_probability_and_keeps_the_expectation():
    """n = 400,000 entries, six standard errors; a probability 5 % off is seen."""
    torch.manual_seed(0)
    n, p = 400_003, 0.3
    dropped = Dropout(p)(torch.ones(n)) == 0
    bound = 6 * (p * (1 - p) / n) ** 0.5
    assert abs(dropped.double().mean() - p) < bound
    assert abs(dropped.double().mean() * 1.05 - p) > bound
    kept = Dropout(p)(torch.ones(n))
    assert len(kept.unique()) == 2
    assert abs(kept.double().mean() - 1) < bound / (1 - p)


def test_dropout_entries_are_independent_of_their_neighbours():
    """Four entries share a draw: correlation at lags 1 to 4, n = 400,000, six standard errors."""
    torch.manual_seed(0)
    dropped = (Dropout(0.5)(torch.ones(400_000)) == 0).double() - 0.5
    for lag in range(1, 5):
        correlation = (dropped[lag:] * dropped[:-lag]).mean() / 0.25
        assert abs(correlation) < 6 / 400_000**0.5


def test_dropout_rests_in_evaluation():
    torch.testing.assert_close(Dropout(0.5).eval()(INPUT), INPUT)
    with pytest.raises(ValueError, match="has to be in"):
        Dropout(1.0)


def test_the_published_classifier_learns_from_a_trial_that_is_alone_in_its_batch():
    head = PublishedClassifier(12, dropout=0.0).double().train()
    whole = head(INPUT)
    assert whole.shape == INPUT.shape
    torch.testing.assert_close(head(INPUT[:1]), head.eval()(INPUT[:1]))
    with pytest.raises(AssertionError):  # where there are others they are normalised by each other
        torch.testing.assert_close(whole[:1], head(INPUT[:1]))


def test_the_published_classifier_starts_from_larger_weights_than_torchs():
    last = PublishedClassifier(64).last[0]
    assert last.weight.std().item() == pytest.approx((2 / 128) ** 0.5, rel=0.1)  # Glorot's; torch's own: (1 / 192) ** .5
    assert (last.bias == 0.01).all()
