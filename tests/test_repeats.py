"""repeats and network.mixture: a fast search finds what a slow one finds, looks at nothing to come, is mixed in."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from mini_musessl.batches import random_frame_batches
from mini_musessl.evaluation.likelihood import token_log_probs
from mini_musessl.generation.sampling import FrameDecoder
from mini_musessl.network.frames import FrameConfig, FrameTransformer, history_of
from mini_musessl.objectives.next_token import CopyBatch, copy_batches, next_frame_loss
from mini_musessl.repeats import (
    BAR,
    GUIDES,
    N_FRESH,
    N_KINDS,
    NOTHING,
    Copies,
    RepeatFinder,
    copies_of_pieces,
    find_copies,
    transpose_copied,
)

SMALL = FrameConfig(
    d_model=24,
    n_layers=2,
    n_heads=3,
    d_feedforward=40,
    d_voice=28,
    context_length=20,
    uses_copies=True,
    uses_counterpoint=True,
)
LONGEST, OPENING, LINE = range(3)


def make(context_length=20):
    model = FrameTransformer(replace(SMALL, context_length=context_length), seed=3).eval()
    generator = torch.Generator().manual_seed(1)
    for weight in model.parameters():
        weight.data.copy_(0.3 * torch.randn(weight.shape, generator=generator))
    return model


def music(n_steps, seed=0):
    """Few pitches, mostly held, and the first bars again in the middle."""
    generator = np.random.default_rng(seed)
    frames = generator.integers(20, 23, (n_steps, 4))
    for step in range(1, n_steps):
        frames[step] = np.where(generator.random(4) < 0.6, frames[step - 1], frames[step])
    middle = n_steps // 2 // BAR * BAR
    frames[middle : 2 * middle - 5] = frames[: middle - 5]
    return frames


def match_length(lines, place, step):
    """Count how many frames before a place are those before a step."""
    length = 0
    while length < place and (lines[place - 1 - length] == lines[step - 1 - length]).all():
        length += 1
    return length


def best_place(lines, step):
    """Return the place of the longest match, then the one most in time, then the latest."""

    def rank(place):
        back = step - place
        return match_length(lines, place, step), (back % 4 == 0) + (back % 16 == 0), place

    return max(range(step), key=rank)


def test_the_search_finds_what_a_double_loop_finds():
    frames = music(80)
    copied, kind, length = (said[0] for said in find_copies(frames[None]))
    assert (copied[0] == NOTHING).all()
    for step in range(1, 80):
        place = best_place(frames, step)
        assert copied[step, LONGEST].tolist() == frames[place].tolist()
        assert length[step, LONGEST] == match_length(frames, place, step)
        for voice in range(4):
            assert copied[step, LINE, voice] == frames[best_place(frames[:, [voice]], step), voice]
    assert kind.min() >= 0 and kind.max() < N_KINDS


def test_the_opening_is_followed_from_its_beginning_until_the_music_departs():
    frames = music(80)
    middle, end = 32, 59
    copied, kind, length = (said[0, :, OPENING] for said in find_copies(frames[None]))
    assert (copied[:BAR] == NOTHING).all()
    assert (copied[middle : end + 1] == frames[: end + 1 - middle]).all()
    assert (kind[middle] < N_FRESH).all() and (kind[middle + 1 : end + 1] >= N_FRESH).all()
    assert length[middle : end + 1].tolist() == list(range(end + 1 - middle))
    later = find_copies(frames[None], first_step=5)
    assert (later.copied[:, :, OPENING] == NOTHING).all()


@pytest.mark.parametrize("step", [1, 17, 40, 79])
def test_no_guide_looks_at_the_present_or_the_future(step):
    frames = music(80)
    changed = frames.copy()
    changed[step:] = 40
    for before, after in zip(find_copies(frames[None]), find_copies(changed[None]), strict=True):
        assert np.array_equal(before[:, : step + 1], after[:, : step + 1])


def test_reading_in_parts_equals_reading_the_whole_and_rows_may_change_places():
    frames = np.stack([music(60), music(60, seed=1)])
    whole, finder = find_copies(frames), RepeatFinder(2, 4)
    finder.read(frames[:, :20])
    finder.keep_rows(np.array([1, 1]))
    said = finder.read(frames[[1, 1], 20:59])
    for found, expected in zip(said, whole, strict=True):
        assert np.array_equal(found, expected[[1, 1], 20:])


def test_company_and_padding_change_nothing():
    pieces = [music(n_steps, seed) for seed, n_steps in enumerate((70, 33, 52))]
    for piece, said in zip(pieces, copies_of_pieces(pieces, n_rows=2), strict=True):
        for found, expected in zip(said, find_copies(piece[None]), strict=True):
            assert np.array_equal(found, expected[0])


def test_what_is_copied_moves_with_the_window_and_leaves_the_vocabulary():
    assert transpose_copied(torch.tensor([NOTHING, 0, 3, 45]), torch.tensor(-3), 47).tolist() == [-1, 0, -1, 42]
    pieces = [music(90, seed) for seed in range(3)]
    batches = random_frame_batches(pieces, 6, 30, np.random.default_rng(0))
    batch = next(copy_batches(batches, pieces))
    assert isinstance(batch, CopyBatch) and batch.copied.shape == (6, 30, len(GUIDES), 4)
    for row, (piece, start) in enumerate(zip(batch.piece_index, batch.start_step, strict=True)):
        shift = batch.frames[row, 0, 0] - pieces[piece][start, 0]
        expected = find_copies(pieces[piece][None] + shift).copied[0, start : start + 30]
        assert np.array_equal(batch.copied[row], expected)


def mixture_by_definition(own, copying, copies, frames, step):
    """Return the probabilities of each voice of a step from those of whole frames, which the guides share out."""
    nats = [-sum(math.log(own[s, v, frames[s, v]]) for v in range(4)) for s in range(step)]
    weights, chosen = [1.0], [None]
    for guide in range(2):
        kind, length = copies.kind[step, guide, 0], copies.length[step, guide]
        number = -4 + 3 * float(copying.table.weight[guide * N_KINDS + kind])
        number += (1 + float(copying.trust[guide])) * min(sum(nats[max(step - length, 0) :]), 20)
        if (copies.copied[step, guide] != NOTHING).all():
            weights.append(math.exp(number))
            chosen.append(copies.copied[step, guide])
    found = np.zeros(own[step].shape)
    for voice in range(4):
        for weight, copied in zip(weights, chosen, strict=True):
            if copied is None:
                above = math.prod(own[step, v, frames[step, v]] for v in range(voice))
                found[voice] += weight * above * own[step, voice]
            elif (copied[:voice] == frames[step, :voice]).all():
                found[voice, copied[voice]] += weight
    return found / found.sum(axis=1, keepdims=True)


@torch.no_grad()
def test_frames_are_a_mixture_of_the_network_and_of_what_each_guide_would_sing():
    model, frames = make(40), music(40)
    given, copies = torch.from_numpy(frames)[None], Copies(*(said[0] for said in find_copies(frames[None])))
    history = history_of(given, None, model.config.begin_id, Copies(*(torch.from_numpy(each)[None] for each in copies)))
    head = model.head
    own = head.score(head.prepare(model.read(history), history), given, range(4))[0].exp().double().numpy()
    mixed = model(given)[0].exp().numpy()
    assert (copies.copied[:, :2] == frames[:, None]).all(axis=2).any(axis=0).all()  # each guide is right somewhere,
    assert (copies.copied[:, LONGEST, 0] != frames[:, 0]).any()  # and contradicted
    for step in range(40):
        expected = mixture_by_definition(own, head.copying, copies, frames, step)
        np.testing.assert_allclose(mixed[step], expected, rtol=1e-3, atol=1e-6)


def test_pieces_shorter_than_a_window_are_padded():
    pieces = [music(12), music(15, seed=1)]
    batch = next(copy_batches(random_frame_batches(pieces, 3, 20, np.random.default_rng(0)), pieces))
    assert batch.copied.shape == batch.kind.shape == (3, 20, len(GUIDES), 4) and batch.length.shape == (3, 20, 2)
    next_frame_loss(make(), batch)


def test_mixture_and_counterpoint_begin_at_nothing_and_learn():
    model = FrameTransformer(SMALL, seed=0)
    learned = {name: weight for name, weight in model.named_parameters() if "copying" in name or "counterp" in name}
    assert learned and all((weight == 0).all() for weight in learned.values())
    pieces = [music(18)]
    loss, _ = next_frame_loss(
        model, next(copy_batches(random_frame_batches(pieces, 2, 18, np.random.default_rng(0)), pieces))
    )
    loss.backward()
    assert all(weight.grad.abs().max() > 0 for weight in learned.values())


@torch.no_grad()
def test_without_copies_a_network_looks_among_its_own_frames():
    frames = torch.from_numpy(music(20))[None]
    copies = Copies(*(torch.from_numpy(said) for said in find_copies(frames.numpy())))
    torch.testing.assert_close(make()(frames), make()(frames, None, copies))


@torch.no_grad()
def test_writing_on_beyond_the_context_scores_as_the_whole_piece_is_scored():
    """What guides say comes from the whole piece, whatever window the stack reads."""
    model, frames = make(), music(20 + 9)
    expected = token_log_probs(model, np.where(frames > 0, frames + 35, -1))
    decoder = FrameDecoder(model, torch.zeros(1, 0, 4, dtype=torch.long), 0)
    for step in range(20):
        for voice in range(4):
            log_probs = decoder.next_logits().log_softmax(dim=-1)
            assert log_probs[0, frames[step, voice]] == pytest.approx(expected[step, voice], abs=1e-4)
            decoder.append(torch.tensor([frames[step, voice]]))
    whole = find_copies(frames[None])
    for step in range(20, 29):
        decoder.next_logits()
        assert np.array_equal(decoder._cache.history.copies.copied[0, 0], whole.copied[0, step])
        for voice in range(4):
            decoder.append(torch.tensor([frames[step, voice]]))


@torch.no_grad()
def test_reading_with_a_cache_equals_reading_the_whole():
    model, frames = make(), torch.from_numpy(np.stack([music(20), music(20, seed=1)]))
    whole, cache = model(frames), model.start_cache(2)
    model.read_next(cache, frames[:, :0])
    for step in range(20):
        for voice in range(4):
            alone = model.score_next(cache, frames[:, step : step + 1, :voice])
            torch.testing.assert_close(alone, whole[:, step, voice], rtol=1e-4, atol=1e-4)
        if step < 19:
            model.read_next(cache, frames[:, step : step + 1])


@torch.no_grad()
def test_voices_that_were_tried_and_not_taken_leave_nothing_behind():
    model, frames = make(), torch.from_numpy(np.stack([music(20), music(20, seed=1)]))
    whole, cache = model(frames), model.start_cache(2)
    model.read_next(cache, frames[:, :9])
    for voice in (0, 1, 3, 2, 3):
        model.score_next(cache, frames[:, 9:10, :voice] + 1)
    for voice in (2, 3):
        alone = model.score_next(cache, frames[:, 9:10, :voice])
        torch.testing.assert_close(alone, whole[:, 9, voice], rtol=1e-4, atol=1e-4)
    model.score_next(cache, frames[:, 9:10, :3] + 1)
    for start, stop in ((9, 10), (10, 14)):
        model.read_next(cache, frames[:, start:stop])
        torch.testing.assert_close(
            model.score_next(cache, frames[:, stop : stop + 1, :1]), whole[:, stop, 1], rtol=1e-4, atol=1e-4
        )


@torch.no_grad()
def test_rows_change_places_with_their_guides_and_nats():
    model, frames = make(), torch.from_numpy(np.stack([music(20), music(20, seed=1)]))
    cache, rows = model.start_cache(2), torch.tensor([1, 1])
    model.read_next(cache, frames[:, :9])
    model.score_next(cache, frames[:, 9:10, :1])
    cache.keep_rows(rows)
    frames = frames[rows]
    whole = model(frames)
    torch.testing.assert_close(model.score_next(cache, frames[:, 9:10, :2]), whole[:, 9, 2], rtol=1e-4, atol=1e-4)
    model.read_next(cache, frames[:, 9:12])
    torch.testing.assert_close(model.score_next(cache, frames[:, 12:13, :0]), whole[:, 12, 0], rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_what_is_refused_is_not_read():
    model, frames = make(), torch.from_numpy(music(20))[None]
    cache, whole = model.start_cache(1), model(frames)
    model.read_next(cache, frames[:, :9])
    for wrong in (frames[:, :1] + 40, frames[:, :1, :3], frames[[0, 0], :1], frames):
        with pytest.raises(ValueError, match="frames|context_length"):
            model.read_next(cache, wrong)
    model.read_next(cache, frames[:, 9:12])
    torch.testing.assert_close(model.score_next(cache, frames[:, 12:13, :0]), whole[:, 12, 0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "call, sentence",
    [
        (
            lambda model, frames, copies: model(frames, None, copies.at(slice(None), slice(9))),
            r"found \[\(1, 9, 3, 4\)",
        ),
        (lambda model, frames, copies: model.start_cache(1, None, frames), "first_step must be at least 20"),
        (lambda model, frames, copies: model.start_cache(1, torch.tensor([19]), frames), "must be at least 20"),
        (lambda model, frames, copies: model.start_cache(2, torch.tensor([20, 20]), frames), r"past must have .*\(2, "),
    ],
)
def test_refusals(call, sentence):
    frames = torch.from_numpy(music(20))[None]
    copies = Copies(*map(torch.from_numpy, find_copies(frames.numpy())))
    with pytest.raises(ValueError, match=sentence):
        call(make(), frames, copies)
