"""The solutions of chapter 8a agree with PyTorch and with the library that they explain."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from mini_musessl.exercises import EXERCISES, judge, repair
from mini_musessl.network.attention import causal_mask
from mini_musessl.objectives.next_token import token_cross_entropy


def random_log_probs(n_notes: int, n_symbols: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n_notes, n_symbols, generator=torch.Generator().manual_seed(seed)).log_softmax(-1)


def test_next_note_nats_are_the_librarys_loss_after_a_shift():
    log_probs, ids = random_log_probs(6, 9), torch.tensor([8, 0, 3, 3, 1, 5])
    expected = token_cross_entropy(log_probs[None, :-1], ids[None, 1:])
    assert repair.next_note_nats(log_probs.numpy(), ids.numpy()) == pytest.approx(expected.item(), abs=1e-6)


@pytest.mark.parametrize("n_notes", [1, 2, 7])
def test_the_hidden_notes_are_those_of_pytorch_and_not_those_of_the_library(n_notes):
    hidden = torch.from_numpy(repair.is_hidden(n_notes))
    assert torch.equal(hidden, nn.Transformer.generate_square_subsequent_mask(n_notes, dtype=torch.bool))
    assert torch.equal(hidden, ~causal_mask(n_notes, n_notes))


def test_nats_without_padding_are_those_that_pytorch_counts():
    log_probs, targets = random_log_probs(8, 5).reshape(2, 4, 5), torch.tensor([[1, 2, 0, 4], [3, -100, -100, -100]])
    nats = nn.functional.cross_entropy(log_probs.transpose(1, 2), targets, ignore_index=-100, reduction="none")
    expected = nn.functional.cross_entropy(log_probs.transpose(1, 2), targets, ignore_index=-100)
    assert repair.nats_without_padding(nats.numpy(), np.array([4, 1])) == pytest.approx(expected.item(), abs=1e-6)


def test_more_padding_changes_nothing():
    nats, n_notes = np.array([[1.0, 2.0], [3.0, 9.0]]), np.array([2, 1])
    longer = np.pad(nats, ((0, 0), (0, 5)))
    assert repair.nats_without_padding(longer, n_notes) == repair.nats_without_padding(nats, n_notes) == 2.0


def ids_in_a_new_python(function: str, hash_seed: int) -> str:
    code = f"from mini_musessl.exercises import repair; print(repair.{function}(list('GAFEDCB'), list('ABCDEFG')))"
    environment = {"PYTHONHASHSEED": str(hash_seed), "PYTHONPATH": ":".join(sys.path)}
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True).stdout


def test_sorted_ids_are_the_same_in_every_run_and_those_of_a_set_are_not():
    assert ids_in_a_new_python("encode_notes", 1) == ids_in_a_new_python("encode_notes", 2) == "[1, 2, 3, 4, 5, 6, 7]\n"
    assert ids_in_a_new_python("_encode_by_set", 1) != ids_in_a_new_python("_encode_by_set", 2)


def test_an_encoded_batch_is_what_batch_first_means():
    torch.manual_seed(0)
    time_first, batch_first = (nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=is_so) for is_so in (False, True))
    batch_first.load_state_dict(time_first.state_dict())
    features = np.random.default_rng(0).normal(size=(3, 5, 8)).astype(np.float32)
    found = repair.encode_batch(lambda array: time_first(torch.from_numpy(array.copy())).detach().numpy(), features)
    np.testing.assert_allclose(found, batch_first(torch.from_numpy(features)).detach(), atol=1e-5)


def test_only_places_before_the_encoder_tell_a_tune_from_its_notes_shuffled():
    rng = np.random.default_rng(0)
    notes, places = rng.normal(size=(7, 3)), rng.normal(size=(8, 3))
    tune, shuffled = np.array([0, 1, 2, 3]), np.array([2, 1, 0, 3])

    def last(function, ids):
        return function(repair._look_around, ids, notes, places)[-1]

    for blind in EXERCISES["8a.6"].mistakes[:3]:  # no places, places after the encoder, places by the note
        np.testing.assert_allclose(last(blind.answer, tune), last(blind.answer, shuffled))
    assert np.abs(last(repair.encode_in_order, tune) - last(repair.encode_in_order, shuffled)).max() > 0.01


def test_a_note_hidden_from_itself_makes_the_first_row_not_a_number():
    hidden_self = EXERCISES["8a.2"].mistakes[2].answer(3)
    scores = torch.zeros(3, 3).masked_fill(torch.from_numpy(hidden_self), -torch.inf)
    assert scores.softmax(-1)[0].isnan().all()


def test_an_unknown_name_that_stops_the_answer_is_reported_with_its_line():
    def by_index(train, notes):
        order = sorted(set(train))
        return [order.index(name) + 1 for name in notes]

    verdict = judge(EXERCISES["8a.4"], by_index)
    assert "For the first melody your function stops with ValueError: 'C6' is not in list." in verdict
    assert "`return [order.index(name) + 1 for name in notes]`" in verdict
