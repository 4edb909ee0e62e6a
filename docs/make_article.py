r"""Write the two-column article of `docs/article/`: `python docs/make_article.py`, then pdflatex and BibTeX.

Its equations, numbers, figure and bibliography come from the toolkit; the words between them stand here. That it
compiles as it is and still says what the toolkit derives is tested (`tests/looks/test_article.py`).
"""

import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from hermescape import bibliography, derive, document, escape_law, search_time, search_times
from hermescape.drawing import finished
from numerics.plots import Sheet

FOLDER = Path(__file__).parent / "article"
COLUMN = "246pt"  # of revtex4-2
LINKS = {"relu": "ReLU", "erf": "erf", "gelu": "GELU"}

ARTICLE = r"""\documentclass[aps,pre,twocolumn,10pt,a4paper]{revtex4-2}
\usepackage{amsmath,amssymb,graphicx}
\addtolength{\textheight}{4\baselineskip}
\newcommand{\E}[1]{\left\langle #1\right\rangle} % this paper's own: the equations below leave it alone
\newcommand{\rate}{\Gamma}
\begin{document}
\title{How long low-rank fine-tuning searches: a ReLU student}
\author{Written by docs/make\_article.py}
\affiliation{Every equation, number, curve and reference is the output of hermescape}
\begin{abstract}
A rectified linear unit, pre-trained up to an alignment $\mu$ with its task and then fine-tuned by rank-one LoRA,
escapes its search phase after a time $\tau(\mu)$ times a logarithm of the dimension. We give the loss, the flow, $\tau$
and the law of the exit time in closed form. A stronger pre-training makes the search longer: $\tau$ is @TAU_LOW@ at
$\mu = 0.2$ and @TAU_HIGH@ at $\mu = 0.8$, @RATIO@ times as long.
\end{abstract}
\maketitle

\section{Setting}
Fine-tuning by low-rank adaptation~\cite{hesc:hu2022} starts from a weight $w_{0} = \mu w_{*}$ that has been learnt
before, and adds a direction $v$ of unit norm with a scale $u$. As in
Ref.~\cite{hesc:nwemadji2026}, both are trained by one-pass stochastic gradient descent on the squared loss: step size
$\eta$, batches of $b$ fresh samples $x \sim \mathcal{N}(0, I_{d})$, labels $y = \varphi(\langle w_{*}, x \rangle)$.
Time is $t = \eta \times$ number of steps. In high dimension the overlaps $u$ and $m = \langle v, w_{*} \rangle$ obey
closed equations~\cite{hesc:saad1995}, since the loss depends on the weight through $q = \langle w, w_{*} \rangle$ and
$r = \langle w, w \rangle$ alone.

\section{The equations}
For a rectified linear unit everything is in closed form, with derivatives by Price's
theorem~\cite{hesc:price1958}, powers by Stein's lemma~\cite{hesc:stein1981}, and the arcsine of two
gates~\cite{hesc:sheppard1899}; the kernel is the arc-cosine kernel of Ref.~\cite{hesc:chosaul2009}. With $L_{q}$ and
$L_{r}$ the slopes of the loss,
\input{equations}%
where $Z \sim \mathcal{N}(0, 1)$, $\kappa = \eta d / b$ is kept as $d$ grows, and $t(c \to R)$ is the time of the
flow along its unstable manifold from $|m| = c$ to $|m| = R$.

\begin{figure}
\includegraphics{search}
\caption{\label{fig:search}Search time $\tau$ in units of $t = \eta \times$ steps against the alignment $\mu$ of
pre-training, for three activations whose student and teacher are the same function. Dots: ReLU at $\mu = 0.2$ and
$0.8$.}
\end{figure}

\section{What they say}
The drive~\eqref{hesc:relu:drive} is the slope of the pre-training loss itself, $A = - \mathrm{d} L(\mu, \mu^{2}) /
\mathrm{d} \mu$: the better the student has been pre-trained, the weaker the signal by which fine-tuning finds its
direction. The bend~\eqref{hesc:relu:bend} does not depend on $\mu$ and is negative. So as $\mu \to 1$,
\begin{equation}
\tau \simeq \frac{|B|}{A^{2}} = \frac{2}{(1 - \mu)^{2}},
\end{equation}
which diverges (Fig.~\ref{fig:search}).

The law~\eqref{hesc:relu:law} is one of exit times and not of their mean. At $d = 10^{6}$, $\kappa = 4$ and $R = 0.5$ it
gives
\begin{center}
\begin{tabular}{cccc}
$\mu$ & $\tau$ & median of $T$ & 5 to 95 \% \\ \hline
@ROWS@
\end{tabular}
\end{center}
in units of $t$; divided by the step size these are steps. The interval is that of $\log |Z|$. The noise of the batches
widens the start, Eq.~\eqref{hesc:relu:law-spread}, which does not slow the growth: the slope of $T$ in $\log d$ is
$\tau / 2$ for every $\kappa$.

\appendix
\section{How the kernel closes}
\input{kernel}%

\bibliography{references}
\end{document}
"""


def fragments() -> dict[str, str]:
    """Return what the article inputs, by name."""
    system = derive("relu")
    return {
        "equations": document(system, fragment=True, only="loss,odes,A,B,tau,law", width=COLUMN),
        "kernel": headless(
            document(system, fragment=True, only="kernel,steps", text=True, width=COLUMN, prefix="hesck")
        ),
    }


def headless(text: str) -> str:
    """Return a fragment without the titles of its paragraphs, for which the article has sections."""
    return "\n".join(line for line in text.splitlines() if not line.startswith(r"\paragraph")) + "\n"


def article() -> str:
    """Return the article, its numbers put in."""
    system = derive("relu")
    low, high = (search_time(system, mu).tau for mu in (0.2, 0.8))
    assert low is not None
    assert high is not None
    laws = {mu: escape_law(system, mu=mu, dimension=1e6, kappa=4.0) for mu in (0.2, 0.5, 0.8)}
    rows = [
        rf"{mu} & {law.tau:.2f} & {law.median:.1f} & {law.quantile(0.05):.1f} to {law.quantile(0.95):.1f}"
        for mu, law in laws.items()
    ]
    parts = {"TAU_LOW": f"{low:.2f}", "TAU_HIGH": f"{high:.2f}", "RATIO": f"{high / low:.1f}"}
    parts["ROWS"] = " \\\\\n".join(rows)
    text = ARTICLE
    for name, value in parts.items():
        text = text.replace(f"@{name}@", value)
    return text


def figure() -> Sheet:
    """Return the search times of three activations, at the size at which they are printed."""
    ax, grid = None, np.linspace(0.02, 0.96, 189)
    for name, label in LINKS.items():
        ax = derive(name).plot.search_time(grid, ax=ax, label=label, style="paper", width=3.4)
    places = np.array([0.2, 0.8])
    ax.plot(places, search_times(derive("relu"), places).tau, "ko", markersize=3)
    return finished(ax).figure


def texts() -> dict[str, str]:
    """Return every text of the folder, by its file."""
    made = {f"{name}.tex": text for name, text in fragments().items()}
    return {"article.tex": article(), **made, "references.bib": bibliography(derive("relu"))}


def compiled(folder: Path) -> Path:
    """Compile a copy of the article and return the PDF."""
    for command in (["pdflatex"], ["bibtex"], ["pdflatex"], ["pdflatex"]):
        options = ["-interaction=nonstopmode", "-halt-on-error"] if command == ["pdflatex"] else []
        subprocess.run([*command, *options, "article"], cwd=folder, check=True, capture_output=True)
    return folder / "article.pdf"


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, text in texts().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    figure().savefig(FOLDER / "search.pdf")
    with tempfile.TemporaryDirectory() as made:
        shutil.copytree(FOLDER, made, dirs_exist_ok=True)
        shutil.copy(compiled(Path(made)), FOLDER / "article.pdf")
