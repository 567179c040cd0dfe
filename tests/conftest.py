"""Settings for all tests."""

from __future__ import annotations

import os

import hypothesis

# No window is opened, and kernels and forks see the same.
os.environ["MPLBACKEND"] = "agg"

# The same examples on every machine and every run; no deadline, since the machine may be busy.
hypothesis.settings.register_profile("house", derandomize=True, deadline=None, max_examples=50, print_blob=True)
hypothesis.settings.load_profile("house")
