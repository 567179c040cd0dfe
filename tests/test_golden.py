"""What the library computes is what it computed when golden/golden.json was written: one test a part."""

import golden
import pytest


@pytest.fixture(name="kept", scope="module")
def load_kept():
    return golden.load_golden()


@pytest.mark.parametrize("part", golden.PARTS)
def test_nothing_that_is_computed_has_moved(part, kept, chorales_cache):
    if reason := golden.why_skip(part, kept["machine"]):
        pytest.skip(reason)
    wrong = golden.wrong_entries(part, kept[part], golden.compute(part))
    assert not wrong, f"{len(wrong)} entries of {part} differ:\n" + "\n".join(wrong[:20])


def test_the_file_holds_every_part(kept):
    assert list(kept) == ["machine", *golden.PARTS]


def test_the_last_bits_of_networks_are_compared_on_a_machine_like_the_files_alone():
    here = golden.machine()
    assert [part for part in golden.PARTS if golden.why_skip(part, here)] == []
    for name in here:
        other = here | {name: "other"}
        assert [part for part in golden.PARTS if golden.why_skip(part, other)] == list(golden.MACHINE_PARTS)
        assert f"{name} other" in golden.why_skip("networks", other)


def test_a_difference_is_named_by_its_entry():
    kept = {"a": {"b": [1.0, "x"]}, "c": 2, "d": None}
    assert list(golden.differences(kept, {"a": {"b": [1.0 + 1e-9, "x"]}, "c": 2, "d": None})) == []
    found = {"a": {"b": [1.1, "y"]}, "c": 3, "e": 0}
    assert list(golden.differences(kept, found)) == [
        "/a/b[0]: kept 1.0, found 1.1",
        "/a/b[1]: kept 'x', found 'y'",
        "/c: kept 2, found 3",
        "/d: is gone",
        "/e: is new",
    ]


def test_an_output_may_come_in_between_but_none_may_go():
    kept = {"one": ["a", "b", "c"]}
    assert list(golden.outputs_gone(kept, {"one": ["a", "new", "b", "c"], "two": ["d"]})) == []
    assert list(golden.outputs_gone(kept, {"one": ["b", "a", "c"]})) == [("one", "b")]
    assert list(golden.outputs_gone(kept, {})) == [("one", "a"), ("one", "b"), ("one", "c")]
