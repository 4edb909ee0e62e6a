r"""Exact Gaussian expectations of the terms of `theory.terms`, in any number of correlated variables.

For l ~ N(M, C) four rules, applied in this order, reduce every term until nothing is left:

1. *Point mass.*  E[delta(l_i - c) F] = pdf(c; M_i, C_ii) E[F | l_i = c]; a k-th derivative is (-d/dc)^k of that.
2. *Tilting.*  With D = 1 - 2 beta C_ii > 0,
       E[exp(alpha l_i + beta l_i^2) F] = D^(-1/2) exp((alpha M_i + beta M_i^2 + alpha^2 C_ii / 2) / D) E'[F],
   where under E' the covariance is C_jk + 2 beta C_ji C_ik / D and the mean M_j + C_ji (alpha + 2 beta M_i) / D.
3. *Stein.*  E[l_i F] = M_i E[F] + sum_j C_ij E[d_j F].
4. *Signs.*  A gate is E sign(X) with X = b l + c + sqrt(nu) N Gaussian; products of signs of centred Gaussians have
       E sign(X) sign(Y) = (2/pi) arcsin corr(X, Y)                              (Sheppard 1899),
   and the product of three has mean zero. One gate alone gives an error function.

The Price ladder is the same calculus read backwards: dE/dC_ij = E[d_i d_j F] (i != j), dE/dC_ii = E[d_i^2 F]/2.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache

import sympy as sp
from sympy import Dummy, Expr, S

from theory.errors import NoClosedFormError, NotIntegrableError
from theory.terms import Gate, Term, differentiate

__all__ = ["expectation", "gaussian_pdf"]

Mean = tuple[Expr, ...]
Covariance = tuple[tuple[Expr, ...], ...]


def gaussian_pdf(c: Expr, mean: Expr, variance: Expr) -> Expr:
    """Return the density of N(mean, variance) at c."""
    return sp.exp(-((c - mean) ** 2) / (2 * variance)) / sp.sqrt(2 * sp.pi * variance)


def expectation(terms: Iterable[Term], mean: Mean, covariance: Covariance) -> Expr:
    """Return E[sum of terms] under N(mean, covariance), exactly.

    Raises `NoClosedFormError` for more than two gates off centre (or four in all), `NotIntegrableError` where the
    expectation does not exist.

    >>> from theory.terms import as_terms
    >>> from theory.symbols import r, x
    >>> expectation(as_terms(sp.Max(x, 0)), (S.Zero,), ((r,),))
    sqrt(2)*sqrt(r)/(2*sqrt(pi))
    """
    return sp.Add(*[term.coef * _mean(replace(term, coef=S.One), mean, covariance) for term in terms])


@lru_cache(maxsize=65536)
def _mean(term: Term, mean: Mean, cov: Covariance) -> Expr:
    if term.is_polynomial and term.variables == 1:
        return _moment(term.powers[0], mean[0], cov[0][0])
    if term.masses:
        return _point_mass(term, mean, cov)
    for i in range(term.variables):
        if term.alpha[i] != 0 or term.beta[i] != 0:
            return _tilt(term, i, mean, cov)
    free = [i for i in range(term.variables) if term.powers[i]]
    if free:
        gated = {gate.i for gate in term.gates}
        return _stein(term, min(free, key=lambda i: (i in gated, i)), mean, cov)
    return _signs(term.gates, mean, cov)


def _moment(n: int, mean: Expr, variance: Expr) -> Expr:
    """Return E[l^n] = sum_j C(n, 2j) (2j - 1)!! v^j M^(n - 2j)."""
    even = range(n // 2 + 1)
    return sp.Add(*[sp.binomial(n, 2 * j) * sp.factorial2(2 * j - 1) * variance**j * mean ** (n - 2 * j) for j in even])


def _without(values: tuple, i: int) -> tuple:
    return values[:i] + values[i + 1 :]


def _point_mass(term: Term, mean: Mean, cov: Covariance) -> Expr:
    mass = term.masses[0]
    i = mass.i
    if any(other.i == i for other in term.masses[1:]):
        raise NotIntegrableError("a product of two point masses in one variable has no expectation")
    here = [gate for gate in term.gates if gate.i == i]
    if mass.k and any(gate.nu == 0 and gate.c == -mass.c for gate in here):
        raise NotIntegrableError("the derivative of a point mass meets a jump at the same place")
    c = Dummy("c", real=True) if mass.k else mass.c
    rest_cov = tuple(
        tuple(cov[j][k] - cov[j][i] * cov[i][k] / cov[i][i] for k in range(len(mean)) if k != i)
        for j in range(len(mean))
        if j != i
    )
    rest_mean = tuple(mean[j] + cov[j][i] * (c - mean[i]) / cov[i][i] for j in range(len(mean)) if j != i)
    shift = {j: j - (j > i) for j in range(len(mean)) if j != i}
    rest = Term(
        S.One,
        _without(term.powers, i),
        _without(term.alpha, i),
        _without(term.beta, i),
        tuple(replace(gate, i=shift[gate.i]) for gate in term.gates if gate.i != i),
        tuple(replace(other, i=shift[other.i]) for other in term.masses[1:]),
    )
    value = gaussian_pdf(c, mean[i], cov[i][i]) * c ** term.powers[i]
    value *= sp.exp(term.alpha[i] * c + term.beta[i] * c**2)
    for gate in here:
        value *= gate.at(mass.c if gate.nu == 0 else c)
    if value != 0:
        value *= _mean(rest, rest_mean, rest_cov) if rest.variables else S.One
    return (S.NegativeOne**mass.k * sp.diff(value, c, mass.k)).subs(c, mass.c) if mass.k else value


def _tilt(term: Term, i: int, mean: Mean, cov: Covariance) -> Expr:
    alpha, beta = term.alpha[i], term.beta[i]
    depth = sp.expand(1 - 2 * beta * cov[i][i])
    if depth.is_nonpositive:
        raise NotIntegrableError(
            f"exp({beta} l^2) has no mean under variance {cov[i][i]}; it must be below {1 / (2 * beta)}"
        )
    exponent = (alpha * mean[i] + beta * mean[i] ** 2 + alpha**2 * cov[i][i] / 2) / depth
    n = range(len(mean))
    tilted_mean = tuple(mean[j] + cov[j][i] * (alpha + 2 * beta * mean[i]) / depth for j in n)
    tilted_cov = tuple(tuple(_ratio(cov[j][k] + 2 * beta * cov[j][i] * cov[i][k] / depth) for k in n) for j in n)
    bare = replace(term, alpha=_zero_at(term.alpha, i), beta=_zero_at(term.beta, i))
    return sp.exp(exponent) / sp.sqrt(depth) * _mean(bare, tilted_mean, tilted_cov)


def _ratio(f: Expr) -> Expr:
    return sp.cancel(sp.together(f)) if f.is_Add else f


def _zero_at(values: tuple[Expr, ...], i: int) -> tuple[Expr, ...]:
    return tuple(S.Zero if j == i else v for j, v in enumerate(values))


def _stein(term: Term, i: int, mean: Mean, cov: Covariance) -> Expr:
    rest = replace(term, powers=tuple(n - (j == i) for j, n in enumerate(term.powers)))
    total = mean[i] * _mean(rest, mean, cov) if mean[i] != 0 else S.Zero
    for j in range(term.variables):
        if cov[i][j] != 0:
            total += cov[i][j] * expectation(differentiate((rest,), j), mean, cov)
    return total


def _signs(gates: tuple[Gate, ...], mean: Mean, cov: Covariance) -> Expr:
    if not gates:
        return S.One
    centres = [gate.b * mean[gate.i] + gate.c for gate in gates]
    if len(gates) == 1:
        variance = _variance(gates[0], cov)
        return sp.erf(centres[0] / sp.sqrt(2 * variance)) if variance != 0 else sp.sign(centres[0])
    if any(centre != 0 for centre in centres):
        raise NoClosedFormError("a product of gates off centre needs the bivariate normal distribution function")
    if len(gates) == 2:
        return 2 / sp.pi * sp.asin(_correlation(gates[0], gates[1], cov))
    if len(gates) % 2:
        return S.Zero
    raise NoClosedFormError(f"the orthant probability of {len(gates)} correlated Gaussians has no closed form")


def _variance(gate: Gate, cov: Covariance) -> Expr:
    return gate.b**2 * cov[gate.i][gate.i] + gate.nu


def _correlation(g: Gate, h: Gate, cov: Covariance) -> Expr:
    variance = sp.factor(sp.together(_variance(g, cov) * _variance(h, cov)))
    return g.b * h.b * cov[g.i][h.i] / sp.sqrt(variance)
