from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from neuralsde.errors import ConfigError
from neuralsde.nn.dropout import Dropout
from neuralsde.nn.encoders.gru import relative_steps
from neuralsde.nn.local_context import LocalContext, Part, Stretch, whole


class LocalEncoder(nn.Module):
    r"""Dilated convolutions, so that the context in a bin depends on the observations within `reach` bins of it alone.

    The bins of each step of `stride` are read together, and the steps by residual blocks

    $$h_n \gets h_n + W_2\, \mathrm{ReLU}\bigl(W_1 (h_{n-d}, h_n, h_{n+d})\bigr)$$

    with a dilation $d$ each. What lies outside the trial is zero, and told from zeros by a channel of its own. The context of a
    stretch of a trial costs as much as the stretch is long (`local`): with `objective=sde_matching objective.part_bins=40` a
    step of training does not depend on the length of a trial.

    Args:
        input_size: observed channels.
        hidden_size: channels of each block and of the context.
        stride: bins per step, whose contexts are equal.
        dilations: of each block, in steps.
        dropout: probability of dropping an entry of the context, of a step.
        input_dropout: probability of dropping an entry of what a block reads first.
        read_gaps: also read which entries were seen and the time since the bin before, as `GRUEncoder` does.
        pass_on: let the context of a bin end with what was observed in that very bin, as it is (zero where nothing was): what
            is observed precisely need not be learned to be copied.

    Raises:
        ConfigError: an impossible size.

    Source: ours, in the form of Bai, Kolter, Koltun, *Temporal convolutional networks*, 2018, arXiv:1803.01271, both ways.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int = 64,
        stride: int = 3,
        dilations: Sequence[int] = (1, 2, 4, 8),
        dropout: float = 0.0,
        input_dropout: float = 0.0,
        read_gaps: bool = False,
        pass_on: bool = False,
    ):
        super().__init__()
        sizes = {"hidden_size": [hidden_size], "stride": [stride], "dilations": list(dilations)}
        for name, values in sizes.items():
            if not all(type(value) is int and value > 0 for value in values):
                given = values if name == "dilations" else values[0]
                raise ConfigError(f"model.encoder.{name} is {given}; give whole numbers of at least 1.")
        self.reads_mask, self.stride, self.dilations = read_gaps, stride, list(dilations)
        self.embed = nn.Linear(stride * (input_size + 1 + (input_size + 1) * read_gaps), hidden_size)
        self.around = nn.ModuleList(nn.Linear(3 * hidden_size, hidden_size) for _ in dilations)
        self.back = nn.ModuleList(nn.Linear(hidden_size, hidden_size) for _ in dilations)
        self.input_dropout, self.dropout = Dropout(input_dropout), Dropout(dropout)
        self.passed_on = input_size if pass_on else 0
        self.output_size = hidden_size + self.passed_on

    @property
    def reach(self) -> int:
        """Bins of a trial to either side that a step's context depends on, beside the step's own."""
        return self.stride * sum(self.dilations)

    def forward(
        self,
        values: Float[Tensor, "batch observed_bin channel"],
        seen: Bool[Tensor, "batch observed_bin channel"],
        times: Float[Tensor, "#batch bin"],
    ) -> Float[Tensor, "batch bin context"]:
        part = whole(len(values), values.device)
        everything = self._stretch(part, part.index, -(-times.shape[1] // self.stride))
        steps = self._encoded(everything.of(values), everything.of(seen), values.shape[1], times, everything)
        context = steps.repeat_interleave(self.stride, 1)[:, : times.shape[1]]
        if not self.passed_on:
            return context
        ahead = times.shape[1] - values.shape[1]
        return torch.cat([context, nn.functional.pad(values, (0, 0, 0, ahead))], 2)

    def stretch_of(self, part: Part, bins: int, around: int) -> Stretch:
        """What the context of a part of trials of so many bins, and of so many bins around it, is made from."""
        first = ((part.index * bins).div(part.of, rounding_mode="floor") - around).clamp(min=0)
        steps = -(-(-(-bins // part.of) + 2 * around) // self.stride) + 2  # a part and a step begin within a step
        return self._stretch(part, first.div(self.stride, rounding_mode="floor"), steps)

    def _stretch(self, part: Part, first: Int[Tensor, " batch"], steps: int) -> Stretch:
        """What so many steps from `first` on are made from."""
        margin = sum(self.dilations)
        return Stretch(part, (first - margin) * self.stride, (steps + 2 * margin) * self.stride)

    def local(
        self,
        values: Float[Tensor, "batch stretch_bin channel"],
        seen: Bool[Tensor, "batch stretch_bin channel"],
        observed: int,
        times: Float[Tensor, "#batch bin"],
        stretch: Stretch,
    ) -> LocalContext:
        """The same context where it can be made from a stretch of each trial.

        Args:
            values: in the bins of the stretch alone.
            seen: likewise.
            observed: bins of the whole trial, from the first, in which something may have been observed.
            times: of all bins.
            stretch: which bins these are.
        """
        first = stretch.begin.div(self.stride, rounding_mode="floor") + sum(self.dilations)
        steps = self._encoded(values, seen, observed, times, stretch)
        if not self.passed_on:
            return LocalContext(steps, first, self.stride, times.shape[1], stretch.part)
        context, margin = steps.repeat_interleave(self.stride, 1), self.stride * sum(self.dilations)
        inside = ((stretch.bins >= 0) & (stretch.bins < observed))[..., None]
        own = (values * inside)[:, margin : margin + context.shape[1]]
        return LocalContext(torch.cat([context, own], 2), first * self.stride, 1, times.shape[1], stretch.part)

    def _encoded(
        self, values: Tensor, seen: Tensor, observed: int, times: Tensor, stretch: Stretch
    ) -> Float[Tensor, "batch step context"]:
        read = self._read(values, seen, observed, times, stretch.bins)
        hidden = self.input_dropout(self.embed(read.unflatten(1, (-1, self.stride)).flatten(2)))
        for d, around, back in zip(self.dilations, self.around, self.back, strict=True):
            near = torch.cat([hidden[:, : -2 * d], hidden[:, d:-d], hidden[:, 2 * d :]], 2)
            hidden = hidden[:, d:-d] + back(nn.functional.relu(around(near)))
        return self.dropout(hidden)

    def _read(
        self, values: Tensor, seen: Tensor, observed: int, times: Tensor, bins: Int[Tensor, "batch bin"]
    ) -> Float[Tensor, "batch bin read"]:
        """What is read of the bins, zero where they are none of the observed ones."""
        inside = ((bins >= 0) & (bins < observed))[..., None]
        read = [values, torch.ones_like(values[:, :1, :1]).expand(-1, bins.shape[1], -1)]
        if self.reads_mask:
            gaps = relative_steps(times).to(values.dtype).expand(len(values), -1)
            read += [seen.to(values.dtype), gaps.gather(1, bins.clamp(0, observed - 1))[..., None]]
        return torch.cat(read, 2) * inside
