"""Tests of the JSB chorales: the right file, and every wrong one."""

from __future__ import annotations

import functools
import hashlib
import http.server
import os
import threading

import numpy as np
import pytest

from mini_musessl import corpora, voices

needs_jsb = pytest.mark.skipif(
    not os.environ.get("MUSESSL_JSB"), reason="the JSB file may not be shipped; MUSESSL_JSB names no copy of it"
)

TINY = b'{"train": [[[60, 57, 53, 48], [60, 57, 53, 48]]], "valid": [[[62, -1, 53, 48]]], "test": [[[64, 60, 55, 48]]]}'


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """A small file in place of the real one, whose sha256 is the one asked for."""
    path = tmp_path / "served" / "Jsb16thSeparated.json"
    path.parent.mkdir()
    path.write_bytes(TINY)
    monkeypatch.setattr(corpora, "JSB_SHA256", hashlib.sha256(TINY).hexdigest())
    monkeypatch.setenv("MUSESSL_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MUSESSL_JSB", raising=False)
    return path


@pytest.fixture
def server(tiny, monkeypatch):
    """A server on this machine that gives the small file."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            """Say nothing."""

    found = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(tiny.parent)))
    threading.Thread(target=found.serve_forever, args=(0.01,), daemon=True).start()
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    monkeypatch.setattr(corpora, "JSB_URL", f"http://127.0.0.1:{found.server_port}/{tiny.name}")
    yield found
    found.shutdown()
    found.server_close()


@needs_jsb
def test_jsb_has_the_pieces_and_the_steps_of_the_literature():
    split = corpora.load_jsb()
    assert {part: len(pieces) for part, pieces in split.items()} == {"train": 229, "valid": 76, "test": 77}
    # four tokens a step: the benchmark's N
    assert [4 * sum(piece.n_steps for piece in split[part]) for part in ("valid", "test")] == [73632, 75600]
    pitches = np.concatenate([piece.pitch for pieces in split.values() for piece in pieces])
    assert (pitches[pitches != voices.REST].min(), pitches.max()) == (36, 81)


def test_the_file_that_the_variable_names_is_read(tiny, monkeypatch):
    monkeypatch.setenv("MUSESSL_JSB", str(tiny))
    split = corpora.load_jsb()
    assert list(split) == ["train", "valid", "test"]
    assert split["train"][0] == voices.from_pitches([[60, 57, 53, 48]] * 2, name="jsb-train-0")
    assert split["valid"][0].pitch.tolist() == [[62, voices.REST, 53, 48]]


def test_a_file_that_is_not_there_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("MUSESSL_JSB", str(tmp_path / "absent.json"))
    with pytest.raises(FileNotFoundError, match=r"MUSESSL_JSB must name the file .*absent.json cannot be read"):
        corpora.load_jsb()


def test_an_altered_file_is_refused(tiny, monkeypatch):
    tiny.write_bytes(TINY.replace(b"60", b"61"))
    monkeypatch.setenv("MUSESSL_JSB", str(tiny))
    with pytest.raises(ValueError, match=r"must have sha256 .* It was altered or is another edition"):
        corpora.load_jsb()


def test_the_file_is_downloaded_once(server, tmp_path):
    first = corpora.load_jsb()
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["Jsb16thSeparated.json"]
    server.shutdown()
    assert corpora.load_jsb() == first
