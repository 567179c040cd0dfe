"""Attention and positions: equal to PyTorch's and to loops, blind to the future and to padding."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from mini_musessl.network import attention
from mini_musessl.network.attention import attention_weights, causal_mask, padding_mask


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# --- positions


def test_sinusoids_are_those_of_the_formula():
    found = attention.sinusoidal(0, 5, 6).double()
    for position in range(5):
        for feature in range(6):
            angle = position / 10_000 ** (2 * (feature // 2) / 6)
            expected = math.cos(angle) if feature % 2 else math.sin(angle)
            assert found[position, feature].item() == pytest.approx(expected, abs=1e-6)


def test_rotation_is_multiplication_of_complex_numbers():
    features, angles = random(2, 5, 8), attention.position_angles(0, 5, 8).double()
    turned = torch.complex(*features.chunk(2, -1)) * torch.polar(torch.ones_like(angles), angles)
    torch.testing.assert_close(attention.rotate(features, angles), torch.cat((turned.real, turned.imag), -1))


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
    has_meaning = ~expected.isnan()
    assert has_meaning.all() if looks_ahead else torch.equal(has_meaning, causal_mask(n_queries, n_keys))
    for scores in (attention.relative_scores_naive, attention.relative_scores):
        found = scores(queries, distances, n_keys)
        assert found.shape == (n_queries, n_keys)
        torch.testing.assert_close(found[has_meaning], expected[has_meaning])


@pytest.mark.parametrize("n_queries, n_keys, looks_ahead", [(5, 5, False), (3, 8, False), (5, 5, True)])
def test_values_and_gradients_of_attention_are_the_same_by_both(n_queries, n_keys, looks_ahead):
    may_attend = None if looks_ahead else causal_mask(n_queries, n_keys)
    shapes = ((2, 3, n_queries, 4), (2, 3, n_keys, 4), (3, n_keys + (n_queries - 1) * looks_ahead, 4))
    found = []
    for scores in (attention.relative_scores_naive, attention.relative_scores):
        queries, keys, distances = inputs = [random(*s, seed=i).requires_grad_() for i, s in enumerate(shapes)]
        logits = queries @ keys.transpose(-2, -1) + scores(queries, distances, n_keys)
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


@pytest.mark.parametrize("length, width", [(32, 16), (64, 48)])
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


# --- masks


def test_masks_of_the_future_and_of_padding_join():
    is_padding = torch.tensor([[False, False, True, True], [False] * 4])
    joined = attention.join_masks(2, 4, True, is_padding, "cpu")
    assert joined.shape == (2, 1, 2, 4)
    assert joined[0, 0].tolist() == [[True, True, False, False]] * 2
    assert joined[1, 0].tolist() == [[True, True, True, False], [True] * 4]
    assert torch.equal(attention.join_masks(2, 4, False, is_padding, "cpu"), padding_mask(is_padding))
    assert torch.equal(attention.join_masks(2, 4, True, None, "cpu"), causal_mask(2, 4))
    assert attention.join_masks(1, 4, True, None, "cpu") is None  # the last position may see all


@pytest.mark.parametrize(
    "may_attend, sentence",
    [
        (torch.ones(3, 3, dtype=torch.bool).triu(1), r"found 1 of 3 queries with none, the first at \(2,\)"),
        (causal_mask(3, 3) & padding_mask(torch.tensor([[True, False, False]])), "found 1 of 3 .* Pad at the end"),
    ],
)
def test_a_mask_that_hides_everything_from_a_query_is_refused(may_attend, sentence):
    vectors = random(1, 2, 3, 4)
    assert attention_weights(vectors, vectors, may_attend).isnan().any()  # what is refused
    with pytest.raises(ValueError, match=f"at least one key that it may look at; {sentence}"):
        attention.check_mask(may_attend)


# --- attention


@pytest.mark.parametrize("is_causal", [False, True])
def test_values_and_gradients_agree_with_pytorch(is_causal):
    queries, keys, values = tensors = [random(2, 3, 5, 4, seed=seed).requires_grad_() for seed in range(3)]
    ours = attention_weights(queries, keys, causal_mask(5, 5) if is_causal else None) @ values
    theirs = functional.scaled_dot_product_attention(*tensors, is_causal=is_causal)
    torch.testing.assert_close(ours, theirs)
    for a, b in zip(*(torch.autograd.grad(x.square().sum(), tensors) for x in (ours, theirs)), strict=True):
        torch.testing.assert_close(a, b)


def test_by_hand_two_keys_of_which_one_fits():
    queries = torch.tensor([[1.0, 0.0, 0.0, 0.0]])
    keys = torch.tensor([[2 * math.log(3), 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    # Scores ln 3 and 0.
    torch.testing.assert_close(attention_weights(queries, keys), torch.tensor([[0.75, 0.25]]))


def test_distances_are_scores_that_pytorch_adds_too():
    queries, keys, values, distances = (random(2, 3, n, 4, seed=n) for n in (5, 6, 7, 8))
    queries, distances, values = queries[:, :, :3], distances[0, :, :6], values[:, :, :6]
    bias = attention.relative_scores(queries, distances, n_keys=6) / math.sqrt(4)
    bias = bias.masked_fill(~causal_mask(3, 6), -math.inf)
    expected = functional.scaled_dot_product_attention(queries, keys, values, attn_mask=bias)
    torch.testing.assert_close(attention_weights(queries, keys, causal_mask(3, 6), distances) @ values, expected)


def test_heads_and_their_weights_agree_with_pytorchs():
    ours = attention.MultiHeadAttention(d_model=12, n_heads=3).double()
    theirs = torch.nn.MultiheadAttention(12, 3, bias=False, batch_first=True).double()
    theirs.in_proj_weight.data = ours.to_queries_keys_values.weight.data
    theirs.out_proj.weight.data = ours.to_output.weight.data
    features, is_padding = random(2, 5, 12), torch.tensor([[False] * 5, [False] * 3 + [True] * 2])
    for may_attend, masks in (
        (causal_mask(5, 5), {"attn_mask": ~causal_mask(5, 5)}),
        (padding_mask(is_padding), {"key_padding_mask": is_padding}),
    ):
        expected = theirs(features, features, features, average_attn_weights=False, **masks)
        for found, wanted in zip(ours(features, may_attend), expected, strict=True):
            torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("n_ahead", [0, 4])
def test_heads_with_a_table_of_distances_use_each_of_them_and_no_other(n_ahead):
    heads = attention.MultiHeadAttention(12, 3, reach=(4, n_ahead)).double()
    for time in (5, 3):
        heads.distance_table.weight.grad = None
        may_attend = None if n_ahead else causal_mask(time, time)
        heads(random(2, time, 12), may_attend)[0].square().sum().backward()
        is_used = (heads.distance_table.weight.grad.abs().sum(1) > 0).tolist()
        assert is_used == [5 - time <= row <= 4 + min(n_ahead, time - 1) for row in range(5 + n_ahead)]


def test_a_cache_holds_what_joining_would_and_its_rows_may_change_places():
    cache, parts = attention.KVCache(context_length=9), [random(2, 3, n, 4, seed=n) for n in (5, 1, 3)]
    cache.keep_rows(torch.tensor([1, 0]))  # nothing was read yet
    for n in (1, 2, 3):
        keys, values = cache.extend(parts[n - 1], 2 * parts[n - 1])
        joined = torch.cat(parts[:n], dim=2)
        assert torch.equal(keys, joined) and torch.equal(values, 2 * joined)
        assert cache.n_read == joined.shape[2]
    cache.keep_rows(torch.tensor([1, 1, 0]))
    nothing = random(3, 3, 0, 4)
    assert torch.equal(cache.extend(nothing, nothing)[0], joined[[1, 1, 0]])
