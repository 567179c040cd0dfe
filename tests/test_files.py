"""Files: refused before reading, written in one piece, kept in the cache, downloaded once."""

import functools
import hashlib
import http.server
import io
import os
import pwd
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import fuzzing
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

        def do_GET(self):
            assert self.headers["Accept-Encoding"] == "identity"
            super().do_GET()

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


# --- reading


@pytest.mark.parametrize(
    ("name", "error", "sentence"),
    [
        ("absent.mid", FileNotFoundError, "read_midi needs a file; found nothing at .*absent.mid. Check the name"),
        ("n" * 256, FileNotFoundError, "found no way .File name too long. at .*nnn. Check the name"),
        ("loop", FileNotFoundError, "found no way .Too many levels of symbolic links. at .*loop. Check"),
        ("", IsADirectoryError, "is a folder. Give the path of a file in it, or read a whole folder"),
        ("empty.mid", ValueError, r"must hold something; empty.mid is empty \(0 bytes\)"),
        ("large.mid", ValueError, "read_midi reads at most 9 bytes; large.mid has 10"),
        ("pipe", ValueError, "read_midi needs a plain file; .*pipe is a device or a pipe"),
        ("a\0b", ValueError, "must be text that can name a file; .* is none .it holds the character NUL"),
        ("L\udcfcbeck\n.mid", FileNotFoundError, "nothing at .*L\ufffdbeck .mid"),
    ],
)
def test_what_cannot_be_read_is_refused(tmp_path, name, error, sentence):
    (tmp_path / "empty.mid").touch()
    (tmp_path / "large.mid").write_bytes(DATA)
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(error, match=sentence):
        files.read_file(tmp_path / name, "read_midi", max_bytes=9)


@pytest.mark.parametrize("path", [5, None, b"music.mid", "\ud800"])
def test_what_is_no_path_is_refused(path):
    with pytest.raises(ValueError, match="A path must be text that can name a file"):
        files.read_file(path, "read_midi")
    with pytest.raises(ValueError, match="A path must be text that can name a file"):
        files.write_aside(path, DATA)


def as_another_user(program, *arguments):
    """Run a program as a user who owns nothing, and return what it printed."""
    if os.geteuid():
        pytest.skip("only root can become another user")
    become = "import os; os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
    program = f"from mini_musessl import corpora, files\n{become}{program}"
    done = subprocess.run([sys.executable, "-c", program, *map(str, arguments)], capture_output=True, text=True)
    return done.stdout + done.stderr.splitlines()[-1] if done.stderr else done.stdout


def test_files_and_folders_of_others_are_refused():
    with tempfile.TemporaryDirectory() as folder:  # in the folder of all users, and not in one of pytest's
        path = Path(folder) / "mine.mid"
        path.write_bytes(DATA)
        path.chmod(0o600)
        Path(folder).chmod(0o755)
        said = as_another_user("import sys; files.read_file(sys.argv[1], 'read_midi')", path)
        assert "PermissionError: read_midi needs a file that you may read; " in said
        said = as_another_user("import sys; files.write_aside(sys.argv[1], b'')", path)
        assert "OSError: A file needs a place that can be written" in said and "(Permission denied)" in said
        Path(folder).chmod(0o700)
        said = as_another_user("import sys; files.read_file(sys.argv[1], 'read_midi')", path)
        assert "read_midi needs a file; found no way (Permission denied) at " in said


# --- writing


def test_a_file_is_replaced_as_a_whole_or_stays_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "some.bin"
    files.write_aside(path, b"old")
    files.write_aside(path, b"new")
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="needs a place that can be written and has room; .*No space left"):
        files.write_aside(path, b"newest")
    assert path.read_bytes() == b"new" and [each.name for each in tmp_path.iterdir()] == ["some.bin"]


@pytest.mark.parametrize(
    ("name", "error", "sentence"),
    [
        ("gone/some.bin", FileNotFoundError, "needs a folder to be written to; found no folder .*gone. Make it first"),
        ("", IsADirectoryError, "needs a name of its own; .* is a folder. Add a file name"),
        ("file/some.bin", OSError, "some.bin was not written .Not a directory"),
        ("n" * 256, OSError, "was not written .File name too long"),
        ("loop", OSError, "loop was not written .Too many levels of symbolic links"),
        ("pipe", OSError, "pipe was not written .No such device or address"),
        ("/dev/full", OSError, "/dev/full was not written .No space left on device"),
    ],
)
def test_a_place_that_cannot_be_written_is_refused_and_stays(tmp_path, name, error, sentence):
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(error, match=sentence):
        files.write_aside(tmp_path / name, DATA)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["file", "loop", "pipe"]
    assert (tmp_path / "loop").is_symlink() and (tmp_path / "pipe").is_fifo()


def test_a_disk_that_is_full_or_read_only_keeps_the_old_file(tmp_path):
    def mount(*arguments):
        if subprocess.run(["mount", *arguments, tmp_path], capture_output=True).returncode:
            pytest.skip("no disk can be mounted here")

    mount("-t", "tmpfs", "-o", "size=8k", "tmpfs")
    try:
        files.write_aside(tmp_path / "a", b"old")
        with pytest.raises(OSError, match="a was not written .No space left on device.. Make room there, or choose"):
            files.write_aside(tmp_path / "a", bytes(20_000))
        mount("-o", "remount,ro")
        with pytest.raises(OSError, match="a was not written .Read-only file system"):
            files.write_aside(tmp_path / "a", DATA)
        assert (tmp_path / "a").read_bytes() == b"old" and len(list(tmp_path.iterdir())) == 1
    finally:
        subprocess.run(["umount", tmp_path], check=True)


@pytest.mark.parametrize("name", ["n" * 251 + ".mid", "\u30bd" * 83 + ".mid", "caf\udce9.mid", ".mid", " "])
def test_any_name_that_the_disk_takes_can_be_written(tmp_path, name):
    files.write_aside(tmp_path / name, DATA)
    assert (tmp_path / name).read_bytes() == DATA


def test_a_device_or_a_pipe_is_written_into(tmp_path):
    reading, writing = os.pipe()
    files.write_aside(f"/dev/fd/{writing}", DATA)
    assert os.read(reading, 99) == DATA
    os.close(reading)
    os.close(writing)
    os.mkfifo(tmp_path / "pipe")
    reading = os.open(tmp_path / "pipe", os.O_RDWR)  # it is open at both ends, so that nobody waits for the other
    with ThreadPoolExecutor(1) as pool, open(reading, "rb") as pipe:
        written = pool.submit(files.write_aside, tmp_path / "pipe", bytes(200_000))  # more than a pipe holds
        assert pipe.read(200_000) == bytes(200_000) and written.result() is None
    assert (tmp_path / "pipe").is_fifo()
    if os.geteuid() == 0:
        os.mknod(tmp_path / "null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        files.write_aside(tmp_path / "null", DATA)
        assert (tmp_path / "null").is_char_device()


def test_links_stay_and_a_replaced_file_hands_on_its_mode(tmp_path):
    target = tmp_path / "below" / "target"
    target.parent.mkdir()
    target.write_bytes(b"old")
    target.chmod(0o640)
    os.link(target, tmp_path / "hard")
    (tmp_path / "first").symlink_to("below/target")
    (tmp_path / "second").symlink_to("first")
    (tmp_path / "dangling").symlink_to("below/later")
    files.write_aside(tmp_path / "second", b"new")
    files.write_aside(tmp_path / "dangling", b"later")
    assert (os.readlink(tmp_path / "second"), os.readlink(tmp_path / "first")) == ("first", "below/target")
    assert target.read_bytes() == b"new" and stat.S_IMODE(target.stat().st_mode) == 0o640
    assert (tmp_path / "hard").read_bytes() == b"old"  # the price of writing a file whole or not at all
    assert (tmp_path / "dangling").is_symlink() and (tmp_path / "below" / "later").read_bytes() == b"later"


def test_a_new_file_has_the_mode_that_the_user_wants(tmp_path):
    before = os.umask(0o027)
    try:
        files.write_aside(tmp_path / "new", DATA)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640


@pytest.mark.parametrize("n_bytes", [0, 100, 1_000_000])
def test_what_a_killed_process_was_writing_goes_and_what_a_living_one_writes_stays(tmp_path, n_bytes):
    def begin_to_write(name, may_go_on):
        if (pid := os.fork()) == 0:
            file = files._open_locked(tmp_path / f".musessl-{name}.part")
            file.write(bytes(n_bytes))
            os.read(may_go_on, 1)
            os.kill(os.getpid(), signal.SIGKILL)
        return pid

    reading, writing = os.pipe()
    living, dead = begin_to_write("living", reading), begin_to_write("dead", reading)
    while len(list(tmp_path.glob("*.part"))) < 2:
        time.sleep(0.01)
    os.kill(dead, signal.SIGKILL)
    os.waitpid(dead, 0)
    (tmp_path / "other.part").touch()
    files.write_aside(tmp_path / "file", DATA)
    assert sorted(each.name for each in tmp_path.iterdir()) == [".musessl-living.part", "file", "other.part"]
    os.write(writing, b"x")
    os.waitpid(living, 0)
    files.remove_parts(tmp_path)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["file", "other.part"]


def test_threads_write_one_file_side_by_side(tmp_path, recwarn):
    contents = [bytes([number]) * 200_000 for number in range(8)]
    for number in range(20):
        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(lambda data, path=tmp_path / f"{number}.npz": files.keep(path, data), contents))
        assert (tmp_path / f"{number}.npz").read_bytes() in contents
    assert not recwarn.list and len(list(tmp_path.iterdir())) == 20


# --- the cache


def test_arrays_come_back_as_they_were(tmp_path):
    arrays = {"pitch": np.arange(12).reshape(3, 4), "title": np.array(["Größe"])}
    path = tmp_path / "below" / "some.npz"
    assert files.write_arrays(path, arrays)
    back = files.read_cache(path, dict)
    assert back["pitch"].tolist() == arrays["pitch"].tolist() and back["title"].tolist() == ["Größe"]
    with np.load(path) as stored:  # by whoever wants to look
        assert stored.files == ["pitch", "title"]


def flipped(data, place):
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


def saved(save=np.savez, **arrays):
    packed = io.BytesIO()
    save(packed, **arrays)
    return packed.getvalue()


DAMAGES = {
    "flip": lambda whole: flipped(whole, len(whole) // 2),
    "flip in the name": lambda whole: flipped(whole, 32),
    "flip in the digest": lambda whole: flipped(whole, len(whole) - 3),
    "cut": lambda whole: whole[:-100],
    "longer": lambda whole: whole + b" ",
    "empty": lambda whole: b"",
    "text": lambda whole: b"not a cache",
    "pickle": lambda whole: saved(pitch=np.array([{"a": 1}], dtype=object)),
    "another pitch, written by another program": lambda whole: saved(np.savez_compressed, pitch=np.ones(3)),
    "older": lambda whole: saved(np.savez_compressed, pitch=np.zeros(3)),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_cache_file_that_is_not_what_was_written_is_as_good_as_none(tmp_path, damage):
    path = tmp_path / "some.npz"
    files.write_arrays(path, {"pitch": np.zeros(3), "noise": np.random.default_rng(0).integers(0, 256, 5000, np.uint8)})
    whole = path.read_bytes()
    assert files.read_cache(path, dict) is not None
    path.write_bytes(DAMAGES[damage](whole))
    assert files.read_cache(path, dict) is None


def test_no_altered_cache_file_is_taken_for_a_whole_one(tmp_path):
    path, generator = tmp_path / "some.npz", np.random.default_rng(0)
    files.write_arrays(path, {"pitch": np.arange(300)})
    whole = path.read_bytes()
    for _ in range(500):
        altered = fuzzing.altered(whole, generator)
        path.write_bytes(altered)
        assert files.read_cache(path, dict) is None or altered == whole


def read_as_cache_file(data):
    """Read bytes as a cache file whose digest is right."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "some.npz"
        path.write_bytes(data + hashlib.sha256(data).hexdigest().encode())
        files.read_cache(path, lambda stored: [*files.unpack(stored)])


@pytest.mark.slow
def test_an_altered_cache_file_with_a_right_digest_does_no_harm(tmp_path):
    items = [({"pitch": np.arange(n), "is_onset": np.ones((n, 4), bool)}, {"title": "a" * n}) for n in range(20)]
    files.write_arrays(tmp_path / "some.npz", files.pack(items))
    whole, generator = (tmp_path / "some.npz").read_bytes()[:-64], np.random.default_rng(0)
    outcomes = fuzzing.run(read_as_cache_file, (fuzzing.altered(whole, generator) for _ in range(300)))
    assert not fuzzing.failures(outcomes), fuzzing.report(outcomes)


def with_a_header_of_800_gb(arrays):
    header = io.BytesIO()
    shape = {"descr": "<i8", "fortran_order": False, "shape": (100_000_000_000,)}
    np.lib.format.write_array_header_1_0(header, shape)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("pitch.npy", header.getvalue() + bytes(24))
        archive.writestr("about.npy", saved(lambda file, x: np.save(file, x), x=arrays["about"]))
    return packed.getvalue()


@pytest.mark.parametrize("change", ["another name", "text cut", "brackets", "no list", "shorter", "800 GB", "bomb"])
def test_a_cache_file_of_another_program_with_a_digest_of_its_own_is_made_again(tmp_path, monkeypatch, change):
    arrays = files.pack([({"pitch": np.arange(3)}, {"title": "a"})])
    altered = {
        "another name": {"facts": arrays["about"]},
        "text cut": arrays | {"about": arrays["about"][:-3]},
        "brackets": arrays | {"about": np.frombuffer(b"[" * 100_000, np.uint8)},
        "no list": arrays | {"about": np.frombuffer(b"5", np.uint8)},
        "shorter": arrays | {"pitch": arrays["pitch"][:2]},
        "800 GB": arrays,
        "bomb": arrays | {"pitch": np.zeros(1_000_000)},
    }
    monkeypatch.setattr(files, "LARGEST_CACHED", 1_000_000)
    if change == "800 GB":
        monkeypatch.setattr(np, "savez_compressed", lambda file, **x: file.write(with_a_header_of_800_gb(x)))
    files.write_arrays(tmp_path / "some.npz", altered[change])
    assert files.read_cache(tmp_path / "some.npz", lambda stored: [*files.unpack(stored)]) is None


@pytest.mark.parametrize("place", ["pipe", "folder", "loop", "device"])
def test_something_else_in_the_place_of_a_cache_file_is_not_waited_for(tmp_path, monkeypatch, place):
    monkeypatch.setenv("MUSESSL_CACHE", str(tmp_path))
    make = {
        "pipe": os.mkfifo,
        "folder": os.mkdir,
        "loop": lambda path: path.symlink_to("some.npz"),
        "device": lambda path: path.symlink_to("/dev/full"),
    }
    make[place](tmp_path / "some.npz")
    with pytest.warns(UserWarning, match="The data were read all the same"):
        assert files.cached("some.npz", lambda: ([3], True), lambda items: {"a": np.array(items)}, dict) == [3]
    assert [each.name for each in tmp_path.iterdir()] == ["some.npz"]


def test_what_is_not_all_is_made_again_each_time(cache):
    for _ in range(2):
        assert files.cached("some.npz", lambda: ([3], False), lambda items: {"a": np.array(items)}, dict) == [3]
    assert not cache.exists()


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


@pytest.mark.parametrize("named", ["~nosuchuser/cache", None])
def test_without_a_home_folder_nothing_is_kept_and_all_is_read(monkeypatch, named):
    def nobody(_):
        raise KeyError("no such user")

    for name in ("HOME", "XDG_CACHE_HOME", "MUSESSL_CACHE"):
        monkeypatch.delenv(name, raising=False)
    if named:
        monkeypatch.setenv("MUSESSL_CACHE", named)
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    with pytest.raises(OSError, match="there is no home folder for .*. Set MUSESSL_CACHE to the whole path"):
        files.cache_folder()
    with pytest.warns(UserWarning, match="there is no home folder for .* nothing is kept for the next time"):
        assert files.cached("some.npz", lambda: ([3], True), dict, dict) == [3]


def test_other_content_has_another_name():
    names = {files.digest(*parts) for parts in (("a", "b"), ("ab",), (b"a", "b", ""), ("b", "a"))}
    assert len(names) == 4 and files.digest("a", b"b") in names


# --- downloads


def test_a_file_is_downloaded_once_and_again_where_it_was_altered(served, cache):
    _, url, server = served
    assert files.download(url, SHA256, "music.json") == DATA
    (kept,) = cache.iterdir()
    assert kept.name == "music.json" and kept.read_bytes() == DATA
    kept.write_bytes(DATA[:5])
    assert files.download(url, SHA256, "music.json") == DATA == kept.read_bytes()
    server.shutdown()
    assert files.download(url, SHA256, "music.json") == DATA


def test_another_file_is_refused_and_not_kept(served, cache):
    path, url, _ = served
    path.write_bytes(b"<html>moved</html>")
    with pytest.raises(ValueError, match=r"must give the file whose sha256 is .* nothing was kept"):
        files.download(url, SHA256, "music.json")
    assert not cache.exists()


def test_a_file_that_is_too_large_or_does_not_end_is_refused(served, cache, monkeypatch):
    _, url, server = served
    monkeypatch.setattr(files, "LARGEST_DOWNLOAD", 9)
    with pytest.raises(ConnectionError, match="it has more than 9 bytes"):
        files.download(url, SHA256, "music.json")
    monkeypatch.setattr(files, "LONGEST_DOWNLOAD_SEC", 0.1)
    server.shutdown()  # it takes the request, and does not answer
    with pytest.raises(ConnectionError, match=r"not all of it came within 0\.1 seconds"):
        files.download(url, SHA256, "music.json")
    assert not cache.exists()


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://127.0.0.1:9/music.json", "ConnectionError"),  # nothing listens on port 9 of this machine
        ("http://[", "InvalidURL"),
        ("music.json", "MissingSchema"),
        ("file:///etc/hostname", "InvalidSchema"),
        ("http://\udcff/", "InvalidURL"),
    ],
)
def test_an_address_that_does_not_answer_is_refused(cache, url, reason):
    with pytest.raises(ConnectionError, match=rf"must be downloaded once from .*; that failed .({reason}).*network\?"):
        files.download(url, SHA256, "music.json")


def test_a_page_that_is_gone_is_refused(served, cache):
    with pytest.raises(ConnectionError, match="that failed .HTTPError"):
        files.download(served[1] + ".gone", SHA256, "music.json")


@pytest.mark.parametrize("place", [0, 1, 2])
def test_numbers_are_no_addresses(place):
    arguments = ["http://127.0.0.1:9/music.json", SHA256, "music.json"]
    arguments[place] = 5
    with pytest.raises(TypeError, match="(url|sha256|file_name) must be text; found int"):
        files.download(*arguments)


def test_a_cache_without_room_or_permission_is_said_and_the_file_is_there(served, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("MUSESSL_CACHE", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match=r"cache folder must be writable .*Set MUSESSL_CACHE"):
        assert files.download(served[1], SHA256, "music.json") == DATA
