"""REMI and MIDI-like tokens agree with those of MidiTok where both can say the same."""

import itertools
import timeit

import pytest
from random_music import make_random_piece

from mini_musessl import music
from mini_musessl.tokenizers.midi_like import MidiLike
from mini_musessl.tokenizers.remi import Remi

miditok = pytest.importorskip("miditok")
symusic = pytest.importorskip("symusic")

STEPS, MAX_QUARTERS = 24, 8
NAMES = {"Bar": "bar", "Position": "position", "Pitch": "pitch", "Velocity": "velocity", "Duration": "duration"}
NAMES |= {"TimeSig": "meter", "Tempo": "tempo", "NoteOn": "note_on", "NoteOff": "note_off", "TimeShift": "time_shift"}
# Both have 32 evenly spaced velocities up to 127; MidiTok rounds them down, we round to the nearest.
VELOCITIES = {str(127 * k // 32): (127 * k + 16) // 32 for k in range(1, 33)}


def configure(**options):
    """Return MidiTok's options for the ground that both share: one track, every length of whole steps."""
    return miditok.TokenizerConfig(
        pitch_range=(0, 127),
        beat_res={(0, MAX_QUARTERS): STEPS},
        num_velocities=32,
        encode_ids_split="no",
        **{"use_programs": False, "use_pitchdrum_tokens": False, "use_time_signatures": False} | options,
    )


def to_score(piece):
    """Return a symusic score with the notes, meters and tempos of a piece, one tick a step."""
    score = symusic.Score(STEPS)
    track = symusic.Track("", 0, False)
    for onset, duration, pitch, velocity, _ in piece.notes.tolist():
        track.notes.append(symusic.Note(onset, duration, pitch, velocity))
    score.tracks.append(track)
    for meter in piece.meters:
        score.time_signatures.append(symusic.TimeSignature(meter.step, meter.numerator, meter.denominator))
    for tempo in piece.tempos:
        score.tempos.append(symusic.Tempo(tempo.step, tempo.quarters_per_minute))
    return score


def translate(token):
    """Return one of MidiTok's tokens in our words."""
    kind, value = token.split("_")
    if kind in ("Duration", "TimeShift"):
        quarters, steps, _ = value.split(".")
        value = int(quarters) * STEPS + int(steps)
    elif kind == "Velocity":
        value = VELOCITIES[value]
    elif kind == "Tempo":
        value = float(value)
    return NAMES[kind] if value == "None" else f"{NAMES[kind]} {value}"


def miditok_tokens(tokenizer, piece):
    """Return MidiTok's tokens of a piece in our words."""
    (sequence,) = tokenizer.encode(to_score(piece))
    return [translate(token) for token in sequence.tokens]


@pytest.mark.parametrize("seed", range(5))
def test_remi_tokens_are_miditoks(seed):
    piece = make_random_piece(seed)
    ours = Remi()
    assert ours.vocabulary.tokens(ours.encode(piece)) == miditok_tokens(miditok.REMI(configure()), piece)


@pytest.mark.parametrize("seed", range(5))
def test_remi_tokens_with_meters_and_tempos_are_miditoks(seed):
    piece = make_random_piece(seed)
    meters = (music.Meter(0, 3, 4), music.Meter(72 * 5, 4, 4), music.Meter(72 * 5 + 96 * 3, 2, 4))
    theirs = miditok.REMI(
        configure(
            use_time_signatures=True,
            time_signature_range={4: [2, 3, 4]},
            use_tempos=True,
            num_tempos=22,
            tempo_range=(40, 250),
        )
    )
    tempos = tuple(float(tempo) for tempo in range(40, 260, 10))
    piece = music.Piece(piece.notes, meters=meters, tempos=(music.Tempo(0, 90.0), music.Tempo(500, 140.0)))
    ours = Remi(meters=((2, 4), (3, 4), (4, 4)), tempos=tempos)
    assert ours.vocabulary.tokens(ours.encode(piece)) == miditok_tokens(theirs, piece)


@pytest.mark.parametrize("seed", range(5))
def test_midi_like_tokens_are_miditoks_but_for_repeated_velocities_and_the_order_of_ends(seed):
    piece = make_random_piece(seed)
    ours = MidiLike(max_shift_quarter=MAX_QUARTERS)
    theirs = miditok_tokens(miditok.MIDILike(configure()), piece)
    assert ours.vocabulary.tokens(ours.encode(piece)) == ends_by_pitch(velocities_before_notes(theirs))


def velocities_before_notes(tokens):
    """Put each velocity before its note, and leave it out where it repeats the one before."""
    result, sounding = [], None
    for token, following in zip(tokens, [*tokens[1:], ""], strict=True):
        if token.startswith("note_on"):
            result += [following] if following != sounding else []
            sounding = following
        if not token.startswith("velocity"):
            result.append(token)
    return result


def ends_by_pitch(tokens):
    """Order notes that end at one step by pitch, as we do; MidiTok orders them by where they began."""
    result = []
    for is_end, run in itertools.groupby(tokens, lambda token: token.startswith("note_off")):
        same_kind = list(run)
        result += sorted(same_kind, key=lambda token: int(token.split()[1])) if is_end else same_kind
    return result


def test_both_vocabularies_of_remi_have_the_same_tokens():
    theirs = miditok.REMI(configure(special_tokens=["PAD"])).vocab
    ours = Remi().vocabulary
    assert {translate(token) for token in theirs if token != "PAD_None"} == set(ours.tokens(range(ours.size)))


def test_remi_is_at_least_five_times_as_fast():
    piece = make_random_piece(seed=1, n_notes=4000)
    ours, theirs, score = Remi(), miditok.REMI(configure()), to_score(piece)
    assert 5 * fastest(lambda: ours.encode(piece)) < fastest(lambda: theirs.encode(score))


def fastest(call, n_runs=3):
    """Return the seconds of the fastest of several runs: what the machine can do when it is left alone."""
    return min(timeit.repeat(call, number=1, repeat=n_runs))
