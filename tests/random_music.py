"""Random pieces, grids and token ids for property tests."""

import numpy as np
from hypothesis import strategies as st

from mini_musessl import music, voices

FOUR_PARTS = tuple(music.Part(name) for name in voices.SATB)
METERS = ((4, 4), (3, 4), (6, 8))


@st.composite
def pieces(draw, n_parts=1, max_duration=40, may_overlap=True, meters=((4, 4),), steps_per_quarter=4):
    """Draw a piece at 4 steps a quarter: upbeat, meter changes at any step, silence at the end."""
    cell = st.tuples(
        st.integers(0, 150),
        st.integers(1, max_duration),
        st.integers(0, 127),
        st.integers(1, 127),
        st.integers(0, n_parts - 1),
    )
    rows = draw(st.lists(cell, max_size=20))
    notes = music.sort_notes(np.array(rows, music.NOTE_DTYPE))
    if not may_overlap:
        notes = without_overlaps(notes)
    end = int((notes["onset_step"] + notes["duration_step"]).max(initial=0))
    return music.Piece(
        notes=notes,
        steps_per_quarter=steps_per_quarter,
        # Bars are written up to the last note's onset: a bar line after it, while it is held, is not.
        meters=draw(meter_lists(meters, int(notes["onset_step"].max(initial=0)), steps_per_quarter)),
        parts=FOUR_PARTS[:n_parts] if n_parts > 1 else (music.Part(),),
        n_steps=end + draw(st.integers(0, 40)),
    )


@st.composite
def meter_lists(draw, meters, last_step, steps_per_quarter):
    """Draw an upbeat and meter changes up to a step, some of which cut a bar short."""
    first = draw(st.sampled_from(meters))
    bar = music.Meter(0, *first).bar_length_step(steps_per_quarter)
    steps = sorted(draw(st.sets(st.integers(1, last_step), max_size=3))) if last_step else []
    later = [music.Meter(step, *draw(st.sampled_from(meters))) for step in steps]
    return (music.Meter(-draw(st.integers(0, bar - 1)), *first), *later)


@st.composite
def grids(draw, n_voices=4, lowest=36, highest=81, repeats=True):
    """Draw a grid whose voices hold, repeat, move and rest."""
    n_steps = draw(st.integers(0, 24))
    pitch = np.full((n_steps, n_voices), voices.REST, np.int16)
    is_onset = np.zeros(pitch.shape, bool)
    kind = st.sampled_from(["hold", "move", "rest", "again"])
    kinds = draw(st.lists(kind, min_size=pitch.size, max_size=pitch.size))
    moves = iter(draw(st.lists(st.integers(lowest, highest), min_size=pitch.size, max_size=pitch.size)))
    for (step, voice), kind in zip(np.ndindex(pitch.shape), kinds, strict=True):
        before = pitch[step - 1, voice] if step else voices.REST
        now = {"hold": before, "again": before, "rest": voices.REST, "move": next(moves)}[kind]
        pitch[step, voice] = now
        is_again = kind == "again" and repeats
        is_onset[step, voice] = now != voices.REST and (now != before or is_again)
    names = voices.SATB[:n_voices]
    return voices.from_pitches(pitch, is_onset=is_onset, voice_names=names)


def without_overlaps(notes):
    """Leave out each note that begins while its part still sounds its pitch."""
    kept, end = [], {}
    for note in notes:
        key = int(note["part"]), int(note["pitch"])
        if end.get(key, 0) <= note["onset_step"]:
            end[key] = int(note["onset_step"] + note["duration_step"])
            kept.append(note)
    return np.array(kept, music.NOTE_DTYPE)


def make_random_piece(seed, n_notes=200, steps_per_quarter=24, n_velocities=32):
    """Make a piece of random notes with MidiTok's velocities, none of which overlaps another of its pitch."""
    rng = np.random.default_rng(seed)
    onset = np.sort(rng.integers(0, n_notes * 6, n_notes)) * (steps_per_quarter // 12)
    notes = music.make_notes(
        onset_step=onset,
        duration_step=rng.integers(1, 8 * steps_per_quarter + 1, n_notes),
        pitch=rng.integers(0, 128, n_notes),
        velocity=127 * rng.integers(1, n_velocities + 1, n_notes) // n_velocities,
    )
    return music.Piece(without_overlaps(music.sort_notes(notes)), steps_per_quarter)


def any_ids(vocabulary, max_size=60):
    """Draw ids of a vocabulary in any order, every family about equally often."""
    spans = [vocabulary.slice_of(name) for name in vocabulary.names]
    token = st.sampled_from(spans).flatmap(lambda span: st.integers(span.start, span.stop - 1))
    return st.lists(token, max_size=max_size)
