"""Refusals that several modules share: arrays of NumPy and tensors of PyTorch are refused alike."""

import numpy as np
import pytest
import torch

from mini_musessl import checks

SHAPE = ("batch", "n_steps", 4)


def test_whole_numbers_of_any_kind_pass():
    assert checks.whole_number("n", np.int16(8), lowest=1) == 8
    assert checks.whole_numbers("n", [[1.0, -2.0]]).tolist() == [[1, -2]]
    assert checks.whole_numbers("n", []).dtype == np.int64


@pytest.mark.parametrize("make", [np.array, torch.tensor])
def test_ids_and_truth_values_pass_as_arrays_and_as_tensors(make):
    checks.check_ids("frames", make([[[0, 46, 3, 4]]]), 47, SHAPE, longest=1)
    checks.check_ids("frames", make([[[-1, 46, 3, 4]]]), 47, SHAPE, lowest=-1)
    checks.check_truth("is_hidden", make([True, False]), (2,))
    checks.check_scores(make([0.5, float("-inf")]))


@pytest.mark.parametrize("make", [np.array, torch.tensor])
@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (
            lambda make: checks.check_ids("ids", make([[1, 2]]), 47, SHAPE),
            ValueError,
            r"\(batch, n_steps, 4\), no axis",
        ),
        (lambda make: checks.check_ids("ids", make([[[1, 2]]]), 47, SHAPE), ValueError, r"found \(1, 1, 2\). For one"),
        (lambda make: checks.check_ids("ids", make([[]]), 47, ("batch", "time")), ValueError, r"found \(1, 0\)"),
        (lambda make: checks.check_ids("ids", make([[0.5]]), 47, ("batch", "time")), TypeError, "found .*float"),
        (lambda make: checks.check_ids("ids", make([[True]]), 47, ("batch", "time")), TypeError, "found .*bool"),
        (
            lambda make: checks.check_ids("ids", make([[1, 2]]), 47, ("batch", "time"), 1),
            ValueError,
            "at most context_",
        ),
        (
            lambda make: checks.check_ids("ids", make([[1, 47]]), 47, ("batch", "time")),
            ValueError,
            r"0\.\.46; found 1\.\.47",
        ),
        (
            lambda make: checks.check_truth("is_hidden", make([0, 1]), (2,)),
            TypeError,
            "must be True or False; found .*int",
        ),
        (lambda make: checks.check_truth("is_hidden", make([True]), (2,)), ValueError, r"shape \(2,\); found \(1,\)"),
        (lambda make: checks.check_scores(make([0.5, float("nan")])), FloatingPointError, "Did training diverge"),
    ],
)
def test_arrays_and_tensors_are_refused_alike(make, call, error, sentence):
    with pytest.raises(error, match=sentence):
        call(make)


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda: checks.whole_number("n", 1.0, 1), TypeError, "n must be a whole number; found 1.0."),
        (lambda: checks.whole_number("n", True, 1), TypeError, "n must be a whole number; found True."),
        (
            lambda: checks.whole_number("n", 0, 1, advice="Give 1."),
            ValueError,
            "n must be at least 1; found 0. Give 1.",
        ),
        (lambda: checks.whole_number("n", 9, 1, 8), ValueError, r"n must lie in 1\.\.8; found 9."),
        (lambda: checks.check_share("dropout", 1.0), ValueError, "dropout must be at least 0 and below 1; found 1.0."),
        (lambda: checks.check_share("dropout", float("nan")), ValueError, "found nan."),
        (lambda: checks.check_positive("l2", 0.0), ValueError, "l2 must be a finite number above 0; found 0.0."),
        (lambda: checks.check_positive("l2", float("inf")), ValueError, "found inf."),
        (lambda: checks.check_choice("mode", "a", ("b", None)), ValueError, "mode must be one of b, None; found 'a'."),
        (lambda: checks.check_some(0), ValueError, "at least one target; found none. Is the batch empty"),
        (lambda: checks.check_list("Chorales", "a", str, ""), TypeError, "Chorales come in a list; found one str"),
        (lambda: checks.check_list("Chorales", [], str, "Load some."), ValueError, "at least one; found none. Load"),
        (
            lambda: checks.check_batch(3, dict, "masked", "masked_batches"),
            TypeError,
            "masked needs a dict, .*found int",
        ),
        (lambda: checks.check_pieces([]), ValueError, "At least one piece is needed; found none. Is the corpus"),
        (lambda: checks.check_pieces([[1], []]), ValueError, r"\(n_tokens,\), at least one; piece 1 has shape \(0,\)"),
        (lambda: checks.check_pieces([[0.5]]), ValueError, "piece 0 has shape .* and type float64. Encode the music"),
        (lambda: checks.check_pieces([[[1, 2]]], n_voices=4), ValueError, r"shape \(n_steps, 4\), .*\(1, 2\)"),
        (lambda: checks.check_pieces([[1, -1]]), ValueError, r"must be 0 or more; piece 0 has -1\.\.1. Was the"),
        (lambda: checks.check_pieces([[1, 47]], 47), ValueError, r"must lie in 0\.\.46; piece 0 has 1\.\.47"),
        (lambda: checks.check_generator(0, "draw"), TypeError, "draw draws from a numpy.random.Generator; found int"),
        (lambda: checks.check_torch_generator(0, "draw"), TypeError, "torch.Generator on the CPU, .*; found int"),
        (
            lambda: checks.check_torch_generator(np.random.default_rng(0), "draw"),
            TypeError,
            "found Generator. Pass torch",
        ),
    ],
)
def test_what_must_not_be_is_refused(call, error, sentence):
    with pytest.raises(error, match=sentence):
        call()


def test_generators_pass():
    checks.check_generator(np.random.default_rng(0), "draw")
    checks.check_torch_generator(torch.Generator(), "draw")
