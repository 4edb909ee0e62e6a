"""A file or folder of the user's that Python finds before our own packages, named before it does harm.

`theory` and `numerics` are import packages under exactly these names, so that a script beside a folder `theory/` of its
own would import that, and fail somewhere else with a message about something else.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

__all__ = ["ShadowedPackageError", "refuse_shadows"]

OURS = Path(__file__).parents[1]
PACKAGES = ("theory", "numerics")


class ShadowedPackageError(ImportError):
    """Another module stands where `theory` or `numerics` of this package is expected; `path` says which."""


def refuse_shadows() -> None:
    """Raise `ShadowedPackageError` where `theory` or `numerics` would be, or was, imported from somewhere else."""
    for name in PACKAGES:
        expected = OURS / name / "__init__.py"
        try:
            spec = find_spec(name)
        except ValueError:  # imported already, by hand, without a specification
            spec = None
        origin = None if spec is None else spec.origin
        if origin is not None and expected.is_file() and Path(origin).resolve() != expected.resolve():
            raise ShadowedPackageError(
                f"{_culprit(origin)} is imported as {name} in place of {expected.parent}, which hermescape needs; "
                f"accepted: nothing of that name in the working directory, or earlier on sys.path. Rename "
                f"it, or start Python in another folder.",
                name=name,
                path=origin,
            )


def _culprit(origin: str) -> Path:
    """Return the folder of a package, and the file of a module."""
    path = Path(origin)
    return path.parent if path.name == "__init__.py" else path
