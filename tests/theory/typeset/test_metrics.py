"""Widths that are estimated against the boxes that TeX makes."""

import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

from theory.network.derivation import derive
from theory.typeset.metrics import box, width
from theory.typeset.printing import latex
from theory.typeset.tree import parse

needs_latex = pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
SYSTEMS = ({"student": "relu"}, {"student": "erf"}, {"student": "he6"}, {"student": "gelu"}, {"student": "hardtanh"})
HEAD = (
    "\\documentclass[10pt]{article}\\usepackage{amsmath,amssymb}\\newsavebox{\\made}\n"
    "\\def\\measured#1#2{\\sbox{\\made}{$\\displaystyle #2$}\\typeout{WIDTH #1 \\the\\wd\\made}}\n\\begin{document}\n"
)


@cache
def formulas() -> list[str]:
    """Return all that is printed of some derivations."""
    systems = [derive(**given) for given in SYSTEMS]
    steps = [step for system in systems for step in system.loss_function.kernel_steps()]
    sides = [side for system in systems for equation in system.equations for side in (equation.left, *equation.rights)]
    odes = [latex(f) for system in systems if system.is_exact for f in system.odes.values()]
    return sorted({*sides, *odes, *(side for step in steps for side in (step.left, step.right))})


def boxes(texts: list[str], folder: Path) -> list[float]:
    """Return the widths of TeX's boxes, in em."""
    body = "\n".join(f"\\measured{{{i}}}{{{text}}}" for i, text in enumerate(texts))
    (folder / "boxes.tex").write_text(f"{HEAD}{body}\n\\end{{document}}\n")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "boxes.tex"]
    said = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout
    return [float(points) / 10 for points in re.findall(r"^WIDTH \d+ ([\d.]+)pt", said, re.MULTILINE)]


@needs_latex
def test_estimates_are_those_of_tex(tmp_path: Path) -> None:
    """None is more than 0.4 em too small, and those of half a column or more are at most a sixth too large."""
    texts = formulas()
    pairs = list(zip(map(width, map(parse, texts)), boxes(texts, tmp_path), texts, strict=True))
    assert len(pairs) > 150
    assert [text for estimate, true, text in pairs if estimate < true - 0.4] == []
    assert [text for estimate, true, text in pairs if true > 10 and estimate > 7 / 6 * true] == []


@needs_latex
@pytest.mark.parametrize(
    "text",
    [
        r"\bigl(a + \frac{1}{2}",
        r"\Biggl(x\Biggr)^{2}",
        r"\lim_{c \to 0} \left[\frac{t(c \to R)}{\tau} + \log c\right]",
        r"\left|Z + \frac{u_{0} \sqrt{d}}{S_{u}}\right|",
        r"\sum_{k \geq 0} \frac{\sigma_{k}^{[r]}}{k!\, r^{k}} \mathrm{He}_k^{[r]}(x)",
        r"\left(\begin{matrix} r & q \\ q & 1 \end{matrix}\right)",
        r"-L_{q} - 2 \mu L_{r}\;\Big|_{q = \mu,\, r = \mu^{2}}",
    ],
)
def test_what_the_laws_are_written_with(text: str, tmp_path: Path) -> None:
    (true,) = boxes([text], tmp_path)
    assert true - 0.4 <= width(parse(text)) <= 1.35 * true


def test_brackets_know_how_tall_their_content_is() -> None:
    heights = [box(parse(text)).up for text in ("x", r"\frac{1}{2}", r"\sqrt{\frac{1}{2}}")]
    assert heights == sorted(heights)
    assert width(parse(r"\left(\frac{1}{2}\right)")) > width(parse(r"\left(1\right)")) + 0.5
