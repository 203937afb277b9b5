"""How much better than smoothed spikes do a model's rates tell the hand's velocity?

    python train.py model=langevinflow data=reach8 run_dir=runs/mine
    python examples/decode_velocity.py runs/mine --into decoded

Four decoders are compared on the evaluation trials, which neither the model nor a decoder was fitted to: ridge regression on
the rates of the same bin, on those of three bins, on the latents, and a small GRU on the rates; each beside the same decoder of
smoothed spikes, whose kernel is chosen on training trials.
"""

import argparse
from pathlib import Path

import neuralsde
from neuralsde.analysis.decode import Decoding
from neuralsde.evaluation.analysis_figures import decoding_figures


def compare(run: neuralsde.Run, target: str, **settings) -> dict[str, Decoding]:
    """Decodings by name; `settings` as of `run.predict`."""
    width_ms = 1e3 * run.data.spec.bin_width_s
    return {
        "rates": run.decode(target, **settings),
        "rates of 3 bins": run.decode(target, lags_ms=(0, width_ms, 2 * width_ms), **settings),
        "latents": run.decode(target, source="latents", **settings),
        "GRU on rates": run.decode(target, decoder="gru", **settings),
    }


def main(checkpoint: str, target: str = "behavior", into: str | None = None, **settings) -> dict[str, Decoding]:
    """Print R² of the velocity for each decoder; write the pictures of the first."""
    run = neuralsde.load(checkpoint)
    found = compare(run, target, **settings)
    print(f"{'R², variance-weighted':24}{'model':>8}{'smoothed spikes':>18}")
    for name, decoding in found.items():
        own, other = (d.scores["r2_variance_weighted"] for d in (decoding, decoding.compared))
        print(f"{name:24}{own:8.3f}{other:18.3f}")
    if into is not None:
        Path(into).mkdir(parents=True, exist_ok=True)
        for name, figure in decoding_figures(found["rates"], run.data).items():
            figure.savefig(Path(into) / f"{name}.png")
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", help="a run's folder, or a .ckpt file")
    parser.add_argument("--target", default="behavior", help="a series of the recording, such as hand_vel")
    parser.add_argument("--into", help="folder for the pictures")
    arguments = parser.parse_args()
    main(arguments.checkpoint, arguments.target, arguments.into)
