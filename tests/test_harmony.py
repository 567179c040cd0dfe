"""Harmony: hand-checked chords and keys, labels that move with the music, and agreement with music21 and analysts."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini_musessl import corpora, harmony, music, voices


def block(*chords: list[int], n_steps: int = 4, **facts) -> voices.VoiceGrid:
    pitch = np.repeat(np.array(chords), n_steps, axis=0)
    return voices.from_pitches(pitch, voice_names=tuple(f"voice {i}" for i in range(pitch.shape[1])), **facts)


def names(grid: voices.VoiceGrid) -> list[str]:
    return harmony.chord_names(harmony.chord_labels(grid))


# --- chroma


def test_chroma_weighs_by_duration_and_forgets_octave_and_loudness():
    notes = music.make_notes([0, 0, 24], [48, 24, 24], [48, 76, 60], velocity=[10, 100, 64])
    assert harmony.chroma(notes).tolist() == [0.75, 0, 0, 0, 0.25, *[0] * 7]
    assert not harmony.chroma(notes[:0]).any()


def test_chroma_of_a_grid_is_that_of_its_notes():
    grid = block([67, 64, 60, 48], [65, 62, -1, 43])
    np.testing.assert_allclose(harmony.chroma(grid), harmony.chroma(voices.to_piece(grid)))
    np.testing.assert_allclose(harmony.grid_chroma(grid, grid.n_steps)[0], harmony.chroma(grid))


def test_chroma_leaves_out_drum_parts():
    notes = music.make_notes([0, 0], [24, 24], [60, 38], part=[0, 1])
    piece = music.Piece(notes, parts=(music.Part("piano"), music.Part("kit", is_drum=True)))
    assert harmony.chroma(piece)[0] == 1
    assert harmony.chroma(notes)[2] == 0.5


def test_blocks_of_a_grid_have_their_own_chroma_and_the_last_may_be_short_or_silent():
    blocks = harmony.grid_chroma(block([60], [62], [64], [-1], n_steps=3), n_block_steps=4)
    np.testing.assert_allclose(blocks[:, [0, 2, 4]], [[0.75, 0.25, 0], [0, 0.5, 0.5], [0, 0, 1]])


def test_an_empty_grid_has_no_blocks_and_no_beats():
    grid = voices.from_pitches(np.zeros((0, 4), int))
    assert harmony.grid_chroma(grid, 4).shape == (0, 12)
    assert len(harmony.chord_labels(grid)) == 0
    assert harmony.cadences(grid) == []


# --- spelling


@pytest.mark.parametrize(
    ("fifths", "expected"), [(0, "C C# D D# E F F# G G# A Bb B"), (-3, "C Db D Eb E F F# G Ab A Bb B")]
)
def test_pitch_classes_are_spelled_after_the_key_signature(fifths, expected):
    assert " ".join(harmony.pitch_class_name(pc, fifths) for pc in range(12)) == expected


def test_every_spelling_names_its_pitch_class_as_music21_reads_it():
    from music21 import pitch

    for fifths in range(-7, 8):
        for pitch_class in range(12):
            name = harmony.pitch_class_name(pitch_class, fifths)
            assert pitch.Pitch(name[0] + name[1:].replace("b", "-")).pitchClass == pitch_class


# --- chords


@pytest.mark.parametrize(
    ("chord", "name"),
    [
        ([67, 64, 60, 48], "C"),
        ([72, 67, 64, 52], "C/E"),
        ([69, 64, 60, 45], "Am"),
        ([77, 71, 67, 43], "G7"),
        ([77, 74, 71, 43], "G7"),
        ([72, 69, 66, 54], "F#dim"),
        ([72, 68, 64, 48], "Caug"),
        ([72, 69, 65, 50], "Dm7"),
        ([71, 67, 64, 48], "Cmaj7"),
        ([69, 65, 62, 47], "Bm7b5"),
        ([68, 65, 62, 47], "Bdim7"),
        ([72, 64, 60, 48], "C"),  # no fifth: root and third are enough
        ([72, 67, 60, 48], "-"),  # no third: neither major nor minor
        ([74, 67, 60, 48], "-"),
        ([60, 60, 60, 48], "-"),
        ([-1, -1, -1, -1], "-"),
    ],
)
def test_chords_by_hand(chord, name):
    assert names(block(chord)) == [name]


@pytest.mark.parametrize(
    ("first_half", "second_half", "name"),
    [
        ([67, 64, 60, 48], [67, 64, 60, 50], "C"),  # a passing note
        ([65, 62, 59, 55], [67, 62, 59, 55], "G7"),  # a seventh on the beat
        ([67, 62, 59, 55], [65, 62, 59, 55], "G"),  # one that passes
        ([67, 64, 48, 52], [67, 64, 48, 52], "C"),  # voices that cross: the bass is the lowest note
        ([-1, -1, -1, -1], [67, 64, 60, 52], "C/E"),  # a rest on the beat: the bass is that of the first notes
    ],
)
def test_what_sounds_on_the_beat_counts_for_more(first_half, second_half, name):
    assert names(voices.from_pitches([first_half] * 2 + [second_half] * 2)) == [name]


def test_beats_are_quarters_from_the_bar_line_so_an_upbeat_of_an_eighth_is_a_beat_of_its_own():
    grid = replace(block([67, 64, 60, 48], n_steps=10), bar_position_step=(np.arange(10) + 14) % 16)
    assert harmony.chord_labels(grid)["step"].tolist() == [0, 2, 6]


@given(
    pitch=st.lists(st.lists(st.integers(30, 90) | st.just(-1), min_size=4, max_size=4), min_size=1, max_size=24),
    semitones=st.integers(-24, 24),
)
def test_labels_move_with_the_music(pitch, semitones):
    grid = voices.from_pitches(pitch)
    here, there = (harmony.chord_labels(g) for g in (grid, voices.transpose(grid, semitones)))
    np.testing.assert_array_equal(here["quality"], there["quality"])
    for name in ("root", "bass"):
        expected = np.where(here[name] < 0, here[name], (here[name] + semitones) % 12)
        np.testing.assert_array_equal(there[name], expected)


def test_chord_classes_count_every_chord_once_and_in_the_documented_order():
    chords = np.array([(0, r, q, r) for q in range(9) for r in range(12)], harmony.CHORD_DTYPE)
    assert harmony.chord_classes(chords).tolist() == list(range(1, harmony.N_CHORD_CLASSES))
    assert harmony.chord_class_names()[1:] == tuple(harmony.chord_names(chords))
    assert harmony.chord_class_names()[108] == "Bdim7"


# --- keys


def test_the_profiles_are_those_of_music21():
    from music21.analysis import discrete

    weights = discrete.KrumhanslSchmuckler().getWeights
    assert list(harmony.MAJOR_PROFILE) == weights("major")
    assert list(harmony.MINOR_PROFILE) == weights("minor")


@pytest.mark.parametrize("mode", ["major", "minor"])
def test_each_profile_finds_its_own_key(mode):
    profile = harmony.MAJOR_PROFILE if mode == "major" else harmony.MINOR_PROFILE
    for tonic in range(12):
        key = harmony.find_key(np.roll(profile, tonic))
        assert (key.tonic, key.mode) == (tonic, mode)
        assert key.correlation == pytest.approx(1)
        assert key.runner_up.correlation < key.correlation


@given(amount=st.lists(st.integers(0, 99), min_size=12, max_size=12, unique=True), semitones=st.integers(0, 11))
def test_the_key_moves_with_the_music_and_does_not_depend_on_the_scale(amount, semitones):
    here, there = harmony.find_key(amount), harmony.find_key(1e300 * np.roll(amount, semitones))
    assert ((here.tonic + semitones) % 12, here.mode) == (there.tonic, there.mode)
    assert here.correlation == pytest.approx(there.correlation)


def test_signatures_name_their_key_and_keys_know_their_signature():
    named = {(0, "minor"): "A minor", (4, "major"): "E major", (-3, "minor"): "C minor", (-6, "major"): "F# major"}
    assert {each: str(harmony.key_from_signature(*each)) for each in named} == named
    for fifths in range(-5, 7):
        assert all(harmony.key_from_signature(fifths, mode).fifths == fifths for mode in ("major", "minor"))


# --- cadences

C_MAJOR, G_MAJOR, D_MINOR = harmony.Key(0, "major"), harmony.Key(7, "major"), harmony.Key(2, "minor")
CHORDS = {
    "C": [76, 67, 60, 48], "Dm": [77, 69, 62, 50], "F": [77, 69, 60, 53], "G": [74, 67, 59, 55],
    "G7": [77, 71, 62, 55], "Am": [76, 69, 60, 57], "Bdim": [77, 74, 62, 47], "D": [78, 69, 62, 50],
    "A": [73, 69, 64, 57], "Bb": [77, 70, 62, 46], "C8": [72, 67, 64, 48], "C8/E": [72, 67, 60, 52],
    "G/B": [74, 67, 62, 47], "D8": [74, 69, 66, 50], "Dm8": [74, 69, 65, 50], "Gm": [74, 70, 62, 55],
}  # fmt: skip


def phrase(*chords: str) -> voices.VoiceGrid:
    return block(*(CHORDS[name] for name in chords), is_fermata=np.arange(4 * len(chords)) >= 4 * len(chords) - 4)


@pytest.mark.parametrize(
    ("chords", "key", "kind"),
    [
        ("C F G C", C_MAJOR, "imperfect authentic"),  # the soprano ends on the third
        ("C F G C8", C_MAJOR, "perfect authentic"),
        ("C F G7 C8", C_MAJOR, "perfect authentic"),
        ("C F G/B C8", C_MAJOR, "imperfect authentic"),
        ("C F G C8/E", C_MAJOR, "imperfect authentic"),
        ("C F Bdim C8", C_MAJOR, "imperfect authentic"),
        ("C G C G", C_MAJOR, "half"),
        ("C G C F C", C_MAJOR, "plagal"),
        ("C F G7 Am", C_MAJOR, "deceptive"),
        ("C F G C", G_MAJOR, "other"),
        ("C D G", G_MAJOR, "imperfect authentic"),
        ("Dm A Dm8", D_MINOR, "perfect authentic"),
        ("Dm A D8", D_MINOR, "perfect authentic"),  # a Picardy third
        ("D A Dm8", harmony.Key(2, "major"), "other"),  # and never the reverse
        ("Dm G A", D_MINOR, "half"),
        ("Dm A Bb", D_MINOR, "deceptive"),
        ("Dm A Bb", C_MAJOR, "other"),
    ],
)
def test_cadences_by_hand(chords, key, kind):
    (cadence,) = harmony.cadences(phrase(*chords.split()), key)
    before, last = (name.replace("8", "") for name in chords.split()[-2:])
    assert (cadence.kind, cadence.chord_before, cadence.chord, cadence.key) == (kind, before, last, key)


def test_without_a_key_each_phrase_has_its_own():
    here, there = phrase("C", "F", "C", "F", "G", "C8"), voices.transpose(phrase("Dm", "G", "C8"), 2)
    pitch, is_fermata = (np.concatenate([getattr(g, name) for g in (here, there)]) for name in ("pitch", "is_fermata"))
    found = harmony.cadences(voices.from_pitches(pitch, is_fermata=is_fermata))
    kinds = [(c.step, c.kind, str(c.key)) for c in found]
    assert kinds == [(20, "perfect authentic", "C major"), (32, "perfect authentic", "D major")]


def test_a_lone_fermata_has_no_chord_before_it():
    (cadence,) = harmony.cadences(phrase("C"))
    assert (cadence.kind, cadence.chord_before, cadence.chord) == ("other", "-", "C")


def test_cadences_move_with_the_music():
    grid = phrase("C", "Am", "Dm", "G7", "C8")
    for semitones in range(-6, 6):
        (moved,) = harmony.cadences(voices.transpose(grid, semitones))
        assert (moved.kind, moved.step, moved.key.tonic) == ("perfect authentic", 16, semitones % 12)


@pytest.mark.parametrize(
    ("chords", "kind", "key"),
    [
        ("Dm A Dm8", "perfect authentic", "D minor"),
        ("D D D A Dm8", "perfect authentic", "D minor"),  # major thirds all along, and a minor chord at the end
        ("Dm Gm A D8", "perfect authentic", "D minor"),  # a Picardy third
        ("D A D8", "perfect authentic", "D major"),
        ("D D D Dm A", "half", "D minor"),  # the minor chord before decides
        ("Dm Bb Gm A", "half", "D minor"),
    ],
)
def test_a_minor_chord_of_the_tonic_or_a_longer_minor_third_makes_a_key_minor(chords, kind, key):
    (cadence,) = harmony.cadences(phrase(*chords.split()))
    assert (cadence.kind, str(cadence.key)) == (kind, key)


def test_cadences_of_two_chorales_by_hand():
    grids = {grid.name: grid for grid in sample(every=1)}
    found = [harmony.cadences(grids[name]) for name in ("bwv66.6", "bwv355")]
    described = [[(c.chord_before, c.chord, c.kind, str(c.key)) for c in each] for each in found]
    assert described[0][:3] == [
        ("E/G#", "A", "imperfect authentic", "A major"),
        ("E7", "A", "perfect authentic", "A major"),
        ("C#7", "F#m", "perfect authentic", "F# minor"),
    ]
    assert described[1][:4] == [
        ("D#dim/F#", "E", "half", "A major"),
        ("E", "A", "perfect authentic", "A major"),
        ("Bm/E", "F#", "half", "B minor"),
        ("B7", "E", "perfect authentic", "E major"),
    ]


def test_no_minor_chord_is_the_tonic_of_a_major_key():
    for grid in sample(every=1):
        for cadence in harmony.cadences(grid):
            tonic = harmony.pitch_class_name(cadence.key.tonic, cadence.key.fifths)
            assert cadence.key.mode == "minor" or cadence.chord.split("/")[0] != f"{tonic}m"


# --- agreement with music21 and with analysts: the rates stand in the docstrings, and these tests compare them


@cache
def sample(every: int = 8) -> tuple[voices.VoiceGrid, ...]:
    return tuple(corpora.load_chorales(expand_repeats=False)[::every])


def music21_key(grid: voices.VoiceGrid):
    from music21 import note, stream

    flat = stream.Stream()
    for _, duration_step, pitch, _, _ in voices.to_piece(grid).notes.tolist():
        flat.append(note.Note(pitch, quarterLength=duration_step / grid.steps_per_quarter))
    return flat.analyze("key.krumhanslkessler")


def key_agreement(grids) -> tuple[int, int, int, int, float]:
    same, best, second, n_signed, worst = 0, 0, 0, 0, 0.0
    for grid in grids:
        ours, theirs = harmony.find_key(harmony.chroma(grid)), music21_key(grid)
        same += (ours.tonic, ours.mode) == (theirs.tonic.pitchClass, theirs.mode)
        worst = max(worst, abs(ours.correlation - theirs.correlationCoefficient))
        if grid.fifths is not None and grid.mode in ("major", "minor"):
            signed = harmony.key_from_signature(grid.fifths, grid.mode)
            n_signed += 1
            best += (signed.tonic, signed.mode) == (ours.tonic, ours.mode)
            second += (signed.tonic, signed.mode) == (ours.runner_up.tonic, ours.runner_up.mode)
    return same, best, second, n_signed, worst


def test_keys_agree_with_music21_as_often_as_the_docstring_says():
    grids, text = sample(), text_of(harmony.find_key)
    same, best, second, n_signed, worst = key_agreement(grids)
    assert len(grids) >= 50 and worst < 1e-9
    assert f"music21's on all {same} of {len(grids)}" in text
    assert f"signature and mode on {best} of {n_signed}, and the runner-up on {second} more" in text


def misses(grids) -> tuple[int, int]:
    fifth = relative = 0
    for grid in grids:
        if grid.fifths is not None and grid.mode in ("major", "minor"):
            found, signed = harmony.find_key(harmony.chroma(grid)), harmony.key_from_signature(grid.fifths, grid.mode)
            fifth += found.mode == signed.mode and (found.tonic - signed.tonic) % 12 in (5, 7)
            relative += found.mode != signed.mode and found.fifths == signed.fifths
    return fifth, relative


@cache
def music21_triad(bass: int, others: tuple[int, ...]) -> tuple[int, str] | None:
    from music21 import chord

    found = chord.Chord([48 + bass, *(60 + pc for pc in others)])
    return (found.root().pitchClass, found.quality) if found.isTriad() else None


def triad_agreement(grids) -> tuple[int, int, int]:
    n_triads = same_root = same_chord = 0
    for grid in grids:
        for step, root, quality, bass in harmony.chord_labels(grid).tolist():
            sounding = {int(p) % 12 for p in grid.pitch[step] if p != voices.REST}
            triad = music21_triad(bass, tuple(sorted(sounding - {bass}))) if len(sounding) == 3 else None
            if triad:
                n_triads += 1
                same_root += root == triad[0]
                same_chord += (root, harmony.QUALITIES[quality]) == triad
    return n_triads, same_root, same_chord


def test_triads_agree_with_music21_as_often_as_the_docstring_says():
    n_triads, same_root, same_chord = triad_agreement(sample())
    root, chord, text = 100 * same_root / n_triads, 100 * same_chord / n_triads, text_of(harmony.chord_labels)
    assert f"{n_triads} beats" in text and f"root on {root:.1f} % and its quality as well on {chord:.1f} %" in text


@pytest.mark.slow
def test_all_chorales_agree_with_music21_on_key_and_triads():
    grids = sample(every=1)
    same, best, _, n_signed, worst = key_agreement(grids)
    n_triads, same_root, same_chord = triad_agreement(grids)
    assert same == len(grids) == 408 and worst < 1e-9
    assert min(same_root, same_chord) / n_triads > 0.99
    text, (fifth, relative) = text_of(harmony.find_key), misses(grids)
    assert f"on all chorales, {best} of {n_signed}" in text
    assert f"Of the {n_signed - best} misses {fifth} are a fifth away and {relative} are the relative" in text


# Left out: the analyses 11 (BWV 41.6) and 15 (BWV 277), which count other bars than the scores do.
ANALYSED = {
    1: "269", 2: "347", 3: "153.1", 4: "86.6", 5: "267", 6: "281", 7: "17.7", 8: "40.8", 9: "248.12-2", 10: "38.6",
    12: "65.2", 13: "33.6", 14: "184.5", 16: "311", 17: "145.5", 18: "318", 19: "351", 20: "302",
}  # fmt: skip
#: Two analyses are in another key than the score, so many semitones away.
MOVED = {"184.5": 5, "145.5": -2}


@cache
def analyses() -> tuple:
    """Return (grid, its Roman numerals) for the chorales that music21 has analysed by hand, on the same beats."""
    from music21 import corpus

    grids = {grid.name: grid for grid in sample(every=1)}
    found = []
    for number, bwv in ANALYSED.items():
        score = corpus.parse(f"bach/choraleAnalyses/riemenschneider{number:03}.rntxt")
        numerals = [
            (float(n.offset), n.root().pitchClass, n.key.tonic.pitchClass, n.key.mode, n.inversion())
            for n in score.flatten().getElementsByClass("RomanNumeral")
        ]
        found.append((voices.transpose(grids[f"bwv{bwv}"], MOVED.get(bwv, 0)), numerals))
    return tuple(found)


def latest(numerals, quarter: float, *, other_than: int | None = None):
    return [n for n in numerals if n[0] <= quarter + 1e-6 and n[1] != other_than][-1:] or [None]


@pytest.mark.slow
def test_roots_agree_with_analysts_as_often_as_the_docstring_says():
    n_beats = same = 0
    for grid, numerals in analyses():
        for step, root, _, _ in harmony.chord_labels(grid).tolist():
            (numeral,) = latest(numerals, step / grid.steps_per_quarter)
            if numeral and (grid.pitch[step] != voices.REST).any():
                n_beats += 1
                same += root == numeral[1]
    said = f"on {100 * same / n_beats:.1f} % of {n_beats} beats in {len(analyses())} chorales"
    assert said in text_of(harmony.chord_labels)


@pytest.mark.slow
def test_cadences_agree_with_analysts_as_often_as_the_docstring_says():
    n_cadences = same_kind = same_key = same_signature = 0
    for grid, numerals in analyses():
        signed = harmony.key_from_signature(grid.fifths, grid.mode)
        for cadence in harmony.cadences(grid):
            (last,) = latest(numerals, cadence.step / grid.steps_per_quarter)
            (before,) = latest(numerals, cadence.step / grid.steps_per_quarter - 0.01, other_than=last[1])
            n_cadences += 1
            same_key += (cadence.key.tonic, cadence.key.mode) == last[2:4]
            same_signature += (signed.tonic, signed.mode) == last[2:4]
            same_kind += cadence.kind == kind_by_numerals(before, last, grid.pitch[cadence.step, 0])
    text = text_of(harmony.cadences)
    assert f"{n_cadences} fermatas" in text
    assert f"the kind on {same_kind} and the key on {same_key} are theirs" in text
    assert f"the key of the file's signature is theirs on {same_signature}" in text


def kind_by_numerals(before, last, soprano: int) -> str:
    """Return the kind of cadence by the analysts' roots, key and inversions, and by the score's last soprano note."""
    _, root, tonic, mode, inversion = last
    degrees = (((before[1] if before else root) - tonic) % 12, (root - tonic) % 12)
    kinds = {(11, 0): "imperfect authentic", (5, 0): "plagal", (7, 9 if mode == "major" else 8): "deceptive"}
    if degrees == (7, 0):
        is_perfect = before[4] == inversion == 0 and soprano % 12 == tonic
        return "perfect authentic" if is_perfect else "imperfect authentic"
    return "half" if degrees[1] == 7 else kinds.get(degrees, "other")


def text_of(function) -> str:
    return " ".join(function.__doc__.split())


def test_chord_labels_of_a_real_chorale_by_hand():
    chorale = next(grid for grid in corpora.load_chorales() if grid.name == "bwv269")
    chords = harmony.chord_labels(chorale)
    # The sixth beat is a D with B before A on top: the rule takes the suspension for a chord tone.
    assert harmony.chord_names(chords, chorale.fifths)[:7] == ["G", "G", "C/E", "D/F#", "G", "Bm/D", "Em"]
    assert (np.diff(chords["step"]) == 4).all()


# --- refusals, and what no note says


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda g: harmony.chroma([60, 64, 67]), TypeError, r"Notes must be a NumPy array of music\.NOTE_DTYPE"),
        (lambda g: harmony.grid_chroma(g, 0), ValueError, "n_block_steps must be at least 1; found 0. A quarter is"),
        (lambda g: harmony.pitch_class_name(60), ValueError, r"A pitch class must lie in 0\.\.11; found 60. Take"),
        (lambda g: harmony.pitch_class_name(1, 8), ValueError, r"fifths must lie in -7\.\.7; found 8"),
        (lambda g: harmony.Key(12, "major"), ValueError, r"tonic of a key must lie in 0\.\.11; found 12"),
        (lambda g: harmony.Key(2, "dorian"), ValueError, "mode of a key must be one of major, minor; found 'dorian'"),
        (lambda g: harmony.key_from_signature(8, "major"), ValueError, r"must lie in -7\.\.7; found 8"),
        (lambda g: harmony.key_from_signature(None, "major"), TypeError, "whole number; found None. Use harmony.find"),
        (lambda g: harmony.find_key("C major"), ValueError, "must hold 12 finite amounts .*; found <U7 of shape"),
        (lambda g: harmony.find_key(np.ones(11)), ValueError, r"found float64 of shape \(11,\). Make one with"),
        (lambda g: harmony.find_key(np.full(12, np.nan)), ValueError, "must hold 12 finite amounts of 0 or more"),
        (lambda g: harmony.find_key(np.zeros(12)), ValueError, "differ in weight; all 12 are 0. Is the music empty"),
        (lambda g: harmony.find_key([1 + 1e-15] + [1] * 11), ValueError, "only where pitch classes differ in weight"),
    ],
)
def test_what_has_no_harmony_is_refused(call, error, sentence):
    with pytest.raises(error, match=sentence):
        call(voices.from_pitches([[72, 67, 64, 48]] * 4))


def test_a_fermata_over_a_rest_is_read_in_the_key_of_the_piece():
    silent = [[voices.REST] * 4]
    rows = [CHORDS[name] for name in ("C", "G", "C")] + silent
    is_fermata = np.isin(np.arange(16), [8, 9, 10, 11, 13, 14, 15])
    first, second = harmony.cadences(block(*rows, is_fermata=is_fermata))
    assert (first.kind, str(first.key)) == ("imperfect authentic", "C major")
    assert (second.kind, second.chord, second.chord_before, str(second.key)) == ("other", "-", "-", "C major")
    with pytest.raises(ValueError, match="all 12 are 0. Is the music empty"):
        harmony.cadences(voices.from_pitches(silent, is_fermata=[True]))


# --- the rules at their edges


def test_a_beat_of_which_no_chord_holds_three_fifths_has_none():
    assert names(block([60, 61, 63, 64, 66, 67])) == ["-"]  # no chord holds more than 3 of 6
    assert names(block([60, 61, 64, 67, 72])) == ["C"]  # which holds 4 of 5


def test_a_chord_that_is_complete_beats_one_without_its_fifth_that_holds_a_little_more():
    share = np.zeros((1, 12))
    share[0, [9, 10, 0, 4]] = [0.07, 0.2, 0.365, 0.365]  # A minor holds 0.80; C7 without G 0.93, less 0.1 and 0.05
    quality, root = harmony.best_template(share)
    assert (harmony.QUALITIES[quality[0]], root[0]) == ("minor", 9)


def test_of_keys_that_fit_equally_the_lower_tonic_is_taken():
    for tonic in range(6):
        amount = np.zeros(12)
        amount[[tonic, tonic + 6]] = 0.1 + 0.2 * tonic
        key = harmony.find_key(amount)
        assert key.tonic < 6 and key.runner_up.tonic == key.tonic + 6 and key.runner_up.correlation == key.correlation


def test_the_chord_before_a_cadence_may_last_an_eighth_only():
    rows = [CHORDS[name] for name in ("C", "C", "F", "G", "C", "C") for _ in range(2)]
    (cadence,) = harmony.cadences(voices.from_pitches(rows, is_fermata=np.arange(12) >= 8))
    assert (cadence.chord_before, cadence.chord, cadence.kind) == ("G", "C", "imperfect authentic")
