"""Tests of reading the Bach chorales: equal to music21, by hand, from the cache, refusals."""

from __future__ import annotations

import importlib.util
import math
import os
import shutil
import zipfile

import numpy as np
import pytest

from mini_musessl import chorale_files, corpora, tunes, voices

# Where music21 counts bars otherwise: it takes a short or long measure after a repeat for a bar with an upbeat's
# padding (4.8, 48.3, 261, 276), counts on in measures of several bars (119.9, 324), and gives no padding to the
# upbeat that opens a new meter (304).
COUNTED_OTHERWISE = {"bwv4.8", "bwv48.3", "bwv119.9", "bwv261", "bwv276", "bwv304", "bwv324"}


@pytest.fixture(scope="module")
def all_chorales(chorales_cache):
    """All chorales, from a cache that the library itself has written in this run."""
    return {grid.name: grid for grid in corpora.load_chorales()}


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MUSESSL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def read_with_music21(path):
    """Return pitch, onsets, fermatas and bar positions as music21's own parser, tie stripper and expander give them."""
    import music21

    score = music21.converter.parse(path, forceSource=True).expandRepeats()
    names = [(part.partName or "").strip().lower() for part in score.parts]
    parts = [score.parts[next(i for i, n in enumerate(names) if n.startswith(voice))] for voice in voices.SATB]
    n_steps = max(math.ceil(part.highestTime * 4) for part in parts)
    pitch = np.full((n_steps, 4), voices.REST)
    is_onset = np.zeros((n_steps, 4), bool)
    is_fermata = np.zeros(n_steps, bool)
    for column, part in enumerate(parts):
        for note in part.stripTies().flatten().notes:
            first, stop = math.ceil(note.offset * 4), math.ceil((note.offset + note.quarterLength) * 4)
            if first < stop:
                pitch[first:stop, column] = note.pitch.midi
                is_onset[first, column] = True
        # stripTies drops a fermata that stands on a later note of a tie, so look at the notes as written.
        number = np.where(pitch[:, column] == voices.REST, -1, is_onset[:, column].cumsum())
        marked = [
            number[math.ceil(note.offset * 4)]
            for note in part.flatten().notes
            if any(isinstance(mark, music21.expressions.Fermata) for mark in note.expressions)
        ]
        is_fermata |= np.isin(number, marked)
    position = np.full(n_steps, -1)
    for measure in parts[0].getElementsByClass("Measure"):
        start, length = round(measure.offset * 4), round(measure.duration.quarterLength * 4)
        position[start : start + length] = round(measure.paddingLeft * 4) + np.arange(length)
    return pitch, is_onset, is_fermata, position


def check_against_music21(path, grid):
    pitch, is_onset, is_fermata, position = read_with_music21(path)
    np.testing.assert_array_equal(grid.pitch, pitch, err_msg=grid.name)
    np.testing.assert_array_equal(grid.is_onset, is_onset, err_msg=grid.name)
    np.testing.assert_array_equal(grid.is_fermata, is_fermata, err_msg=grid.name)
    if grid.name not in COUNTED_OTHERWISE:
        np.testing.assert_array_equal(grid.bar_position_step, position, err_msg=grid.name)


# Every twenty-sixth file, and the odd ones: a volta, grace notes, thirty-seconds, five parts, a change of meter.
ODD = ("bwv8.6", "bwv299", "bwv432", "bwv227.3", "bwv171.6")


def test_twenty_chorales_equal_music21s_own_parse(all_chorales):
    files = [path for path in corpora._chorale_files() if path.stem in all_chorales]
    chosen = files[::26] + [path for path in files if path.stem in ODD]
    assert len({path.stem for path in chosen}) >= 20
    for path in chosen:
        check_against_music21(path, all_chorales[path.stem])


@pytest.mark.slow
def test_every_chorale_equals_music21s_own_parse(all_chorales):
    files = [path for path in corpora._chorale_files() if path.stem in all_chorales]
    assert len(files) == len(all_chorales)
    for path in files:
        check_against_music21(path, all_chorales[path.stem])


def test_the_chorales_are_as_many_as_the_docstring_leads_to_expect(all_chorales):
    if corpora._music21_version() != "10.5.1":
        pytest.skip("the counts are those of music21 10.5.1")
    facts = corpora.chorale_metadata()
    assert (facts.n_files, facts.n_pieces, facts.n_clean, facts.n_with_repeats) == (410, 408, 359, 164)
    assert len(all_chorales) == 408


def test_the_file_with_the_wrong_piece_is_left_out(all_chorales):
    assert "bwv62.6" not in all_chorales
    assert "bwv274" in all_chorales


def test_chorales_are_in_the_order_of_their_numbers(all_chorales):
    names = list(all_chorales)
    assert names[:4] == ["bwv1.6", "bwv2.6", "bwv3.6", "bwv4.8"]
    assert names.index("bwv9.7") < names.index("bwv10.7") < names.index("bwv250") < names.index("bwv438")


def test_clean_chorales_are_a_part_of_all_and_have_no_faster_notes(all_chorales):
    clean = {grid.name for grid in corpora.load_chorales(only_clean=True)}
    assert clean < set(all_chorales)
    assert not clean & {"bwv432", "bwv36.4-2", "bwv248.64-s", "bwv299", "bwv315", "bwv227.3", "bwv120.8-a"}


def test_bwv_269_begins_as_the_printed_page_does(all_chorales):
    grid = all_chorales["bwv269"]
    assert grid.title == "Aus meines Herzens Grunde"
    assert (grid.meter, grid.fifths, grid.mode) == ((3, 4), 1, "major")
    # upbeat of a quarter: the chord of G major, root in the bass
    assert grid.pitch[0].tolist() == [67, 62, 59, 43]
    assert grid.bar_position_step[:5].tolist() == [8, 9, 10, 11, 0]
    assert grid.is_onset[4, 0] and not grid.is_onset[5, 0]


def test_repeats_are_played_only_when_asked_for(all_chorales):
    written = {grid.name: grid for grid in corpora.load_chorales(expand_repeats=False)}
    assert list(written) == list(all_chorales)
    assert all(written[name].n_steps <= all_chorales[name].n_steps for name in written)
    # BWV 103.6: four measures and an upbeat are repeated; 64 steps come twice.
    assert all_chorales["bwv103.6"].n_steps - written["bwv103.6"].n_steps == 64
    np.testing.assert_array_equal(all_chorales["bwv103.6"].pitch[:64], all_chorales["bwv103.6"].pitch[64:128])


def test_every_grid_can_be_played(all_chorales):
    for grid in all_chorales.values():
        piece = voices.to_piece(grid)
        assert piece.n_steps == grid.n_steps
        assert len(piece.notes) == grid.is_onset.sum()


def test_the_first_load_takes_under_five_seconds_and_the_next_under_a_tenth(chorales_cache):
    first, *later = chorales_cache.load_sec
    assert first < 5
    assert min(later) < 0.1
    assert [path.suffix for path in chorales_cache.folder.iterdir()] == [".npz"]


def test_the_cache_gives_what_reading_the_files_gives(all_chorales, monkeypatch):
    files = corpora._chorale_files()[::20]
    monkeypatch.setattr(corpora, "_chorale_files", lambda: files)
    read = corpora.load_chorales(cache=False)
    assert len(read) == len(files) > 20
    assert read == [all_chorales[grid.name] for grid in read]


def test_without_cache_nothing_is_written(own_cache, monkeypatch):
    files = corpora._chorale_files()[:3]
    monkeypatch.setattr(corpora, "_chorale_files", lambda: files)
    corpora.load_chorales(cache=False)
    assert not own_cache.exists()


@pytest.mark.parametrize("damage", ["flip", "truncate", "empty", "text", "other arrays"])
def test_a_damaged_cache_file_is_made_again(own_cache, monkeypatch, damage):
    files = corpora._chorale_files()[::100]
    monkeypatch.setattr(corpora, "_chorale_files", lambda: files)
    right = corpora.load_chorales()
    (path,) = own_cache.iterdir()
    whole = path.read_bytes()
    middle = len(whole) // 2
    damaged = {
        "flip": whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],
        "truncate": whole[:middle],
        "empty": b"",
        "text": b"not a cache file",
    }
    if damage == "other arrays":
        np.savez(path, pitch=np.zeros(3))
    else:
        path.write_bytes(damaged[damage])
    assert corpora.load_chorales() == right
    # Made again: the file is whole, and is now read instead of the scores.
    monkeypatch.setattr(corpora, "_read_scores", lambda files: pytest.fail("the cache was not made again"))
    assert corpora.load_chorales() == right


def test_a_changed_file_is_not_served_from_the_cache(own_cache, monkeypatch):
    files = corpora._chorale_files()[:3]
    monkeypatch.setattr(corpora, "_chorale_files", lambda: files)
    assert len(corpora.load_chorales()) == 3
    monkeypatch.setattr(corpora, "_chorale_files", lambda: files[:2])
    assert len(corpora.load_chorales()) == 2


@pytest.mark.parametrize("change", ["time of the file", "music21", "reader"])
def test_the_cache_asks_for_everything_that_decides_the_result(own_cache, tmp_path, monkeypatch, change):
    path = tmp_path / "bwv269.mxl"
    shutil.copy(next(file for file in corpora._chorale_files() if file.stem == "bwv269"), path)
    monkeypatch.setattr(corpora, "_chorale_files", lambda: [path])
    corpora.load_chorales()
    corpora.load_chorales()
    assert len(list(own_cache.iterdir())) == 1
    if change == "time of the file":
        os.utime(path, ns=(0, path.stat().st_mtime_ns + 1_000_000))
    elif change == "music21":
        monkeypatch.setattr(corpora, "_music21_version", lambda: "another")
    else:
        monkeypatch.setattr(corpora, "READER_VERSION", corpora.READER_VERSION_CHORALES + 1)
    corpora.load_chorales()
    assert len(list(own_cache.iterdir())) == 2


def test_a_cache_folder_that_cannot_be_written_is_said_and_the_chorales_come_all_the_same(tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_text("a file where the folder should be")
    monkeypatch.setenv("MUSESSL_CACHE", str(blocked))
    files = corpora._chorale_files()[:3]
    monkeypatch.setattr(corpora, "_chorale_files", lambda: files)
    with pytest.warns(UserWarning, match=r"cache folder must be writable.*Set MUSESSL_CACHE to another folder"):
        assert len(corpora.load_chorales()) == 3


def test_missing_music21_is_refused(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match="read from an installed music21; none was found. Run: pip install"):
        corpora.load_chorales()


def test_music21_without_its_corpus_is_refused(tmp_path, monkeypatch):
    (tmp_path / "music21").mkdir()
    (tmp_path / "music21" / "__init__.py").write_text("")
    spec = importlib.util.spec_from_file_location(
        "music21", tmp_path / "music21" / "__init__.py", submodule_search_locations=[str(tmp_path / "music21")]
    )
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    for folder in ("corpus", "bach"):  # first without a folder of Bach, then with an empty one
        with pytest.raises(FileNotFoundError, match=r"must be installed with its corpus; .*bach holds no scores"):
            corpora.load_chorales()
        (tmp_path / "music21" / "corpus" / folder.removeprefix("corpus")).mkdir(parents=True)
    (tmp_path / "music21" / "corpus" / "airdsAirs").mkdir()
    with pytest.raises(FileNotFoundError, match=r"must be installed with its corpus; .*airdsAirs holds no scores"):
        tunes.load_tunes("airdsAirs")


def measure(*notes, number=1, extra="", divisions=4):
    """Return a measure of notes written as (step, octave, duration in sixteenths)."""
    written = "".join(
        f"<note><pitch><step>{step}</step><octave>{octave}</octave></pitch><duration>{duration}</duration></note>"
        for step, octave, duration in notes
    )
    return f'<measure number="{number}">{extra}{written}</measure>'


def score(*measures, names=("Soprano", "Alto", "Tenor", "Bass")):
    """Return a MusicXML score whose parts all hold the same measures."""
    head = "<attributes><divisions>4</divisions><time><beats>4</beats><beat-type>4</beat-type></time></attributes>"
    body = "".join(measures).replace(">", ">" + head, 1)
    parts = "".join(f'<part id="P{i}">{body}</part>' for i in range(len(names)))
    listed = "".join(f'<score-part id="P{i}"><part-name>{n}</part-name></score-part>' for i, n in enumerate(names))
    return f"<score-partwise><part-list>{listed}</part-list>{parts}</score-partwise>".encode()


BACK = '<barline><repeat direction="backward"/></barline>'
FORTH = '<barline><repeat direction="forward"/></barline>'


def test_a_bar_split_by_a_repeat_is_counted_through():
    data = score(
        measure(("C", 4, 4)), measure(("D", 4, 12), extra=BACK), measure(("E", 4, 4)), measure(("F", 4, 16), number=2)
    )
    grid = chorale_files.expand(chorale_files.read_chorale(data))
    # upbeat at 12, bar at 0..11, again, then the rest of the split bar at 12..15, then a bar
    assert grid.bar_position_step.tolist() == [*range(12, 16), *range(12)] * 2 + [*range(12, 16), *range(16)]
    assert (grid.pitch[::4, 0] - 60).tolist() == [0, 2, 2, 2, 0, 2, 2, 2, 4, 5, 5, 5, 5]


def test_a_forward_repeat_says_from_where():
    bars = [measure(("C", 4, 16)), measure(("D", 4, 16), extra=FORTH), measure(("E", 4, 16), extra=BACK)]
    grid = chorale_files.expand(chorale_files.read_chorale(score(*bars)))
    assert (grid.pitch[::16, 0] - 60).tolist() == [0, 2, 4, 2, 4]
    assert grid.is_onset[::16, 0].all()


def test_a_score_without_four_voices_gives_none():
    assert chorale_files.read_chorale(score(measure(("C", 4, 16)), names=("Piano",))) is None


def test_bytes_that_are_no_score_are_refused(tmp_path):
    with pytest.raises(ValueError, match="must be a MusicXML file; bwv1 cannot be read"):
        chorale_files.read_chorale(b"MThd", "bwv1")
    with pytest.raises(ValueError, match="must be a partwise MusicXML score; this one holds <html>"):
        chorale_files.read_chorale(b"<html/>")
    with zipfile.ZipFile(tmp_path / "empty.mxl", "w"):
        pass
    with pytest.raises(ValueError, match="must be a MusicXML file"):
        chorale_files.read_chorale((tmp_path / "empty.mxl").read_bytes() or b"PK")
