"""Positions: skewed equals naive, rotation knows distance alone, and memory grows as promised."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mini_musessl.network import attention


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def relative_by_hand(queries, distances, n_keys):
    """One pair after another; where no vector belongs to a distance, not a number."""
    n_queries = queries.shape[0]
    scores = torch.full((n_queries, n_keys), math.nan, dtype=queries.dtype)
    for i in range(n_queries):
        for j in range(n_keys):
            distance = j - (n_keys - n_queries + i)
            if distance + n_keys - 1 < len(distances):
                scores[i, j] = queries[i] @ distances[distance + n_keys - 1]
    return scores


@given(st.integers(1, 7), st.integers(0, 5), st.booleans())
def test_naive_and_skewed_scores_are_those_by_hand_wherever_they_mean_something(n_queries, n_past, looks_ahead):
    n_keys = n_queries + n_past
    queries, distances = random(n_queries, 3), random(n_keys + looks_ahead * (n_queries - 1), 3, seed=1)
    expected = relative_by_hand(queries, distances, n_keys)
    means_something = ~expected.isnan()
    assert (
        means_something.all() if looks_ahead else torch.equal(means_something, attention.causal_mask(n_queries, n_keys))
    )
    for scores in (attention.relative_scores_naive, attention.relative_scores):
        found = scores(queries, distances, n_keys)
        assert found.shape == (n_queries, n_keys)
        torch.testing.assert_close(found[means_something], expected[means_something])


@pytest.mark.parametrize("n_queries, n_keys, looks_ahead", [(5, 5, False), (3, 8, False), (5, 5, True)])
def test_values_and_gradients_of_attention_are_the_same_by_both(n_queries, n_keys, looks_ahead):
    may_attend = None if looks_ahead else attention.causal_mask(n_queries, n_keys)
    n_distances = n_keys + (n_queries - 1) * looks_ahead
    queries, keys, distances = (
        random(2, 3, n_queries, 4),
        random(2, 3, n_keys, 4, seed=1),
        random(3, n_distances, 4, seed=2),
    )
    found = []
    for scores in (attention.relative_scores_naive, attention.relative_scores):
        inputs = [tensor.clone().requires_grad_() for tensor in (queries, keys, distances)]
        logits = inputs[0] @ inputs[1].transpose(-2, -1) + scores(inputs[0], inputs[2], n_keys)
        logits = logits if may_attend is None else logits.masked_fill(~may_attend, -math.inf)
        weights = logits.softmax(-1)
        found.append([weights, *torch.autograd.grad((weights * random(n_queries, n_keys, seed=3)).sum(), inputs)])
    for naive, skewed in zip(*found, strict=True):
        torch.testing.assert_close(naive, skewed)


class LargestTensor(torch.utils._python_dispatch.TorchDispatchMode):
    """Notes how many numbers the largest tensor has that any operation makes."""

    n_numbers = 0

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        result = function(*arguments, **(keywords or {}))
        for tensor in result if isinstance(result, (tuple, list)) else (result,):
            if isinstance(tensor, torch.Tensor):
                self.n_numbers = max(self.n_numbers, tensor.numel())
        return result


@pytest.mark.parametrize("length, width", [(32, 16), (64, 16), (64, 48)])
def test_naive_memory_is_length_squared_times_width_and_skewed_memory_is_not(length, width):
    queries, distances = random(2, length, width), random(2, length, width, seed=1)
    sizes = {}
    for scores in (attention.relative_scores_naive, attention.relative_scores):
        with LargestTensor() as largest:
            inputs = [tensor.clone().requires_grad_() for tensor in (queries, distances)]
            scores(*inputs, length).square().sum().backward()
        sizes[scores] = largest.n_numbers
    assert sizes[attention.relative_scores_naive] == 2 * length**2 * width
    assert sizes[attention.relative_scores] == 2 * length * (length + 1)  # the scores, with one column more


def test_by_hand_three_positions_looking_back():
    distances = torch.tensor([[2.0], [1.0], [0.0]])
    queries = torch.tensor([[1.0], [10.0], [100.0]])
    expected = [[0.0, 0.0, 0.0], [10.0, 0.0, 0.0], [200.0, 100.0, 0.0]]
    assert attention.relative_scores(queries, distances, 3).tril().tolist() == expected


def test_rotation_keeps_lengths_and_makes_products_depend_on_distance_alone():
    query, key = random(1, 8), random(1, 8, seed=1)

    def product(query_at, key_at):
        turned_query = attention.rotate(query, attention.rotary_angles(query_at, 1, 8))
        turned_key = attention.rotate(key, attention.rotary_angles(key_at, 1, 8))
        return float((turned_query * turned_key).sum()), float(turned_query.norm())

    assert product(9, 5)[0] == pytest.approx(product(104, 100)[0], abs=1e-5)
    assert product(9, 5)[0] != pytest.approx(product(9, 6)[0], abs=1e-3)
    assert product(9, 5)[1] == pytest.approx(float(query.norm()))


def test_rotation_is_multiplication_of_complex_numbers():
    features, angles = random(2, 5, 8), attention.rotary_angles(0, 5, 8).double()
    turned = torch.complex(*features.chunk(2, -1)) * torch.polar(torch.ones_like(angles), angles)
    torch.testing.assert_close(attention.rotate(features, angles), torch.cat((turned.real, turned.imag), -1))


@pytest.mark.parametrize("make", [attention.rotary_angles, attention.sinusoidal])
def test_positions_go_on_where_a_cache_ends(make):
    torch.testing.assert_close(make(3, 4, 6), make(0, 7, 6)[3:])


def test_sinusoids_are_those_of_the_formula():
    found = attention.sinusoidal(0, 5, 6).double()
    for position in range(5):
        for feature in range(6):
            angle = position / 10_000 ** (2 * (feature // 2) / 6)
            expected = math.cos(angle) if feature % 2 else math.sin(angle)
            assert found[position, feature].item() == pytest.approx(expected, abs=1e-6)


def test_a_step_turns_every_clock_of_the_sinusoids_alike_wherever_it_begins():
    clocks = torch.view_as_complex(attention.sinusoidal(0, 40, 8).unflatten(-1, (4, 2)).contiguous())
    turn = clocks[7] / clocks[0]
    torch.testing.assert_close(clocks[:33] * turn, clocks[7:], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("make, name", [(attention.rotary_angles, "d_head"), (attention.sinusoidal, "d_model")])
def test_an_odd_width_cannot_turn_in_pairs(make, name):
    with pytest.raises(ValueError, match=f"{name} must be even, because features turn in pairs; found 5"):
        make(0, 4, 5)


@pytest.mark.parametrize("shape", [(4, 1), (1, 3), (4, 6)])
def test_angles_that_are_not_one_a_position_and_pair_are_refused(shape):
    with pytest.raises(ValueError, match=r"one angle a position and pair of features, \(4, 3\); found"):
        attention.rotate(torch.ones(2, 4, 6), torch.zeros(shape))


@pytest.mark.parametrize("scores", [attention.relative_scores_naive, attention.relative_scores])
@pytest.mark.parametrize("n_queries, n_keys, n_distances", [(3, 5, 4), (3, 5, 6), (3, 5, 8), (3, 2, 2)])
def test_distances_that_do_not_fit_are_refused(scores, n_queries, n_keys, n_distances):
    with pytest.raises(ValueError, match=f"{n_keys} distances to look back or .*; found {n_distances}"):
        scores(torch.ones(n_queries, 4), torch.ones(n_distances, 4), n_keys)
