"""The one table of parameters: what it accepts, what it says, and that whoever reads it has the same names."""

import math
import re

import numpy as np
import pytest

from numerics.parameters import KINDS, MODEL_NAMES, PARAMETERS, Domain, defaults_of, model_name, parameters_of, unknown
from numerics.sweep import SweepConfig
from numerics.sweep.cells import cell_seed
from theory.errors import ParameterError
from theory.network.models import MODELS

NUMBERS = [one for one in PARAMETERS.values() if one.type in ("number", "integer")]


def test_models_are_those_of_theory() -> None:
    assert tuple(MODELS) == MODEL_NAMES


@pytest.mark.parametrize("name", PARAMETERS)
def test_defaults_are_accepted_and_other_types_are_not(name: str) -> None:
    one = PARAMETERS[name]
    if one.default is not None:
        assert one.check(one.default) == one.default
    assert one.meaning
    assert one.name == name
    for given in (None, [], {}, object()):
        with pytest.raises(ParameterError, match=f"^{name} = .* given; accepted: "):
            one.read(given)


@pytest.mark.parametrize("one", NUMBERS, ids=lambda one: one.name)
def test_ends_of_domains(one) -> None:
    for given in (math.nan, math.inf, -math.inf, True, "1"):
        with pytest.raises(ParameterError, match=one.name):
            one.check(given)
    domain = one.domain
    for end, beyond in ((domain.low, -1), (domain.high, 1)):
        if math.isfinite(end):
            assert (int(end) in domain) is domain.ends
            with pytest.raises(ParameterError, match=re.escape(domain.words)):
                one.check(end + beyond)
    if domain.without is not None:
        with pytest.raises(ParameterError, match="other than"):
            one.check(domain.without)


def test_numbers_of_other_libraries_become_plain() -> None:
    assert type(PARAMETERS["mu"].check(np.float64(0.3))) is float
    assert type(PARAMETERS["batch"].check(np.int64(3))) is int
    assert PARAMETERS["dimension"].check(1e6) == 10**6
    with pytest.raises(ParameterError, match=r"an integer >= 3"):
        PARAMETERS["dimension"].check(1e6 + 0.5)
    assert Domain(0.0, 1.0).words == "in [0, 1]"


def test_each_name_has_one_spelling() -> None:
    options = [one.option for one in PARAMETERS.values()]
    assert len(set(options)) == len(options)
    assert (PARAMETERS["step_size"].option, PARAMETERS["dimension"].option) == ("--lr", "--d")
    assert PARAMETERS["scale"].option == "--alpha"
    for wrong, right in {"lr": "step_size", "d": "dimension", "alpha": "scale", "max-steps": "max_steps"}.items():
        assert f"accepted: {right} (--{wrong} is its name on the command line)" in str(unknown(wrong, PARAMETERS))
    assert "accepted: student." in str(unknown("activation", PARAMETERS))
    assert "accepted: mu, rho." in str(unknown("nu", ["mu", "rho"]))
    assert "accepted: mu." in str(unknown("lr", ["mu"]))  # not a name that is not accepted


def test_a_sweep_names_the_right_spelling() -> None:
    with pytest.raises(ParameterError, match=r"lr given; accepted for kind flow: step_size \(--lr is"):
        SweepConfig("flow", {"lr": 0.1}, {"mu": [0.2]})


def test_defaults_of_sweeps() -> None:
    assert set(parameters_of("flow")) - set(parameters_of("montecarlo")) == {"m0", "s0", "t_max", "rtol"}
    assert defaults_of("montecarlo", set())["kappa"] == 1.0
    for kind in KINDS:
        assert "batch" not in defaults_of(kind, set())
    assert not {"kappa", "step_size", "batch"} & set(defaults_of("flow", set()))


def test_seeds_of_cells_are_what_they_were_under_older_names() -> None:
    """The number is what the code before the names changed gave to this cell."""
    cell = {"student": "linear", "scale": 1.0, "dimension": 100, "step_size": 0.2, "max_steps": 2000, "noise": 0.0}
    cell |= {"replicas": 20, "seed": 0, "threshold": 0.5, "kappa": 0.5, "mu": 0.2}
    assert cell_seed(cell) == 8862417612911416289


def test_a_length_means_misaligned() -> None:
    assert model_name("misaligned", lengthy=True, mixed=False) == "misaligned"
    for given, message in (
        ({"model": "lora", "lengthy": True, "mixed": False}, "with model misaligned"),
        ({"model": "misaligned", "lengthy": False, "mixed": False}, "rho or mix not given"),
        ({"model": None, "lengthy": True, "mixed": True}, "one of them"),
        ({"model": "deep", "lengthy": False, "mixed": False}, "accepted: lora, misaligned, plain, pretrain"),
    ):
        with pytest.raises(ParameterError, match=message):
            model_name(**given)
