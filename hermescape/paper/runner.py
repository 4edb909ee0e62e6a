"""Making figures: what is there already, what would be lost, computing, drawing, describing, checking.

A figure NAME is four files: NAME.nc (its data, which redraws it), NAME.png, NAME.pdf and NAME.md (its caption). The
data file is written as soon as the figure is computed, so that an interruption loses one figure at most; a later call
keeps data of the same settings and version, and draws what is missing. Files are written beside their place and moved.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import xarray as xr

from hermescape.output import save
from hermescape.paper.checks.findings import Finding
from hermescape.paper.registry import Figure
from hermescape.paper.settings import Settings
from theory.errors import ParameterError

__all__ = ["Made", "reproduce", "state_of"]

SUFFIXES = (".png", ".pdf", ".md")
DPI = 160

Progress = Callable[[str], AbstractContextManager[Callable[..., None]]]
"""Makes a progress bar for a label."""


@dataclass(frozen=True)
class Made:
    """One figure of a run: whether it was made or kept, its files, caption, and findings where checked."""

    name: str
    status: str
    files: tuple[str, ...]
    caption: str
    seconds: float
    findings: tuple[Finding, ...] = field(default=())

    @property
    def passed(self) -> bool:
        """Whether no finding is off."""
        return all(finding.passed for finding in self.findings)

    def as_dict(self, checked: bool) -> dict[str, Any]:
        """Return plain values for JSON."""
        record: dict[str, Any] = {"name": self.name, "status": self.status, "files": list(self.files)}
        record |= {"caption": self.caption, "seconds": self.seconds}
        return record | ({"passed": self.passed, "checks": [f.as_dict() for f in self.findings]} if checked else {})


def reproduce(
    figures: Sequence[Figure],
    out: Path,
    settings: Settings,
    *,
    force: bool = False,
    check: bool = False,
    progress: Progress,
    report: Callable[[str], None] = lambda _: None,
) -> list[Made]:
    """Make figures in a folder, keeping those whose data have the same settings.

    Args:
        figures: in this order.
        out: a folder, made if its parent is there.
        settings: amount of work, seed, threads.
        force: compute again, and overwrite whatever has the names of the files.
        check: compare every curve with closed forms or independent quadrature.
        progress: makes a progress bar for a label.
        report: told one line a figure.

    Raises `ParameterError`, before any work, for a folder that cannot be written or files that would be lost.
    """
    states = {} if force else {figure.name: state_of(figure, out, settings) for figure in figures}
    _prepare(out)
    made = []
    for figure in figures:
        kept = states.get(figure.name) == "kept"
        made.append(_make(figure, out, settings, kept, check, progress))
        report(f"{figure.name}: {made[-1].status} ({made[-1].seconds:.0f} s)")
    return made


def state_of(figure: Figure, out: Path, settings: Settings) -> str:
    """Return "kept" where the data are there with the same settings, "missing" where there are no files.

    Raises `ParameterError` for files that a run would overwrite.
    """
    data = out / f"{figure.name}.nc"
    if data.exists():
        made_with = _key_of(data)
        if made_with == settings.key:
            return "kept"
        given = "no figure data" if made_with is None else f"made with {made_with}"
        raise ParameterError(
            f"{data} is there, {given}, and {settings.key} asked; accepted: another --out, the same options, or "
            "--force "
            "to overwrite it."
        )
    for suffix in SUFFIXES:
        path = out / f"{figure.name}{suffix}"
        if path.exists():
            raise ParameterError(f"{path} is there without its data; accepted: another --out, or --force.")
    return "missing"


def _key_of(path: Path) -> dict[str, Any] | None:
    try:
        with xr.open_dataset(path, engine="h5netcdf") as dataset:
            return json.loads(dataset.attrs["settings"])
    except (OSError, KeyError, ValueError):
        return None


def _prepare(out: Path) -> None:
    """Make the folder, or say why it cannot be used."""
    if out.exists() and not out.is_dir():
        raise ParameterError(f"--out {out} given; accepted: a folder, not a file.")
    try:
        out.mkdir(exist_ok=True)
    except OSError as error:
        raise ParameterError(f"--out {out} cannot be made: {error.strerror}; create its parent first.") from error
    if not os.access(out, os.W_OK | os.X_OK):
        raise ParameterError(f"--out {out} given; accepted: a folder that can be written.")


def _make(figure: Figure, out: Path, settings: Settings, kept: bool, check: bool, progress: Progress) -> Made:
    data = out / f"{figure.name}.nc"
    if kept:
        dataset = xr.load_dataset(data, engine="h5netcdf")
    else:
        dataset = _compute(figure, settings, progress)
        content = dataset.to_netcdf(engine="h5netcdf")  # made in memory: on a full disk HDF5 crashes
        save(data, lambda path: path.write_bytes(content))
    caption = caption_of(figure, dataset)
    _write(figure, out, dataset, caption, only_missing=kept)
    files = tuple(str(out / f"{figure.name}{suffix}") for suffix in (".nc", *SUFFIXES))
    findings = tuple(figure.check(dataset)) if check else ()
    return Made(figure.name, "kept" if kept else "made", files, caption, float(dataset.attrs["run_seconds"]), findings)


def _compute(figure: Figure, settings: Settings, progress: Progress) -> xr.Dataset:
    start = time.perf_counter()
    with progress(figure.name) as advance:
        dataset = figure.compute(settings, advance)
    seconds = time.perf_counter() - start
    return dataset.assign_attrs(
        figure=figure.name, title=figure.title, settings=json.dumps(settings.key), run_seconds=seconds, **settings.key
    )


def caption_of(figure: Figure, dataset: xr.Dataset) -> str:
    """Return the caption: what is shown, and with what it was made."""
    made = dataset.attrs
    work = "quick" if made["quick"] else "full"
    how = (
        f"Made by `hermescape reproduce {figure.name}` (hermescape {made['version']}, {work} settings, "
        f"seed {made['seed']}) in {made['run_seconds']:.1f} s from `{figure.name}.nc`."
    )
    return f"# {figure.title}\n\n{figure.describe(dataset)}\n\n{how}\n"


def _write(figure: Figure, out: Path, dataset: xr.Dataset, caption: str, *, only_missing: bool) -> None:
    """Draw and describe; where data were kept, only what is missing."""
    wanted = [s for s in SUFFIXES if not (only_missing and (out / f"{figure.name}{s}").exists())]
    drawn = figure.draw(dataset) if {".png", ".pdf"} & set(wanted) else None
    for suffix in wanted:
        path = out / f"{figure.name}{suffix}"
        if drawn is None or suffix == ".md":
            content = caption.encode()
        else:
            buffer = BytesIO()
            drawn.savefig(buffer, format=suffix[1:], dpi=DPI)
            content = buffer.getvalue()
        save(path, lambda target, content=content: target.write_bytes(content))
