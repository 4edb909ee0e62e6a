"""Every public name of `hermescape` and its home, once: `hermescape/__init__.py` reads this file.

Public is, as in every stub, what is imported `as` itself, and what is assigned.
"""

from hermescape.api import experiment as experiment
from hermescape.api import simulate as simulate
from hermescape.explorer import explore as explore
from hermescape.foresight import predicted_work as predicted_work
from hermescape.task import Task as Task
from hermescape.verify.check import check as check
from hermescape.verify.check import check_law as check_law
from hermescape.verify.report import Report as Report
from numerics.best.alignment import BestAlignment as BestAlignment
from numerics.best.alignment import best_mu as best_mu
from numerics.best.bifurcations import Bifurcations as Bifurcations
from numerics.best.bifurcations import bifurcations as bifurcations
from numerics.best.parameter import BestParameter as BestParameter
from numerics.best.parameter import best_parameter as best_parameter
from numerics.best.phases import phase_diagram as phase_diagram
from numerics.best.stopping import BestPretraining as BestPretraining
from numerics.best.stopping import Composition as Composition
from numerics.best.stopping import best_pretraining as best_pretraining
from numerics.best.stopping import best_stopping as best_stopping
from numerics.best.stopping import total_time as total_time
from numerics.flows.flow import Exit as Exit
from numerics.flows.flow import Heyoka as Heyoka
from numerics.flows.flow import Native as Native
from numerics.flows.flow import Outcome as Outcome
from numerics.flows.flow import SciPy as SciPy
from numerics.flows.flow import Trajectory as Trajectory
from numerics.flows.flow import compile_flow
from numerics.flows.flow import exit_times as exit_times
from numerics.flows.flow import integrate as integrate
from numerics.flows.sde import paths
from numerics.flows.stages import Stage as Stage
from numerics.flows.stages import integrate_stages as integrate_stages
from numerics.integrals.evaluate import value as value
from numerics.integrals.quadrature import Estimate as Estimate
from numerics.integrals.series import kernel_series as kernel_series
from numerics.law import Law as Law
from numerics.law import escape_law as escape_law
from numerics.law import staged_law as staged_law
from numerics.rates.certificate import Certificate as Certificate
from numerics.rates.certificate import certify as certify
from numerics.rates.curve import search_times as search_times
from numerics.rates.search_time import search_time as search_time
from numerics.simulation.montecarlo import log_spaced as log_spaced
from numerics.simulation.montecarlo import simulate_stages as simulate_stages
from numerics.simulation.montecarlo import trajectories as trajectories
from numerics.simulation.progress import Progress as Progress
from numerics.simulation.statistics import ExitSample as ExitSample
from numerics.simulation.statistics import Stages as Stages
from numerics.simulation.workload import Workload as Workload
from numerics.sweep import SweepConfig as SweepConfig
from numerics.sweep import read_sweep as read_sweep
from numerics.sweep import sweep as sweep
from numerics.sweep import sweep_status as sweep_status
from theory.errors import HermescapeError as HermescapeError
from theory.errors import InputError as InputError
from theory.errors import ParameterError as ParameterError
from theory.errors import StoreError as StoreError
from theory.errors import WorkerError as WorkerError
from theory.language.activations import Activation as Activation
from theory.language.activations import activation as activation
from theory.language.activations import register as register
from theory.language.hermite import coefficients as coefficients
from theory.language.hermite import information_exponent as information_exponent
from theory.language.labels import generative_exponent as generative_exponent
from theory.language.labels import labels as labels
from theory.language.smoothing import smoothing as smoothing
from theory.network.derivation import derive as derive
from theory.network.linearisation import Escape as Escape
from theory.network.loss import Loss as Loss
from theory.network.sums import hermite_sums as hermite_sums
from theory.network.system import System as System
from theory.search.critical import CriticalStrength as CriticalStrength
from theory.search.critical import critical_strengths as critical_strengths
from theory.search.law import EscapeTime as EscapeTime
from theory.search.law import escape_time as escape_time
from theory.search.regimes import regime as regime
from theory.search.special import Special as Special
from theory.search.special import special_places as special_places
from theory.writing.document import document as document
from theory.writing.sources import bibliography as bibliography
from theory.writing.sources import sources as sources

__version__: str
compile = compile_flow
sde_paths = paths
