"""Several processes on one machine: the first one, which the user started, starts the others."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning as L
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch.strategies import DDPStrategy, Strategy

from neuralsde.errors import ConfigError
from neuralsde.training.processes import environment

FOLLOWER = "neuralsde.cli.follow"  # what the others run, given the run's folder
RANK, PORT = "NEURALSDE_RANK", "NEURALSDE_PORT"
READY = "ready"
PATIENCE_S = 10.0
"""How long the first process has for an error of its own, once another has ended with one."""


class OneMachine(LightningEnvironment):
    """Processes of one machine, of which Lightning is to start none.

    Lightning would run the command line again in each: a sweep would start anew, a folder named by the time would be
    another, and where no command line composed the config there is nothing to run.
    """

    def __init__(self):
        super().__init__()
        self._port = int(os.environ.get(PORT) or free_port())

    @property
    def creates_processes_externally(self) -> bool:
        return True

    @property
    def main_address(self) -> str:
        return "127.0.0.1"

    @property
    def main_port(self) -> int:
        return self._port

    def local_rank(self) -> int:
        return int(os.environ.get(RANK, 0))

    def node_rank(self) -> int:
        return 0


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def report_ready() -> None:
    """Tell the first process that this one has read the data and built the model; from here on this one prints nothing."""
    if RANK in os.environ:
        print(READY, flush=True)
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115  for as long as the process runs


@contextmanager
def others_started(trainer: L.Trainer, run_dir: Path, allow_targets: Sequence[str] = ()) -> Iterator[None]:
    """Start the other processes of a run and wait until all are ready; nothing where there are none, or others start them.

    Args:
        trainer: the first process's.
        run_dir: the run's folder, whose `config.yaml` the others train.
        allow_targets: packages that the command line lets the config name.

    Raises:
        ConfigError: a process ended before it was ready.
    """
    strategy = trainer.strategy
    if not isinstance(strategy, DDPStrategy) or not isinstance(strategy.cluster_environment, OneMachine):
        yield
        return
    here = strategy.cluster_environment
    others = [start(rank, here.main_port, run_dir, allow_targets) for rank in range(1, strategy.num_processes)]
    finished = threading.Event()
    try:
        for rank, process in enumerate(others, start=1):
            wait_until_ready(rank, process)
        threading.Thread(target=watch, args=(others, finished), daemon=True).start()
        yield
        finished.set()
        for process in others:
            process.wait()
    finally:
        finished.set()
        for process in others:
            end(process)


def start(rank: int, port: int, run_dir: Path, allow_targets: Sequence[str]) -> subprocess.Popen[str]:
    """The process `rank`, with this one's search path for modules."""
    variables = {**os.environ, RANK: str(rank), "LOCAL_RANK": str(rank), PORT: str(port)}
    variables["PYTHONPATH"] = os.pathsep.join(path or os.getcwd() for path in sys.path)
    command = [sys.executable, "-m", FOLLOWER, str(run_dir.absolute()), *allow_targets]
    return subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, text=True)


def wait_until_ready(rank: int, process: subprocess.Popen[str]) -> None:
    """Raises:
    ConfigError: the process ended instead.
    """
    assert process.stdout is not None
    if not any(line.strip() == READY for line in process.stdout):
        raise ConfigError(
            f"Process {rank} of this run ended with status {process.wait()} before training began: see what it says above, or "
            "train with trainer.devices=1."
        )


def watch(others: list[subprocess.Popen[str]], finished: threading.Event) -> None:
    """End this process where another has failed: it would wait for that one's gradients for half an hour."""
    while not finished.wait(0.5):
        failed = [process for process in others if process.poll()]
        if failed and not finished.wait(PATIENCE_S):
            print(f"neuralsde: a process of this run ended with status {failed[0].returncode}.", file=sys.stderr)
            os._exit(1)  # the main thread waits inside a collective, where no exception reaches it


def end(process: subprocess.Popen[str]) -> None:
    """End a process that has not ended by itself."""
    if process.stdout is not None:
        process.stdout.close()
    process.terminate()
    try:
        process.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def strategy_of(settings: dict[str, Any]) -> Strategy | str:
    """How the processes of a run come about and add up their gradients.

    Args:
        settings: of the trainer.

    Raises:
        ConfigError: several processes have been started, and the strategy is of one.
    """
    name, started_by = settings.get("strategy", "auto"), environment()
    if name == "ddp":
        # Parts of some models learn nothing under some objectives, always the same ones.
        return DDPStrategy(cluster_environment=OneMachine() if started_by is None else started_by, static_graph=True)
    if started_by is not None and started_by.world_size() > 1:
        raise ConfigError(
            f"{started_by.world_size()} processes were started, but trainer.strategy={name} trains in one: choose trainer=ddp, "
            "or start one."
        )
    return name


def refuse_other_strategies(trainer: L.Trainer, settings: dict[str, Any]) -> None:
    """Raises:
    ConfigError: the trainer has several devices by a strategy other than `ddp`.
    """
    if trainer.world_size > 1 and settings.get("strategy") != "ddp":
        raise ConfigError(
            f"trainer.devices is {settings['devices']}, which makes {trainer.world_size} processes, but trainer.strategy is "
            f"{settings.get('strategy', 'auto')}: choose trainer=ddp, or trainer.devices=1."
        )
