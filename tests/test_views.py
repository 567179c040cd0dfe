"""Two views of a window: each takes away what it says, and nothing else; what it refuses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini_musessl.batches import FrameBatch, random_frame_batches
from mini_musessl.objectives.contrastive import Views, hear, make_views

N_STEPS = 24
ALONE = dict(transposes=False, crops=False, drops_voices=False, semitones=range(1), n_crop_steps=16)


def only(name: str, **settings) -> Views:
    """Return one view alone, without augmentation."""
    return Views(**{**ALONE, name: True, **settings})


def draw(n_windows: int = 6, seed: int = 0) -> FrameBatch:
    """Return windows whose cells are all different in a step, some with padding, and with rests."""
    generator = np.random.default_rng(seed)
    pieces = [generator.integers(12, 34, (n_steps, 4)) for n_steps in (60, 20, 9, 31)]
    for ids in pieces:
        ids[3] = 0
    return next(random_frame_batches(pieces, n_windows, N_STEPS, generator, semitones=range(1)))


def rng(seed: int = 3) -> np.random.Generator:
    """Return a source of chance."""
    return np.random.default_rng(seed)


def test_a_crop_is_a_stretch_of_the_window_at_the_step_that_it_names():
    batch = draw()
    pair = make_views(batch, only("crops"), rng())
    assert pair.frames.shape == (2, 6, 16, 4)
    for view, row in np.ndindex(2, 6):
        offset = pair.start_step[view, row] - batch.start_step[row]
        np.testing.assert_array_equal(pair.frames[view, row], batch.frames[row, offset : offset + 16])
        np.testing.assert_array_equal(pair.is_padding[view, row], batch.is_padding[row, offset : offset + 16])
    assert (pair.start_step[0] != pair.start_step[1]).any()


@given(st.integers(0, 10_000))
def test_a_crop_reaches_into_padding_only_where_the_music_is_too_short(seed):
    batch = draw(seed=seed)
    n_there = (~batch.is_padding).sum(axis=1)
    shown = (~make_views(batch, only("crops"), rng(seed)).is_padding).sum(axis=2)
    np.testing.assert_array_equal(shown, np.tile(np.minimum(n_there, 16), (2, 1)))


def test_every_place_of_a_crop_is_drawn():
    batch = FrameBatch(*(np.repeat(array[:1], 400, axis=0) for array in vars(draw()).values()))
    batch = replace(batch, is_padding=np.zeros_like(batch.is_padding))
    offset = make_views(batch, only("crops"), rng()).start_step - batch.start_step
    assert set(offset.ravel().tolist()) == set(range(N_STEPS - 16 + 1))


def test_transposition_moves_the_pitches_of_each_view_by_its_own_interval():
    batch = draw()
    pair = make_views(batch, only("transposes", semitones=range(-5, 7)), rng())
    is_pitch = (batch.frames > 0) & ~batch.is_padding[..., None]
    moved = pair.frames - batch.frames
    np.testing.assert_array_equal(moved, is_pitch * pair.semitones[:, :, None, None])
    assert (pair.semitones[0] != pair.semitones[1]).any()
    assert pair.frames.min() >= 0 and pair.frames.max() <= 46


def test_without_that_view_both_views_are_moved_alike():
    pair = make_views(draw(40), only("crops", semitones=range(-5, 7)), rng())
    np.testing.assert_array_equal(pair.semitones[0], pair.semitones[1])
    assert len(set(pair.semitones[0].tolist())) > 5


def test_an_interval_is_drawn_from_those_that_the_window_allows():
    batch = draw(1)
    high = replace(batch, frames=np.where(batch.frames > 0, 45, 0), is_padding=np.zeros_like(batch.is_padding))
    views = only("transposes", semitones=range(-1, 7))
    found = {tuple(make_views(high, views, rng(seed)).semitones[:, 0].tolist()) for seed in range(60)}
    assert found == {(a, b) for a in (-1, 0, 1) for b in (-1, 0, 1)}


@pytest.mark.parametrize("n_dropped", [1, 2])
def test_the_two_views_hide_different_voices_whole(n_dropped):
    batch = draw(60)
    pair = make_views(batch, only("drops_voices", n_dropped_voices=n_dropped), rng())
    is_there = ~pair.is_padding[..., None]
    is_voice_hidden = (pair.is_hidden | ~is_there).all(axis=2)
    assert (is_voice_hidden.sum(axis=2) == n_dropped).all()
    np.testing.assert_array_equal(pair.is_hidden, is_voice_hidden[:, :, None] & is_there)
    assert not (is_voice_hidden[0] & is_voice_hidden[1]).any()
    assert is_voice_hidden.any(axis=1).all(), "each voice is hidden now and then, in either view"
    np.testing.assert_array_equal(pair.frames, np.stack([batch.frames] * 2))


def test_a_view_that_is_switched_off_takes_nothing_away():
    batch = draw()
    for name in ("transposes", "crops", "drops_voices"):
        views = only(name) if name != "transposes" else only(name, semitones=range(-2, 3))
        pair = make_views(batch, views, rng())
        assert pair.is_hidden.any() == (name == "drops_voices")
        assert pair.semitones.any() == (name == "transposes")
        assert (pair.frames.shape[2] == N_STEPS) == (name != "crops")


def test_the_same_seed_gives_the_same_views_and_leaves_the_window_alone():
    batch = draw()
    before = batch.frames.copy()
    once, again = (make_views(batch, Views(n_crop_steps=16), rng()) for _ in range(2))
    for name, array in vars(once).items():
        np.testing.assert_array_equal(array, getattr(again, name))
    np.testing.assert_array_equal(batch.frames, before)
    assert not np.array_equal(once.frames, make_views(batch, Views(n_crop_steps=16), rng(4)).frames)


def test_a_view_is_heard_without_what_it_hides_and_without_padding():
    pair = make_views(draw(40), Views(n_crop_steps=16), rng())
    row = int(np.argmax(pair.is_padding[0].any(axis=1)))
    heard = hear(pair, 0, row)
    n_there = int((~pair.is_padding[0, row]).sum())
    assert heard.shape == (n_there, 4) and n_there < 16
    is_hidden = pair.is_hidden[0, row, :n_there]
    assert (heard[is_hidden] == 0).all()
    np.testing.assert_array_equal(heard[~is_hidden], pair.frames[0, row, :n_there][~is_hidden])
    with pytest.raises(IndexError, match=r"view must lie in 0\.\.1; found 2"):
        hear(pair, 2, 0)
    with pytest.raises(IndexError, match=r"window must lie in 0\.\.39; found -1"):
        hear(pair, 0, -1)


def test_no_view_at_all_is_refused():
    with pytest.raises(ValueError, match="At least one view must be switched on; .* the same teach nothing"):
        Views(**ALONE)


def test_transposition_by_nothing_is_refused():
    with pytest.raises(ValueError, match=r"two intervals to choose from; found semitones=range\(0, 1\)"):
        Views(semitones=range(1))


@pytest.mark.parametrize("n_steps", [16, 9])
def test_a_window_shorter_than_a_view_is_refused(n_steps):
    batch = next(random_frame_batches([np.full((60, 4), 20)], 2, n_steps, rng()))
    with pytest.raises(ValueError, match=f"longer than a view .* windows of {n_steps} steps and views of 16"):
        make_views(batch, only("crops"), rng())


def test_settings_out_of_range_are_refused():
    with pytest.raises(ValueError, match="n_dropped_voices must lie in 1..2; found 3. Two views hide different"):
        Views(n_dropped_voices=3)
    with pytest.raises(ValueError, match="n_crop_steps must be at least 1; found 0"):
        Views(n_crop_steps=0)
    with pytest.raises(TypeError, match="crops must be True or False; found 32"):
        Views(crops=32)


def test_another_kind_of_batch_or_chance_is_refused():
    with pytest.raises(TypeError, match="make_views needs a FrameBatch, .*; found ndarray"):
        make_views(draw().frames, Views(), rng())
    with pytest.raises(TypeError, match=r"make_views draws from a numpy.random.Generator; found int"):
        make_views(draw(), only("crops"), 3)
