"""Every piece obeys; with particles they come as if all that disobey had been thrown away."""

import itertools

import numpy as np
import pytest
import torch
from test_sampling import empty, from_seed, make_frame_model, make_token_model

from mini_musessl import generation, harmony, voices
from mini_musessl.evaluation import voice_leading
from mini_musessl.evaluation.voice_leading import FIFTH, OCTAVE, RANGES
from mini_musessl.generation.constraints import Chord, NoParallels, Ranges, perfect_cadence
from mini_musessl.tokenizers.voice_grid import TOKENS

torch.set_num_threads(1)
CADENCE = perfect_cadence(harmony.Key(7, "major"), 24)


def written(constraints, seed=0, batch=8, n_steps=24, **others):
    model = make_frame_model(context_length=32, **others)
    frames = generation.sample_frames(model, empty(batch), n_steps, from_seed(seed), constraints=constraints)
    return [TOKENS.decode(piece.numpy()) for piece in frames]


def test_nothing_asked_changes_nothing():
    assert written(()) == written([])
    assert not np.array_equal(written(())[0].pitch, written([Ranges(RANGES)])[0].pitch)


def test_voices_stay_in_their_ranges():
    assert any(voice_leading.out_of_range(grid).any() for grid in written(()))
    assert not any(voice_leading.out_of_range(grid).any() for grid in written([Ranges(RANGES)]))
    narrow = written([Ranges({"alto": (60, 61)})])
    assert set(np.concatenate([grid.pitch[:, 1] for grid in narrow])) <= {-1, 60, 61}


@pytest.mark.parametrize("make", [make_frame_model, make_token_model])
def test_no_parallels_are_written_and_nothing_else_is_forbidden(make):
    model, draws = make(), np.random.default_rng(0)
    constraint, n_forbidden = NoParallels(), 0
    for _ in range(150):
        before, above = draws.integers(0, 47, (1, 1, 4)), draws.integers(0, 47, (1, draws.integers(0, 4)))
        # Intervals of twelve steps and of seven are common, so that something is forbidden.
        before[0, 0, 1:] = (before[0, 0, 0] + draws.choice([0, 7, 12, 5], 3)).clip(0, 46)
        allowed = constraint.allows(torch.tensor(before), torch.tensor(above), 47)[0]
        for symbol in range(47):
            now = np.concatenate((above[0], [symbol]))
            grid = voices.from_pitches(
                np.where((pair := np.stack((before[0, 0, : len(now)], now))) > 0, pair + 35, -1),
                voice_names=tuple("abcd"[: len(now)]),
            )
            lowest = len(now) - 1
            found = [each for k in (FIFTH, OCTAVE) for each in voice_leading.parallels(grid, k) if each[2] == lowest]
            assert allowed[symbol] == (not found)
            n_forbidden += not allowed[symbol]
    assert n_forbidden > 100
    drawn = generation.sample_frames(model, empty(6), 12, from_seed(), constraints=[constraint])
    assert not any(voice_leading.count_parallels(TOKENS.decode(piece.numpy())) for piece in drawn)


def test_a_cadence_is_sung_where_it_is_asked_for():
    for grid in written([Ranges(RANGES), *CADENCE]):
        assert set((grid.pitch[16:20] % 12).ravel()) <= {2, 6, 9} and set(grid.pitch[16:20, 3] % 12) == {2}
        assert set((grid.pitch[20:] % 12).ravel()) <= {7, 11, 2} and set(grid.pitch[20:, 3] % 12) == {7}
        assert (grid.pitch[16:] > 0).all()


class NotAlike:
    """The second voice must not be the first one plus 2, nor the first voice what the second was."""

    def allows(self, frames, above, n_ids):
        ids = torch.arange(n_ids)
        if above.shape[1]:
            return (ids - above + 2).remainder(n_ids) != 0
        return ids != frames[:, -1, 1, None] if frames.shape[1] else torch.ones(1, n_ids, dtype=torch.bool)


def test_particles_draw_from_what_the_network_would_write_if_all_that_disobeys_were_thrown_away():
    model = make_frame_model(vocabulary_size=4, n_voices=2, context_length=4, std=0.6)
    every = torch.tensor(list(itertools.product(range(4), repeat=4))).view(-1, 2, 2)
    with torch.no_grad():
        log_probs = model(every).log_softmax(dim=-1).gather(-1, every[..., None]).sum(dim=(1, 2, 3))
    obeys = ((every[:, :, 1] - every[:, :, 0] + 2) % 4 != 0).all(dim=1) & (every[:, 1, 0] != every[:, 0, 1])
    wanted = torch.where(obeys, log_probs.exp(), 0)
    wanted = wanted / wanted.sum()

    def distance(n_particles, n_pieces=2000):
        drawn = generation.sample_frames(
            model, empty(n_pieces, 2), 2, from_seed(), n_particles=n_particles, constraints=[NotAlike()]
        )
        place = (drawn.view(-1, 4) * torch.tensor([64, 16, 4, 1])).sum(dim=1)
        return (torch.bincount(place, minlength=256) / n_pieces - wanted).abs().sum() / 2

    chance = 0.06  # 2,000 draws from so many places miss by about 0.04
    assert distance(1) > 0.2 and distance(16) < chance


def test_a_soprano_is_harmonised_without_parallels_and_a_piece_goes_on_within_ranges():
    model, soprano = make_frame_model(context_length=32), np.repeat([67, 69, 71, 72, 74], 2)
    obeys = [NoParallels(), Ranges(RANGES)]
    grid = generation.harmonise(model, soprano, from_seed(), n_particles=4, constraints=obeys)
    assert grid.pitch[:, 0].tolist() == soprano.tolist() and voice_leading.count_parallels(grid) == 0
    assert not voice_leading.out_of_range(grid).any()
    longer = generation.continue_piece(model, grid, 12, from_seed(), constraints=obeys)
    assert voice_leading.count_parallels(longer) == 0 and not voice_leading.out_of_range(longer).any()


def at_top(clamp, constraints, n_particles=1):
    model = make_frame_model()
    return generation.sample_frames(
        model, empty(), len(clamp), from_seed(), clamp=clamp, n_particles=n_particles, constraints=constraints
    )


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (
            lambda: at_top([[-1] * 4], [Ranges({"bass": (40, 47)}), Chord(0, 1, (0, 4, 7))]),
            r"none is left at step 0, voice 3, by Ranges\(.*\) and Chord\(start_step=0",
        ),
        (
            lambda: at_top([[30, -1, -1, -1]], [NoParallels(), Chord(0, 1, (0, 4, 7))], 5),
            r"none is left to the given symbol 30 at step 0, voice 0, by Chord\(start_step=0.*more particles",
        ),
        (lambda: at_top([[10, 3, 0, 0], [12, 5, 0, 0]], [NoParallels()]), "given symbol 5 at step 1, voice 1, by NoP"),
        (  # steps are counted from the beginning of the opening, as those of a chord are
            lambda: generation.continue_piece(
                make_frame_model(),
                voices.from_pitches([[72, 67, 64, 48]] * 3),
                4,
                from_seed(),
                constraints=[Ranges({"bass": (40, 47)}), Chord(4, 5, (0, 4, 7))],
            ),
            r"none is left at step 4, voice 3, by Ranges\(.*\) and Chord\(start_step=4",
        ),
        (
            lambda: generation.harmonise(make_frame_model(), [72, 50], from_seed(), constraints=[Ranges(RANGES)]),
            r"none is left to the given symbol 15 at step 1, voice 0, by Ranges\(",
        ),
        (lambda: Ranges({"oboe": (60, 70)}), "A voice with a range .* found 'oboe'"),
        (lambda: Ranges({"alto": (70, 60)}), "highest pitch of the alto must be at least 70; found 60"),
        (lambda: Chord(4, 4, (0,)), "last step of a chord must be at least 4; found 3"),
        (lambda: Chord(0, 4, (12,)), r"A pitch class must lie in 0\.\.11; found 12"),
    ],
)
def test_what_cannot_be_obeyed_is_refused_by_name(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()


def test_a_draft_in_a_corner_is_given_up_for_another():
    # The first voice's second note would be a parallel under half of the bass's first ones.
    clamp = [[-1, 20, 0, 0], [-1, 22, 0, 0]]
    found = [at_top(clamp, [NoParallels(), Ranges({"soprano": (56, 69)})], n_particles=64) for _ in range(3)]
    assert not any(voice_leading.count_parallels(TOKENS.decode(each[0].numpy())) for each in found)
