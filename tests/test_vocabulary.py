"""Tests of vocabularies: ids, families, texts, and the refusal of ids from elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini_musessl.tokenizers.base import Vocabulary

SMALL = Vocabulary((("rest", (None,)), ("pitch", range(60, 64)), ("meter", ("4/4", "3/4"))))


def test_ids_are_consecutive_in_the_order_of_the_families():
    assert SMALL.size == 7
    assert SMALL.tokens(range(7)) == ["rest", "pitch 60", "pitch 61", "pitch 62", "pitch 63", "meter 4/4", "meter 3/4"]


@given(st.lists(st.integers(1, 5), min_size=1, max_size=6))
def test_id_of_undoes_token_and_slices_cover_every_id_once(sizes):
    vocabulary = Vocabulary(tuple((f"family{i}", range(10, 10 + size)) for i, size in enumerate(sizes)))
    ids = [vocabulary.id_of(name, value) for name, values in vocabulary.families for value in values]
    assert ids == list(range(vocabulary.size))
    covered = [np.arange(vocabulary.size)[vocabulary.slice_of(name)] for name in vocabulary.names]
    assert np.concatenate(covered).tolist() == ids


def test_family_of_agrees_with_the_text_of_each_token_and_keeps_the_shape():
    ids = np.arange(6).reshape(2, 3)
    families = SMALL.family_of(ids)
    assert families.shape == (2, 3)
    assert families.reshape(-1).tolist() == [SMALL.token(i).split()[0] for i in range(6)]


def test_table_shows_first_last_count_and_example():
    lines = [line.split() for line in SMALL.table().splitlines()]
    assert lines[0] == ["family", "first", "last", "count", "example"]
    assert lines[2] == ["pitch", "1", "4", "4", "pitch", "60"]


def test_values_come_in_order_of_id():
    assert SMALL.values_of("pitch").tolist() == [60, 61, 62, 63]


@pytest.mark.parametrize("bad_id", [-1, 7])
def test_an_id_outside_is_refused_by_name_and_place(bad_id):
    with pytest.raises(ValueError, match=rf"must lie in 0\.\.6; found {bad_id} at index 1"):
        SMALL.check([0, bad_id])
    with pytest.raises(ValueError, match=rf"must lie in 0\.\.6; found {bad_id}\."):
        SMALL.token(bad_id)
    with pytest.raises(ValueError, match=rf"found {bad_id} at index \(0, 1\)"):
        SMALL.family_of([[0, bad_id]])


def test_fractions_are_refused_as_ids():
    with pytest.raises(TypeError, match=r"whole numbers; found an array of float64\. Are these logits"):
        SMALL.check([0.0, 1.0])
    with pytest.raises(TypeError, match="whole numbers; found an array of bool"):
        SMALL.family_of([True])


def test_no_ids_are_fine():
    assert SMALL.check([]).shape == (0,)
    assert SMALL.family_of([]).shape == (0,)
    assert SMALL.tokens([]) == []


def test_an_unknown_family_or_value_is_refused():
    with pytest.raises(ValueError, match="families are rest, pitch, meter; found 'velocity'"):
        SMALL.id_of("velocity", 3)
    with pytest.raises(ValueError, match="'pitch' holds 4 values from 60 to 63; found 64"):
        SMALL.id_of("pitch", 64)
    with pytest.raises(ValueError, match="'rest' holds the value None alone; found 3"):
        SMALL.id_of("rest", 3)


def test_families_must_have_values_and_names_of_their_own():
    with pytest.raises(ValueError, match="at least one family"):
        Vocabulary(())
    with pytest.raises(ValueError, match=r"each name once; found \['a', 'a'\]"):
        Vocabulary((("a", (1,)), ("a", (2,))))
    with pytest.raises(ValueError, match="family 'a' has 0 values"):
        Vocabulary((("a", ()),))
    with pytest.raises(ValueError, match="family 'a' has 2 values, 1 of them different"):
        Vocabulary((("a", (1, 1)),))


def test_equal_vocabularies_are_equal_and_hash_alike():
    again = Vocabulary((("rest", (None,)), ("pitch", (60, 61, 62, 63)), ("meter", ("4/4", "3/4"))))
    assert again == SMALL
    assert hash(again) == hash(SMALL)


@pytest.mark.parametrize(
    "family", ["ab", ("pitch",), (1, (2, 3)), ("pitch", "abc"), ("pitch", (60,), 3), 7, ("pitch", ([60], [61]))]
)
def test_a_family_of_another_form_is_refused(family):
    with pytest.raises(TypeError, match="family"):
        Vocabulary((family,))


def test_a_token_is_named_one_at_a_time_and_a_row_as_a_row():
    vocabulary = Vocabulary((("rest", (None,)), ("pitch", range(60, 72))))
    assert vocabulary.tokens(range(vocabulary.size)) == [vocabulary.token(i) for i in range(vocabulary.size)]
    assert vocabulary.tokens(np.array([], int)) == []
    with pytest.raises(ValueError, match=r"A token has one id; found shape \(2,\)"):
        vocabulary.token([0, 1])
    with pytest.raises(ValueError, match=r"must be one row; found shape \(1, 2\)"):
        vocabulary.tokens([[0, 1]])
    with pytest.raises(TypeError, match="found lists of unequal length"):
        vocabulary.check([[0], [0, 1]])


def test_values_of_several_kinds_stay_what_they_are():
    vocabulary = Vocabulary((("pitch", ("none", 60, 61)),))
    assert vocabulary.values_of("pitch").tolist() == ["none", 60, 61]
