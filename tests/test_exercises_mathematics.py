"""The solutions of chapter 7 agree with PyTorch and with the library."""

import math

import numpy as np
import pytest
import torch

from mini_musessl.evaluation import counting
from mini_musessl.exercises import first_road
from mini_musessl.exercises import mathematics as chapter_7
from mini_musessl.exercises.checking import EXERCISES, judge
from mini_musessl.objectives.next_token import token_cross_entropy


def random_rows(n_rows, n_symbols, seed=0):
    return np.random.default_rng(seed).dirichlet(np.ones(n_symbols), n_rows)


def test_bits_are_the_nats_of_the_library_over_ln_2():
    train, test = [[0, 0, 1, 2]], [[0, 1, 1, 0, 2]]
    table = counting.unigram_probabilities(train, vocabulary_size=3, n_voices=1)
    nats = counting.unigram_nats(train, test, vocabulary_size=3, n_voices=1)
    assert chapter_7.code_bits(table[0, test[0]]) == pytest.approx(5 * nats / math.log(2))


def test_bits_of_eight_equal_choices_are_three_each():
    assert chapter_7.code_bits(np.full(7, 1 / 8)) == 21


def test_the_padded_mean_is_the_loss_of_the_library():
    rng = np.random.default_rng(1)
    logits, targets = torch.tensor(rng.normal(size=(2, 5, 4))), torch.tensor(rng.integers(0, 4, (2, 5)))
    is_padding = torch.arange(5) >= torch.tensor([[5], [2]])
    nats = -torch.log_softmax(logits, -1).gather(-1, targets[..., None])[..., 0]
    expected = token_cross_entropy(logits, targets, is_padding).item()
    assert chapter_7.padded_mean(nats.numpy(), is_padding.numpy()) == pytest.approx(expected, rel=1e-6)


def test_the_perplexity_of_a_uniform_model_is_the_size_of_its_vocabulary():
    pieces = [np.full(n_tokens, counting.uniform_nats(47)) for n_tokens in (3, 30)]
    assert chapter_7.perplexity(pieces) == pytest.approx(47)


def test_the_gradient_is_that_of_autograd():
    rng = np.random.default_rng(2)
    logits = torch.tensor(rng.normal(size=(6, 9)), requires_grad=True)
    targets = torch.tensor(rng.integers(0, 9, 6))
    torch.nn.functional.cross_entropy(logits, targets).backward()
    found = chapter_7.loss_gradient(logits.detach().numpy(), targets.numpy())
    np.testing.assert_allclose(found, logits.grad.numpy(), atol=1e-12)


def test_the_divergence_is_that_of_pytorch_and_never_below_0():
    for seed in range(20):
        q, p = random_rows(2, 5, seed)
        expected = torch.nn.functional.kl_div(torch.tensor(np.log(p)), torch.tensor(q), reduction="sum").item()
        assert chapter_7.kl_nats(q, p) == pytest.approx(expected)
        assert chapter_7.kl_nats(q, p) > 0
        assert chapter_7.kl_nats(q, q) == 0


def test_temperature_on_probabilities_is_temperature_on_logits():
    rows = random_rows(4, 6)
    for temperature in (0.3, 1.0, 2.5):
        expected = [first_road.with_temperature(np.log(row), temperature) for row in rows]
        np.testing.assert_allclose(chapter_7.at_temperature(rows, temperature), expected)


def test_an_answer_that_is_wrong_in_no_known_way_is_shown_beside_the_right_one():
    assert "the right answer is" in judge(EXERCISES["7a.3"], lambda pieces: 1.0)
