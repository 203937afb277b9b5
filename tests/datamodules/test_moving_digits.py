"""Moving digits: the law by which they move, what is drawn, what decides what, and which files of digits are read."""

import dataclasses
import gzip

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from sklearn.datasets import load_digits

from neuralsde.datamodules import moving_digits
from neuralsde.datamodules.moving_digits import MovingDigits, draw, read_font, walk
from neuralsde.errors import ConfigError, DataError

SIZES = {"size": 16, "n_train": 6, "n_eval": 4, "observed_bins": 7, "forward_bins": 3}


def make(**settings):
    return MovingDigits(4, **SIZES | settings)


def uniform(seed, trials, frames, digits):
    rng = np.random.default_rng(seed)
    return rng.random((trials, digits, 2, 2)), rng.random((trials, frames, digits, 2, 2))


def released_walk(start, bounces, room, fastest, redraws=True):
    """One digit after the other, as the release has it, from the same uniform numbers."""
    trials, frames, digits = bounces.shape[:3]
    places = np.empty((trials, frames, digits, 2), int)
    for trial, digit in np.ndindex(trials, digits):
        (sy, sx), (dy, dx) = np.floor(start[trial, digit] * [room, 2 * fastest + 1]).astype(int).T - [[0], [fastest]]
        for frame in range(frames):
            (y_away, y_along), (x_away, x_along) = bounces[trial, frame, digit] * [fastest, 2 * fastest + 1]
            if sy < 0 or sy >= room:
                sign = 1 if sy < 0 else -1
                sy, dy = (0 if sy < 0 else room - 1), sign * (1 + int(y_away))
                dx = int(y_along) - fastest if redraws else dx
            if sx < 0 or sx >= room:
                sign = 1 if sx < 0 else -1
                sx, dx = (0 if sx < 0 else room - 1), sign * (1 + int(x_away))
                dy = int(x_along) - fastest if redraws else dy
            places[trial, frame, digit] = sy, sx
            sy, sx = sy + dy, sx + dx
    return places


@pytest.mark.parametrize(("room", "fastest"), [(8, 1), (16, 2), (32, 4)])
def test_digits_move_by_the_released_law(room, fastest):
    start, bounces = uniform(0, 20, 60, 2)
    places = walk(start, bounces, room, fastest)
    np.testing.assert_array_equal(places, released_walk(start, bounces, room, fastest))
    # Control: digits that keep their speed along the wall move by another law.
    assert not np.array_equal(places, released_walk(start, bounces, room, fastest, redraws=False))


@pytest.mark.parametrize(("room", "fastest"), [(8, 1), (16, 2), (32, 4)])
def test_digits_stay_in_the_frame_and_below_the_fastest_speed(room, fastest):
    places = walk(*uniform(1, 200, 50, 2), room, fastest)
    steps = np.abs(np.diff(places, axis=1))
    assert (places.min(), places.max(), steps.max()) == (0, room - 1, fastest)
    # Control: wider frames and faster digits are found out.
    other = walk(*uniform(1, 200, 50, 2), room + 1, fastest + 1)
    assert (other.max(), np.abs(np.diff(other, axis=1)).max()) == (room, fastest + 1)


def share(values, choices):
    return np.array([(values == choice).mean() for choice in choices])


def test_starts_and_bounces_are_uniform():
    """n = 20,000 digits, and some 25,000 bounces off the upper wall, six standard errors; a share 15 % off is seen."""
    places = walk(*uniform(2, 10_000, 40, 2), 32, 4).swapaxes(1, 2).reshape(20_000, 40, 2)
    start, first = places[:, 0, 0], np.diff(places[:, :2, 0], axis=1)[:, 0]
    inside = (start >= 4) & (start < 28)  # no wall within a step
    lower, rows = places[:, 1:-1, 0] == 0, places[..., 0]
    hit = lower & (rows[:, :-2] > 0) & (rows[:, :-2] <= 4) & (np.diff(rows)[:, 1:] > 0) & (places[:, 1:-1, 1] > 4)
    hit &= places[:, 1:-1, 1] < 27
    away, along = np.diff(rows)[:, 1:][hit], np.diff(places[..., 1])[:, 1:][hit]
    for values, choices in ((start, range(32)), (first[inside], range(-4, 5)), (along, range(-4, 5))):
        error = np.sqrt(1 / len(choices) / len(values))
        assert np.abs(share(values, choices) - 1 / len(choices)).max() < 6 * error
        assert 0.15 / len(choices) > 3 * error
    assert set(away) == {1, 2, 3, 4}


def test_frames_are_the_digits_added_up_and_clipped():
    rng = np.random.default_rng(3)
    glyphs, places = rng.random((5, 2, 8, 8)).astype(np.float32), rng.integers(0, 8, (5, 4, 2, 2))
    expected = np.zeros((5, 4, 16, 16), np.float32)
    for trial, frame, digit in np.ndindex(5, 4, 2):
        y, x = places[trial, frame, digit]
        expected[trial, frame, y : y + 8, x : x + 8] += glyphs[trial, digit]
    assert expected.max() > 1
    np.testing.assert_array_equal(draw(glyphs, places, 16), expected.clip(max=1))


@pytest.mark.parametrize("size", [16, 32, 64])
def test_videos_have_the_sizes_that_the_model_is_told(size):
    module = make(size=size)
    spec, train = module.spec, module.data.train
    assert (spec.observed_dim, spec.target_dim, spec.kind, spec.total_bins) == (size**2, size**2, "real", 10)
    assert train.heldin.shape == (6, 7, size**2)
    assert train.heldin_forward.shape == (6, 3, size**2)
    assert train.states.shape == (6, 10, 4)
    assert train.heldin.dtype == np.float32
    assert 0.5 < train.heldin.max() <= 1
    assert train.heldin.min() == 0
    # The true states say where a digit is: all that is bright lies between the first corner and the last one.
    places, frames = train.states.reshape(6, 10, 2, 2)[:, :7], train.heldin.reshape(6, 7, size, size)
    for trial, bin in np.ndindex(6, 7):
        rows, columns = np.nonzero(frames[trial, bin])
        for found, axis in ((rows, 0), (columns, 1)):
            assert found.min() >= places[trial, bin, :, axis].min()
            assert found.max() < places[trial, bin, :, axis].max() + size // 2


def assert_same(first, second):
    for f in dataclasses.fields(first):
        if getattr(first, f.name) is not None:
            np.testing.assert_array_equal(getattr(first, f.name), getattr(second, f.name))


def test_the_seed_decides_everything_and_a_trial_depends_on_its_number_alone():
    base = make().data
    assert_same(base.train, make().data.train)
    assert not np.array_equal(base.train.states, make(data_seed=1).data.train.states)
    more = make(n_train=9, n_eval=9).data
    assert_same(base.train, more.train[:6])
    np.testing.assert_array_equal(base.eval.heldin, more.eval.heldin[:4])
    assert not np.array_equal(base.train.states[:4], base.eval.states)
    assert len({*base.train.trial_id, *base.eval.trial_id}) == 10


def test_a_longer_video_begins_alike():
    short, long = make().data.train, make(forward_bins=9).data.train
    np.testing.assert_array_equal(short.states[:, :1], long.states[:, :1])
    np.testing.assert_array_equal(short.states, long.states[:, :10])


def test_evaluation_glyphs_are_never_trained_on():
    font = read_font(None, 8)
    train, held = ({glyph.tobytes() for glyph in part} for part in font)
    assert (len(font.train), len(font.eval)) == (1438, 359)
    assert not train & held
    data = make(n_digits=1, n_train=40, n_eval=40).data
    for trials, own, other in ((data.train, train, held), (data.eval, held, train)):
        for frame, (y, x) in zip(trials.heldin[:, 0].reshape(-1, 16, 16), trials.states[:, 0].astype(int), strict=True):
            glyph = frame[y : y + 8, x : x + 8].tobytes()
            assert glyph in own
            assert glyph not in other  # the control of the line above


def test_every_digit_is_on_both_sides_of_the_split():
    (images, labels), held = load_digits(return_X_y=True), np.random.default_rng(0).permutation(1797) % 5 == 4
    assert np.bincount(labels[held], minlength=10).min() > 20
    np.testing.assert_array_equal(read_font(None, 8).eval, (images[held].reshape(-1, 8, 8) / 16).astype(np.float32))


@pytest.fixture
def mnist(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (20, 28, 28), np.uint8)
    content = b"\0\0\x08\x03" + np.array(images.shape, ">i4").tobytes() + images.tobytes()
    (tmp_path / "idx").write_bytes(content)
    (tmp_path / "idx.gz").write_bytes(gzip.compress(content))
    np.savez(tmp_path / "mnist.npz", x_train=images[:12], x_test=images[12:], y_train=np.arange(12))
    return tmp_path, images, content


def test_mnist_is_read_from_idx_and_npz(mnist):
    folder, images, _ = mnist
    plain, zipped, npz = (read_font(folder / name, 28) for name in ("idx", "idx.gz", "mnist.npz"))
    np.testing.assert_array_equal(plain.train, zipped.train)
    assert (len(plain.train), len(plain.eval)) == (16, 4)
    assert sorted(np.concatenate([*plain]).sum((1, 2))) == pytest.approx(sorted(images.sum((1, 2)) / 255), rel=1e-5)
    np.testing.assert_allclose(npz.train, images[:12] / 255, rtol=1e-6)
    np.testing.assert_allclose(npz.eval, images[12:] / 255, rtol=1e-6)
    module = make(mnist=folder / "mnist.npz", size=64)
    assert module.data.train.heldin.shape == (6, 7, 4096)
    assert "mnist.npz" in module.data.source


def test_a_glyph_keeps_its_brightness_when_it_is_resized(mnist):
    images = mnist[1]
    for side in (8, 14, 32):
        glyphs = moving_digits.resize(images / 255, side)
        assert glyphs.shape == (20, side, side)
        np.testing.assert_allclose(glyphs.mean((1, 2)), images.mean((1, 2)) / 255, atol=0.03)
    np.testing.assert_allclose(moving_digits.resize(np.ones((1, 28, 28)), 8), 1, rtol=1e-5)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (lambda whole: b"no digits at all", "neither an idx file of pictures nor an npz file; give data.mnist="),
        (lambda whole: b"\0\0\x08\x01" + whole[4:], "neither an idx file of pictures"),
        (lambda whole: whole[:-5], "holds 15675 pixels, but says 15680; it is damaged"),
        (lambda whole: whole[:9], "neither an idx file of pictures"),
        (lambda whole: gzip.compress(whole)[:200], "cannot be unzipped .* damaged"),
        (lambda whole: whole[:4] + np.array((20, 14, 56), ">i4").tobytes() + whole[16:], r"shape \(20, 14, 56\) of uint8"),
    ],
    ids=["text", "labels", "cut", "header", "cut gzip", "oblong"],
)
def test_a_file_of_another_kind_is_refused_in_a_sentence(mnist, content, sentence):
    (mnist[0] / "file").write_bytes(content(mnist[2]))
    with pytest.raises(DataError, match=sentence):
        make(mnist=mnist[0] / "file").read()


def test_an_archive_of_other_arrays_is_refused_in_a_sentence(mnist):
    path = mnist[0] / "other.npz"
    for arrays, sentence in (
        ({"images": np.zeros(3)}, "no arrays x_train and x_test"),
        ({"x_train": np.array([{}]), "x_test": np.zeros(3)}, "`x_train` cannot be read .*never unpickled"),
        ({"x_train": np.zeros((9, 28, 28)), "x_test": np.zeros(3)}, r"x_train has shape \(9, 28, 28\) of float64"),
    ):
        np.savez(path, **arrays)
        with pytest.raises(DataError, match=sentence):
            read_font(path, 8)
    with pytest.raises(DataError, match=r"There is no file .*absent; give data.mnist=FILE"):
        read_font(mnist[0] / "absent", 8)


def test_every_epoch_sees_trials_of_its_own():
    module = make(epoch_trials=10)
    module.setup()
    loader = module.train_dataloader()
    epochs = []
    for epoch in (0, 1, 0):
        loader.sampler.set_epoch(epoch)
        epochs.append(list(loader))
    assert [batch.index.tolist() for batch in epochs[1]] == [[10, 11, 12, 13], [14, 15, 16, 17], [18, 19]]
    assert torch.equal(epochs[0][1].targets, epochs[2][1].targets)  # a resumed run sees what it would have seen
    assert not torch.equal(epochs[0][1].targets, epochs[1][1].targets)
    batch, train = epochs[0][0], module.data.train
    np.testing.assert_array_equal(batch.values, train.heldin[:4])  # the training trials are the stream's first ones
    np.testing.assert_array_equal(batch.targets[:, 7:], train.heldin_forward[:4])
    assert batch.seen.all()
    assert batch.known.all()
    np.testing.assert_allclose(batch.times[0], 0.1 * np.arange(10), rtol=1e-6)
    again = make()
    again.setup()
    assert {len(b.index) for b in again.train_dataloader()} == {2, 4}
    assert next(iter(module.val_dataloader())).targets.shape == (4, 10, 256)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"size": 20}, "data.size is 20; give a multiple of 16"),
        ({"size": 8}, "data.size is 8; give at least 16"),
        ({"n_digits": 0}, "data.n_digits is 0; give at least 1"),
        ({"n_train": 0}, "data.n_train is 0"),
        ({"forward_bins": -1}, "data.forward_bins is -1"),
        ({"epoch_trials": 0}, "data.epoch_trials is 0; give at least 1"),
        ({"frame_s": 0.0}, "data.frame_s is 0.0; give a number above 0"),
    ],
)
def test_impossible_settings_are_refused_in_a_sentence(settings, sentence):
    with pytest.raises(ConfigError, match=sentence):
        make(**settings)


def test_the_config_makes_its_data():
    module = instantiate(OmegaConf.load("configs/data/moving_digits.yaml"))
    assert (module.spec.observed_bins, module.spec.forward_bins) == (25, 25)
    assert module.data.train.heldin.shape == (256, 25, 256)
    assert not module.data.train.rates
