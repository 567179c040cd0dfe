"""Tokenizers: by hand, whole round trips, any ids, and an honest report of what is lost."""

from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_music import FOUR_PARTS, METERS, any_ids, grids, make_random_piece, pieces

from mini_musessl import music, voices
from mini_musessl.tokenizers.base import RoundTrip, Vocabulary, compare_grids, compare_notes, compare_pieces
from mini_musessl.tokenizers.compound import CompoundWords
from mini_musessl.tokenizers.midi_like import MidiLike
from mini_musessl.tokenizers.remi import Remi
from mini_musessl.tokenizers.voice_grid import VoiceGridTokens, encode_chorales

SIXTEENTHS = dict(steps_per_quarter=4, n_velocities=127)
MIDI, REMI, WORDS = MidiLike(**SIXTEENTHS, max_shift_quarter=2), Remi(**SIXTEENTHS), CompoundWords(**SIXTEENTHS)
MIDI_PARTS = replace(MIDI, parts=FOUR_PARTS)
REMI_FULL = replace(REMI, parts=FOUR_PARTS, meters=METERS, tempos=(60.0, 90.0, 120.0))
WORDS_FULL = replace(WORDS, parts=FOUR_PARTS, meters=METERS, max_bars=2)
GRID, HOLDS = VoiceGridTokens(), VoiceGridTokens(has_hold=True)
OF_PIECES = pytest.mark.parametrize("tokenizer", [MIDI_PARTS, REMI_FULL, WORDS_FULL], ids=["midi", "remi", "words"])
OF_BARS = pytest.mark.parametrize("tokenizer", [REMI, WORDS], ids=["remi", "words"])


def piece_of(*columns, **fields):
    return music.Piece(music.make_notes(*columns), steps_per_quarter=4, **fields)


def line(tokenizer, piece):
    """Write a piece's tokens as one line."""
    return " ".join(tokenizer.vocabulary.tokens(tokenizer.encode(piece)))


def lines(compound, piece):
    """Write a piece's words as one line each, without the fields' names."""
    return [" ".join(token.split()[1] for token in compound.vocabulary.tokens(word)) for word in compound.encode(piece)]


def ids_of(tokenizer, text):
    """Return the ids of tokens written as one line."""
    by_text = {tokenizer.vocabulary.token(i): i for i in range(tokenizer.vocabulary.size)}
    texts = " ".join(f"\n{part}" if not part.isdigit() else part for part in text.split()).split("\n")
    return [by_text[each.strip()] for each in texts if each.strip()]


def notes_of(tokenizer, text):
    """Return the notes that one line of tokens decodes to."""
    piece = tokenizer.decode(ids_of(tokenizer, text))
    return piece.notes[["onset_step", "duration_step", "pitch", "velocity"]].tolist()


def is_whole(report):
    """Whether the music came back as it was."""
    return report.n_notes_in == report.n_notes_out and not any(report.n_changed.values()) and not report.lost


def with_room(piece):
    """Keep pitches away from the ends of the range, so that they can be transposed."""
    notes = piece.notes.copy()
    notes["pitch"] = notes["pitch"].clip(5, 121)
    return replace(piece, notes=notes)


# --- Vocabularies

SMALL = Vocabulary((("rest", (None,)), ("pitch", range(60, 64)), ("meter", ("4/4", "3/4"))))


@given(st.lists(st.integers(1, 5), min_size=1, max_size=6))
def test_id_of_undoes_token_and_slices_cover_every_id_once(sizes):
    vocabulary = Vocabulary(tuple((f"family{i}", range(10, 10 + size)) for i, size in enumerate(sizes)))
    ids = [vocabulary.id_of(name, value) for name, values in vocabulary.families for value in values]
    assert ids == list(range(vocabulary.size))
    covered = [np.arange(vocabulary.size)[vocabulary.slice_of(name)] for name in vocabulary.names]
    assert np.concatenate(covered).tolist() == ids


def test_family_of_agrees_with_the_text_of_each_token_and_keeps_the_shape():
    families = SMALL.family_of(np.arange(6).reshape(2, 3))
    assert families.shape == (2, 3)
    assert families.reshape(-1).tolist() == [SMALL.token(i).split()[0] for i in range(6)]
    assert SMALL.tokens([]) == SMALL.family_of([]).tolist() == []


# --- What all tokenizers promise


@pytest.mark.parametrize("tokenizer", [MidiLike(), Remi(), CompoundWords(), GRID, HOLDS], ids=repr)
def test_every_tokenizer_keeps_the_contract(tokenizer):
    grid = voices.from_pitches([[72, 67, 64, 48], [72, 65, 62, 43]], title="two chords")
    thing = grid if isinstance(tokenizer, VoiceGridTokens) else voices.to_piece(grid)
    ids = tokenizer.encode(thing)
    assert ids.dtype == np.int32 and ids.min() >= 0 and ids.max() < tokenizer.vocabulary.size
    assert type(tokenizer.decode(ids)) is type(thing)
    assert isinstance(tokenizer.what_is_lost(thing), RoundTrip)
    with pytest.raises(FrozenInstanceError):
        tokenizer.steps_per_quarter = 3


@pytest.mark.parametrize("tokenizer", [REMI_FULL, WORDS_FULL], ids=["remi", "words"])
@given(piece=pieces(n_parts=4, max_duration=32, meters=METERS))
def test_a_piece_comes_back_whole(tokenizer, piece):
    back = tokenizer.decode(tokenizer.encode(piece))
    assert is_whole(compare_pieces(piece, back))
    np.testing.assert_array_equal(back.notes, piece.notes)


@given(pieces(n_parts=4, may_overlap=False))
def test_a_piece_without_overlaps_comes_back_whole_from_events(piece):
    piece = replace(piece, meters=(music.Meter(0, 4, 4),))
    assert MIDI_PARTS.decode(MIDI_PARTS.encode(piece)) == piece
    assert is_whole(MIDI_PARTS.what_is_lost(piece))


@pytest.mark.parametrize("tokenizer", [MIDI, MIDI_PARTS, REMI, REMI_FULL, GRID, HOLDS], ids=repr)
@given(data=st.data())
def test_any_ids_decode_and_encoding_again_settles(tokenizer, data):
    once = tokenizer.encode(tokenizer.decode(data.draw(any_ids(tokenizer.vocabulary))))
    np.testing.assert_array_equal(tokenizer.encode(tokenizer.decode(once)), once)


@pytest.mark.parametrize("compound", [WORDS, WORDS_FULL], ids=["plain", "full"])
@given(data=st.data())
def test_any_words_decode_and_encoding_again_settles(compound, data):
    spans = [compound.vocabulary.slice_of(name) for name in compound.fields]
    word = st.tuples(*(st.integers(span.start, span.stop - 1) for span in spans))
    ids = np.array(data.draw(st.lists(word, max_size=20)), int).reshape(-1, len(spans))
    once = compound.encode(compound.decode(ids))
    np.testing.assert_array_equal(compound.encode(compound.decode(once)), once)


@OF_PIECES
@given(piece=pieces(n_parts=4, meters=METERS), semitones=st.integers(-5, 6))
def test_transposition_moves_pitch_tokens_alone(tokenizer, piece, semitones):
    piece = with_room(piece)
    before, after = tokenizer.encode(piece), tokenizer.encode(music.transpose(piece, semitones))
    is_pitch = np.isin(tokenizer.vocabulary.family_of(before), ["pitch", "note_on", "note_off"])
    if tokenizer is WORDS_FULL:
        is_pitch &= before != tokenizer.vocabulary.id_of("pitch", "none")
    np.testing.assert_array_equal(after, before + semitones * is_pitch)


@OF_BARS
@given(piece=pieces(max_duration=16))
def test_joining_two_pieces_of_whole_bars_joins_their_tokens(tokenizer, piece):
    # Notes in the first and last bar, the last of which sounds to the end, leave no marks.
    notes = piece.notes[piece.notes["onset_step"] < 160]
    notes = music.sort_notes(np.append(notes, music.make_notes([0, 176], [1, 16], [60, 60])))
    whole = music.Piece(notes, steps_per_quarter=4)
    once = tokenizer.encode(whole)
    np.testing.assert_array_equal(tokenizer.encode(music.join([whole, whole])), np.concatenate([once, once]))


@pytest.mark.parametrize("tokenizer", [MIDI, REMI, WORDS], ids=["midi", "remi", "words"])
def test_a_piece_of_no_notes_keeps_its_length_and_a_piece_of_no_steps_has_no_tokens(tokenizer):
    silence = piece_of([], [], [], n_steps=20)
    assert tokenizer.decode(tokenizer.encode(silence)) == silence
    nothing = replace(silence, n_steps=0)
    assert len(tokenizer.encode(nothing)) == 0
    assert tokenizer.decode(tokenizer.encode(nothing)) == nothing


def test_four_tokenizers_agree_on_what_they_all_hold():
    grid = voices.from_pitches(np.repeat([[72, 67, 64, 48], [71, 67, 62, 43], [72, 64, 60, 48]], 4, axis=0))
    for kind in (MidiLike, Remi, CompoundWords):
        tokenizer = kind(steps_per_quarter=4, parts=FOUR_PARTS)
        back = tokenizer.decode(tokenizer.encode(voices.to_piece(grid)))
        assert voices.from_piece(back).pitch.tolist() == grid.pitch.tolist()
    assert GRID.decode(GRID.encode(grid)) == grid


# --- The report of what is lost


@given(pieces(n_parts=4, meters=METERS))
def test_a_piece_compared_with_itself_or_on_a_finer_grid_loses_nothing(piece):
    report = compare_pieces(piece, piece)
    assert is_whole(report) and is_whole(compare_pieces(piece, music.change_grid(piece, 12)))
    assert str(report) == f"{len(piece.notes)} of {len(piece.notes)} notes come back; nothing else is lost."


def test_the_report_counts_each_kind_of_change_by_hand():
    before = music.make_notes([0, 4, 8, 12], 4, [60, 62, 64, 65], part=[0, 0, 0, 1])
    after = music.make_notes([0, 5, 8], [4, 4, 2], [60, 62, 64], velocity=[65, 64, 64])
    report = compare_notes(before, after, tempo=True, meter=False)
    assert report.n_changed == {"onset": 1, "duration": 1, "velocity": 1, "part": 0}
    assert str(report) == (
        "3 of 4 notes come back, 1 with another onset, 1 with another duration, 1 with another velocity; lost: tempo."
    )


def test_unisons_are_told_apart_by_their_part_and_by_their_length_when_their_parts_are_merged():
    before = music.make_notes([0, 0], 4, [60, 60], part=[0, 1])
    for left in (before[1:], before[:1]):
        assert str(compare_notes(before, left)) == "1 of 2 notes come back; nothing else is lost."
    before = music.make_notes([0, 0], [4, 2], [60, 60], part=[0, 1])
    after = music.make_notes([0, 0], [2, 4], [60, 60])
    assert str(compare_notes(before, after)) == "2 of 2 notes come back, 1 with another part; nothing else is lost."


def test_whatever_else_is_lost_is_named():
    piece = make_random_piece(seed=5, n_notes=20)
    changes = {
        "tempo": {"tempos": (music.Tempo(0, 60.0),)},
        "meter": {"meters": (music.Meter(0, 3, 4),)},
        "parts": {"parts": (music.Part("flute"),)},
        "length": {"n_steps": piece.n_steps + 1},
        "title": {"title": "another"},
    }
    for name, change in changes.items():
        assert compare_pieces(piece, replace(piece, **change)).lost == (name,)
    # A meter written otherwise with the same bars is no loss.
    again = replace(piece, meters=(music.Meter(-96, 4, 4), music.Meter(96, 4, 4)))
    assert is_whole(compare_pieces(piece, again))
    grid = voices.from_pitches([[72, 67, 64, 48]] * 3, fifths=1, mode="major", name="bwv1")
    changes = {
        "tempo": {"quarters_per_minute": 60.0},
        "meter": {"bar_position_step": np.array([12, 13, 14])},
        "key": {"mode": "minor"},
        "fermatas": {"is_fermata": np.array([False, True, True])},
        "title": {"name": ""},
    }
    for name, change in changes.items():
        assert compare_grids(grid, replace(grid, **change)).lost == (name,)


def test_another_grid_is_rounded_and_the_report_says_so():
    piece = music.Piece(music.make_notes([0, 8, 16], 8, [60, 62, 64]), steps_per_quarter=24)
    remi = Remi(steps_per_quarter=4)
    assert remi.decode(remi.encode(piece)).notes["onset_step"].tolist() == [0, 1, 3]
    assert (remi.what_is_lost(piece).n_notes_out, remi.what_is_lost(piece).n_changed["onset"]) == (3, 2)
    assert is_whole(Remi(steps_per_quarter=12).what_is_lost(piece))


def test_velocities_are_nearest_and_their_change_is_counted():
    piece = piece_of([0, 1, 2], 1, 60, [1, 64, 65])
    remi = Remi(steps_per_quarter=4)
    assert remi.velocities[[0, 15, 31]].tolist() == [4, 64, 127]
    assert remi.decode(remi.encode(piece)).notes["velocity"].tolist() == [4, 64, 64]
    assert remi.what_is_lost(piece).n_changed["velocity"] == 2
    assert is_whole(REMI.what_is_lost(piece))


@given(pieces(max_duration=60))
def test_notes_longer_than_the_limit_are_shortened_to_it_and_counted(piece):
    expected = piece.notes.copy()
    expected["duration_step"] = np.minimum(expected["duration_step"], 32)
    np.testing.assert_array_equal(REMI.decode(REMI.encode(piece)).notes, music.sort_notes(expected))
    assert REMI.what_is_lost(piece).n_changed["duration"] == (piece.notes["duration_step"] > 32).sum()


def test_a_chorale_comes_back_but_for_what_has_no_token():
    piece = voices.to_piece(voices.from_pitches(np.repeat([[72, 67, 64, 48], [71, 67, 62, 43]], 8, axis=0)))
    assert is_whole(Remi(steps_per_quarter=4, parts=piece.parts, tempos=(80.0,)).what_is_lost(piece))
    report = Remi(steps_per_quarter=4).what_is_lost(piece)
    assert report.lost == ("tempo", "parts") and report.n_changed["part"] == 5
    in_three = replace(piece, meters=(music.Meter(0, 3, 4),))
    assert replace(MIDI, parts=piece.parts).what_is_lost(in_three).lost == ("tempo", "meter")
    assert replace(WORDS, parts=piece.parts).what_is_lost(piece).lost == ("tempo",)


# --- MIDI-like


def test_three_notes_as_events_by_hand():
    piece = piece_of([0, 2, 4], [4, 4, 2], [60, 64, 60], [64, 64, 80])
    assert line(MIDI, piece) == (
        "velocity 64 note_on 60 time_shift 2 note_on 64 time_shift 2 note_off 60 velocity 80 note_on 60 "
        "time_shift 2 note_off 60 note_off 64"
    )


@pytest.mark.parametrize("wait, shifts", [(7, "7"), (8, "8"), (9, "8 1"), (16, "8 8")])
def test_a_long_wait_is_longest_shifts_and_a_rest(wait, shifts):
    tokens = " ".join(f"time_shift {shift}" for shift in shifts.split())
    piece = piece_of([wait], [1], [60])
    assert line(replace(MIDI, n_velocities=0), piece) == f"{tokens} note_on 60 time_shift 1 note_off 60"


def test_parts_are_named_when_they_change():
    piece = piece_of([0, 0, 2], [2, 2, 2], [72, 60, 60], 64, [0, 3, 3], parts=FOUR_PARTS)
    assert line(replace(MIDI_PARTS, n_velocities=0), piece) == (
        "part 0 note_on 72 part 3 note_on 60 time_shift 2 part 0 note_off 72 part 3 note_off 60 note_on 60 "
        "time_shift 2 note_off 60"
    )


@given(pieces())
def test_overlapping_notes_of_one_pitch_come_back_cut_and_counted(piece):
    back = MIDI.decode(MIDI.encode(piece))
    assert back.n_steps == piece.n_steps
    struck = {(int(n["onset_step"]), int(n["pitch"])) for n in piece.notes}
    assert {(int(n["onset_step"]), int(n["pitch"])) for n in back.notes} == struck
    assert MIDI.what_is_lost(piece).n_notes_out == len(struck)


@pytest.mark.parametrize(
    "text, notes",
    [
        ("note_off 60 time_shift 2 note_off 60", []),  # no note to end
        ("note_on 60 time_shift 2 time_shift 2", [(0, 4, 60, 64)]),  # never ended: to the end of the music
        ("note_on 60 note_off 60 time_shift 2", []),  # lasts no time
        ("note_on 60 time_shift 2 note_on 60 time_shift 1 note_off 60", [(0, 2, 60, 64), (2, 1, 60, 64)]),  # again
        ("note_on 60", []),  # the music has no time at all
    ],
)
def test_ill_formed_events_decode_as_documented(text, notes):
    assert notes_of(MIDI, text) == notes


# --- REMI


def upbeat():
    """Return an upbeat of a quarter, a bar that is cut short, and a late end."""
    meters = (music.Meter(-12, 4, 4), music.Meter(16, 4, 4))
    return piece_of([0, 4, 16], [4, 12, 4], [55, 60, 60], meters=meters, n_steps=24)


def test_an_upbeat_a_short_bar_and_a_late_end_by_hand():
    remi, compound = replace(REMI, n_velocities=0), replace(WORDS, n_velocities=0)
    assert line(remi, upbeat()) == (
        "position 12 position 12 pitch 55 duration 4 bar position 0 pitch 60 duration 12 "
        "position 12 bar position 0 pitch 60 duration 4 position 8"
    )
    assert lines(compound, upbeat()) == [
        "0 12 none 1", "0 12 55 4", "1 0 60 12", "0 12 none 1", "1 0 60 4", "0 8 none 1"
    ]  # fmt: skip
    assert remi.decode(remi.encode(upbeat())) == compound.decode(compound.encode(upbeat())) == upbeat()


def test_parts_meters_and_tempos_by_hand():
    tempos = (music.Tempo(0, 92.0), music.Tempo(4, 50.0))
    fields = dict(meters=(music.Meter(0, 3, 4),), tempos=tempos, parts=FOUR_PARTS)
    piece = piece_of([0, 0], [4, 8], [72, 60], 64, [0, 3], **fields)
    assert line(replace(REMI_FULL, n_velocities=0), piece) == (
        "bar meter 3/4 position 0 tempo 90.0 part 0 pitch 72 duration 4 part 3 pitch 60 duration 8 "
        "position 4 tempo 60.0"
    )


@given(pieces(n_parts=4, meters=METERS))
def test_onsets_survive_meters_that_the_vocabulary_is_without(piece):
    back = REMI.decode(REMI.encode(piece))
    np.testing.assert_array_equal(np.sort(back.notes["onset_step"]), piece.notes["onset_step"])


@pytest.mark.parametrize(
    "text, notes",
    [
        ("bar position 4 pitch 60 velocity 64", []),  # no duration
        ("bar position 4 duration 3 velocity 64", []),  # no pitch
        ("pitch 60 duration 2", [(0, 2, 60, 64)]),  # no bar, no position, no velocity
        ("pitch 60 duration 2 pitch 62 velocity 9", [(0, 2, 60, 64)]),  # what follows the next pitch is another note's
        ("bar bar pitch 60 velocity 9 velocity 8 duration 2 duration 3", [(16, 2, 60, 9)]),  # the first of each
        ("position 4 pitch 60 duration 2 position 0 pitch 62 duration 1", [(0, 2, 60, 64), (0, 1, 62, 64)]),  # before 0
    ],
)
def test_ill_formed_bars_decode_as_documented(text, notes):
    assert notes_of(REMI, text) == notes


def test_a_short_bar_must_hold_the_start_of_the_music():
    back = REMI.decode(ids_of(REMI, "position 12 position 8 bar position 0 pitch 60 duration 1"))
    assert back.notes["onset_step"].tolist() == [4]
    assert back.meters == (music.Meter(-12, 4, 4),)


# --- Compound words


def test_a_long_rest_is_passed_by_words_without_a_note():
    piece = piece_of([5 * 16], [1], [60])
    compound = replace(WORDS, n_velocities=0, max_bars=2)
    assert lines(compound, piece) == ["2 0 none 1", "2 0 none 1", "2 0 60 1"]
    assert compound.decode(compound.encode(piece)) == piece


def test_a_new_meter_needs_a_word_of_its_own_only_where_no_note_says_it():
    meters = (music.Meter(0, 3, 4), music.Meter(12, 4, 4), music.Meter(28, 6, 8))
    piece = piece_of([0, 28], [4, 4], [60, 62], meters=meters)
    compound = replace(WORDS, n_velocities=0, meters=METERS)
    assert lines(compound, piece) == ["1 0 60 4 3/4", "1 0 none 1 4/4", "1 0 62 4 6/8"]


# --- Voice grids


def test_the_alphabet_is_that_of_the_benchmark():
    assert GRID.vocabulary.tokens([0, 1, 46]) == ["rest", "pitch 36", "pitch 81"]
    assert (GRID.vocabulary.size, HOLDS.vocabulary.token(47)) == (47, "hold")
    assert HOLDS.vocabulary.tokens(range(47)) == GRID.vocabulary.tokens(range(47))


def test_three_steps_by_hand():
    pitch = [[72, 67, 64, 48], [72, 65, -1, 48], [72, 65, 64, 48]]
    is_onset = [[True] * 4, [True, True, False, False], [False, False, True, False]]
    grid = voices.from_pitches(pitch, is_onset=np.array(is_onset))
    assert GRID.encode(grid).tolist() == [37, 32, 29, 13, 37, 30, 0, 13, 37, 30, 29, 13]
    assert HOLDS.encode(grid).tolist() == [37, 32, 29, 13, 37, 30, 0, 47, 47, 47, 29, 47]
    assert encode_chorales([grid, pitch])[1].tolist() == GRID.as_steps(GRID.encode(grid)).tolist()


@given(grids())
def test_a_grid_comes_back_whole_when_holds_have_a_token_and_its_pitches_always(grid):
    assert HOLDS.decode(HOLDS.encode(grid)) == grid
    assert is_whole(HOLDS.what_is_lost(grid))
    np.testing.assert_array_equal(GRID.decode(GRID.encode(grid)).pitch, grid.pitch)


@given(grids(repeats=False))
def test_a_grid_without_repeated_notes_comes_back_whole(grid):
    assert GRID.decode(GRID.encode(grid)) == grid


def test_a_hold_with_nothing_to_hold_is_a_rest_and_an_incomplete_step_is_left_out():
    one_voice = VoiceGridTokens(has_hold=True, voice_names=("melody",))
    assert one_voice.decode([47, 25, 47, 0, 47]).pitch[:, 0].tolist() == [-1, 60, 60, -1, -1]
    assert GRID.as_steps([1, 2, 3, 4, 5]).tolist() == [[1, 2, 3, 4]]
    assert GRID.decode([]).n_steps == 0


@given(grids(lowest=40, highest=70), st.integers(-4, 11))
def test_transposing_a_grid_moves_pitch_tokens_alone(grid, semitones):
    before, after = HOLDS.encode(grid), HOLDS.encode(voices.transpose(grid, semitones))
    is_pitch = HOLDS.vocabulary.family_of(before) == "pitch"
    np.testing.assert_array_equal(after, before + semitones * is_pitch)


def test_repeated_notes_that_melt_are_counted():
    is_onset = np.array([[True], [True], [False]])
    grid = voices.from_pitches([[60], [60], [60]], is_onset=is_onset, voice_names=("melody",), fifths=2, name="bwv1")
    report = VoiceGridTokens(voice_names=("melody",)).what_is_lost(grid)
    assert str(report) == "1 of 2 notes come back, 1 with another duration; lost: key, title."


def test_what_tokens_cannot_say_can_be_given_to_decode():
    grid = voices.from_pitches([[60], [62]], voice_names=("melody",), meter=(3, 4), quarters_per_minute=100.0)
    tokenizer = VoiceGridTokens(voice_names=("melody",))
    assert tokenizer.decode(tokenizer.encode(grid), meter=(3, 4), quarters_per_minute=100.0) == grid


# --- Refusals

CHORD = voices.from_pitches([[72, 67, 64, 48]])
MELODY = voices.from_pitches([[60]], voice_names=("melody",))
ONE_WORD = WORDS.encode(piece_of([0], [4], [60]))
REFUSED = [
    (lambda: SMALL.check([0, 7]), r"Token ids must lie in 0\.\.6; found 0\.\.7"),
    (lambda: SMALL.check([0.0, 0.5]), r"whole numbers; found 0.5 at place 1\. Are these logits"),
    (lambda: SMALL.tokens([[0, 1]]), r"must be one row, shape \(n_tokens,\); found shape \(1, 2\)"),
    (lambda: SMALL.id_of("velocity", 3), "A family must be one of rest, pitch, meter; found 'velocity'"),
    (lambda: SMALL.id_of("pitch", 64), "family 'pitch' must be one of 60, 61, 62, 63; found 64"),
    (lambda: Vocabulary(()), r"needs families, .* 'families' are \(\)"),
    (lambda: Vocabulary((("a", (1, 1)),)), r"none of them twice; 'a' are \(1, 1\)"),
    (lambda: Remi(steps_per_quarter=0), "steps_per_quarter must lie in 1..32767; found 0"),
    (lambda: MidiLike(lowest_pitch=61, highest_pitch=60), r"highest_pitch must lie in 61\.\.127; found 60"),
    (lambda: MidiLike(parts=()), "at least one part; found none"),
    (lambda: CompoundWords(max_bars=1.5), "max_bars must be a whole number; found 1.5"),
    (lambda: Remi(meters=("4/4",)), "pair of whole numbers.*found '4/4'"),
    (lambda: Remi(meters=()), "at least one meter"),
    (lambda: Remi(meters=((3, 16),), steps_per_quarter=1), "whole number of steps"),
    (lambda: Remi(tempos=(float("nan"),)), "a finite number above 0; found nan"),
    (lambda: VoiceGridTokens(voice_names=()), "at least one voice; found none"),
    (lambda: replace(MIDI, lowest_pitch=21).encode(piece_of([0], [4], [20])), r"lie in 21\.\.127; found 20\.\.20. Tra"),
    (lambda: REMI_FULL.encode(piece_of([0], 4, 60, 64, 4, parts=(music.Part(),) * 5)), "has 4 parts; .* in part 4"),
    (lambda: REMI.encode(CHORD), r"a music\.Piece here; found VoiceGrid\. .* voices\.to_piece"),
    (lambda: REMI.decode([9999]), r"Token ids must lie in 0\.\..*; found 9999"),
    (lambda: WORDS.decode(ONE_WORD[0]), r"Words must have shape \(n_words, 5\), .* found \(5,\)"),
    (lambda: WORDS.decode(ONE_WORD[:, ::-1]), "Column 0 must hold ids of the field 'bar'; found 'velocity 64'"),
    (lambda: GRID.encode(voices.to_piece(CHORD)), r"a voices\.VoiceGrid; found Piece\. .* voices\.from_piece"),
    (lambda: GRID.encode(MELODY), "holds 4 voices at 4 steps per quarter; the grid has 1 at 4"),
    (lambda: GRID.encode(voices.from_pitches([[84, 67, 64, -1]])), r"must lie in 36\.\.81; found 64\.\.84. Transpose"),
    (lambda: GRID.decode(np.zeros((2, 3), int)), r"shape \(n_tokens,\) or \(n_steps, 4\); found \(2, 3\)"),
    (lambda: encode_chorales(CHORD), "Chorales come in a list; found one VoiceGrid"),
]  # fmt: skip


@pytest.mark.parametrize("call, sentence", REFUSED)
def test_what_cannot_be_said_or_read_is_refused(call, sentence):
    with pytest.raises((TypeError, ValueError), match=sentence):
        call()
