"""Checkers of the exercises of notebook 0b; tasks, hints and solutions stand there. Chapter: 0b."""

import numpy as np

from mini_musessl.exercises.checking import checker

# A mistake is one row of a table; the formatter would make four or five lines of it.
# fmt: off


def octave_below(pitch):
    return pitch - 12

checker("0b.1", octave_below, cases=[(60,), (67,), (49,)], draw=lambda rng: (int(rng.integers(24, 96)),),
    fact="the octave below middle C is {outputs[0]}.", mistakes=[
    (lambda pitch: pitch + 12, "You go up an octave, to {found}; below is a smaller number."),
    (lambda pitch: pitch - 8,
     "An octave has eight notes of a scale, but MIDI counts every key of the piano: twelve semitones."),
    (lambda pitch: pitch - 7, "Seven semitones down is a fifth; an octave has twelve."),
    (lambda pitch: pitch - 11, "You stop a semitone above the octave: it has twelve."),
    (lambda pitch: pitch / 2, "Half the *frequency* is an octave down. MIDI counts semitones: subtract twelve."),
    (lambda pitch: 48, "You return the same number for every pitch: use the name `pitch` in the last line.")])


def have_same_name(first, second):
    return first % 12 == second % 12

checker("0b.2", have_same_name,
    cases=[(60, 72), (60, 67), (48, 84), (61, 49), (59, 60), (72, 0), (64, 64), (67, 60), (60, 71), (11, 47)],
    draw=lambda rng: tuple(rng.choice([48, 60, 61, 67, 72, 79], 2).tolist()),
    fact="two Cs have one name in every octave, and C and G have two.", mistakes=[
    (lambda first, second: first == second,
     "You ask whether the pitches are equal; 60 and 72 are both C, and 12 apart. Compare their remainders."),
    (lambda first, second: abs(first - second) == 12,
     "One octave apart is not the only way: the same pitch has the same name, and so has one three octaves up."),
    (lambda first, second: first % 7 == second % 7, "An octave has twelve keys of the piano, so divide by 12, not 7."),
    (lambda first, second: first // 12 == second // 12,
     "`//` says in which octave a pitch lies. The remainder, `%`, says which note of the octave it is."),
    (lambda first, second: first == second % 12,
     "You take the remainder of the second pitch alone: the first needs it too."),
    (lambda first, second: first % 12 != second % 12, "Your answer is inverted: `!=` asks whether the names differ."),
    (lambda first, second: first % 12 - second % 12,
     "You return a difference. Ask whether the two are equal, with `==`: the answer is True or False.")])


def count_repeats(tune):
    count = 0
    for place in range(1, len(tune)):
        if tune[place] == tune[place - 1]:
            count += 1
    return count

def _stops_at_once(tune):
    count = 0
    for place in range(1, len(tune)):
        if tune[place] == tune[place - 1]:
            count += 1
        return count

checker("0b.3", count_repeats, cases=[
    ([60, 60, 67, 67, 69, 69, 67],), ([60, 62, 64],), ([67, 67, 67],), ([60, 62, 60],), ([64, 65, 65],)],
    draw=lambda rng: (rng.integers(60, 63, rng.integers(1, 9)).tolist(),),
    fact="in the first seven notes of the song {outputs[0]} repeat the note before.", mistakes=[
    (lambda tune: len(tune) - len(set(tune)),
     "You count every note that came before *somewhere*. A repeat equals the note just before it."),
    (lambda tune: len(tune) - 1 - count_repeats(tune),
     "You count the notes that change. A repeat is `==`, a change `!=`."),
    (lambda tune: count_repeats(tune) + 1, "One too many: the first note repeats nothing. Begin to count at 0."),
    (lambda tune: sum(tune[place] == tune[place - 1] for place in range(len(tune))),
     "For the first note you look at place -1, which is the *last* note. Begin the loop at place 1."),
    (lambda tune: count_repeats(tune[:-1]),
     "You miss the last note. `range(1, len(tune))` ends with the last place already."),
    (lambda tune: count_repeats(tune[1:]), "You miss the second note: it may repeat the first. Begin at place 1."),
    (_stops_at_once,
     "Your `return` stands inside the loop and ends the function after one note. Move it to the left."),
    (lambda tune: [place for place in range(1, len(tune)) if tune[place] == tune[place - 1]],
     "You return the places; the task asks how many there are.")])


_TABLE = np.array([[67, 62, 59, 43], [69, 62, 57, 50], [71, 60, 55, 55], [74, 65, 52, 38], [67, 66, 53, 43]])


def voice_range(pitch, voice):
    return pitch[:, voice].max() - pitch[:, voice].min()

checker("0b.4", voice_range, cases=[(_TABLE, 0), (_TABLE, 1), (_TABLE, 3)],
    draw=lambda rng: (rng.integers(40, 80, (6, 4)), int(rng.integers(4))),
    fact="the first voice of the table moves within {outputs[0]} semitones.", mistakes=[
    (lambda pitch, voice: pitch[voice].max() - pitch[voice].min(),
     "`pitch[voice]` is a row, the chord of one step. A voice is a column: `pitch[:, voice]`."),
    (lambda pitch, voice: pitch.max() - pitch.min(), "You look at all voices at once: take one column first."),
    (lambda pitch, voice: pitch[:, voice].min() - pitch[:, voice].max(),
     "The wrong way round: {found}. Take the lowest from the highest."),
    (lambda pitch, voice: voice_range(pitch, voice) + 1,
     "You count the keys of the piano from end to end. An interval counts the semitones between them, one fewer."),
    (lambda pitch, voice: voice_range(pitch, voice - 1),
     "You take the voice beside it: columns are counted from 0, and `voice` counts from 0 too."),
    (lambda pitch, voice: pitch[:, voice].max(), "That is the highest pitch. How far is it from the lowest?"),
    (lambda pitch, voice: pitch[-1, voice] - pitch[0, voice],
     "You compare the last pitch with the first; the highest may lie between.")])


_CROSSED = np.array([[67, 60, 62, 43], [69, 62, 62, 50], [71, 60, 64, 55], [74, 65, 52, 38], [67, 53, 52, 54]])


def count_crossings(pitch):
    return (pitch[:, 2] > pitch[:, 1]).sum()

checker("0b.5", count_crossings, cases=[(_CROSSED,), (_CROSSED[1:],), (_CROSSED[[0, 4, 4]],), (_TABLE,)],
    draw=lambda rng: (rng.integers(55, 62, (8, 4)),),
    fact="the tenor sings above the alto at {outputs[0]} steps of the first table.", mistakes=[
    (lambda pitch: (pitch[:, 2] >= pitch[:, 1]).sum(),
     "A unison is no crossing: where both sing the same pitch, neither is above. Use `>`."),
    (lambda pitch: (pitch[:, 3] > pitch[:, 2]).sum(),
     "You compare bass and tenor: columns are counted from 0, so alto and tenor are 1 and 2."),
    (lambda pitch: (pitch[:, 2] < pitch[:, 1]).sum(), "You count the steps at which the alto is above: turn the `<`."),
    (lambda pitch: (pitch[2] > pitch[1]).sum(), "You compare two rows, which are two moments. Voices are columns."),
    (lambda pitch: (pitch[:, 2] > pitch[:, 1]).any(),
     "You say whether it happens at all. How often? Add the Trues with `.sum()`."),
    (lambda pitch: (pitch[:, 2] > pitch[:, 1]).mean(), "That is the share of the steps. Count them with `.sum()`."),
    (lambda pitch: len(pitch[:, 2] > pitch[:, 1]),
     "`len` counts True and False alike. `.sum()` counts the Trues."),
    (lambda pitch: pitch[:, 2] > pitch[:, 1], "You have the answer for every step. How many are True?")])


def with_deeper_bass(pitch):
    deeper = pitch.copy()
    deeper[:, 3] -= 12
    return deeper

def _deeper_row(pitch):
    deeper = pitch.copy()
    deeper[3] -= 12
    return deeper

def _other_column(pitch, column, semitones):
    deeper = pitch.copy()
    deeper[:, column] += semitones
    return deeper

checker("0b.6", with_deeper_bass, cases=[(_TABLE,), (_CROSSED,)],
    draw=lambda rng: (rng.integers(40, 80, (6, 4)),),
    fact="only the last column has changed, and the table that you were given has not.", mistakes=[
    (lambda pitch: pitch - 12, "All four voices went down. Change one column: `deeper[:, 3]`."),
    (_deeper_row, "You lowered a row, the chord of the fourth step. The bass is a column: `deeper[:, 3]`."),
    (lambda pitch: _other_column(pitch, 3, 12), "The bass went up. Subtract the octave."),
    (lambda pitch: _other_column(pitch, 3, -8), "An octave has twelve semitones, not eight."),
    (lambda pitch: _other_column(pitch, 2, -12), "You lowered the tenor: the columns are 0, 1, 2 and 3."),
    (lambda pitch: _other_column(pitch, 0, -12), "You lowered the soprano: the bass is the last column."),
    (lambda pitch: pitch[:, 3] - 12, "You return the bass alone. Put it back into a copy of the table."),
    (lambda pitch: pitch.copy(), "Your copy is still as it was: lower its last column.")])
