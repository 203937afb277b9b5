"""The command line: `neuralsde train|resume|evaluate|predict|decode|dynamics|report|sample|submit|download …`.

A command is one module with `HELP`, `EXAMPLES`, `add_arguments` and `run`, named in `COMMANDS`.
"""

from neuralsde.cli.console import quiet_chatter, run_or_explain
from neuralsde.cli.main import COMMANDS, main
from neuralsde.cli.train import CONFIGS, train

__all__ = ["COMMANDS", "CONFIGS", "main", "quiet_chatter", "run_or_explain", "train"]
