import numpy as np
import pytest
import torch
from scipy.stats import skew

from neuralsde.errors import ConfigError
from neuralsde.nn.encoders import SummaryEncoder
from neuralsde.nn.encoders.summary import PENALTY, STATISTICS, statistics

BATCH, CHANNELS, BINS, LAST = 5, 3, 40, 31.0


def series(seed=0):
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(BATCH, BINS, CHANNELS, generator=generator, dtype=torch.float64).cumsum(1)
    seen = torch.rand(BATCH, BINS, CHANNELS, generator=generator) > 0.3
    times = (torch.rand(BATCH, BINS, generator=generator, dtype=torch.float64) + 0.05).cumsum(1)
    return values * seen, seen, LAST * times / times[:, -1:]


def encoder(**settings):
    return SummaryEncoder(CHANNELS, LAST, LAST / BINS, hidden_size=4, **settings).double().eval()


def each(values, seen, times):
    """Number of the series and of the channel, and what is known of it."""
    for b, c in np.ndindex(BATCH, CHANNELS):
        known = seen[b, :, c].numpy()
        yield b, c, times[b].numpy()[known], values[b, :, c].numpy()[known]


def test_statistics_are_numpys_and_scipys():
    values, seen, times = series()
    found = statistics(values, seen, times)
    assert found.shape == (BATCH, CHANNELS, STATISTICS)
    for b, c, t, x in each(values, seen, times):
        line, step, z = np.polyfit(t, x, 1), np.diff(x), x - x.mean()
        expected = [
            x.mean(), x.std(), line[0], (x - np.polyval(line, t)).std(), np.sqrt((step**2).mean()),
            (z[1:] * z[:-1]).mean() / x.var(), skew(x), (step**3).mean() / (step**2).mean() ** 1.5,
            z.max() / x.std(), z.min() / x.std(),
        ]  # fmt: skip
        np.testing.assert_allclose(found[b, c].numpy(), expected, rtol=1e-9, atol=1e-12)


def test_powers_are_those_of_penalised_least_squares():
    made, (values, seen, times) = encoder(periods=7), series()
    found = made.powers(values, seen, times)
    for b, c, t, x in each(values, seen, times):
        z = x - x.mean()
        for share, frequency in zip(found[b, c].tolist(), made.frequency.tolist(), strict=True):
            wave = np.stack([np.ones_like(t), np.cos(frequency * t), np.sin(frequency * t)], 1)
            design = np.concatenate([wave, np.sqrt(PENALTY) * np.eye(3)])
            fit = np.linalg.lstsq(design, np.concatenate([z, np.zeros(3)]), rcond=None)[0]
            np.testing.assert_allclose(share, 1 - ((z - wave @ fit) ** 2).sum() / (z**2).sum(), rtol=1e-6)


def test_the_period_of_a_wave_stands_out():
    made, (_, seen, times) = encoder(), series()
    wave = torch.sin(made.frequency[8] * times + 1.0)[..., None].expand(-1, -1, CHANNELS)
    assert (made.powers(wave * seen, seen, times).argmax(2) == 8).all()
    noise = torch.randn(wave.shape, generator=torch.Generator().manual_seed(1), dtype=wave.dtype)
    assert (made.powers(noise * seen, seen, times).argmax(2) != 8).any()


def test_the_context_is_one_of_the_series_and_reads_neither_padding_nor_the_clock():
    made, (values, seen, times) = encoder(), series()
    context = made(values, seen, times)
    assert context.shape == (BATCH, BINS, 4)
    torch.testing.assert_close(context, context[:, :1].expand_as(context))
    more = torch.nn.functional.pad(values, (0, 0, 0, 6), value=7.0), torch.nn.functional.pad(seen, (0, 0, 0, 6))
    padded = made(*more, torch.cat([times, times[:, -1:] + 0.01 * torch.arange(1, 7)], 1) + 100.0)
    torch.testing.assert_close(padded[:, 0], context[:, 0])
    moved = values.clone()
    moved[:, 3] += seen[:, 3].double()
    assert (made(moved, seen, times)[:, 0] - context[:, 0]).abs().max() > 1e-3


def test_a_channel_of_one_value_has_a_mean_and_no_more():
    made, (values, seen, times) = encoder(), series()
    seen[:, :, 0], seen[:, 5, 0], seen[:, :, 1] = False, True, False
    values[:, 5, 0] = 3.0
    found = statistics(values, seen, times)
    expected = torch.zeros(STATISTICS, dtype=torch.float64)
    torch.testing.assert_close(found[0, 1], expected)
    expected[0] = 3.0
    torch.testing.assert_close(found[0, 0], expected)
    assert (made.powers(values, seen, times)[:, :2] == 0).all()


@pytest.mark.parametrize("level", [0.0, 23.7, 333.0, 1e6])
def test_rounding_is_no_shape(level):
    _, seen, times = series()
    values = torch.full(seen.shape, level) * seen
    found = statistics(values, seen, times.float())
    torch.testing.assert_close(found[..., 0], torch.full((BATCH, CHANNELS), level))
    assert (found[..., 1:] == 0).all()
    assert (SummaryEncoder(CHANNELS, LAST, LAST / BINS).powers(values, seen, times.float()) == 0).all()


def test_small_numbers_have_the_shape_of_large_ones():
    made, (values, seen, times) = encoder(), series()
    torch.testing.assert_close(made.powers(1e-5 * values, seen, times), made.powers(values, seen, times))
    shapes = [statistics(scale * values, seen, times)[..., 5:] for scale in (1e-5, 1.0)]
    torch.testing.assert_close(*shapes)


def test_standardised_numbers_are_cut_off():
    made, (values, seen, times) = encoder(), series()
    far = [made((values + level) * seen, seen, times) for level in (50.0, 500.0)]
    torch.testing.assert_close(*far)
    assert (made(values, seen, times) - far[0]).abs().max() > 1e-2


def test_half_precision_is_not_for_sums():
    made, (values, seen, times) = encoder().float(), series()
    given = values.float(), seen, times.float()
    read = []
    made.mix.register_forward_pre_hook(lambda layer, inputs: read.append(inputs[0]))
    with torch.autocast("cpu", torch.bfloat16):
        made(*given)
    made(*given)
    assert torch.equal(*read)


@pytest.mark.parametrize("setting", ["hidden_size", "periods"])
def test_numbers_of_parts_are_counted(setting):
    with pytest.raises(ConfigError, match=rf"model\.encoder\.{setting} is 0"):
        SummaryEncoder(CHANNELS, LAST, LAST / BINS, **{setting: 0})
