r"""The symbols of the paper as LaTeX macros, which a user may rename.

Every symbol has a key, which is how the project writes it in text, a macro, and what the macro prints. All macros begin
with one prefix, so that none has a name that a paper may use. Formulas are written with plain symbols; `Notation` puts
the macros in. Renamings are read against an allow-list: letters, digits,
scripts, braces and the commands of `COMMANDS`; nothing that could define, read or write.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from theory.errors import ParameterError

__all__ = ["MACROS", "PREFIX", "Macro", "Notation", "check_names", "check_prefix"]

PREFIX = "hesc"


@dataclass(frozen=True)
class Macro:
    r"""`key` in text, the command \\`name` after the prefix, and the LaTeX that it prints by default."""

    key: str
    name: str
    symbol: str


MACROS = (
    Macro("w*", "teacher", "w_{*}"),
    Macro("w0", "pretrained", "w_{0}"),
    Macro("w_s", "source", "w_{s}"),
    Macro("w", "weight", "w"),
    Macro("v", "direction", "v"),
    Macro("l*", "fieldteacher", r"\ell^{*}"),
    Macro("l", "field", r"\ell"),
    Macro("sigma", "student", r"\sigma"),
    Macro("phi", "link", r"\varphi"),
    Macro("E", "E", r"\mathbb{E}"),
    Macro("K", "kernel", "K"),
    Macro("L", "loss", "L"),
    Macro("L_q", "Lq", "L_{q}"),
    Macro("L_r", "Lr", "L_{r}"),
    Macro("q", "overlapq", "q"),
    Macro("r", "normr", "r"),
    Macro("q_s", "overlapsource", "q_{s}"),
    Macro("c", "similarity", "c"),
    Macro("m", "overlapm", "m"),
    Macro("s", "overlaps", "s"),
    Macro("u", "lorau", "u"),
    Macro("mu", "alignment", r"\mu"),
    Macro("rho", "length", r"\rho"),
    Macro("alpha", "lorascale", r"\alpha"),
    Macro("Delta", "labelnoise", r"\Delta"),
    Macro("d", "inputdim", "d"),
    Macro("t", "flowtime", "t"),
    Macro("eta", "stepsize", r"\eta"),
    Macro("A", "drive", "A"),
    Macro("B", "bend", "B"),
    Macro("G", "slope", "G"),
    Macro("lambda", "rate", r"\lambda"),
    Macro("tau", "searchtime", r"\tau"),
    Macro("T", "exittime", "T"),
    Macro("R", "threshold", "R"),
    Macro("C", "constant", "C"),
    Macro("S", "spread", "S"),
    Macro("J_0", "gradientnoise", "J_{0}"),
    Macro("kappa", "noisescale", r"\kappa"),
    Macro("X", "part", "X"),
)
BY_KEY = {macro.key: macro for macro in MACROS}

GREEK = (
    "alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi pi rho varrho sigma "
    "varsigma tau upsilon phi varphi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega"
)
ACCENTS = "hat widehat bar overline tilde widetilde vec dot ddot check breve acute grave underline mathring"
FONTS = "mathbb mathcal mathbf mathrm mathsf mathit mathtt mathfrak boldsymbol operatorname"
SIGNS = (
    "ell star ast prime perp parallel langle rangle infty nabla partial dagger circ bullet odot oplus otimes times "
    "cdot top bot hbar imath jmath Re Im aleph wp flat sharp natural"
)
COMMANDS = frozenset(f"{GREEK} {ACCENTS} {FONTS} {SIGNS}".split())

LONGEST = 60  # characters of a renaming
PIECE = re.compile(r"\\([A-Za-z]+)|[A-Za-z0-9{}^_*',+\- ]")
VERBATIM = r"\\(?:operatorname|mathrm|mathcal|text|label|eqref|ref|begin|end)\*?\{[^{}]*\}|\\mathbb\{[^{}E]\}"


def check_names(names: Mapping[str, str], accepted: Collection[str]) -> None:
    r"""Raise `ParameterError` unless every key is accepted and every value is harmless LaTeX.

    >>> check_names({"mu": r"\hat{\alpha}_{0}"}, {"mu"})
    >>> check_names({"mu": r"\input{secret}"}, {"mu"})
    Traceback (most recent call last):
    theory.errors.ParameterError: \input in the renaming mu=\input{secret}; accepted: Greek letters, accents, fonts ...
    """
    for key, text in names.items():
        if key not in accepted:
            raise ParameterError(
                f"renaming {key}={text} given, but {key} is no symbol here; accepted: {', '.join(sorted(accepted))}."
            )
        _check_text(f"{key}={text}", text)


def check_prefix(prefix: str) -> None:
    """Raise `ParameterError` unless a prefix is two to twenty letters.

    >>> check_prefix("hesc")
    >>> check_prefix("he_")
    Traceback (most recent call last):
    theory.errors.ParameterError: prefix = 'he_' given; accepted: 2 to 20 letters from a to z or A to Z, such as hesc.
    """
    if not re.fullmatch("[A-Za-z]{2,20}", prefix):
        raise ParameterError(
            f"prefix = {prefix!r} given; accepted: 2 to 20 letters from a to z or A to Z, such as {PREFIX}."
        )


def _check_text(given: str, text: str) -> None:
    shown = f"the renaming {given[:80]}"
    if not text.strip() or len(text) > LONGEST:
        raise ParameterError(f"{len(text)} characters in {shown}; accepted: 1 to {LONGEST}, such as {chr(92)}alpha.")
    at = 0
    while at < len(text):
        piece = PIECE.match(text, at)
        if piece is None:
            raise ParameterError(
                f"{text[at]!r} in {shown}; accepted: letters, digits, braces, ^, _, *, ' and commands, as in "
                r"\hat{w}_{0}."
            )
        if piece[1] and piece[1] not in COMMANDS:
            raise ParameterError(
                f"{piece[0]} in {shown}; accepted: Greek letters, accents, fonts and signs such as {chr(92)}alpha, "
                f"{chr(92)}hat, {chr(92)}mathbf, {chr(92)}ell; for others redefine the macro in your own preamble."
            )
        at = piece.end()
    if not _is_well_formed(text):
        raise ParameterError(
            f"unbalanced braces, or a script without content or twice in a row, in {shown}; accepted: such as "
            r"w_{0}^{*}."
        )


INNERMOST = re.compile(r"\{([^{}]*)\}")
SYMBOL, SCRIPT = r"!*[A-Za-z0-9*,+\-]'*\s*", r"[A-Za-z0-9*+\-]\s*"
SCRIPTS = rf"(?:_{SCRIPT}(?:\^{SCRIPT})?|\^{SCRIPT}(?:_{SCRIPT})?)?"
ROW = re.compile(rf"\s*(?:{SYMBOL}{SCRIPTS})+")
PREFIXES = frozenset(f"{ACCENTS} {FONTS}".split())


def _is_well_formed(text: str) -> bool:
    """Replace innermost groups, each of which must be a row, by one symbol until none is left."""
    bare = re.sub(r"\\([A-Za-z]+)\s*", lambda match: "!" if match[1] in PREFIXES else "a", text)
    while (group := INNERMOST.search(bare)) is not None:
        if not ROW.fullmatch(group[1]):
            return False
        bare = f"{bare[: group.start()]}0{bare[group.end() :]}"
    return ROW.fullmatch(bare) is not None


class Notation:
    r"""Puts macros into formulas, and remembers which were needed.

    >>> notation = Notation({"q", "mu"})
    >>> print(notation(r"\mu q^{2} \operatorname{q}"))
    \hescalignment \hescoverlapq^{2} \operatorname{q}
    >>> print(notation.definitions({"mu": r"\beta"}))
    \newcommand{\hescoverlapq}{{q}}
    \newcommand{\hescalignment}{{\beta}}
    """

    def __init__(self, keys: Collection[str], prefix: str = PREFIX) -> None:
        self.prefix = prefix
        self.used: set[str] = set()
        self._patterns = {scope: _pattern(scope) for scope in (frozenset(keys), UNIVERSAL & frozenset(keys))}
        self._keys = frozenset(keys)

    def __call__(self, formula: str, *, universal: bool = False) -> str:
        """Return a formula with macros; `universal` leaves out symbols that a general statement may use otherwise."""
        scope = self._keys & UNIVERSAL if universal else self._keys
        return self._patterns[scope].sub(self._replace, formula)

    def _replace(self, match: re.Match[str]) -> str:
        macro = BY_GROUP.get(match.lastgroup or "")
        if macro is None:
            return match[0]
        self.used.add(macro.key)
        following = match.string[match.end() : match.end() + 1]
        return rf"\{self.prefix}{macro.name}" + (" " if following.isalpha() else "")

    def definitions(self, names: Mapping[str, str]) -> str:
        """Return the lines that define the macros used so far."""
        check_names(names, self.used)
        return "\n".join(
            rf"\newcommand{{\{self.prefix}{macro.name}}}{{{_printed(macro, names.get(macro.key))}}}"
            for macro in MACROS
            if macro.key in self.used
        )


UNIVERSAL = frozenset({"E", "K", "l", "l*", "sigma", "phi", "q", "r"})
BY_GROUP = {macro.name: macro for macro in MACROS}


def _printed(macro: Macro, name: str | None) -> str:
    """Return what a macro prints: one of our own with an index alone stays open, so that a power stands above that."""
    is_open = name is None and "_" in macro.symbol and "^" not in macro.symbol
    return macro.symbol if is_open else _grouped(macro.symbol if name is None else name)


def _grouped(symbol: str) -> str:
    """Return a symbol in braces, so that it takes scripts; TeX drops those around a lone accent with scripts."""
    accented = re.match(rf"\\({'|'.join(ACCENTS.split())})(?![A-Za-z])", symbol.strip())
    return f"{{{{}}{symbol}}}" if accented else f"{{{symbol}}}"


def _pattern(keys: Collection[str]) -> re.Pattern[str]:
    """Match what is left alone, the symbols of `keys` (longest first), and any other command whole."""
    chosen = sorted((macro for macro in MACROS if macro.key in keys), key=lambda macro: -len(macro.symbol))
    symbols = [rf"(?P<{macro.name}>{_spelling(macro.symbol)})" for macro in chosen]
    return re.compile("|".join([VERBATIM, *symbols, r"\\[A-Za-z]+"]))


def _spelling(symbol: str) -> str:
    """Return the pattern of a symbol; a command ends where its letters end."""
    return re.escape(symbol) + (r"(?![A-Za-z])" if re.fullmatch(r"\\[A-Za-z]+", symbol) else "")
