r"""The population loss of a network as a function of its entries, and the noise of its gradient.

With e = (a, -b) over units and teacher terms p, and K(c; v, v') = E f(l) g(l'), l and l' of covariance
[[v, c], [c, v']],

    L = 1/2 sum_pq e_p e_q K_pq + Delta/2,
    dL/dX_pq = e_p e_q E[f_p' f_q']                                                 (p != q),
    dL/dX_pp = e_p^2/4 E[(f_p^2)''] + sum_{q != p} e_p e_q/2 E[f_p'' f_q],

by Price's theorem and not by differentiating the printed form: the slopes stay finite at the edges, where K is an
inverse sine at the end of its domain. Each pair of functions is derived once, whatever the number of units.

For a single-index network, with entries q and r, that is

    L(q, r) = 1/2 E_r[sigma^2] - K(q, r) + 1/2 E[y^2],     K(q, r) = E[sigma(l) phi(l*)],
    L_q = -E[sigma'(l) phi'(l*)],    L_r = 1/4 E_r[(sigma^2)''] - 1/2 E[sigma''(l) phi(l*)].

Where the objective is the correlation loss (`theory.network.objectives`) no product of two units stands in L: its terms
in E_r[sigma^2] and (sigma^2)'' are absent, and a sample's residual is -y.

docs/theory.md numbers them eq-loss, eq-price and eq-correlation.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import sympy as sp
from sympy import Expr, S, Symbol

from theory.calculus.cache import remembered
from theory.calculus.expectations import Distribution, GaussianMean, gaussian_kernel, gaussian_mean, is_closed
from theory.calculus.explain import Step, kernel_steps
from theory.calculus.gaussian import expectation
from theory.calculus.nodes import exact
from theory.calculus.terms import as_terms, multiply, place
from theory.calculus.tidy import tidy
from theory.calculus.undefined import has_undefined
from theory.errors import NoClosedFormError, NotIntegrableError
from theory.language.activations import Activation, constants_of
from theory.language.labels import Labels
from theory.network.ridges import Network, Ridge
from theory.network.vectors import Combination, Gram, Vector
from theory.shown import Shown
from theory.symbols import N_4, Delta, J, L_q, L_r, M_ll, M_ls, M_ss, N_l, N_s, q, r, x
from theory.typeset.constants import Constants
from theory.typeset.layout import Equation, on_screen
from theory.typeset.printing import latex

__all__ = ["Loss"]


C, V, W = sp.Symbol("z_c", real=True), sp.Symbol("z_v", positive=True), sp.Symbol("z_w", positive=True)
"""The entries of a pair: covariance and both variances."""


@lru_cache(maxsize=512)
def _pair(f: Expr, g: Expr, left: int, right: int) -> Expr:
    """Return E f^(left)(l) g^(right)(l') in C, V and W: derived once for each pair of functions."""
    return gaussian_kernel(Distribution.of(f).diff(left), Distribution.of(g).diff(right), C, V, W)


@lru_cache(maxsize=512)
def _alone(f: Expr, order: int) -> Expr:
    """Return E f^(order)(l) in V."""
    return gaussian_mean(Distribution.of(f).diff(order), S.Zero, V)


@dataclass(frozen=True)
class Loss(Shown):
    """Population loss of a network.

    >>> from theory.language.activations import activation
    >>> from theory.language.labels import labels
    >>> Loss.of(activation("linear"), labels("linear")).expr
    -q + r/2 + 1/2
    """

    shows = "is_closed"

    network: Network

    @classmethod
    def of(cls, student: Activation, labels: Labels) -> Loss:
        """Return the loss of one unit on the labels of one link."""
        weight, target = Vector("w"), Vector("w*")
        gram = Gram({(target, target): S.One, (weight, target): q, (weight, weight): r})
        overlaps = {q: (weight, target), r: (weight, weight)}
        unit = Combination.of(weight)
        return cls(Network.single(student, labels, unit, target, name="a pair", gram=gram, overlaps=overlaps))

    # --- any network --------------------------------------------------------------------------------------------

    @cached_property
    def _signed(self) -> tuple[Ridge, ...]:
        """Units, then teacher terms with their coefficients negated."""
        terms = self.network.teacher.ridges
        return (*self.network.ridges, *(Ridge(-term.coefficient, term.function, term.weight) for term in terms))

    def _counts(self, p: int, k: int) -> bool:
        """Whether the product of two ridges stands in L: that of two units does not in the correlation loss."""
        return self.network.minimised.own != 0 or max(p, k) >= len(self.network.ridges)

    def _entry(self, p: int, k: int) -> Expr:
        """Return the inner product of two weights: the entry's symbol, or a constant of the teacher."""
        pair = self._signed[p].weight, self._signed[k].weight
        for name, known in self.network.entries.items():
            if known in (pair, pair[::-1]):
                return name
        return self.network.gram.inner(*pair)

    def _kernel_of(self, p: int, k: int, left: int = 0, right: int = 0) -> Expr:
        """Return E f_p^(left)(l_p) f_k^(right)(l_k) in the entries."""
        first, second = self._signed[p].function.expr, self._signed[k].function.expr
        at = {C: self._entry(p, k), V: self._entry(p, p), W: self._entry(k, k)}
        return _pair(first, second, left, right).subs(at, simultaneous=True)

    def _own(self, p: int, order: int) -> Expr:
        """Return E (f_p^2)^(order)(l_p) in the entries."""
        return _alone(self._signed[p].function.expr ** 2, order).subs(V, self._entry(p, p))

    def _position(self, weight: Combination) -> int:
        return next(p for p, ridge in enumerate(self._signed) if ridge.weight == weight)

    @cached_property
    def slopes(self) -> dict[Symbol, Expr]:
        """dL/dX of every entry X, and dL/da_i of every trained coefficient, by the symbols that the network gives.

        >>> from theory.network.models import Plain
        >>> from theory.language.activations import activation
        >>> from theory.language.labels import labels
        >>> Loss(Plain().network(activation("linear"), labels("linear"))).slopes
        {L_q: -1, L_r: 1/2}
        """
        network = self.network
        if network.is_single_index:
            return dict(zip((L_q, L_r), self.gradient(), strict=True))
        slopes: dict[Symbol, Expr] = {}
        for index, (name, (first, second)) in enumerate(network.entries.items()):
            p, k = self._places[index]
            slopes[network.slopes[name]] = self._slope(p, k) if first != second or p != k else self._bend(p)
        for i, name in network.coefficient_slopes.items():
            slopes[name] = sp.Add(
                *[
                    ridge.coefficient * (self._own(i, 0) if k == i else self._kernel_of(i, k))
                    for k, ridge in enumerate(self._signed)
                    if self._counts(i, k)
                ]
            )
        return slopes

    @cached_property
    def _places(self) -> list[tuple[int, int]]:
        """The ridges (p, k) of every entry, in the order of `Network.entries`."""
        units, terms = range(len(self.network.ridges)), range(len(self.network.teacher.ridges))
        across = [(i, len(units) + j) for i in units for j in terms]
        return across + [(i, k) for i in units for k in units if k >= i]

    def _slope(self, p: int, k: int) -> Expr:
        e = self._signed
        return e[p].coefficient * e[k].coefficient * self._kernel_of(p, k, 1, 1) if self._counts(p, k) else S.Zero

    def _bend(self, p: int) -> Expr:
        e = self._signed
        total = e[p].coefficient ** 2 * self._own(p, 2) / 4 if self._counts(p, p) else S.Zero
        for k, other in enumerate(e):
            if k != p and self._counts(p, k):
                total += e[p].coefficient * other.coefficient * self._kernel_of(p, k, 2, 0) / 2
        return total

    @cached_property
    def value(self) -> Expr:
        """L in the entries, the label noise included.

        >>> from theory.network.models import Plain
        >>> from theory.language.activations import activation
        >>> from theory.language.labels import labels
        >>> Loss(Plain().network(activation("linear"), labels("linear"))).value
        -q + r/2 + 1/2
        """
        if self.network.is_single_index:
            return self.expr
        e, total = self._signed, S.Zero
        for p, ridge in enumerate(e):
            total += ridge.coefficient**2 * self._own(p, 0) / 2 if self._counts(p, p) else S.Zero
            for k in range(p):
                if self._counts(p, k):
                    total += ridge.coefficient * e[k].coefficient * self._kernel_of(p, k)
        return total + self.network.teacher.noise / 2

    def noise_covariance(self) -> sp.Matrix:
        r"""Return C_ik = E[c_i c_k], c_i = a_i sigma_i'(l_i)(c f - y): what two units' gradients share in the bulk.

        E[s_i' s_k' s_p s_q] over up to four correlated variables, those of equal fields merged.

        Raises:
            NoClosedFormError: a product outside the closed class, or of three gates off centre.
        """
        network = self.network
        if network.is_single_index:
            return sp.Matrix([[self.noise()]])
        size, extra = len(network.ridges), network.teacher.noise
        residual = [(p, ridge) for p, ridge in enumerate(self._signed) if self._counts(p, p)]

        def entry(i: int, k: int) -> Expr:
            total = extra * self._product((i, k), ())
            for p, first in residual:
                for n, second in residual:
                    total += first.coefficient * second.coefficient * self._product((i, k), (p, n))
            return network.ridges[i].coefficient * network.ridges[k].coefficient * total

        upper = {(i, k): entry(i, k) for i in range(size) for k in range(i, size)}
        return sp.Matrix(size, size, lambda i, k: upper[min(i, k), max(i, k)])

    def _product(self, slopes: tuple[int, ...], values: tuple[int, ...]) -> Expr:
        """Return E of sigma' of some ridges times sigma of others."""
        fields = sorted({*slopes, *values})
        terms = None
        for p in fields:
            ridge = self._signed[p].function
            f = ridge.derivative ** slopes.count(p) * ridge.expr ** values.count(p)
            own = as_terms(sp.piecewise_fold(f) if f.has(sp.Piecewise) else f)
            if own is None:
                raise NoClosedFormError(f"{ridge.name}: {f} is outside the closed class")
            placed = place(own, fields.index(p), len(fields))
            terms = placed if terms is None else multiply(terms, placed)
        covariance = tuple(tuple(self._entry(p, k) for k in fields) for p in fields)
        return S.Zero if terms is None else expectation(terms, (S.Zero,) * len(fields), covariance)

    # --- a single-index network ---------------------------------------------------------------------------------

    @property
    def student(self) -> Activation:
        """The link sigma."""
        return self.network.student

    @property
    def labels(self) -> Labels:
        """What SGD is shown."""
        return self.network.labels

    @property
    def teacher(self) -> Activation:
        """The link that is learnt: the conditional mean of the label given l*."""
        return self.labels.mean

    @cached_property
    def _sigma(self) -> Distribution:
        return Distribution.of(self.student.expr)

    @cached_property
    def _phi(self) -> Distribution:
        return Distribution.of(self.teacher.expr)

    @property
    def own(self) -> Expr:
        """The student's part of a sample's residual own(l) - y: sigma, or 0 of the correlation loss."""
        return self.network.minimised.own * self.student.expr

    @property
    def ends_at_teacher(self) -> bool:
        """Whether w = w* is a minimum: student and learnt link are one function, and its square is in the loss."""
        return self.own != 0 and self.student.expr == self.teacher.expr

    @cached_property
    def _own_squared(self) -> Distribution:
        return Distribution.of(self.own**2)

    def kernel(self, overlap: Expr = q, variance: Expr = r) -> Expr:
        """Return K(q, r) = E[sigma(l) phi(l*)]."""
        return gaussian_kernel(self._sigma, self._phi, overlap, variance)

    def kernel_steps(self) -> tuple[Step, ...]:
        """Return the derivation of K(q, r), rule by rule, as it is written."""
        return kernel_steps(self.written._sigma, self.written._phi)

    def _content(self, *at: Expr) -> tuple[Expr, ...]:
        given = self.labels
        place = (part for pair in given.place for part in pair)
        return (
            self.student.expr,
            self.own,
            given.link.expr,
            given.transform,
            given.noise,
            *place,
            *map(sp.sympify, at),
        )

    @property
    def expr(self) -> Expr:
        """L(q, r)."""
        return self._expr()

    @remembered(_content)
    def _expr(self) -> Expr:
        own = gaussian_mean(self._own_squared, S.Zero, r)
        return tidy_sum(own / 2 - self.kernel() + self.target / 2)

    @property
    def target(self) -> Expr:
        """E[y^2]."""
        return sp.Add(*[c * gaussian_mean(g, S.Zero, S.One) for c, g in self._laws(self.labels.moments_in_noise(2))])

    def gradient(self, overlap: Expr = q, variance: Expr = r) -> tuple[Expr, Expr]:
        """Return (L_q, L_r) at the given overlap and squared norm; `gradient(mu, mu**2)` is the aligned edge.

        Raises `NotIntegrableError` where a derivative is infinite (a student that jumps, at the edge).
        """
        slope, bend = self._gradient(exact(overlap, "overlap"), exact(variance, "variance"))
        return slope, bend

    @property
    def has_formula(self) -> bool:
        """Whether both functions have a formula, without which there are no numbers."""
        return not has_undefined(self.student.expr, self.teacher.expr)

    @property
    def letters(self) -> tuple[str, str]:
        """The letters of the Hermite coefficients of student and learnt link: the same where these are one function."""
        return "sigma", "sigma" if self.student.expr == self.teacher.expr else "phi"

    def drive(self, mu: Expr) -> Expr:
        """Return -dL(mu, mu^2)/dmu = E[Z sigma'(mu Z) (phi(Z) - own(mu Z))], one expectation.

        >>> from theory.language.activations import activation
        >>> from theory.language.labels import labels
        >>> Loss.of(activation("tanh"), labels("linear")).drive(S.One)
        GaussianMean(x*(1 - tanh(x)**2)*(x - tanh(x)), 0, 1)
        """
        slope, value = (f.subs(x, mu * x) for f in (self.student.derivative, self.own))
        return GaussianMean(x * slope * (self.teacher.expr - value), S.Zero, S.One)

    def _edge_gradient(self, mu: Expr) -> Expr:
        """Return (L_q, L_r) at q = mu, r = mu^2, where l = mu Z and l* = Z, as one expectation each."""
        phi, own = self.teacher.expr, self.network.minimised.own
        value, slope, bend = (sp.diff(self.student.expr, x, k).subs(x, mu * x) for k in range(3))
        along = GaussianMean(slope * sp.diff(phi, x), S.Zero, S.One)
        sign = 1 if own else -1  # of the correlation loss nothing but -E[sigma'' phi] is left
        across = GaussianMean(sign * (own * slope**2 + bend * (own * value - phi)), S.Zero, S.One)
        return sp.Tuple(-along, sign * across / 2)

    @remembered(_content)
    def _gradient(self, overlap: Expr, variance: Expr) -> Expr:
        if not self.has_formula and overlap != 0 and sp.expand(variance - overlap**2) == 0:
            return self._edge_gradient(overlap)
        sigma, phi = self._sigma, self._phi
        slope = -gaussian_kernel(sigma.diff(), phi.diff(), overlap, variance)
        own = gaussian_mean(self._own_squared.diff(2), S.Zero, variance)
        return sp.Tuple(slope, tidy_sum(own / 4 - gaussian_kernel(sigma.diff(2), phi, overlap, variance) / 2))

    def second(self, name: Symbol, argument: Symbol, overlap: Expr, variance: Expr) -> Expr:
        """Return the derivative of L_q, L_r or J with respect to q or r at a point, again by Price's theorem.

        Raises `NotIntegrableError` where it is infinite.

        >>> from theory.language.activations import activation
        >>> from theory.language.labels import labels
        >>> from theory.symbols import L_q
        >>> Loss.of(activation("he2"), labels("he2")).second(L_q, q, S.Zero, S.One)
        -4
        """
        if name == J:
            derivative = sp.diff(self.noise(), argument).subs({q: overlap, r: variance})
            if derivative.has(sp.oo, -sp.oo, sp.zoo, sp.nan):
                raise NotIntegrableError(f"{self.student.name}: dJ/d{argument} is infinite at q = {overlap}.")
            return derivative
        return self._second((name == L_r) + (argument == r), sp.sympify(overlap), sp.sympify(variance))

    @remembered(_content)
    def _second(self, by_variance: int, overlap: Expr, variance: Expr) -> Expr:
        """Return L_qq, L_qr or L_rr; `by_variance` counts the r."""
        left, right = self._sigma.diff(2 + by_variance), self._phi.diff(2 - by_variance)
        cross = -(S.Half**by_variance) * gaussian_kernel(left, right, overlap, variance)
        own = gaussian_mean(self._own_squared.diff(4), S.Zero, variance) / 8 if by_variance == 2 else S.Zero
        return tidy_sum(cross + own)

    def noise(self, overlap: Expr = q, variance: Expr = r) -> Expr:
        r"""Return J(q, r) = E[F], F = (own(l) - y)^2 sigma'(l)^2: the gradient's variance in a bulk direction.

        >>> from theory.language.activations import activation
        >>> from theory.language.labels import labels
        >>> Loss.of(activation("linear"), labels("linear", noise=Delta)).noise()
        Delta - 2*q + r + 1

        With `own` = 0, the correlation loss, that is E[y^2 sigma'(l)^2].
        """
        return self._moment(2, S.One, 0, exact(overlap, "overlap"), exact(variance, "variance"))

    def noise_moments(self, overlap: Expr = q, variance: Expr = r) -> dict[Symbol, Expr]:
        """Return the moments of a sample's gradient g = (own(l) - y) sigma'(l) x that a covariance needs.

        With f = (own - y) sigma' they are J = E f^2, M_ss = E[f^2 l*^2] - J, M_ls = E[l* d(f^2)/dl],
        M_ll = E[d^2(f^2)/dl^2], N_s = E[f^3 l*], N_l = E[d(f^3)/dl] and N_4 = E f^4. By Stein's lemma these give
        E[f^2 a.x b.x] and E[f^3 a.x] for any two vectors (`theory.network.vectors`).
        """
        at = exact(overlap, "overlap"), exact(variance, "variance")
        bulk = self.noise(*at)
        return {
            J: bulk,
            M_ss: tidy_sum(self._moment(2, x**2, 0, *at) - bulk),
            M_ls: self._moment(2, x, 1, *at),
            M_ll: self._moment(2, S.One, 2, *at),
            N_s: self._moment(3, x, 0, *at),
            N_l: self._moment(3, S.One, 1, *at),
            N_4: self._moment(4, S.One, 0, *at),
        }

    @remembered(_content)
    def _moment(self, n: int, weight: Expr, order: int, overlap: Expr, variance: Expr) -> Expr:
        """Return E[weight(l*) d^order f^n/dl^order], f = (own - y) sigma': kernels of products."""
        own, slope = self.own, self.student.derivative
        total = []
        for k in range(n + 1) if own != 0 else [n]:
            left = Distribution.of(own ** (n - k) * slope**n).diff(order)
            factor = weight * (self.labels.moments_in_noise(k) if k else 1)
            total += [
                (-1) ** k * sp.binomial(n, k) * c * gaussian_kernel(left, right, overlap, variance)
                for c, right in self._laws(sp.expand(factor))
            ]
        return tidy_sum(sp.Add(*total))

    def _laws(self, f: Expr) -> list[tuple[Expr, Distribution]]:
        """Return f(x) as a polynomial in Delta: (power of the noise, function) pairs."""
        if not f.has(Delta):
            return [(S.One, Distribution.of(f))]
        noise = self.labels.noise
        return [(noise**k, Distribution.of(g)) for (k,), g in sp.Poly(f, Delta).terms()]

    @property
    def is_closed(self) -> bool:
        """Whether L(q, r) contains no unevaluated expectation."""
        return is_closed(self.expr)

    @cached_property
    def written(self) -> Loss:
        """The loss with named constants in the place of long decimals; itself without any."""
        network = self.network.written
        return self if network is self.network else Loss(network)

    @cached_property
    def constants(self) -> Constants:
        """What the decimals of student and teacher are written as."""
        written, single = self.written, self.network.is_single_index
        functions = (written.student, written.teacher) if single else [each.function for each in written._signed]
        return Constants.within(*(f.expr for f in functions), typed=self.network.decimals.typed)

    @property
    def links(self) -> tuple[Equation, ...]:
        """Student and learnt link, and the constants in them that have names."""
        written = self.written
        named = (("student", r"\sigma(x)", written.student), ("teacher", r"\varphi(x)", written.teacher))
        shown = ((label, left, latex(f.unresolved, self.constants)) for label, left, f in named)
        links = (Equation.of(label, left, right) for label, left, right in shown if left != right)
        return (*links, *constants_of(self.constants))

    @property
    def equations(self) -> tuple[Equation, ...]:
        """L, L_q and L_r in q and r."""
        written = self.written
        slope, bend = written.gradient()
        named = (("loss", "L(q, r)", written.expr), ("loss-q", "L_{q}", slope), ("loss-r", "L_{r}", bend))
        return tuple(Equation.of(*each) for each in named)

    @property
    def heading(self) -> str:
        """Whose loss it is."""
        return f"Loss: population loss {self.brief}"

    @property
    def brief(self) -> str:
        """Whose loss it is."""
        return f"of {self.network.brief}"

    def formulas(self) -> dict[str, Expr]:
        """The loss, and its slopes by the symbols that the network gives."""
        arguments, written = ", ".join(map(str, self.network.entries)), self.written
        return {f"L({arguments})": written.value, **{str(name): slope for name, slope in written.slopes.items()}}

    def _repr_latex_(self) -> str:
        return on_screen([*self.links, *self.equations])


def tidy_sum(expr: Expr) -> Expr:
    """Tidy a closed expression; leave one with unevaluated nodes as it stands."""
    return tidy(expr) if is_closed(expr) else expr
