"""The solutions of chapters 5a, 5b and 5c agree with the library and with PyTorch."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mini_musessl.exercises import attention as chapter_5a
from mini_musessl.exercises import music_transformer as chapter_5c
from mini_musessl.exercises import positions as chapter_5b
from mini_musessl.network import attention
from mini_musessl.network.transformer import TransformerBlock


def draw(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def as_tensors(*arrays: np.ndarray) -> list[torch.Tensor]:
    return [torch.from_numpy(np.asarray(array)) for array in arrays]


def test_softmax_is_pytorchs():
    scores = 300 * draw(4, 7)
    np.testing.assert_allclose(chapter_5a.softmax(scores), torch.from_numpy(scores).softmax(-1))


@given(st.integers(1, 6), st.integers(0, 5))
def test_the_rule_is_the_causal_rule(n_queries, n_past):
    expected = attention.causal_mask(n_queries, n_queries + n_past)
    np.testing.assert_array_equal(chapter_5a.may_attend(n_queries, n_queries + n_past), expected)


def test_attention_is_the_librarys():
    queries, keys, values = draw(3, 4), draw(5, 4, seed=1), draw(5, 2, seed=2)
    may_attend = chapter_5a.may_attend(3, 5)
    expected = attention.attention_weights(*as_tensors(queries, keys, may_attend)) @ torch.from_numpy(values)
    np.testing.assert_allclose(chapter_5a.attend(queries, keys, values, may_attend), expected)


def test_heads_are_those_of_multi_head_attention():
    layer, features = attention.MultiHeadAttention(12, 3).double(), draw(5, 12)
    joined = as_tensors(features)[0] @ layer.to_queries_keys_values.weight.data.T
    queries, keys, values = (chapter_5a.split_heads(part.numpy(), 3) for part in joined.chunk(3, dim=-1))
    rule = chapter_5a.may_attend(5, 5)
    mixed = [chapter_5a.attend(*one, rule) for one in zip(queries, keys, values, strict=True)]
    found = np.concatenate(mixed, axis=-1) @ layer.to_output.weight.data.numpy().T
    expected, _ = layer(as_tensors(features)[0][None], torch.from_numpy(rule))
    np.testing.assert_allclose(found, expected[0].detach())


def test_a_leak_is_found_where_a_rule_leaks():
    features = draw(6, 4)
    changed = features.copy()
    changed[3] += 1
    for rule, leak in ((np.tri(6, dtype=bool), -1), (np.tri(6, k=1, dtype=bool), 2), (np.ones((6, 6), bool), 0)):
        before, after = (chapter_5a.attend(each, each, each, rule) for each in (features, changed))
        assert chapter_5a.first_leak(before, after, 3) == leak


def test_clocks_are_the_sinusoids():
    found = [chapter_5b.clocks(position, 6) for position in range(9)]
    np.testing.assert_allclose(found, attention.sinusoidal(0, 9, 6), atol=1e-6)


@pytest.mark.parametrize("n_queries, n_keys", [(4, 4), (2, 5)])
def test_distances_choose_the_vectors_of_relative_scores(n_queries, n_keys):
    queries, vectors = draw(n_queries, 3), draw(n_keys + n_queries - 1, 3, seed=1)
    expected = attention.relative_scores(*as_tensors(queries, vectors), n_keys)
    which = chapter_5b.distances(n_queries, n_keys) + n_keys - 1
    np.testing.assert_allclose(np.einsum("qd,qkd->qk", queries, vectors[which]), expected)


def test_skewed_is_the_librarys_skew():
    table = draw(6, 6)
    np.testing.assert_array_equal(chapter_5b.skewed(table), attention.skew(torch.from_numpy(table)))


def test_turned_is_the_librarys_rotation():
    features, angles = draw(5, 8), draw(5, 4, seed=1)
    expected = attention.rotate(*as_tensors(features, angles))
    np.testing.assert_allclose(chapter_5b.turned(features, angles), expected, atol=1e-12)


def test_the_longest_naive_length_just_fits():
    longest = chapter_5b.longest_naive(10**9, 256)
    assert 4 * longest**2 * 256 <= 10**9 < 4 * (longest + 1) ** 2 * 256


def test_normalised_is_pytorchs_layer_norm():
    features = 3 + 2 * draw(4, 6)
    expected = torch.nn.functional.layer_norm(torch.from_numpy(features), (6,))
    np.testing.assert_allclose(chapter_5c.normalised(features), expected)


@pytest.mark.parametrize("sizes", [(96, 4, 256), (12, 3, 20)])
def test_the_weights_of_a_block_are_counted(sizes):
    assert chapter_5c.n_block_weights(*sizes) == sum(w.numel() for w in TransformerBlock(*sizes).parameters())


def test_a_forbidden_distance_gets_no_weight():
    features = torch.from_numpy(draw(1, 8, 12))
    rule = torch.from_numpy(chapter_5c.forbid(8, 3))
    weights = attention.MultiHeadAttention(12, 3).double()(features, rule)[1][0, 0].detach().numpy()
    assert chapter_5c.mean_weight(weights, 3) == 0
    assert sum(chapter_5c.mean_weight(weights, distance) > 0 for distance in range(8)) == 7
    assert attention.check_mask(rule) is None


def test_positions_read_are_those_of_the_calls():
    assert chapter_5c.n_positions_read(3, 4, has_cache=False) == 3 + 4 + 5 + 6
    assert chapter_5c.n_positions_read(3, 4, has_cache=True) == 6
