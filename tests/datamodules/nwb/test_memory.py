"""A file of 1.8 GB is read without holding it."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.nwb_big import write_big_area2

LIMIT_MB = 300
ROOT = Path(__file__).parents[3]
SCRIPT = """
import sys
import h5py, hydra
from omegaconf import OmegaConf
import neuralsde.datamodules.nwb, scipy.signal

def memory_mb(key):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith(key))

config, path, cache, series = sys.argv[1:]
module = hydra.utils.instantiate(OmegaConf.load(config), path=path, cache=cache)
before = memory_mb("VmRSS")
data = module.data if series == "lazily" else module.data and h5py.File(path)[series][:]
print(memory_mb("VmHWM") - before)
if series == "lazily":
    print(*data.train.heldin.shape, *data.psth.shape)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from Linux's /proc")
def test_a_file_of_the_shape_of_area2_is_read_lazily(tmp_path):
    path = write_big_area2(tmp_path / "sub-Big_desc-train_behavior+ecephys.nwb")
    assert 1.75e9 < path.stat().st_size < 2e9
    peak_mb, shapes = run(path, tmp_path / "cache", "lazily")
    print(f"peak memory above that after imports: {float(peak_mb):.0f} MB")
    assert shapes == "272 120 49 8 120 65"
    assert float(peak_mb) < LIMIT_MB
    # control: one of the unwanted series would be too much
    (too_much_mb,) = run(path, tmp_path / "cache", "processing/behavior/muscle_len/data")
    assert float(too_much_mb) > LIMIT_MB


def run(path: Path, cache: Path, series: str) -> list[str]:
    config = ROOT / "configs" / "data" / "nlb_area2_bump.yaml"
    command = [sys.executable, "-c", SCRIPT, str(config), str(path), str(cache), series]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, timeout=600).stdout.splitlines()
