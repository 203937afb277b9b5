import math
import re

import pytest
import torch
from torch import nn

from neuralsde.errors import ConfigError
from neuralsde.nn.encoders import TransformerEncoder

GENERATOR = torch.Generator().manual_seed(0)
VALUES = torch.randn(3, 6, 5, dtype=torch.float64, generator=GENERATOR)
SEEN = torch.rand(3, 6, 5, generator=GENERATOR) < 0.6
SEEN[:, 0], SEEN[0, 4] = True, False  # a bin in which nothing was seen
VALUES = VALUES * SEEN
TIMES = torch.rand(3, 8, dtype=torch.float64, generator=GENERATOR).cumsum(1)  # two forward bins
DURATION_S = 4.0


def encoder(**switches):
    torch.manual_seed(0)
    made = TransformerEncoder(5, 8, DURATION_S, feedforward_size=12, **switches).double().eval()
    nn.init.normal_(made.unobserved)
    return made


def renamed(name):
    """Our name of a parameter of torch.nn's encoder."""
    for pattern, ours in ((r"^layers\.", ""), (r"self_attn\.in_proj_", "in_proj."), (r"self_attn\.", ""), (r"^norm\.", "2.")):
        name = re.sub(pattern, ours, name)
    return name


def torch_s_own(ours):
    """torch.nn's encoder with our weights."""
    norm_first, causal = ours.layers[0].norm_first, ours.layers[0].causal
    layer = nn.TransformerEncoderLayer(8, 2, 12, 0.1, batch_first=True, norm_first=norm_first)
    norm = nn.LayerNorm(8) if norm_first else None
    peer = nn.TransformerEncoder(layer, 2, norm, enable_nested_tensor=False).double().eval()
    state = ours.layers.state_dict()
    peer.load_state_dict({name: state[renamed(name)] for name in peer.state_dict()})
    mask = nn.Transformer.generate_square_subsequent_mask(8, dtype=torch.float64) if causal else None
    return lambda x: peer(x, mask, is_causal=causal)


def embedding(ours, read_gaps):
    """What the layers receive, entry by entry."""
    embedded = torch.zeros(3, 8, 8, dtype=torch.float64)
    for trial in range(3):
        for bin in range(8):
            row = ours.unobserved
            if bin < 6 and SEEN[trial, bin].any():
                row = ours.embed.weight @ VALUES[trial, bin] + ours.embed.bias
                row = row + ours.embed_seen.weight @ SEEN[trial, bin].double() if read_gaps else row
            cycles = [0.5 * 100 ** (k / 3) for k in range(4)]
            angles = [2 * math.pi * f * TIMES[trial, bin].item() / DURATION_S for f in cycles]
            code = [math.sin(a) for a in angles] + [math.cos(a) for a in angles]
            embedded[trial, bin] = row + torch.tensor(code, dtype=torch.float64)
    return embedded


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.parametrize("read_gaps", [True, False])
def test_encoder_is_torch_s_on_the_embedding_of_its_docstring(norm_first, causal, read_gaps):
    ours = encoder(norm_first=norm_first, causal=causal, read_gaps=read_gaps)
    expected = torch_s_own(ours)(embedding(ours, read_gaps))
    torch.testing.assert_close(ours(VALUES, SEEN, TIMES), expected)


@pytest.mark.parametrize(("causal", "reached"), [(True, [3, 4, 5, 6, 7]), (False, list(range(8)))])
def test_causal_encoder_does_not_look_ahead(causal, reached):
    ours, other = encoder(causal=causal), VALUES.clone()
    other[1, 3] += 1
    difference = (ours(VALUES, SEEN, TIMES) - ours(other, SEEN, TIMES)).abs().amax((0, 2))
    assert difference.nonzero().flatten().tolist() == reached


def test_bins_in_which_nothing_was_seen_are_not_read():
    other = VALUES.clone()
    other[0, 4] = 1e6
    assert torch.equal(encoder()(VALUES, SEEN, TIMES), encoder()(other, SEEN, TIMES))


def test_only_an_encoder_that_reads_gaps_tells_unseen_from_zero():
    fewer = SEEN.clone()
    fewer[:, 2, 0], fewer[:, 2, 1] = False, True
    values = VALUES * fewer
    seen = fewer | (values == 0)
    seen[0, 4] = False
    for read_gaps in (True, False):
        ours = encoder(read_gaps=read_gaps)
        assert torch.equal(ours(values, fewer, TIMES), ours(values, seen, TIMES)) != read_gaps


def test_times_tell_bins_apart():
    """Permuting trials' bins with their times permutes the context; without times only the order of arrival is left."""
    order = torch.tensor([2, 0, 1, 5, 3, 4, 6, 7])
    shuffled = VALUES[:, order[:6]], SEEN[:, order[:6]]
    ours = encoder()
    torch.testing.assert_close(ours(*shuffled, TIMES[:, order]), ours(VALUES, SEEN, TIMES)[:, order])
    assert not torch.allclose(ours(*shuffled, TIMES), ours(VALUES, SEEN, TIMES)[:, order])
    blind = encoder(time_code=False)
    torch.testing.assert_close(blind(*shuffled, TIMES), blind(VALUES, SEEN, TIMES)[:, order])


def test_times_per_trial_equal_shared_ones():
    shared = TIMES[:1]
    torch.testing.assert_close(encoder()(VALUES, SEEN, shared.expand(3, -1)), encoder()(VALUES, SEEN, shared))
    assert not torch.allclose(encoder()(VALUES, SEEN, TIMES)[1:], encoder()(VALUES, SEEN, shared)[1:])


def test_learned_positions_fix_the_number_of_bins():
    ours = encoder(n_bins=8, time_code=False)
    assert not torch.allclose(ours(VALUES, SEEN, TIMES), encoder(time_code=False)(VALUES, SEEN, TIMES))
    with pytest.raises(ConfigError, match=r"encoder.n_bins is 8.* but 7 bins arrived: set model.encoder.n_bins=null"):
        ours(VALUES, SEEN, TIMES[:, :7])


def test_heads_that_do_not_divide_the_width_are_refused():
    with pytest.raises(ConfigError, match=r"hidden_size=8 does not split into model.encoder.heads=3"):
        encoder(heads=3)
