"""Stochastic moving digits: videos of digits that bounce off the walls into a direction drawn anew."""

import gzip
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from sklearn.datasets import load_digits

from neuralsde.datamodules.arrays.file import NpzFile
from neuralsde.datamodules.batches import FreshTrials, TrialDataModule
from neuralsde.datamodules.lorenz import EVAL_EVERY, above_zero, at_least
from neuralsde.datamodules.trials import DataSpec, TrialData, Trials
from neuralsde.errors import ConfigError, DataError

UNIT = 16
"""A frame is a whole number of these wide, in pixels; the fastest digit moves so many pixels per frame (4 of 64)."""
TRAIN, EVAL = 0, 1
"""Numbers of the two streams of trials."""


class Font(NamedTuple):
    """Pictures of digits in [0, 1], (glyph, side, side), float32; those of `eval` are no glyphs of `train`."""

    train: np.ndarray
    eval: np.ndarray


class MovingDigits(TrialDataModule):
    r"""Videos without noise of their own, whose digits move by a law with chance in it; a frame is a bin, a pixel a channel.

    A frame is `size` pixels wide, a digit half of that, and $v$ = `size`/16 pixels per frame the fastest speed along an axis.
    Each digit starts at a place uniform over the frame with a velocity uniform over $\{-v, \dots, v\}^2$. Where it has left the
    frame across a horizontal wall it is put back to it, and both parts of its velocity are drawn anew: uniform over
    $\{1, \dots, v\}$ away from the wall and over $\{-v, \dots, v\}$ along it; then the same for vertical walls. Digits add up,
    to 1 at most. True states are the places of the digits' upper left corners, row and column of the first digit, then of the
    second, in pixels.

    Trial `i` of the training stream is a function of (`data_seed`, `i`), and so is that of the evaluation stream, whose digits
    are drawn from other glyphs.

    Args:
        batch_size: trials per training batch.
        size: side of a frame, in pixels, a multiple of 16.
        n_train: training trials.
        n_eval: evaluation trials.
        observed_bins: frames that are observed.
        forward_bins: frames after them, to be forecast.
        frame_s: time from frame to frame, in seconds.
        n_digits: digits in a video.
        mnist: file of MNIST's digits, `mnist.npz` with its own split or an idx file, plain or gzipped, of which one glyph in
            five is for evaluation; None for scikit-learn's digits, 1797 of 8 x 8 pixels, split likewise.
        epoch_trials: trials per epoch, made anew in each; None trains on the `n_train` trials over and over.
        data_seed: seed of all that is drawn.
        seed: seed of the order of the trials.
        eval_batch_size: trials per batch when predicting.

    Raises:
        ConfigError: a setting is impossible.

    Reference: Denton & Fergus, *Stochastic video generation with a learned prior*, 2018, arXiv:1802.07687; in the settings of
    Daems, Opper, Crevecoeur & Birdal, 2024, arXiv:2310.12975, and their release.
    """

    kind = "real"

    def __init__(
        self,
        batch_size: int,
        size: int,
        n_train: int,
        n_eval: int,
        observed_bins: int,
        forward_bins: int = 0,
        frame_s: float = 0.1,
        n_digits: int = 2,
        mnist: str | Path | None = None,
        epoch_trials: int | None = None,
        data_seed: int = 0,
        seed: int = 0,
        eval_batch_size: int = 64,
    ):
        super().__init__(batch_size, seed, eval_batch_size)
        for key, value, least in (
            ("size", size, UNIT), ("n_train", n_train, 1), ("n_eval", n_eval, 1), ("observed_bins", observed_bins, 1),
            ("forward_bins", forward_bins, 0), ("n_digits", n_digits, 1), ("data_seed", data_seed, 0),
        ):  # fmt: skip
            at_least(key, value, least)
        if size % UNIT:
            raise ConfigError(f"data.size is {size}; give a multiple of {UNIT}, so that digits move by whole pixels.")
        if epoch_trials is not None:
            at_least("epoch_trials", epoch_trials, 1)
        self.size, self.n_digits, self.mnist = size, n_digits, None if mnist is None else Path(mnist)
        self.n_train, self.n_eval, self.epoch_trials = n_train, n_eval, epoch_trials
        self.observed_bins, self.forward_bins = observed_bins, forward_bins
        self.frame_s, self.data_seed = above_zero("frame_s", frame_s), data_seed

    def files(self) -> list[Path]:
        return [] if self.mnist is None else [self.mnist]

    def read(self) -> TrialData:
        """Make the videos; the same `data_seed` makes the same.

        Raises:
            DataError: the file of digits is missing, damaged or of another kind.
        """
        font = read_font(self.mnist, self.size // 2)
        self.streams = [self.stream(glyphs, number) for number, glyphs in ((TRAIN, font.train), (EVAL, font.eval))]
        source = "scikit-learn's digits" if self.mnist is None else self.mnist.name
        return TrialData(
            name="moving_digits",
            spec=DataSpec(
                self.size**2, self.size**2, self.observed_bins, self.forward_bins, self.frame_s, kind=self.kind
            ),
            train=self.trials(TRAIN, self.n_train, 0),
            eval=self.trials(EVAL, self.n_eval, self.n_train),
            is_video=True,
            source=f"{self.n_digits} moving digits of {source} on {self.size} x {self.size} pixels, data_seed {self.data_seed}",
        )  # fmt: skip

    def stream(self, glyphs: np.ndarray, number: int) -> "Stream":
        return Stream(glyphs, (self.data_seed, number), self.size, self.n_digits, self.observed_bins + self.forward_bins)

    def trials(self, stream: int, n: int, first_id: int) -> Trials:
        """The first `n` trials of a stream."""
        frames, places = self.streams[stream](range(n))
        trials = frames_as_trials(frames, self.observed_bins)
        return replace(trials, states=places.astype(np.float32), trial_id=first_id + np.arange(n))

    def fresh_trials(self) -> FreshTrials | None:
        if self.epoch_trials is None:
            return None
        spec, stream = self.spec, self.streams[TRAIN]  # reading the data makes the streams
        return FreshTrials(lambda numbers: frames_as_trials(stream(numbers)[0], self.observed_bins), spec, self.epoch_trials)


class Stream:
    """Videos without end: each is a function of the seed and of its number.

    Args:
        glyphs: pictures of digits, (glyph, side, side), to draw from.
        seed: whole numbers.
        size: side of a frame, in pixels.
        n_digits: digits in a video.
        frames: frames of a video.
    """

    def __init__(self, glyphs: np.ndarray, seed: tuple[int, ...], size: int, n_digits: int, frames: int):
        self.glyphs, self.seed, self.size, self.shape = glyphs, seed, size, (frames, n_digits)

    def __call__(self, numbers: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """The videos of these numbers, (trial, frame, size · size), float32, and their states, (trial, frame, digit · 2)."""
        frames, digits = self.shape
        rngs = [np.random.default_rng((*self.seed, number)) for number in numbers]
        # Uniform numbers: which glyph, start (place, velocity), and what each frame's bounces may need.
        which, start, bounces = (
            np.stack([rng.random(shape) for rng in rngs])
            for shape in ((digits,), (digits, 2, 2), (frames, digits, 2, 2))
        )  # fmt: skip
        places = walk(start, bounces, self.size - self.glyphs.shape[1], self.size // UNIT)
        glyphs = self.glyphs[below(len(self.glyphs), which)]
        return draw(glyphs, places, self.size).reshape(len(rngs), frames, -1), places.reshape(len(rngs), frames, -1)


def walk(start: np.ndarray, bounces: np.ndarray, room: int, fastest: int) -> np.ndarray:
    """Places of digits, (trial, frame, digit, 2), rows and columns in pixels, from 0 to below `room`.

    Args:
        start: uniform numbers in [0, 1), (trial, digit, axis, 2), that decide places and velocities at the start.
        bounces: the same, (trial, frame, digit, axis, 2), for the velocity after a bounce.
        room: places along an axis.
        fastest: greatest speed along an axis, in pixels per frame.
    """
    place, velocity = below(room, start[..., 0]), below(2 * fastest + 1, start[..., 1]) - fastest
    visited = []
    for uniform in np.moveaxis(bounces, 1, 0):
        for axis in (0, 1):  # a corner is two bounces, the second of which has the last word
            bounce(place, velocity, axis, uniform[:, :, axis], room, fastest)
        visited.append(place.copy())
        place += velocity
    return np.stack(visited, axis=1)


def bounce(place: np.ndarray, velocity: np.ndarray, axis: int, uniform: np.ndarray, room: int, fastest: int) -> None:
    """Put digits that are beyond a wall back to it, with new velocities, in place; (trial, digit, axis) both."""
    before, beyond = place[..., axis] < 0, place[..., axis] >= room
    away, along = 1 + below(fastest, uniform[..., 0]), below(2 * fastest + 1, uniform[..., 1]) - fastest
    velocity[..., axis] = np.select([before, beyond], [away, -away], velocity[..., axis])
    velocity[..., 1 - axis] = np.where(before | beyond, along, velocity[..., 1 - axis])
    np.clip(place[..., axis], 0, room - 1, out=place[..., axis])


def below(n: int, uniform: np.ndarray) -> np.ndarray:
    """Whole numbers from 0 to below `n`, from uniform ones in [0, 1)."""
    return (n * uniform).astype(np.int64)


def draw(glyphs: np.ndarray, places: np.ndarray, size: int) -> np.ndarray:
    """Frames in [0, 1], (trial, frame, size, size), float32, with `glyphs` (trial, digit, side, side) at `places`."""
    canvas = np.zeros((*places.shape[:2], size, size), np.float32)
    side: tuple[int, ...] = glyphs.shape[2:]
    windows = np.lib.stride_tricks.sliding_window_view(canvas, side, (2, 3), writeable=True)  # pyright: ignore[reportCallIssue, reportArgumentType]
    trial, frame = np.ogrid[: len(places), : places.shape[1]]
    for digit in range(glyphs.shape[1]):
        windows[trial, frame, places[:, :, digit, 0], places[:, :, digit, 1]] += glyphs[:, None, digit]
    return np.minimum(canvas, 1, out=canvas)


def frames_as_trials(frames: np.ndarray, observed_bins: int) -> Trials:
    """Videos (trial, frame, pixel) whose first frames are observed."""
    past, future = frames[:, :observed_bins], frames[:, observed_bins:]
    return Trials(heldin=past, heldin_forward=future if future.shape[1] else None)


def read_font(path: Path | None, side: int) -> Font:
    """Digits of `side` x `side` pixels, from a file of MNIST's or from scikit-learn.

    Raises:
        DataError: the file is missing, damaged or of another kind.
    """
    if path is None:
        font = split_glyphs(load_digits(return_X_y=True)[0].reshape(-1, 8, 8) / 16)
    elif not path.is_file():
        raise DataError(
            f"There is no file {path}; give data.mnist=FILE of MNIST's digits, or null (data/moving_digits/README.md)."
        )
    elif is_archive(path):
        font = read_npz(path)
    else:
        font = split_glyphs(read_idx(path) / 255)
    return Font(resize(font.train, side), resize(font.eval, side))


def split_glyphs(glyphs: np.ndarray) -> Font:
    """One glyph in five, the same ones always, for evaluation."""
    held = np.random.default_rng(0).permutation(len(glyphs)) % EVAL_EVERY == EVAL_EVERY - 1
    return Font(glyphs[~held], glyphs[held])


def resize(glyphs: np.ndarray, side: int) -> np.ndarray:
    """Glyphs of `side` x `side` pixels, by linear interpolation, of means where they get smaller."""
    images = torch.from_numpy(np.ascontiguousarray(glyphs, np.float32))[:, None]
    return torch.nn.functional.interpolate(images, (side, side), mode="bilinear", antialias=True)[:, 0].numpy().clip(0, 1)


def is_archive(path: Path) -> bool:
    """Whether a file begins as a zip archive does."""
    with path.open("rb") as file:
        return file.read(2) == b"PK"


def read_npz(path: Path) -> Font:
    """The digits of an npz file, with its own split.

    Raises:
        DataError: it holds no such arrays.
    """
    with NpzFile(path) as file:
        if "x_train" not in file or "x_test" not in file:
            raise DataError(f"{path} holds no arrays x_train and x_test; give data.mnist=mnist.npz of MNIST.")
        images = [file.read(name, "mnist") for name in ("x_train", "x_test")]
    for name, array in zip(("x_train", "x_test"), images, strict=True):
        refuse_no_pictures(array, f"{path}: {name}")
    return Font(*(array / 255 for array in images))


def read_idx(path: Path) -> np.ndarray:
    """The pictures of an idx file, plain or gzipped, (glyph, side, side), uint8.

    Raises:
        DataError: it is damaged, or no idx file of pictures.
    """
    content = path.read_bytes()
    try:
        content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    except (EOFError, OSError, zlib.error) as error:
        raise DataError(f"{path} cannot be unzipped ({error}); it is damaged: fetch it again.") from error
    # Two zero bytes, the type (8: bytes), the number of axes, then their lengths.
    if content[:4] != b"\0\0\x08\x03" or len(content) < 16:
        raise DataError(f"{path} is neither an idx file of pictures nor an npz file; give data.mnist=train-images-idx3-ubyte.")
    shape = np.frombuffer(content, ">i4", 3, offset=4)
    if len(content) != 16 + shape.prod():
        raise DataError(f"{path} holds {len(content) - 16} pixels, but says {shape.prod()}; it is damaged: fetch it again.")
    images = np.frombuffer(content, np.uint8, offset=16).reshape(shape)
    refuse_no_pictures(images, str(path))
    return images


def refuse_no_pictures(images: np.ndarray, where: str) -> None:
    """Raises:
    DataError: `images` are no square pictures in bytes, or fewer than a font needs.
    """
    if images.ndim != 3 or images.shape[1] != images.shape[2] or images.dtype != np.uint8 or len(images) < EVAL_EVERY:
        raise DataError(
            f"{where} has shape {images.shape} of {images.dtype}; {EVAL_EVERY} or more square pictures in bytes are needed."
        )
