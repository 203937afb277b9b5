"""Several recordings as one: their units side by side, so that one model has a read-in and a read-out for each of them."""

from neuralsde.datamodules.sessions.module import SessionsData

__all__ = ["SessionsData"]
