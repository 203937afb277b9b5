"""C code that is compiled at first use, with the machine's own compiler.

With OpenMP, where the compiler has it: GCC's is then the library that torch has loaded, so that a loop runs in torch's own
threads (others would wait for a core on which those still spin). Without it a loop runs in one.

The environment variable `NEURALSDE_KERNELS` is 0 to do without, 1 to insist; unset, kernels are used where there is a compiler.
"""

import ctypes
import functools
import hashlib
import os
import secrets
import shutil
import subprocess
import tempfile
import warnings
from contextlib import suppress
from pathlib import Path

import torch
from torch import Tensor
from torch._C import _functorch  # pyright: ignore[reportAttributeAccessIssue]
from torch.autograd import forward_ad

from neuralsde.errors import ConfigError

SETTING = "NEURALSDE_KERNELS"
FLAGS = "-std=gnu11", "-O3", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math", "-shared", "-fPIC"
CHOICES = [(target, *openmp) for openmp in (["-fopenmp"], []) for target in ("-march=native", "-mcpu=native")]
TIMEOUT_S = 120


class BuildError(Exception):
    """Why there is no kernel."""


def runs_plainly(*tensors: Tensor) -> bool:
    """Whether compiled code may read and write the memory of the tensors: single precision on CPUs, and nothing that torch
    traces, transforms or differentiates forwards."""
    watched = torch.compiler.is_compiling() or torch._C._get_tracing_state() is not None or forward_ad._current_level >= 0
    if watched or _functorch.peek_interpreter_stack() is not None or torch._C._len_torch_dispatch_stack():
        return False
    if any(_functorch.is_legacy_batchedtensor(x) or _functorch.is_functorch_wrapped_tensor(x) for x in tensors):
        return False
    return all(x.dtype == torch.float32 and x.device.type == "cpu" for x in tensors)


def library(source: Path) -> ctypes.CDLL | None:
    """What the C file `source` compiles to; None where it is not to be used, or cannot be compiled (which is said once).

    Raises:
        ConfigError: `NEURALSDE_KERNELS` is neither 0 nor 1, or it is 1 and there is no kernel.
    """
    wanted = os.environ.get(SETTING, "")
    if wanted not in ("", "0", "1"):
        raise ConfigError(f"The environment variable {SETTING} is {wanted!r}; set it to 0 or 1, or not at all.")
    if wanted == "0":
        return None
    found = _loaded(source)
    if isinstance(found, str) and wanted == "1":
        raise ConfigError(f"{SETTING} is 1, but {found}; install a C compiler, name it in CC, or unset {SETTING}.")
    return None if isinstance(found, str) else found


@functools.cache
def _loaded(source: Path) -> ctypes.CDLL | str:
    """The library, or why there is none."""
    compiler = next(filter(None, map(shutil.which, filter(None, (os.environ.get("CC"), "cc", "gcc", "clang")))), None)
    if compiler is None:
        return "there is no C compiler (cc, gcc, clang)"
    try:
        return ctypes.CDLL(str(compiled(compiler, source)))
    except (BuildError, OSError, subprocess.TimeoutExpired) as error:
        reason = f"{source.name} could not be compiled by {compiler} ({error})"
        warnings.warn(f"{reason}; torch's slower loop is used. {SETTING}=0 silences this.", stacklevel=2)
        return reason


def compiled(compiler: str, source: Path) -> Path:
    """The library's file, from the cache if the same compiler has made it for the same processor from the same source.

    Raises:
        BuildError: the compiler refuses the source, or takes too long.
    """
    reason = ""
    for chosen in CHOICES:  # the first that the compiler knows
        flags = *FLAGS, *chosen
        # The predefined macros name the compiler's version and all that it may use of this processor.
        probe = _run([compiler, *flags, "-dM", "-E", "-x", "c", os.devnull])
        if not probe.returncode:
            made_of = "\0".join([source.read_text(), *flags, probe.stdout])
            path = _place(f"{source.stem}-{hashlib.sha256(made_of.encode()).hexdigest()[:16]}.so")
            if path.is_file():
                return path
            # Several processes may be here at once.
            temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}")
            try:
                probe = _run([compiler, *flags, "-o", str(temporary), str(source)])
                if not probe.returncode:
                    return temporary.replace(path)
            finally:
                temporary.unlink(missing_ok=True)
        reason = reason or _last_line(probe.stderr)
    raise BuildError(reason)


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S)


def _place(name: str) -> Path:
    """Where the file of that name is, or can be written."""
    path = cache_folder() / name
    return path if path.is_file() or os.access(path.parent, os.W_OK) else Path(tempfile.mkdtemp(prefix="neuralsde-")) / name


def cache_folder() -> Path:
    """Where compiled files are kept: the user's cache folder, or a temporary one where there is no user."""
    try:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "neuralsde" / "kernels"
    except RuntimeError:  # no home
        return Path(tempfile.mkdtemp(prefix="neuralsde-"))
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def _last_line(output: str) -> str:
    """The compiler's first line that names an error."""
    lines = output.strip().splitlines() or ["it says nothing"]
    return next((line for line in lines if "error" in line), lines[-1]).strip()
