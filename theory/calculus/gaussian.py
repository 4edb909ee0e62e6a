r"""Exact Gaussian expectations of the terms of `theory.calculus.terms`, in any number of correlated variables.

For l ~ N(M, C) the rules below, applied in this order, reduce every term until nothing is left:

1. *Point mass.*  E[delta(l_i - c) F] = pdf(c; M_i, C_ii) E[F | l_i = c]; a k-th derivative is (-d/dc)^k of that.
2. *Tilting.*  With D = 1 - 2 beta C_ii > 0,
       E[exp(alpha l_i + beta l_i^2) F] = D^(-1/2) exp((alpha M_i + beta M_i^2 + alpha^2 C_ii / 2) / D) E'[F],
   where under E' the covariance is C_jk + 2 beta C_ji C_ik / D and the mean M_j + C_ji (alpha + 2 beta M_i) / D.
3. *Stein.*  E[l_i F] = M_i E[F] + sum_j C_ij E[d_j F].
4. *Signs.*  A gate is E sign(X) with X = b l + c + sqrt(nu) N Gaussian. One gate alone gives an error function; for
   two, with h = E X / sd X and k = E Y / sd Y,
       E sign(X) sign(Y) = 4 Phi_2(h, k; corr) - 1 - erf(h / sqrt 2) - erf(k / sqrt 2),
   which is (2/pi) arcsin corr when both are centred (Sheppard 1899); the product of three centred ones has mean zero.

The Price ladder is the same calculus read backwards: dE/dC_ij = E[d_i d_j F] (i != j), dE/dC_ii = E[d_i^2 F]/2.

Every rule is a function from a `Problem` to a `Reduction`, a sum of smaller problems, so that the same recursion
evaluates (`expectation`) and tells its steps (`theory.calculus.explain`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import sympy as sp
from sympy import Dummy, Expr, S

from theory.calculus.bivariate import Phi2
from theory.calculus.terms import Gate, Term, differentiate
from theory.calculus.tidy import in_lowest_terms
from theory.errors import NoClosedFormError, NotIntegrableError

__all__ = ["Problem", "Reduction", "at_mass", "expectation", "gaussian_pdf", "problems", "reduce", "value"]

Mean = tuple[Expr, ...]
Covariance = tuple[tuple[Expr, ...], ...]


@dataclass(frozen=True)
class Problem:
    """The expectation of one term (of coefficient one) under N(mean, covariance)."""

    term: Term
    mean: Mean
    covariance: Covariance


@dataclass(frozen=True)
class Reduction:
    """What a rule makes of a problem: constant + sum of factor * value(problem)."""

    rule: str
    constant: Expr = S.Zero
    parts: tuple[tuple[Expr, Problem], ...] = ()


def gaussian_pdf(c: Expr, mean: Expr, variance: Expr) -> Expr:
    """Return the density of N(mean, variance) at c."""
    return sp.exp(-((c - mean) ** 2) / (2 * variance)) / sp.sqrt(2 * sp.pi * variance)


def expectation(terms: Iterable[Term], mean: Mean, covariance: Covariance) -> Expr:
    """Return E[sum of terms] under N(mean, covariance), exactly.

    Raises `NoClosedFormError` for three gates off centre, four in all, or two of which one is complex;
    `NotIntegrableError` where the expectation does not exist.

    >>> from theory.calculus.terms import as_terms
    >>> from theory.symbols import r, x
    >>> expectation(as_terms(sp.Max(x, 0)), (S.Zero,), ((r,),))
    sqrt(2)*sqrt(r)/(2*sqrt(pi))
    """
    return sp.Add(*[factor * value(problem) for factor, problem in problems(terms, mean, covariance)])


def problems(terms: Iterable[Term], mean: Mean, covariance: Covariance) -> tuple[tuple[Expr, Problem], ...]:
    """Return the terms as (coefficient, problem) pairs."""
    return tuple((term.coef, Problem(replace(term, coef=S.One), mean, covariance)) for term in terms)


CENTRES = tuple(Dummy(f"c{i}", real=True) for i in range(4))  # where point masses are, so that problems are met again


@lru_cache(maxsize=65536)
def value(problem: Problem) -> Expr:
    """Return the value of a problem, by reducing it until only constants are left."""
    reduction = reduce(problem)
    total = sp.Add(reduction.constant, *[factor * value(smaller) for factor, smaller in reduction.parts])
    return sp.expand_mul(total) if any(mean.has(*CENTRES) for mean in problem.mean) else total  # it is differentiated


def reduce(problem: Problem) -> Reduction:
    """Apply the first rule that fits, once."""
    term = problem.term
    if term.is_polynomial and term.variables == 1:
        return Reduction("moments", _moment(term.powers[0], problem.mean[0], problem.covariance[0][0]))
    if term.masses:
        return _point_mass(problem)
    for i in range(term.variables):
        if term.alpha[i] != 0 or term.beta[i] != 0:
            return _tilt(problem, i)
    free = [i for i in range(term.variables) if term.powers[i]]
    if free:
        gated = {gate.i for gate in term.gates}
        return _stein(problem, min(free, key=lambda i: (i in gated, i)))
    return _signs(problem)


def _moment(n: int, mean: Expr, variance: Expr) -> Expr:
    """Return E[l^n] = sum_j C(n, 2j) (2j - 1)!! v^j M^(n - 2j)."""
    even = range(n // 2 + 1)
    return sp.Add(*[sp.binomial(n, 2 * j) * sp.factorial2(2 * j - 1) * variance**j * mean ** (n - 2 * j) for j in even])


def _without(values: tuple, i: int) -> tuple:
    return values[:i] + values[i + 1 :]


def _point_mass(problem: Problem) -> Reduction:
    """Condition on the first mass; `theory.calculus.terms` has already absorbed every other factor in its variable."""
    mass = problem.term.masses[0]
    mean, variance = problem.mean[mass.i], problem.covariance[mass.i][mass.i]
    if problem.term.variables == 1:
        smooth = _hermite(mass.k, mass.c - mean, variance) / variance**mass.k
        return Reduction("mass", smooth * gaussian_pdf(mass.c, mean, variance))
    if not mass.k:
        return Reduction("mass", S.Zero, ((gaussian_pdf(mass.c, mean, variance), _given(problem, mass.i, mass.c)),))
    return Reduction(
        "mass", at_mass(mass.k, mass.c, mean, variance, lambda c: value(_given(problem, mass.i, c)), problem.mean)
    )


def at_mass(
    k: int, location: Expr, mean: Expr, variance: Expr, rest: Callable[[Expr], Expr], taken: Sequence[Expr] = ()
) -> Expr:
    """Return (-d/dc)^k [density(c) rest(c)] at a location, by Leibniz' rule.

    The (k - j)th derivative of the density is (-1)^(k - j) He_(k - j)^[v](c - M) / v^(k - j) times the density.
    `taken` are expressions that `rest` holds besides c.
    """
    c = next(c for c in CENTRES if not any(other.has(c) for other in (mean, *taken)))
    slope, total = rest(c), S.Zero
    for j in range(k + 1):
        smooth = _hermite(k - j, location - mean, variance) / variance ** (k - j)
        total += S.NegativeOne**j * sp.binomial(k, j) * smooth * slope.subs(c, location)
        slope = sp.expand_mul(sp.diff(slope, c))
        if slope == 0:
            break
    return total * gaussian_pdf(location, mean, variance)


def _hermite(k: int, z: Expr, variance: Expr) -> Expr:
    """Return He_k^[v](z); the k-th derivative of the density is (-1)^k He_k^[v](z) / v^k times the density."""
    before, now = S.Zero, S.One
    for j in range(k):
        before, now = now, sp.expand(z * now - j * variance * before)
    return now


def _given(problem: Problem, i: int, c: Expr) -> Problem:
    """Return the expectation of the other variables' factors given l_i = c; drops the first mass."""
    term, mean, cov = problem.term, problem.mean, problem.covariance
    others = [j for j in range(len(mean)) if j != i]
    shift = {j: position for position, j in enumerate(others)}
    rest = Term(
        S.One,
        _without(term.powers, i),
        _without(term.alpha, i),
        _without(term.beta, i),
        tuple(replace(gate, i=shift[gate.i]) for gate in term.gates if gate.i != i),
        tuple(replace(other, i=shift[other.i]) for other in term.masses[1:]),
    )
    rest_mean = tuple(in_lowest_terms(mean[j] + cov[j][i] * (c - mean[i]) / cov[i][i]) for j in others)
    rest_cov = tuple(
        tuple(in_lowest_terms(cov[j][k] - cov[j][i] * cov[i][k] / cov[i][i]) for k in others) for j in others
    )
    return Problem(rest, rest_mean, rest_cov)


def _tilt(problem: Problem, i: int) -> Reduction:
    term, mean, cov = problem.term, problem.mean, problem.covariance
    alpha, beta = term.alpha[i], term.beta[i]
    depth = in_lowest_terms(1 - 2 * beta * cov[i][i])
    if depth.is_nonpositive:
        raise NotIntegrableError(
            f"exp({beta} l^2) has no mean under variance {cov[i][i]}; it must be below {1 / (2 * beta)}"
        )
    exponent = in_lowest_terms((alpha * mean[i] + beta * mean[i] ** 2 + alpha**2 * cov[i][i] / 2) / depth)
    n = range(len(mean))
    tilted_mean = tuple(in_lowest_terms(mean[j] + cov[j][i] * (alpha + 2 * beta * mean[i]) / depth) for j in n)
    tilted_cov = tuple(
        tuple(in_lowest_terms(cov[j][k] + 2 * beta * cov[j][i] * cov[i][k] / depth) for k in n) for j in n
    )
    bare = replace(term, alpha=_zero_at(term.alpha, i), beta=_zero_at(term.beta, i))
    height = sp.exp(exponent) / sp.sqrt(depth)
    return Reduction("tilting", S.Zero, ((height, Problem(bare, tilted_mean, tilted_cov)),))


def _zero_at(values: tuple[Expr, ...], i: int) -> tuple[Expr, ...]:
    return tuple(S.Zero if j == i else v for j, v in enumerate(values))


def _stein(problem: Problem, i: int) -> Reduction:
    term, mean, cov = problem.term, problem.mean, problem.covariance
    rest = replace(term, powers=tuple(n - (j == i) for j, n in enumerate(term.powers)))
    parts = [(mean[i], Problem(rest, mean, cov))] if mean[i] != 0 else []
    for j in range(term.variables):
        if cov[i][j] != 0:
            smaller = problems(differentiate((rest,), j), mean, cov)
            parts += [(cov[i][j] * factor, part) for factor, part in smaller]
    return Reduction("stein", S.Zero, tuple(parts))


def _signs(problem: Problem) -> Reduction:
    """Integrate products of gates; a gate whose argument is certain is a constant."""
    gates, mean, cov = problem.term.gates, problem.mean, problem.covariance
    certain = [gate for gate in gates if _variance(gate, cov) == 0]
    random = [gate for gate in gates if gate not in certain]
    constant = sp.Mul(*[sp.sign(_centre(gate, mean)) for gate in certain])
    centres = [_standardised(gate, mean, cov) for gate in random]
    if not random:
        return Reduction("moments", constant)
    if len(random) == 1:
        return Reduction("one gate", constant * _error_function(centres[0] / sp.sqrt(2)))
    if not any(centres) and len(random) % 2:
        return Reduction("odd gates", S.Zero)
    if len(random) == 2:
        first, second = random
        rho = _correlation(first, second, cov)
        if not any(centres):
            return Reduction("sheppard", constant * 2 / sp.pi * sp.asin(rho))
        return Reduction("two gates", constant * _two_gates(centres[0], centres[1], rho))
    raise NoClosedFormError(f"the orthant probability of {len(random)} correlated Gaussians has no closed form")


def _two_gates(h: Expr, k: Expr, rho: Expr) -> Expr:
    if h.has(sp.I) or k.has(sp.I):
        raise NoClosedFormError("the bivariate normal distribution function of complex arguments has no real form")
    return 4 * Phi2(h, k, rho) - 1 - sp.erf(h / sp.sqrt(2)) - sp.erf(k / sp.sqrt(2))


def _error_function(z: Expr) -> Expr:
    """Return erf(z) on either axis of the complex plane, where a trigonometric factor may have moved it."""
    if not z.has(sp.I):
        return sp.erf(z)
    height = in_lowest_terms(sp.expand(z / sp.I))
    if height.has(sp.I):
        raise NoClosedFormError("the error function of a complex argument has no real form")
    return sp.I * sp.erfi(height)


def _centre(gate: Gate, mean: Mean) -> Expr:
    return gate.b * mean[gate.i] + gate.c


def _variance(gate: Gate, cov: Covariance) -> Expr:
    return in_lowest_terms(gate.b**2 * cov[gate.i][gate.i] + gate.nu)


def _standardised(gate: Gate, mean: Mean, cov: Covariance) -> Expr:
    centre = _centre(gate, mean)
    return centre / sp.sqrt(_variance(gate, cov)) if centre != 0 else S.Zero


def _correlation(g: Gate, h: Gate, cov: Covariance) -> Expr:
    return g.b * h.b * cov[g.i][h.i] / (sp.sqrt(_variance(g, cov)) * sp.sqrt(_variance(h, cov)))
