"""The checker of array annotations finds what it is for, and leaves refusals alone."""

from typing import Any

import numpy as np
import pytest
from jaxtyping import Float, TypeCheckError, jaxtyped
from shape_check import after_the_call, speaks_of_shape


@jaxtyped(typechecker=after_the_call)
def swap(table: Float[np.ndarray, "rows columns"], factor: int = 1) -> Float[np.ndarray, "columns rows"]:
    if table.shape[0] == 1:
        raise ValueError("A table needs two rows.")
    return table.T if factor else table


def test_a_call_that_keeps_its_annotations_passes():
    assert swap(np.zeros((2, 3))).shape == (3, 2)


def test_a_result_with_swapped_axes_is_found():
    with pytest.raises(TypeCheckError, match="return value"):
        swap(np.zeros((2, 3)), factor=0)


def test_an_argument_of_another_rank_that_is_accepted_is_found():
    with pytest.raises(TypeCheckError):
        swap(np.zeros((2, 3, 4)))


def test_the_functions_own_refusal_is_heard_first():
    with pytest.raises(ValueError, match="A table needs two rows"):
        swap(np.zeros((1, 3), dtype=int))


def test_an_annotation_without_a_shape_is_left_to_readers():
    assert swap(np.zeros((2, 3)), factor=np.int64(1)).shape == (3, 2)
    assert speaks_of_shape(tuple[Float[np.ndarray, "n_rows n_columns"], int] | None)
    assert not speaks_of_shape(dict[str, Any])


def test_the_library_is_checked_in_this_test_run():
    from mini_musessl import music

    assert hasattr(music.make_notes, "__wrapped__"), "pyproject.toml must hand mini_musessl to jaxtyping's import hook"
