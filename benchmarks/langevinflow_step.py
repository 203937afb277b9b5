"""One training step of LangevinFlow at MC_Maze sizes: ours, the release's recursion, and the bare matrix products.

    python -m benchmarks.langevinflow_step [--repeats 5] [--threads 2] [--device cpu]

Prints one JSON object a line: `case`, `peer`, `ours_ms`, `peer_ms`, `ratio` = peer / ours, and `over_limit` = ours over the
bare products. All contestants take turns within one run, so that a machine whose speed drifts treats them alike; times are
medians. The bare products are the matrix products of the forward and backward pass that the architecture cannot avoid.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from neuralsde.inference import ELBO, CoordinatedDropout, ReleasedLangevin
from neuralsde.likelihoods import Poisson
from neuralsde.models import LatentModel
from neuralsde.nn.decoders import TransformerDecoder
from neuralsde.nn.encoders import ReleasedGRUEncoder

HIDDEN, FEEDFORWARD, HEADS, OBSERVED, ALL = 280, 512, 2, 137, 182
CASES = {"maze_20ms": (256, 35, 10), "maze_5ms": (64, 140, 40)}  # batch, observed bins, forward bins


class PlainRelease(nn.Module):
    """The released recursion as a plain loop: a GRUCell with fed-back dropout, the force by autograd at each bin."""

    def __init__(self):
        super().__init__()
        self.cell = nn.GRUCell(OBSERVED, HIDDEN)
        self.heads = nn.ModuleList(nn.Linear(HIDDEN, HIDDEN) for _ in range(4))
        self.kernel = nn.Parameter(torch.zeros(4, 4, 3))
        self.layer = nn.TransformerEncoderLayer(3 * HIDDEN, HEADS, FEEDFORWARD, 0.05)
        self.readout = nn.Linear(3 * HIDDEN, ALL)
        self.dropout = nn.Dropout(0.05)

    def potential(self, z: Tensor) -> Tensor:
        rows = z.view(-1, 4, HIDDEN // 4)
        force = nn.functional.conv1d(rows, nn.functional.normalize(self.kernel, dim=2), padding=1)
        return torch.einsum("bip,bjp->b", force, rows)

    def forward(self, counts: Tensor, forward_bins: int) -> tuple[Tensor, Tensor]:
        h = self.dropout(self.cell(counts[:, 0]))
        z_m, z_l, v_m, v_l = (head(h) for head in self.heads)
        z, v = (m + torch.exp(s / 2) * torch.randn_like(m) for m, s in ((z_m, z_l), (v_m, v_l)))
        kl = 0.5 * sum((m.square() + s.exp() - s - 1).sum() for m, s in ((z_m, z_l), (v_m, v_l)))
        states, n_observed = [torch.cat([z, v, h], 1)], counts.shape[1]
        for bin in range(1, n_observed + forward_bins):
            h = self.dropout(self.cell(counts[:, min(bin - 1, n_observed - 1)], h))
            if not z.requires_grad:
                z.requires_grad_()
            force = torch.autograd.grad(self.potential(z).sum(), z, create_graph=True)[0]
            z, moved = z + 0.01 * v, v - 0.01 * force
            v = 0.45 * moved + 1.1**0.5 * torch.randn_like(v)
            kl = kl + 0.5 * (v.square() / 0.1).sum()
            states.append(torch.cat([z, v, h], 1))
        return self.readout(self.layer(torch.stack(states))).transpose(0, 1), kl / len(counts)


def our_model(recurrent_dropout: str) -> LatentModel:
    return LatentModel(
        ReleasedGRUEncoder(OBSERVED, HIDDEN, 0.05, recurrent_dropout=recurrent_dropout),
        partial(ReleasedLangevin, bin_width_s=0.02, friction_per_s=27.5),
        partial(TransformerDecoder, feedforward_size=FEEDFORWARD, fixup=True),
        partial(Poisson, target_dim=ALL),
        decode_context=True,
    )


def our_step(recurrent_dropout: str, batch: int, observed: int, ahead: int, device: str) -> Callable[[], None]:
    model = our_model(recurrent_dropout).to(device)
    objective, mask = ELBO(0.1, 0, "trial", count_blocked=True), CoordinatedDropout(0.5, 0.5)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    targets = torch.poisson(torch.full((batch, observed + ahead, ALL), 0.1, device=device))
    known = torch.ones_like(targets, dtype=torch.bool)
    times = 0.02 * torch.arange(observed + ahead, device=device)[None]

    def step() -> None:
        hidden = mask(counts := targets[:, :observed, :OBSERVED])
        inputs, learned = counts * hidden.kept / hidden.share, known.clone()
        learned[:, :observed, :OBSERVED] = hidden.learned
        output = model(inputs, torch.ones_like(inputs, dtype=torch.bool), times)
        loss = objective(model.likelihood.log_prob(output.parameter, targets), output.kl, known, learned, 1)
        optimizer.zero_grad()
        loss.total.backward()
        optimizer.step()

    return step


def release_step(batch: int, observed: int, ahead: int, device: str) -> Callable[[], None]:
    model = PlainRelease().to(device)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    targets = torch.poisson(torch.full((batch, observed + ahead, ALL), 0.1, device=device))

    def step() -> None:
        kept = torch.rand_like(targets[:, :observed, :OBSERVED]) < 0.5
        log_rates, kl = model(targets[:, :observed, :OBSERVED] * kept / 0.5, ahead)
        nll = nn.functional.poisson_nll_loss(log_rates, targets, reduction="none")
        blocked = torch.rand_like(kept, dtype=torch.float32) < 0.5
        learned = torch.ones_like(targets, dtype=torch.bool)
        learned[:, :observed, :OBSERVED] = ~(kept & blocked)
        loss = torch.where(learned, nll, nll.detach()).mean() + 0.1 * kl
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def products(batch: int, observed: int, ahead: int) -> list[tuple[int, tuple[int, ...], tuple[int, ...], int]]:
    """(times, left shape, right shape, passes) of each product; 3 passes are forward and both gradients, 2 leave one out."""
    bins, width = observed + ahead, 3 * HIDDEN
    rows = batch * bins
    return [
        (1, (rows, OBSERVED), (OBSERVED, 3 * HIDDEN), 2),  # GRU, input (data need no gradient)
        (bins, (batch, HIDDEN), (HIDDEN, 3 * HIDDEN), 3),  # GRU, state
        (4, (batch, HIDDEN), (HIDDEN, HIDDEN), 3),  # initial posterior
        (bins, (batch, HIDDEN), (HIDDEN, HIDDEN), 3),  # force
        (1, (rows, width), (width, 3 * width), 3),  # queries, keys, values
        (1, (batch * HEADS, bins, width // HEADS), (batch * HEADS, width // HEADS, bins), 3),  # scores
        (1, (batch * HEADS, bins, bins), (batch * HEADS, bins, width // HEADS), 3),  # attended values
        (1, (rows, width), (width, width), 3),  # attention's output
        (1, (rows, width), (width, FEEDFORWARD), 3),
        (1, (rows, FEEDFORWARD), (FEEDFORWARD, width), 3),
        (1, (rows, width), (width, ALL), 3),  # read-out
    ]


def bare_step(batch: int, observed: int, ahead: int, device: str) -> Callable[[], None]:
    work = []
    for times, left, right, passes in products(batch, observed, ahead):
        a, b = torch.randn(left, device=device), torch.randn(right, device=device)
        g = a @ b
        pairs = [(a, b), (a.mT, g), (g, b.mT)][:passes]
        work += [(x, y, x @ y) for x, y in pairs] * times

    def step() -> None:
        for x, y, out in work:
            torch.matmul(x, y, out=out)

    return step


def median_ms(contestants: dict[str, Callable[[], None]], repeats: int, device: str) -> dict[str, float]:
    """Median time of each, taking turns after one warm-up round."""
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(repeats + 1):
        for name, step in contestants.items():
            begin = time.perf_counter()
            step()
            if device != "cpu":
                torch.cuda.synchronize()
            times[name].append((time.perf_counter() - begin) * 1e3)
    return {name: statistics.median(values[1:]) for name, values in times.items()}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--repeats", type=int, default=5)
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--device", default="cpu")
    arguments.add_argument("--case", choices=CASES, action="append")
    options = arguments.parse_args()
    torch.set_num_threads(options.threads)
    for case in options.case or CASES:
        sizes = (*CASES[case], options.device)
        torch.manual_seed(0)
        ms = median_ms(
            {
                "output_only": our_step("output_only", *sizes),
                "fed_back": our_step("fed_back", *sizes),
                "release": release_step(*sizes),
                "bare_products": bare_step(*sizes),
            },
            options.repeats,
            options.device,
        )
        for peer in ("release", "bare_products", "fed_back"):
            ours = ms["output_only"]
            row = {"case": case, "peer": peer, "ours_ms": ours, "peer_ms": ms[peer], "ratio": ms[peer] / ours}
            row["over_limit"] = ours / ms["bare_products"]
            print(json.dumps({key: round(v, 3) if isinstance(v, float) else v for key, v in row.items()}), flush=True)


if __name__ == "__main__":
    main()
