"""Mel-frequency cepstral coefficients, as torchaudio's MFCC with `log_mels=True` has them, in torch alone."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

LOG_OFFSET = 1e-6


def mfcc(
    audio: Float[Tensor, "batch sample"],
    sample_rate: int = 16_000,
    n_mfcc: int = 20,
    n_fft: int = 200,
    hop: int = 100,
    n_mels: int = 128,
) -> Float[Tensor, "batch frame coefficient"]:
    r"""$\mathrm{DCT}_\mathrm{II}\left(\log(M |X|^2 + 10^{-6})\right)$ with a periodic Hann window and reflected ends.

    X is the short-time Fourier transform of frames `hop` samples apart, M the mel filters (HTK scale, not normalised),
    and the cosine transform is orthonormal.

    Args:
        audio: samples.
        sample_rate: per second.
        n_mfcc: coefficients that are kept.
        n_fft: samples of a frame.
        hop: samples from one frame to the next.
        n_mels: filters.
    """
    window = torch.hann_window(n_fft, dtype=audio.dtype, device=audio.device)
    spectrum = torch.stft(audio, n_fft, hop, window=window, center=True, pad_mode="reflect", return_complex=True)
    power = spectrum.abs().square().transpose(1, 2)
    mel = power @ mel_filters(n_fft // 2 + 1, n_mels, sample_rate).to(audio)
    return (mel + LOG_OFFSET).log() @ cosines(n_mfcc, n_mels).to(audio)


def mel_filters(n_frequencies: int, n_mels: int, sample_rate: int) -> Float[Tensor, "frequency mel"]:
    """Triangles that are equally spaced on the HTK mel scale, 2595 log10(1 + f / 700), from 0 to half the sample rate."""
    frequency = torch.linspace(0, sample_rate // 2, n_frequencies, dtype=torch.float64)
    highest = 2595 * math.log10(1 + (sample_rate // 2) / 700)
    corner = 700 * (10 ** (torch.linspace(0, highest, n_mels + 2, dtype=torch.float64) / 2595) - 1)
    slope = corner - frequency[:, None]
    falling, rising = -slope[:, :-2] / corner.diff()[:-1], slope[:, 2:] / corner.diff()[1:]
    return torch.minimum(falling, rising).clamp(min=0)


def cosines(n_mfcc: int, n_mels: int) -> Float[Tensor, "mel coefficient"]:
    """The first columns of the orthonormal cosine transform of type II."""
    place = (torch.arange(n_mels, dtype=torch.float64) + 0.5) * math.pi / n_mels
    table = torch.cos(place[:, None] * torch.arange(n_mfcc, dtype=torch.float64)) * math.sqrt(2 / n_mels)
    table[:, 0] /= math.sqrt(2)
    return table
