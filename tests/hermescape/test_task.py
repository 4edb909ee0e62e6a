"""The record of a task: validated once, read by every verb, open to models of the user's own."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import MISSING, dataclass, fields, replace
from typing import Any, get_type_hints

import numpy as np
import pytest
import sympy as sp

import hermescape
from hermescape.api import experiment
from hermescape.task import Fields, Task
from numerics.parameters import PARAMETERS
from numerics.simulation.experiment import SGD
from theory.errors import InputError, ParameterError
from theory.language.activations import Activation
from theory.language.labels import Labels
from theory.network.derivation import derive
from theory.network.models import DIRECTION, TEACHER, AlignedLoRA
from theory.network.ridges import Network
from theory.network.vectors import Combination, Gram
from theory.symbols import alpha, m, mu, u, y

gamma = sp.Symbol("gamma", positive=True)
SIZES: Any = {"dimension": 100, "batch": 10, "step_size": 0.1, "replicas": 20, "max_steps": 400}


@dataclass(frozen=True)
class Gain:
    """w = mu w* + gamma u v, gamma a parameter that no built-in model has."""

    name: str = "gain"

    def network(self, student: Activation, labels: Labels) -> Network:
        return Network.single(
            student,
            labels,
            Combination.of({TEACHER: mu, DIRECTION: gamma * u}),
            TEACHER,
            name=self.name,
            gram=Gram({(TEACHER, TEACHER): sp.S.One, (DIRECTION, DIRECTION): sp.S.One, (DIRECTION, TEACHER): m}),
            scalars=(u,),
            overlaps={m: (DIRECTION, TEACHER)},
            parameters=(mu, gamma),
            start={u: sp.S.Zero, m: sp.S.Zero},
            check=_check_gain,
        )


def _check_gain(values: Mapping[str, float]) -> None:
    if not values["gamma"] > 0:
        raise ParameterError(f"gamma = {values['gamma']} given; accepted: a number > 0.")


def test_fields_are_those_of_the_table() -> None:
    own = {field.name: field.default for field in fields(Task)}
    assert set(Fields.__annotations__) == set(own) - {"student", "teacher"}
    hints, keywords = get_type_hints(Task), get_type_hints(Fields)
    assert {name: hints[name] for name in keywords} == keywords
    assert set(own) - set(PARAMETERS) == {"parameters"}
    for name in set(own) & set(PARAMETERS):
        wanted = {"student": MISSING, "mix": False}.get(name, PARAMETERS[name].default)
        assert own[name] == wanted, name


def test_a_task_and_its_fields_are_the_same() -> None:
    task = Task("erf", "relu", mu=0.3, rho=0.5, label="y**2", noise=0.1, scale=2.0, seed=3, **SIZES)
    assert task == Task.of("erf", "relu", mu=0.3, rho=0.5, label=y**2, noise=0.1, scale=2.0, seed=3, **SIZES)
    one, two = hermescape.simulate(task), hermescape.simulate(replace(task, seed=2), seed=3)
    assert np.array_equal(one.exit_steps, two.exit_steps)
    given = experiment(task)
    said, labels = given.parameters(), given.network.labels
    assert (said["mu"], said["rho"], said["scale"], given.noise, labels.transform) == (0.3, 0.5, 2.0, 0.1, y**2)
    assert (given.sgd, given.runs.seed) == (SGD(dimension=100, batch=10, step_size=0.1), 3)
    assert labels.link.expr == sp.Max(hermescape.activation("linear").expr, 0)
    assert Task.of(task, "linear").links[1].name == "linear"


def test_mixed_weights_have_their_length() -> None:
    task = Task("erf", mu=0.3, mix=True)
    assert task.place == {"mu": 0.3, "rho": (0.09 + 0.49) ** 0.5}
    assert experiment(task).parameters()["rho"] == task.length


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"mu": 1.5}, "mu = 1.5 given; accepted"),
        ({"mu": "a"}, "mu = 'a' given"),
        ({"mu": 0.3, "rho": 0.2}, "rho = 0.2 given"),
        ({"mu": 0.3, "rho": 0.5, "mix": True}, "one of them"),
        ({"mu": 0.3, "rho": 0.5, "model": "lora"}, "with model misaligned"),
        ({"mu": 0.3, "model": "plain"}, "mu = 0.3 with model plain given; accepted: no parameters"),
        ({"c": 0.3}, "c = 0.3 with model lora"),
        ({"c": 2.0, "model": "pretrain"}, "c = 2.0 given"),
        ({"scale": 2.0, "model": "plain"}, "scale = 2 with model plain"),
        ({"scale": 0.0}, "scale = 0.0 given"),
        ({"model": "deep"}, "'deep' is unknown"),
        ({"parameters": {"gamma": 1.0}}, "gamma = 1 with model lora"),
        ({"parameters": {"mu": 1.5}}, "mu = 1.5 given"),
        ({"mu": 0.2, "parameters": {"mu": 0.3}}, "one of them"),
        ({"parameters": [1]}, "numbers by name"),
        ({"model": Gain(), "parameters": {"gamma": "a"}}, "gamma = 'a' given"),
        ({"model": Gain(), "mu": 0.3, "parameters": {"gamma": -1.0}}, "gamma = -1.0 given"),
        ({"model": Gain(), "scale": 2.0}, "scale = 2 with model gain"),
        ({"batch": 0}, "batch = 0 given; accepted: an integer >= 1"),
        ({"dimension": 2}, "dimension = 2"),
        ({"step_size": 0.0}, "step_size = 0.0"),
        ({"threshold": 1.0}, "threshold = 1.0"),
        ({"replicas": 1}, "replicas = 1"),
        ({"seed": -1}, "seed = -1"),
        ({"noise": -0.1}, "noise = -0.1"),
        ({"label": 3}, "label = 3 given"),
    ],
)
def test_bad_values_are_refused_when_the_record_is_made(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        Task("relu", **given)


def test_what_only_a_simulation_needs_is_asked_for_there() -> None:
    assert Task("relu").system() == derive("relu")
    assert Task("relu", model="misaligned").system() == derive("relu", model="misaligned")
    for task, name in ((Task("relu"), "mu"), (Task("relu", mu=0.3, model="misaligned"), "rho")):
        with pytest.raises(ParameterError, match=f"no {name} given; accepted: a number with model"):
            experiment(task)
    with pytest.raises(InputError, match="zero almost everywhere"):
        experiment("step", mu=0.3)


def test_a_model_of_ones_own_has_parameters_of_its_own() -> None:
    task = Task("relu", model=Gain(), mu=0.3, parameters={"gamma": 2})
    assert task.place == {"mu": 0.3, "gamma": 2.0}
    assert task.system().states == (u, m)
    assert set(task.system().parameters) == {mu, gamma}
    with pytest.raises(ParameterError, match="no gamma given"):
        _ = Task("relu", model=Gain(), mu=0.3).place
    symbolic = Task("relu", model=AlignedLoRA(scale=alpha), mu=0.3, scale=2.0)
    assert symbolic.place == {"mu": 0.3, "alpha": 2.0}
    assert Task("relu", model=AlignedLoRA(scale=alpha), parameters={"mu": 0.3, "alpha": 2.0}) == symbolic


def test_a_model_of_ones_own_in_a_sweep_of_flows() -> None:
    """Gain gamma is the LoRA scale: exit time and search time are those of lora at scale = gamma."""
    grid = {"gamma": [0.5, 2.0], "mu": [0.2, 0.4]}
    own = {"kind": "flow", "fixed": {"student": "erf", "model": Gain()}, "grid": grid}
    known = {"kind": "flow", "fixed": {"student": "erf"}, "grid": {"scale": grid["gamma"], "mu": grid["mu"]}}
    with ThreadPoolExecutor(1) as pool:
        found, expected = hermescape.sweep(own, executor=pool), hermescape.sweep(known, executor=pool)
        missing = hermescape.sweep(own | {"grid": {"mu": [0.2], "gamma": [1.0, -1.0]}}, executor=pool)
        models = {"kind": "flow", "fixed": {"student": "erf", "gamma": 2.0}, "grid": {"model": [Gain()], "mu": [0.2]}}
        varied = hermescape.sweep(models, executor=pool)
    assert found.status.values.tolist() == [["ok", "ok"], ["ok", "ok"]]
    assert found.exit_time.values == pytest.approx(expected.exit_time.values, rel=1e-9)
    assert found.tau.values == pytest.approx(expected.tau.values, rel=1e-9)
    assert found.gamma.attrs["long_name"] == "parameter gamma of model gain"
    assert missing.status.values.tolist() == [["ok", "failed"]]
    assert "gamma = -1.0 given; accepted: a number > 0" in missing.error.values[0, 1]
    assert varied.model.values.tolist() == ["gain"]
    assert varied.exit_time.item() == found.exit_time.values[1, 0]
    with pytest.raises(ParameterError, match="parameter gamma given; accepted for kind flow"):
        hermescape.sweep(known | {"grid": grid})
