"""Write an EvalAI submission for the test trials of a Neural Latents Benchmark recording; of several checkpoints the mean."""

import argparse
from pathlib import Path

from neuralsde.cli.console import Result, add_checkpoints, bar, opened_all, together

HELP = "write a submission file"
EXAMPLES = """  neuralsde submit runs/mine submission.h5
  neuralsde submit runs/seed0 runs/seed1 runs/seed2 submission.h5
  neuralsde submit runs/my_search --top 5 submission.h5
  neuralsde submit runs/mine rehearsal.h5 --phase val
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_checkpoints(parser)
    parser.add_argument("file", metavar="FILE", help="the .h5 file to write")
    parser.add_argument("--phase", default="test", choices=("val", "test"), help="trials to predict (default: test)")


def run(arguments: argparse.Namespace) -> Result:
    """Write the file; the result says what is in it."""
    model = together(opened_all(arguments))
    from neuralsde.evaluation.submission import write_submission

    data = model.data
    rates = [model.predict(name, label=bar(name)).rates for name in ("train", "eval")]
    write_submission(Path(arguments.file), data, *rates)
    print(f"{arguments.file}: group {data.name}, {len(data.train)} training and {len(data.eval)} {arguments.phase} trials.")
    return {"file": arguments.file, "group": data.name, "train_trials": len(data.train), "eval_trials": len(data.eval)}
