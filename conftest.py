"""For every test and docstring: a cache that is off, a registry left as it was, and examples that CI repeats.

In continuous integration Hypothesis draws the same examples every time; elsewhere it explores.
"""

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

os.environ["HERMESCAPE_CACHE"] = "off"  # tests derive; test_cache.py turns it on for itself

settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")


@pytest.fixture(autouse=True)
def _registry_left_as_it_was() -> Iterator[None]:
    from theory.language import activations as room  # noqa: PLC0415 (after the cache is off)

    before = dict(room._NAMED), dict(room._TEXTS)
    yield
    if before != (room._NAMED, room._TEXTS):
        for held, saved in zip((room._NAMED, room._TEXTS), before, strict=True):
            held.clear()
            held.update(saved)
        room._from_text.cache_clear()
