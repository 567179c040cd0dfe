"""Tests of mini_musessl.corpora: chorales, JSB, tunes that are the same, splits, folders of MIDI files."""

import hashlib
import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_chorale_files import measure, score, zipped

import mini_musessl
from mini_musessl import corpora, files, midi, music, tunes, voices

needs_jsb = pytest.mark.skipif(
    not os.environ.get("MUSESSL_JSB"), reason="the JSB file may not be shipped; MUSESSL_JSB names no copy of it"
)


@pytest.fixture(scope="module")
def chorales(chorales_cache):
    return corpora.load_chorales()


@pytest.fixture(scope="module")
def rebuilt(chorales_cache):
    return corpora.rebuilt_split()


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MUSESSL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


# The chorales of music21.


def test_the_chorales_are_those_of_music21_in_the_order_of_their_numbers(chorales):
    if importlib.metadata.version("music21") != "10.5.1":
        pytest.skip("the counts are those of music21 10.5.1")
    counts = {"n_files": 410, "n_pieces": 408, "n_clean": 359, "n_with_repeats": 164}
    assert corpora.chorale_metadata() == {"music21_version": "10.5.1"} | counts
    names = [grid.name for grid in chorales]
    assert len(names) == 408 and names[:4] == ["bwv1.6", "bwv2.6", "bwv3.6", "bwv4.8"]
    assert names.index("bwv9.7") < names.index("bwv10.7") < names.index("bwv250") < names.index("bwv438")
    # bwv62.6 holds the music of another number
    assert "bwv62.6" not in names and "bwv274" in names


def test_clean_chorales_have_no_faster_notes():
    clean = {grid.name for grid in corpora.load_chorales(only_clean=True)}
    assert len(clean) > 300 and not clean & {
        "bwv432",
        "bwv36.4-2",
        "bwv248.64-s",
        "bwv299",
        "bwv315",
        "bwv227.3",
        "bwv120.8-a",
    }


def test_bwv_269_begins_as_the_printed_page_does(chorales):
    grid = next(grid for grid in chorales if grid.name == "bwv269")
    assert (grid.title, grid.meter, grid.fifths, grid.mode) == ("Aus meines Herzens Grunde", (3, 4), 1, "major")
    # upbeat of a quarter: the chord of G major, root in the bass
    assert grid.pitch[0].tolist() == [67, 62, 59, 43]
    assert grid.bar_position_step[:5].tolist() == [8, 9, 10, 11, 0]
    assert grid.is_onset[4, 0] and not grid.is_onset[5, 0]


def test_repeats_are_played_only_when_asked_for(chorales):
    written = {grid.name: grid for grid in corpora.load_chorales(expand_repeats=False)}
    played = {grid.name: grid for grid in chorales}
    assert list(written) == list(played)
    assert all(written[name].n_steps <= played[name].n_steps for name in written)
    # BWV 103.6: four measures and an upbeat are repeated; 64 steps come twice.
    assert played["bwv103.6"].n_steps - written["bwv103.6"].n_steps == 64
    np.testing.assert_array_equal(played["bwv103.6"].pitch[:64], played["bwv103.6"].pitch[64:128])


def test_the_first_load_takes_under_five_seconds_and_the_next_under_a_tenth(chorales_cache):
    first, *later = chorales_cache.load_sec
    assert first < 5 and min(later) < 0.1
    assert [path.suffix for path in chorales_cache.folder.iterdir()] == [".npz"]


def test_the_cache_gives_what_the_files_give_and_is_made_again_where_it_is_damaged(own_cache, monkeypatch):
    few = corpora._chorale_files()[:300:100]
    monkeypatch.setattr(corpora, "_chorale_files", lambda: few)
    read = corpora.load_chorales(cache=False)
    assert len(read) == 3 and not own_cache.exists()
    assert corpora.load_chorales() == read
    (path,) = own_cache.iterdir()
    path.write_bytes(path.read_bytes()[:-100])
    assert corpora.load_chorales() == read
    # The file is whole again, and is now read instead of the scores.
    monkeypatch.setattr(corpora.chorale_files, "read_chorale", lambda *_: pytest.fail("the cache was not made again"))
    assert corpora.load_chorales() == read


@pytest.mark.parametrize("change", ["time of the file", "music21", "reader", "another file"])
def test_the_cache_asks_for_everything_that_decides_the_result(own_cache, tmp_path, monkeypatch, change):
    path = tmp_path / "bwv269.mxl"
    paths = corpora._chorale_files()
    shutil.copy(next(file for file in paths if file.stem == "bwv269"), path)
    monkeypatch.setattr(corpora, "_chorale_files", lambda: [path])
    corpora.load_chorales()
    corpora.load_chorales()
    assert len(list(own_cache.iterdir())) == 1
    if change == "time of the file":
        os.utime(path, ns=(0, path.stat().st_mtime_ns + 1_000_000))
    elif change == "music21":
        monkeypatch.setattr(importlib.metadata, "version", lambda name: "another")
    elif change == "reader":
        monkeypatch.setattr(corpora, "READER_VERSION_CHORALES", corpora.READER_VERSION_CHORALES + 1)
    else:
        monkeypatch.setattr(corpora, "_chorale_files", lambda: [path, paths[0]])
    corpora.load_chorales()
    assert len(list(own_cache.iterdir())) == 2


def test_music21_without_its_corpus_is_refused(tmp_path, monkeypatch):
    (tmp_path / "__init__.py").write_text("")
    spec = importlib.util.spec_from_file_location(
        "music21", tmp_path / "__init__.py", submodule_search_locations=[str(tmp_path)]
    )
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    with pytest.raises(FileNotFoundError, match=r"must be installed with its corpus; .*bach holds no scores"):
        corpora.load_chorales()
    with pytest.raises(FileNotFoundError, match=r"must be installed with its corpus; .*airdsAirs holds no scores"):
        tunes.load_tunes("airdsAirs")


@pytest.fixture
def three_chorales(tmp_path, own_cache, monkeypatch):
    """Let music21 hold three chorales of four measures, in a folder that may be altered."""
    corpus = tmp_path / "corpus"
    (corpus / "bach").mkdir(parents=True)
    for number in (1, 2, 3):
        written = score(*[measure(("C", 4 + number, 16))] * 4)
        (corpus / "bach" / f"bwv{number}.xml").write_bytes(written)
    (corpus / "chorales.py").write_text("1---||---2---||---A title---||---9")
    monkeypatch.setattr(corpora, "music21_files", lambda folder, *endings: sorted((corpus / folder).iterdir()))
    return corpus / "bach"


def as_pipe(path):
    path.unlink()
    os.mkfifo(path)


def as_folder(path):
    path.unlink()
    path.mkdir()


def as_link_to_nothing(path):
    path.unlink()
    path.symlink_to("nothing")


def as_zip_bomb(path):
    path.write_bytes(zipped(bytes(30_000_000)))


ALTERED = {
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-30]),
    "other bytes": lambda path: path.write_bytes(os.urandom(2000)),
    "too large": lambda path: os.truncate(path, 3_000_000_000),
    "brackets": lambda path: path.write_bytes(b"<a>" * 50_000),
    "no step": lambda path: path.write_bytes(path.read_bytes().replace(b"<step>C</step>", b"")),
    "long notes": lambda path: path.write_bytes(
        path.read_bytes().replace(b"<duration>16", b"<duration>" + b"9" * 5000)
    ),
    "no bass": lambda path: path.write_bytes(path.read_bytes().replace(b">Bass", b">Base")),
    "no time": lambda path: path.write_bytes(path.read_bytes().replace(b"<beats>4", b"<beats>0")),
    "pipe": as_pipe,
    "folder": as_folder,
    "link to nothing": as_link_to_nothing,
    "zip bomb": as_zip_bomb,
}


@pytest.mark.parametrize("change", ALTERED)
def test_an_altered_chorale_is_left_out_and_named_each_time(three_chorales, own_cache, change):
    whole = corpora.load_chorales()
    ALTERED[change](three_chorales / "bwv2.xml")
    for _ in range(2):
        with pytest.warns(UserWarning, match=r"without 1 of 3, which cannot be read.*bwv2\.xml \(.*Run: pip install"):
            assert corpora.load_chorales() == [whole[0], whole[2]]
    assert len(list(own_cache.iterdir())) == 1


def test_an_altered_list_of_titles_is_named_and_a_corpus_of_nothing_but_damage_is_refused(three_chorales):
    assert [grid.title for grid in corpora.load_chorales()] == ["BWV 1", "A title", "BWV 3"]
    (three_chorales.parent / "chorales.py").write_bytes(b"1---||---2---||---\xff---||---9")
    with pytest.warns(UserWarning, match=r"chorales\.py \(.*can't decode"):
        assert [grid.title for grid in corpora.load_chorales()] == ["BWV 1", "BWV 2", "BWV 3"]
    (three_chorales.parent / "chorales.py").unlink()
    for path in three_chorales.iterdir():
        path.write_bytes(b"no score")
    with (
        pytest.warns(UserWarning, match="without 3 of 3"),
        pytest.raises(ValueError, match="At least one chorale of music21 must be as it was installed; found none"),
    ):
        corpora.load_chorales()


def test_a_split_without_all_its_chorales_says_so(chorales, monkeypatch):
    def load_others(cache=True, expand_repeats=True):
        others = [grid for grid in chorales if grid.name != "bwv269"]
        return [voices.cut(grid, 0, 1) if grid.name == "bwv385" else grid for grid in others]

    monkeypatch.setattr(corpora, "load_chorales", load_others)
    monkeypatch.setattr(corpora, "_split_map", lambda: {"train": TABLE, "valid": [], "test": []})
    with pytest.warns(UserWarning, match=r'your music21 lacks bwv269, bwv385, so results are not those of "Bach-16'):
        split = corpora.rebuilt_split()
    assert [grid.name for grid in split["train"]] == ["bwv270"]


TABLE = [[0, "bwv269", True, 0, 0, 16], [1, "bwv270", True, 0, 0, 16], [2, "bwv385", False, 8, 0, 16]]


def test_a_music21_that_no_installer_knows_is_read(three_chorales, monkeypatch):
    def unknown(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", unknown)
    assert len(corpora.load_chorales()) == corpora.chorale_metadata()["n_pieces"] == 3
    assert corpora.chorale_metadata()["music21_version"] == "unknown"


# JSB.

TINY = b'{"train": [[[60, 57, 53, 48], [60, 57, 53, 48]]], "valid": [[[62, -1, 53, 48]]], "test": [[[64, 60, 55, 48]]]}'


@needs_jsb
def test_jsb_has_the_pieces_and_the_steps_of_the_literature():
    split = corpora.load_jsb()
    assert {part: len(pieces) for part, pieces in split.items()} == {"train": 229, "valid": 76, "test": 77}
    # four tokens a step: the benchmark's N
    assert [4 * sum(piece.n_steps for piece in split[part]) for part in ("valid", "test")] == [73632, 75600]
    pitches = np.concatenate([piece.pitch for pieces in split.values() for piece in pieces])
    assert (pitches[pitches != voices.REST].min(), pitches.max()) == (36, 81)


def test_jsb_is_read_from_the_file_that_is_named_or_downloaded_and_no_other(tmp_path, monkeypatch):
    path = tmp_path / "Jsb16thSeparated.json"
    path.write_bytes(TINY)
    monkeypatch.setattr(corpora, "JSB_SHA256", hashlib.sha256(TINY).hexdigest())
    monkeypatch.setenv("MUSESSL_JSB", str(path))
    split = corpora.load_jsb()
    assert split["train"][0] == voices.from_pitches([[60, 57, 53, 48]] * 2, name="jsb-train-0")
    assert split["valid"][0].pitch.tolist() == [[62, voices.REST, 53, 48]]
    monkeypatch.delenv("MUSESSL_JSB")
    monkeypatch.setattr(files, "download", lambda url, sha256, file_name: TINY)
    assert corpora.load_jsb() == split
    monkeypatch.setenv("MUSESSL_JSB", str(path))
    path.write_bytes(TINY.replace(b"60", b"61"))
    with pytest.raises(ValueError, match=r"must have sha256 .* It was altered or is another edition"):
        corpora.load_jsb()
    path.write_bytes(b"[" * 100_000)
    with pytest.raises(ValueError, match=r"must have sha256 .* It was altered or is another edition"):
        corpora.load_jsb()


@pytest.mark.parametrize("name", ["absent.json", "", "pipe", "empty", "~nosuchuser/jsb.json", "large"])
def test_a_jsb_file_that_cannot_be_read_is_refused(tmp_path, monkeypatch, name):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "empty").touch()
    with (tmp_path / "large").open("wb") as file:
        file.truncate(3_000_000_000)
    monkeypatch.setenv("MUSESSL_JSB", name if name.startswith("~") else str(tmp_path / name))
    with pytest.raises(FileNotFoundError, match=rf"MUSESSL_JSB must name the file .*{name} cannot be read .*Correct"):
        corpora.load_jsb()


# The same melody, the same music.


def melody(pitches, name=""):
    return voices.from_pitches(np.repeat(pitches, 4)[:, None], name=name, voice_names=("melody",))


SCALE = [60, 62, 64, 65, 67, 69, 71, 72]
ARCH = [60, 67, 65, 64, 62, 71, 72, 60]
# eight runs of five intervals in 13 notes; two melodies share the runs inside their first nine notes: four
SHARED, TAIL, OTHER = [60, 62, 65, 64, 67, 62, 69, 71, 60], [61, 68, 63, 70], [72, 60, 73, 61]


@pytest.mark.parametrize(
    "grids, expected",
    [
        # in another key, and with its notes repeated
        ([SCALE, ARCH, [pitch - 4 for pitch in SCALE], np.repeat(SCALE, 2), ARCH], [0, 1, 0, 0, 1]),
        # half of the shorter melody's runs make it the same, and one fewer does not
        ([SHARED + TAIL, SHARED + OTHER], [0, 0]),
        ([SHARED[:-1] + TAIL, SHARED[:-1] + OTHER], [0, 1]),
        # two that are like a third are one group
        ([SCALE, ARCH, SCALE + ARCH], [0, 0, 0]),
        # too short for a run: alone
        ([[60, 62], [60, 62]], [0, 1]),
    ],
)
def test_melodies_are_grouped(grids, expected):
    assert corpora.melody_groups([melody(pitches) for pitches in grids]).tolist() == expected


@given(st.lists(st.integers(-5, 6), min_size=3, max_size=3), st.permutations(range(3)))
def test_neither_the_key_nor_the_order_changes_the_groups(semitones, order):
    grids = [melody(SCALE), melody(ARCH), melody([*SCALE, 60])]
    groups = corpora.melody_groups([voices.transpose(grids[i], semitones[i]) for i in order])
    together = {frozenset(order[i] for i in np.flatnonzero(groups == g)) for g in groups}
    assert together == {frozenset({0, 2}), frozenset({1})}


def test_settings_of_one_hymn_are_one_group(chorales):
    group = corpora.melody_groups(chorales)
    of = dict(zip([grid.name for grid in chorales], group.tolist(), strict=True))
    # the Passion chorale, in E, F, Eb, D minor and a minor, under four different titles
    passion = ["bwv244.15", "bwv244.44", "bwv244.54", "bwv244.62", "bwv248.5", "bwv153.5", "bwv161.6", "bwv270"]
    assert len({of[name] for name in passion}) == 1 and of["bwv269"] != of["bwv270"]
    # hymns with one title mostly share their group, and no group swallows the book
    title = np.array([grid.title for grid in chorales])
    is_pair = np.triu(title[:, None] == title, 1) & ~np.char.startswith(title, "BWV")
    assert is_pair.sum() > 150
    assert (group[:, None] == group)[is_pair].mean() > 0.85
    assert np.bincount(group).max() <= 13 and 200 <= group.max() + 1 <= 225


def test_known_duplicates_are_found_and_little_else(chorales):
    pairs = {(first, second) for first, second, _ in corpora.duplicates(chorales)}
    # the first are a tone apart
    known = {("bwv253", "bwv414"), ("bwv158.4", "bwv279"), ("bwv117.4", "bwv177.4"), ("bwv59.3", "bwv175.7")}
    known |= {("bwv190.7", "bwv190.7-inst"), ("bwv18.5-lz", "bwv18.5-w"), ("bwv197.7-a", "bwv398")}
    assert known <= pairs and len(pairs) <= 25
    assert corpora.duplicates([]) == []


def test_duplicates_are_found_in_any_key_and_octave(chorales):
    grid = chorales[0]
    low = np.where(grid.pitch == voices.REST, voices.REST, grid.pitch - [0, 0, 0, 12])
    grids = [grid, replace(voices.transpose(grid, 2), name="moved"), replace(grid, pitch=low, name="low")]
    assert corpora.duplicates(grids) == [
        (grid.name, "moved", 1.0), (grid.name, "low", 1.0), ("moved", "low", 1.0)
    ]  # fmt: skip


def test_shared_melodies_are_named():
    split = {"train": [melody(SCALE, "x")], "test": [melody(ARCH, "y"), voices.transpose(melody(SCALE, "z"), 2)]}
    assert corpora.shared_melodies(split) == {"test": ["z"]}


@pytest.mark.parametrize(
    "call, sentence",
    [
        (lambda: corpora.melody_groups([]), "needs at least one chorale; found none"),
        (lambda: corpora.rebuilt_split([]), "A split needs at least one chorale; found none"),
        (lambda: corpora.shared_melodies({"a": [], "b": []}), 'must be called "train"; found a, b'),
        (lambda: corpora.melody_groups([None]), "must be a voices.VoiceGrid; found NoneType"),
        (lambda: corpora.duplicates([np.zeros((4, 4))]), "must be a voices.VoiceGrid; found ndarray"),
    ],
)
def test_what_cannot_be_grouped_or_split_is_refused(call, sentence):
    with pytest.raises((TypeError, ValueError), match=sentence):
        call()


# Splits.


def test_the_melody_disjoint_split_keeps_hymns_duplicates_and_proportions(chorales):
    split = corpora.melody_disjoint_split(chorales)
    part = {grid.name: name for name, grids in split.items() for grid in grids}
    assert len(part) == sum(map(len, split.values())) == len(chorales)
    assert corpora.shared_melodies(split) == {"valid": [], "test": []}
    assert all(part[first] == part[second] for first, second, _ in corpora.duplicates(chorales))
    for name, n_standard in corpora.STANDARD_SIZES.items():
        assert abs(len(split[name]) / len(chorales) - n_standard / 382) < 0.01
    assert split == corpora.melody_disjoint_split()


def test_the_rebuilt_split_has_377_different_pieces_and_leaks_melodies_as_the_literatures_does(rebuilt):
    assert {part: len(grids) for part, grids in rebuilt.items()} == {"train": 225, "valid": 75, "test": 77}
    assert len({grid.name for grids in rebuilt.values() for grid in grids}) == 377
    shared = corpora.shared_melodies(rebuilt)
    assert {part: len(names) for part, names in shared.items()} == {"valid": 35, "test": 45}


def test_a_rebuilt_last_chord_rings_to_the_end_of_jsbs_bar(rebuilt):
    ringing = next(grid for grid in rebuilt["train"] if grid.name == "bwv385")
    whole = next(grid for grid in corpora.load_chorales(expand_repeats=False) if grid.name == "bwv385")
    assert (whole.n_steps, ringing.n_steps) == (224, 228)
    np.testing.assert_array_equal(ringing.pitch[224:], np.repeat(whole.pitch[-1:], 4, axis=0))
    assert not ringing.is_onset[224:].any()
    assert ringing.bar_position_step[223:].tolist() == [11, 12, 13, 14, 15]


def test_rebuilt_pieces_have_the_fermatas_of_the_same_bars_of_music21(rebuilt, chorales):
    """Their steps are others only where repeats are left out: BWV 84.5 ends on step 140, repeats played on 220."""
    played = {grid.name: grid for grid in chorales}
    written = {grid.name: grid for grid in corpora.load_chorales(expand_repeats=False)}
    table = corpora._split_map()
    places = {name: entry for part in rebuilt for _, name, *entry in table[part]}
    for piece in (piece for grids in rebuilt.values() for piece in grids):
        has_repeats, start_step, *_ = places[piece.name]
        source = (played if has_repeats else written)[piece.name].is_fermata[max(start_step, 0) :]
        n_steps = min(len(source), piece.n_steps)
        assert np.array_equal(piece.is_fermata[:n_steps], source[:n_steps]), piece.name
    piece = next(piece for piece in rebuilt["train"] if piece.name == "bwv84.5")
    last_step = [voices.fermata_spans(grid)[-1, 0] for grid in (piece, written["bwv84.5"], played["bwv84.5"])]
    assert last_step == [140, 140, 220]


def test_only_the_chorales_given_are_in_the_rebuilt_split(chorales):
    split = corpora.rebuilt_split([grid for grid in chorales if grid.name in ("bwv360", "bwv19.7")])
    assert {part: [grid.name for grid in grids] for part, grids in split.items()} == {
        "train": ["bwv360", "bwv19.7"], "valid": [], "test": []
    }  # fmt: skip


@needs_jsb
def test_961_in_a_thousand_cells_of_the_rebuilt_pieces_equal_jsb(rebuilt):
    jsb, table = corpora.load_jsb(), corpora._split_map()
    n_equal = n_cells = 0
    for part, grids in rebuilt.items():
        for grid, (index, name, _, start_step, *_) in zip(grids, table[part], strict=True):
            original, start = jsb[part][index].pitch, max(-start_step, 0)
            assert grid.name == name
            n_equal += (original[start : start + grid.n_steps] == grid.pitch).sum()
            n_cells += original.size
    assert n_cells == 365_056
    assert n_equal / n_cells == pytest.approx(0.961, abs=0.001)


@needs_jsb
def test_jsb_itself_has_duplicates_and_shared_melodies_across_its_parts():
    jsb = corpora.load_jsb()
    assert {part: len(names) for part, names in corpora.shared_melodies(jsb).items()} == {"valid": 36, "test": 47}
    pairs = {pair[:2] for pair in corpora.duplicates([grid for grids in jsb.values() for grid in grids])}
    assert ("jsb-train-224", "jsb-valid-74") in pairs


# Folders of MIDI files.


def some_piece(pitch):
    notes = music.make_notes([0, 8, 16, 24], [8, 8, 8, 24], [pitch, 64, 67, 36], [1, 64, 127, 90], part=[0, 0, 0, 1])
    return music.Piece(
        notes,
        meters=(music.Meter(-72, 4, 4), music.Meter(24, 3, 4)),
        tempos=(music.Tempo(0, 77.0), music.Tempo(24, 150.0)),
        parts=(music.Part("Größe", 19), music.Part("drums", 0, True)),
    )


@pytest.fixture
def folder(tmp_path, own_cache):
    folder = tmp_path / "music"
    (folder / "below").mkdir(parents=True)
    whole = midi.to_bytes(some_piece(60))
    (folder / "b.mid").write_bytes(whole)
    (folder / "below" / "a.MIDI").write_bytes(midi.to_bytes(some_piece(61)))
    (folder / "text.mid").write_text("not music")
    (folder / "cut.mid").write_bytes(whole[: len(whole) // 2])
    (folder / "notes.txt").write_text("not read")
    return folder


def test_pieces_come_back_from_the_cache_as_they_were():
    pieces = [replace(some_piece(60), title="x"), music.Piece(music.make_notes([], [], [])), some_piece(61)]
    assert corpora.unpack_pieces(corpora.pack_pieces(pieces)) == pieces


def test_good_files_become_pieces_and_bad_ones_are_named(folder, capsys):
    pieces, report = corpora.load_midi_folder(folder, print_every=3)
    assert capsys.readouterr().out == "3 of 4 files, 1 refused\n4 of 4 files, 2 refused\n"
    assert [piece.title for piece in pieces] == ["b", "below/a"]
    assert [piece.notes["pitch"][0] for piece in pieces] == [60, 61]
    assert (report.n_files, report.n_read, report.n_from_cache) == (4, 2, 0)
    assert [path.name for path in report.refused] == ["cut.mid", "text.mid"]
    assert all(path.name in reason for path, reason in report.refused.items())
    assert str(report).startswith("2 of 4 files read, 0 of them from the cache.\nrefused: ")


@pytest.mark.parametrize("reader", midi.READERS)
def test_pieces_from_the_cache_equal_those_from_the_files(folder, reader):
    fresh, first = corpora.load_midi_folder(folder, reader=reader)
    again, second = corpora.load_midi_folder(folder, reader=reader)
    assert again == fresh and second == replace(first, n_from_cache=2) and first.n_from_cache == 0
    assert corpora.load_midi_folder(folder, reader=reader, cache=False) == (fresh, first)


def test_the_cache_knows_a_file_by_its_content(folder):
    corpora.load_midi_folder(folder)
    (folder / "b.mid").rename(folder / "moved.mid")
    pieces, report = corpora.load_midi_folder(folder)
    assert report.n_from_cache == 2 and [piece.title for piece in pieces] == ["below/a", "moved"]
    (folder / "moved.mid").write_bytes(midi.to_bytes(some_piece(59)))
    pieces, report = corpora.load_midi_folder(folder)
    assert report.n_from_cache == 1 and pieces[1].notes["pitch"][0] == 59


@pytest.mark.parametrize("change", ["grid", "reader", "reader's version", "library"])
def test_another_way_of_reading_is_another_entry(folder, monkeypatch, change):
    corpora.load_midi_folder(folder)
    asked = {"grid": {"steps_per_quarter": 12}, "reader": {"reader": "symusic"}}.get(change, {})
    if change == "reader's version":
        monkeypatch.setattr(corpora, "READER_VERSION_MIDI_FOLDER", corpora.READER_VERSION_MIDI_FOLDER + 1)
    elif change == "library":
        monkeypatch.setattr(mini_musessl, "__version__", "another")
    assert [corpora.load_midi_folder(folder, **asked)[1].n_from_cache for _ in range(2)] == [0, 2]


def reading_all_but(name, error):
    """Return ``read_midi`` as it is, except that it raises an error at the file of one name."""
    read = midi.read_midi

    def read_or_raise(file, *arguments):
        if file.name == name:
            raise error
        return read(file, *arguments)

    return read_or_raise


def test_a_killed_run_loses_nothing(folder, own_cache, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(midi, "read_midi", reading_all_but("a.MIDI", KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            corpora.load_midi_folder(folder)
    assert list(own_cache.rglob("*.part")) == []
    assert corpora.load_midi_folder(folder)[1].n_from_cache == 1


def test_a_cache_folder_that_cannot_be_written_is_said_once(folder, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("a file where the folder should be")
    monkeypatch.setenv("MUSESSL_CACHE", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match="The data were read all the same") as warned:
        pieces, _ = corpora.load_midi_folder(folder)
    assert len(pieces) == 2 and len(warned) == 1


@pytest.mark.parametrize(
    "place, asked, error, sentence",
    [
        ("absent", {}, NotADirectoryError, r"A folder of MIDI files must exist; there is none at .*absent"),
        ("b.mid", {}, NotADirectoryError, "Use midi.read_midi for a single file"),
        ("empty", {}, ValueError, r"must hold at least one \.mid or \.midi file"),
        ("", {"reader": "fast"}, ValueError, "reader must be one of python, symusic; found 'fast'"),
        ("", {"steps_per_quarter": 0}, ValueError, "steps_per_quarter must lie in 1..32767; found 0"),
        ("", {"print_every": "often"}, TypeError, "print_every must be a whole number; found 'often'"),
    ],
)
def test_what_is_no_folder_of_midi_files_is_refused_once(folder, place, asked, error, sentence):
    (folder / "empty").mkdir()
    with pytest.raises(error, match=sentence):
        corpora.load_midi_folder(folder / place, **asked)


@pytest.mark.parametrize("change", ["another name", "about cut", "a column shorter", "no piece", "other pitches"])
def test_a_cache_of_another_kind_is_made_again(tmp_path, own_cache, change):
    midi.write_midi(music.Piece(music.make_notes([0], [24], [60])), tmp_path / "one.mid")
    corpora.load_midi_folder(tmp_path, print_every=0)
    (entry,) = own_cache.rglob("*.npz")
    with np.load(entry) as stored:
        arrays = dict(stored)
    higher = arrays["notes"].copy()
    higher["pitch"] += 1
    altered = {
        "another name": {"facts": arrays["about"]},
        "about cut": arrays | {"about": arrays["about"][:-9]},
        "a column shorter": arrays | {"notes": arrays["notes"][:0]},
        "no piece": arrays | {"about": np.frombuffer(b"[]", np.uint8)},
        "other pitches": arrays | {"notes": higher},
    }
    if change == "other pitches":
        np.savez_compressed(entry, **altered[change])  # by another program: whole, and without the digest
    else:
        files.write_arrays(entry, altered[change])
    (piece,), report = corpora.load_midi_folder(tmp_path, print_every=0)
    assert (piece.notes["pitch"].tolist(), report.n_from_cache, report.refused) == ([60], 0, {})


@pytest.mark.parametrize(
    "error", [MemoryError, RecursionError, OverflowError("int too large"), ZeroDivisionError, KeyError]
)
def test_whatever_one_file_raises_the_others_are_read(folder, monkeypatch, error):
    monkeypatch.setattr(midi, "read_midi", reading_all_but("b.mid", error))
    pieces, report = corpora.load_midi_folder(folder)
    assert [piece.title for piece in pieces] == ["below/a"] and len(report.refused) == 3
    assert "It cannot be read (" in report.refused[folder / "b.mid"]


def test_what_is_no_file_in_a_folder_is_named_and_not_waited_for(folder, monkeypatch):
    os.mkfifo(folder / "c_pipe.mid")
    (folder / "d_loop.mid").symlink_to("d_loop.mid")
    (folder / "e_nothing.mid").symlink_to("nothing")
    (folder / "f_device.mid").symlink_to("/dev/zero")
    (folder / "g_folder.mid").mkdir()
    (folder / "g_folder.mid" / "inner.mid").write_bytes((folder / "b.mid").read_bytes())
    (folder / "h_round").symlink_to(folder)
    (folder / "i_empty.mid").touch()
    with (folder / "j_large.mid").open("wb") as file:
        file.truncate(3_000_000_000)
    pieces, report = corpora.load_midi_folder(folder, print_every=0)
    assert [piece.title for piece in pieces] == ["b", "below/a", "g_folder.mid/inner"]
    reasons = {path.stem: reason for path, reason in report.refused.items()}
    said = {
        "c_pipe": "is a device or a pipe",
        "d_loop": "Too many levels of symbolic links",
        "e_nothing": "found nothing",
        "f_device": "is a device or a pipe",
        "i_empty": "is empty",
        "j_large": "reads at most 20000000 bytes",
    }
    assert all(words in reasons[name] for name, words in said.items())
    assert report.n_files == 11 and len(reasons) == 8


def test_a_file_that_vanishes_and_one_that_cannot_be_opened_are_named(folder, monkeypatch):
    list_files = corpora._midi_files

    def list_and_remove(folder):
        found = list_files(folder)
        (folder / "b.mid").unlink()
        return found

    monkeypatch.setattr(corpora, "_midi_files", list_and_remove)
    pieces, report = corpora.load_midi_folder(folder, print_every=0)
    assert [piece.title for piece in pieces] == ["below/a"] and "found nothing" in report.refused[folder / "b.mid"]


def test_a_folder_that_cannot_be_looked_into_is_named(folder, monkeypatch):
    look = os.scandir

    def look_into_all_but_one(path):
        if str(path).endswith("below"):
            raise PermissionError(13, "Permission denied")
        return look(path)

    monkeypatch.setattr(os, "scandir", look_into_all_but_one)
    pieces, report = corpora.load_midi_folder(folder, print_every=0)
    assert [piece.title for piece in pieces] == ["b"]
    assert report.refused[folder / "below"] == "The folder cannot be looked into (Permission denied)"


def test_a_folder_within_a_thousand_others_is_found(tmp_path, own_cache):
    deep = tmp_path / "deep"
    deep.mkdir()
    here = os.open(deep, os.O_RDONLY)
    for _ in range(1010):  # beyond the depth to which Python recurses
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    data = midi.to_bytes(some_piece(60))
    with open(os.open("x.mid", os.O_WRONLY | os.O_CREAT, dir_fd=here), "wb") as file:
        file.write(data)
    os.close(here)
    try:
        (piece,), _ = corpora.load_midi_folder(deep, print_every=0)
    finally:
        subprocess.run(["rm", "-rf", deep], check=True)  # shutil.rmtree, which pytest calls, recurses
    assert piece.title == "d/" * 1010 + "x"


def test_names_that_are_no_text_can_be_printed(tmp_path, own_cache):
    data = midi.to_bytes(some_piece(60))
    for name in (b"L\xfcbeck.mid", b"line\n2.mid", b"\x1b[2J.mid", "ソ.mid".encode()):
        (tmp_path / os.fsdecode(name)).write_bytes(data)
    (tmp_path / os.fsdecode(b"M\xfcnchen\n.mid")).write_bytes(b"MThd")
    pieces, report = corpora.load_midi_folder(tmp_path, print_every=0)
    assert {piece.title for piece in pieces} == {"L\ufffdbeck", "line 2", "\ufffd[2J", "ソ"}
    assert str(report).encode("utf-8").decode().splitlines()[1:] == [str(report).splitlines()[-1]]
    assert "M\ufffdnchen .mid" in str(report)
    ((path, reason),) = report.refused.items()
    assert path.exists() and reason.isprintable()


@pytest.mark.parametrize("given", [5, None, "a\0b", b"folder"])
def test_what_is_no_path_of_a_folder_is_refused(given):
    with pytest.raises(ValueError, match="A path must be text that can name a file"):
        corpora.load_midi_folder(given)
