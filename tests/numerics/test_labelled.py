"""Labelled arrays are xarray's, and show what they hold."""

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest
import xarray as xr

from numerics.labelled import Labelled

PLAIN = xr.Dataset(
    {
        "tau": (("act", "mu"), [[3.0, np.inf], [np.nan, 5.0]], {"long_name": "search time", "units": "eta * step"}),
        "runs": (("act", "mu"), [[7, 7], [7, -1]], {"missing": -1}),
        "median": ("mu", np.arange(2.0)),
        "word": (("act", "mu"), [["a", "a"], ["b", ""]]),
    },
    {"act": ["erf", "relu"], "mu": [0.2, 0.4]},
    {"title": "Things: two of them"},
)
ARRAYS = Labelled(PLAIN.data_vars, PLAIN.coords, PLAIN.attrs)


def test_it_is_the_dataset_that_it_was() -> None:
    assert ARRAYS.identical(PLAIN)
    assert repr(ARRAYS).split("\n")[1:] == repr(PLAIN).split("\n")[1:]
    assert str(ARRAYS) == repr(ARRAYS)
    assert ARRAYS.tau.sel(act="erf", mu=0.2).item() == 3.0
    assert ARRAYS["median"].values.tolist() == [0.0, 1.0], "whose name is a method"
    assert pickle.loads(pickle.dumps(ARRAYS)).identical(PLAIN)


@pytest.mark.parametrize(
    "make",
    [
        lambda a: a.sel(act="erf"),
        lambda a: a.isel(mu=slice(1)),
        lambda a: a[["tau"]],
        lambda a: a.assign(more=1),
        lambda a: a.squeeze(),
        copy.copy,
        lambda a: pickle.loads(pickle.dumps(a)),
    ],
)
def test_a_selection_stays_one(make) -> None:
    assert type(make(ARRAYS)) is Labelled
    assert make(ARRAYS).heading == "Things: two of them"


def test_rows_say_what_there_is_and_what_is_missing() -> None:
    rows = {row.name: (row.text, row.meaning) for row in ARRAYS.quantities()}
    assert rows == {
        "act": ("erf, relu", ""),
        "mu": ("0.2, 0.4", ""),
        "tau": ("3, inf, 5 over act, mu; 1 missing", "search time, in eta * step"),
        "runs": ("7 over act, mu; 1 missing", ""),
        '["median"]': ("0, 1 over mu", ""),
        "word": ("2 x a, 1 x b over act, mu", ""),
    }
    assert Labelled({"none": ("x", [np.nan])}).quantities()[0].text == "none over x; 1 missing"


def test_html_has_the_meanings_and_below_them_the_values() -> None:
    import hermescape

    assert hermescape.derive  # whose package paints
    page = ARRAYS._repr_html_()
    table, _, values = page.partition("<details>")
    assert "<strong>Things</strong>" in table
    assert "search time, in eta * step" in table
    assert values.startswith("<summary>values</summary>")
    assert "xr-wrap" in values


def test_alone_it_has_the_html_and_the_plots_of_xarray() -> None:
    code = (
        "import xarray as xr; from numerics.labelled import Labelled; one = Labelled({'a': ('x', [1])})\n"
        "print(type(one.plot) is xr.Dataset.plot, one._repr_html_().startswith('<div><svg'))"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).split() == ["True", "True"]
