"""Files: refused before reading, written in one piece, kept in the cache, downloaded once."""

import functools
import hashlib
import http.server
import os
import shutil
import threading

import numpy as np
import pytest

from mini_musessl import files

DATA = b"some music"
SHA256 = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MUSESSL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def served(tmp_path, monkeypatch):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    path = tmp_path / "served" / "music.json"
    path.parent.mkdir()
    path.write_bytes(DATA)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(path.parent)))
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    yield path, f"http://127.0.0.1:{server.server_port}/{path.name}", server
    server.shutdown()
    server.server_close()


# --- reading and writing


@pytest.mark.parametrize(
    ("name", "error", "sentence"),
    [
        ("absent.mid", FileNotFoundError, "read_midi needs a file; found nothing at .*absent.mid. Check the name"),
        ("", IsADirectoryError, "is a folder. Give the path of a file in it, or read a whole folder"),
        ("empty.mid", ValueError, r"must hold something; empty.mid is empty \(0 bytes\)"),
        ("large.mid", ValueError, "read_midi reads at most 9 bytes; large.mid has 10"),
    ],
)
def test_what_cannot_be_read_is_refused(tmp_path, name, error, sentence):
    (tmp_path / "empty.mid").touch()
    (tmp_path / "large.mid").write_bytes(DATA)
    with pytest.raises(error, match=sentence):
        files.check_file(tmp_path / name, "read_midi", max_bytes=9)


def test_a_file_is_replaced_as_a_whole_or_stays_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "some.bin"
    files.write_aside(path, b"old")
    files.write_aside(path, b"new")
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space left"):
        files.write_aside(path, b"newest")
    assert path.read_bytes() == b"new" and [each.name for each in tmp_path.iterdir()] == ["some.bin"]


@pytest.mark.parametrize(
    ("name", "error", "sentence"),
    [
        ("gone/some.bin", FileNotFoundError, "needs a folder to be written to; found no folder .*gone. Make it first"),
        ("", IsADirectoryError, "needs a name of its own; .* is a folder. Add a file name"),
    ],
)
def test_a_file_without_place_or_name_is_refused(tmp_path, name, error, sentence):
    with pytest.raises(error, match=sentence):
        files.write_aside(tmp_path / name, DATA)


# --- the cache


def test_arrays_come_back_as_they_were(tmp_path):
    arrays = {"pitch": np.arange(12).reshape(3, 4), "title": np.array(["Größe"])}
    path = tmp_path / "below" / "some.npz"
    assert files.write_arrays(path, arrays)
    back = files.read_arrays(path)
    assert back["pitch"].tolist() == arrays["pitch"].tolist() and back["title"].tolist() == ["Größe"]


@pytest.mark.parametrize("damage", ["flip", "truncate", "empty", "text", "absent", "pickle"])
def test_a_cache_file_that_is_not_whole_is_as_good_as_none(tmp_path, damage):
    path = tmp_path / "some.npz"
    files.write_arrays(path, {"pitch": np.zeros(3), "noise": np.random.default_rng(0).integers(0, 256, 5000, np.uint8)})
    whole = path.read_bytes()
    assert files.read_arrays(path) is not None
    middle = len(whole) // 2
    if damage == "pickle":
        np.savez(path, pitch=np.array([{"a": 1}], dtype=object))
    elif damage == "absent":
        path.unlink()
    else:
        flipped = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
        path.write_bytes({"flip": flipped, "truncate": whole[:middle], "empty": b"", "text": b"not a cache"}[damage])
    assert files.read_arrays(path) is None


def test_items_of_any_length_are_packed_in_order():
    items = [({"a": np.arange(n), "b": np.ones((2 * n, 3))}, {"n": n}) for n in (2, 0, 3)]
    back = files.unpack(files.pack(items))
    for (arrays, about), (arrays_back, about_back) in zip(items, back, strict=True):
        assert about == about_back and arrays.keys() == arrays_back.keys()
        assert all(np.array_equal(arrays[name], arrays_back[name]) for name in arrays)


def test_a_cache_that_cannot_be_written_is_said_and_leaves_nothing(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    with pytest.warns(UserWarning, match=r"cache folder must be writable.*Set MUSESSL_CACHE to another folder"):
        assert not files.write_arrays(tmp_path / "file" / "some.npz", {"pitch": np.zeros(3)})
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.warns(UserWarning, match="No space left on device"):
        assert not files.write_arrays(tmp_path / "some.npz", {"pitch": np.zeros(3)})
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_the_cache_folder_is_the_one_named_or_the_users(monkeypatch):
    monkeypatch.setenv("MUSESSL_CACHE", "~/somewhere")
    assert files.cache_folder().is_absolute() and files.cache_folder().name == "somewhere"
    monkeypatch.delenv("MUSESSL_CACHE")
    assert files.cache_folder().name == "mini_musessl"


def test_other_content_has_another_name():
    names = {files.digest(*parts) for parts in (("a", "b"), ("ab",), (b"a", "b", ""), ("b", "a"))}
    assert len(names) == 4 and files.digest("a", b"b") in names


# --- downloads


def test_a_file_is_downloaded_once_and_again_where_it_was_altered(served, cache):
    _, url, server = served
    kept = files.download(url, SHA256, "music.json")
    assert kept.read_bytes() == DATA and list(cache.iterdir()) == [kept]
    kept.write_bytes(DATA[:5])
    assert files.download(url, SHA256, "music.json").read_bytes() == DATA
    server.shutdown()
    assert files.download(url, SHA256, "music.json") == kept


def test_another_file_is_refused_and_not_kept(served, cache):
    path, url, _ = served
    path.write_bytes(b"<html>moved</html>")
    with pytest.raises(ValueError, match=r"must give the file whose sha256 is .* nothing was kept"):
        files.download(url, SHA256, "music.json")
    assert list(cache.iterdir()) == []


def test_no_network_and_a_missing_page_are_refused(served, cache):
    # nothing listens on port 9 of this machine
    with pytest.raises(ConnectionError, match=r"must be downloaded once from .* Is there a network\?"):
        files.download("http://127.0.0.1:9/music.json", SHA256, "music.json")
    with pytest.raises(ConnectionError, match="that failed .HTTPError."):
        files.download(served[1] + ".gone", SHA256, "music.json")


def test_a_cache_without_room_or_permission_is_refused_and_holds_nothing(served, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    (tmp_path / "file").touch()
    monkeypatch.setenv("MUSESSL_CACHE", str(tmp_path / "file"))
    with pytest.raises(OSError, match=r"needs a cache folder that can be written.*Set MUSESSL_CACHE"):
        files.download(served[1], SHA256, "music.json")
    monkeypatch.setenv("MUSESSL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(shutil, "move", full)
    with pytest.raises(OSError, match=r"has room; .* cannot be used \(No space left on device\)"):
        files.download(served[1], SHA256, "music.json")
    assert list((tmp_path / "cache").iterdir()) == []
