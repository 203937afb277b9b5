"""Methods, one a file, and the loops that run them."""

from neuralsde.solvers.adaptive import AdaptiveSolution, integrate_adaptive
from neuralsde.solvers.align import ALIGN
from neuralsde.solvers.base import AbstractEmbeddedSolver, AbstractSolver
from neuralsde.solvers.controller import AbstractController, PIDController, RootController
from neuralsde.solvers.drift_implicit_cir import DriftImplicitCIR
from neuralsde.solvers.euler_maruyama import EulerMaruyama
from neuralsde.solvers.general_shark import GeneralShARK
from neuralsde.solvers.heun import Heun
from neuralsde.solvers.integrate import integrate
from neuralsde.solvers.langevin_splitting import BAOAB, OBABO
from neuralsde.solvers.log_euler import LinearNoiseSplitting, LogEuler
from neuralsde.solvers.milstein import Milstein
from neuralsde.solvers.quicsort import QUICSORT
from neuralsde.solvers.reversible import integrate_reversible
from neuralsde.solvers.reversible_heun import ReversibleHeun
from neuralsde.solvers.sea import SEA
from neuralsde.solvers.shark import ShARK
from neuralsde.solvers.should import ShOULD
from neuralsde.solvers.slow_rk import SlowRK
from neuralsde.solvers.spark import SPaRK
from neuralsde.solvers.sra1 import SRA1
from neuralsde.solvers.strang_cir import StrangCIR

__all__ = [
    "ALIGN",
    "BAOAB",
    "OBABO",
    "QUICSORT",
    "SEA",
    "SRA1",
    "AbstractController",
    "AbstractEmbeddedSolver",
    "AbstractSolver",
    "AdaptiveSolution",
    "DriftImplicitCIR",
    "EulerMaruyama",
    "GeneralShARK",
    "Heun",
    "LinearNoiseSplitting",
    "LogEuler",
    "Milstein",
    "PIDController",
    "ReversibleHeun",
    "RootController",
    "SPaRK",
    "ShARK",
    "ShOULD",
    "SlowRK",
    "StrangCIR",
    "integrate",
    "integrate_adaptive",
    "integrate_reversible",
]
