"""A picture of fractional noise: `python -m benchmarks.fractional_figure [--figure docs/figures/fractional_noise.png]`.

Paths of three Hurst indices from the same normals, and the relative mean squared error of the approximation over H: the
released grid of five rates, and ours with one range per type, of 5 and of 8 processes.
"""

import argparse
from pathlib import Path

import torch

from neuralsde.noise import Fractional, FractionalBrownian
from neuralsde.noise.fractional_weights import default_rates, geometric_rates, relative_error
from neuralsde.plots.style import CATEGORIES, MEDIUM, MODEL, SMALL, TRUTH, new_figure, tidy

HURST = (0.2, 0.5, 0.8)


def draw(path: Path) -> None:
    """Write the picture."""
    figure = new_figure(9.0, 2.8, "")
    paths, *errors = figure.subplots(1, 3)
    times = torch.linspace(0, 1, 501, dtype=torch.float64)
    for hurst, color in zip(HURST, CATEGORIES, strict=False):
        noise = FractionalBrownian(1, 1.0, hurst, processes=8, generator=torch.Generator().manual_seed(5))
        path_of = noise.increments(times.view(-1, 1, 1), (1, 1)).w.cumsum(0).flatten()
        paths.plot(times, torch.cat([torch.zeros(1, dtype=torch.float64), path_of]), color=color, lw=0.9, label=f"H = {hurst}")
    tidy(paths, "type I, the same normals", "t / T")
    paths.legend(fontsize=SMALL, frameon=False)
    index = torch.linspace(0.05, 0.95, 91, dtype=torch.float64)
    for ax, kind in zip(errors, Fractional, strict=True):
        for label, rates, color, style in (
            ("released, K = 5", geometric_rates(5, 1 / 20, 20.0), TRUTH, "--"),
            ("ours, K = 5", default_rates(kind, 5), MODEL, "-"),
            ("ours, K = 8", default_rates(kind, 8), MODEL, ":"),
        ):
            ax.semilogy(
                index, relative_error(index, rates, 1.0, kind).clamp(min=1e-8), color=color, ls=style, lw=1.2, label=label
            )
        ax.set_ylim(1e-6, 1)
        tidy(ax, f"relative mean squared error, {kind.value.replace('_', ' ').replace('i', 'I').replace('tYpe', 'type')}", "H")
        ax.legend(fontsize=SMALL, frameon=False, loc="lower right" if kind is Fractional.TYPE_I else "upper right")
    for ax in (paths, *errors):
        ax.title.set_fontsize(MEDIUM)
    figure.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--figure", type=Path, default=Path("docs/figures/fractional_noise.png"))
    draw(parser.parse_args().figure)


if __name__ == "__main__":
    main()
