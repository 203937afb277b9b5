import json

import numpy as np
import pytest
import torch
from scipy.fft import dct
from scipy.io import wavfile

from neuralsde.datamodules.irregular.mfcc import mel_filters, mfcc
from neuralsde.datamodules.irregular.speech_commands import WORDS, SpeechCommands, coefficients
from neuralsde.errors import DataError
from neuralsde.workflow import train
from tests.helpers.tiny import FAST, composed


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for k, word in enumerate(WORDS):
        (tmp_path / word).mkdir()
        for n in range(8):
            tone = 3000 * np.sin(2 * np.pi * (200 + 150 * k) * np.arange(16_000) / 16_000)
            wavfile.write(tmp_path / word / f"{n}.wav", 16_000, (tone + rng.normal(0, 300, 16_000)).astype(np.int16))
        wavfile.write(tmp_path / word / "short.wav", 16_000, np.zeros(9000, np.int16))
    return tmp_path


def test_the_published_recipe_trains_on_them(tmp_path, folder):
    words = [f"data.reader.path={folder}", "model.dynamics.latent_size=8", "data.batch_size=16", "training.baselines=false"]
    train(composed("experiment=stable_sde_paper/speech_commands", *words, *FAST, f"run_dir={tmp_path / 'run'}"))
    scores = json.loads((tmp_path / "run" / "scores.json").read_text())
    assert 0 <= scores["accuracy"] <= 1
    assert 0 <= scores["auroc"] <= 1


def test_coefficients_are_the_cosine_transform_of_log_mel_power():
    """Frames, window, Fourier and cosine transforms by numpy and scipy."""
    audio = np.random.default_rng(1).normal(size=1600)
    wrapped = np.pad(audio, 100, mode="reflect")
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(200) / 200)
    frames = np.stack([wrapped[k * 100 : k * 100 + 200] * window for k in range(17)])
    mel = np.abs(np.fft.rfft(frames)) ** 2 @ mel_filters(101, 128, 16_000).numpy()
    expected = dct(np.log(mel + 1e-6), type=2, norm="ortho", axis=1)[:, :20]
    np.testing.assert_allclose(mfcc(torch.from_numpy(audio)[None])[0].numpy(), expected, atol=1e-9)


def test_filters_are_triangles_with_their_peaks_on_the_mel_scale():
    filters = mel_filters(4001, 10, 16_000).numpy()
    peaks = np.linspace(0, 8000, 4001)[filters.argmax(0)]
    mels = 2595 * np.log10(1 + peaks / 700)
    np.testing.assert_allclose(np.diff(mels), 2595 * np.log10(1 + 8000 / 700) / 11, rtol=0.02)
    np.testing.assert_allclose(filters.max(0), 1, atol=0.02)
    np.testing.assert_allclose(filters[500:3000].sum(1), 1, atol=1e-9)  # neighbours share what lies between them


def test_clips_of_a_second_become_frames_split_by_word(folder):
    data = SpeechCommands(folder).read()
    assert [len(s) for s in (data.train, data.val, data.test)] == [56, 12, 12]
    assert data.train.values.shape[1:] == (161, 20)
    assert data.class_names == WORDS
    np.testing.assert_allclose(data.train.values.mean((0, 1)), 0, atol=1e-4)
    for name, label in zip(data.test.names.tolist(), data.test.labels.tolist(), strict=True):
        assert name.startswith(f"{WORDS[label]}/")
        assert "short" not in name
    raw = SpeechCommands(folder, scale="none").read()
    _, samples = wavfile.read(folder / raw.test.names[0])
    np.testing.assert_allclose(raw.test.values[0], coefficients(samples[None].astype(np.float32) / 1024)[0], rtol=1e-5)


def test_what_is_missing_or_damaged_is_said(folder):
    (folder / "no" / "0.wav").write_bytes(b"no sound")
    with pytest.raises(DataError, match=r"0.wav: cannot be read as sound"):
        SpeechCommands(folder).read()
    for path in (folder / "yes").glob("?.wav"):
        path.unlink()
    with pytest.raises(DataError, match="holds no clip of 16000 samples"):
        SpeechCommands(folder).read()
    with pytest.raises(DataError, match="There is no folder"):
        SpeechCommands(folder / "none").read()
