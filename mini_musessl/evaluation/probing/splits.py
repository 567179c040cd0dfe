"""Which pieces may be labelled and which are tested; how few of them are labelled.

A budget counts pieces, not beats: somebody labels a chorale, and all its beats come with it.

Chapter: 1a.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from mini_musessl import corpora, voices
from mini_musessl.music import whole_number
from mini_musessl.windows.token_windows import check_generator

#: How many labelled pieces; None is all.
BUDGETS: tuple[int | None, ...] = (1, 5, 10, 50, None)


@dataclass(frozen=True)
class PieceSplit:
    """Pieces by what a probe may do with them.

    Attributes:
        labelled: indices of the pieces from which labelled ones are drawn, for fitting and for every choice.
        test: indices of the pieces that are looked at once, at the end.

    Raises:
        ValueError: one of the two is empty, a piece stands twice, an index is below 0, or they share pieces.
        TypeError: an index is not a whole number.

    Chapter: 1a.
    """

    labelled: tuple[int, ...]
    test: tuple[int, ...]

    def __post_init__(self) -> None:
        for name in ("labelled", "test"):
            object.__setattr__(self, name, _piece_indices(name, getattr(self, name)))
        if not self.labelled or not self.test:
            raise ValueError(
                "A split for probing needs pieces to label and pieces to test; found "
                f"{len(self.labelled)} and {len(self.test)}."
            )
        shared = sorted(set(self.labelled) & set(self.test))
        if shared:
            raise ValueError(
                f"The pieces of a split must be labelled or tested, not both; {len(shared)} are on both sides, the "
                f"first is piece {shared[0]}. A probe that has seen a test piece proves nothing."
            )


def check_grids(grids: Sequence[voices.VoiceGrid]) -> None:
    """Refuse what is not a list of chorales.

    Args:
        grids: what the caller gave.

    Raises:
        ValueError: there are none.
        TypeError: a single grid, or something that is none.

    Chapter: 1a.
    """
    if isinstance(grids, voices.VoiceGrid):
        raise TypeError("Chorales come in a list; found one VoiceGrid. Put it into a list.")
    strangers = [each for each in grids if not isinstance(each, voices.VoiceGrid)]
    if strangers:
        raise TypeError(
            "A probe needs a list of VoiceGrids, which carry their labels; found one with a "
            f"{type(strangers[0]).__name__} in it. Load chorales with corpora.load_chorales, put parts of a split "
            "together with probing.join_parts, or make grids with voices.from_pitches."
        )
    if not len(grids):
        raise ValueError(
            "A probe needs at least one chorale; found none. Is a part of the split empty? Load some with "
            "corpora.load_chorales."
        )


def check_pieces_exist(pieces: Iterable[int], n_pieces: int) -> None:
    """Refuse to ask for a piece that is not there.

    Args:
        pieces: indices.
        n_pieces: how many pieces there are.

    Raises:
        ValueError: an index is too large, or below 0.

    Chapter: 1a.
    """
    missing = [int(piece) for piece in pieces if not 0 <= piece < n_pieces]
    if missing:
        raise ValueError(
            f"Every piece that is asked for must be one of the {n_pieces} given, 0 to {n_pieces - 1}; found piece "
            f"{missing[0]}. Give the very list of grids that the split was made for."
        )


def join_parts(
    parts: Mapping[str, Sequence[voices.VoiceGrid]],
    labelled: str = "train",
    test: str = "test",
    keeps_melodies_apart: bool = False,
) -> tuple[list[voices.VoiceGrid], PieceSplit]:
    """Put two parts of a split into one list, and say which is which.

    Args:
        parts: grids by part, such as ``corpora.rebuilt_split()`` or ``corpora.melody_disjoint_split()``.
        labelled: the part from which pieces are labelled.
        test: the part that is tested.
        keeps_melodies_apart: whether to refuse a split with the same hymn on both sides.

    Returns:
        The grids, the labelled ones first, and their split.

    Raises:
        ValueError: a part is missing or empty, both are the same, a piece is in both, or, if asked, a melody is.

    Chapter: 1a.
    """
    missing = [name for name in (labelled, test) if name not in parts]
    if missing:
        raise ValueError(f"The split has no part {missing[0]!r}; it has {', '.join(map(str, parts)) or 'none'}.")
    grids = [*parts[labelled], *parts[test]]
    n_labelled = 0 if labelled == test else len(parts[labelled])
    split = PieceSplit(tuple(range(len(parts[labelled]))), tuple(range(n_labelled, n_labelled + len(parts[test]))))
    check_pieces_apart(grids, split)
    if keeps_melodies_apart:
        check_melodies_apart(grids, split)
    return grids, split


def split_pieces(
    grids: Sequence[voices.VoiceGrid], n_test: int, generator: np.random.Generator, by_melody: bool = False
) -> PieceSplit:
    """Draw pieces to test.

    Args:
        grids: all pieces.
        n_test: how many pieces to test; by melody at least so many.
        generator: source of chance.
        by_melody: whether all settings of a hymn stay on one side.

    Returns:
        The split; the other pieces may be labelled.

    Raises:
        ValueError: there are no pieces, or none are left to label.
        TypeError: the generator is not a numpy.random.Generator, or the pieces are no list of grids.

    Chapter: 1a.
    """
    check_generator(generator, "split_pieces")
    whole_number("n_test", n_test, lowest=1)
    check_grids(grids)
    group = corpora.melody_groups(grids) if by_melody else np.arange(len(grids))
    is_test = np.zeros(len(grids), bool)
    for number in generator.permutation(group.max() + 1):
        if is_test.sum() >= n_test:
            break
        is_test |= group == number
    return PieceSplit(tuple(np.flatnonzero(~is_test)), tuple(np.flatnonzero(is_test)))


def check_pieces_apart(grids: Sequence[voices.VoiceGrid], split: PieceSplit) -> None:
    """Refuse a split in which the very same notes stand on both sides.

    Args:
        grids: all pieces.
        split: which are labelled and which tested.

    Raises:
        ValueError: a test piece is also a labelled one, or a piece is not there.

    Chapter: 1a.
    """
    check_pieces_exist((*split.labelled, *split.test), len(grids))
    known = {grids[index].pitch.tobytes(): index for index in split.labelled}
    for index in split.test:
        if grids[index].pitch.tobytes() in known:
            raise ValueError(
                f"No test piece may be a labelled piece too; {grids[index].name or f'piece {index}'} is. Was one part "
                "cut from the other?"
            )


def check_melodies_apart(grids: Sequence[voices.VoiceGrid], split: PieceSplit) -> None:
    """Refuse a split with the same hymn on both sides.

    Args:
        grids: all pieces.
        split: which are labelled and which tested.

    Raises:
        ValueError: a melody of the test pieces is sung in a labelled piece, or a piece is not there.

    Chapter: 1a.
    """
    check_pieces_exist((*split.labelled, *split.test), len(grids))
    group = corpora.melody_groups(grids)
    shared = np.isin(group[list(split.test)], group[list(split.labelled)])
    if shared.any():
        first = grids[split.test[int(shared.argmax())]]
        raise ValueError(
            f"Melodies must stay on one side of this split; {shared.sum()} of {len(shared)} test pieces share theirs "
            f"with a labelled piece, the first is {first.name or 'without a name'}. Use corpora.melody_disjoint_split."
        )


def draw_labelled(
    split: PieceSplit, has_labels: Int[np.ndarray, " n"], budget: int | None, generator: np.random.Generator
) -> list[int]:
    """Draw which pieces are labelled.

    All pieces are put into one drawn order, and the first of them that have labels are taken: generators in the same
    state give nested draws for all budgets, and the same draws for every encoder.

    Args:
        split: which pieces may be labelled.
        has_labels: indices of the pieces with labels for the task.
        budget: how many; None for all.
        generator: source of chance.

    Returns:
        Indices of pieces, in the order drawn.

    Raises:
        ValueError: there are fewer pieces with labels than the budget, or none.
        TypeError: the generator is not a numpy.random.Generator, or the budget is not a whole number.

    Chapter: 1a.
    """
    check_generator(generator, "probe")
    order = np.array(split.labelled)[generator.permutation(len(split.labelled))]
    order = order[np.isin(order, has_labels)]
    if budget is None:
        if not len(order):
            raise ValueError(
                f"A probe needs labelled pieces with labels for the task; none of the {len(split.labelled)} of the "
                "split has any. Take more pieces, or another task."
            )
        return order.tolist()
    whole_number("budget", budget, lowest=1)
    if budget > len(order):
        raise ValueError(
            f"A budget of {budget} labelled pieces needs as many with labels for the task; the split has {len(order)}. "
            "Ask for fewer, or for all with budget=None."
        )
    return order[:budget].tolist()


def _piece_indices(side: str, pieces: Sequence[int]) -> tuple[int, ...]:
    """Return the pieces of one side of a split, or refuse what does not name each of them once."""
    indices = tuple(whole_number(f"A piece of {side}", piece, lowest=0) for piece in pieces)
    repeated = [piece for piece, n_times in Counter(indices).items() if n_times > 1]
    if repeated:
        raise ValueError(
            f"Each piece of a split must stand once in {side}; found piece {repeated[0]} more than once. In a "
            "budget it would count twice; np.unique leaves it once."
        )
    return indices
