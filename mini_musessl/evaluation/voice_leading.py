"""How voices move together: parallel fifths and octaves, crossings, ranges.

These are rules that a student of harmony is marked by. They are not a measure of beauty, and Bach breaks them too: each
number is read beside Bach's own, counted in the same way. Teachers also mark fifths and octaves that are reached in
contrary motion, and hidden ones; neither is counted here.

Conventions:
    A *move* is a pair of neighbouring steps between which a voice changes its pitch and sounds at both.
    Intervals are counted from the lower pitch to the higher, whichever voice sings it, and modulo the octave: a twelfth
    is a fifth.

Chapter: 00 (first use), 9c (judging).
"""

from itertools import combinations

import numpy as np

from mini_musessl.voices import REST, SATB, VoiceGrid

#: Lowest and highest pitch of each voice in the 16th-note training pieces of the JSB data set.
RANGES = {"soprano": (60, 81), "alto": (52, 74), "tenor": (46, 69), "bass": (36, 66)}

#: Semitones, modulo 12, of the intervals whose parallels the rules forbid.
FIFTH, OCTAVE = 7, 0


def parallels(grid: VoiceGrid, interval: int) -> np.ndarray:
    """Find parallel motion in one interval: both voices move the same way and keep it.

    Args:
        grid: the music.
        interval: semitones modulo 12; FIFTH (7), or OCTAVE (0), which includes unisons.

    Returns:
        int array (n_found, 3): the step of arrival, the upper voice, the lower voice; ordered by step.

    >>> from mini_musessl import voices
    >>> parallels(voices.from_pitches([[67, 60], [69, 62]], voice_names=("high", "low")), FIFTH).tolist()
    [[1, 0, 1]]

    References:
        Equal to music21's ``VoiceLeadingQuartet.parallelFifth`` where its spelling of the two notes is a fifth, but for
        contrary motion, as from a fifth to a twelfth, which music21 counts.
    """
    if not 0 <= interval < 12:
        raise ValueError(f"An interval must be 0..11 semitones modulo the octave; found {interval}. A fifth is 7.")
    pitch = grid.pitch.astype(int)
    is_sounding = (pitch[1:] != REST) & (pitch[:-1] != REST)
    motion = np.sign(np.diff(pitch, axis=0)) * is_sounding
    found = []
    for upper, lower in combinations(range(grid.n_voices), 2):
        is_interval = np.abs(pitch[:, upper] - pitch[:, lower]) % 12 == interval
        moves_together = (motion[:, upper] == motion[:, lower]) & (motion[:, upper] != 0)
        steps = np.flatnonzero(moves_together & is_interval[1:] & is_interval[:-1]) + 1
        found += [(step, upper, lower) for step in steps.tolist()]
    return np.array(sorted(found), dtype=int).reshape(-1, 3)


def count_parallels(grid: VoiceGrid, within_lines: bool = False) -> int:
    """Count parallel fifths and octaves, those of a passage that is repeated note for note once.

    Two are one if the same voices make them and all voices sing the same from a half note before to the arrival. So
    Bach's chorales count the same with their repeats written out as without.

    Args:
        within_lines: leave out those from a fermata to the note after it, where a new line begins and textbooks do not
            count. Say so where both sides know their fermatas, such as two settings of one melody. What a model writes
            freely has lines too, and no fermatas: there Bach's are counted with all of his.

    >>> from mini_musessl import voices
    >>> pitch = np.repeat([[65, 62], [67, 60], [69, 62], [65, 62]] * 2, 8, axis=0)
    >>> grid = voices.from_pitches(pitch, voice_names=("high", "low"))
    >>> len(parallels(grid, FIFTH)), count_parallels(grid)
    (2, 1)
    """
    half_note, distinct = 2 * grid.steps_per_quarter, set()
    for interval in (FIFTH, OCTAVE):
        for step, upper, lower in parallels(grid, interval).tolist():
            is_new_line = grid.is_fermata[step - 1] and not grid.is_fermata[step]
            lead = grid.pitch[max(0, step - half_note) : step + 1]
            if not (within_lines and is_new_line):
                distinct.add((upper, lower, lead.tobytes()))
    return len(distinct)


def crossings(grid: VoiceGrid) -> np.ndarray:
    """Return for each step whether some voice sounds above the voice written over it, bool (n_steps,)."""
    pitch = np.where(grid.pitch == REST, np.nan, grid.pitch)
    is_crossed = [pitch[:, lower] > pitch[:, upper] for upper, lower in combinations(range(grid.n_voices), 2)]
    return np.any(is_crossed, axis=0) if is_crossed else np.zeros(grid.n_steps, bool)


def out_of_range(grid: VoiceGrid) -> np.ndarray:
    """Return for each cell whether it lies outside the range of its voice, bool (n_steps, 4); rests never do."""
    if grid.n_voices != len(SATB):
        raise ValueError(
            f"Voice ranges are known for soprano, alto, tenor and bass; this grid has {grid.n_voices} voices."
        )
    lowest, highest = np.array([RANGES[name] for name in SATB]).T
    return (grid.pitch != REST) & ((grid.pitch < lowest) | (grid.pitch > highest))
