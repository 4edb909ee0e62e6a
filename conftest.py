"""For every test and docstring: a cache of this run alone, a registry left as it was, and examples that CI repeats.

What is derived or compiled once in a run is there for all its processes, and for no other run.

In continuous integration Hypothesis draws the same examples every time; elsewhere it explores.
"""

import os
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings

if "PYTEST_XDIST_WORKER" not in os.environ:  # workers are told by the process that starts them
    _CACHE = TemporaryDirectory(prefix="hermescape-tests-")
    os.environ["HERMESCAPE_CACHE"] = _CACHE.name

settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")


ROOT = Path(__file__).parent
QUICK = (
    *("theory/errors.py", "theory/symbols.py", "theory/language", "theory/typeset", "theory/network"),
    *("numerics/compile", "numerics/parameters.py", "numerics/flows/engines", "hermescape/output.py"),
    *("tests/test_layers.py", "tests/test_tree.py", "tests/test_public.py", "tests/test_glossary.py"),
    *("tests/theory/language/test_activations.py", "tests/theory/language/test_labels.py"),
    *("tests/theory/language/test_parser.py", "tests/theory/network/test_vectors.py"),
    *("tests/theory/writing/test_sources.py", "tests/numerics/compile/test_primitives.py"),
    *("tests/numerics/simulation/test_statistics.py", "tests/hermescape/test_shadows.py"),
)
"""Files and folders whose tests together take under a minute on two cores; `pytest -m quick` runs them."""

OF_PAGES = (ROOT / "tests" / "test_docs.py", ROOT / "tests" / "looks" / "test_pages.py")


@cache
def _is_quick(path: Path) -> bool:
    return any(path == ROOT / place or ROOT / place in path.parents for place in QUICK)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With `-m quick` alone, import nothing that it would leave out: that takes half the time."""
    left_out = config.option.markexpr == "quick" and collection_path.suffix == ".py" and not _is_quick(collection_path)
    return True if left_out else None


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--seconds`, which `.ci/run` gives."""
    parser.addoption("--seconds", action="store_true", help="at the end, seconds of each part and of the slowest files")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say where the time went, summed over the workers: by storey and room, and in the ten slowest files."""
    if not config.option.seconds:
        return
    parts, files = Counter[str](), Counter[str]()
    for report in (report for reports in terminalreporter.stats.values() for report in reports):
        path = getattr(report, "nodeid", "").partition("::")[0]
        folders = Path(path).parts[:-1]
        parts["/".join(folders[: 1 + (folders[:1] == ("tests",))])] += getattr(report, "duration", 0.0)
        files[path] += getattr(report, "duration", 0.0)
    for title, seconds in (("parts", parts.most_common()), ("slowest files", files.most_common(10))):
        terminalreporter.section(f"seconds of the {title}")
        for name, taken in seconds:
            terminalreporter.write_line(f"{taken:7.1f}  {name}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is quick, and begin with what needs the pages: no process is to wait while another builds them."""
    items.sort(key=lambda item: item.path not in OF_PAGES)
    for item in items:
        if _is_quick(item.path):
            item.add_marker(pytest.mark.quick)


@pytest.fixture(autouse=True)
def _registry_left_as_it_was() -> Iterator[None]:
    from theory.language import activations as room  # noqa: PLC0415 (after the cache is chosen)

    before = set(room._NAMED)
    yield
    if added := set(room._NAMED) - before:
        for name in added:
            del room._NAMED[name], room._TEXTS[name]
        room._from_text.cache_clear()
