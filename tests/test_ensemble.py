"""An ensemble: the mean of several answers."""

import numpy as np
import pytest
import torch
from ensemble import Ensemble

from mini_musessl.evaluation import likelihood
from mini_musessl.evaluation.counting import Unigram
from mini_musessl.network.frames import FrameConfig, FrameTransformer

PIECE = np.array([[72, 67, 64, 48], [72, 69, -1, 50], [74, 69, 65, 50]])
IDS = np.where(PIECE >= 0, PIECE - 35, 0)


class Says:
    """Gives each symbol a probability of its own, whatever came before."""

    def __init__(self, probabilities: np.ndarray):
        self.probabilities = probabilities
        self.asked = []

    def token_log_probs(self, ids: np.ndarray) -> np.ndarray:
        """Return the logarithm of each symbol's probability."""
        self.asked.append(ids)
        return np.log(self.probabilities[ids])


def test_one_member_in_one_key_answers_as_it_does_alone():
    model = Unigram([PIECE, PIECE[:1]])
    expected = likelihood.token_log_probs(model, PIECE)
    np.testing.assert_allclose(Ensemble([model]).token_log_probs(IDS), expected)
    assert likelihood.evaluate_likelihood(Ensemble([model]), [PIECE]).nats_per_token == pytest.approx(-expected.mean())


def test_the_mean_is_one_of_probabilities_and_not_of_their_logarithms():
    first, second = np.full(47, 0.01), np.full(47, 0.03)
    answer = Ensemble([Says(first), Says(second)]).token_log_probs(IDS)
    np.testing.assert_allclose(np.exp(answer), 0.02)


def test_a_piece_is_asked_in_the_keys_that_fit_it():
    model = Says(np.arange(1, 48) / 1128)
    Ensemble([model], semitones=range(-20, 20)).token_log_probs(IDS)
    shifts = sorted(int(ids[0, 0] - IDS[0, 0]) for ids in model.asked)
    assert shifts == list(range(-12, 8))  # the lowest pitch is 48, the highest 74
    assert all((ids[IDS == 0] == 0).all() and ids[IDS > 0].min() >= 1 and ids.max() <= 46 for ids in model.asked)


def test_in_several_keys_an_answer_depends_on_what_is_still_to_come():
    """Why the number is no likelihood of a causal model: with a high note at the end the keys above are not asked."""
    model, high = Says(np.arange(1, 48) / 1128), IDS.copy()
    high[-1, 0] = 46
    in_several, in_one = Ensemble([model], range(-5, 7)), Ensemble([model])
    assert abs(in_several.token_log_probs(IDS)[0] - in_several.token_log_probs(high)[0]).max() > 0.01
    np.testing.assert_array_equal(in_one.token_log_probs(IDS)[0], in_one.token_log_probs(high)[0])


def test_in_several_keys_the_probabilities_of_a_cell_need_not_sum_to_one():
    shares = np.arange(1, 48) / 1128

    def total(semitones: list[int]) -> float:
        lasts = [np.vstack((IDS[:-1], [symbol, *IDS[-1, 1:]])) for symbol in range(47)]
        return sum(np.exp(Ensemble([Says(shares)], semitones).token_log_probs(ids)[-1, 0]) for ids in lasts)

    assert total([0]) == pytest.approx(1)
    # Symbol 46 is asked in its own key alone, and so keeps all of its share; of symbol 1, half is lost.
    assert 1 < total([0, 1]) == pytest.approx(1 + (shares[46] - shares[1]) / 2)


def test_networks_are_asked_in_other_keys_as_if_the_piece_were_written_there():
    model = FrameTransformer(FrameConfig(d_model=12, n_layers=1, n_heads=2, d_feedforward=20, d_voice=14), seed=3)
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(3)  # fresh weights answer nearly alike in all keys
    here, above = (likelihood.token_log_probs(model, np.where(PIECE >= 0, PIECE + key, -1)) for key in (0, 2))
    expected = np.log((np.exp(here) + np.exp(above)) / 2)
    np.testing.assert_allclose(Ensemble([model], [0, 2]).token_log_probs(IDS), expected, rtol=1e-5)
    assert abs(here - above).max() > 1e-3


def test_a_piece_of_rests_alone_is_asked_too():
    answer = Ensemble([Says(np.full(47, 1 / 47))], range(-5, 7)).token_log_probs(np.zeros((2, 4), int))
    np.testing.assert_allclose(answer, -np.log(47))
