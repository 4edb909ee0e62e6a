r"""Papers of other people, as small preambles: classes, columns, and macros that have our names and other meanings."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

__all__ = ["HOSTILE", "PAPERS", "Compiled", "Paper", "compiled"]

NAMES = ("E", "loss", "rate", "link", "field", "kernel", "teacher", "student", "drive", "bend", "d", "X")


@dataclass(frozen=True)
class Paper:
    """A preamble without hostile macros, and the width of a column as `--width` takes it."""

    preamble: str
    column: str


NEURIPS = r"""\documentclass[10pt]{article}
\setlength{\textwidth}{5.5in}\setlength{\oddsidemargin}{.5in}\setlength{\textheight}{9in}\setlength{\topmargin}{-.5in}
\setlength{\parindent}{0pt}\setlength{\parskip}{5.5pt}
\setlength{\abovedisplayskip}{7pt plus 2pt minus 5pt}\setlength{\belowdisplayskip}{\abovedisplayskip}"""

ICML = r"""\documentclass[10pt,twocolumn]{article}
\setlength{\textwidth}{6.75in}\setlength{\columnsep}{.25in}\setlength{\oddsidemargin}{-.125in}
\setlength{\textheight}{9in}\setlength{\topmargin}{-.5in}\setlength{\parindent}{0pt}\setlength{\parskip}{6pt}
\sloppy"""

PAPERS = {
    "article": Paper(r"\documentclass[10pt]{article}", "345pt"),
    "revtex, one column": Paper(r"\documentclass[aps,pre,onecolumn,10pt]{revtex4-2}", "510pt"),
    "revtex, two columns": Paper(r"\documentclass[aps,prl,twocolumn,10pt]{revtex4-2}", "246pt"),
    "neurips": Paper(NEURIPS, "5.5in"),
    "icml": Paper(ICML, "3.25in"),
}

HOSTILE = {
    "without arguments": "".join(rf"\def\{name}{{\mathsf{{PAPER}}}}" for name in NAMES),
    "with arguments": "".join(rf"\def\{name}#1#2{{[#1][#2]}}" for name in NAMES),
}


@dataclass(frozen=True)
class Compiled:
    """What pdflatex says, with lines of the log not wrapped."""

    code: int
    log: str

    @property
    def errors(self) -> list[str]:
        """Errors of TeX."""
        return re.findall(r"^!.*$", self.log, re.MULTILINE)

    @property
    def overfull(self) -> list[str]:
        """Boxes that stick out, of lines and of pages."""
        return re.findall(r"^Overfull .*$", self.log, re.MULTILINE)

    @property
    def meanings(self) -> list[list[str]]:
        """What the paper's macros mean, each time that it says so."""
        found = re.findall(r"^MEANING (\w+) (.*)$", self.log, re.MULTILINE)
        return [[meaning for name, meaning in found if name == at] for at in ("before", "after")]


def text_of(paper: Paper, hostile: str, body: str, end: str = "") -> str:
    """Return a paper whose body is between two statements of what its own macros mean."""

    def said(when: str) -> str:
        return "".join(rf"\typeout{{MEANING {when} \string\{name}=\meaning\{name}}}" for name in NAMES)

    return (
        f"{paper.preamble}\n\\usepackage{{amsmath,amssymb}}\n{hostile}\n\\begin{{document}}\n{said('before')}\n"
        f"Text.\n{body}\n{said('after')}\n{end}\n\\end{{document}}\n"
    )


def compiled(text: str, folder: Path, runs: int = 1) -> Compiled:
    """Return what pdflatex says of a text; the file is paper.tex."""
    (folder / "paper.tex").write_text(text, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "paper.tex"]
    environment = {"max_print_line": "10000", "PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(folder)}
    code = max(
        subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=False).returncode
        for _ in range(runs)
    )
    return Compiled(code, (folder / "paper.log").read_text(encoding="utf-8", errors="replace"))
