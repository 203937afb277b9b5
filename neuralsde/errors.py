"""The package's one family of errors: one sentence that says what was found, where, and what to do."""

import sys


class NeuralSDEError(Exception):
    """Base of every error a user's input can cause; the command line prints its sentence and exits with status 2."""


class DataError(NeuralSDEError):
    """A data file is missing, damaged, or does not hold what was asked of it."""


class ConfigError(NeuralSDEError):
    """Two settings do not fit each other, or a setting has an impossible value."""


class CheckpointError(NeuralSDEError):
    """A checkpoint is missing, damaged, or belongs to another model or other data."""


class DamagedCheckpointError(CheckpointError):
    """A checkpoint cannot be read to its end, such as one that a power cut has truncated."""


class DivergenceError(NeuralSDEError):
    """A solution or a loss stopped being finite."""


def warn(sentence: str) -> None:
    """Say on standard error what a user should know of, where work goes on."""
    print(f"neuralsde: warning: {sentence}", file=sys.stderr)
