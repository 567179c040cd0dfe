"""Tests of reading a folder of MIDI files: report, cache, a killed run, refusals."""

from __future__ import annotations

import pytest

import mini_musessl
from mini_musessl import corpora, midi, music


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MUSESSL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "midi"


def some_piece(pitch):
    """Return a small piece with all that the cache must keep."""
    onset_step, duration_step, part = [0, 8, 16, 24], [8, 8, 8, 24], [0, 0, 0, 1]
    return music.Piece(
        music.make_notes(onset_step, duration_step, [pitch, 64, 67, 36], velocity=[1, 64, 127, 90], part=part),
        meters=(music.Meter(-72, 4, 4), music.Meter(24, 3, 4)),
        tempos=(music.Tempo(0, 77.0), music.Tempo(24, 150.0)),
        parts=(music.Part("Größe", 19), music.Part("drums", 0, True)),
    )


@pytest.fixture
def folder(tmp_path):
    """Two good files, one in a folder below; a text file called .mid; one cut short; one of another kind."""
    folder = tmp_path / "music"
    (folder / "below").mkdir(parents=True)
    whole = midi.to_bytes(some_piece(60))
    (folder / "b.mid").write_bytes(whole)
    (folder / "below" / "a.MIDI").write_bytes(midi.to_bytes(some_piece(61)))
    (folder / "text.mid").write_text("not music")
    (folder / "cut.mid").write_bytes(whole[: len(whole) // 2])
    (folder / "notes.txt").write_text("not read")
    return folder


def test_good_files_become_pieces_and_bad_ones_are_named(folder):
    pieces, report = corpora.load_midi_folder(folder)
    assert [piece.title for piece in pieces] == ["b", "below/a"]
    assert [piece.notes["pitch"][0] for piece in pieces] == [60, 61]
    assert (report.n_files, report.n_read, report.n_from_cache) == (4, 2, 0)
    assert [file.path.name for file in report.refused] == ["cut.mid", "text.mid"]
    assert all(file.path.name in file.reason for file in report.refused)
    assert str(report).startswith("2 of 4 files read, 0 of them from the cache.\nrefused: ")


@pytest.mark.parametrize("reader", midi.READERS)
def test_pieces_from_the_cache_equal_those_from_the_files(folder, reader):
    fresh, first = corpora.load_midi_folder(folder, reader=reader)
    again, second = corpora.load_midi_folder(folder, reader=reader)
    assert again == fresh
    assert (first.n_from_cache, second.n_from_cache) == (0, 2)
    assert second.refused == first.refused
    assert corpora.load_midi_folder(folder, reader=reader, cache=False) == (fresh, first)


def test_the_cache_knows_a_file_by_its_content(folder, own_cache):
    corpora.load_midi_folder(folder)
    (folder / "b.mid").rename(folder / "moved.mid")
    pieces, report = corpora.load_midi_folder(folder)
    assert report.n_from_cache == 2 and [piece.title for piece in pieces] == ["below/a", "moved"]
    (folder / "moved.mid").write_bytes(midi.to_bytes(some_piece(59)))
    pieces, report = corpora.load_midi_folder(folder)
    assert report.n_from_cache == 1 and pieces[1].notes["pitch"][0] == 59


def test_another_grid_is_another_entry(folder):
    corpora.load_midi_folder(folder)
    pieces, report = corpora.load_midi_folder(folder, steps_per_quarter=12)
    assert report.n_from_cache == 0 and pieces[0].steps_per_quarter == 12


@pytest.mark.parametrize("change", ["reader", "reader's version", "library"])
def test_another_way_of_reading_is_another_entry(folder, monkeypatch, change):
    corpora.load_midi_folder(folder)
    if change == "reader's version":
        monkeypatch.setattr(corpora, "READER_VERSION", corpora.READER_VERSION_MIDI_FOLDER + 1)
    elif change == "library":
        monkeypatch.setattr(mini_musessl, "__version__", "another")
    _, report = corpora.load_midi_folder(folder, reader="symusic" if change == "reader" else "pretty_midi")
    assert report.n_from_cache == 0


def test_a_killed_run_loses_nothing(folder, own_cache, monkeypatch):
    read = midi.read_midi

    def read_until_killed(path, *arguments):
        if path.parent.name == "below":
            raise KeyboardInterrupt
        return read(path, *arguments)

    monkeypatch.setattr(midi, "read_midi", read_until_killed)
    with pytest.raises(KeyboardInterrupt):
        corpora.load_midi_folder(folder)
    monkeypatch.setattr(midi, "read_midi", read)
    assert list(own_cache.rglob("*.part")) == []
    assert corpora.load_midi_folder(folder)[1].n_from_cache == 1


def test_a_damaged_entry_is_read_anew(folder, own_cache):
    pieces, _ = corpora.load_midi_folder(folder)
    for path in own_cache.rglob("*.npz"):
        path.write_bytes(path.read_bytes()[:-30])
    again, report = corpora.load_midi_folder(folder)
    assert again == pieces and report.n_from_cache == 0
    assert corpora.load_midi_folder(folder)[1].n_from_cache == 2


def test_progress_is_printed(folder, capsys):
    corpora.load_midi_folder(folder, print_every=3)
    assert capsys.readouterr().out == "3 of 4 files, 1 refused\n4 of 4 files, 2 refused\n"
    corpora.load_midi_folder(folder, print_every=0)
    assert capsys.readouterr().out == ""


def test_a_cache_folder_that_cannot_be_written_is_said_once(folder, tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_text("a file where the folder should be")
    monkeypatch.setenv("MUSESSL_CACHE", str(blocked))
    with pytest.warns(UserWarning, match="The data were read all the same") as warned:
        pieces, _ = corpora.load_midi_folder(folder)
    assert len(pieces) == 2 and len(warned) == 1


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"A folder of MIDI files must exist; there is none at .*absent"):
        corpora.load_midi_folder(tmp_path / "absent")


def test_a_file_is_refused_as_a_folder(folder):
    with pytest.raises(NotADirectoryError, match=r"b.mid is a file. Use midi.read_midi for a single file"):
        corpora.load_midi_folder(folder / "b.mid")


def test_a_folder_without_midi_files_is_refused(tmp_path):
    (tmp_path / "text.txt").write_text("nothing to hear")
    with pytest.raises(ValueError, match="must hold at least one .mid or .midi file"):
        corpora.load_midi_folder(tmp_path)


def test_wrong_arguments_are_refused_once_and_not_for_every_file(folder):
    with pytest.raises(ValueError, match="reader must be one of pretty_midi, symusic; found 'fast'"):
        corpora.load_midi_folder(folder, reader="fast")
    with pytest.raises(ValueError, match="steps_per_quarter must be at least 1; found 0"):
        corpora.load_midi_folder(folder, steps_per_quarter=0)
    with pytest.raises(ValueError, match="print_every must be at least 0; found -1"):
        corpora.load_midi_folder(folder, print_every=-1)


def test_a_file_that_vanishes_is_named(folder, monkeypatch):
    files = corpora._midi_files(folder)
    monkeypatch.setattr(corpora, "_midi_files", lambda folder: files)
    (folder / "b.mid").unlink()
    pieces, report = corpora.load_midi_folder(folder)
    assert [piece.title for piece in pieces] == ["below/a"]
    assert "b.mid" in [file.path.name for file in report.refused]
