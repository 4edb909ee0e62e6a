"""The figures of a report: what was found, drawn by `numerics.plots`, as SVG with a text that says what is seen."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes

from hermescape.report.findings import Case, Findings
from hermescape.report.stages import Missing
from hermescape.verify.report import Report
from numerics import plots
from numerics.flows.flow import Native, Outcome, compile_flow, integrate
from numerics.integrals.evaluate import on_covariance
from numerics.integrals.hermite import hermite_coefficients
from numerics.law import escape_law
from numerics.rates.search_time import search_time
from theory.errors import HermescapeError
from theory.language.activations import Activation
from theory.symbols import m as m_symbol
from theory.symbols import u as u_symbol

__all__ = ["FIGURES", "Figure", "drawn", "svg_of"]

WIDTH = 5.4  # inches: text stays readable on a phone
ORDER = 24  # of the Hermite spectrum
GRID = {False: (61, 45), True: (31, 23)}  # of a portrait and of the kernel, quick or not
SLOW_GRID = (25, 19)  # where every point is a quadrature
LARGEST_NORM = 2.0
FLAT = 1e-12  # a kernel that varies less is constant
SMALLEST = 1e-6  # size of m at the start of the unstable manifold
BAND = (0.05, 0.95)
AROUND = 13  # alignments of the law's median, besides those of the runs
COUNTS = {1: "one state", 2: "two states", 3: "three states", 4: "four states"}


@dataclass(frozen=True)
class Figure:
    """A drawing: title, text for those who do not see it, caption (text, or markup), SVG, its size in CSS pixels."""

    key: str
    title: str
    alt: str
    caption: str
    svg: bytes
    size: tuple[int, int] = (540, 410)

    @property
    def uri(self) -> str:
        """The SVG as a data URI, so that the page needs no other file."""
        return "data:image/svg+xml;base64," + base64.b64encode(self.svg).decode("ascii")


def drawn(key: str, findings: Findings) -> Figure | Missing:
    """Return one of `FIGURES`, or why it does not apply."""
    title, make = FIGURES[key]
    try:
        picture = make(findings)
    except HermescapeError as error:
        return Missing(str(error))
    if isinstance(picture, Missing):
        return picture
    draw, alt, caption = picture
    svg, size = svg_of(draw, title)
    return Figure(key, title, alt, caption, svg, size)


Picture = tuple[Callable[[Axes], Axes], str, str] | Missing


def svg_of(draw: Callable[[Axes], Axes], title: str) -> tuple[bytes, tuple[int, int]]:
    """Return the drawing, the same bytes for the same content, and its size on a page, in CSS pixels."""
    sheet = plots.figure_of(draw, "", width=WIDTH)
    wide, high = (round(100 * side) for side in sheet.get_size_inches())
    return plots.for_light_and_dark(sheet.svg(title)), (wide, high)


def _spectrum(findings: Findings) -> Picture:
    loss = findings.system.loss_function
    series = [("student", loss.student)] + (
        [] if loss.teacher.expr == loss.student.expr else [("teacher", loss.teacher)]
    )
    values = [(name, _coefficients(f)) for name, f in series]

    def draw(ax: Axes) -> Axes:
        for index, (name, coefficients) in enumerate(values):
            plots.hermite_spectrum(ax, coefficients, label=name, index=index)
        return ax

    said = "; ".join(f"{name}: {_largest(coefficients)}" for name, coefficients in values)
    alt = f"Hermite spectrum over orders 0 to {ORDER}, logarithmic. Largest terms, {said}."
    return (
        draw,
        alt,
        Markup("|σ<sub>k</sub>|/√k! at variance one: the squares add up to E σ(Z)². Crosses at the lower edge vanish."),
    )


def _coefficients(f: Activation) -> list[float]:
    """Return the coefficients, those that vanish within their errors as 0."""
    coefficients = hermite_coefficients(f, ORDER, certify=False)
    return [0.0 if abs(c.value) <= c.error else float(c.value) for c in coefficients]


def _largest(coefficients: list[float]) -> str:
    sizes = [(abs(c) / math.sqrt(math.factorial(k)), k) for k, c in enumerate(coefficients)]
    return ", ".join(f"order {k} with {size:.3g}" for size, k in sorted(sizes, reverse=True)[:3] if size)


def _kernel(findings: Findings) -> Picture:
    loss = findings.system.loss_function
    across, up = GRID[findings.settings.quick] if loss.is_closed else SLOW_GRID
    norm = min(LARGEST_NORM, 0.9 * float(loss.student.max_variance))
    cosine, norms = np.meshgrid(np.linspace(-1, 1, across), np.linspace(norm / 100, norm, up))
    overlaps = cosine * np.sqrt(norms)
    value = on_covariance((loss.kernel(),))
    gaps = norms * (1 - cosine) * (1 + cosine)
    rows = zip(overlaps.flat, norms.flat, gaps.flat, strict=True)
    heights = np.reshape([value.values(a, b, c)[0] for a, b, c in rows], norms.shape)
    if np.ptp(heights) < FLAT:
        return Missing("K(q, r) is the same everywhere: student and teacher share no Hermite order")
    alt = (
        f"Contours of the kernel K(q, r) for r up to {norm:.3g}: from {heights.min():.3g} to {heights.max():.3g}. "
        "The region with q squared above r is hatched: no pair of Gaussians has such a covariance."
    )
    caption = "K(q, r) = E[σ(ℓ) φ(ℓ*)], between the parabolas q² = r on which student and teacher are parallel."
    return (lambda ax: plots.kernel_surface(ax, overlaps, norms, heights)), alt, caption


def _tau(findings: Findings) -> Picture:
    if isinstance(findings.curve, Missing):
        return findings.curve
    mu = [float(s.mu) for s in findings.curve]
    tau = [math.inf if s.tau is None else float(s.tau) for s in findings.curve]
    low = [float(s.interval[0]) for s in findings.curve]
    high = [math.inf if s.interval[1] is None else float(s.interval[1]) for s in findings.curve]
    critical = [] if isinstance(findings.critical, Missing) else findings.critical["critical"]
    gaps = [c["mu"] for c in critical if c["diverges"] and c["mu"] <= max(mu)]
    rows = [case for case in findings.cases if case.sample is not None and case.mu is not None]
    medians, size = _medians(findings, rows), findings.settings.dimension
    logarithm = r", $\tau\,(\log d\,/\,2 + \ldots)$" if _factors(findings) else ""

    def draw(ax: Axes) -> Axes:
        plots.tau_curve(ax, mu, tau, label=r"search time $\tau$", band=(low, high), critical=gaps)
        if medians:
            name = f"median of the law at $d$ = {plots.size_of(size)}{logarithm}"
            plots.law_medians(ax, list(medians), list(medians.values()), label=name)
        if rows:
            ends = [_interval(case) for case in rows]
            plots.exit_points(
                ax,
                [case.mu or 0.0 for case in rows],
                *zip(*ends, strict=True),
                label="SGD: median, 99 % interval",
                index=1,
            )
        return ax

    finite = [t for t in tau if math.isfinite(t)]
    diverges = f" It diverges at mu = {', '.join(f'{g:.6g}' for g in gaps)}." if gaps else ""
    span = f"from {min(finite):.4g} to {max(finite):.4g}" if finite else "infinite everywhere"
    alt = f"Search time over alignments mu from {min(mu):.3g} to {max(mu):.3g}, {span}.{diverges}"
    shown = {case.mu: case.law.median for case in rows if not isinstance(case.law, Missing)}
    known = "; ".join(f"mu = {place:g}: {median:.4g}" for place, median in shown.items())
    alt += f" {len(rows)} measured medians" + (f", on those of the law ({known})." if known else ".")
    caption = "Search time τ and the median exit time, of the law and of SGD, in t = η × steps."
    return draw, alt, f"{caption} {_separation(findings)}".strip()


def _medians(findings: Findings, rows: Sequence[Case]) -> dict[float, float]:
    """Return the median of the law by alignment, at those of the runs and around them, as far as there is one."""
    known = {case.mu: case for case in rows if case.mu is not None and not isinstance(case.law, Missing)}
    medians = {mu: case.law.median for mu, case in known.items() if not isinstance(case.law, Missing)}
    if (
        not known or not findings.system.is_exact or findings.settings.rho is not None
    ):  # every median is a table of its own
        return dict(sorted(medians.items()))
    kappas = [case.sample.experiment.sgd.kappa for case in known.values() if case.sample is not None]
    step_size = next(case.sample.experiment.sgd.step_size for case in known.values() if case.sample is not None)
    place = {"dimension": findings.settings.dimension, "threshold": findings.settings.threshold, "step_size": step_size}
    for mu in np.linspace(min(known) / 2, (1 + max(known)) / 2, AROUND).tolist():
        try:
            law = escape_law(findings.system, mu=mu, kappa=float(np.interp(mu, list(known), kappas)), **place)
        except HermescapeError:
            continue
        medians.setdefault(mu, law.median)
    return dict(sorted(medians.items()))


def _factors(findings: Findings) -> dict[float, float]:
    """Return the median of the law over tau by alignment, where a small overlap grows as exp(t/tau)."""
    if isinstance(findings.table, Missing):
        return {}
    times = {float(search.mu): search.tau for search in findings.table}
    linear = {
        case.mu: case.law.median
        for case in findings.cases
        if case.mu is not None and not isinstance(case.law, Missing) and case.law.regime == "linear"
    }
    return {mu: median / float(times[mu] or math.inf) for mu, median in linear.items() if times.get(mu)}


def _separation(findings: Findings) -> str:
    """Say what lies between tau and the median; nothing where growth is not exponential."""
    factors = {mu: factor for mu, factor in _factors(findings).items() if math.isfinite(factor)}
    if not factors:
        return ""
    ends = [next(iter(factors.items())), *list(factors.items())[-1:]][: len(factors)]
    said = " to ".join(f"{factor:.2f} τ at μ = {mu:g}" for mu, factor in ends)
    return (
        "A logarithm separates them: an overlap of size 1/√d grows by a factor e in each τ, so that half of the runs "
        f"have left at T½ = τ (½ log d + …), where ½ log d is {math.log(findings.settings.dimension) / 2:.2f}: {said}."
    )


def _interval(case: Case) -> tuple[float, float, float]:
    """Return median and 99 % interval of the exit time, NaN where the runs do not bound them."""
    sample = case.sample
    assert sample is not None
    ends = (sample.median, *sample.median_interval(0.99))
    middle, low, high = (math.nan if t is None else float(sample.to_time(t) or 0.0) for t in ends)
    return middle, low, high


def _comparison(findings: Findings) -> Picture:
    if not isinstance(findings.verdict, Report) or not findings.verdict.at_one_dimension:
        reason = (
            findings.verdict.reason
            if isinstance(findings.verdict, Missing)
            else "Its check tests the whole law instead."
        )
        return Missing(reason)
    rows = [row for row in findings.verdict.rows if row.flow_exit is not None]
    if not rows:
        return Missing("The flow leaves at none of the alignments, so that there is nothing to compare.")
    shown = "; ".join(
        f"mu = {row.mu:g}: flow {_number(row.flow_exit)}, predicted {_number(row.prediction)}, "
        f"SGD {_number(row.sgd_exit)}"
        for row in rows
    )
    caption = (
        "Prediction: the flow with its κ drift, SGD's noise at the start and the finite step size. Nothing is fitted."
    )
    return (lambda ax: plots.exit_times(ax, rows)), f"Exit times, {shown}.", caption


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.4g}"


def _portrait(findings: Findings) -> Picture:
    system, focus = findings.system, findings.focus
    if set(system.states) != {u_symbol, m_symbol}:
        said = f"{COUNTS.get(len(system.states), f'{len(system.states)} states')}, {_listed(system.states)}"
        return Missing(f"Model {system.network.name} has {said}, so that no plane of (u, m) holds its flow.")
    assert focus.mu is not None
    search = search_time(system, focus.mu, certify=False)
    if search.tau is None or not search.A:
        return Missing(f"At mu = {focus.mu:g} no direction is driven (A = 0): there is no unstable manifold to draw.")
    scale = findings.settings.scale
    lean = float(search.rate) / (scale * float(search.A))  # u/m along the unstable direction
    horizon = 60 * float(search.tau)
    given: dict[str, Any] = {"t_max": horizon, "mu": focus.mu, "engine": Native(keeps=True)}
    way = integrate(system, {"u": SMALLEST * lean, "m": SMALLEST}, rtol=1e-8, **given).columns
    along, up = way["u"], way["m"]
    reach = 1.4 * max(float(np.abs(along).max()), 0.1)
    across, rows = GRID[findings.settings.quick] if system.is_exact else SLOW_GRID
    u, m = np.linspace(-reach, reach, across), np.linspace(-0.998, 0.998, rows)
    speed = compile_flow(system, {"mu": focus.mu}, jit=False)
    field = np.array([[speed(np.array([a, b])) for a in u] for b in m])
    manifold = (np.concatenate([-along[::-1], along]), np.concatenate([-up[::-1], up]))
    starts = [(-0.6 * reach, 0.3), (0.6 * reach, -0.3), (0.9 * reach, 0.75), (-0.9 * reach, -0.75)]
    paths = []
    for a, b in starts:
        path = integrate(system, {"u": a, "m": b}, rtol=1e-7, **given)
        if path.outcome is Outcome.HORIZON:
            paths.append((path.columns["u"], path.columns["m"]))
    alt = (
        f"Phase portrait at mu = {focus.mu:g}: the unstable manifold leads from the origin to u = {along[-1]:.3g}, "
        f"m = {up[-1]:.3g}, and by symmetry to the opposite point. Nullclines of u and m are drawn."
    )
    caption = f"Gradient flow at μ = {focus.mu:g}. On the unstable manifold |m| first grows as exp(t/τ)."

    def draw(ax: Axes) -> Axes:
        return plots.phase_portrait(ax, u, m, field[..., 0], field[..., 1], manifold=manifold, paths=paths)

    return draw, alt, caption


def _listed(names: Sequence[object]) -> str:
    *first, last = map(str, names)
    return f"{', '.join(first)} and {last}" if first else last


def _trajectories(findings: Findings) -> Picture:
    if isinstance(findings.flow, Missing):
        return findings.flow
    flow, clock = findings.flow.columns, findings.flow.solution.times
    runs = None if isinstance(findings.paths, Missing) else findings.paths
    names = [name for name in ("m", "u") if name in flow]

    def draw(ax: Axes) -> Axes:
        for index, name in enumerate(names):
            if runs is not None:
                sizes = np.abs(runs.columns[name])
                low, middle, high = np.nanquantile(sizes, [BAND[0], 0.5, BAND[1]], axis=0)
                label = f"SGD, $|{name}|$"
                plots.trajectories(ax, runs.times, middle, label=label, index=2 * index, band=(low, high))
            times = np.linspace(0, float(clock[-1]), 400)
            line = np.interp(times, clock, np.abs(flow[name]))
            plots.trajectories(ax, times, line, label=f"flow, $|{name}|$", index=2 * index + 1)
        ax.axhline(findings.settings.threshold, color=plots.tint(0.7), lw=1, ls=":", label="threshold $R$")
        plots.add_legend(ax)
        return ax

    place = "" if findings.focus.mu is None else f" at mu = {findings.focus.mu:g}"
    end = {name: float(np.abs(flow[name][-1])) for name in names}
    reached = ", ".join(f"|{name}| = {value:.3g}" for name, value in end.items())
    alt = f"Overlaps over time{place}: the flow from the median start reaches {reached} at t = {float(clock[-1]):.4g}."
    if runs is None:
        return draw, alt, "The gradient flow from the median start. SGD was not simulated here."
    lost = int(np.isnan(runs.columns["m"][:, -1]).sum())
    counted = f"{len(runs.columns['m'])} runs, {lost} diverged"
    caption = f"Median and 5 to 95 % of SGD ({counted}), and the flow with its κ drift from the median start."
    return draw, f"{alt} SGD: {counted}.", caption


def _histogram(findings: Findings) -> Picture:
    return _law(
        findings,
        plots.law_histogram,
        "Histogram of exit times with the density of their law",
        "bars: one standard error",
    )


def _distribution(findings: Findings) -> Picture:
    return _law(
        findings,
        plots.law_cdf,
        "Distribution function of exit times, measured and by the law",
        "band: 95 %, for the whole curve",
    )


def _law(findings: Findings, plot: Callable[..., Axes], what: str, uncertainty: str) -> Picture:
    focus = findings.focus
    if isinstance(focus.law, Missing):
        return focus.law
    if focus.sample is None:
        return Missing("Nothing was simulated here; the section Check says why")
    if not focus.sample.counts.exited:
        return Missing("No run of SGD left here, so that there are no exit times to compare.")
    times, law, counts = focus.times, focus.law, focus.sample.counts
    setting = focus.sample.experiment
    kappa = setting.sgd.kappa
    place = "" if focus.mu is None else f"μ = {focus.mu:g}, "
    counted = f"{counts.exited} runs exited, {counts.censored} did not, {counts.diverged} diverged"
    sizes = f"d = {_size(setting.sgd.dimension)}, κ = {kappa:.3g}, η = {setting.sgd.step_size:.3g}"
    caption = f"{place}{sizes}: {counted}; {uncertainty}."
    medians = f"median of the law {law.median:.4g}, of the runs {_number(focus.sample.to_time(focus.sample.median))}"
    return (lambda ax: plot(ax, times, law)), f"{what}: {medians}; {counted}.", caption


def _size(number: float) -> str:
    """Return a dimension as text.

    >>> _size(1000), _size(10**6), _size(250_000)
    ('1000', '10⁶', '250000')
    """
    power = round(math.log10(number))
    raised = str(power).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"10{raised}" if number >= 1e4 and number == 10**power else f"{number:.12g}"


FIGURES: dict[str, tuple[str, Callable[[Findings], Picture]]] = {
    "spectrum": ("Hermite spectrum", _spectrum),
    "kernel": ("Kernel", _kernel),
    "tau": ("Search time", _tau),
    "comparison": ("Exit times: derived, integrated, simulated", _comparison),
    "portrait": ("Phase portrait", _portrait),
    "trajectories": ("Trajectories", _trajectories),
    "histogram": ("Exit times and their law", _histogram),
    "distribution": ("Distribution of the exit time", _distribution),
}
