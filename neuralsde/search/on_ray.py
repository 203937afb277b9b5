"""Legs on Ray Tune, on one machine or a cluster.

Tune gets each leg as a trial of its own and is asked for resources, workers that outlive a leg, and trials whose worker died;
the order of the search is a `Searcher` that suggests the legs that are due. Tune's own schedulers decide by the clock, and its
snapshots lag behind what has been trained, so that a search which was killed would go on otherwise than one that was not.
"""

import importlib.util
import json
import logging
import os
import shutil
import signal
import tempfile
import warnings
from typing import Any

from omegaconf import DictConfig

from neuralsde.errors import ConfigError, NeuralSDEError
from neuralsde.search.driver import Search
from neuralsde.search.settings import gpus_of
from neuralsde.search.train_leg import train_leg

ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",  # no telemetry
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # the legs' own metrics.csv
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Ctrl-C is ours
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000",  # its snapshots are not read
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # trials without a share of a GPU see what this process sees
}
STORE_BYTES = 100_000_000  # of Ray's object store, through which only the config goes
METRIC = "unused"  # Tune wants one
RETRIES = 2  # where a worker died


def train_on_ray(search: Search) -> None:
    """Train all legs of a search.

    Raises:
        ConfigError: Ray is not installed, or cannot be started or reached.
        NeuralSDEError: something failed that is no matter of a trial's settings.
    """
    if importlib.util.find_spec("ray") is None:
        raise ConfigError(
            'A search trains its trials on Ray, which is not installed: pip install "neuralsde[search]", or set '
            "search.ray=false to train one trial after another in this process."
        )
    os.environ.update(ENVIRONMENT)
    import ray

    connect(search.prepared.config.search)
    try:
        tune_legs(search)
    finally:
        ray.shutdown()


def connect(settings: DictConfig) -> None:
    """Start Ray on this machine, or join the cluster that `search.address` names.

    Raises:
        ConfigError: it cannot be started or reached.
    """
    import ray

    on_sigterm = signal.getsignal(signal.SIGTERM)
    local = {"num_cpus": os.cpu_count(), "include_dashboard": False, "object_store_memory": STORE_BYTES}
    try:
        ray.init(
            address=settings.address or "local",
            log_to_driver=False,
            logging_level=logging.ERROR,
            **({} if settings.address else local),
        )
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        where = settings.address or "this machine"
        raise ConfigError(f"Ray on {where} does not answer ({reason}): check search.address.") from error
    signal.signal(signal.SIGTERM, on_sigterm)  # Ray puts one of its own there


def tune_legs(search: Search) -> None:
    """Let Tune train what the search suggests."""
    from ray import tune

    from neuralsde.search.ray_searcher import LegSearcher  # its base class comes with Ray

    settings = search.prepared.config.search
    resources = {"cpu": settings.cpus_per_trial, "gpu": gpus_of(search.prepared.config)}
    refuse_too_large(resources)
    legs = LegSearcher(search)
    storage = tempfile.mkdtemp(prefix=".ray.", dir=search.prepared.folder.resolve())  # seen by all machines, as the folder is
    try:
        tune.Tuner(
            tune.with_resources(train_on_worker, resources),
            tune_config=tune.TuneConfig(
                search_alg=legs,
                num_samples=-1,
                reuse_actors=True,
                max_concurrent_trials=settings.concurrent,
                trial_dirname_creator=lambda trial: trial.trial_id,
            ),
            run_config=tune.RunConfig(
                name="search", storage_path=storage, verbose=0, failure_config=tune.FailureConfig(max_failures=RETRIES)
            ),
        ).fit()
    finally:
        shutil.rmtree(storage, ignore_errors=True)
    if legs.stopped is not None:
        raise legs.stopped


def refuse_too_large(resources: dict[str, float]) -> None:
    """Raises:
    ConfigError: no machine of the cluster can hold a trial, so that it would wait for ever.
    """
    import ray

    for name, wanted in resources.items():
        most = max((node["Resources"].get(name.upper(), 0.0) for node in ray.nodes()), default=0.0)
        if wanted > most:
            key = f"search.{name}s_per_trial"
            raise ConfigError(f"{key} is {wanted:g}, but the largest machine has {most:g}: give at most that.")


def train_on_worker(config: dict[str, Any]) -> None:
    """What a worker does with a leg; an error that ends the search is told, since Tune would try again."""
    from ray import tune

    quiet_worker()
    try:
        tune.report({METRIC: 0.0, "trained": json.dumps(train_leg(config["job"]).as_dict()), "stopped": None})
    except (NeuralSDEError, OSError, RuntimeError, ValueError, TypeError) as error:
        tune.report({METRIC: 0.0, "trained": None, "stopped": f"{config['job'].leg.folder} stopped: {last_line(error)}"})


def quiet_worker() -> None:
    """Nothing that a worker says is seen."""
    warnings.simplefilter("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)


def last_line(error: BaseException) -> str:
    """The line of an error that says what went wrong."""
    return (str(error).strip().splitlines() or [type(error).__name__])[-1]
