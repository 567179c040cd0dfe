"""What pieces share, against loops over every window; membership and exposure, against their definitions."""

import numpy as np
import pytest

from mini_musessl import voices
from mini_musessl.evaluation import copying
from mini_musessl.voices import REST


def duet(pitch):
    return voices.from_pitches(pitch, voice_names=("high", "low"))


def random_duets(seed, n_pieces=3):
    """Short music of few pitches and some rests, so that much is shared."""
    draws = np.random.default_rng(seed)
    return [
        duet(draws.choice([REST, 60, 61, 64], (draws.integers(1, 14), 2), p=[0.1, 0.4, 0.4, 0.1]))
        for _ in range(n_pieces)
    ]


def is_transposed(first, second):
    """Whether some interval turns one window into the other, rests kept."""
    return any((np.where(first == REST, REST, first + k) == second).all() for k in range(-12, 13))


def naive_windows(grid, length):
    windows = {step: grid.pitch[step : step + length] for step in range(grid.n_steps - length + 1)}
    return {step: window for step, window in windows.items() if (window != window[0]).any()}


def shared_windows(piece, corpus, length):
    """Return by its first step, for each window that moves, whether some interval turns one of the corpus into it."""
    known = [window for each in corpus for window in naive_windows(each, length).values()]
    return {step: any(is_transposed(w, k) for k in known) for step, w in naive_windows(piece, length).items()}


@pytest.mark.parametrize("length", [2, 3, 5])
@pytest.mark.parametrize("seed", range(8))
def test_shared_windows_are_those_that_some_interval_makes_equal(seed, length):
    piece, *corpus = random_duets(seed)
    wanted = shared_windows(piece, corpus, length)
    known = {key for each in corpus for key in copying.moving_windows(each, length).values()}
    assert {step: key in known for step, key in copying.moving_windows(piece, length).items()} == wanted
    if wanted:
        assert copying.shared_share([piece], corpus, length) == np.mean(list(wanted.values()))


@pytest.mark.parametrize("seed", range(20))
def test_the_longest_passage_is_the_longest_of_all_pairs_of_windows(seed):
    piece, *corpus = random_duets(seed)
    found = copying.longest_shared(piece, corpus)
    is_shared = [shared_windows(piece, corpus, length) for length in range(2, piece.n_steps + 1)]
    lengths = [length for length, windows in enumerate(is_shared, 2) if any(windows.values())]
    assert (found.n_steps if found else None) == max(lengths, default=None)
    if found:
        here = piece.pitch[found.step : found.step + found.n_steps]
        there = corpus[found.piece].pitch[found.piece_step : found.piece_step + found.n_steps]
        assert (here == np.where(there == REST, REST, there + found.semitones)).all()
        windows = is_shared[found.n_steps - 2]
        assert found.step == min(step for step, is_found in windows.items() if is_found)


def test_a_transposed_copy_is_found_and_a_piece_is_its_own():
    piece = random_duets(1)[0]
    moved = voices.transpose(piece, 5)
    assert copying.shared_share([moved], [piece], 4) == 1
    assert copying.longest_shared(moved, [duet([[60, 60]]), piece]) == (piece.n_steps, 0, 1, 0, 5)


def test_held_chords_are_no_copies():
    held, moving = duet([[67, 60]] * 9), duet([[67, 60]] * 8 + [[69, 62]])
    assert copying.moving_windows(held, 4) == {}
    assert copying.longest_shared(held, [held]) is None
    assert list(copying.moving_windows(moving, 4)) == [5]


@pytest.mark.parametrize(
    ("written", "start", "n_steps"),
    [
        ([[60, 55], [62, 55], [64, 55]], 0, 3),
        ([[60, 55], [62, 55], [64, 54]], 0, 2),
        ([[60, 55], [62, 54], [64, 55]], 0, 1),
        ([[61, 55], [62, 55], [64, 55]], 0, 0),
        ([[61, 55], [62, 55], [64, 55]], 1, 2),
        ([[60, 55], [62, 55]], 0, 2),
        ([[60, 55], [62, 55]], 2, 0),
    ],
)
def test_a_continuation_is_followed_until_it_departs(written, start, n_steps):
    original = duet([[60, 55], [62, 55], [64, 55]])
    assert copying.steps_until_departure(duet(written), original, start) == n_steps


def test_membership_counts_pairs():
    draws = np.random.default_rng(0)
    trained, held_out = draws.integers(0, 6, 9), draws.integers(2, 8, 7)
    pairs = [1.0 if t < h else 0.5 if t == h else 0.0 for t in trained for h in held_out]
    assert copying.membership_auc(trained, held_out) == np.mean(pairs)
    assert copying.membership_auc(held_out, trained) == pytest.approx(1 - np.mean(pairs))
    assert copying.membership_auc([1, 2], [1, 2]) == 0.5


def test_exposure_is_log_of_candidates_less_log_of_rank():
    others = np.arange(1, 64)
    assert copying.exposure(0, others) == 6  # the first of 64
    assert copying.exposure(64, others) == 0  # the last
    assert copying.exposure(1.5, others) == 5  # the second


melody = voices.from_pitches([[60], [62]], voice_names=("melody",))


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda: copying.shared_share([], [melody], 2), ValueError, "needed, at least one; found none"),
        (lambda: copying.shared_share(melody, [melody], 2), TypeError, "come in a list; found one VoiceGrid"),
        (lambda: copying.shared_share([melody], [melody], 3), ValueError, "must move and have 3 steps; found none"),
        (lambda: copying.shared_share([melody], [duet([[60, 55]])], 2), ValueError, r"\[\(1, 4\), \(2, 4\)\]"),
        (lambda: copying.shared_share([[[60]]], [melody], 2), TypeError, "VoiceGrid; found list"),
        (lambda: copying.shared_share([melody], [melody], 0), ValueError, "n_steps must be at least 1; found 0"),
        (lambda: copying.longest_shared(melody, [melody], 1), ValueError, "shortest must be at least 2; found 1"),
        (lambda: copying.steps_until_departure(melody, melody, 3), ValueError, r"must lie in 0\.\.2; found 3"),
        (lambda: copying.membership_auc([], [1.0]), ValueError, "trained_nats must be finite losses"),
        (lambda: copying.membership_auc([1.0], [np.nan]), ValueError, "held_out_nats must be finite losses"),
        (lambda: copying.exposure(1.0, [[1.0]]), ValueError, "other_nats must be finite losses"),
    ],
)
def test_what_cannot_be_compared_is_refused(call, error, sentence):
    with pytest.raises(error, match=sentence):
        call()
