"""Checkers of the exercises of notebook 3a; tasks, hints and solutions stand there. Chapter: 3a."""

from itertools import pairwise

import numpy as np

from mini_musessl import harmony, music, voices
from mini_musessl.exercises.checking import checker

REST = voices.REST

# A mistake is one row of a table; the formatter would make four or five lines of it.
# fmt: off


def frequency(pitch):
    return 440 * 2 ** ((pitch - 69) / 12)

checker("3a.1", frequency,
    draw=lambda rng: (float(rng.uniform(0, 127)),),
    tolerance=1e-6, cases=[(60,), (69,), (81,), (57,), (60.5,)],
    fact="middle C has {outputs[0]} Hz, and the quarter tone above it {outputs[4]} Hz.", mistakes=[
    (lambda pitch: 440 * 2 ** ((pitch - 60) / 12),
     "Middle C is 60, but 440 Hz belongs to the A above it, which is 69: you give {found} Hz for {input}."),
    (lambda pitch: 440 * 2.0 ** (pitch - 69),
     "You double the frequency at each semitone: divide the distance by 12, since an octave has twelve of them."),
    (lambda pitch: 440 * np.exp((pitch - 69) / 12),
     "Your base is e, not 2: an octave up multiplies your frequency by 2.718."),
    (lambda pitch: 440 + 440 * (pitch - 69) / 12,
     "You add the same number of hertz for each semitone: a semitone multiplies the frequency, always by the same "
     "factor.")])


def transposed(pitch, semitones):
    return np.where(pitch == REST, REST, pitch + semitones)

def _voices(rng, *shape):
    return np.where(rng.random(shape) < 0.2, REST, rng.integers(40, 80, shape))

checker("3a.2", transposed,
    draw=lambda rng: (_voices(rng, 4, 3), int(rng.integers(-12, 13))),
    cases=[(np.array([[67, 60], [REST, 62], [69, REST]]), 2), (np.array([[72, 64, 60, 48]]), -3),
           (np.array([REST, REST, 50]), 1), (np.zeros((0, 4), int), 5)],
    fact="rests stay rests, and the first grid becomes {outputs[0]}.", mistakes=[
    (lambda pitch, semitones: pitch + semitones,
     "You move the rests too: for {input} you give {found}, where a silence has become a number that is no rest."),
    (lambda pitch, semitones: transposed(pitch, -semitones),
     "You go the wrong way: for {input} you give {found}; positive semitones go up."),
    (lambda pitch, semitones: np.where(pitch == REST, REST, (pitch + semitones) % 12),
     "You keep only the pitch class: for {input} you give {found}; the octave belongs to the pitch, so no modulo "
     "here.")])


def _where_both_sing(upper, lower, interval):
    return np.where((upper == REST) | (lower == REST), REST, interval)

def intervals(upper, lower):
    return _where_both_sing(upper, lower, (upper - lower) % 12)

checker("3a.3", intervals,
    draw=lambda rng: tuple(_voices(rng, 2, 6)),
    cases=[(np.array([67, 76, 72, 60]), np.array([60, 60, 48, 60])),
           (np.array([67, REST, REST]), np.array([REST, 55, REST])), (np.array([60, 62]), np.array([64, 62]))],
    fact="the first pair of voices makes {outputs[0]}: fifth, third, octave and unison.", mistakes=[
    (lambda upper, lower: _where_both_sing(upper, lower, upper - lower),
     "You keep the octaves: for {input} you give {found}; a tenth counts as a third, so take the difference modulo "
     "12."),
    (lambda upper, lower: (upper - lower) % 12,
     "You measure intervals to silence: for {input} you give {found}, where a voice rests; a rest has no pitch."),
    (lambda upper, lower: intervals(lower, upper),
     "You count from the upper voice down: for {input} you give {found}, which turns each fifth (7) into a fourth "
     "(5)."),
    (lambda upper, lower: _where_both_sing(upper, lower, np.abs(upper - lower) % 12),
     "Your intervals lose their direction where the voices cross: for {input} you give {found}; leave out the absolute "
     "value.")])


def nearest_steps(onset_quarter, steps_per_quarter):
    return np.rint(onset_quarter * steps_per_quarter).astype(int)

checker("3a.4", nearest_steps,
    draw=lambda rng: (np.sort(rng.uniform(0, 8, 5)), int(rng.integers(2, 25))),
    cases=[(np.array([0, 1 / 3, 2 / 3, 1]), 4), (np.array([0, 1 / 3, 2 / 3, 1]), 24), (np.array([0.25, 1.75, 2.0]), 4),
           (np.array([0.1, 0.9, 4.2]), 8)],
    fact="at 4 steps per quarter a triplet lands on {outputs[0]}, unevenly; at 24 it lands on {outputs[1]}, exactly.",
    mistakes=[
    (lambda onset, steps: (onset * steps).astype(int),
     "You round down: for {input} you give {found}, so the third note of the triplet comes a whole step early. Use "
     "np.rint before astype."),
    (lambda onset, steps: np.ceil(onset * steps).astype(int),
     "You round up: for {input} you give {found}, so notes come late. The nearest step may lie below."),
    (lambda onset, steps: np.rint(onset).astype(int) * steps,
     "You round before you multiply: for {input} you give {found}, and everything falls on a quarter."),
    (lambda onset, steps: onset * steps, "You do not round: for {input} you give {found}; a step is a whole number.")])


def _amounts(notes, weights):
    return np.bincount(notes["pitch"] % 12, weights, minlength=12)

def _sounding(notes):
    return _amounts(notes, notes["duration_step"])

def _shares(amounts):
    return amounts / amounts.sum()

def note_chroma(notes):
    return _shares(_sounding(notes))

def _chroma_by_assignment(notes):
    amounts = np.zeros(12)
    amounts[notes["pitch"] % 12] += notes["duration_step"]  # keeps only the last of several notes of one pitch class
    return _shares(amounts)

checker("3a.5", note_chroma,
    draw=lambda rng: (music.make_notes(range(6), *rng.integers((1, 40, 1), (9, 80, 127), (6, 3)).T),),
    tolerance=1e-9,
    cases=[(music.make_notes([0, 72, 96], [72, 24, 24], [60, 67, 48], velocity=[64, 64, 100]),),
           (music.make_notes([0, 0, 0], [4, 4, 4], [62, 66, 69]),),
           (music.make_notes(range(8), 1, [60, 62, 64, 65, 67, 69, 71, 72]),)],
    fact="the shares sum to 1, and a C major scale with both ends gives {outputs[2]}.", mistakes=[
    (lambda notes: _shares(_amounts(notes, None)),
     "You count notes: for {input} you give {found}; a long note must weigh more than a short one."),
    (_sounding, "Your shares do not sum to 1: divide by their sum, so that long and short pieces can be compared."),
    (_chroma_by_assignment,
     "Of several notes with one pitch class you keep only the last: `amount[index] += ...` does not add twice at one "
     "index. Use np.add.at or np.bincount."),
    (lambda notes: _shares(_amounts(notes, notes["duration_step"] * notes["velocity"])),
     "You let loud notes weigh more: a profile of sounding time leaves the velocity out."),
    (lambda notes: _sounding(notes) / _sounding(notes).max(),
     "You divide by the largest share: then the largest is 1, not the sum.")])


def _fermata_ends(is_fermata):
    return (np.flatnonzero(is_fermata & ~np.append(is_fermata[1:], False)) + 1).tolist()

def _fermata_starts(is_fermata):
    return np.flatnonzero(is_fermata & ~np.append(False, is_fermata[:-1])).tolist()

def _not_empty(edges):
    return [(start, stop) for start, stop in pairwise(edges) if start < stop]

def phrases(is_fermata):
    return _not_empty([0, *_fermata_ends(is_fermata), len(is_fermata)])

checker("3a.6", phrases,
    draw=lambda rng: (rng.random(rng.integers(1, 10)) < 0.4,),
    # "-" is an ordinary step, "U" one under a fermata.
    cases=[(np.array([sign == "U" for sign in row]),) for row in ("---UU---U", "--U--", "----", "UU--UU")],
    fact="the first row has the phrases {outputs[0]}; every step is in exactly one.", mistakes=[
    (lambda fermata: _not_empty([0, *_fermata_starts(fermata), len(fermata)]),
     "You cut where the fermata begins: for {input} you give {found}, so each phrase loses its last note to the next "
     "one."),
    (lambda fermata: _not_empty([0, *(np.flatnonzero(fermata) + 1).tolist(), len(fermata)]),
     "You cut at every step of a fermata: for {input} you give {found}; a fermata of two steps is still one."),
    (lambda fermata: list(pairwise([0, *_fermata_ends(fermata)])),
     "You lose what follows the last fermata: for {input} you give {found}."),
    (lambda fermata: list(pairwise([0, *_fermata_ends(fermata), len(fermata)])),
     "You end with an empty phrase where the piece ends under a fermata: for {input} you give {found}.")])


def _is_fifth(upper, lower):
    return np.abs(upper - lower) % 12 == 7

def _same_direction(upper, lower):
    return np.sign(np.diff(upper)) == np.sign(np.diff(lower))

def _move_together(upper, lower):
    return _same_direction(upper, lower) & (np.diff(upper) != 0)

def _arrivals(is_fifth, is_counted):
    return np.flatnonzero(is_fifth[1:] & is_fifth[:-1] & is_counted) + 1

def parallel_fifths(upper, lower):
    return _arrivals(_is_fifth(upper, lower), _move_together(upper, lower))

checker("3a.7", parallel_fifths,
    draw=lambda rng: ((lower := rng.integers(57, 64, 6)) + rng.choice([7, 7, 7, -7, 19, 5, 9], 6), lower),
    cases=[(np.array([67, 69, 71]), np.array([60, 62, 64])), (np.array([67, 67, 69, 69]), np.array([60, 60, 62, 62])),
           (np.array([79, 77, 76]), np.array([60, 58, 60])), (np.array([67, 74, 62]), np.array([60, 55, 55])),
           (np.array([64, 69, 71]), np.array([60, 62, 55])), (np.array([60, 62, 64, 66]), np.array([67, 69, 69, 71]))],
    fact="the first pair has parallels at {outputs[0]}, a standing fifth or contrary motion has none.", mistakes=[
    (lambda upper, lower: _arrivals(_is_fifth(upper, lower), _same_direction(upper, lower)),
     "You count fifths that stand still: for {input} you give {found}; two voices that repeat their notes are no "
     "parallels."),
    (lambda upper, lower: _arrivals(_is_fifth(upper, lower), (np.diff(upper) != 0) & (np.diff(lower) != 0)),
     "You count contrary motion: for {input} you give {found}; one voice goes up there and the other down."),
    (lambda upper, lower: _arrivals(np.abs(upper - lower) == 7, _move_together(upper, lower)),
     "You miss the twelfths: for {input} you give {found}; compare the difference modulo 12 with 7."),
    (lambda upper, lower: _arrivals((upper - lower) % 12 == 7, _move_together(upper, lower)),
     "You count from the lower voice up, even where it sounds above the other: for {input} you give {found}; take the "
     "difference without its sign."),
    (lambda upper, lower: np.flatnonzero(_is_fifth(upper, lower)[1:] & _move_together(upper, lower)) + 1,
     "You ask only for a fifth on arrival: for {input} you give {found}. Those are hidden fifths; parallel ones start "
     "from a fifth as well."),
    (lambda upper, lower: parallel_fifths(upper, lower) - 1,
     "You give the step that the voices leave: for {input} you give {found}. `np.diff` is one shorter than its input, "
     "so add 1 for the arrival."),
    (lambda upper, lower: _arrivals(_is_fifth(upper, lower), True),
     "You do not look at the motion: for {input} you give {found}; the two voices must both move, the same way.")])


def _correlations(chroma, profiles, way=1):
    return [np.corrcoef(np.roll(profile, way * tonic), chroma)[0, 1] for profile in profiles for tonic in range(12)]

def key_number(chroma, major_profile, minor_profile):
    return int(np.argmax(_correlations(chroma, (major_profile, minor_profile))))

def _key_of_both_modes_in_turn(*chroma_and_profiles):
    key = key_number(*chroma_and_profiles)
    return 2 * (key % 12) + key // 12

# Pitches and durations in eighths. Each tune tells some mistake from the right answer.
TUNES = {
    "a C major scale": ([60, 62, 64, 65, 67, 69, 71, 72], 1),
    "a tune in D minor": ([62, 65, 69, 70, 69, 67, 65, 64, 62, 61, 62], [2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 4]),
    "a tune in G major": ([67, 67, 74, 71, 69, 67, 66, 67, 69, 71, 67], [1, 1, 1, 2, 1, 2, 1, 1, 1, 2, 4]),
    "a tune in A flat major": ([68, 72, 75, 73, 77, 68, 67, 70, 75, 68], [2, 2, 2, 1, 1, 1, 1, 1, 3, 2]),
    "a chromatic climb from C to G and back by E": ([60, 61, 62, 63, 64, 65, 66, 67, 64, 60], 1),
}
PROFILES = harmony.MAJOR_PROFILE, harmony.MINOR_PROFILE

checker("3a.8", key_number,
    draw=lambda rng: (rng.dirichlet(np.ones(12)), *map(np.array, PROFILES)),
    cases=[(harmony.chroma(music.make_notes(range(len(pitch)), eighths, pitch)), *map(np.array, PROFILES))
           for pitch, eighths in TUNES.values()], case_names=tuple(TUNES),
    fact="the first two tunes have the numbers {outputs[0]} and {outputs[1]}. harmony.find_key does the same, and "
         "names the runner-up.", mistakes=[
    (lambda chroma, *profiles: np.argmax([np.roll(p, tonic) @ chroma for p in profiles for tonic in range(12)]),
     "You multiply without subtracting the means: the minor profile has the larger sum, and wins where it should not. "
     "For {input} you give {found}: use np.corrcoef."),
    (lambda chroma, *profiles: np.argmax(_correlations(chroma, profiles, way=-1)),
     "You turn the profiles the wrong way: for {input} you give {found}, which lies as far below C as the right "
     "answer lies above. np.roll(profile, tonic) moves the tonic up."),
    (_key_of_both_modes_in_turn,
     "You find the right key and number it otherwise: 0..11 are the major keys, 12..23 the minor ones."),
    (lambda chroma, major, minor: np.argmax(_correlations(chroma, [major])),
     "You never answer with a minor key: for {input} you give {found}. Try the minor profile too."),
    (lambda chroma, major, minor: np.argmax(chroma),
     "You take the longest pitch class for the tonic: often it is the fifth of the key, and it says nothing of major "
     "or minor.")])
