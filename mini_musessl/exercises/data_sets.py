"""Exercises of notebook 3c: splits, leaks, augmentation, caches.

Chapter: 3c (data sets).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mini_musessl.exercises.checking import Exercise, Mistake


def split_by_group(group: np.ndarray, is_held_out: np.ndarray) -> np.ndarray:
    """Return for each piece whether its group is held out.

    Args:
        group: int (n_pieces,), the tune of each piece.
        is_held_out: bool (n_groups,), which tunes are held out.

    Returns:
        bool (n_pieces,).

    Chapter: 3c.
    """
    return is_held_out[group]


def _split_by_position(group: np.ndarray, is_held_out: np.ndarray) -> np.ndarray:
    """Mistake: hold out the first pieces, as many as there are held-out groups."""
    return np.arange(len(group)) < is_held_out.sum()


def _split_one_of_each(group: np.ndarray, is_held_out: np.ndarray) -> np.ndarray:
    """Mistake: hold out only the first piece of each held-out group."""
    is_first = np.zeros(len(group), bool)
    is_first[np.unique(group, return_index=True)[1]] = True
    return is_held_out[group] & is_first


def _split_upside_down(group: np.ndarray, is_held_out: np.ndarray) -> np.ndarray:
    """Mistake: return which pieces are trained on."""
    return ~is_held_out[group]


def same_music(one: np.ndarray, other: np.ndarray) -> bool:
    """Return whether two melodies are equal up to transposition.

    Args:
        one: int (n_notes,), MIDI pitches.
        other: the other melody, perhaps of another length.

    Returns:
        True if every interval is the same.

    Chapter: 3c.
    """
    return len(one) == len(other) and bool(np.array_equal(np.diff(one), np.diff(other)))


def _same_pitches(one: np.ndarray, other: np.ndarray) -> bool:
    """Mistake: compare pitches, not intervals."""
    return bool(np.array_equal(one, other))


def _same_pitch_classes(one: np.ndarray, other: np.ndarray) -> bool:
    """Mistake: compare intervals modulo the octave."""
    return len(one) == len(other) and bool(np.array_equal(np.diff(one) % 12, np.diff(other) % 12))


def _same_contour(one: np.ndarray, other: np.ndarray) -> bool:
    """Mistake: compare only whether the melody goes up or down."""
    return len(one) == len(other) and bool(np.array_equal(np.sign(np.diff(one)), np.sign(np.diff(other))))


def _same_start(one: np.ndarray, other: np.ndarray) -> bool:
    """Mistake: compare only as many notes as the shorter melody has."""
    n = min(len(one), len(other))
    return bool(np.array_equal(np.diff(one[:n]), np.diff(other[:n])))


def leaked_share(train_tunes: Sequence[int], test_tunes: Sequence[int]) -> float:
    """Return the share of test pieces whose tune occurs in training.

    Args:
        train_tunes: the tune of each training piece.
        test_tunes: the tune of each test piece, at least one.

    Returns:
        a share, 0 to 1.

    Chapter: 3c.
    """
    return float(np.mean([tune in set(train_tunes) for tune in test_tunes]))


def _leaked_kinds(train_tunes: Sequence[int], test_tunes: Sequence[int]) -> float:
    """Mistake: count tunes, not pieces."""
    return len(set(train_tunes) & set(test_tunes)) / len(set(test_tunes))


def _leaked_of_train(train_tunes: Sequence[int], test_tunes: Sequence[int]) -> float:
    """Mistake: the share of training pieces."""
    return float(np.mean([tune in set(test_tunes) for tune in train_tunes]))


def _leaked_jaccard(train_tunes: Sequence[int], test_tunes: Sequence[int]) -> float:
    """Mistake: shared tunes over all tunes."""
    return len(set(train_tunes) & set(test_tunes)) / len(set(train_tunes) | set(test_tunes))


def allowed_shifts(pitch: np.ndarray, lowest: int, highest: int) -> list[int]:
    """Return the transpositions from -6 to 6 that keep all sounding cells in range; -1 is a rest.

    Args:
        pitch: int array of MIDI pitches, -1 for a rest; at least one cell sounds.
        lowest: lowest pitch allowed.
        highest: highest pitch allowed.

    Returns:
        the intervals in semitones, ascending.

    Chapter: 3c.
    """
    sounding = pitch[pitch != -1]
    return [s for s in range(-6, 7) if sounding.min() + s >= lowest and sounding.max() + s <= highest]


def _shifts_with_rests(pitch: np.ndarray, lowest: int, highest: int) -> list[int]:
    """Mistake: take the rest, -1, for a very low pitch."""
    return [s for s in range(-6, 7) if pitch.min() + s >= lowest and pitch.max() + s <= highest]


def _shifts_mean(pitch: np.ndarray, lowest: int, highest: int) -> list[int]:
    """Mistake: ask only that some pitch stays in range."""
    sounding = pitch[pitch != -1]
    return [s for s in range(-6, 7) if sounding.max() + s >= lowest and sounding.min() + s <= highest]


def _shifts_open_end(pitch: np.ndarray, lowest: int, highest: int) -> list[int]:
    """Mistake: leave out the highest pitch itself."""
    sounding = pitch[pitch != -1]
    return [s for s in range(-6, 7) if sounding.min() + s >= lowest and sounding.max() + s < highest]


def may_reuse(kept: tuple[str, str, str], now: tuple[str, str, str]) -> bool:
    """Return whether what was kept for one (name, content hash, reader version) may serve for another.

    Args:
        kept: the three texts that were noted when the result was kept.
        now: the same three texts of the file and the reader as they are now.

    Returns:
        True if the kept result is right.

    Chapter: 3c.
    """
    return kept[1:] == now[1:]


def _reuse_by_name(kept: tuple[str, str, str], now: tuple[str, str, str]) -> bool:
    """Mistake: compare the names alone."""
    return kept[0] == now[0]


def _reuse_old_reader(kept: tuple[str, str, str], now: tuple[str, str, str]) -> bool:
    """Mistake: forget the reader."""
    return kept[1] == now[1]


def _reuse_never_renamed(kept: tuple[str, str, str], now: tuple[str, str, str]) -> bool:
    """Mistake: ask for the same name too."""
    return kept == now


def _reuse_any(kept: tuple[str, str, str], now: tuple[str, str, str]) -> bool:
    """Mistake: be content with one that agrees."""
    return kept[1] == now[1] or kept[2] == now[2]


def pairwise(one: Sequence[float], other: Sequence[float]) -> tuple[float, float]:
    """Return the mean difference of paired scores and its standard error.

    Args:
        one: score of one model on each piece.
        other: score of the other model on the same pieces, in the same order; at least two.

    Returns:
        mean of the differences, and standard error of that mean.

    Chapter: 3c.
    """
    difference = np.asarray(one, float) - np.asarray(other, float)
    return float(difference.mean()), float(difference.std(ddof=1) / np.sqrt(len(difference)))


def _pairwise_unpaired(one: Sequence[float], other: Sequence[float]) -> tuple[float, float]:
    """Mistake: treat the two lists as independent."""
    error = np.sqrt(np.var(one, ddof=1) / len(one) + np.var(other, ddof=1) / len(other))
    return float(np.mean(one) - np.mean(other)), float(error)


def _pairwise_spread(one: Sequence[float], other: Sequence[float]) -> tuple[float, float]:
    """Mistake: the standard deviation, not the standard error."""
    difference = np.asarray(one, float) - np.asarray(other, float)
    return float(difference.mean()), float(difference.std(ddof=1))


def _pairwise_biased(one: Sequence[float], other: Sequence[float]) -> tuple[float, float]:
    """Mistake: divide the squares by n."""
    difference = np.asarray(one, float) - np.asarray(other, float)
    return float(difference.mean()), float(difference.std() / np.sqrt(len(difference)))


EXERCISES = (
    Exercise(
        id="3c.1",
        title="Split by tune",
        minutes=5,
        task=(
            "Write `split_by_group(group, is_held_out)`. `group[i]` is the number of the tune of piece `i`; "
            "`is_held_out[g]` says whether tune `g` is held out. Return a Boolean array: is piece `i` held out?"
        ),
        hint="One array can index another.",
        cases=lambda: (
            (np.array([0, 1, 0, 2, 2, 1]), np.array([True, False, False])),
            (np.array([1, 2, 2, 0]), np.array([False, False, True])),
        ),
        solution=split_by_group,
        mistakes=(
            Mistake(
                _split_by_position,
                "You hold out the first pieces of the list. Which piece goes where must depend on its tune alone.",
            ),
            Mistake(
                _split_one_of_each,
                "You hold out one piece of each held-out tune; its sisters stay in training, and that is the leak.",
            ),
            Mistake(_split_upside_down, "You return which pieces are trained on: the answer is upside down."),
        ),
        fact="no tune stands on both sides.",
    ),
    Exercise(
        id="3c.2",
        title="The same tune in another key",
        minutes=5,
        task=(
            "Write `same_music(one, other)`: are two melodies, given as arrays of MIDI pitches, the same up to "
            "transposition? Return a `bool`."
        ),
        hint="Transposing changes every pitch and no interval. What about melodies of different length?",
        cases=lambda: (
            (np.array([60, 62, 64]), np.array([65, 67, 69])),
            (np.array([60, 62, 64]), np.array([60, 62, 64])),
            (np.array([60, 62, 64]), np.array([60, 61, 64])),
            (np.array([60, 67, 64]), np.array([60, 55, 64])),
            (np.array([60, 62, 64]), np.array([60, 62, 64, 65])),
            (np.array([60, 64, 62]), np.array([70, 82, 80])),
        ),
        solution=same_music,
        mistakes=(
            Mistake(
                _same_pitches, "You compare pitches: a tune a tone higher counts as another tune. Compare intervals."
            ),
            Mistake(
                _same_pitch_classes,
                "You compare intervals modulo the octave: a fifth up and a fourth down count as the same.",
            ),
            Mistake(_same_contour, "You compare directions only: every rising scale would be the same tune."),
            Mistake(
                _same_start, "You compare only the notes that both have: a tune and its own beginning are not the same."
            ),
        ),
        fact="intervals and lengths decide, the key does not.",
    ),
    Exercise(
        id="3c.3",
        title="How much of the test is known?",
        minutes=5,
        task=(
            "Write `leaked_share(train_tunes, test_tunes)`. Each argument lists the tune number of each "
            "piece. Return the "
            "share of test *pieces* whose tune occurs in training."
        ),
        hint="Go through the test pieces, not the tunes.",
        cases=lambda: (([1, 1, 2, 5], [1, 1, 1, 3]), ([1, 2, 3], [4, 5]), ([1, 2], [2, 3, 2, 1])),
        solution=leaked_share,
        mistakes=(
            Mistake(
                _leaked_kinds,
                (
                    "You count tunes: three test pieces on one known tune are three known pieces. For {input} "
                    "you give {found}."
                ),
            ),
            Mistake(
                _leaked_of_train,
                "You give the share of training pieces that occur in the test; the question is the other way round.",
            ),
            Mistake(
                _leaked_jaccard,
                "You divide the shared tunes by all tunes; divide the known test pieces by the test pieces.",
            ),
        ),
        fact="for the first example three of four test pieces are on a known tune.",
        tolerance=1e-9,
    ),
    Exercise(
        id="3c.4",
        title="How far may it move?",
        minutes=10,
        task=(
            "Write `allowed_shifts(pitch, lowest, highest)`. `pitch` is a grid with -1 for rests. Return the list of "
            "transpositions from -6 to 6 that keep every sounding cell in `lowest..highest`, both ends included."
        ),
        hint="Only two sounding cells matter.",
        cases=lambda: (
            (np.array([[72, 67], [74, -1]]), 60, 77),
            (np.array([[60, 48]]), 48, 60),
            (np.array([[65, 55], [-1, 55]]), 36, 81),
        ),
        solution=allowed_shifts,
        mistakes=(
            Mistake(
                _shifts_with_rests,
                (
                    "You take the rest, -1, for a pitch: then nothing fits. Leave rests out before you look for"
                    " the lowest."
                ),
            ),
            Mistake(
                _shifts_mean, "You ask that some cell stays in range; every cell must. For {input} you give {found}."
            ),
            Mistake(_shifts_open_end, "You shut out the highest pitch itself: both ends belong to the range."),
        ),
        fact="a grid that already fills the range may move by 0 alone.",
    ),
    Exercise(
        id="3c.5",
        title="May the kept result be used?",
        minutes=10,
        task=(
            "A cache notes three texts for each result it keeps: the file's name, a hash of its content, "
            "and the version of "
            "the program that read it. Write `may_reuse(kept, now)`: each argument is such a triple; return"
            " whether the kept "
            "result is right for the file as it is now."
        ),
        hint="Which of the three can change while the result stays right?",
        cases=lambda: (
            (("a.mid", "f00d", "1"), ("a.mid", "f00d", "1")),
            (("a.mid", "f00d", "1"), ("copy of a.mid", "f00d", "1")),
            (("a.mid", "f00d", "1"), ("a.mid", "beef", "1")),
            (("a.mid", "f00d", "1"), ("a.mid", "f00d", "2")),
            (("a.mid", "f00d", "1"), ("b.mid", "beef", "2")),
        ),
        solution=may_reuse,
        mistakes=(
            Mistake(_reuse_by_name, "You go by the name: an edited file answers with its past."),
            Mistake(_reuse_old_reader, "You go by the content alone: when the reader is mended, the old results stay."),
            Mistake(
                _reuse_never_renamed, "A renamed copy is read again: that is safe, and wasted. Leave the name out."
            ),
            Mistake(_reuse_any, "Content and reader must both agree; you are content with one of them."),
        ),
        fact="content and reader version decide, the name does not.",
    ),
    Exercise(
        id="3c.6",
        title="Is the difference real?",
        minutes=15,
        task=(
            "Two models were scored on the same pieces. Write `pairwise(one, other)`: return the mean of "
            "the differences, "
            "and the standard error of that mean. *Project:* use it to say whether transposition helped in section 5, "
            "piece by piece."
        ),
        hint=(
            "Subtract first, then take the mean and the spread: a piece that is hard for both models tells "
            "nothing about their difference."
        ),
        cases=lambda: (
            ([0.5, 0.7, 0.9, 0.4], [0.4, 0.65, 0.8, 0.35]),
            ([1.0, 2.0, 4.0], [1.5, 2.0, 3.0]),
        ),
        solution=pairwise,
        mistakes=(
            Mistake(
                _pairwise_unpaired,
                (
                    "You treat the lists as independent: the hardness of the pieces swamps the difference. "
                    "Subtract piece by piece first."
                ),
            ),
            Mistake(
                _pairwise_spread,
                "You give the spread of single pieces, not of their mean: divide by the square root of their number.",
            ),
            Mistake(_pairwise_biased, "You divide the squares by n; from a sample divide by n - 1 (`ddof=1`)."),
        ),
        fact="paired differences are far less noisy than the scores themselves.",
        tolerance=1e-9,
    ),
)
