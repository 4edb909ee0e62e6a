r"""Every symbol once: assumptions, meaning, LaTeX name.

Time is `t = eta * step` (step size times number of SGD steps) wherever a rate or a time appears.
"""

from sympy import Symbol

__all__ = ["MEANINGS", "J", "L_q", "L_r", "T", "a", "d", "eta", "kappa", "m", "mu", "q", "r", "rho", "s", "t", "u", "x"]

x = Symbol("x", real=True)
a = Symbol("a", real=True)
t = Symbol("t", nonnegative=True)
T = Symbol("T", positive=True)

mu = Symbol("mu", positive=True)
rho = Symbol("rho", positive=True)
q = Symbol("q", real=True)
r = Symbol("r", positive=True)
u = Symbol("u", real=True)
m = Symbol("m", real=True)
s = Symbol("s", real=True)

L_q = Symbol("L_q", real=True)
L_r = Symbol("L_r", real=True)
J = Symbol("J", nonnegative=True)

d = Symbol("d", positive=True, integer=True)
eta = Symbol("eta", positive=True)
kappa = Symbol("kappa", nonnegative=True)

MEANINGS = {
    x: "pre-activation",
    a: "mean of the pre-activation",
    t: "time, step size times number of steps",
    T: "exit time, in the unit of t",
    mu: "alignment <w0, w*> of the pre-trained weight",
    rho: "strength |w0| of the pre-trained weight",
    q: "overlap <w, w*> of student and teacher weight",
    r: "squared norm <w, w> of the student weight",
    u: "LoRA scale",
    m: "overlap <v, w*>",
    s: "overlap <v, w0>",
    L_q: "dL/dq",
    L_r: "dL/dr",
    J: "E[(sigma(l) - y)^2 sigma'(l)^2], the variance of the gradient in a bulk direction",
    d: "input dimension",
    eta: "step size",
    kappa: "eta d / B",
}
