import sys

import pytest

from neuralsde.cli import main


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs `neuralsde …` in this process; gives its status, standard output and error."""

    def command(*words):
        monkeypatch.setattr(sys, "argv", ["neuralsde", *map(str, words)])
        try:
            main()
            status = 0
        except SystemExit as stop:
            status = stop.code or 0
        return status, *capsys.readouterr()

    return command
