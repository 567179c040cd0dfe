"""Statistics by hand, against loops and MusPy; distances between sets against formulas, and against chance."""

import math
import warnings

import numpy as np
import pytest

from mini_musessl import voices
from mini_musessl.evaluation import statistics
from mini_musessl.voices import REST

EMPTY = voices.from_pitches(np.zeros((0, 4), int))


def random_grid(seed, n_steps=70, n_voices=4, low=50, high=70):
    """Music of held notes and rests, in bars of 4/4."""
    draws = np.random.default_rng(seed)
    pitch = draws.integers(low, high, (n_steps, n_voices))
    pitch[draws.random(pitch.shape) < 0.1] = REST
    for step in range(1, n_steps):
        pitch[step] = np.where(draws.random(n_voices) < 0.6, pitch[step - 1], pitch[step])
    return voices.from_pitches(pitch, voice_names=tuple("abcdefgh"[:n_voices]))


def melody(*pitch):
    return voices.from_pitches([[each] for each in pitch], voice_names=("melody",))


def test_one_piece_by_hand():
    grid = voices.from_pitches([[60, 48], [62, 48], [64, REST], [64, 64], [REST, REST]], voice_names=("high", "low"))
    assert statistics.pitch_class_entropy(grid) == pytest.approx(-2 * 0.4 * math.log2(0.4) - 0.2 * math.log2(0.2))
    assert statistics.polyphony(grid) == (2 + 2 + 1 + 1) / 4  # a unison is one pitch
    assert statistics.in_scale_share(grid) == 1 and statistics.in_scale_share(melody(60, 61, 62, 63)) == 0.75
    assert statistics.melodic_intervals(grid).tolist() == [2, 2]  # a rest ends a line


def test_grooves_are_compared_by_whole_bars():
    onsets = np.array([1, 0, *[1, 0, 0, 0], *[1, 0, 1, 0], *[0, 1, 1, 0], 1, 1])
    pitch, places = 60 + onsets.cumsum()[:, None], (np.arange(len(onsets)) + 2) % 4
    grid = voices.from_pitches(pitch, voice_names=("melody",), meter=(1, 4), bar_position_step=places)
    assert statistics.groove_consistency(grid) == 1 - (1 / 4 + 2 / 4) / 2
    assert math.isnan(statistics.groove_consistency(voices.cut(grid, 0, 8)))


@pytest.mark.parametrize("seed", range(5))
def test_repeats_are_the_longest_equal_passages_that_end_earlier(seed):
    pitch = np.random.default_rng(seed).integers(60, 62, (25, 2))
    grid = voices.from_pitches(pitch, voice_names=("high", "low"))

    def longest(step):
        runs = (
            next((n for n in range(end + 1) if (pitch[end - n] != pitch[step - n]).any()), end + 1)
            for end in range(step)
        )
        return max(runs, default=0)

    wanted = [longest(step) for step in range(25)]
    assert statistics.repeat_lengths(grid).tolist() == wanted
    assert statistics.repeat_share(grid, 2) == np.mean(np.array(wanted) >= 2)


def test_blocks_are_as_alike_as_their_pitch_classes():
    alike = statistics.self_similarity(melody(60, 60, 72, 48, 62, 62, REST, REST, 60, 62), 2)
    half = math.sqrt(0.5)
    wanted = [[1, 1, 0, 0, half], [1, 1, 0, 0, half], [0, 0, 1, 0, half], [0, 0, 0, 0, 0], [half, half, half, 0, 1]]
    assert np.allclose(alike, wanted)


def test_a_piece_is_described_by_all_statistics():
    piece = voices.from_pitches([[67, 60, 52, 48], [69, 62, 53, 50], [69, 62, 53, 50], [81, 62, 53, 36]])
    found = statistics.describe(piece)
    assert list(found) == list(statistics.STATISTICS)
    assert found["parallels in 100 quarters"] == 300  # three pairs of voices, within one quarter
    assert found["notes per quarter"] == 10 and found["pitch range (semitones)"] == 45
    assert found["leaps beyond a fifth"] == 2 / 6 and found["moves by a second"] == 4 / 6


@pytest.mark.parametrize("seed", range(3))
def test_statistics_are_muspys_where_both_mean_the_same(seed):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        muspy = pytest.importorskip("muspy")
    grid = random_grid(seed, n_steps=64)
    tracks = [
        muspy.Track(notes=[muspy.Note(start, pitch, stop - start) for start, stop, pitch in notes])
        for notes in (_notes(grid, voice) for voice in range(grid.n_voices))
    ]
    theirs = muspy.Music(resolution=4, tracks=tracks)
    assert statistics.pitch_class_entropy(grid) == pytest.approx(muspy.pitch_class_entropy(theirs))
    assert statistics.in_scale_share(grid) == pytest.approx(muspy.scale_consistency(theirs))
    assert statistics.polyphony(grid) == pytest.approx(muspy.polyphony(theirs))
    # MusPy takes the end of the last note into a bar of its own, which is empty.
    onsets = grid.is_onset[-16:].any(axis=1).sum()
    ours = statistics.groove_consistency(grid)
    assert muspy.groove_consistency(theirs, 16) == pytest.approx((3 * ours + 1 - onsets / 16) / 4)


def _notes(grid, voice):
    """Return (start, stop, pitch) of the notes of a voice."""
    column, starts = grid.pitch[:, voice], np.flatnonzero(grid.is_onset[:, voice])
    ends = [next((t for t in range(s + 1, grid.n_steps) if column[t] != column[s]), grid.n_steps) for s in starts]
    return [(int(s), int(e), int(column[s])) for s, e in zip(starts, ends, strict=True)]


def cloud(seed, n=200, shift=0.0, d=3):
    return np.random.default_rng(seed).normal(size=(n, d)) * np.arange(1, d + 1) + shift


def test_the_frechet_distance_is_that_of_gaussians():
    first, second = cloud(1), 2 * cloud(1) + np.array([3.0, 0, -1])
    # Covariances that are multiples of each other: the standard deviations differ by the factor.
    move = first.mean(axis=0) - second.mean(axis=0)
    assert statistics.frechet_distance(first, second) == pytest.approx(move @ move + np.trace(np.cov(first.T)))
    assert statistics.frechet_distance(first, second) == pytest.approx(statistics.frechet_distance(second, first))
    turned = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    far = statistics.frechet_distance(first, cloud(2))
    assert statistics.frechet_distance(first @ turned, cloud(2) @ turned) == pytest.approx(far)


def test_small_sets_of_one_kind_are_far_apart_and_the_line_to_infinity_is_not():
    near, line = [], []
    for seed in range(20):
        sets = cloud(seed, n=40, d=8), cloud(100 + seed, n=40, d=8)
        near.append(statistics.frechet_distance(*sets))
        line.append(statistics.frechet_distance_at_infinity(*sets, np.random.default_rng(seed)))
    assert min(near) > 5
    assert abs(np.mean(line)) < np.mean(near) / 3


def test_overlap_is_high_inside_one_kind_and_falls_with_distance():
    same, near, far = (statistics.overlap(cloud(0), cloud(1, shift=shift)) for shift in (0, 2, 20))
    assert same.area > 0.95 > near.area > far.area
    assert same.kl_nats < 0.02 < near.kl_nats < far.kl_nats
    assert far.area < 0.01


def test_densities_are_scipys_with_scotts_rule():
    values, at = np.array([0.0, 1.0, 4.0, 4.5]), np.linspace(-3, 8, 7)
    width = values.std(ddof=1) * 4**-0.2  # the factor of scipy.stats.gaussian_kde for one dimension
    wanted = [
        np.mean([math.exp(-(((x - v) / width) ** 2) / 2) / width / math.sqrt(2 * math.pi) for v in values]) for x in at
    ]
    assert np.allclose(statistics._density(values, at), wanted)


def test_two_samples_of_one_kind_are_told_apart_as_by_a_coin_and_others_are_found():
    p_values = [
        statistics.two_sample_test(cloud(seed, 40), cloud(50 + seed, 40), np.random.default_rng(seed)).p_value
        for seed in range(20)
    ]
    assert sum(p < 0.05 for p in p_values) <= 4 and sum(p < 0.5 for p in p_values) >= 4
    found = statistics.two_sample_test(cloud(0, 40), cloud(1, 60, shift=3), np.random.default_rng(0))
    assert found.n == 80 and found.accuracy > 0.8 and found.p_value < 1e-6
    n_right = round(found.accuracy * 80)
    assert found.p_value == pytest.approx(sum(math.comb(80, k) for k in range(n_right, 81)) / 2**80)


def test_the_same_seed_tells_the_same():
    results = [
        (
            statistics.two_sample_test(cloud(0), cloud(1), np.random.default_rng(3)),
            statistics.frechet_distance_at_infinity(cloud(0), cloud(1), np.random.default_rng(3)),
        )
        for _ in range(2)
    ]
    assert results[0] == results[1]


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda: statistics.describe(voices.from_pitches([[67, 60, 52, 48]] * 9)), ValueError, "9 steps in which none"),
        (lambda: statistics.describe(voices.from_pitches([[60, REST, REST, REST]] * 2)), ValueError, "one held chord"),
        (lambda: statistics.describe(voices.from_pitches([[REST] * 4] * 2)), ValueError, "none in 2 steps"),
        (lambda: statistics.describe(EMPTY), ValueError, "none in 0 steps"),
        (lambda: statistics.pitch_class_entropy(EMPTY), ValueError, "at least one note"),
        (lambda: statistics.in_scale_share(EMPTY), ValueError, "at least one note"),
        (lambda: statistics.polyphony(EMPTY), ValueError, "Is the piece empty"),
        (lambda: statistics.repeat_share(EMPTY, 4), ValueError, "at least one note"),
        (lambda: statistics.describe([[60]]), TypeError, "VoiceGrid; found list"),
        (lambda: statistics.repeat_share(melody(60), 0), ValueError, "n_steps must be at least 1; found 0"),
        (lambda: statistics.frechet_distance(cloud(0, 1), cloud(1)), ValueError, "at least 2 pieces .* found 1"),
        (lambda: statistics.frechet_distance(cloud(0), cloud(1, d=2)), ValueError, r"\(200, 3\) and \(200, 2\)"),
        (lambda: statistics.frechet_distance(cloud(0), cloud(0) * np.nan), ValueError, "must be finite numbers"),
        (lambda: statistics.frechet_distance(cloud(0), cloud(0)), ValueError, "Two sets must differ"),
        (lambda: statistics.overlap(np.ones((5, 2)), np.zeros((5, 2))), ValueError, "Are the pieces the same"),
        (
            lambda: statistics.two_sample_test(cloud(0, 9), cloud(1), np.random.default_rng(0)),
            ValueError,
            "at least 10 pieces for this comparison; found 9",
        ),
        (lambda: statistics.two_sample_test(cloud(0), cloud(1), 0), TypeError, "Generator; found int"),
        (
            lambda: statistics.two_sample_test(cloud(0), cloud(0), np.random.default_rng(0)),
            ValueError,
            "Halve one set",
        ),
        (lambda: statistics.frechet_distance_at_infinity(cloud(0, 19), cloud(1), None), ValueError, "at least 20"),
    ],
)
def test_what_has_no_statistics_is_refused(call, error, sentence):
    with pytest.raises(error, match=sentence):
        call()
