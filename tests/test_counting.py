"""Counting models: by hand, against a slow version, deaf to the key, and honest."""

from __future__ import annotations

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
    N_VIEWPOINT_VALUES,
    BackoffCounts,
    MusicalCounts,
    NGram,
    SameAgain,
    Uniform,
    Unigram,
    musical_viewpoints,
)
from mini_musessl.tokenizers.voice_grid import encode_chorales

MODELS = {
    "uniform": lambda chorales: Uniform(),
    "unigram": Unigram,
    "same again": SameAgain,
    "n-gram": lambda chorales: NGram(chorales, order=4, semitones=range(-1, 2)),
    "musical": MusicalCounts,
}


def random_ids(n_steps, seed):
    """Return ids (n_steps, 4) that hold now and then, rests among them."""
    rng = np.random.default_rng(seed)
    ids = rng.choice(47, size=(n_steps, 4))
    for step in range(1, n_steps):
        ids[step] = np.where(rng.random(4) < 0.5, ids[step - 1], ids[step])
    ids[rng.random(ids.shape) < 0.05] = 0
    return ids


def pitches(ids):
    return np.where(ids == 0, -1, ids + 35)


@pytest.fixture(scope="module")
def chorales():
    return [pitches(random_ids(n, seed=n)) for n in (30, 21, 44)]


def test_same_again_by_hand():
    # One voice of four moves at the second step: a quarter of the cells do not repeat.
    train = [np.array([[72, 67, 64, 48], [74, 67, 64, 48]])]
    model, ids = SameAgain(train), encode_chorales(train)[0]
    table = Unigram(train).table
    assert model.repeat_share == 0.75
    expected = np.log(table[np.arange(4), ids])
    expected[1] = np.log(0.25 * table[np.arange(4), ids[1]] + 0.75 * np.array([0, 1, 1, 1]))
    np.testing.assert_allclose(model.token_log_probs(ids), expected)


def test_unigrams_score_what_the_mark_says(chorales):
    train, held_out = chorales[:2], chorales[2:]
    rows = [[ids.reshape(-1) for ids in encode_chorales(part)] for part in (train, held_out)]
    found = likelihood.evaluate_likelihood(Unigram(train), held_out)
    assert found.nats_per_token == pytest.approx(counting.unigram_nats(*rows, vocabulary_size=47))


def backoff_slowly(contexts, symbols, query, prior, strength):
    """Return the answer for one token; contexts and query are tuples of levels."""
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
    rng = np.random.default_rng(3)
    symbols, contexts = (
        rng.integers(5, size=60),
        [np.zeros(60, int), rng.integers(4, size=60), rng.integers(30, size=60)],
    )
    queries = [np.zeros(25, int), rng.integers(6, size=25), rng.integers(40, size=25)]
    prior = rng.dirichlet(np.ones(5), size=25)
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
    found = NGram([pitches(ids) for ids in train], order=3, semitones=range(1)).token_log_probs(music)
    np.testing.assert_allclose(found.reshape(-1), expected)


def test_a_shortened_n_gram_is_the_shorter_one(chorales):
    ids = random_ids(9, 4)
    short, long = (NGram(chorales, order=order, semitones=range(1)) for order in (2, 5))
    np.testing.assert_array_equal(long.shorten(2).token_log_probs(ids), short.token_log_probs(ids))
    with pytest.raises(ValueError, match=r"order must lie in 1\.\.5; found 6"):
        long.shorten(6)


def test_twelve_keys_are_the_same_music_moved():
    train = [random_ids(9, 5).clip(min=20, max=27)]
    moved = [pitches(ids + interval) for ids in train for interval in range(-5, 7)]
    one = NGram([pitches(ids) for ids in train], order=3)
    other = NGram(moved, order=3, semitones=range(1))
    music = random_ids(6, 6)
    np.testing.assert_allclose(one.token_log_probs(music), other.token_log_probs(music))


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS.keys())
def test_every_counting_model_conforms(make, chorales):
    check_causality(make(chorales), np.random.default_rng(1))


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS.keys())
def test_all_symbols_are_possible_and_sum_to_one(make, chorales):
    log_probs = make(chorales).symbol_log_probs(random_ids(50, 8))
    assert np.isfinite(log_probs).all()
    np.testing.assert_allclose(np.exp(log_probs).sum(axis=-1), 1)


def test_facts_by_hand():
    # The alto steps from G to F and back while the others hold a chord of C, the bass an octave and a half below.
    ids = encode_chorales([[[72, 67, 64, 48], [72, 65, 64, 48], [72, 67, 64, 48]]])[0]
    facts = musical_viewpoints(ids)
    assert facts["moves_above"].tolist() == [[0, 1, 3, 7], [0, 0, 1, 2], [0, 0, 1, 2]]
    assert facts["hold"][:, 0].tolist() == [0, 1, 2]
    assert facts["hold"][:, 1].tolist() == [0, 1, 1]
    assert facts["stillness"][:, 3].tolist() == [0, 1, 1]
    none, same = 1, 46 + 2
    assert facts["last_leap"][:, 1].tolist() == [none, none, same + 2]  # from F, the note before is 2 semitones up
    assert facts["distance_above_1"][2].tolist() == [none, same + 7, same + 3, same + 16]  # alto: from F up to C
    assert facts["above_1"][2].tolist() == [none, 2 + 7, 2 + 3, 2 + 4]
    assert facts["distance_below_1"][2].tolist() == [same - 7, same - 1, same - 16, none]


def test_the_scale_remembers_the_neighbours_heard_last():
    # The soprano holds C. The alto sings D flat, then D, then B flat, then B, then E flat, A flat, F sharp.
    alto = [61, 62, 58, 59, 63, 68, 66, 66]
    ids = encode_chorales([[[72, pitch, -1, -1] for pitch in alto]])[0]
    # The first step has no note before it. Then bit by bit: semitone above, below, thirds above, below, tritone.
    assert musical_viewpoints(ids)["scale"][:, 0].tolist() == [0, 1, 0, 0, 2, 6, 14, 30]


@given(st.integers(0, 10**6), st.integers(-8, 8))
def test_facts_are_deaf_to_the_key(seed, interval):
    ids = np.where((x := random_ids(20, seed)) == 0, 0, 10 + x // 2)
    facts, moved = musical_viewpoints(ids), musical_viewpoints(np.where(ids == 0, 0, ids + interval))
    assert all(np.array_equal(facts[name], moved[name]) for name in N_VIEWPOINT_VALUES)
    assert all(facts[name].min() >= 0 and facts[name].max() < N_VIEWPOINT_VALUES[name] for name in N_VIEWPOINT_VALUES)


@given(st.integers(0, 10**6), st.integers(0, 79), st.integers(0, 46))
def test_facts_know_the_past_alone(seed, place, symbol):
    ids = random_ids(20, seed)
    changed = ids.copy()
    changed.reshape(-1)[place] = symbol
    facts, other = musical_viewpoints(ids), musical_viewpoints(changed)
    for name in N_VIEWPOINT_VALUES:
        before = facts[name].reshape(-1)[: place + 1], other[name].reshape(-1)[: place + 1]
        np.testing.assert_array_equal(*before, err_msg=name)


def test_musical_counts_learn_one_piece_better_than_no_facts_do(chorales):
    music = [np.repeat(chorales[0], 2, axis=0)] * 4
    bare = MusicalCounts(music, move_facts=("voice",), pitch_facts=("voice",))
    nats = [likelihood.evaluate_likelihood(model, music).nats_per_token for model in (MusicalCounts(music), bare)]
    assert nats[0] < nats[1] - 0.3


def test_an_unknown_fact_is_refused():
    with pytest.raises(ValueError, match="Facts must be among voice, beat, .*; found 'mood'"):
        MusicalCounts([[[60, 55, 52, 48]] * 2], move_facts=("voice", "mood"))


@pytest.mark.parametrize("strength", [0, -1.0, float("nan")])
def test_a_strength_that_is_not_above_0_is_refused(strength):
    with pytest.raises(ValueError, match="strength must be above 0, or None for Witten and Bell's rule; found"):
        MusicalCounts([[[60, 55, 52, 48]] * 2], strength=strength)


@pytest.mark.parametrize("order", [0, 12])
def test_an_order_out_of_range_is_refused(order):
    with pytest.raises(ValueError, match=r"order must lie in 1\.\.11; found"):
        NGram([[[60, 55, 52, 48]] * 2], order=order)


@pytest.mark.skipif("MUSESSL_JSB" not in os.environ, reason="MUSESSL_JSB names no file")
def test_the_rows_of_the_protocol_on_the_jsb_chorales():
    split = corpora.load_jsb()
    unigram = [likelihood.evaluate_likelihood(Unigram(split["train"]), split[part]) for part in ("valid", "test")]
    assert [found.n_tokens for found in unigram] == [73_632, 75_600]
    assert [round(found.nats_per_token, 3) for found in unigram] == [2.611, 2.639]
    musical = likelihood.evaluate_likelihood(MusicalCounts(split["train"]), split["valid"])
    assert musical.nats_per_token == pytest.approx(0.4805, abs=0.0005)  # the protocol's own count model: 0.490


def test_more_facts_than_can_be_numbered_are_refused():
    with pytest.raises(ValueError, match=r"numbered in 64 bits; found 19 facts with .*e\+26 combinations"):
        MusicalCounts([[[60, 55, 52, 48]] * 2], move_facts=tuple(N_VIEWPOINT_VALUES))
    with pytest.raises(ValueError, match="numbered in 64 bits; found 10 facts"):
        MusicalCounts([[[60, 55, 52, 48]] * 2], pitch_facts=("distance_above_1",) * 10)


@pytest.mark.parametrize("model", [SameAgain, MusicalCounts])
def test_chorales_of_one_step_are_refused(model):
    with pytest.raises(
        ValueError, match="chorale must have two steps, to count what follows what; found one step at most"
    ):
        model([[[60, 55, 52, 48]]])
