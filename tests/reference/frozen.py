"""Make frozen.json: numbers of every command and model, so that moving walls moves no number.

    python -m tests.reference.frozen

Each case is a command line with --json, or a call of a public name; every number in what it answers is kept under
"case | path". `tests/test_frozen.py` computes them again: simulations bit for bit, all else to 1e-12. The numbers are
those of the code before one description held every network; names that changed since were changed here (final_p is
final_v_across; a law's settings d, lr and alpha are dimension, step_size and scale; a derivative is no setting).
"""

from __future__ import annotations

import contextlib
import io
import json
import math
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import xarray as xr

import hermescape as h

TABLE = Path(__file__).with_name("frozen.json")
DRAW = "--d 200 --batch 20 --lr 0.1 --replicas 8 --seed 3 --threads 2 --max-steps 3000"

COMMANDS = (
    "derive relu",
    "derive erf --teacher tanh --noise 0.25",
    "derive he3 --label y**2",
    "derive he2 --model plain",
    "activations",
    "hermite relu --order 6",
    "hermite gelu --order 6 --variance 1/2",
    "hermite tanh --order 5",
    "hermite tanh(x)+max(x-2,0) --order 2",
    "kernel hardtanh --at 1,1",
    "kernel relu --teacher erf --at 0.3,0.8",
    "kernel tanh --at 0.3,0.8",
    "kernel elu --at 0.3,0.8 --digits 20",
    "escape relu --mu 0.1,0.4,0.9",
    "escape relu --mu 0.4 --order 16",
    "escape relu --mu 0.4 --alpha 2",
    "escape erf --mu 0.4 --rho 0.7",
    "escape gelu --mu 0.3 --mix",
    "escape tanh --mu 0.3",
    "escape tanh --mu 0.3 --digits 25",
    "escape he3 --mu 0.2,0.6 --critical --rate-scale paper",
    "escape sin(3*x) --critical",
    "escape gelu --mu 0.3 --label abs(y)",
    "escape max(0,x-1) --mu 0.1",
    "escape exp(100*x) --mu 0.5",
    "escape relu --teacher sqrt(abs(x)) --mu 0.4 --tolerance 1e-6",
    f"simulate relu --mu 0.4 {DRAW}",
    f"simulate linear --mu 0.4 {DRAW}",
    f"simulate erf --mu -0.2 --rho 0.5 --noise 0.1 {DRAW}",
    f"simulate he2 --mu 0.4 --label y**2 --alpha 2 {DRAW}",
    f"simulate relu --model plain {DRAW}",
    f"simulate he2 --model pretrain --c 0.8 {DRAW}",
    "check relu --mu 0.3 --d 200 --replicas 40 --seed 1",
    "check linear --law --mu 0.4 --d 1000,10000 --budget 2e6 --seed 1",
    "law relu --mu 0.4 --d 1e6",
    "law relu --mu 0.4 --d 1e6 --kappa 1",
    "law erf --mu 0.4 --rho 0.7 --d 1e5 --kappa 0.5",
    "law he3 --mu 0.3207243473230675 --d 300 --kappa 0.03",
    "law he3 --teacher x**3 --mu 0.48248236420584745 --d 1e4",
    "law linear --mu 0.3 --d 1e12 --alpha 3",
    "law relu --model plain --d 300 --kappa 0.1",
    "law he2 --model plain --d 1e5",
    "law he3 --model plain --d 1000",
    "law gelu --mu 0.3 --d 1e4 --noise 0.5 --kappa 0.2",
    "phases relu --mu 0.2:0.8:3 --d 1e3,1e6 --kappa 0.1",
    "phases he3 --mu 0.1:0.7:3 --d 1e3,1e5",
    "phases erf --mu 0.2:0.4:2 --rho 0.5,0.8 --d 1e4",
    "cite relu",
)
SWEEPS = {
    "sweep of flows": """
kind = "flow"
[fixed]
student = "relu"
dimension = 1000
[grid]
mu = [0.2, 0.5]
scale = [1.0, 2.0]
""",
    "sweep of simulations": """
kind = "montecarlo"
[fixed]
student = "erf"
dimension = 100
batch = 10
step_size = 0.1
replicas = 6
seed = 2
[grid]
mu = [0.3, 0.6]
""",
}
SIMULATED = {"simulate", "sweep of simulations", "trajectories", "simulate_stages", "sde_paths"}
SKIPPED = {"seconds", "time", "version", "threads", "workers"}  # of the machine
SHARED: dict[str, Any] = {"dimension": 100, "batch": 10, "step_size": 0.1, "replicas": 4, "seed": 5}


def calls() -> Iterator[tuple[str, Callable[[], Any]]]:
    """Yield a name and a call for what no command reaches."""
    relu, erf = h.derive("relu"), h.derive("erf", model="misaligned")
    start = {"u": 1e-6, "m": 0.02}
    yield "flow", lambda: vars_of(h.integrate(relu, start, event=h.Exit(0.5), t_max=1e3, mu=0.4))
    yield (
        "flow, SciPy",
        lambda: vars_of(h.integrate(relu, start, event=h.Exit(0.5), t_max=1e3, engine=h.SciPy(), mu=0.4)),
    )
    noisy = h.derive("he2", model="plain").sgd()
    yield "flow, plain", lambda: vars_of(h.integrate(noisy, {"m": 0.1}, event=h.Exit(0.6), t_max=1e3, kappa=0.2))
    yield (
        "flow, misaligned",
        lambda: vars_of(
            h.integrate(erf, {"u": 1e-6, "m": 0.02, "s": 0.01}, event=h.Exit(0.4), t_max=1e3, mu=0.2, rho=0.7)
        ),
    )
    pretraining = h.derive("tanh", model="pretrain")
    yield (
        "flow, pretrain",
        lambda: vars_of(h.integrate(pretraining, {"q_s": 0.05, "q": 0.04, "r": 0.5}, t_max=5.0, times=[1, 5], c=0.8)),
    )
    yield "exit_times", lambda: h.exit_times(relu, start, event=h.Exit(0.5), t_max=1e4, mu=np.linspace(0.1, 0.9, 4))
    composition = h.Composition(
        h.derive("relu", model="pretrain"),
        erf,
        start={"q_s": 0.01, "q": 0.008, "r": 0.25},
        dimension=1e4,
        threshold=0.4,
        parameters={"c": 0.8},
    )
    yield "total_time", lambda: h.total_time(composition, [0.3, 0.6, 1.0])
    yield "best_stopping", lambda: list(h.best_stopping(composition, [0.2, 0.5, 1.0, 1.6]))
    yield "best_mu", lambda: float(h.best_mu(h.derive("he3"), "1/2", 1).mu)
    yield "kernel_series", lambda: vars(h.kernel_series("relu", "erf", 0.3, 0.8, order=12))
    yield "escape_law", lambda: law_of(h.escape_law(relu, mu=0.4, dimension=1e4, kappa=1.0, step_size=0.1))
    stages = [h.derive("he2", label="y**2"), h.derive("he2")]
    yield "staged_law", lambda: law_of(h.staged_law(stages, [0.2, 0.5], mu=0.3, dimension=1e4))
    sample = h.experiment("erf", mu=0.3, rho=0.6, **SHARED)
    yield "trajectories", lambda: h.trajectories(sample, [10, 100])
    shared = {"mu": 0.3, "max_steps": 50, **SHARED}
    pair = [h.experiment("erf", label="y**2", **(shared | {"threshold": None})), h.experiment("erf", **shared)]
    yield "simulate_stages", lambda: [sample.to_dataset() for sample in h.simulate_stages(pair)]
    yield (
        "sde_paths",
        lambda: h.sde_paths(relu, start, [1.0, 5.0], dimension=1e3, kappa=0.5, dt=0.01, replicas=3, seed=1, mu=0.4),
    )


def vars_of(trajectory: Any) -> dict[str, Any]:
    """Return what an integration found."""
    return {"exit": trajectory.exit_time, "end": trajectory.states.t.values[-1], "states": trajectory.states}


def law_of(law: Any) -> dict[str, float]:
    """Return a law's own numbers."""
    return {"median": law.median, "0.95": law.quantile(0.95), "cdf": law.cdf(1.2 * law.median)}


def command(*arguments: str) -> Any:
    """Return what a command prints with --json."""
    (entry,) = entry_points(group="console_scripts", name="hermescape")
    out = io.StringIO()
    with mock.patch.object(sys, "argv", ["hermescape", *arguments, "--json"]), contextlib.redirect_stdout(out):
        try:
            entry.load()()
        except SystemExit as stop:
            if stop.code == 2:
                raise
    return json.loads(out.getvalue())


def sweep(text: str) -> Any:
    """Return the arrays of a sweep."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "grid.toml"
        config.write_text(text, encoding="utf-8")
        return h.sweep(config, Path(folder) / "grid.sqlite", workers=1)


def cases() -> dict[str, Callable[[], Any]]:
    """Return every case by name."""
    found: dict[str, Callable[[], Any]] = {line: lambda line=line: command(*_asked(line)) for line in COMMANDS}
    found |= {name: lambda text=text: sweep(text) for name, text in SWEEPS.items()}
    return found | dict(calls())


def _asked(line: str) -> list[str]:
    """The words of a command; laws are the closed formulas, which is what there was before."""
    return line.split(" ") + (["--by", "formula"] if line.startswith("law ") else [])


def is_simulated(name: str) -> bool:
    """Whether a case is one of random draws, whose stream must not change."""
    return name.split(" ", maxsplit=1)[0] in SIMULATED or name in SIMULATED


def numbers(content: Any, path: str = "") -> Iterator[tuple[str, float | int]]:
    """Yield (path, number) for every finite number in it; of long arrays the first and last."""
    if isinstance(content, xr.Dataset):
        content = {str(name): content[name].values for name in sorted(map(str, content.data_vars))}
    if isinstance(content, np.ndarray):
        content = content.ravel().tolist()
    if isinstance(content, dict):
        for key, value in content.items():
            if str(key) not in SKIPPED:
                yield from numbers(value, f"{path}.{key}" if path else str(key))
    elif isinstance(content, (list, tuple)):
        some = content if len(content) <= 4 else [*content[:2], *content[-2:]]
        for i, value in enumerate(some):
            yield from numbers(value, f"{path}[{i}]")
    elif isinstance(content, str):
        with contextlib.suppress(ValueError):
            yield from numbers(float(content), path)
    elif isinstance(content, (int, float, np.number)) and not isinstance(content, bool) and math.isfinite(content):
        yield path, content.item() if isinstance(content, np.number) else content


if __name__ == "__main__":
    table = {}
    for name, case in cases().items():
        table[name] = dict(numbers(case()))
        print(f"{len(table[name]):4d} {name}", flush=True)
    TABLE.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    print(sum(map(len, table.values())), "numbers")
