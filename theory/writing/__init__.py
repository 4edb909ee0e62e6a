r"""Equations as LaTeX: for Jupyter, as fragments of a paper and as a document that compiles. No algebra here."""

from theory.writing.document import document
from theory.writing.equations import activation_equations, equations, escape_equations, loss_equations

__all__ = ["activation_equations", "document", "equations", "escape_equations", "loss_equations"]
