"""Video: what the encoder reads, what stays the same, what the decoder makes of it, and a model of both."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from torch import nn

from neuralsde.errors import ConfigError
from neuralsde.evaluation.load import Run, load
from neuralsde.inference import LatentODE
from neuralsde.likelihoods import Gaussian, Poisson
from neuralsde.models import LatentModel
from neuralsde.nn.decoders import MLPDecoder, VideoDecoder
from neuralsde.nn.encoders import GRUEncoder, VideoEncoder
from neuralsde.plots import frames
from neuralsde.sde import LinearNoise
from neuralsde.workflow import train
from tests.helpers.tiny import light_config, light_data, light_training, tiny_config

VIDEO = [
    "data=moving_digits",
    "data.n_train=8",
    "data.n_eval=4",
    "data.observed_bins=6",
    "data.forward_bins=2",
    "data.batch_size=4",
    "model=latent_sde",
    "model/encoder=video",
    "model/decoder=video",
    "model/likelihood=gaussian",
    "model.likelihood.readout=identity",
]
SMALL = ["model.encoder.hidden_size=8", "model.encoder.content_size=8", "model.decoder.hidden_size=8"]
GENERATOR = torch.Generator().manual_seed(0)
FRAMES = torch.rand(3, 6, 256, dtype=torch.float64, generator=GENERATOR)
SEEN, TIMES = torch.ones_like(FRAMES, dtype=torch.bool), 0.1 * torch.arange(8, dtype=torch.float64)[None]  # two forward bins


def encoder(**settings):
    torch.manual_seed(0)
    return VideoEncoder(256, 8, 5, **settings).double()


def parts(context):
    """What moves and what stays the same."""
    return context[..., :8], context[..., 8:]


@pytest.mark.parametrize(("side", "stages"), [(8, 1), (16, 2), (32, 3), (64, 4), (128, 5)])
def test_frames_of_every_side_are_read_and_drawn(side, stages):
    into, out_of = VideoEncoder(side**2, 8, 5), VideoDecoder(4 + 5, side**2, 8)
    values = torch.rand(2, 3, side**2)
    context = into(values, torch.ones_like(values, dtype=torch.bool), 0.1 * torch.arange(4.0)[None])
    assert context.shape == (2, 4, into.output_size) == (2, 4, 13)
    pixels = out_of(torch.randn(2, 4, 9))
    assert pixels.shape == (2, 4, out_of.output_size) == (2, 4, side**2)
    assert 0 < pixels.min() < pixels.max() < 1
    assert 0.05 < pixels.mean() < 0.3  # dark at the start
    assert sum(isinstance(part, nn.MaxPool2d) for part in into.modules()) == stages
    assert sum(isinstance(part, nn.Upsample) for part in out_of.modules()) == stages


def channels(part):
    return [(conv.in_channels, conv.out_channels) for conv in part.modules() if isinstance(conv, nn.Conv2d)]


def test_frames_of_64_pixels_go_through_the_published_layers():
    """Channels F, 2F, 4F, 4F down; from 4 · 4 · 4F up through 4F, 2F, F, F, then F and 1."""
    into, out_of = VideoEncoder(4096, 64, 64), VideoDecoder(6 + 64, 4096, 64)
    assert channels(into.frame) == [(1, 64), (64, 128), (128, 256), (256, 256)]
    assert into.frame[-1].in_features == 4 * 4 * 256
    assert out_of.start[0].out_features == 4 * 4 * 256
    assert channels(out_of.frame) == [(256, 256), (256, 128), (128, 64), (64, 64), (64, 64), (64, 1)]
    assert {norm.num_groups for part in (into, out_of) for norm in part.modules() if isinstance(norm, nn.GroupNorm)} == {8}


def test_what_was_not_seen_is_never_read():
    seen = SEEN.clone()
    seen[0, 2], seen[1, 3:5], seen[2, :, :100] = False, False, False
    hidden = FRAMES.masked_fill(~seen, torch.nan)
    context = encoder()(hidden, seen, TIMES)
    assert context.isfinite().all()
    torch.testing.assert_close(context, encoder()(FRAMES.masked_fill(~seen, 7.0), seen, TIMES))
    # Control: what was seen is read, and a frame that was not seen is no black frame.
    assert not torch.allclose(context, encoder()(FRAMES + 0.1, seen, TIMES))
    assert not torch.allclose(context[0], encoder()(FRAMES.masked_fill(~seen, 0.0), SEEN, TIMES)[0])


def test_a_trial_of_which_nothing_was_seen_has_a_context_and_gradients():
    made = encoder()
    context = made(FRAMES, SEEN & (torch.arange(3) != 1)[:, None, None], TIMES)
    assert context.isfinite().all()
    context.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in made.parameters())
    assert made.unobserved.grad.any()


def test_content_stays_the_same_in_all_bins_and_whatever_their_number():
    made = encoder()
    content = parts(made(FRAMES, SEEN, TIMES))[1]
    assert (content == content[:, :1]).all()
    for bins in (6, 7, 20):
        other = parts(made(FRAMES, SEEN, 0.1 * torch.arange(bins, dtype=torch.float64)[None]))[1]
        torch.testing.assert_close(other[:, 0], content[:, 0])
    assert not torch.allclose(content[0], content[1])


def test_content_knows_no_order_of_the_frames_and_the_context_does():
    made, order = encoder(), torch.tensor([3, 0, 5, 1, 4, 2])
    (moving, content), (moved, same) = (parts(made(values, SEEN, TIMES)) for values in (FRAMES, FRAMES[:, order]))
    torch.testing.assert_close(same, content)
    assert not torch.allclose(moved, moving)


def test_content_is_of_the_median_over_the_frames_seen():
    made, seen = encoder(), SEEN.clone()
    seen[0, 1], seen[1, :5] = False, False
    features = made.features(FRAMES, seen)
    middle = torch.stack([features[0, [0, 2, 3, 4, 5]].median(0).values, features[1, 5], features[2].sort(0).values[2]])
    torch.testing.assert_close(made(FRAMES, seen, TIMES)[:, 0, 8:], made.content(middle))


@pytest.mark.parametrize(("frame", "bins"), [(0, [0, 1, 2]), (2, [0, 1, 2, 3, 4]), (3, [1, 2, 3, 4, 5]), (5, [3, 4, 5, 6, 7])])
def test_a_frame_reaches_the_bins_around_it_and_the_start_reads_the_first_three(frame, bins):
    made, other = encoder(), FRAMES.clone()
    other[:, frame] = 1 - other[:, frame]
    change = (parts(made(FRAMES, SEEN, TIMES))[0] - parts(made(other, SEEN, TIMES))[0]).abs().amax((0, 2))
    assert change.nonzero().flatten().tolist() == bins


def test_the_first_bin_is_the_start_s_formula():
    made = encoder()
    h = made.features(FRAMES, SEEN)
    g = made.over_time(torch.cat([h, made.unobserved.expand(3, 2, -1)], 1).mT).mT
    context = parts(made(FRAMES, SEEN, TIMES))[0]
    torch.testing.assert_close(context[:, 0], made.start(torch.cat([g[:, 0], h[:, 0], h[:, 1], h[:, 2]], 1)))
    torch.testing.assert_close(context[:, 1:], g[:, 1:])


@pytest.mark.parametrize("bins", [1, 2])
def test_a_video_of_few_frames_has_a_start(bins):
    context = encoder()(FRAMES[:, :bins], SEEN[:, :bins], TIMES[:, :bins])
    assert context.shape == (3, bins, 13)
    assert context.isfinite().all()


def test_the_decoder_draws_each_bin_by_itself():
    torch.manual_seed(0)
    decoder, input = VideoDecoder(9, 256, 8).double(), torch.randn(3, 7, 9, dtype=torch.float64)
    torch.testing.assert_close(decoder(input.flip(1)).flip(1), decoder(input))
    other = input.clone()
    other[:, 3] += 1
    assert (decoder(other) - decoder(input)).abs().amax((0, 2)).nonzero().flatten().tolist() == [3]


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        (lambda: VideoEncoder(29), r"model.encoder VideoEncoder is for square frames .* have 29 channels: choose data="),
        (lambda: VideoEncoder(48**2), "have 2304 channels"),
        (lambda: VideoEncoder(16), "have 16 channels"),
        (lambda: VideoDecoder(6, 255), "model.decoder VideoDecoder is for square frames .* have 255 channels"),
        (lambda: VideoEncoder(256, 12), "hidden_size=12, which does not split into 8 groups"),
        (lambda: VideoDecoder(6, 256, 0), "hidden_size=0"),
        (lambda: VideoEncoder(256, 8, 0), "content_size is 0; give a whole number of at least 1"),
        (lambda: Gaussian(8, 3, readout="identity"), "hands on 8 features for 3 values: choose a decoder with one feature"),
        (lambda: Gaussian(3, 3, readout="none"), "readout is 'none'; choose linear or identity"),
    ],
)
def test_sizes_that_do_not_fit_are_refused_in_a_sentence(made, sentence):
    with pytest.raises(ConfigError, match=sentence):
        made()


def test_pixels_that_are_their_own_mean_cost_the_sum_of_squared_errors():
    likelihood = Gaussian(256, 256, noise_std=0.5**0.5, learn_noise=False, readout="identity").double()
    pixels = torch.rand(3, 6, 256, dtype=torch.float64, generator=GENERATOR)
    torch.testing.assert_close(likelihood(pixels), pixels)
    likelihood.start_at(torch.full((256,), 0.7))  # nothing to be set
    torch.testing.assert_close(likelihood.mean(likelihood(pixels)), pixels)
    cost = -likelihood.log_prob(likelihood(pixels), FRAMES) - 0.5 * np.log(np.pi)
    torch.testing.assert_close(cost, (FRAMES - pixels).square())
    assert not [name for name, p in likelihood.named_parameters() if p.requires_grad]


def model(encoder, decoder=None, likelihood=None, **settings):
    torch.manual_seed(0)
    dynamics = lambda context_size: LatentODE(context_size, 4, lambda state_size: LinearNoise(state_size, 8), 1.0)  # noqa: E731
    decoder = decoder or (lambda input_size: VideoDecoder(input_size, 256, 8))
    likelihood = likelihood or (lambda input_size: Gaussian(input_size, 256, learn_noise=False, readout="identity"))
    return LatentModel(encoder, dynamics, decoder, likelihood, **settings).double()


def test_content_goes_to_the_decoder_and_not_to_the_path():
    made = model(encoder())
    assert made.dynamics.initial.in_features == 2 * 8  # the first bin's context and the mean
    assert made.decoder.start[0].in_features == 4 + 5
    context = made.encoder(FRAMES, SEEN, TIMES)
    outputs = []
    for shift in (0.0, 1.0):
        other = context.clone()
        other[..., 8:] += shift
        torch.manual_seed(0)
        outputs.append(made.sample(other, TIMES, 6))
    torch.testing.assert_close(outputs[0].latents, outputs[1].latents)
    assert not torch.allclose(outputs[0].parameter, outputs[1].parameter)


def test_a_decoder_of_the_whole_context_reads_the_content_once():
    made = model(encoder(), decode_context=True)
    assert made.decoder.start[0].in_features == 4 + 13
    assert made(FRAMES, SEEN, TIMES).parameter.shape == (3, 8, 256)
    with pytest.raises(ConfigError, match=r"decode_context=false"):
        made.forecast(FRAMES, SEEN, TIMES[:, :6], TIMES[:, 6:])


def test_an_encoder_without_content_gives_the_decoder_the_path_alone():
    made = model(GRUEncoder(256, 7, 4))
    assert made.decoder.start[0].in_features == 4
    assert made.content_size == 0
    assert made.content(FRAMES, SEEN, TIMES).shape == (3, 0)
    assert made.generate(2, TIMES).parameter.shape == (2, 8, 256)


def test_samples_lie_outside_and_trials_inside_for_content_too():
    made = model(encoder())
    context = made.encoder(FRAMES, SEEN, TIMES)
    output = made.sample(context, TIMES, 6, samples=2)
    for sample in range(2):
        own = slice(3 * sample, 3 * sample + 3)
        torch.testing.assert_close(output.parameter[own], made.decode(output.latents[own], context[..., 8:]))


def test_a_forecast_keeps_the_content():
    made = model(encoder())
    past, ahead = TIMES[:, :6], TIMES[:, 6:]
    torch.manual_seed(0)
    output = made.forecast(FRAMES, SEEN, past, ahead)
    assert output.parameter.shape == (3, 2, 256)
    content = made.content(FRAMES, SEEN, past)
    torch.testing.assert_close(output.parameter, made.decode(output.latents, content[:, None]))
    assert not torch.allclose(output.parameter, made.decode(output.latents, content[:, None] + 1))


def test_the_prior_is_sampled_with_content_that_is_given():
    made = model(encoder())
    with pytest.raises(ConfigError, match=r"its encoder VideoEncoder finds 5 channels in data: give model.generate"):
        made.generate(3, TIMES)
    content = made.content(FRAMES, SEEN, TIMES)
    output = made.generate(3, TIMES, content)
    torch.testing.assert_close(output.parameter, made.decode(output.latents, content[:, None]))


def test_exact_posteriors_want_a_linear_read_out_and_no_content():
    linear = lambda input_size: MLPDecoder(input_size, layers=0)  # noqa: E731
    gaussian = lambda input_size: Gaussian(input_size, 256)  # noqa: E731
    same = lambda input_size: Gaussian(input_size, 4, readout="identity")  # noqa: E731
    assert model(GRUEncoder(256, 7, 4), linear, gaussian)._reads_path_linearly()
    for refused in (
        model(encoder(), linear, gaussian),
        model(GRUEncoder(256, 7, 4), linear, same),
        model(GRUEncoder(256, 7, 4), linear, gaussian, decode_context=True),
        model(GRUEncoder(256, 7, 4), linear, lambda input_size: Poisson(input_size, 256)),
    ):
        assert not refused._reads_path_linearly()


def test_every_parameter_learns():
    config = copy.deepcopy(light_config(*VIDEO))
    module = light_training(config, light_data(*VIDEO))
    still = [name for name, p in module.model.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.any())]
    assert not still


def test_a_trained_model_is_scored_and_forecasts_and_refuses_to_be_sampled(tmp_path):
    score = train(tiny_config(tmp_path, *VIDEO, *SMALL))
    assert np.isfinite(score)
    run = load(tmp_path)
    assert run.predict(n_samples=2).rates.shape == (4, 8, 256)
    ahead = run.forecast(5, n_samples=3).rates
    assert ahead.shape == (4, 5, 256)
    assert 0 < ahead.min() < ahead.max() < 1
    with pytest.raises(ConfigError, match="forecast given trials"):
        run.generate(2)


def test_a_model_of_other_parts_reads_the_content_too():
    words = ["model/decoder=mlp" if word == "model/decoder=video" else word for word in VIDEO]
    config = copy.deepcopy(light_config(*words, "model.likelihood.readout=linear"))
    run = Run(light_training(config, light_data(*VIDEO)).eval(), config, Path("unused"))
    assert run.module.model.decoder.layers[1][0].in_features == 8 + 64
    assert run.forecast(2, n_samples=2).rates.shape == (4, 2, 256)


@pytest.mark.parametrize(("samples", "observed_bins"), [(None, None), (None, 9), (np.full((3, 5, 9, 256), 0.5), 6)])
def test_frames_are_drawn(samples, observed_bins):
    truth = np.random.default_rng(0).random((5, 9, 256))
    truth[0, 3] = np.nan
    figure = frames(truth, truth, samples, 0.1, observed_bins, "title")
    assert len(figure.axes) == 3
    assert [tick.get_text() for tick in figure.axes[0].get_yticklabels()][:2] == ["true", "model"]
    assert len(figure.axes[0].get_yticks()) == (2 if samples is None else 4)
    assert len(figure.axes[0].lines) == (observed_bins == 6)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    assert (np.asarray(canvas.buffer_rgba())[..., :3] < 250).any(-1).mean() > 0.3
