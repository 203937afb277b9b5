import re
from collections.abc import Mapping
from pathlib import Path

from neuralsde.datamodules.batches import TrialDataModule
from neuralsde.datamodules.sessions.join import join_sessions
from neuralsde.datamodules.trials import TrialData
from neuralsde.errors import ConfigError, NeuralSDEError

SETTING = re.compile(r"(?<![\w./])data\.(?=[a-z_]+\b(?!\.\w|/))(?!(?:npz|h5|hdf5|nwb)\b)")
"""Where an error's sentence names a setting of the data, not a file that is called so."""


class SessionsData(TrialDataModule):
    """Recordings of different days or animals, from which one model learns with shared dynamics.

    The units of all sessions stand side by side, and a trial knows those of its own session alone. A linear layer reads nothing
    from units that were not recorded, so that the first layer of the encoder is a read-in for each session, and the last one
    of the likelihood a read-out for each; all between them is shared. Each session is scored by itself (`NAME/co_bps`), beside
    baselines that are fitted to it alone.

    Args:
        name: of the whole.
        sessions: data modules by name, each of which reads and splits its own file.
        batch_size: trials per training batch, of all sessions together.
        seed: seed of the order of the trials.
        eval_batch_size: trials per batch when predicting.
        phase: the split that is scored, `val` or `test`, of all sessions.
        only: name of the one session whose trials are trained on and scored, among the units of all, so that a run can go on
            from a model of all (`init_from`); None for all sessions.

    Raises:
        ConfigError: a session scores another split, or `only` names none of them.
    """

    def __init__(
        self,
        name: str,
        sessions: Mapping[str, TrialDataModule],
        batch_size: int,
        seed: int = 0,
        eval_batch_size: int = 256,
        phase: str = "val",
        only: str | None = None,
    ):
        super().__init__(batch_size, seed, eval_batch_size)
        self.data_name, self.sessions, self.phase, self.only = name, dict(sessions), phase, only
        for key, module in self.sessions.items():
            if (own := getattr(module, "phase", phase)) != phase:
                raise ConfigError(f"data.sessions.{key}.phase is {own}, but data.phase is {phase}; set data.phase alone.")
        if only is not None and only not in self.sessions:
            raise ConfigError(f"data.only is {only}; give one of {', '.join(self.sessions)}, or null for all of them.")

    def files(self) -> list[Path]:
        return [path for module in self.sessions.values() for path in module.files()]

    def read(self) -> TrialData:
        """Read all sessions and join them.

        Raises:
            DataError: a session's file is missing or damaged.
            ConfigError: sessions do not fit together.
        """
        return join_sessions(
            {key: read_session(key, module) for key, module in self.sessions.items()}, self.data_name, self.only
        )


def read_session(name: str, module: TrialDataModule) -> TrialData:
    """A session's recording.

    Raises:
        NeuralSDEError: what its module raises, where settings are called what the session's are.
    """
    try:
        return module.data
    except NeuralSDEError as error:
        raise type(error)(SETTING.sub(f"data.sessions.{name}.", str(error))) from None
