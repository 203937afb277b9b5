"""Which way a validation score is better."""

LESS_IS_BETTER = frozenset({"val/nll", "val/mse"})


def less_is_better(score: str) -> bool:
    """Whether a smaller value of the score is the better one; more is better of all others."""
    return score in LESS_IS_BETTER
