"""Figures as they are printed: sizes, overlaps, contrasts and ends are measured on what is drawn, in every style."""

import io
import itertools
import re
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import Collection
from matplotlib.colors import to_hex, to_rgb
from matplotlib.lines import Line2D
from matplotlib.mathtext import MathTextParser
from matplotlib.text import Text
from PIL import Image

from numerics import plots
from numerics.plots.areas import hatched
from numerics.plots.dark import GROUND, turned
from numerics.plots.phases import phase_diagram
from numerics.plots.style import COLOURS, LOOKS, ON_COLOURS, style

STYLES = (("paper", 3.4), ("screen", 5.4), ("slides", None))  # a column, a report, a slide
SMALLEST = 7.0  # points
TEXT, GRAPHICS = 4.5, 3.0  # contrasts, as of WCAG 2.1
MU = np.linspace(0.1, 0.9, 9)
TIMES = 30 * np.random.default_rng(0).gamma(4, size=300)
LAW = SimpleNamespace(
    median=110.2,
    escaping=1.0,
    cdf=lambda t: float(np.mean(t >= TIMES)),
    quantile=lambda level: float(np.quantile(TIMES, level)),
)


def rows() -> list[Any]:
    times = 3 * np.exp(5 * MU)
    return [
        SimpleNamespace(
            mu=mu, tau=t, flow_exit=3 * t, prediction=3.1 * t, sgd_exit=3 * t, sgd_interval=(2.8 * t, 3.3 * t)
        )
        for mu, t in zip(MU.tolist(), times.tolist(), strict=True)
    ]


def searched(ax: Axes) -> Axes:
    plots.tau_curve(ax, MU, 3 * np.exp(5 * MU), label=r"search time $\tau$", critical=[0.5])
    plots.law_medians(ax, MU, 10 * np.exp(5 * MU), label="median of the law at $d$ = $10^{3}$")
    return plots.exit_points(
        ax, MU, *(f * np.exp(5 * MU) for f in (10, 9, 11)), label="SGD: median, 99 % interval", index=1
    )


def plane(ax: Axes) -> Axes:
    """Draw exit times that are powers of ten along straight lines; one column is led by noise, and one traps."""
    mu, d = np.linspace(0.02, 0.98, 25), np.geomspace(1e2, 1e8, 13)
    median = 10 ** (4 * mu[:, None] + np.log10(d) / 4 - 1)
    kinds = np.full(median.shape, "linear", dtype="<U12")
    kinds[3], kinds[-1] = "noise-driven", "trapped"
    median[-1] = np.inf
    return phase_diagram(ax, mu, d, median, kinds, "d")


def family(ax: Axes) -> Axes:
    """Draw exit times over a parameter, with a curve of critical alignments across them."""
    mu, value = np.linspace(0.02, 0.98, 25), np.linspace(-2, 4, 21)
    median = 10 ** (2 * mu[:, None] + (value + 2) / 4)
    kinds = np.full(median.shape, "linear", dtype="<U12")
    at = np.linspace(0.1, 0.6, 30)
    return phase_diagram(ax, mu, value, median, kinds, "c1", label="$c_{1}$", critical=(at, 3 - 20 * (at - 0.3) ** 2))


def folded(ax: Axes) -> Axes:
    at = np.linspace(0, 0.6, 50)
    points = [("fold", 3.0, 0.3), ("end", 1.2, 0.0), ("flat", 0.5, None)]
    return plots.critical_branches(ax, [(3 - 20 * (at - 0.3) ** 2, at)], points, between=(-2, 4), name="$c_{1}$")


def kernel(ax: Axes) -> Axes:
    q, r = np.linspace(-1.4, 1.4, 41), np.linspace(0.02, 2, 31)
    return plots.kernel_surface(ax, q, r, np.where(q**2 <= r[:, None], np.exp(q / 2) * r[:, None], np.nan))


def portrait(ax: Axes) -> Axes:
    u, m = np.linspace(-0.8, 0.8, 21), np.linspace(-1, 1, 15)
    grid_u, grid_m = np.meshgrid(u, m)
    line = (u, u / 0.8)
    return plots.phase_portrait(ax, u, m, grid_m - grid_u, (1 - grid_m**2) * grid_u, manifold=line, paths=[line])


def paths(ax: Axes) -> Axes:
    t = np.linspace(0, 60, 61)
    size = 1 / (1 + np.exp(-(t[None] - np.array([[18], [24], [32]])) / 4))
    plots.runs_of(ax, t, size, label="3 runs of SGD, $|m|$")
    plots.trajectories(ax, t, size[1], label="flow, $|m|$")
    return plots.trajectories(ax, t, 0.6 * size[1], label="flow, $|u|$", index=1, band=(0.5 * size[1], 0.7 * size[1]))


def collapsed(ax: Axes) -> Axes:
    samples = {f"$d$ = {plots.size_of(d)}, 300 runs": (TIMES - 110.2) / 30 for d in (1e3, 1e5, 3e6)}
    return plots.collapse(ax, samples, lambda x: np.array([LAW.cdf(110.2 + 30 * at) for at in x]))


def swept(ax: Axes) -> Axes:
    curves = {f"student = relu, $d$ = {plots.size_of(d)}": np.log(d) * 3 * np.exp(5 * MU) for d in (100, 1e3, 1e6)}
    ends = {name: (0.9 * times, 1.2 * times) for name, times in curves.items()}
    return plots.curves_over(
        ax, MU, curves, ends, xlabel=plots.label_of("mu"), ylabel=plots.label_of("exit_time", "eta * step")
    )


SUBJECTS: dict[str, Any] = {
    "swept": swept,
    "check": lambda ax: plots.exit_times(ax, rows()),
    "search": searched,
    "plane": plane,
    "family": family,
    "branches": folded,
    "kernel": kernel,
    "portrait": portrait,
    "paths": paths,
    "collapse": collapsed,
    "law": lambda ax: plots.law_curve(ax, LAW, label="formula"),
    "sample": lambda ax: plots.law_cdf(ax, TIMES, {"formula": LAW, "diffusion": LAW}),
    "histogram": lambda ax: plots.law_histogram(ax, TIMES, LAW),
    "spectrum": lambda ax: plots.hermite_spectrum(ax, [0.4, 0.5, 0.28, 0, 0.08, 0, 0.04], label="student"),
}
ENDS = {
    "check": (0.1, 0.9),
    "search": (0.1, 0.9),
    "swept": (0.1, 0.9),
    "plane": (0.02, 0.98),
    "family": (0.02, 0.98),
    "branches": (-2, 4),
    "paths": (0, 60),
    "spectrum": (0, 6),
}
ENDS |= {"sample": (TIMES.min(), TIMES.max()), "histogram": (TIMES.min(), TIMES.max())}


@pytest.fixture(scope="module", params=itertools.product(SUBJECTS, STYLES), ids=lambda p: f"{p[0]}-{p[1][0]}-{p[1][1]}")
def drawn(request: Any) -> Any:
    """A figure in one style and width, rendered."""
    name, (like, width) = request.param
    figure = plots.figure_of(SUBJECTS[name], f"the {name} of an activation", like=like, width=width)
    figure.canvas.draw()
    figure.name, figure.asked = name, width or figure.look.width
    return figure


def seen(figure: Any) -> list[Text]:
    """Return every text that is drawn: not the labels of ticks that matplotlib keeps for later."""
    kept, used = set(), set()
    for ax in figure.findobj(Axes):
        for axis in (ax.xaxis, ax.yaxis):
            kept |= {label for tick in (*axis.majorTicks, *axis.minorTicks) for label in (tick.label1, tick.label2)}
            used |= {tick.label1 if tick.label1.get_visible() else tick.label2 for tick in axis._update_ticks()}
    texts = [t for t in figure.findobj(Text) if t.get_visible() and t.get_text().strip()]
    return [t for t in texts if t not in kept or t in used]


def sizes(text: Text) -> list[float]:
    """Return the sizes of the glyphs of a text, in points: sub- and superscripts are smaller than the rest.

    A root sign has no size of its own: it is stretched to what stands below it.
    """
    words, kind = text._preprocess_math(text.get_text())
    if kind is not True:
        return [float(text.get_fontsize())]
    parsed = (MathTextParser("path").parse(line, prop=text.get_fontproperties()) for line in words.splitlines())
    return [float(size) for line in parsed for _, size, code, *_ in line.glyphs if chr(code) != "√"]


def contrast(one: Any, other: Any) -> float:
    """Return the contrast of two colours, from 1 to 21."""

    def luminance(colour: Any) -> float:
        rgb = np.array(to_rgb(colour))
        return float(
            np.dot([0.2126, 0.7152, 0.0722], np.where(rgb <= 0.03928, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4))
        )

    bright, dim = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


def test_a_figure_has_the_width_that_was_asked_for(drawn: Any) -> None:
    assert drawn.get_size_inches()[0] == pytest.approx(drawn.asked)
    high, wide, _ = np.asarray(drawn.canvas.buffer_rgba()).shape
    assert wide == pytest.approx(drawn.asked * drawn.dpi, abs=1)
    assert 0.5 < high / wide < 1.1


def test_a_file_has_the_size_of_its_figure() -> None:
    made = io.BytesIO()
    plots.figure_of(SUBJECTS["law"], "", like="paper", width=3.4).savefig(made, format="png")
    with Image.open(made) as picture:
        assert picture.width == 3.4 * style("paper").rc["savefig.dpi"]


def test_no_text_is_too_small_or_too_pale(drawn: Any) -> None:
    texts = seen(drawn)
    assert len(texts) > 8
    assert {t.get_text(): min(sizes(t)) for t in texts if min(sizes(t)) < SMALLEST - 1e-9} == {}
    pale = {t.get_text() for t in texts if contrast(t.get_color(), "white") < TEXT and t.get_color() != ON_COLOURS}
    assert pale == set()


def test_scripts_are_measured() -> None:
    assert sorted(set(sizes(Text(text="a\n$d$ = $10^{4}$", fontsize=9)))) == pytest.approx([6.3, 9])
    assert sizes(Text(text="10 %", fontsize=8)) == [8]


def test_every_axis_says_what_it_is_and_times_their_unit(drawn: Any) -> None:
    names = [name for ax in drawn.findobj(Axes) for name in (ax.get_xlabel(), ax.get_ylabel()) if ax.get_visible()]
    plots_of = [ax for ax in drawn.findobj(Axes) if not hasattr(ax, "_colorbar")]
    assert all(ax.get_xlabel() and ax.get_ylabel() for ax in plots_of)
    unitless = [name for name in names if "time" in name and not re.search(r"steps|tau", name)]
    assert unitless == []


def test_no_text_lies_on_another_or_beyond_the_figure(drawn: Any) -> None:
    boxes = [(t.get_text(), t.get_window_extent()) for t in seen(drawn)]
    frame = drawn.bbox.padded(1)
    assert [
        name for name, box in boxes if box.x0 < frame.x0 or box.x1 > frame.x1 or box.y0 < frame.y0 or box.y1 > frame.y1
    ] == []
    pairs = itertools.combinations(boxes, 2)
    assert [(a, b) for (a, one), (b, other) in pairs if one.padded(-0.5).overlaps(other.padded(-0.5))] == []


def test_the_legend_is_on_no_data(drawn: Any) -> None:
    (ax,) = drawn.axes
    legend = ax.get_legend()
    assert legend is not None
    assert legend.get_window_extent().y1 <= ax.get_tightbbox().y1
    assert not legend.get_window_extent().overlaps(ax.get_window_extent())


def test_a_title_only_where_it_belongs(drawn: Any) -> None:
    (ax,) = drawn.axes
    assert bool(ax.get_title()) == (drawn.look.name != "paper")
    assert ax.get_xlabel()
    assert ax.get_ylabel()


def test_a_title_has_the_size_of_its_style_and_tells_plots_apart() -> None:
    ax = plots.titled(plots.figure_of(SUBJECTS["law"], "", like="slides").axes[0], "later")
    assert ax.title.get_fontsize() == style("slides").rc["axes.titlesize"]
    pair = plots.figure_of_many([SUBJECTS["law"]] * 2, ["one", "other"], like="paper")
    assert [ax.get_title() for ax in pair.axes] == ["one", "other"]
    assert pair.get_size_inches()[0] == pytest.approx(3.4), "one below the other"


def test_axes_end_where_the_data_end(drawn: Any) -> None:
    if drawn.name in ENDS:
        assert drawn.axes[0].get_xlim() == pytest.approx(ENDS[drawn.name])


def test_few_decades_have_plain_ticks(drawn: Any) -> None:
    for ax in (drawn.axes[0], *drawn.axes[0].child_axes):
        low, high = sorted(ax.get_ylim())
        labels = [t.label1.get_text() or t.label2.get_text() for t in ax.yaxis._update_ticks()]
        labels = [label for label in labels if label]
        assert len(labels) >= 2
        if ax.get_yscale() == "log" and high / low < 100:
            assert [label for label in labels if "$" in label] == []


def test_lines_can_be_seen_on_light_and_on_dark(drawn: Any) -> None:
    lines = [a for a in drawn.axes[0].lines if isinstance(a, Line2D) and a.get_alpha() is None]
    colours = {to_hex(line.get_color()) for line in lines}
    assert {c for c in colours if contrast(c, "white") < GRAPHICS} == set()
    assert {c for c in colours if contrast(turned(c), GROUND) < GRAPHICS} == set()


def test_series_differ_in_grey() -> None:
    for one, other in itertools.combinations(LOOKS, 2):
        assert one.dash != other.dash
        assert one.marker != other.marker
    assert min(contrast(one.colour, other.colour) for one, other in itertools.pairwise(LOOKS)) > 1.4


def test_ink_is_read_on_every_colour_of_an_area() -> None:
    shades = COLOURS(np.linspace(0, 1, 20))
    assert min(contrast(shade, ON_COLOURS) for shade in shades) > TEXT
    grey = [contrast(shade, "black") for shade in shades]
    assert all(a < b for a, b in itertools.pairwise(grey)), "lightness orders them"


def test_orders_are_whole_numbers() -> None:
    ax = plots.figure_of(SUBJECTS["spectrum"], "").axes[0]
    assert all(place == round(place) for place in ax.get_xticks())


def test_contours_run_to_the_frame_and_their_names_lie_on_them() -> None:
    figure = plots.figure_of(plane, "")
    (ax,) = figure.axes
    (contours,) = [c for c in ax.collections if type(c).__name__ == "QuadContourSet"]
    names = contours.labelTexts
    assert len(names) >= 2
    for name in names:
        mu, d = name.get_position()
        power = float(re.findall(r"\{(-?\d+)\}", name.get_text())[0])
        assert 4 * mu + np.log10(d) / 4 - 1 == pytest.approx(power, abs=0.02)
    boxes = [name.get_window_extent().padded(6) for name in names]
    inner = ax.get_window_extent().padded(-2)
    last = ax.transData.transform((0.94, 1e4))[0] - 2  # the last column is not reached: it traps
    for path in contours.get_paths():
        for piece in path._iter_connected_components():
            for end in ax.transData.transform(piece.vertices[[0, -1]]):
                at_frame = not inner.contains(*end) or end[0] > last
                assert at_frame or any(box.contains(*end) for box in boxes)


def test_every_cell_of_a_regime_is_hatched_and_white_says_never() -> None:
    (ax,) = plots.figure_of(plane, "").axes
    noise, trapped = ax.patches
    cell = 0.96 / 24
    assert area(noise) == pytest.approx(cell * 6, rel=1e-6)  # 13 cells of a column, over six decades
    assert area(trapped) == pytest.approx(cell / 2 * 6, rel=1e-6)
    assert noise.get_facecolor()[3] == 0
    assert to_hex(trapped.get_facecolor()) == "#ffffff"
    (mesh,) = [c for c in ax.collections if type(c).__name__ == "QuadMesh"]
    white = np.ma.getmaskarray(np.ma.masked_invalid(mesh.get_array()))
    assert (white.sum(axis=0) == [0] * 24 + [13]).all(), "the ground shows where there is no exit time, and only there"


def area(patch: Any) -> float:
    """Return the area of hatched cells, in units of mu times decades."""
    corners = patch.get_path().vertices.reshape(-1, 5, 2)
    return float(np.sum(np.ptp(corners[..., 0], axis=1) * np.ptp(np.log10(corners[..., 1]), axis=1)))


def test_a_lonely_cell_is_hatched_too() -> None:
    ax = plots.figure_of(searched, "").axes[0]
    where = np.zeros((2, 2), bool)
    where[1, 0] = True
    hatched(ax, np.array([0.0, 1, 2]), np.array([1.0, 2, 3]), where, "xx", "one")
    assert ax.patches[-1].get_path().get_extents().bounds == (0, 2, 1, 1)


@pytest.mark.parametrize(
    ("suffix", "there", "absent"), [("pdf", rb"/CIDFontType2", rb"/Type3\b"), ("svg", rb"<text", rb"NaN")]
)
def test_fonts_are_embedded_or_stay_text(suffix: str, there: bytes, absent: bytes) -> None:
    made = [io.BytesIO(), io.BytesIO()]
    for target in made:
        plots.figure_of(SUBJECTS["check"], "", like="paper").savefig(target, format=suffix)
    assert re.search(there, made[0].getvalue())
    assert not re.search(absent, made[0].getvalue())
    assert made[0].getvalue() == made[1].getvalue(), "the same figure is the same file"


def test_postscript_gets_no_transparency(caplog: pytest.LogCaptureFixture) -> None:
    figure = plots.figure_of(SUBJECTS["sample"], "", like="paper")
    band = next(a for a in figure.axes[0].collections if isinstance(a, Collection) and a.get_alpha())
    before = band.get_facecolor().tolist()
    figure.savefig(io.BytesIO(), format="eps")
    assert caplog.text == ""
    assert band.get_facecolor().tolist() == before


def test_an_svg_of_a_report_has_both_grounds() -> None:
    svg = plots.for_light_and_dark(plots.figure_of(SUBJECTS["search"], "", width=5.4).svg("a")).decode()
    assert "<text" not in svg, "outlines look the same everywhere"
    dark = dict(re.findall(r"--([0-9a-f]{6}):(#[0-9a-f]{6})", svg))
    assert dark["ffffff"] == GROUND
    assert contrast(dark["1a1a1a"], GROUND) > TEXT
    left = set(re.findall(r": (#[0-9a-f]{6})[;\"]", svg))
    assert {c for c in left if contrast(c, GROUND) < GRAPHICS} == set(), "what does not turn is seen on both"


def test_own_axes_keep_their_own_style() -> None:
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({"font.size": 13, "text.color": "#ffffff", "axes.facecolor": "#000000"}):
        ax = Figure().subplots()
        assert plots.law_histogram(ax, TIMES, LAW) is ax
    assert to_hex(ax.lines[-3].get_color()) == "#ffffff"
    legend = ax.get_legend()
    assert legend is not None
    assert legend.get_texts()[0].get_fontsize() == pytest.approx(13)
    assert legend.get_window_extent().y1 < ax.get_window_extent().y0


def test_the_sheets_are_styles_of_matplotlib() -> None:
    from matplotlib import rcParams
    from matplotlib import style as styles

    for name in plots.STYLES:
        with styles.context(f"numerics.plots.{name}"):
            assert rcParams["pdf.fonttype"] == rcParams["ps.fonttype"] == 42
            assert rcParams["font.size"] == style(name).rc["font.size"]
