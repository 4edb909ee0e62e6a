"""The command `hermescape certify`."""

from __future__ import annotations

from hermescape.cli.options import Given, Json, takes, use
from hermescape.output import print_json, print_parts, telling
from theory.errors import ParameterError

__all__ = ["certify"]


@takes("student", use("mu", kind=str, metavar="MU"), "teacher", "label", "noise", "scale", "objective")
def certify(given: Given, as_json: Json = False) -> None:
    """Give what is proved of A, B and tau at one mu, of the kinks of both functions, and of the critical alignments.

    Each number comes with an enclosure that contains it as a theorem, its ends rounded outwards. What is not proved is
    "not certified", and says why; the exit code is 0 all the same.
    """
    mu = _alignment(given.pop("mu"))
    from hermescape.task import Task
    from hermescape.views.certificate import certificate_parts, certificate_report
    from numerics.rates.certificate import certify as proved

    system = Task(**given).system()
    with telling() as tell:
        tell("proving A, B, tau, kinks and critical alignments", None, None)
        proof = proved(system, mu)
    print_json(certificate_report(proof)) if as_json else print_parts(*certificate_parts(proof))


def _alignment(text: str | None) -> str:
    """Return the alignment as it was typed, so that it stays exact."""
    if text is None:
        raise ParameterError("no --mu given; accepted: --mu with one alignment in (0, 1], such as 0.4 or 1/3.")
    from numerics.integrals.evaluate import exact_number

    if not 0 < exact_number(text, "mu") <= 1:
        raise ParameterError(f"mu = {text} given; accepted: a number in (0, 1]; mu is the alignment <w0, w*>.")
    return text
