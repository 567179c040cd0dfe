"""Attention: equal to PyTorch's, blind to the future and to padding."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from mini_musessl.network import attention


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_agrees_with_pytorch_with_and_without_the_causal_rule():
    queries, keys, values = random(2, 3, 5, 4), random(2, 3, 5, 4, seed=1), random(2, 3, 5, 4, seed=2)
    expected = functional.scaled_dot_product_attention(queries, keys, values)
    torch.testing.assert_close(attention.scaled_dot_product(queries, keys, values), expected)
    expected = functional.scaled_dot_product_attention(queries, keys, values, is_causal=True)
    may_attend = attention.causal_mask(5, 5)
    torch.testing.assert_close(attention.scaled_dot_product(queries, keys, values, may_attend), expected)


def test_gradients_agree_with_pytorch():
    tensors = [random(2, 5, 4, seed=seed).requires_grad_() for seed in range(3)]
    ours = attention.scaled_dot_product(*tensors, attention.causal_mask(5, 5)).square().sum()
    theirs = functional.scaled_dot_product_attention(*tensors, is_causal=True).square().sum()
    for a, b in zip(torch.autograd.grad(ours, tensors), torch.autograd.grad(theirs, tensors), strict=True):
        torch.testing.assert_close(a, b)


def test_a_rule_of_its_own_for_each_row_of_the_batch_hides_padding():
    queries, keys, values = random(2, 3, 4, 6), random(2, 3, 5, 6, seed=1), random(2, 3, 5, 7, seed=2)
    may_attend = torch.ones(2, 1, 4, 5, dtype=torch.bool)
    may_attend[1, :, :, 3:] = False
    mixed = attention.scaled_dot_product(queries, keys, values, may_attend)
    short = attention.scaled_dot_product(queries[1], keys[1, :, :3], values[1, :, :3])
    torch.testing.assert_close(mixed[1], short)


def test_by_hand_two_keys_of_which_one_fits():
    queries = torch.tensor([[1.0, 0.0, 0.0, 0.0]])
    keys = torch.tensor([[2 * math.log(3), 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    values = torch.tensor([[1.0], [5.0]])
    # Scores ln 3 and 0, so weights 3/4 and 1/4.
    torch.testing.assert_close(attention.scaled_dot_product(queries, keys, values), torch.tensor([[2.0]]))


def test_the_causal_rule_lets_each_position_see_itself_and_what_came_before():
    assert attention.causal_mask(3, 3).tolist() == [[True, False, False], [True, True, False], [True, True, True]]
    assert attention.causal_mask(1, 4).all()


def test_heads_agree_with_pytorchs_multi_head_attention():
    ours = attention.MultiHeadAttention(d_model=12, n_heads=3).double()
    theirs = torch.nn.MultiheadAttention(12, 3, bias=False, batch_first=True).double()
    theirs.in_proj_weight.data = ours.to_queries_keys_values.weight.data
    theirs.out_proj.weight.data = ours.to_output.weight.data
    features, may_attend = random(2, 5, 12), attention.causal_mask(5, 5)
    expected, _ = theirs(features, features, features, attn_mask=~may_attend, need_weights=False)
    torch.testing.assert_close(ours(features, may_attend)[0], expected)


def test_heads_that_do_not_divide_the_width_are_refused():
    with pytest.raises(ValueError, match="n_heads must divide d_model; found 5 heads for a width of 12"):
        attention.MultiHeadAttention(12, 5)


def test_queries_that_could_look_nowhere_are_refused():
    with pytest.raises(ValueError, match="n_keys must be at least n_queries = 3; found 2"):
        attention.causal_mask(3, 2)


@pytest.mark.parametrize("n_heads, sentence", [(5, "must divide d_model; found 5"), (0, "n_heads must be at least 1")])
def test_heads_that_cannot_share_the_width_are_refused(n_heads, sentence):
    with pytest.raises(ValueError, match=sentence):
        attention.MultiHeadAttention(12, n_heads)


def test_weights_are_those_of_pytorchs_multi_head_attention_under_padding():
    ours = attention.MultiHeadAttention(d_model=12, n_heads=3).double()
    theirs = torch.nn.MultiheadAttention(12, 3, bias=False, batch_first=True).double()
    theirs.in_proj_weight.data = ours.to_queries_keys_values.weight.data
    theirs.out_proj.weight.data = ours.to_output.weight.data
    features, is_padding = random(2, 5, 12), torch.tensor([[False] * 5, [False] * 3 + [True] * 2])
    mixed, weights = theirs(features, features, features, key_padding_mask=is_padding, average_attn_weights=False)
    may_attend = attention.padding_mask(is_padding)
    torch.testing.assert_close(ours(features, may_attend)[0], mixed)
    torch.testing.assert_close(ours.weights(features, may_attend), weights)
    assert (weights[1, :, :, 3:] == 0).all()


def test_distances_are_scores_that_pytorch_adds_too():
    queries, keys, values, distances = (random(2, 3, n, 4, seed=n) for n in (5, 6, 7, 8))
    queries, distances, values = queries[:, :, :3], distances[0, :, :6], values[:, :, :6]
    bias = attention.relative_scores(queries, distances, n_keys=6) / math.sqrt(4)
    may_attend = attention.causal_mask(3, 6)
    expected = functional.scaled_dot_product_attention(
        queries, keys, values, attn_mask=bias.masked_fill(~may_attend, -math.inf)
    )
    torch.testing.assert_close(attention.attention_weights(queries, keys, may_attend, distances) @ values, expected)


def test_heads_without_a_rule_look_at_all_and_in_any_order():
    heads, features = attention.MultiHeadAttention(d_model=12, n_heads=3).double(), random(2, 5, 12)
    order = torch.tensor([3, 0, 4, 1, 2])
    torch.testing.assert_close(heads(features[:, order])[0], heads(features)[0][:, order])


def test_a_rule_for_padding_joins_the_causal_one():
    is_padding = torch.tensor([[False, False, True, True], [False] * 4])
    joined = attention.causal_mask(2, 4) & attention.padding_mask(is_padding)
    assert joined.shape == (2, 1, 2, 4)
    assert joined[0, 0].tolist() == [[True, True, False, False]] * 2
    assert joined[1, 0].tolist() == [[True, True, True, False], [True] * 4]


def test_a_rule_that_hides_everything_from_a_query_is_refused():
    vectors, may_attend = random(2, 3, 4), torch.ones(3, 3, dtype=torch.bool).triu(1)
    sentence = r"at least one key that it may look at; found 1 of 3 queries with none, the first at \(2,\)"
    with pytest.raises(ValueError, match=sentence):
        attention.scaled_dot_product(vectors, vectors, vectors, may_attend)
    assert attention.attention_weights(vectors, vectors, may_attend)[:, 2].isnan().all()  # what is refused
    starts_with_padding = attention.padding_mask(torch.tensor([[True, False, False]]))
    with pytest.raises(ValueError, match="found 1 of 3 .* Pad at the end"):
        attention.check_rule(attention.causal_mask(3, 3) & starts_with_padding)


@pytest.mark.parametrize("reach, n_ahead_seen", [((4, 0), 0), ((4, 4), 4)])
def test_heads_with_a_table_of_distances_use_each_of_them_and_no_other(reach, n_ahead_seen):
    heads = attention.MultiHeadAttention(12, 3, reach=reach).double()
    may_attend = attention.causal_mask(5, 5) if n_ahead_seen == 0 else None
    heads(random(2, 5, 12), may_attend)[0].square().sum().backward()
    is_used = heads.distance_table.weight.grad.abs().sum(1) > 0
    assert is_used.tolist() == [True] * (5 + n_ahead_seen)
    heads.distance_table.weight.grad = None
    heads(random(2, 3, 12), None if may_attend is None else may_attend[:3, :3])[0].square().sum().backward()
    is_used = (heads.distance_table.weight.grad.abs().sum(1) > 0).tolist()
    assert is_used == [2 <= row <= 4 + (2 if n_ahead_seen else 0) for row in range(5 + n_ahead_seen)]


def test_a_sequence_beyond_the_table_of_distances_is_refused():
    with pytest.raises(ValueError, match="longer than the table of distances"):
        attention.MultiHeadAttention(12, 3, reach=(3, 0))(torch.ones(1, 5, 12))
    with pytest.raises(ValueError, match="longer than the table of distances"):
        attention.MultiHeadAttention(12, 3, reach=(3, 3))(torch.ones(1, 5, 12))
    with pytest.raises(ValueError, match="Each number of reach must be at least 0; found -1"):
        attention.MultiHeadAttention(12, 3, reach=(-1, 0))


@pytest.mark.parametrize("rule", [torch.zeros(2, 2), torch.full((2, 2), -math.inf), torch.ones(2, 2).int()])
def test_a_rule_of_numbers_is_refused(rule):
    same = torch.ones(1, 2, 3)
    with pytest.raises(TypeError, match="may_attend must be True where a position may be looked at, .*; found torch"):
        attention.scaled_dot_product(same, same, same, rule)
    with pytest.raises(TypeError, match="is_padding must be True where a position is filler, .*; found torch"):
        attention.padding_mask(rule)


def test_nothing_to_look_at_is_refused():
    with pytest.raises(ValueError, match="at least one key that it may look at; found no keys at all"):
        attention.scaled_dot_product(torch.ones(1, 2, 3), torch.ones(1, 0, 3), torch.ones(1, 0, 3))
