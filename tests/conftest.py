import os

# Two test processes on two cores: one thread each, also in the processes that tests start. Before torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")
os.environ.setdefault("WANDB_MODE", "offline")  # tests never reach for the network
