"""Reproduction of arXiv:2602.02855: every figure of its theory and single-index experiments, from scratch.

`names` lists the figures and `registry` says how each is made: a family module (`search`, `dynamics`, `stages`,
`landscape`, `corrected`) computes one labelled dataset, a module of `drawing` draws it, `captions` describes it, and a
module of `checks` compares it with closed forms, with quadrature of expressions written down anew (`checks.oracle`),
and with an integration of its own. `runner` keeps what is finished. Nothing here is fitted, and nothing is taken from
the paper but its published exit times (`published`).

>>> from hermescape.paper.registry import FIGURES
>>> "published-corrected" in FIGURES
True
"""
