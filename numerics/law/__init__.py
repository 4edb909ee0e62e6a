r"""The law of the exit time as d grows: T, the first t = eta * step with |m| >= R, in numbers.

`theory.search.regimes` says how a start is left, `theory.search.law` states the formulas; here their constants are
computed. One room a kind of law:

- `linear`, with constants from `starts`: T = tau [ (1/2) log d - log|Z + z_0| + prefactor - log(gain) + C ] + o(1), for
  LoRA with a slope of the loss at w0, plain training with information exponent 2, and u alone;
- `noise_driven`: the same form with tau = d/g, at a critical strength, where only SGD's noise leads out;
- `ballistic`: a Gaussian of width O(1/sqrt(d)), plain training with information exponent 1;
- `passage`: a first passage solved at each d, plain training with information exponent 3 or more;
- `diffusion`: a sample of exit times of SGD's diffusion, or of its chain of whole steps, in any regime, and its
  distance from the formula;
- `staged`: training in stages, each from the state that the one before reached.

Corrections to linear escape are O(1/sqrt(d)) for ReLU, O(1/d) for analytic losses, and O(eta) in both (one step of the
search is exact in eta, the way out is not). A simulation exits at the first step not before T.
"""

from numerics.law.ballistic import Ballistic
from numerics.law.choose import Compared, compared_laws, escape_law
from numerics.law.diffusion import SampledLaw
from numerics.law.linear import LinearEscape
from numerics.law.passage import Passage
from numerics.law.protocol import Law
from numerics.law.staged import staged_law

__all__ = [
    "Ballistic",
    "Compared",
    "Law",
    "LinearEscape",
    "Passage",
    "SampledLaw",
    "compared_laws",
    "escape_law",
    "staged_law",
]
