"""The exercises of chapter 3a: pitch, rhythm and harmony as arrays, from a formula to finding the key.

The functions that are not private are the solutions. The private ones after each are wrong in the ways that readers
usually are; the checker knows them by their outputs.

Chapter: 3a.
"""

from __future__ import annotations

import numpy as np

from mini_musessl import harmony, music, voices
from mini_musessl.exercises.checking import Case, Exercise, Mistake

REST = voices.REST

# --- 3a.1


def frequency(pitch: float) -> float:
    """Return the frequency in hertz of a MIDI pitch in equal temperament, 69 being 440 Hz.

    Args:
        pitch: MIDI pitch; fractions are allowed.

    Example:
        >>> frequency(69), frequency(81)
        (440.0, 880.0)

    Chapter: 3a.
    """
    return 440 * 2 ** ((pitch - 69) / 12)


def _frequency_from_middle_c(pitch: float) -> float:
    """Take middle C for the reference."""
    return 440 * 2 ** ((pitch - 60) / 12)


def _frequency_octave_each_semitone(pitch: float) -> float:
    """Forget that twelve semitones make an octave."""
    return 440 * 2.0 ** (pitch - 69)


def _frequency_base_e(pitch: float) -> float:
    """Use the exponential function in place of powers of two."""
    return float(440 * np.exp((pitch - 69) / 12))


def _frequency_linear(pitch: float) -> float:
    """Add the same number of hertz for each semitone."""
    return 440 + 440 * (pitch - 69) / 12


FREQUENCY = Exercise(
    id="3a.1",
    title="from pitch to frequency",
    minutes=5,
    task=(
        "Write `frequency(pitch)`: the frequency in hertz of a MIDI pitch. Pitch 69, the A above middle C, has 440 Hz; "
        "twelve semitones up double the frequency."
    ),
    hint="How many octaves lies the pitch above 69? That number, which need not be whole, is the power of two.",
    cases=lambda: ((60,), (69,), (81,), (57,), (60.5,)),
    solution=frequency,
    mistakes=(
        Mistake(
            _frequency_from_middle_c,
            "Middle C is 60, but 440 Hz belongs to the A above it, which is 69: you give {found} Hz for {input}.",
        ),
        Mistake(
            _frequency_octave_each_semitone,
            "You double the frequency at each semitone: divide the distance by 12, since an octave has twelve of them.",
        ),
        Mistake(
            _frequency_base_e,
            "Your base is e, not 2: an octave up multiplies your frequency by 2.718.",
        ),
        Mistake(
            _frequency_linear,
            "You add the same number of hertz for each semitone: a semitone multiplies the frequency, always by "
            "the same "
            "factor.",
        ),
    ),
    fact="middle C has {outputs[0]} Hz, and the quarter tone above it {outputs[4]} Hz.",
    tolerance=1e-6,
)

# --- 3a.2


def transposed(pitch: np.ndarray, semitones: int) -> np.ndarray:
    """Move the pitches of a grid and leave its rests (-1) as they are.

    Args:
        pitch: MIDI pitches of any shape, -1 for a rest.
        semitones: how far up; negative is down.

    Example:
        >>> transposed(np.array([60, -1]), 2).tolist()
        [62, -1]

    Chapter: 3a.
    """
    return np.where(pitch == voices.REST, voices.REST, pitch + semitones)


def _transposed_with_rests(pitch: np.ndarray, semitones: int) -> np.ndarray:
    """Move the rests as well."""
    return pitch + semitones


def _transposed_other_way(pitch: np.ndarray, semitones: int) -> np.ndarray:
    """Move in the wrong direction."""
    return np.where(pitch == REST, REST, pitch - semitones)


def _transposed_folded(pitch: np.ndarray, semitones: int) -> np.ndarray:
    """Keep the pitch class and lose the octave."""
    return np.where(pitch == REST, REST, (pitch + semitones) % 12)


TRANSPOSITION = Exercise(
    id="3a.2",
    title="transpose a grid",
    minutes=5,
    task=(
        "Write `transposed(pitch, semitones)`: a new array in which every pitch is moved up by so many semitones "
        "(down if "
        "negative). A cell that holds -1 is a rest."
    ),
    hint="Which cells hold a number that is not a pitch? `np.where` chooses between two arrays cell by cell.",
    cases=lambda: (
        (np.array([[67, 60], [REST, 62], [69, REST]]), 2),
        (np.array([[72, 64, 60, 48]]), -3),
        (np.array([REST, REST, 50]), 1),
        (np.zeros((0, 4), int), 5),
    ),
    solution=transposed,
    mistakes=(
        Mistake(
            _transposed_with_rests,
            "You move the rests too: for {input} you give {found}, where a silence has become a number that is no "
            "rest.",
        ),
        Mistake(
            _transposed_other_way,
            "You go the wrong way: for {input} you give {found}; positive semitones go up.",
        ),
        Mistake(
            _transposed_folded,
            "You keep only the pitch class: for {input} you give {found}; the octave belongs to the pitch, so no "
            "modulo here.",
        ),
    ),
    fact="rests stay rests, and the first grid becomes {outputs[0]}.",
)

# --- 3a.3


def intervals(upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """Return the interval between two voices at each step, 0..11, or -1 where one of them rests.

    Args:
        upper: MIDI pitches of the voice that is written higher, -1 for a rest.
        lower: those of the other voice, as many.

    Example:
        >>> intervals(np.array([67, 76, -1]), np.array([60, 60, 60])).tolist()
        [7, 4, -1]

    Chapter: 3a.
    """
    is_rest = (upper == voices.REST) | (lower == voices.REST)
    return np.where(is_rest, voices.REST, (upper - lower) % 12)


def _intervals_with_octaves(upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """Do not fold the octaves."""
    return np.where((upper == REST) | (lower == REST), REST, upper - lower)


def _intervals_of_rests(upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """Take a rest for a pitch."""
    return (upper - lower) % 12


def _intervals_downwards(upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """Count from the upper voice."""
    return np.where((upper == REST) | (lower == REST), REST, (lower - upper) % 12)


def _intervals_unsigned(upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """Ignore which voice is higher where they cross."""
    return np.where((upper == REST) | (lower == REST), REST, np.abs(upper - lower) % 12)


INTERVALS = Exercise(
    id="3a.3",
    title="intervals between two voices",
    minutes=5,
    task=(
        "Write `intervals(upper, lower)`: for each step the semitones from the lower voice up to the upper one, "
        "octaves "
        "left out, so 0..11; -1 where one of them rests (-1). Where the voices cross, the interval still counts "
        "upwards from the "
        "one called lower."
    ),
    hint=(
        "In Python, `%` with a positive number on the right never gives a negative one. What does a rest do to a "
        "difference?"
    ),
    cases=lambda: (
        (np.array([67, 76, 72, 60]), np.array([60, 60, 48, 60])),
        (np.array([67, REST, REST]), np.array([REST, 55, REST])),
        (np.array([60, 62]), np.array([64, 62])),
    ),
    solution=intervals,
    mistakes=(
        Mistake(
            _intervals_with_octaves,
            "You keep the octaves: for {input} you give {found}; a tenth counts as a third, so take the "
            "difference modulo 12.",
        ),
        Mistake(
            _intervals_of_rests,
            "You measure intervals to silence: for {input} you give {found}, where a voice rests; a rest has no pitch.",
        ),
        Mistake(
            _intervals_downwards,
            "You count from the upper voice down: for {input} you give {found}, which turns each fifth (7) into a "
            "fourth (5).",
        ),
        Mistake(
            _intervals_unsigned,
            "Your intervals lose their direction where the voices cross: for {input} you give {found}; leave out "
            "the absolute "
            "value.",
        ),
    ),
    fact="the first pair of voices makes {outputs[0]}: fifth, third, octave and unison.",
)

# --- 3a.4


def nearest_steps(onset_quarter: np.ndarray, steps_per_quarter: int) -> np.ndarray:
    """Return the grid step nearest to each onset.

    Args:
        onset_quarter: onsets in quarters, none halfway between two steps.
        steps_per_quarter: steps in a quarter note.

    Example:
        >>> nearest_steps(np.array([0, 1 / 3, 2 / 3, 1]), 4).tolist()
        [0, 1, 3, 4]

    Chapter: 3a.
    """
    return np.rint(onset_quarter * steps_per_quarter).astype(int)


def _steps_rounded_down(onset_quarter: np.ndarray, steps_per_quarter: int) -> np.ndarray:
    """Cut off what is behind the point."""
    return (onset_quarter * steps_per_quarter).astype(int)


def _steps_rounded_up(onset_quarter: np.ndarray, steps_per_quarter: int) -> np.ndarray:
    """Round up."""
    return np.ceil(onset_quarter * steps_per_quarter).astype(int)


def _quarters_rounded_first(onset_quarter: np.ndarray, steps_per_quarter: int) -> np.ndarray:
    """Round to quarters before multiplying."""
    return np.rint(onset_quarter).astype(int) * steps_per_quarter


def _steps_not_rounded(onset_quarter: np.ndarray, steps_per_quarter: int) -> np.ndarray:
    """Forget to round."""
    return onset_quarter * steps_per_quarter


GRID = Exercise(
    id="3a.4",
    title="triplets on a grid",
    minutes=10,
    task=(
        "Write `nearest_steps(onset_quarter, steps_per_quarter)`: for each onset, given in quarters, the whole "
        "step that is "
        "nearest to it. No onset lies halfway between two steps. Then try three triplet eighths with 4, 12 and 24 "
        "steps a "
        "quarter: which grids hold them exactly?"
    ),
    hint="`astype(int)` cuts off what stands behind the point, and 2.667 is nearer to 3 than to 2.",
    cases=lambda: (
        (np.array([0, 1 / 3, 2 / 3, 1]), 4),
        (np.array([0, 1 / 3, 2 / 3, 1]), 24),
        (np.array([0.25, 1.75, 2.0]), 4),
        (np.array([0.1, 0.9, 4.2]), 8),
    ),
    solution=nearest_steps,
    mistakes=(
        Mistake(
            _steps_rounded_down,
            "You round down: for {input} you give {found}, so the third note of the triplet comes a whole step "
            "early. Use "
            "np.rint before astype.",
        ),
        Mistake(
            _steps_rounded_up,
            "You round up: for {input} you give {found}, so notes come late. The nearest step may lie below.",
        ),
        Mistake(
            _quarters_rounded_first,
            "You round before you multiply: for {input} you give {found}, and everything falls on a quarter.",
        ),
        Mistake(
            _steps_not_rounded,
            "You do not round: for {input} you give {found}; a step is a whole number.",
        ),
    ),
    fact="on 4 steps a quarter a triplet lands on {outputs[0]}, unevenly; on 24 it lands on {outputs[1]}, exactly.",
)

# --- 3a.5


def note_chroma(notes: np.ndarray) -> np.ndarray:
    """Return the share of each pitch class in the sounding time, (12,).

    Args:
        notes: structured array of ``music.NOTE_DTYPE``, at least one note.

    Example:
        >>> note_chroma(music.make_notes([0, 24], [72, 24], [60, 67]))[[0, 7]].tolist()
        [0.75, 0.25]

    Chapter: 3a.
    """
    amount = np.zeros(12)
    np.add.at(amount, notes["pitch"] % 12, notes["duration_step"])
    return amount / amount.sum()


def _chroma_of_counts(notes: np.ndarray) -> np.ndarray:
    """Count notes, not their durations."""
    amount = np.bincount(notes["pitch"] % 12, minlength=12)
    return amount / amount.sum()


def _chroma_not_normalised(notes: np.ndarray) -> np.ndarray:
    """Forget to divide by the sum."""
    return np.bincount(notes["pitch"] % 12, weights=notes["duration_step"], minlength=12)


def _chroma_by_assignment(notes: np.ndarray) -> np.ndarray:
    """Use += with repeated indices, which keeps only the last of them."""
    amount = np.zeros(12)
    amount[notes["pitch"] % 12] += notes["duration_step"]
    return amount / amount.sum()


def _chroma_by_loudness(notes: np.ndarray) -> np.ndarray:
    """Weight the durations by velocity."""
    amount = np.bincount(notes["pitch"] % 12, weights=notes["duration_step"] * notes["velocity"], minlength=12)
    return amount / amount.sum()


def _chroma_by_largest(notes: np.ndarray) -> np.ndarray:
    """Divide by the largest, not by the sum."""
    amount = np.bincount(notes["pitch"] % 12, weights=notes["duration_step"], minlength=12)
    return amount / amount.max()


CHROMA = Exercise(
    id="3a.5",
    title="a pitch-class profile",
    minutes=10,
    task=(
        "Write `note_chroma(notes)`: for an array of notes (`music.NOTE_DTYPE`, at least one note) an array of 12 "
        "numbers, the "
        "share of each pitch class, from C to B, in the time that the notes sound. They sum to 1."
    ),
    hint=(
        "A note that lasts three times as long counts three times. `np.add.at` adds at repeated places; `+=` does not."
    ),
    cases=lambda: (
        (music.make_notes([0, 72, 96], [72, 24, 24], [60, 67, 48], velocity=[64, 64, 100]),),
        (music.make_notes([0, 0, 0], [4, 4, 4], [62, 66, 69]),),
        (music.make_notes(range(8), 1, [60, 62, 64, 65, 67, 69, 71, 72]),),
    ),
    solution=note_chroma,
    mistakes=(
        Mistake(
            _chroma_of_counts,
            "You count notes: for {input} you give {found}; a long note must weigh more than a short one.",
        ),
        Mistake(
            _chroma_not_normalised,
            "Your shares do not sum to 1: divide by their sum, so that long and short pieces can be compared.",
        ),
        Mistake(
            _chroma_by_assignment,
            "Of several notes with one pitch class you keep only the last: `amount[index] += ...` does not add "
            "twice at one "
            "index. Use np.add.at or np.bincount.",
        ),
        Mistake(
            _chroma_by_loudness,
            "You let loud notes weigh more: a profile of sounding time leaves the velocity out.",
        ),
        Mistake(
            _chroma_by_largest,
            "You divide by the largest share: then the largest is 1, not the sum.",
        ),
    ),
    fact="the shares sum to 1, and a C major scale with both ends gives {outputs[2]}.",
    tolerance=1e-9,
)

# --- 3a.6


def phrases(is_fermata: np.ndarray) -> list[tuple[int, int]]:
    """Cut a chorale behind each fermata; return (start_step, stop_step) of every phrase.

    Args:
        is_fermata: (n_steps,), True while a note with a fermata sounds.

    Example:
        >>> phrases(np.array([False, False, True, True, False, True]))
        [(0, 4), (4, 6)]

    Chapter: 3a.
    """
    is_end = is_fermata & ~np.append(is_fermata[1:], False)
    edges = [0, *(np.flatnonzero(is_end) + 1).tolist()]
    if edges[-1] < len(is_fermata):
        edges.append(len(is_fermata))
    return list(zip(edges[:-1], edges[1:], strict=True))


def _phrases_cut_at_the_fermata(is_fermata: np.ndarray) -> list[tuple[int, int]]:
    """Cut where the fermata begins."""
    before = np.append(False, is_fermata[:-1])
    edges = [0, *np.flatnonzero(is_fermata & ~before).tolist(), len(is_fermata)]
    return [(start, stop) for start, stop in zip(edges[:-1], edges[1:], strict=True) if start < stop]


def _phrases_cut_at_every_step(is_fermata: np.ndarray) -> list[tuple[int, int]]:
    """Cut behind every step under a fermata."""
    edges = [0, *(np.flatnonzero(is_fermata) + 1).tolist(), len(is_fermata)]
    return [(start, stop) for start, stop in zip(edges[:-1], edges[1:], strict=True) if start < stop]


def _phrases_without_the_rest(is_fermata: np.ndarray) -> list[tuple[int, int]]:
    """Lose what follows the last fermata."""
    is_end = is_fermata & ~np.append(is_fermata[1:], False)
    edges = [0, *(np.flatnonzero(is_end) + 1).tolist()]
    return list(zip(edges[:-1], edges[1:], strict=True))


def _phrases_with_an_empty_one(is_fermata: np.ndarray) -> list[tuple[int, int]]:
    """Add an empty phrase where the piece ends with a fermata."""
    is_end = is_fermata & ~np.append(is_fermata[1:], False)
    edges = [0, *(np.flatnonzero(is_end) + 1).tolist(), len(is_fermata)]
    return list(zip(edges[:-1], edges[1:], strict=True))


def _steps(text: str) -> np.ndarray:
    """Read a row of steps: "-" is an ordinary one, "U" one under a fermata."""
    return np.array([sign == "U" for sign in text])


PHRASES = Exercise(
    id="3a.6",
    title="cut a chorale into its phrases",
    minutes=10,
    task=(
        "A fermata stands over the last note of each line of a hymn. Write `phrases(is_fermata)`: from the row of "
        "booleans, True "
        "while a note with a fermata sounds, a list of `(start_step, stop_step)`, one a phrase. A phrase ends "
        "when its fermata "
        "ends; steps behind the last fermata are a phrase too; no phrase is empty."
    ),
    hint="A fermata ends at a step that is True and has False, or nothing, behind it.",
    cases=lambda: (
        (_steps("---UU---U"),),
        (_steps("--U--"),),
        (_steps("----"),),
        (_steps("UU--UU"),),
    ),
    solution=phrases,
    mistakes=(
        Mistake(
            _phrases_cut_at_the_fermata,
            "You cut where the fermata begins: for {input} you give {found}, so each phrase loses its last note "
            "to the next "
            "one.",
        ),
        Mistake(
            _phrases_cut_at_every_step,
            "You cut at every step of a fermata: for {input} you give {found}; a fermata of two steps is still one.",
        ),
        Mistake(
            _phrases_without_the_rest,
            "You lose what follows the last fermata: for {input} you give {found}.",
        ),
        Mistake(
            _phrases_with_an_empty_one,
            "You end with an empty phrase where the piece ends under a fermata: for {input} you give {found}.",
        ),
    ),
    fact="the first row has the phrases {outputs[0]}; every step is in exactly one.",
)

# --- 3a.7


def parallel_fifths(upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """Return the steps at which two voices arrive at a fifth from a fifth, both moving the same way.

    Args:
        upper: MIDI pitches of one voice, without rests.
        lower: those of the other, as many.

    Example:
        >>> parallel_fifths(np.array([67, 69]), np.array([60, 62])).tolist()
        [1]

    Chapter: 3a.
    """
    is_fifth = np.abs(upper - lower) % 12 == 7
    upper_motion, lower_motion = np.sign(np.diff(upper)), np.sign(np.diff(lower))
    moves_together = (upper_motion == lower_motion) & (upper_motion != 0)
    return np.flatnonzero(is_fifth[1:] & is_fifth[:-1] & moves_together) + 1


def _fifths_that_stay(upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """Count two fifths in a row even if nothing moves."""
    is_fifth = np.abs(upper - lower) % 12 == 7
    same_way = np.sign(np.diff(upper)) == np.sign(np.diff(lower))
    return np.flatnonzero(is_fifth[1:] & is_fifth[:-1] & same_way) + 1


def _fifths_in_contrary_motion(upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """Count moves in opposite directions."""
    is_fifth = np.abs(upper - lower) % 12 == 7
    moves = (np.diff(upper) != 0) & (np.diff(lower) != 0)
    return np.flatnonzero(is_fifth[1:] & is_fifth[:-1] & moves) + 1


def _fifths_without_twelfths(upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """Know only the fifth of seven semitones."""
    is_fifth = np.abs(upper - lower) == 7
    upper_motion, lower_motion = np.sign(np.diff(upper)), np.sign(np.diff(lower))
    moves_together = (upper_motion == lower_motion) & (upper_motion != 0)
    return np.flatnonzero(is_fifth[1:] & is_fifth[:-1] & moves_together) + 1


def _fifths_between_written_voices(upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """Count from the lower voice up, even where it sounds above the other."""
    is_fifth = (upper - lower) % 12 == 7
    upper_motion, lower_motion = np.sign(np.diff(upper)), np.sign(np.diff(lower))
    moves_together = (upper_motion == lower_motion) & (upper_motion != 0)
    return np.flatnonzero(is_fifth[1:] & is_fifth[:-1] & moves_together) + 1


def _fifths_hidden(upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """Ask only that the arrival be a fifth."""
    is_fifth = np.abs(upper - lower) % 12 == 7
    upper_motion, lower_motion = np.sign(np.diff(upper)), np.sign(np.diff(lower))
    return np.flatnonzero(is_fifth[1:] & (upper_motion == lower_motion) & (upper_motion != 0)) + 1


def _fifths_at_departure(upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """Give the step before the arrival."""
    return parallel_fifths(upper, lower) - 1


def _fifths_repeated(upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """Count every fifth that follows a fifth."""
    is_fifth = np.abs(upper - lower) % 12 == 7
    return np.flatnonzero(is_fifth[1:] & is_fifth[:-1]) + 1


PARALLELS = Exercise(
    id="3a.7",
    title="find parallel fifths",
    minutes=15,
    task=(
        "Write `parallel_fifths(upper, lower)`: the steps, as an array, at which two voices arrive at a perfect "
        "fifth that they had at the step before, both having moved in the same direction. A twelfth (a fifth and an "
        "octave) counts as a fifth. Voices may cross: count from the lower note to the higher, whichever voice sings "
        "it. There are no rests."
    ),
    hint=(
        "Three conditions at once: a fifth now, a fifth before, the same motion. "
        "The sign of `np.diff` says which way a voice goes, and 0 is no motion."
    ),
    cases=lambda: (
        (np.array([67, 69, 71]), np.array([60, 62, 64])),
        (np.array([67, 67, 69, 69]), np.array([60, 60, 62, 62])),
        (np.array([79, 77, 76]), np.array([60, 58, 60])),
        (np.array([67, 74, 62]), np.array([60, 55, 55])),
        (np.array([64, 69, 71]), np.array([60, 62, 55])),
        (np.array([60, 62, 64, 66]), np.array([67, 69, 69, 71])),
    ),
    solution=parallel_fifths,
    mistakes=(
        Mistake(
            _fifths_that_stay,
            "You count fifths that stand still: for {input} you give {found}; two voices that repeat their notes "
            "are no "
            "parallels.",
        ),
        Mistake(
            _fifths_in_contrary_motion,
            "You count contrary motion: for {input} you give {found}; one voice goes up there and the other down.",
        ),
        Mistake(
            _fifths_without_twelfths,
            "You miss the twelfths: for {input} you give {found}; compare the difference modulo 12 with 7.",
        ),
        Mistake(
            _fifths_between_written_voices,
            "You count from the lower voice up, even where it sounds above the other: for {input} you give {found}; "
            "take the difference without its sign.",
        ),
        Mistake(
            _fifths_hidden,
            "You ask only for a fifth on arrival: for {input} you give {found}. Those are hidden fifths; parallel "
            "ones start "
            "from a fifth as well.",
        ),
        Mistake(
            _fifths_at_departure,
            "You give the step that the voices leave: for {input} you give {found}. `np.diff` is one shorter than "
            "its input, "
            "so add 1 for the arrival.",
        ),
        Mistake(
            _fifths_repeated,
            "You do not look at the motion: for {input} you give {found}; the two voices must both move, the same way.",
        ),
    ),
    fact="the first pair has parallels at {outputs[0]}, a standing fifth or contrary motion has none.",
)

# --- 3a.8


def key_number(chroma: np.ndarray, major_profile: np.ndarray, minor_profile: np.ndarray) -> int:
    """Return the key that fits best, by correlation: 0..11 the major keys from C, 12..23 the minor ones.

    Args:
        chroma: (12,), amount of each pitch class from C.
        major_profile: (12,), how well each pitch class fits C major.
        minor_profile: the same for C minor.

    Example:
        >>> major, minor = np.array(harmony.MAJOR_PROFILE), np.array(harmony.MINOR_PROFILE)
        >>> key_number(np.roll(major, 7), major, minor)
        7

    Chapter: 3a.
    """
    correlations = [
        np.corrcoef(np.roll(profile, tonic), chroma)[0, 1]
        for profile in (major_profile, minor_profile)
        for tonic in range(12)
    ]
    return int(np.argmax(correlations))


def _key_by_dot_product(chroma: np.ndarray, major_profile: np.ndarray, minor_profile: np.ndarray) -> int:
    """Multiply without centring."""
    scores = [np.roll(profile, tonic) @ chroma for profile in (major_profile, minor_profile) for tonic in range(12)]
    return int(np.argmax(scores))


def _key_rolled_the_wrong_way(chroma: np.ndarray, major_profile: np.ndarray, minor_profile: np.ndarray) -> int:
    """Turn the profile down where it should go up."""
    correlations = [
        np.corrcoef(np.roll(profile, -tonic), chroma)[0, 1]
        for profile in (major_profile, minor_profile)
        for tonic in range(12)
    ]
    return int(np.argmax(correlations))


def _key_of_both_modes_in_turn(chroma: np.ndarray, major_profile: np.ndarray, minor_profile: np.ndarray) -> int:
    """Number the keys as C major, C minor, C sharp major and so on."""
    best = key_number(chroma, major_profile, minor_profile)
    return 2 * (best % 12) + best // 12


def _key_major_only(chroma: np.ndarray, major_profile: np.ndarray, minor_profile: np.ndarray) -> int:
    """Forget the minor keys."""
    return int(np.argmax([np.corrcoef(np.roll(major_profile, tonic), chroma)[0, 1] for tonic in range(12)]))


def _key_of_the_longest_note(chroma: np.ndarray, major_profile: np.ndarray, minor_profile: np.ndarray) -> int:
    """Take the pitch class that sounds longest for the tonic."""
    return int(np.argmax(chroma))


# Pitches and durations in eighths. Each tune tells some mistake from the right answer.
_TUNES = {
    "a C major scale": ([60, 62, 64, 65, 67, 69, 71, 72], 1),
    "a tune in D minor": ([62, 65, 69, 70, 69, 67, 65, 64, 62, 61, 62], [2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 4]),
    "a tune in G major": ([67, 67, 74, 71, 69, 67, 66, 67, 69, 71, 67], [1, 1, 1, 2, 1, 2, 1, 1, 1, 2, 4]),
    "a tune in A flat major": ([68, 72, 75, 73, 77, 68, 67, 70, 75, 68], [2, 2, 2, 1, 1, 1, 1, 1, 3, 2]),
    "a chromatic climb from C to G and back by E": ([60, 61, 62, 63, 64, 65, 66, 67, 64, 60], 1),
}


def _key_cases() -> tuple[Case, ...]:
    """Make the chromas of the tunes, each together with the profiles."""
    profiles = harmony.MAJOR_PROFILE, harmony.MINOR_PROFILE
    notes = (music.make_notes(range(len(pitch)), length, pitch) for pitch, length in _TUNES.values())
    return tuple((harmony.chroma(tune), *(np.array(profile) for profile in profiles)) for tune in notes)


KEY = Exercise(
    id="3a.8",
    title="find the key",
    minutes=15,
    task=(
        "Write `key_number(chroma, major_profile, minor_profile)`. The profiles say how well each pitch class "
        "fits C major and "
        "C minor (`harmony.MAJOR_PROFILE`, `harmony.MINOR_PROFILE`). Turn each to all 12 tonics, correlate it with the "
        "chroma, and return the number of the best of the 24 keys: 0 for C major to 11 for B major, 12 for C "
        "minor to 23 for B minor. "
        "Then run it over all chorales and compare with their key signatures: which keys does it take for one another?"
    ),
    hint=(
        "`np.roll(profile, 2)` puts the tonic's value at D. "
        "`np.corrcoef(a, b)[0, 1]` is the correlation: it subtracts both means and divides by both spreads."
    ),
    cases=_key_cases,
    solution=key_number,
    mistakes=(
        Mistake(
            _key_by_dot_product,
            "You multiply without subtracting the means: the minor profile has the larger sum, and wins where it "
            "should not. "
            "For {input} you give {found}, the right answer is {expected}.",
        ),
        Mistake(
            _key_rolled_the_wrong_way,
            "You turn the profiles the wrong way: for {input} you give {found}, which lies as far below C as the "
            "right answer, "
            "{expected}, lies above. np.roll(profile, tonic) moves the tonic up.",
        ),
        Mistake(
            _key_of_both_modes_in_turn,
            "You find the right key and number it otherwise: 0..11 are the major keys, 12..23 the minor ones.",
        ),
        Mistake(
            _key_major_only,
            "You never answer with a minor key: for {input} you give {found}, the right answer is {expected}.",
        ),
        Mistake(
            _key_of_the_longest_note,
            "You take the longest pitch class for the tonic: often it is the fifth of the key, and it says "
            "nothing of major or "
            "minor.",
        ),
    ),
    fact=(
        "the first two tunes have the numbers {outputs[0]} and {outputs[1]}. harmony.find_key does the same, and "
        "names the runner-up."
    ),
    case_names=tuple(_TUNES),
)

EXERCISES = (FREQUENCY, TRANSPOSITION, INTERVALS, GRID, CHROMA, PHRASES, PARALLELS, KEY)
