"""Every tolerance that decides a result: its value, its unit and why it is what it is.

A number stands here where another value could change an answer, a verdict or a stated error; a constant that only
makes a result faster or prettier stays in the module that it belongs to. `docs/accuracy.md` prints this table.

>>> from numerics import accuracy
>>> accuracy.LEVEL, accuracy.LEVEL.unit
(0.005, 'p, after Holm')
"""

from typing import Self

__all__ = ["Tolerance", "table"]


class Tolerance(float):
    """A number that decides a result.

    Attributes:
        unit: what it is measured in.
        why: why this value.
    """

    unit: str
    why: str

    def __new__(cls, value: float, unit: str, why: str) -> Self:
        """Make the number."""
        made = super().__new__(cls, value)
        made.unit, made.why = unit, why
        return made

    def __reduce__(self) -> tuple[type[Self], tuple[float, str, str]]:
        """Make it again in another process."""
        return type(self), (float(self), self.unit, self.why)


# What an integral is
INTEGRAL = Tolerance(
    1e-12,
    "absolute below 1, else relative",
    "quadrature settles there within the rounding of a double; asked of an expectation unless one says otherwise",
)
VALUE = Tolerance(
    1e-10,
    "absolute below 1, else relative",
    "ten digits of a printed value, which a user sees; `--tolerance` moves it",
)
FINEST_INTEGRAL = Tolerance(
    1e-12,
    "absolute below 1, else relative",
    "what a search time tries first, before it settles for what its own tolerance needs",
)
COEFFICIENT = Tolerance(
    1e-12,
    "of a_k",
    "Hermite coefficients decide an information exponent: twelve digits tell 0 from small",
)
QUADRATURE_ROUNDING = Tolerance(
    5e-15,
    "of the integral of the modulus",
    "some 20 rounding errors of a sum of up to a thousand nodes, stated with every integral",
)
SERIES_ROUNDING = Tolerance(
    4e-15,
    "of the norm",
    "the same for a coefficient of a Hermite series",
)
SETTLED_NORM = Tolerance(
    1e-10,
    "relative change",
    "panels are fine enough for a remainder, which is a difference of norms",
)
SUM_ROUNDING = Tolerance(
    2.0**-51,
    "of the sum of the moduli",
    "two rounding errors of the terms of A, B and G, below which their sum is noise",
)
UNIT_ROUNDING = Tolerance(
    1.001 * 2.0**-53,
    "relative",
    "one operation on doubles, in a running bound that is itself rounded",
)
FUNCTION_ROUNDING = Tolerance(
    16,
    "roundings",
    "of a function of the library, whose last digits differ from machine to machine: four times what is documented",
)
PROBABILITY_ROUNDING = Tolerance(
    1e-15,
    "absolute",
    "of a bivariate normal probability",
)
TIME_ROUNDING = Tolerance(
    16,
    "roundings",
    "of tau from G and B: a root, a sum, a quotient and a product, and those of G from L_q and L_r",
)
DIFFERENCE_ROUNDING = Tolerance(
    16,
    "roundings",
    "of phi(Z) - sigma(mu Z) in the one integral of A, of the norms of both",
)
INTERPOLATION_TAIL = Tolerance(
    8,
    "last coefficients",
    "what an interpolation of A and B leaves out, at twice the decay or more from one coefficient to the next",
)
INTERPOLATION_CHECK = Tolerance(
    2,
    "deviations",
    "the same by what was measured between the nodes, at a few places",
)

# What a flow is
FLOW_RTOL = Tolerance(
    1e-10,
    "relative",
    "tolerance of an integration; exit times then agree with a second engine to some 1e-9",
)
SMALLEST_FLOW_RTOL = Tolerance(
    1e-13,
    "relative",
    "smaller ones lie below what a double resolves in a step",
)
SURROGATE = Tolerance(
    1e-10,
    "of the largest slope",
    "interpolation of slopes without a closed form, as fine as the flow that reads them",
)
SMALLEST_SURROGATE = Tolerance(
    1e-12,
    "of the largest slope",
    "as fine as the quadrature behind it",
)
EDGE_OF_SURROGATE = Tolerance(
    1e-6,
    "relative",
    "a flow that stopped so near the end of a surrogate was stopped by it, and goes on with a wider one",
)

# What a law is
LAW_RTOL = Tolerance(
    1e-11,
    "relative",
    "integrations of a law: its constant C is then known to some 3e-10",
)
LARGEST_LAW_RTOL = Tolerance(
    1e-4,
    "relative",
    "beyond it the constant has too few digits to say how it depends on anything",
)
THROUGH_FLOW_RTOL = Tolerance(
    1e-8,
    "relative",
    "exit times through the flow, finer than the interval of any median of runs",
)
CONSTANT_ERROR = Tolerance(
    30,
    "rtol",
    "measured error of C in units of the tolerance, nearly critical starts included",
)
SMALLEST_START = Tolerance(
    1e-12,
    "size of u",
    "the start of the way out whose logarithm C extrapolates: the next term is of its square",
)
SMALLEST_MODE = Tolerance(
    1e-9,
    "alignment",
    "the same for a mode of any network, whose eigenvector is known to some 1e-12",
)
ISOLATED_MODE = Tolerance(
    1e-6,
    "of the leading rate",
    "rates closer to it share their mode: the law of one does not hold",
)
SAME_RATE = Tolerance(
    1e-8,
    "relative",
    "two rates that differ by less are the same formula",
)
PARALLEL = Tolerance(
    1e-9,
    "of rho, across w*",
    "a w0 so near to w* or -w* has its smallest curvature as if along it",
)
LONGEST_WAY = Tolerance(
    1e4,
    "tau",
    "a flow that takes longer counts as trapped",
)
NEARLY_CRITICAL = Tolerance(
    0.1,
    "|A|/|B|",
    "the law of noise neglects terms of order A^2/B^2",
)
FORGOTTEN_SCALE = Tolerance(
    0.01,
    "of log m",
    "what an initial scale u0 may add to it before it counts as a cause of the escape",
)
LARGEST_BALLISTIC_STEP = Tolerance(
    0.3,
    "of the exit time",
    "size of the correction of first order in eta beyond which the second cannot be neglected",
)
QUIET_NOISE = Tolerance(
    3e-4,
    "variance of log m",
    "noise while m doubles, below which the flow alone decides the rest of a passage",
)
PASSAGE_REACH = Tolerance(
    0.8,
    "of the threshold",
    "X d^(-1/2), where diffusion hands over to the flow, stays below it",
)
FINEST_STEP = Tolerance(
    0.01,
    "of the lower quartile",
    "larger steps are not infinitesimal, as the law of a passage takes them",
)
NEVER = Tolerance(
    1e-3,
    "share of the runs",
    "a start from which fewer escape counts as trapped",
)
NEGLIGIBLE_SHIFT = Tolerance(
    1e-3,
    "standard deviations",
    "a shift of the start that leaves the slope in log d as it is",
)
DIFFUSION_STALL = Tolerance(
    0.6,
    "of the drift of m",
    "held back by noise at the threshold, beyond which SGD of finite steps is no diffusion; exact simulation agreed up "
    "to 0.67, and rejected it from 0.83 on (p = 7e-7, 2000 runs)",
)
LEAST_LEAD = Tolerance(
    30.0,
    "of |alpha| G sqrt(d)/lambda",
    "below it u leaves before m follows where B > 0, and a phase diagram asks SGD's diffusion for its medians",
)
MOMENTS = Tolerance(
    1e-5,
    "of each moment's largest value",
    "what a table of moments may be off by, far below the error of a sample of paths",
)

# What a simulation is
DEGENERATE = Tolerance(
    1e-14,
    "of the diagonal",
    "a pivot of the weights' Gram matrix below it is zero: as many units as dimensions, or a dead one",
)
CONFIDENCE = Tolerance(
    0.95,
    "probability",
    "of the interval of a median, by order statistics",
)

# What is best
BEST_ALIGNMENT = Tolerance(
    1e-6,
    "mu",
    "the minimum of tau is flat: a finer place changes tau by 1e-12",
)
BEST_PARAMETER = Tolerance(
    1e-6,
    "of the value",
    "the same for a parameter of a family",
)
BEST_MEDIAN = Tolerance(
    1e-4,
    "of the value",
    "medians of a law carry some nine digits, and their minimum is flat",
)
BIFURCATION = Tolerance(
    1e-10,
    "of the parameter",
    "what a fold, or an end at mu = 1, that is searched for may be off by: some thousand roundings of A",
)
LONGEST_FINE_TUNING = Tolerance(
    1e4,
    "tau",
    "fine-tuning that takes longer counts as not reached",
)

# What a check decides
CHECK_CONFIDENCE = Tolerance(
    0.99,
    "probability",
    "of the interval of a median that a prediction has to lie in: one of a hundred may miss by chance",
)
LEVEL = Tolerance(
    0.005,
    "p, after Holm",
    "a law is rejected below it; with the second test that makes 0.01 a check",
)
CONTROL_LEVEL = Tolerance(
    1e-3,
    "p, after Holm",
    "a wrong law that is not rejected below it shows that the check has no power",
)
LARGEST_LOSS = Tolerance(
    0.1,
    "share of the runs",
    "may diverge where medians are compared, which they move by a tenth of the ranks at most",
)
LARGEST_LOSS_OF_A_LAW = Tolerance(
    0.005,
    "share of the runs",
    "may diverge where whole distributions are compared",
)
NOISY_RATE = Tolerance(
    0.03,
    "of the rate",
    "what noise in u may change it by at a batch that the check chooses; twice that at a given one",
)
LARGEST_CORRECTION = Tolerance(
    0.1,
    "of the flow's exit time",
    "what finite kappa may change it by at a batch that the check chooses",
)
LARGEST_GAIN = Tolerance(
    1.5,
    "of the spread of the start",
    "widening by noise beyond which the check takes a larger batch",
)
LARGEST_SHIFT = Tolerance(
    1.0,
    "of C",
    "what the kappa drift may add at the default kappa",
)
LARGEST_SLOWING = Tolerance(
    0.05,
    "of the noise-driven rate",
    "how far from proportional to kappa it may be at the default kappa",
)
LARGEST_DELAY = Tolerance(
    0.25,
    "of log T, lower quartile",
    "what noise may change of a passage, and the share of runs that it may trap",
)
FINE_STEP = Tolerance(
    0.02,
    "tau",
    "steps that a check takes for infinitesimal, up to its first-order correction",
)
FINE_PASSAGE = Tolerance(
    1e-3,
    "of the lower quartile",
    "the same for a passage, whose law has no correction for steps",
)
FINE_DEVIATION = Tolerance(
    0.25,
    "standard deviations",
    "the same for a ballistic exit, which is sharp",
)
LONGEST_CHECKED_SEARCH = Tolerance(
    1e6,
    "tau",
    "a flow that takes longer counts as trapped in a check",
)


def table() -> dict[str, Tolerance]:
    """Return every tolerance by its name, in the order of this page.

    >>> len(table()) > 40
    True
    """
    return {name: value for name, value in globals().items() if isinstance(value, Tolerance)}
