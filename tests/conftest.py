# ruff: noqa: F401
import os

# Two test processes on two cores: one thread each, also in the processes that tests start. Before torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")
os.environ.setdefault("WANDB_MODE", "offline")  # tests never reach for the network

# Before the package: what a module imports while jaxtyping's hook loads it is looked for under the hook's own name of bytecode,
# so that torch and its like would be compiled anew, three thousand files, in every process.
import hydra.main
import lightning.pytorch.loggers
import matplotlib.figure
import rich.table
import scipy.signal
import scipy.stats
import sklearn.linear_model
import sklearn.metrics
import torch.distributions
import torchdiffeq
import torchsde
import wandb

import tests.helpers.shapes  # jaxtyping looks it up as an attribute of `tests`
