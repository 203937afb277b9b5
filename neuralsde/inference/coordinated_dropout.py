"""Which entries are input and which are learned from: coordinated dropout and sample validation."""

from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from neuralsde.errors import ConfigError
from neuralsde.inference.path import is_number
from neuralsde.shares import uniforms


class Hidden(NamedTuple):
    """What coordinated dropout does to a batch.

    Args:
        kept: entries that are input, (batch, bin, channel).
        learned: entries that are learned from, same shape.
        share: probability with which an entry of a trial is kept, given what the trial drew, (batch, 1, 1), or (1, 1, 1) where
            all have the same.
    """

    kept: Tensor
    learned: Tensor
    share: Tensor


class CoordinatedDropout(nn.Module):
    r"""Hide random input entries and learn from what was hidden, so that no count is predicted from itself.

    Each entry is kept with probability $q$; an encoder that does not read which entries it sees wants the kept ones scaled
    by $1/q$. Hidden entries always carry gradient; a kept entry carries it with probability `pass_probability`. With
    `lowest_keep_probability` each trial draws a $q$ of its own, uniform between the two: the encoder then learns from trials
    as whole as those that it will be asked about, and from ever scarcer ones.

    With `channel_dropout` $p$ whole channels (units) are hidden too: each trial draws a chance $r$ uniform on $[0, p]$, and
    each channel is hidden in all bins with that chance, so that an entry is kept with probability $q (1 - r)$. What
    a unit did is then told by the others alone, and the encoder cannot lean on any one of them.

    Args:
        keep_probability: $q$; 1 hides no single entry and, where no channel is hidden either, learns from every one.
        pass_probability: share of the kept entries that are learned from as well (the LangevinFlow release: $1 - q$).
        lowest_keep_probability: the least $q$ of a trial, `keep_probability` being the greatest; None for the same in all.
        channel_dropout: $p$, the greatest chance with which a channel is hidden in a trial; 0 for never.

    Raises:
        ConfigError: no such probabilities.

    Reference: Keshtkaran & Pandarinath, *Enabling hyperparameter optimization in sequential autoencoders for spiking
    neural data*, NeurIPS 2019, arXiv:1908.07896. The trial's own $q$ and hidden channels are ours.
    """

    def __init__(
        self,
        keep_probability: float,
        pass_probability: float = 0.0,
        lowest_keep_probability: float | None = None,
        channel_dropout: float = 0.0,
    ):
        super().__init__()
        check_probabilities(keep_probability, pass_probability, lowest_keep_probability, channel_dropout)
        lowest = keep_probability if lowest_keep_probability is None else lowest_keep_probability
        self.keep_probability, self.pass_probability, self.lowest = keep_probability, pass_probability, lowest
        self.channel_dropout = channel_dropout

    def forward(self, values: Float[Tensor, "batch bin channel"]) -> Hidden:
        """Which entries of the input are kept, and which are learned from."""
        share = values.new_full((1, 1, 1), self.keep_probability)
        if self.lowest == 1 and not self.channel_dropout:
            everything = torch.ones_like(values, dtype=torch.bool)
            return Hidden(everything, everything, share)
        if self.lowest < self.keep_probability:
            share = self.lowest + (self.keep_probability - self.lowest) * uniforms((len(values), 1, 1), values)
        draw = uniforms(values.shape, values)
        kept = draw < share
        # Given that an entry is kept, its draw is uniform on [0, q): one draw serves both decisions.
        learned = ~kept | (draw < share * self.pass_probability)
        if self.channel_dropout:
            chance = self.channel_dropout * uniforms((len(values), 1, 1), values)
            hidden = uniforms((len(values), 1, values.shape[-1]), values) < chance
            kept, learned, share = kept & ~hidden, learned | hidden, share * (1 - chance)
        return Hidden(kept, learned, share)


def check_probabilities(keep: Any, passing: Any, lowest: Any, channels: Any) -> None:
    """Raises:
    ConfigError: these are no probabilities for coordinated dropout.
    """
    if not (is_number(keep) and is_number(passing) and 0 < keep <= 1 and 0 <= passing <= 1):
        raise ConfigError(
            f"coordinated dropout got keep_probability={keep} and pass_probability={passing}; give a keep_probability in "
            "(0, 1] (it is the share of entries that stay) and a pass_probability in [0, 1]."
        )
    if lowest is not None and not (is_number(lowest) and 0 < lowest <= keep):
        raise ConfigError(
            f"coordinated dropout got lowest_keep_probability={lowest} and keep_probability={keep}; give a "
            "lowest_keep_probability above 0 that is no greater than keep_probability, or null for none."
        )
    if not (is_number(channels) and 0 <= channels < 1):
        raise ConfigError(
            f"coordinated dropout got channel_dropout={channels}; give the greatest chance with which a trial hides a whole "
            "channel, from 0 (never) to below 1."
        )


class SampleValidation(nn.Module):
    """A fixed random share of the training trials' held-in entries that is never input and never learned from.

    The likelihood of these entries shows overfitting to the training trials themselves, entry by entry.

    Args:
        share: share of the entries that is set aside.
        seed: seed of the choice, which is a function of the trial's position alone.

    Reference: Keshtkaran & Pandarinath, 2019, arXiv:1908.07896.
    """

    def __init__(self, share: float, seed: int = 0):
        super().__init__()
        if not 0 < share < 1:
            raise ConfigError(f"sample validation got share={share}; give a share between 0 and 1, such as 0.2.")
        self.share, self.seed = share, seed

    def forward(self, index: torch.Tensor, counts: Float[Tensor, "batch bin channel"]) -> Bool[Tensor, "batch bin channel"]:
        """Which entries of the trials at `index` are set aside."""
        rows = [
            torch.rand(counts.shape[1:], generator=torch.Generator().manual_seed(self.seed * 1_000_003 + int(i))) for i in index
        ]
        return (torch.stack(rows) < self.share).to(counts.device)
