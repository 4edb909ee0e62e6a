"""In continuous integration Hypothesis draws the same examples every time; elsewhere it explores. No cache on disk."""

import os

from hypothesis import settings

os.environ["HERMESCAPE_CACHE"] = "off"  # tests derive; test_cache.py turns it on for itself

settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")
