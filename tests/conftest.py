import importlib
import os

import jaxtyping._decorator

import tests.helpers.shapes  # noqa: F401  jaxtyping looks its checker up among the attributes of `tests`

jaxtyping._decorator._tb_flag = False  # or it loads JAX, where that is installed, to shorten JAX's tracebacks

# Two test processes on two cores: one thread each, also in the processes that tests start. Before torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")
os.environ.setdefault("WANDB_MODE", "offline")  # tests never reach for the network

HEAVY = [
    "h5py", "hydra.main", "lightning.pytorch.loggers", "matplotlib.figure", "rich.table", "scipy.signal", "scipy.stats",
    "sklearn.linear_model", "sklearn.metrics", "torchdiffeq", "torchsde", "wandb",
]  # fmt: skip


def pytest_configure(config):
    """Load heavy libraries before the package.

    What a module imports while jaxtyping's hook loads it is looked for under the hook's own name of bytecode: where bytecode is
    not written, three thousand files of torch and its like would be compiled anew in each process that runs tests.
    """
    if config.getoption("dist", "no") == "no":  # not the process that only hands tests out
        for library in HEAVY:
            importlib.import_module(library)
