"""Decoding by attention over time: against loops, torch's own attention, and the published decoder written out."""

import math

import pytest
import torch
from torch import nn

from neuralsde.errors import ConfigError
from neuralsde.nn.decoders import MTANDecoder

TRIALS, SAMPLES, POINTS, BINS, SIZE, T = 3, 2, 6, 9, 4, 10.0


def drawn(**settings):
    """A decoder in double precision, states of several samples, and times of states and bins."""
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    decoder = MTANDecoder(SIZE, T, 5, 8, hidden_size=7, **settings).double()
    states = torch.randn(SAMPLES * TRIALS, POINTS, SIZE, dtype=torch.float64, generator=generator)
    points, bins = ((torch.rand(TRIALS, n, generator=generator, dtype=torch.float64) * T).sort(1)[0] for n in (POINTS, BINS))
    return decoder, states, points, bins


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("heads", [1, 2])
def test_attention_is_the_sum_that_it_says(heads, causal):
    """Number by number: which states a bin sees, what each of them weighs, and what that adds up to."""
    decoder, states, points, bins = drawn(heads=heads, causal=causal)
    decoder.requires_grad_(False)
    found = decoder(states, points, bins)
    hidden = decoder.gru(states)[0]
    d = 8 // heads
    for row in range(SAMPLES * TRIALS):
        trial = row % TRIALS
        for n, t in enumerate(bins[trial]):
            parts = []
            for head in range(heads):
                of_head = slice(head * d, (head + 1) * d)
                query = decoder.query(decoder.embed_time(t.view(1, 1)))[0, 0, of_head]
                seen = [k for k in range(POINTS) if not causal or k == 0 or points[trial, k] <= t]
                keys = [decoder.key(decoder.embed_time(points[trial, k].view(1, 1)))[0, 0, of_head] for k in seen]
                weight = [math.exp(query @ key / math.sqrt(d)) for key in keys]
                width = hidden.shape[2]
                of_value = slice(head * width, (head + 1) * width)
                values = [decoder.value(hidden[row, k])[of_value] for k in seen]
                parts.append(sum(w * v for w, v in zip(weight, values, strict=True)) / sum(weight))
            torch.testing.assert_close(found[row, n], decoder.head(torch.cat(parts)[None, None])[0, 0])


def test_weights_are_torch_s_own_attention_s():
    decoder, _, points, bins = drawn(heads=2)
    values = torch.randn(TRIALS, 2, POINTS, 3, dtype=torch.float64)
    query, key = (
        layer(decoder.embed_time(t)).unflatten(2, (2, 4)).transpose(1, 2)
        for layer, t in ((decoder.query, bins), (decoder.key, points))
    )
    expected = nn.functional.scaled_dot_product_attention(query, key, values)
    torch.testing.assert_close(decoder.weights(points, bins) @ values, expected)


def test_with_one_head_it_is_the_published_decoder():
    """`dec_rnn3` as its paper has it: attend to the recurrence first, then one linear layer, ReLU in the net."""
    decoder, states, points, bins = drawn(heads=1, activation="relu", published_start=True)
    assert decoder.embed_time.frequency.abs().max() <= 1
    hidden, wave = decoder.gru(states)[0], decoder.embed_time

    def embedded(t):
        angle = t[..., None] / T * wave.frequency + wave.phase
        return torch.cat([angle[..., :1], angle[..., 1:].sin()], -1)

    scores = decoder.query(embedded(bins)) @ decoder.key(embedded(points)).mT / math.sqrt(8)
    mixed = scores.softmax(-1).repeat(SAMPLES, 1, 1) @ hidden
    linear = decoder.head.layers[1][0]
    torch.testing.assert_close(decoder(states, points, bins), linear(decoder.value(mixed)).relu())


def test_rows_that_pad_a_trial_change_nothing_where_it_looks_back():
    for causal in (True, False):
        decoder, states, points, _ = drawn(causal=causal)
        padded = torch.cat([states, torch.randn(SAMPLES * TRIALS, 3, SIZE, dtype=torch.float64)], 1)
        later = torch.cat([points, points[:, -1:] + torch.arange(1, 4) * 1e-3], 1)
        same = torch.allclose(decoder(padded, later, points), decoder(states, points, points))
        assert same == causal


def test_times_that_trials_share_are_told_once():
    decoder, states, points, bins = drawn()
    one, all_alike = (points[:1], bins[:1]), (points[:1].expand(TRIALS, -1), bins[:1].expand(TRIALS, -1))
    torch.testing.assert_close(decoder(states, *one), decoder(states, *all_alike))


@pytest.mark.parametrize(
    ("settings", "sentence"), [({"heads": 3}, "does not split into"), ({"recurrent_size": -1}, "0 for no recurrence")]
)
def test_impossible_settings_are_refused(settings, sentence):
    with pytest.raises(ConfigError, match=sentence):
        MTANDecoder(SIZE, T, **settings)
    assert MTANDecoder(SIZE, T, recurrent_size=0).output_size == 64
