"""Counting models: by hand, against slow versions, the same in every key, and honest."""

import os
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini_musessl import corpora
from mini_musessl.evaluation import counting, likelihood
from mini_musessl.evaluation.causality import check_causality
from mini_musessl.evaluation.counting import (
    N_VALUES,
    NOTHING,
    REST,
    WIDEST,
    BackoffCounts,
    MusicalCounts,
    NeighbourCounts,
    NGram,
    SameAgain,
    Uniform,
    Unigram,
    musical_viewpoints,
    neighbour_viewpoints,
)
from mini_musessl.evaluation.infilling import KINDS, draw_hidden
from mini_musessl.tokenizers.voice_grid import encode_chorales

MODELS = {
    "uniform": lambda chorales: Uniform(),
    "unigram": Unigram,
    "same again": SameAgain,
    "n-gram": lambda chorales: NGram(chorales, order=4, semitones=range(-1, 2)),
    "musical": MusicalCounts,
}


def rng(seed=0):
    return np.random.default_rng(seed)


def random_ids(n_steps, seed, lowest=0, highest=46):
    chance = rng(seed)
    ids = chance.integers(lowest, highest + 1, size=(n_steps, 4))
    for step in range(1, n_steps):
        ids[step] = np.where(chance.random(4) < 0.5, ids[step - 1], ids[step])
    ids[chance.random(ids.shape) < 0.05] = 0
    return ids


def pitches(ids):
    return np.where(ids == 0, -1, ids + 35)


@pytest.fixture(scope="module")
def chorales():
    return [pitches(random_ids(n, seed=n)) for n in (30, 21, 44)]


def says(model, ids):
    return likelihood.token_log_probs(model, pitches(ids))


def test_unigrams_of_two_voices_by_hand():
    # Voice 0 sings 0, 0, 1; voice 1 sings 2, 2, 2. One is added to each of 3 counts.
    probabilities = counting.unigram_probabilities([[0, 2, 0, 2, 1, 2]], vocabulary_size=3, n_voices=2)
    np.testing.assert_allclose(probabilities, [[3 / 6, 2 / 6, 1 / 6], [1 / 6, 1 / 6, 4 / 6]])
    nats = counting.unigram_nats([[0, 2, 0, 2, 1, 2]], [[0, 2], [2, 1]], vocabulary_size=3, n_voices=2)
    assert nats == pytest.approx(-np.log([3 / 6, 4 / 6, 1 / 6, 1 / 6]).mean())


def test_same_again_by_hand():
    # One voice of four moves at the second step: a quarter of the cells do not repeat.
    train = [np.array([[72, 67, 64, 48], [74, 67, 64, 48]])]
    model, ids = SameAgain(train), encode_chorales(train)[0]
    table = Unigram(train).table
    assert model.repeat_share == 0.75
    expected = np.log(table[np.arange(4), ids])
    expected[1] = np.log(0.25 * table[np.arange(4), ids[1]] + 0.75 * np.array([0, 1, 1, 1]))
    np.testing.assert_allclose(says(model, ids), expected)


def backoff_slowly(contexts, symbols, query, prior, strength):
    answer = np.array(prior, float)
    for level, asked in enumerate(query):
        seen = Counter(s for c, s in zip(contexts[level], symbols, strict=True) if c == asked)
        weight = len(seen) if strength is None else strength
        if seen:
            counts = np.array([seen[s] for s in range(len(prior))])
            answer = (counts + weight * answer) / (counts.sum() + weight)
    return answer


@pytest.mark.parametrize("strength", [None, 2.5])
def test_backing_off_is_the_slow_version(strength):
    chance = rng(3)
    symbols = chance.integers(5, size=60)
    contexts = [np.zeros(60, int), chance.integers(4, size=60), chance.integers(30, size=60)]
    queries = [np.zeros(25, int), chance.integers(6, size=25), chance.integers(40, size=25)]
    prior = chance.dirichlet(np.ones(5), size=25)
    found = BackoffCounts(contexts, symbols, 5, strength).probabilities(queries, prior)
    for row in range(25):
        slow = backoff_slowly(contexts, symbols, [level[row] for level in queries], prior[row], strength)
        np.testing.assert_allclose(found[row], slow)


def test_an_n_gram_is_the_slow_version():
    train, music = [random_ids(12, 1), random_ids(9, 2)], random_ids(7, 3)
    after = defaultdict(Counter)
    for ids in train:
        row = [47] * 2 + ids.reshape(-1).tolist()
        for i in range(2, len(row)):
            for n_back in range(3):
                after[tuple(row[i - n_back : i])][row[i]] += 1
    row, expected = [47] * 2 + music.reshape(-1).tolist(), []
    for i in range(2, len(row)):
        p = 1 / 47
        for n_back in range(3):
            seen = after[tuple(row[i - n_back : i])]
            p = (seen[row[i]] + len(seen) * p) / (seen.total() + len(seen)) if seen else p
        expected.append(np.log(p))
    found = says(NGram([pitches(ids) for ids in train], order=3, semitones=range(1)), music)
    np.testing.assert_allclose(found.ravel(), expected)


def test_a_shortened_n_gram_is_the_shorter_one(chorales):
    ids = random_ids(9, 4)
    short, long = (NGram(chorales, order=order, semitones=range(1)) for order in (2, 5))
    np.testing.assert_array_equal(says(long.shorten(2), ids), says(short, ids))


def test_twelve_keys_are_the_same_music_moved():
    train = [random_ids(9, 5).clip(min=20, max=27)]
    moved = [pitches(ids + interval) for ids in train for interval in range(-5, 7)]
    one = NGram([pitches(ids) for ids in train], order=3)
    other = NGram(moved, order=3, semitones=range(1))
    music = random_ids(6, 6)
    np.testing.assert_allclose(says(one, music), says(other, music))


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS.keys())
def test_no_counting_model_sees_the_future(make, chorales):
    check_causality(make(chorales), rng(1))


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS.keys())
def test_all_symbols_are_possible_and_sum_to_one(make, chorales):
    log_probs = make(chorales).symbol_log_probs(random_ids(50, 8))
    assert np.isfinite(log_probs).all()
    np.testing.assert_allclose(np.exp(log_probs).sum(axis=-1), 1)


def test_musical_viewpoints_by_hand():
    # The alto steps from G to F and back while the others hold a chord of C, the bass an octave and a half below.
    ids = encode_chorales([[[72, 67, 64, 48], [72, 65, 64, 48], [72, 67, 64, 48]]])[0]
    found = musical_viewpoints(ids)
    assert found["moves_above"].tolist() == [[0, 1, 3, 7], [0, 0, 1, 2], [0, 0, 1, 2]]
    assert found["hold"][:, 0].tolist() == [0, 1, 2]
    assert found["hold"][:, 1].tolist() == [0, 1, 1]
    assert found["all_hold"][:, 3].tolist() == [0, 1, 1]
    assert found["last_leap"][:, 1].tolist() == [NOTHING, NOTHING, WIDEST + 2]  # from F, the note before is 2 up
    # The alto: from F up to C.
    assert found["distance_above_1"][2].tolist() == [NOTHING, WIDEST + 7, WIDEST + 3, WIDEST + 16]
    assert found["above_1"][2].tolist() == [13, 7, 3, 4]
    assert found["distance_below_1"][2].tolist() == [WIDEST - 7, WIDEST - 1, WIDEST - 16, NOTHING]


def test_the_scale_remembers_the_neighbours_heard_last():
    # The soprano holds C. The alto sings D flat, then D, then B flat, then B, then E flat, A flat, F sharp.
    alto = [61, 62, 58, 59, 63, 68, 66, 66]
    ids = encode_chorales([[[72, pitch, -1, -1] for pitch in alto]])[0]
    # The first step has no note before it. Then bit by bit: semitone above, below, thirds above, below, tritone.
    assert musical_viewpoints(ids)["scale"][:, 0].tolist() == [0, 1, 0, 0, 2, 6, 14, 30]


@given(st.integers(0, 10**6), st.integers(-8, 8))
def test_musical_viewpoints_are_the_same_in_every_key(seed, interval):
    ids = np.where((x := random_ids(20, seed)) == 0, 0, 10 + x // 2)
    found, moved = musical_viewpoints(ids), musical_viewpoints(np.where(ids == 0, 0, ids + interval))
    assert all(np.array_equal(found[name], moved[name]) for name in found)
    assert all(values.min() >= 0 and values.max() < N_VALUES[name] for name, values in found.items())


@given(st.integers(0, 10**6), st.integers(0, 79), st.integers(0, 46))
def test_musical_viewpoints_know_the_past_alone(seed, place, symbol):
    ids = random_ids(20, seed)
    changed = ids.copy()
    changed.reshape(-1)[place] = symbol
    found, other = musical_viewpoints(ids), musical_viewpoints(changed)
    for name in found:
        before = found[name].reshape(-1)[: place + 1], other[name].reshape(-1)[: place + 1]
        np.testing.assert_array_equal(*before, err_msg=name)


CHORD = [[[60, 55, 52, 48]] * 2]


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: counting.unigram_nats([], [[1]], 2), "piece is needed; found none"),
        (lambda: counting.unigram_nats([[1]], [[2]], 2), r"piece 0 must lie in 0\.\.1; found 2"),
        (lambda: MusicalCounts(CHORD, ("hold", "last_leap") * 9), "in 64 bits; 18 viewpoints are too many"),
        (lambda: MusicalCounts(CHORD, pitch_viewpoints=("last_leap",) * 10), "in 64 bits; 10 viewpoints"),
        (lambda: MusicalCounts(CHORD, strength=0), "strength must be a finite number above 0; found 0"),
        (lambda: NGram(CHORD, order=12), r"order must lie in 1\.\.11; found 12"),
        (lambda: NGram(CHORD, order=5).shorten(6), r"order must lie in 1\.\.5; found 6"),
    ],
)
def test_what_a_model_cannot_count_by_is_refused(make, sentence):
    with pytest.raises(ValueError, match=sentence):
        make()


@pytest.mark.skipif("MUSESSL_JSB" not in os.environ, reason="MUSESSL_JSB names no file")
def test_the_rows_of_the_protocol_on_the_jsb_chorales():
    split = corpora.load_jsb()
    unigram = [likelihood.evaluate_likelihood(Unigram(split["train"]), split[part]) for part in ("valid", "test")]
    assert [found.n_tokens for found in unigram] == [73_632, 75_600]
    assert [round(found.nats_per_token, 3) for found in unigram] == [2.611, 2.639]
    musical = likelihood.evaluate_likelihood(MusicalCounts(split["train"]), split["valid"])
    assert musical.nats_per_token == pytest.approx(0.4805, abs=0.0005)  # the protocol's own count model: 0.490


@pytest.fixture(scope="module")
def neighbours(chorales):
    hidden = [draw_hidden(chorales, mask, rng(seed), 2) for seed, mask in enumerate(KINDS.values())]
    return NeighbourCounts(chorales, [np.concatenate(each) for each in zip(*hidden, strict=True)])


def use_one_chain(monkeypatch, *viewpoints, strength=20.0):
    monkeypatch.setattr(counting, "CHAINS", dict.fromkeys(counting.CHAINS, (viewpoints, strength)))


def test_the_counts_sum_to_one_and_do_not_look_at_what_is_hidden(neighbours):
    ids, other = random_ids(30, seed=1), random_ids(30, seed=2)
    is_hidden = rng().random(ids.shape) < 0.5
    answer = neighbours.cell_log_probs(ids, is_hidden)
    np.testing.assert_array_equal(answer, neighbours.cell_log_probs(np.where(is_hidden, other, ids), is_hidden))
    np.testing.assert_allclose(np.exp(answer).sum(axis=-1), 1)


def test_without_viewpoints_the_counts_know_how_often_a_voice_sings_each_symbol(chorales, monkeypatch):
    use_one_chain(monkeypatch)
    hidden = draw_hidden(chorales, KINDS["cells"], rng())
    answer = NeighbourCounts(chorales, hidden).cell_log_probs(encode_chorales(chorales)[0], hidden[0][0])
    np.testing.assert_allclose(np.exp(answer), np.tile(Unigram(chorales).table, (len(answer), 1, 1)))


def viewpoints_slowly(ids, is_hidden, step, voice):
    n_steps = len(ids)
    back = next((d for d in range(1, step + 1) if not is_hidden[step - d, voice]), 0)
    ahead = next((d for d in range(1, n_steps - step) if not is_hidden[step + d, voice]), 0)
    before = ids[step - back, voice] if back else -1
    after = ids[step + ahead, voice] if ahead else -1
    beside = {other: ids[step, other] for other in range(4) if not is_hidden[step, other]}
    candidates = [(before, 1), (after, 2), *((beside.get(other, -1), 3 + other) for other in (0, 3, 1, 2))]
    anchor, kind = next(((pitch, kind) for pitch, kind in candidates if pitch > 0), (-1, 0))

    def relation(symbol):
        return symbol - anchor + WIDEST if anchor > 0 and symbol > 0 else REST if symbol == 0 else NOTHING

    def distance(gap):
        return 0 if gap == 0 else 1 + sum(gap > limit for limit in (1, 2, 4, 8, 16))

    found = {
        "voice": voice,
        "anchor": kind,
        "after": relation(after),
        "gap_before": distance(back),
        "gap_after": distance(ahead),
        "beat": step % 4,
        "height": max(anchor, 0) // 4,
    }
    for other, name in enumerate(("soprano", "alto", "tenor", "bass")):
        number = relation(beside.get(other, -1))
        found[name] = number - REST + 12 if number >= REST else (number - WIDEST) % 12
    return anchor, found


@pytest.mark.parametrize("kind", [*KINDS, "all"])
def test_neighbour_viewpoints_are_what_a_look_around_finds(kind):
    ids = random_ids(24, seed=3)
    is_hidden = np.ones(ids.shape, bool) if kind == "all" else draw_hidden([pitches(ids)], KINDS[kind], rng(4))[0][0]
    found, anchor = neighbour_viewpoints(ids, is_hidden)
    for step, voice in np.argwhere(is_hidden):
        slow_anchor, slow = viewpoints_slowly(ids, is_hidden, step, voice)
        assert anchor[step, voice] == slow_anchor
        assert {name: int(found[name][step, voice]) for name in slow} == slow
    for name, values in found.items():
        assert ((values >= 0) & (values < N_VALUES[name])).all(), name


def test_the_scale_around_a_hidden_cell_by_hand():
    # C major around a hidden C.
    ids = np.array([[25 + interval, 0, 0, 0] for interval in (0, 2, 4, 5, 7, 9, 11, 0)])
    is_hidden = np.zeros(ids.shape, bool)
    is_hidden[7, 0] = True
    ids[6, 0] = 25  # so that the anchor is a C
    ids[0, 0] = 24  # and its leading tone is heard
    found, anchor = neighbour_viewpoints(ids, is_hidden)
    assert anchor[7, 0] == 25
    # Semitone above more often than tone: no. Semitone below more than tone below: yes. Minor third more than major:
    # no. Major third below more than minor: no (A is heard). Tritone: no.
    assert found["scale"][7, 0] == 0b00010


def test_neighbour_viewpoints_but_height_are_the_same_in_every_key():
    ids = random_ids(40, seed=5, lowest=10, highest=35)
    is_hidden = rng().random(ids.shape) < 0.4
    here, _ = neighbour_viewpoints(ids, is_hidden)
    there, _ = neighbour_viewpoints(np.where(ids == 0, 0, ids + 7), is_hidden)
    for name in here:
        if name != "height":
            assert (here[name] == there[name])[is_hidden].all(), name


def situation(viewpoints, cell):
    gaps = [int(viewpoints[name][cell]) for name in ("gap_before", "gap_after") if viewpoints[name][cell]]
    return "alone" if not gaps else "near" if min(gaps) <= 2 else "far"


def test_neighbour_counts_are_the_slow_version(monkeypatch):
    viewpoints, strength = ("anchor", "gap_before", "after"), 3.0
    chorales = [pitches(random_ids(n, seed=n, lowest=20, highest=24)) for n in (30, 20)]
    hidden = draw_hidden(chorales, KINDS["spans"], rng(), 2)
    use_one_chain(monkeypatch, *viewpoints, strength=strength)
    model = NeighbourCounts(chorales, hidden)
    seen = []
    for ids, draws in zip(encode_chorales(chorales), hidden, strict=True):
        for is_hidden in draws:
            known, anchor = neighbour_viewpoints(ids, is_hidden)
            for cell in map(tuple, np.argwhere(is_hidden)):
                move = ids[cell] - anchor[cell] if ids[cell] and anchor[cell] > 0 else ("rest or alone", ids[cell])
                seen.append((situation(known, cell), tuple(int(known[name][cell]) for name in viewpoints), move))
    ids = random_ids(12, seed=9, lowest=18, highest=26)
    is_hidden = rng(1).random(ids.shape) < 0.5
    known, anchor = neighbour_viewpoints(ids, is_hidden)
    answer = model.cell_log_probs(ids, is_hidden)
    for cell in map(tuple, np.argwhere(is_hidden)):
        symbols = [s - anchor[cell] if s and anchor[cell] > 0 else ("rest or alone", s) for s in range(47)]
        share = model.table[cell[1]].copy()
        for level in range(1, 4):
            asked = tuple(int(known[name][cell]) for name in viewpoints[:level])
            where = situation(known, cell)
            counts = Counter(move for place, context, move in seen if (place, context[:level]) == (where, asked))
            n_seen = sum(counts.values())
            if n_seen:
                # Rests are one answer, whether there is an anchor or not.
                found = np.array([counts[symbol] for symbol in symbols], float)
                share = (found + strength * share) / (n_seen + strength)
        np.testing.assert_allclose(np.exp(answer[cell]), share / share.sum(), rtol=1e-9)
