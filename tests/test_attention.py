"""Attention: equal to PyTorch's, blind to the future, and aware of distance alone."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from mini_musessl import attention


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_agrees_with_pytorch_with_and_without_the_causal_rule():
    queries, keys, values = random(2, 3, 5, 4), random(2, 3, 5, 4, seed=1), random(2, 3, 5, 4, seed=2)
    expected = functional.scaled_dot_product_attention(queries, keys, values)
    torch.testing.assert_close(attention.scaled_dot_product(queries, keys, values), expected)
    expected = functional.scaled_dot_product_attention(queries, keys, values, is_causal=True)
    may_attend = attention.causal_rule(5, 5)
    torch.testing.assert_close(attention.scaled_dot_product(queries, keys, values, may_attend), expected)


def test_gradients_agree_with_pytorch():
    tensors = [random(2, 5, 4, seed=seed).requires_grad_() for seed in range(3)]
    ours = attention.scaled_dot_product(*tensors, attention.causal_rule(5, 5)).square().sum()
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
    assert attention.causal_rule(3, 3).tolist() == [[True, False, False], [True, True, False], [True, True, True]]
    assert attention.causal_rule(1, 4).all()


def test_rotation_keeps_lengths_and_makes_products_depend_on_distance_alone():
    query, key = random(1, 8), random(1, 8, seed=1)

    def product(query_at, key_at):
        turned_query = attention.rotate(query, attention.rotary_angles(query_at, 1, 8))
        turned_key = attention.rotate(key, attention.rotary_angles(key_at, 1, 8))
        return float((turned_query * turned_key).sum()), float(turned_query.norm())

    assert product(9, 5)[0] == pytest.approx(product(104, 100)[0], abs=1e-5)
    assert product(9, 5)[0] != pytest.approx(product(9, 6)[0], abs=1e-3)
    assert product(9, 5)[1] == pytest.approx(float(query.norm()))


def test_angles_go_on_where_a_cache_ends():
    torch.testing.assert_close(attention.rotary_angles(3, 4, 6), attention.rotary_angles(0, 7, 6)[3:])


def test_heads_agree_with_pytorchs_multi_head_attention():
    ours = attention.MultiHeadAttention(d_model=12, n_heads=3).double()
    theirs = torch.nn.MultiheadAttention(12, 3, bias=False, batch_first=True).double()
    theirs.in_proj_weight.data = ours.to_queries_keys_values.weight.data
    theirs.out_proj.weight.data = ours.to_output.weight.data
    features, may_attend = random(2, 5, 12), attention.causal_rule(5, 5)
    expected, _ = theirs(features, features, features, attn_mask=~may_attend, need_weights=False)
    torch.testing.assert_close(ours(features, may_attend)[0], expected)


def test_heads_that_do_not_divide_the_width_are_refused():
    with pytest.raises(ValueError, match="n_heads must divide d_model; found 5 heads for a width of 12"):
        attention.MultiHeadAttention(12, 5)


def test_queries_that_could_look_nowhere_are_refused():
    with pytest.raises(ValueError, match="n_keys must be at least n_queries = 3; found 2"):
        attention.causal_rule(3, 2)


def test_an_odd_width_cannot_turn_in_pairs():
    with pytest.raises(ValueError, match="d_head must be even, because features turn in pairs; found 5"):
        attention.rotary_angles(0, 4, 5)


@pytest.mark.parametrize("shape", [(4, 1), (1, 3), (4, 6)])
def test_angles_that_are_not_one_a_position_and_pair_are_refused(shape):
    with pytest.raises(ValueError, match=r"one angle a position and pair of features, \(4, 3\); found"):
        attention.rotate(torch.ones(2, 4, 6), torch.zeros(shape))


@pytest.mark.parametrize("n_heads, sentence", [(5, "must divide d_model; found 5"), (0, "n_heads must be at least 1")])
def test_heads_that_cannot_share_the_width_are_refused(n_heads, sentence):
    with pytest.raises(ValueError, match=sentence):
        attention.MultiHeadAttention(12, n_heads)
