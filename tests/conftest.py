"""Settings for all tests."""

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import hypothesis
import pytest

# No window is opened, and kernels and forks see the same.
os.environ["MPLBACKEND"] = "agg"

# The same examples on every machine and every run; no deadline, since the machine may be busy.
hypothesis.settings.register_profile("house", derandomize=True, deadline=None, max_examples=50, print_blob=True)
hypothesis.settings.load_profile("house")


class ChoralesCache(NamedTuple):
    """A cache that holds all chorales, and how long loading them took: first from their files, then from the cache."""

    folder: Path
    load_sec: list[float]


@pytest.fixture(scope="session")
def filled_cache(tmp_path_factory):
    # In a fresh interpreter, since the tests' own check every call for the shapes of its arrays.
    program = (
        "import time; from mini_musessl import corpora\n"
        "for _ in range(4):\n"
        "    start = time.process_time(); grids = corpora.load_chorales(); print(time.process_time() - start)"
    )
    folder = tmp_path_factory.mktemp("chorales")
    environment = {**os.environ, "MUSESSL_CACHE": str(folder)}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return ChoralesCache(folder, [float(line) for line in done.stdout.split()])


@pytest.fixture(scope="module")
def chorales_cache(filled_cache):
    """Let a module read the chorales from a cache that was written once in this run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MUSESSL_CACHE", str(filled_cache.folder))
        yield filled_cache
