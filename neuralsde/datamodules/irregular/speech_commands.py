"""Speech Commands: which of ten words was said, from a second of sound."""

from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from scipy.io import wavfile

from neuralsde.datamodules.irregular.assemble import padded
from neuralsde.datamodules.irregular.checks import checked_choice, existing
from neuralsde.datamodules.irregular.mfcc import mfcc
from neuralsde.datamodules.irregular.scaling import KINDS, STATS, standardise
from neuralsde.datamodules.irregular.series import AbstractReader, SeriesData
from neuralsde.datamodules.irregular.split import stratified_split
from neuralsde.errors import DataError

WORDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
SAMPLES = 16_000
SCALE = 2.0**10
SHARES = (0.7, 0.15, 0.15)
SEEDS = (0, 1)
WHERE = "the unpacked folder of speech_commands_v0.02.tar.gz (download.tensorflow.org/data), with a folder for each word"


class SpeechCommands(AbstractReader):
    """Clips of exactly 16,000 samples as 161 frames of 20 mel-frequency cepstral coefficients; nothing is missing.

    Args:
        path: the folder with a folder for each word.
        scale: of the coefficients: `z`, `min_max` or `none`.
        stats: what the scale looks at: `train`, as published, or `all`.

    Raises:
        ConfigError: a setting is impossible.
    """

    def __init__(self, path: str | Path, scale: str = "z", stats: str = "train"):
        self.path = Path(path).expanduser()
        self.scale, self.stats = checked_choice("scale", scale, KINDS), checked_choice("stats", stats, STATS)

    def files(self) -> list[Path]:
        """None: the clips are too many to list."""
        return []

    def read(self) -> SeriesData:
        """Read the clips, transform, split by word (seeds 0 and 1), and scale.

        Raises:
            DataError: a word's folder is missing, holds no clip of a second, or a clip is damaged.
        """
        root = existing(self.path, WHERE, "folder")
        values, names, labels = [], [], []
        bar = track(enumerate(WORDS), "reading words", total=len(WORDS), transient=True, console=Console(stderr=True))
        for label, word in bar:
            clips = word_clips(existing(root / word, WHERE, "folder"))
            values += list(coefficients(np.stack(list(clips.values()))))
            names += [f"{word}/{name}" for name in clips]
            labels += [label] * len(clips)
        times = [np.arange(len(v), dtype=np.float64) for v in values]
        series = padded(times, values, names, labels=np.array(labels, np.int64))
        assert series.labels is not None
        split = stratified_split(series.labels, WORDS, SHARES, *SEEDS, what=str(root))
        train, val, test = (series[index] for index in split)
        channel_names = tuple(f"mfcc {k}" for k in range(values[0].shape[1]))
        source = f"{root.name}, {len(series)} clips, scale {self.scale} of {self.stats}"
        data = SeriesData("speech_commands", train, val, test, channel_names, WORDS, time_unit="step", source=source)
        return standardise(data, self.scale, self.stats)[0]


def word_clips(folder: Path) -> dict[str, np.ndarray]:
    """Samples of the clips of exactly a second, by file name.

    Raises:
        DataError: there is none, or one cannot be read.
    """
    clips = {}
    for path in sorted(folder.glob("*.wav")):
        try:
            _, samples = wavfile.read(path)
        except (ValueError, OSError, EOFError) as error:
            raise DataError(f"{path}: cannot be read as sound ({error}); it is damaged: fetch it again.") from error
        if samples.shape == (SAMPLES,):
            clips[path.name] = samples.astype(np.float32) / SCALE
    if not clips:
        raise DataError(f"{folder}: holds no clip of {SAMPLES} samples in one channel; set data.reader.path to {WHERE}.")
    return clips


def coefficients(clips: np.ndarray, at_once: int = 256) -> np.ndarray:
    """Cepstral coefficients of clips (clip, sample): (clip, frame, coefficient), float32."""
    parts = [mfcc(torch.from_numpy(clips[k : k + at_once])) for k in range(0, len(clips), at_once)]
    return torch.cat(parts).numpy()
