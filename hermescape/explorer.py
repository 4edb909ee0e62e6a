r"""The search phase at a glance: tau(mu), the flow in the plane of (u, m) and one trajectory, with sliders in Jupyter.

For aligned LoRA, w = mu w* + u v, the start (u, m) = 0 is left along the unstable direction (lambda/A, 1) at the rate
lambda = 1/tau. `panels` draws, for one pair of links, one alignment mu and one kappa = eta d / B,

- tau over mu, with the divergences at A = 0,
- the velocities of (u, m) with their nullclines, the unstable manifold of the start, and the trajectory from the
  median start u = d^-2, m = 0.674/sqrt(d),
- the same trajectory over t = eta * step.

(u, m) -> (-u, -m) is a symmetry (it is v -> -v), so that one half of the manifold gives the other.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from numerics.flows.flow import compile_flow, integrate
from numerics.flows.starts import median_start
from numerics.plots import STYLE, phase_portrait, tau_curve, trajectories
from numerics.rates.curvature import require_slope
from numerics.rates.curve import searches
from numerics.rates.search_time import Search, search_time
from theory.errors import InputError, ParameterError
from theory.language.activations import Activation
from theory.network.derivation import derive
from theory.network.system import System
from theory.search.critical import critical_strengths

__all__ = ["explore", "panels"]

LINKS = ("relu", "erf", "linear", "tanh", "gelu", "he2", "he3", "abs", "exp(-x**2/2)*sin(3*x)")
ALIGNMENTS = np.linspace(0.02, 0.98, 97)
GRID = 25
NEAR_START = 1e-4  # of |m|, where the manifold is drawn from
LONGEST = 10.0  # search times after the way from the start, enough to settle
HOW_TO_INSTALL = "Sliders need ipywidgets: pip install 'hermescape[notebook]'. Here is the static figure."


@dataclass(frozen=True)
class _Curve:
    """What does not depend on mu and kappa: the system, tau at `ALIGNMENTS`, and where it diverges."""

    system: System
    tau: np.ndarray
    critical: tuple[float, ...]


@lru_cache(maxsize=16)
def _curve(student: str | Activation, teacher: str | Activation | None) -> _Curve:
    system = derive(student, teacher)
    require_slope(system)
    times = (search.tau for search in searches(system, ALIGNMENTS.tolist()))
    tau = np.array([math.inf if value is None else float(value) for value in times])
    critical = tuple(float(c.mu) for c in critical_strengths(system) if c.diverges and c.mu < 1)
    return _Curve(system, tau, critical)


def panels(
    student: str | Activation = "relu",
    teacher: str | Activation | None = None,
    *,
    mu: float = 0.4,
    kappa: float = 0.0,
    dimension: float = 1000.0,
) -> Figure:
    """Return the figure of one student, teacher link, alignment and kappa: tau(mu), flow field, trajectory.

    Args:
        student: activation sigma, continuous with finite slopes.
        teacher: link phi, the student's own by default.
        mu: alignment of the aligned pre-training, in (0, 1).
        kappa: eta d / B, the size of SGD's drift; 0 is the gradient flow.
        dimension: d, which sets the start u = d^-2, m = 0.674/sqrt(d).

    Raises:
        ParameterError: mu, kappa or dimension outside their domain.
        InputError: a student that jumps, which has no search phase with a rate.

    >>> [ax.get_ylabel() for ax in panels("linear", mu=0.3).axes][1:]
    ['overlap $m$', 'overlap']
    """
    _check(mu, kappa, dimension)
    curve = _curve(student, teacher)
    search = search_time(curve.system, mu, certify=False)
    with rc_context(STYLE):
        figure = Figure(figsize=(13.5, 4.2), layout="constrained")
        FigureCanvasAgg(figure)
        left, middle, right = figure.subplots(1, 3)
        tau_curve(left, ALIGNMENTS, curve.tau, label=rf"$\tau(\mu)$, {_name(curve.system)}", critical=curve.critical)
        left.axvline(mu, color="black", lw=1, label=rf"$\mu$ = {mu:g}, $\tau$ = {_shown(search.tau)}")
        _legend_below(left)
        _flow(middle, right, curve.system, search, kappa, dimension)
    return figure


def _check(mu: float, kappa: float, dimension: float) -> None:
    for name, given, accepted, domain in (
        ("mu", mu, 0 < mu < 1, "a number in (0, 1); try 0.4"),
        ("kappa", kappa, 0 <= kappa < math.inf, "a finite number >= 0; 0 is the gradient flow"),
        ("dimension", dimension, 3 <= dimension < math.inf, "a finite number >= 3; try 1000"),
    ):
        if not accepted:
            raise ParameterError(f"{name} = {given!r} given; accepted: {domain}.")


def _name(system: System) -> str:
    student, teacher = system.loss_function.student, system.loss_function.teacher
    return student.name if student == teacher else f"{student.name} on {teacher.name}"


def _shown(time: Any) -> str:
    return r"$\infty$" if time is None else f"{float(time):.4g}"


def _flow(field: Axes, history: Axes, system: System, search: Search, kappa: float, dimension: float) -> None:
    """Draw the plane of (u, m) and the trajectory from the median start."""
    mu, tau = float(search.mu), 10.0 if search.tau is None else float(search.tau)
    place: Any = {"mu": mu, "kappa": kappa}
    drifting = system.sgd()
    longest = tau * (math.log(1 / NEAR_START) + LONGEST)

    def path(start: dict[str, float], until: float) -> Any:
        return integrate(drifting, start, t_max=until, rtol=1e-8, **place).states

    manifold = None
    if search.tau is not None and search.A:
        way = path({"u": NEAR_START / (float(search.A) * tau), "m": NEAR_START}, longest)
        across, up = (np.concatenate([-way[name].values[::-1], way[name].values]) for name in ("u", "m"))
        manifold = across, up
    run = path(median_start(system, dimension, mu=mu), tau * (math.log(dimension) / 2 + LONGEST))
    reach = 1.15 * max(1 - mu, 0.15, float(np.abs(run.u).max()), 0.0 if manifold is None else np.abs(manifold[0]).max())
    u, m = np.linspace(-reach, reach, GRID), np.linspace(-1, 1, GRID)
    velocity = compile_flow(drifting, place, jit=False, tolerance=1e-6)
    with np.errstate(all="ignore"):
        speeds = np.array([[velocity(np.array([a, b])) for a in u] for b in m])
    paths = [(run.u.values, run.m.values)]
    phase_portrait(field, u, m, speeds[..., 0], speeds[..., 1], manifold=manifold, paths=paths)
    shown = field.get_legend()
    assert shown is not None  # phase_portrait has made it
    _legend_below(field, [artist for artist in shown.legend_handles if artist is not None])
    field.set_title(rf"flow at $\mu$ = {mu:g}, $\kappa$ = {kappa:g}")
    for index, (name, label) in enumerate({"m": "$m$", "u": "$u$"}.items()):
        trajectories(history, run.t.values, run[name].values, label=label, index=index)
    history.set_title(f"from the median start at d = {dimension:g}")
    _legend_below(history)


def _legend_below(ax: Axes, handles: Sequence[Artist] | None = None) -> None:
    """Put the legend where no curve is; `handles` are those of a legend that is there already."""
    place: Any = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.14), "ncols": 2, "fontsize": 9}
    ax.legend(**place) if handles is None else ax.legend(handles=handles, **place)


def _numbers(student: str, teacher: str | None, mu: float) -> str:
    """Return the numbers of the search phase as a line of HTML."""
    curve = _curve(student, teacher)
    search = search_time(curve.system, mu, certify=False)
    values = {"mu": mu, "A": search.A, "B": search.B, "rate": search.rate, "tau": search.tau}
    shown = {name: "infinite" if value is None else f"{float(value):.6g}" for name, value in values.items()}
    line = ", ".join(f"{name} = {number}" for name, number in shown.items())
    places = ", ".join(f"{place:.6g}" for place in curve.critical)
    return f"{line} (t = eta * step)" + (f"; tau diverges at mu = {places}" if places else "")


def explore(
    student: str = "relu",
    teacher: str | None = None,
    *,
    mu: float = 0.4,
    kappa: float = 0.0,
    dimension: float = 1000.0,
) -> Any:
    """Return `panels` with sliders for student, mu, kappa and d, a widget for Jupyter; without ipywidgets, the figure.

    The arguments are those of `panels`, as the sliders begin. Below the sliders stand the numbers of the search phase.
    A student that is refused leaves the figure as it is, and why stands there. Needs the extra `hermescape[notebook]`.

    Raises `ParameterError` and `InputError` as `panels`.
    """
    first = panels(student, teacher, mu=mu, kappa=kappa, dimension=dimension)
    try:
        import ipywidgets
    except ImportError:
        print(HOW_TO_INSTALL)
        return first

    wide: Any = {"description_width": "90px"}
    choice = ipywidgets.Combobox(
        value=student, options=LINKS, ensure_option=False, continuous_update=False, description="student", style=wide
    )
    sliders = {
        "mu": ipywidgets.FloatSlider(mu, min=0.01, max=0.99, step=0.01, description="mu", style=wide),
        "kappa": ipywidgets.FloatSlider(kappa, min=0, max=max(4.0, kappa), step=0.05, description="kappa", style=wide),
        "dimension": ipywidgets.FloatLogSlider(dimension, min=1, max=9, step=0.5, description="d", style=wide),
    }
    image = ipywidgets.Image(value=_png(first), format="png", layout={"max_width": "100%"})
    message = ipywidgets.HTML(_numbers(student, teacher, mu))

    def redraw(_: Any) -> None:
        values: dict[str, float] = {name: slider.value for name, slider in sliders.items()}
        try:
            figure = panels(choice.value, teacher, **values)
            image.value, message.value = _png(figure), _numbers(choice.value, teacher, values["mu"])
        except InputError as error:
            message.value = f"<b>{_escaped(error)}</b>"

    for control in (choice, *sliders.values()):
        control.continuous_update = False
        control.observe(redraw, "value")
    return ipywidgets.VBox([ipywidgets.HBox([choice, *sliders.values()]), message, image])


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=90)
    return buffer.getvalue()


def _escaped(error: InputError) -> str:
    return escape(str(error))
