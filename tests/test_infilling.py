"""Infilling: by hand, against slow versions and brute force, on the same hidden cells, and the refusals."""

import itertools
import math

import numpy as np
import pytest
import torch

from mini_musessl.evaluation import infilling, likelihood
from mini_musessl.evaluation.counting import NeighbourCounts, Uniform
from mini_musessl.evaluation.infilling import (
    KINDS,
    draw_hidden,
    evaluate_infilling,
    evaluate_kinds,
    orderless_by_orders,
    orderless_by_subsets,
)
from mini_musessl.masking import mask_voices
from mini_musessl.network.encoder import EncoderConfig, MaskedTransformer


def random_ids(n_steps, seed, lowest=1, highest=46):
    rng = np.random.default_rng(seed)
    ids = rng.integers(lowest, highest + 1, size=(n_steps, 4))
    for step in range(1, n_steps):
        ids[step] = np.where(rng.random(4) < 0.7, ids[step - 1], ids[step])
    ids[rng.random(ids.shape) < 0.05] = 0
    return ids


def pitches(ids):
    return np.where(ids == 0, -1, ids + 35)


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.fixture(scope="module")
def chorales():
    return [pitches(random_ids(n, seed=n)) for n in (40, 24, 61)]


@pytest.fixture(scope="module")
def counts(chorales):
    hidden = [draw_hidden(chorales, mask, rng(seed), 2) for seed, mask in enumerate(KINDS.values())]
    return NeighbourCounts(chorales, [np.concatenate(each) for each in zip(*hidden, strict=True)])


@pytest.fixture(scope="module")
def network():
    config = EncoderConfig(context_length=16, d_model=8, n_layers=1, n_heads=2, d_feedforward=12, d_voice=6)
    model, generator = MaskedTransformer(config).eval(), torch.Generator().manual_seed(1)
    for weight in model.parameters():
        weight.data.normal_(std=0.5, generator=generator)
    return model


class CountsTheVisible:
    def cell_log_probs(self, ids, is_hidden):
        share = (1 + (~is_hidden).sum()) / (2 + is_hidden.size)
        answer = np.full((*ids.shape, 47), (1 - share) / 46)
        np.put_along_axis(answer, ids[..., None], share, axis=-1)
        return np.log(answer)


def test_uniform_costs_ln_47_whatever_is_hidden(chorales):
    for found in evaluate_kinds(Uniform(), chorales, rng()).values():
        assert found.nats_per_cell == pytest.approx(math.log(47))
    for measure in (orderless_by_orders, orderless_by_subsets):
        assert measure(Uniform(), chorales, rng()).nats_per_cell == pytest.approx(math.log(47))


def test_a_measurement_by_hand():
    pieces = [np.array([[60, 59, 58, 57], [60, 59, 58, 57], [62, 59, 58, 57], [62, 59, 58, 57]])]
    is_hidden = np.zeros((1, 4, 4), bool)
    is_hidden[0, 1:3, 0] = True
    found = evaluate_infilling(CountsTheVisible(), pieces, [is_hidden])
    assert (found.n_tokens, found.accuracy) == (2, 1)
    np.testing.assert_allclose(found.nats[0], -math.log(15 / 18))


def test_a_network_is_asked_for_each_draw_by_itself(network):
    ids = random_ids(11, seed=1)
    hidden = draw_hidden([pitches(ids)], KINDS["cells"], rng(), n_draws=3)[0]
    found = evaluate_infilling(network, [pitches(ids)], [hidden])
    by_hand, choices = [], []
    with torch.no_grad():
        for each in hidden:
            log_probs = network(torch.from_numpy(ids)[None], torch.from_numpy(each)[None]).log_softmax(-1)[0].numpy()
            by_hand.append(-log_probs[each, ids[each]])
            choices.append(log_probs[each].argmax(axis=1) == ids[each])
    np.testing.assert_allclose(found.nats[0], np.concatenate(by_hand), atol=1e-5)
    assert (found.is_first_choice[0] == np.concatenate(choices)).all()


def test_how_many_draws_are_asked_at_once_changes_nothing(network, monkeypatch):
    pieces = [pitches(random_ids(n, seed=1)) for n in (21, 5)]
    hidden = draw_hidden(pieces, mask_voices, rng(), n_draws=5)
    together = evaluate_infilling(network, pieces, hidden).nats
    whole = orderless_by_orders(network, pieces, rng()).draw_nats
    monkeypatch.setattr(infilling, "N_CELLS_AT_ONCE", 50)
    for one, other in zip(together, evaluate_infilling(network, pieces, hidden).nats, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    np.testing.assert_allclose(whole, orderless_by_orders(network, pieces, rng()).draw_nats, atol=1e-5)


def test_models_are_compared_on_the_same_cells(network, counts, chorales):
    one, other = (evaluate_kinds(model, chorales, rng(5), n_draws=2)["spans"] for model in (network, counts))
    found = likelihood.compare(one, other, rng())
    assert found.difference == pytest.approx(one.nats_per_cell - other.nats_per_cell)
    assert found.low <= found.difference <= found.high


def test_the_same_generator_hides_the_same_and_another_does_not(chorales):
    first, again, other = (draw_hidden(chorales, KINDS["spans"], rng(seed), 2) for seed in (0, 0, 1))
    assert all((one == two).all() for one, two in zip(first, again, strict=True))
    assert not all((one == two).all() for one, two in zip(first, other, strict=True))
    assert (first[0][0] != first[0][1]).any()


def mean_over_all_orders(model, ids):
    # From all states that an order may pass.
    states = np.array(list(itertools.product((False, True), repeat=ids.size))[1:]).reshape(-1, *ids.shape)
    n_hidden = states.sum(axis=(1, 2))
    nats = np.bincount(np.nonzero(states)[0], infilling.score_hidden(model, ids, states).nats) / n_hidden
    return np.mean([nats[n_hidden == size].mean() for size in range(1, ids.size + 1)])


def test_both_estimates_of_the_orderless_likelihood_meet_brute_force(network):
    ids = random_ids(2, seed=1)
    exact = mean_over_all_orders(network, ids)
    for measure, n_draws in ((orderless_by_orders, 60), (orderless_by_subsets, 250)):
        found = measure(network, [pitches(ids)], rng(), n_draws)
        assert found.draw_nats.shape == (1, n_draws)
        assert found.nats_per_cell == pytest.approx(exact, abs=4 * found.standard_error)
        assert found.standard_error < 0.1 * exact


def test_an_order_asks_each_cell_once_from_those_before_it():
    # With k cells seen, the right symbol has (1 + k) / (2 + n): the order does not matter, the count does.
    found = orderless_by_orders(CountsTheVisible(), [pitches(random_ids(5, seed=1))], rng(), n_orders=2)
    expected = -np.log((1 + np.arange(20)) / 22).mean()
    np.testing.assert_allclose(found.draw_nats, expected)
    assert found.standard_error == pytest.approx(0, abs=1e-12)


def test_pieces_count_by_their_length():
    found = infilling.Orderless(np.array([[1.0, 3.0], [4.0, 4.0]]), np.array([30, 10]))
    assert found.nats_per_cell == 2.5
    assert found.standard_error == pytest.approx(0.75)


class Answers:
    def __init__(self, answer):
        self.answer = answer

    def cell_log_probs(self, ids, is_hidden):
        return self.answer


def network_of(size, n_voices, bias=0.0):
    model = MaskedTransformer(EncoderConfig(size, n_voices))
    model.head.to_voices.bias.data[:] = bias
    return model


PIECE = np.full((20, 4), 60)
HIDDEN = np.ones((1, 20, 4), bool)


@pytest.mark.parametrize(
    "model, hidden, error, sentence",
    [
        (Uniform(), [], ValueError, "must be said of each piece, 1; found 0"),
        (Uniform(), [HIDDEN[:, :19]], ValueError, r"found \(1, 19, 4\)"),
        (Uniform(), [HIDDEN[:0]], ValueError, r"found \(0, 20, 4\)"),
        (Uniform(), [HIDDEN.astype(int)], TypeError, "in piece 0 must be True or False; found int64"),
        (Uniform(), [np.concatenate((HIDDEN, ~HIDDEN))], ValueError, "one of piece 0 hides nothing"),
        (object(), [HIDDEN], TypeError, r"a method cell_log_probs\(ids, is_hidden\); found object"),
        (Answers(np.zeros((20, 4))), [HIDDEN], ValueError, r"47 for each cell that sum to 1; found \(\)"),
        (Answers(np.zeros((20, 4, 47))), [HIDDEN], ValueError, r"found \(47,\) that sum to 47 to 47"),
        (network_of(9, 4), [HIDDEN], ValueError, "this network has 9 in 4"),
        (network_of(47, 4, math.nan), [HIDDEN], FloatingPointError, "Did training diverge"),
    ],
)
def test_what_cannot_be_measured_is_refused(model, hidden, error, sentence):
    with pytest.raises(error, match=sentence):
        evaluate_infilling(model, [PIECE], hidden)


def test_a_seed_is_no_generator():
    for draw in (lambda: draw_hidden([PIECE], mask_voices, 5), lambda: orderless_by_subsets(Uniform(), [PIECE], 5)):
        with pytest.raises(TypeError, match="draws from a numpy.random.Generator; found int"):
            draw()
