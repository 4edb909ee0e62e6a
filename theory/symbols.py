r"""Every symbol once: assumptions, meaning, LaTeX name.

Time is `t = eta * step` (step size times number of SGD steps) wherever a rate or a time appears.
"""

from sympy import Symbol

__all__ = [
    "FREE",
    "MEANINGS",
    "N_4",
    "TAKEN",
    "C",
    "Delta",
    "J",
    "L_q",
    "L_r",
    "M_ll",
    "M_ls",
    "M_ss",
    "N_l",
    "N_s",
    "R",
    "T",
    "Z",
    "a",
    "alpha",
    "c",
    "d",
    "eta",
    "kappa",
    "m",
    "mu",
    "q",
    "q_s",
    "r",
    "rho",
    "s",
    "t",
    "u",
    "x",
    "y",
]

x = Symbol("x", real=True)
y = Symbol("y", real=True)
a = Symbol("a", real=True)
t = Symbol("t", nonnegative=True)
T = Symbol("T", positive=True)
R = Symbol("R", positive=True)
Z = Symbol("Z", real=True)
C = Symbol("C", real=True)

mu = Symbol("mu", positive=True)
rho = Symbol("rho", positive=True)
q = Symbol("q", real=True)
r = Symbol("r", positive=True)
q_s = Symbol("q_s", real=True)
c = Symbol("c", real=True)
u = Symbol("u", real=True)
m = Symbol("m", real=True)
s = Symbol("s", real=True)

L_q = Symbol("L_q", real=True)
L_r = Symbol("L_r", real=True)
J = Symbol("J", nonnegative=True)
M_ss = Symbol("M_ss", nonnegative=True)
M_ls = Symbol("M_ls", real=True)
M_ll = Symbol("M_ll", real=True)
N_s = Symbol("N_s", real=True)
N_l = Symbol("N_l", real=True)
N_4 = Symbol("N_4", nonnegative=True)

d = Symbol("d", positive=True, integer=True)
eta = Symbol("eta", positive=True)
kappa = Symbol("kappa", nonnegative=True)
alpha = Symbol("alpha", real=True, nonzero=True)
Delta = Symbol("Delta", nonnegative=True)

_LETTERS = "ABCDEGIJKLNOQRSTZdefgklmnqrstuvwxy"
_WORDS = "alignment mu rho eta kappa tau alpha lambda lamda Delta sigma phi varphi xi ell pi He M_ss M_ls M_ll"
TAKEN = frozenset((*_LETTERS, *_WORDS.split(" ")))
"""Names that the theory prints: no parameter of a function has one, nor one with an index, as L_q, nor z_1."""
FREE = "a, b, c, p, beta, gamma, or one with an index such as c1"
"""Names that it leaves to parameters of functions."""

MEANINGS = {
    x: "pre-activation",
    y: "label",
    a: "mean of the pre-activation",
    t: "time, step size times number of steps",
    T: "exit time, in the unit of t",
    R: "threshold of $|m|$",
    Z: "standard normal: the start, and the noise of the search phase",
    C: "constant of the escape-time law, one integration along the unstable manifold",
    mu: "alignment <w0, w*> of the pre-trained weight",
    rho: "length |w0| of the pre-trained weight",
    q: "overlap <w, w*> of student and teacher weight",
    r: "squared norm <w, w> of the student weight",
    q_s: "overlap <w, w_s> with the source teacher",
    c: "similarity <w_s, w*> of source and target teacher",
    u: "trainable scale of the LoRA update",
    m: "overlap <v, w*>",
    s: "overlap <v, w0>",
    L_q: "dL/dq",
    L_r: "dL/dr",
    J: "E[(sigma(l) - y)^2 sigma'(l)^2], the variance of the gradient in a bulk direction",
    M_ss: "E[f^2 l*^2] - J, f = (sigma(l) - y) sigma'(l)",
    M_ls: "E[l* d(f^2)/dl]",
    M_ll: "E[d^2(f^2)/dl^2]",
    N_s: "E[f^3 l*]",
    N_l: "E[d(f^3)/dl]",
    N_4: "E[f^4]",
    d: "input dimension",
    eta: "step size",
    kappa: "eta d / B",
    alpha: "fixed LoRA scale: w = w0 + alpha u v",
    Delta: "variance of the label noise",
}
