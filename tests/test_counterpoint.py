"""Counterpoint: the tables against a loop over motions, what may be read, and where they begin."""

import itertools

import pytest
import torch

from mini_musessl.network.counterpoint import Counterpoint, nearest_seen

N_SYMBOLS = 30
BEGIN = N_SYMBOLS


def make(n_kinds=1, n_voices=3):
    table, generator = Counterpoint(n_voices, N_SYMBOLS, n_kinds), torch.Generator().manual_seed(1)
    for weight in table.parameters():
        weight.data.normal_(generator=generator)
    return table


def music(shape=(2, 14, 3), seed=0):
    """Few symbols, rests among them, so that every kind of motion occurs."""
    few = torch.tensor([0, 3, 5, 10, 12, 15, 17, 22])
    return few[torch.randint(len(few), shape, generator=torch.Generator().manual_seed(seed))]


def score(table, pair, upper, lower):
    """Score one motion of two voices, from the meaning of the table's rows and columns."""

    def is_note(symbol):
        return 0 < symbol < N_SYMBOLS

    def interval_class(high, low):
        return (high - low) % 12 if is_note(high) and is_note(low) else 12

    def move(before, after):
        if not (is_note(before) and is_note(after)):
            return 5
        return sum(after - before > edge for edge in (-3, -1, 0, 2))  # a leap or a step down, none, up

    had, meets = (interval_class(*ends) for ends in zip(upper, lower, strict=True))
    found = table.table.weight[(13 * pair + had) * 6 + move(*upper), meets * 6 + move(*lower)]
    both = [(after > before) - (after < before) for before, after in (upper, lower)]
    is_parallel = meets == had and both[0] == both[1] != 0
    return found + (table.SCALE * table.parallel_table.weight[13 * pair + had, 0] if is_parallel else 0)


def pair_of(voice, other):
    """Number the pairs: the second voice counts first, then the first."""
    return {(0, 1): 0, (0, 2): 1, (1, 2): 2}[min(voice, other), max(voice, other)]


@torch.no_grad()
def test_each_voice_is_scored_by_its_motion_with_those_above():
    table, frames = make(), music()
    latest = torch.cat((torch.full_like(frames[:, :1], BEGIN), frames[:, :-1]), dim=1)
    found = table(latest, frames, range(3))
    assert torch.equal(found[:, :, 0], torch.zeros_like(found[:, :, 0]))
    was, now = latest.tolist(), frames.tolist()
    for row, step, symbol in itertools.product(range(2), range(14), range(0, N_SYMBOLS, 4)):
        before, after = was[row][step], now[row][step]
        for voice in (1, 2):
            motions = [((before[other], after[other]), (before[voice], symbol)) for other in range(voice)]
            wanted = sum(score(table, pair_of(voice, other), *both) for other, both in enumerate(motions))
            assert found[row, step, voice, symbol] == pytest.approx(wanted.item(), abs=1e-4)
    torch.testing.assert_close(table(latest, frames[:, :, :2], range(2, 3)), found[:, :, 2:])


def motions_of(frames, is_seen, step, voice):
    """Find the motions that score a hidden cell: other voice, far end, whether it comes before, and its kind."""
    before = [end for end in range(step) if is_seen[end][voice]][-1:]
    after = [end for end in range(step + 1, len(frames)) if is_seen[end][voice]][:1]
    for end, other in itertools.product(before + after, range(3)):
        if other != voice and is_seen[end][other] and is_seen[step][other]:
            yield other, end, end < step, int(abs(end - step) > 1)


@torch.no_grad()
def test_a_hidden_cell_is_scored_by_the_motions_into_it_and_out_of_it():
    table, frames = make(n_kinds=2), music()
    is_seen = torch.rand(frames.shape, generator=torch.Generator().manual_seed(5)) > 0.4
    found, n_motions = table.score_hidden(frames, is_seen), [0, 0]
    for row, step, voice in itertools.product(range(2), range(14), range(3)):
        ids, seen, wanted = frames[row].tolist(), is_seen[row].tolist(), torch.zeros(N_SYMBOLS)
        for other, end, is_into, kind in motions_of(ids, seen, step, voice) if not seen[step][voice] else ():
            n_motions[kind] += 1
            for symbol in range(N_SYMBOLS):
                own, others = (ids[end][voice], symbol), (ids[end][other], ids[step][other])
                own, others = (each if is_into else each[::-1] for each in (own, others))
                upper, lower = (own, others) if voice < other else (others, own)
                wanted[symbol] += score(table, 3 * kind + pair_of(voice, other), upper, lower)
        torch.testing.assert_close(found[row, step, voice], wanted, rtol=1e-4, atol=1e-4)
    assert min(n_motions) > 10


@torch.no_grad()
def test_what_is_not_seen_changes_nothing_and_no_motion_means_no_score():
    table, frames = make(n_kinds=2), music()
    is_seen = torch.rand(frames.shape, generator=torch.Generator().manual_seed(5)) > 0.4
    others = torch.where(is_seen, frames, (frames + 7) % N_SYMBOLS)
    assert torch.equal(table.score_hidden(frames, is_seen), table.score_hidden(others, is_seen))
    nothing = torch.zeros(*frames.shape, N_SYMBOLS)
    for alone in (torch.zeros_like(is_seen), torch.ones_like(is_seen), torch.arange(3) == 0 * frames):
        assert torch.equal(table.score_hidden(frames, alone), nothing)


@torch.no_grad()
def test_the_same_motions_score_the_same_in_every_key():
    table, frames = make(n_kinds=2), music().clamp(min=3)
    is_seen = torch.rand(frames.shape, generator=torch.Generator().manual_seed(5)) > 0.4
    found, moved = table.score_hidden(frames, is_seen), table.score_hidden(frames + 5, is_seen)
    torch.testing.assert_close(moved[..., 6:], found[..., 1:-5])


def test_where_a_voice_is_seen_next():
    is_seen = torch.tensor([[True, False], [False, False], [False, True]])[None]
    assert nearest_seen(is_seen, is_before=True)[0].tolist() == [[-1, -1], [0, -1], [0, -1]]
    assert nearest_seen(is_seen, is_before=False)[0].tolist() == [[3, 2], [3, 2], [3, 3]]


def test_all_scores_begin_at_nothing_and_draw_no_chance():
    state = torch.random.get_rng_state()
    assert all((weight == 0).all() for weight in Counterpoint(3, N_SYMBOLS, 2).parameters())
    assert torch.equal(state, torch.random.get_rng_state())
