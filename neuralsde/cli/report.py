"""Write a run's report anew: one page that opens without a network, from what lies in the run's folder."""

import argparse

from neuralsde.cli.console import Result

HELP = "write a run's report"
EXAMPLES = """  neuralsde report runs/mine
  neuralsde report runs/mine --json | jq -r .report
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_dir", metavar="RUN", help="a run's folder, or a checkpoint in it")


def run(arguments: argparse.Namespace) -> Result:
    """Write report.html; the result names it."""
    from neuralsde.evaluation.report import write_report

    report = write_report(arguments.run_dir)
    print(report)
    return {"report": str(report)}
