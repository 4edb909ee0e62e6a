"""Make slopes.csv: the test of the escape-time law in every regime, by exact simulation.

    python tests/reference/slopes.py [CASE ...]

Every case is what `hermescape check ACT --law` runs, with the seed in the table; cases that slopes.csv already holds
are kept. All of them draw some 2e11 samples: about half an hour on two cores.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Any

from hermescape import check_law
from hermescape.output import progress_bar
from hermescape.verify.report import Case

TABLE = Path(__file__).with_name("slopes.csv")
BUDGET = 6e9
FAR = (10**4, 10**5)
ALONE = 0.48248236420584745  # root of 5 mu^5 - 4 mu^3 - 5 mu^2 + mu + 1, A = 0 < B for He_3 on x^3
CRITICAL = 0.3207243473230675  # root of 5 mu^3 + 5 mu^2 + mu - 1, A = 0 > B for He_3
SINE = 0.3329647205324833  # A = 0 > B for sin(3 x)
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "linear": ("linear", {"mu": [0.3], "dimensions": FAR}),
    "linear to 1e12": ("linear", {"mu": [0.4], "dimensions": (10**4, 10**8, 10**12)}),
    "ReLU": ("relu", {"mu": [0.3], "dimensions": FAR}),
    "ReLU, stronger": ("relu", {"mu": [0.5], "dimensions": FAR}),
    "erf": ("erf", {"mu": [0.3], "dimensions": FAR}),
    "tanh": ("tanh", {"mu": [0.3], "dimensions": FAR}),
    "He_2": ("he2", {"mu": [0.3], "dimensions": FAR}),
    "He_3 below its critical strength": ("he3", {"mu": [0.2], "dimensions": (10**4, 30_000), "budget": 1.2e10}),
    "He_3 above it": ("he3", {"mu": [0.6], "dimensions": FAR}),
    "He_3 near it, below": ("he3", {"mu": [0.29], "dimensions": (1_000, 3_000), "budget": 1.2e10}),
    "He_3 near it, above": ("he3", {"mu": [0.35], "dimensions": (1_000, 3_000), "kappa": 0.1}),
    "He_3 at it": ("he3", {"mu": [CRITICAL], "dimensions": (200, 400), "kappa": 0.03, "budget": 1.6e10}),
    "sin(3 x) at its critical strength": ("sin(3*x)", {"mu": [SINE], "dimensions": (500, 1000), "threshold": 0.3}),
    "sin(3 x) near it": ("sin(3*x)", {"mu": [0.31, 0.34], "dimensions": (1000, 2000), "threshold": 0.3}),
    "u alone": ("he3", {"teacher": "x**3", "mu": [ALONE], "dimensions": (10**4, 30_000)}),
    "misaligned linear": ("linear", {"mu": [0.3], "rho": 0.5, "threshold": 0.4, "dimensions": FAR}),
    "misaligned erf": ("erf", {"mu": [0.3], "rho": 0.5, "threshold": 0.4, "dimensions": FAR}),
    "plain linear": ("linear", {"model": "plain", "dimensions": FAR}),
    "plain He_2": ("he2", {"model": "plain", "dimensions": FAR}),
    "plain He_3": ("he3", {"model": "plain", "dimensions": (400, 800), "budget": 8e9}),
    "He_2, squared labels": ("he2", {"mu": [0.3], "label": "y**2", "dimensions": FAR}),
}
COLUMNS = (
    *("case", "student", "teacher", "model", "mu", "rho", "regime", "threshold", "d", "kappa", "lr", "runs", "exited"),
    *("censored", "diverged", "median", "law_median", "p", "p_without_noise", "control_factor", "p_control"),
    *("slope_of", "slope", "slope_low", "slope_high", "slope_law", "verdict", "reason", "seed"),
)


def rows(name: str, case: Case, settings: dict[str, object]) -> list[dict[str, object]]:
    """One row a dimension."""
    shared = {
        "case": name,
        **{key: settings[key] for key in ("student", "teacher", "model", "threshold", "seed")},
        **{key: getattr(case, key) for key in ("mu", "rho", "regime", "lr", "slope_of", "slope", "slope_law")},
        **{key: getattr(case, key) for key in ("control_factor", "verdict", "reason")},
        "slope_low": case.slope_interval[0],
        "slope_high": case.slope_interval[1],
    }
    own = ("d", "kappa", "runs", "exited", "censored", "diverged", "p_without_noise")
    named = {"median": "sgd_exit", "law_median": "prediction", "p": "p_value", "p_control": "p_slower"}
    return [
        {**shared, **{key: getattr(row, key) for key in own}, **{key: getattr(row, own) for key, own in named.items()}}
        for row in case.rows
    ]


def main(names: list[str]) -> None:
    """Run the cases that are missing, or those that are named."""
    unknown = [name for name in names if name not in CASES]
    if unknown:
        sys.exit(f"{unknown[0]!r} given; accepted: {', '.join(CASES)}")
    kept = list(csv.DictReader(TABLE.open())) if TABLE.exists() else []
    done = {row["case"] for row in kept}
    for name, (student, options) in CASES.items():
        if name in names or (not names and name not in done):
            with progress_bar(name, None) as advance:
                report = check_law(student, progress=advance, **{"budget": BUDGET, **options})
            kept = [row for row in kept if row["case"] != name]
            kept += [row for case in report.cases for row in rows(name, case, report.settings)]
            print(name, *(f"{case.verdict} {case.reason}" for case in report.cases), sep=": ", flush=True)
            with TABLE.open("w", newline="") as file:
                writer = csv.DictWriter(file, COLUMNS)
                writer.writeheader()
                writer.writerows(sorted(kept, key=lambda row: list(CASES).index(row["case"])))


if __name__ == "__main__":
    main(sys.argv[1:])
