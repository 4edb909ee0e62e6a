"""Make laws.csv: exact simulation against the closed formula, the diffusion and the chain, at one dimension each.

    python tests/reference/laws.py [CASE ...]

The first cases are those in which the formula fails, or might: u leaves first, small d, large steps, kinks, label noise
and transforms, a threshold near the place where SGD stops. The others are cases of `slopes.csv` at their smallest d.
The same runs have to reject the diffusion at d divided by `control_factor`, and where `p_j_alone` stands the diffusion
whose covariance is that of J alone. Cases that laws.csv already holds are kept. Some ten minutes on two cores.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from numerics.law import SampledLaw, compared_laws
from numerics.law.ensemble import Motion
from numerics.law.moments import Moments, moments_of
from numerics.law.paths import diffusion_source
from numerics.simulation.comparison import ks_law
from numerics.simulation.experiment import Experiment
from numerics.simulation.montecarlo import simulate
from numerics.simulation.statistics import ExitSample
from theory.errors import HermescapeError
from theory.network.derivation import derive
from theory.network.system import System
from theory.symbols import N_4, J, L_q, L_r, M_ll, M_ls, M_ss, N_l, N_s, q

TABLE = Path(__file__).with_name("laws.csv")
SLOPES = Path(__file__).with_name("slopes.csv")
LORA, SINE = "lora", 0.3329647205324833
AGREED = 600  # runs of a case of slopes.csv
SECONDS = 1.05  # a randomisation of a law: half as many again as by default


@dataclass(frozen=True)
class Setting:
    """A case, how many runs of it, and the factor of d that they tell apart (1: none is asked for)."""

    student: str
    place: dict[str, float]
    dimension: int
    batch: int
    step_size: float
    runs: int
    factor: float = 1.3
    threshold: float = 0.5
    seed: int = 5
    options: dict[str, Any] = field(default_factory=dict)
    j_alone: bool = False

    @property
    def model(self) -> str:
        """Which model: misaligned where |w0| is given."""
        return self.options.get("model", "misaligned" if "rho" in self.place else LORA)

    @property
    def kappa(self) -> float:
        """kappa = eta d / B."""
        return self.step_size * self.dimension / self.batch

    def system(self) -> System:
        """The derived system."""
        return derive(self.student, **{"model": self.model, **self.options})

    def simulated(self, system: System) -> ExitSample:
        """The runs of exact simulation."""
        shared = {"dimension": self.dimension, "batch": self.batch, "step_size": self.step_size}
        options = {**shared, "threshold": self.threshold, "replicas": self.runs, "seed": self.seed}
        return simulate(Experiment.of(system.network, **options, **self.place))

    def asked(self) -> dict[str, Any]:
        """The arguments of the laws."""
        shared = {"dimension": self.dimension, "threshold": self.threshold, "kappa": self.kappa}
        return {**shared, "step_size": self.step_size, **self.place}


FIRST = {
    "He_4, u first": Setting("he4", {"mu": 0.1}, 1000, 100, 2e-4, 2500, 2.0, j_alone=True),
    "He_2, u first": Setting("he2", {"mu": 0.005}, 1000, 33, 0.01, 8000),
    "He_2, u nearly first": Setting("he2", {"mu": 0.02}, 1000, 33, 0.01, 8000, j_alone=True),
    "misaligned He_2, d = 100": Setting("he2", {"mu": 0.01, "rho": 0.3}, 100, 10, 0.01, 4000, threshold=0.4),
    "misaligned He_2": Setting("he2", {"mu": 0.05, "rho": 0.5}, 1000, 33, 0.01, 8000, threshold=0.4),
    "ReLU, d = 1000": Setting("relu", {"mu": 0.3}, 1000, 25, 0.1, 8000),
    "linear, a large step": Setting("linear", {"mu": 0.3}, 1000, 100, 0.4, 8000),
    "He_3, d = 1000": Setting("he3", {"mu": 0.6}, 1000, 25, 0.001, 4000),
    "ReLU, d = 30": Setting("relu", {"mu": 0.3}, 30, 3, 0.1, 1000),
    "ReLU, d = 100": Setting("relu", {"mu": 0.3}, 100, 5, 0.1, 1000),
    "He_2, d = 30": Setting("he2", {"mu": 0.3}, 30, 3, 0.005, 1000, threshold=0.6),
    "He_2, LoRA scale 2": Setting("he2", {"mu": 0.02}, 1000, 66, 0.005, 8000, options={"alpha": 2}),
    "ReLU, label noise 1/4": Setting("relu", {"mu": 0.3}, 300, 30, 0.1, 4000, options={"noise": 0.25}),
    "He_2, squared labels, weak": Setting("he2", {"mu": 0.05}, 300, 60, 5e-4, 4000, options={"label": "y**2"}),
    "plain linear, d = 1000": Setting("linear", {}, 1000, 20, 0.02, 4000, options={"model": "plain"}),
    "sin(3 x) at its critical strength, d = 200": Setting("sin(3*x)", {"mu": SINE}, 200, 2, 0.02, 1000, threshold=0.3),
    "ReLU, where SGD stops": Setting("relu", {"mu": 0.3}, 1000, 25, 0.1, 1000, 1.0, threshold=0.97),
}
AGAIN = (
    *("linear", "ReLU", "ReLU, stronger", "erf", "tanh", "He_2", "He_3 below its critical strength", "He_3 above it"),
    *("u alone", "misaligned linear", "misaligned erf", "plain linear", "plain He_2", "He_2, squared labels"),
)
COLUMNS = (
    *("case", "student", "teacher", "model", "mu", "rho", "options", "threshold", "d", "batch", "lr", "kappa", "seed"),
    *("runs", "exited", "censored", "diverged", "regime", "law", "distance", "distance_error", "median"),
    *("median_formula", "median_diffusion", "median_chain", "error_diffusion", "error_chain"),
    *("p_formula", "p_flow", "p_diffusion", "p_chain", "control_factor", "p_control", "p_j_alone"),
)


def again() -> Iterator[tuple[str, Setting]]:
    """The cases of slopes.csv, at their smallest d."""
    with SLOPES.open() as file:
        known = {}
        for row in csv.DictReader(file):
            known.setdefault(row["case"], row)
    for name in AGAIN:
        row, options = known[name], {}
        d, lr, place = int(float(row["d"])), float(row["lr"]), {}
        place = {key: float(row[key]) for key in ("mu", "rho") if row[key]}
        if row["model"] == "plain":
            options["model"] = "plain"
        if "squared" in name:
            options["label"] = "y**2"
        elif row["teacher"] != row["student"]:
            options["teacher"] = row["teacher"]
        batch = round(lr * d / float(row["kappa"]))
        threshold = float(row["threshold"])
        yield name, Setting(row["student"], place, d, batch, lr, AGREED, 1.0, threshold, 7, options)


def of_j_alone(law: SampledLaw) -> SampledLaw:
    """The law of a diffusion whose covariance is (kappa/d) J <g_i, g_j>: a control."""
    noisy = law.ensemble.system.sgd()
    known = dict(moments_of(noisy).functions)
    slope, bend, bulk = known[L_q], known[L_r], known[J]
    flat = {M_ss: 0 * bulk, M_ls: 0 * bulk, M_ll: 0 * bulk, N_4: bulk**2}
    flat |= {N_s: (slope + 2 * bend * q) * bulk, N_l: 2 * bend * bulk}
    moments = Moments({**known, **flat}, drift=3)
    motion = Motion("diffusion", moments, False, diffusion_source(noisy, moments, looked_up=False))
    return law.redrawn(replace(law.ensemble, motion=motion, table=None))


def row_of(name: str, setting: Setting) -> dict[str, object]:
    """Simulate a case, and test every law by it."""
    system = setting.system()
    sample, asked = setting.simulated(system), setting.asked()
    both = compared_laws(system, by="auto", seconds=SECONDS, **asked)
    laws = {"formula": both.formula}
    for by in ("diffusion", "chain"):
        try:
            laws[by] = compared_laws(system, by=by, seconds=SECONDS, **asked).law
        except HermescapeError:
            laws[by] = None
    p = {key: None if law is None else ks_law(sample, law.cdf).p_value for key, law in laws.items()}
    diffusion = laws["diffusion"]
    flow = control = alone = None
    if isinstance(diffusion, SampledLaw):
        flow = ks_law(sample, diffusion.without_noise().cdf).p_value
        alone = ks_law(sample, of_j_alone(diffusion).cdf).p_value if setting.j_alone else None
        if setting.factor != 1:
            smaller = {**asked, "dimension": setting.dimension / setting.factor}
            other = compared_laws(system, by="diffusion", seconds=SECONDS, **smaller).law
            control = ks_law(sample, other.cdf).p_value
    apart, counts, median = both.distance, sample.counts, sample.median
    return {
        **{"case": name, "student": setting.student, "teacher": setting.options.get("teacher", setting.student)},
        **{"model": setting.model, "mu": setting.place.get("mu"), "rho": setting.place.get("rho")},
        "options": ", ".join(f"{k} = {v}" for k, v in setting.options.items() if k not in ("model", "teacher")),
        **{"threshold": setting.threshold, "d": setting.dimension, "batch": setting.batch, "lr": setting.step_size},
        **{"kappa": setting.kappa, "seed": setting.seed, "runs": setting.runs, **counts._asdict()},
        **{"regime": both.law.regime, "law": both.name},
        **{"distance": apart and apart.value, "distance_error": apart and apart.error},
        "median": None if median is None else median * setting.step_size,
        **{f"median_{key}": law and law.median for key, law in laws.items()},
        **{f"error_{key}": law.error for key, law in laws.items() if isinstance(law, SampledLaw)},
        **{f"p_{key}": value for key, value in p.items()},
        **{"p_flow": flow, "control_factor": setting.factor, "p_control": control, "p_j_alone": alone},
    }


def main(names: list[str]) -> None:
    """Run the cases that are missing, or those that are named."""
    cases = {**FIRST, **dict(again())}
    unknown = [name for name in names if name not in cases]
    if unknown:
        sys.exit(f"{unknown[0]!r} given; accepted: {', '.join(cases)}")
    kept = list(csv.DictReader(TABLE.open())) if TABLE.exists() else []
    done = {row["case"] for row in kept}
    for name, setting in cases.items():
        if name in names or (not names and name not in done):
            row = row_of(name, setting)
            kept = [*(other for other in kept if other["case"] != name), row]
            shown = {key: f"{value:.3g}" for key, value in row.items() if key[:2] == "p_" and isinstance(value, float)}
            print(name, row["law"], row["median"], *(f"{key} {value}" for key, value in shown.items()), flush=True)
            with TABLE.open("w", newline="") as file:
                writer = csv.DictWriter(file, COLUMNS)
                writer.writeheader()
                writer.writerows(sorted(kept, key=lambda row: list(cases).index(row["case"])))


if __name__ == "__main__":
    main(sys.argv[1:])
