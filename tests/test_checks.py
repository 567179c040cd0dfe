"""Refusals that several modules share: arrays of NumPy and tensors of PyTorch are refused alike."""

import numpy as np
import pytest
import torch

from mini_musessl import checks

SHAPE, TEXT = ("batch", "n_steps", 4), ("batch", "time")


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
    ("values", "arguments", "error", "sentence"),
    [
        ([[1, 2]], (47, SHAPE), ValueError, r"\(batch, n_steps, 4\), no axis"),
        ([[[1, 2]]], (47, SHAPE), ValueError, r"found \(1, 1, 2\). For one"),
        ([[]], (47, TEXT), ValueError, r"found \(1, 0\)"),
        ([[0.5]], (47, TEXT), TypeError, "found .*float"),
        ([[True]], (47, TEXT), TypeError, "found .*bool"),
        ([[1, 2]], (47, TEXT, 1), ValueError, "at most context_length = 1 positions; found 2"),
        ([[1, 47]], (47, TEXT), ValueError, r"0\.\.46; found 1\.\.47. Was the music"),
    ],
)
def test_what_is_no_array_of_ids_is_refused(make, values, arguments, error, sentence):
    with pytest.raises(error, match=sentence):
        checks.check_ids("ids", make(values), *arguments)


@pytest.mark.parametrize("make", [np.array, torch.tensor])
def test_what_says_neither_true_nor_false_and_nan_are_refused(make):
    with pytest.raises(TypeError, match="is_hidden must be True or False; found .*int"):
        checks.check_truth("is_hidden", make([0, 1]), (2,))
    with pytest.raises(ValueError, match=r"shape \(2,\); found \(1,\)"):
        checks.check_truth("is_hidden", make([True]), (2,))
    with pytest.raises(FloatingPointError, match="Did training diverge"):
        checks.check_scores(make([0.5, float("nan")]))


def refuse(*arguments):
    raise RuntimeError


class Rude:
    """Is asked in vain for anything."""

    __index__ = __float__ = __repr__ = __array__ = __eq__ = refuse
    __hash__ = None


TORCH = "a torch.Generator on the CPU, .*"


@pytest.mark.parametrize(
    ("check", "arguments", "error", "sentence"),
    [
        ("whole_number", ("n", 1.0, 1), TypeError, "n must be a whole number; found 1.0."),
        ("whole_number", ("n", True, 1), TypeError, "n must be a whole number; found True."),
        ("whole_number", ("n", 0, 1, None, "Give 1."), ValueError, "n must be at least 1; found 0. Give 1."),
        ("whole_number", ("n", 9, 1, 8), ValueError, r"n must lie in 1\.\.8; found 9."),
        ("check_share", ("dropout", 1.0), ValueError, "dropout must be at least 0 and below 1; found 1.0."),
        ("check_share", ("dropout", float("nan")), ValueError, "found nan."),
        ("check_positive", ("l2", 0.0), ValueError, "l2 must be a finite number above 0; found 0.0."),
        ("check_positive", ("l2", float("inf")), ValueError, "found inf."),
        ("check_choice", ("mode", "a", ("b", None)), ValueError, "mode must be one of b, None; found 'a'."),
        ("check_positive", ("l2", "1"), TypeError, "l2 must be a number; found '1'"),
        ("check_positive", ("l2", True), TypeError, "l2 must be a number; found True"),
        ("check_positive", ("l2", np.ones(1)), TypeError, r"l2 must be a number; found array\(\[1\.\]\)"),
        ("check_positive", ("l2", 10**5000), ValueError, "l2 must be a number that a float can hold; found one beyond"),
        ("check_positive", ("l2", bytearray(b"3")), TypeError, "l2 must be a number; found bytearray"),
        ("check_positive", ("l2", torch.tensor(True)), TypeError, r"l2 must be a number; found tensor\(True\)"),
        (
            "check_positive",
            ("l2", torch.empty((), device="meta")),
            TypeError,
            r"l2 must be a number; found tensor\(\.\.",
        ),
        ("check_positive", ("l2", Rude()), TypeError, "l2 must be a number; found a Rude"),
        ("whole_number", ("n", Rude(), 1), TypeError, "n must be a whole number; found a Rude"),
        ("whole_number", ("n", torch.ones(1, dtype=torch.int64), 1), TypeError, r"n .*; found tensor\(\[1\]\)"),
        ("whole_numbers", ("n", torch.ones(2, dtype=torch.bfloat16)), ValueError, "n must be whole numbers in rows"),
        ("whole_numbers", ("n", Rude()), ValueError, "n must be whole numbers in rows of one length; these cannot"),
        ("check_choice", ("mode", np.arange(3), (1, "a")), ValueError, r"mode must be .*; found array\(\[0, 1, 2\]\)"),
        ("check_choice", ("mode", Rude(), ("a",)), ValueError, "mode must be one of a; found a Rude"),
        ("check_pieces", (5,), TypeError, "Pieces come in a list; found 5. Encode the music"),
        ("check_share", ("share", None), TypeError, "share must be a number; found None"),
        ("whole_number", ("n", np.True_, 0), TypeError, "n must be a whole number; found np.True_"),
        ("whole_number", ("n", torch.tensor(True), 0), TypeError, r"n must be a whole number; found tensor\(True\)"),
        ("whole_number", ("n", 10**5000, 0, 9), ValueError, r"n must lie in 0\.\.9; found one of 16610 bits"),
        ("check_pieces", ([[[1], [2, 3]]],), ValueError, "Piece 0 must be whole numbers in rows of one length"),
        (
            "check_ids",
            ("ids", torch.ones(1, 2, dtype=torch.uint16), 5, ("batch", "n_tokens")),
            TypeError,
            r"ids must be int64 or int32 for a network; found torch\.uint16\. Convert them with \.long",
        ),
        ("check_some", (0,), ValueError, "at least one target; found none. Is the batch empty"),
        ("check_list", ("Chorales", "a", str, ""), TypeError, "Chorales come in a list; found one str"),
        ("check_list", ("Chorales", [], str, "Load some."), ValueError, "at least one; found none. Load"),
        ("check_text", ("A tune", b"X:1", "Decode it."), TypeError, "A tune must be text; found bytes. Decode it."),
        ("check_batch", (3, dict, "masked", "masked_batches"), TypeError, "masked needs a dict, .*found int"),
        ("check_pieces", ([],), ValueError, "At least one piece is needed; found none. Is the corpus"),
        ("check_pieces", ([[1], []],), ValueError, r"\(n_tokens,\), at least one; piece 1 has shape \(0,\)"),
        ("check_pieces", ([[0.5]],), ValueError, "piece 0 has shape .* and type float64. Encode the music"),
        ("check_pieces", ([[[1, 2]]], None, 4), ValueError, r"shape \(n_steps, 4\), .*\(1, 2\)"),
        ("check_pieces", ([[1, -1]],), ValueError, r"The token ids of piece 0 must lie in 0\.\..*; found -1\.\.1"),
        ("check_pieces", ([[1, 47]], 47), ValueError, r"of piece 0 must lie in 0\.\.46; found 1\.\.47. Was the"),
        ("check_generator", (0, "draw"), TypeError, "draw draws from a numpy.random.Generator; found int"),
        ("check_torch_generator", (0, "draw"), TypeError, f"{TORCH}; found int"),
        ("check_torch_generator", (np.random.default_rng(0), "draw"), TypeError, f"{TORCH}; found Generator. Pass"),
    ],
)
def test_what_must_not_be_is_refused(check, arguments, error, sentence):
    with pytest.raises(error, match=sentence):
        getattr(checks, check)(*arguments)


def test_text_from_outside_can_be_printed_and_said():
    assert checks.printable("Gr\u00f6\u00dfe \u30bd\u200c") == "Gr\u00f6\u00dfe \u30bd\u200c"
    assert (
        checks.printable("L\udcfcbeck\0") == "L\ufffdbeck"
        and checks.printable("two\r\nlines  here") == "two lines  here"
    )
    assert checks.printable("\x1b[2J\x7f\x9b\ufffe") == "\ufffd[2J\ufffd\ufffd\ufffd"
    assert checks.shown("a" * 200) == "a" * 200 and checks.shown("a" * 9 + "b" * 9, 4) == "aa...bb"


def test_generators_pass():
    checks.check_generator(np.random.default_rng(0), "draw")
    checks.check_torch_generator(torch.Generator(), "draw")
