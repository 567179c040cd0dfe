"""FrameEncoder and MaskedTransformer: who sees whom, what is hidden stays hidden, and what they refuse."""

import math

import pytest
import torch

from mini_musessl.network.encoder import CellHead, EncoderConfig, FrameEncoder, MaskedTransformer, pool

SMALL = {"d_model": 24, "n_layers": 2, "n_heads": 3, "d_feedforward": 40, "d_voice": 28, "context_length": 60}


def stir(network: torch.nn.Module) -> torch.nn.Module:
    generator = torch.Generator().manual_seed(1)
    for weight in network.parameters():
        weight.data.copy_(0.3 * torch.randn(weight.shape, generator=generator))
    return network.eval()


def make_encoder(**changes) -> FrameEncoder:
    return stir(FrameEncoder(EncoderConfig(**{**SMALL, **changes})))


def make_masked(**changes) -> MaskedTransformer:
    return stir(MaskedTransformer(EncoderConfig(**{**SMALL, **changes})))


@pytest.fixture
def frames() -> torch.Tensor:
    return torch.randint(0, 47, (3, 19, 4), generator=torch.Generator().manual_seed(0))


@pytest.fixture
def is_hidden(frames) -> torch.Tensor:
    return torch.rand(frames.shape, generator=torch.Generator().manual_seed(2)) < 0.3


def moved_steps(network: torch.nn.Module, frames: torch.Tensor, step: int) -> list[int]:
    changed = frames.clone()
    changed[:, step, 2] = (frames[:, step, 2] + 5) % 47
    moved = (network(changed) - network(frames)).abs().amax((0, 2)) > 1e-5
    return moved.nonzero().flatten().tolist()


@torch.no_grad()
def test_each_step_is_described_from_both_sides_or_if_causal_from_nothing_that_comes_later(frames):
    assert moved_steps(make_encoder(), frames, step=11) == list(range(19))
    assert moved_steps(make_encoder(is_causal=True), frames, step=11) == list(range(11, 19))


@pytest.mark.parametrize("changes", [{}, {"is_causal": True}, {"uses_counterpoint": True}], ids=str)
@torch.no_grad()
def test_the_ids_of_hidden_cells_change_nothing(frames, is_hidden, changes):
    model = make_masked(**changes)
    others = torch.where(is_hidden, (frames + 7) % 47, frames)
    assert torch.equal(model(frames, is_hidden), model(others, is_hidden))


@torch.no_grad()
def test_that_a_cell_is_hidden_is_noticed(frames, is_hidden):
    encoder = make_encoder()
    seen, unseen = encoder(frames), encoder(frames, is_hidden)
    assert (seen - unseen).abs().amax(-1).gt(1e-4).all()
    torch.testing.assert_close(encoder(frames, torch.zeros_like(is_hidden)), seen)


@pytest.mark.parametrize("changes", [{}, {"is_causal": True}, {"uses_counterpoint": True}], ids=str)
@torch.no_grad()
def test_padding_changes_nothing(frames, is_hidden, changes):
    model = make_masked(**changes)
    is_padding = (torch.arange(19) >= torch.tensor([19, 12, 5])[:, None]).contiguous()
    padded = model(frames, is_hidden, is_padding)
    for row, n_steps in enumerate((19, 12, 5)):
        alone = model(frames[row : row + 1, :n_steps], is_hidden[row : row + 1, :n_steps])
        torch.testing.assert_close(padded[row : row + 1, :n_steps], alone, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_rows_do_not_see_each_other(frames, is_hidden):
    model, order = make_masked(), torch.tensor([2, 0, 1])
    torch.testing.assert_close(model(frames, is_hidden)[order], model(frames[order], is_hidden[order]))


@torch.no_grad()
def test_where_a_window_begins_is_told_only_with_a_cycle(frames):
    begins = [torch.full((3,), start) for start in (0, 3, 16)]
    told, untold = make_encoder(cycle_length=16), make_encoder()
    at_0, at_3, at_16 = (told(frames, first_step=start) for start in begins)
    torch.testing.assert_close(at_0, at_16)
    assert (at_0 - at_3).abs().max() > 1e-3
    assert torch.equal(untold(frames, first_step=begins[0]), untold(frames, first_step=begins[1]))


@torch.no_grad()
def test_the_first_loss_is_about_that_of_knowing_nothing(frames, is_hidden):
    logits = MaskedTransformer(EncoderConfig(**SMALL)).eval()(frames, is_hidden)
    assert logits.shape == (3, 19, 4, 47)
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 2), frames.flatten())
    assert loss.item() == pytest.approx(math.log(47), abs=0.1)


def test_the_same_seed_gives_the_same_weights_and_leaves_the_global_state_alone():
    state = torch.random.get_rng_state()
    first, second, other = (MaskedTransformer(EncoderConfig(**SMALL), seed=seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(state, torch.random.get_rng_state())
    assert all(torch.equal(first[name], second[name]) for name in first)
    for name in ("encoder.symbol_table.weight", "head.to_voices.weight"):
        assert not torch.equal(first[name], other[name])


def test_the_head_does_not_begin_with_the_numbers_of_its_encoder():
    model = MaskedTransformer(EncoderConfig(**SMALL))
    drawn = [next(part.parameters()).flatten()[:500] for part in (model.encoder, model.head)]
    assert torch.corrcoef(torch.stack(drawn))[0, 1].abs() < 0.2


@torch.no_grad()
def test_counterpoint_begins_at_nothing_and_changes_no_other_weight(frames, is_hidden):
    plain, told = (MaskedTransformer(EncoderConfig(**SMALL, uses_counterpoint=uses)).eval() for uses in (False, True))
    assert plain.state_dict().keys() == {name for name in told.state_dict() if not name.startswith("counterpoint.")}
    assert torch.equal(plain(frames, is_hidden), told(frames, is_hidden))


def test_weights_are_trained_through_the_head_and_dropout_works_in_training_alone(frames, is_hidden):
    model = make_masked(dropout=0.3, uses_counterpoint=True)
    assert torch.equal(model(frames, is_hidden), model(frames, is_hidden))
    model.train()
    assert not torch.equal(model(frames, is_hidden), model(frames, is_hidden))
    model(frames, is_hidden).logsumexp(-1).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_a_head_scores_every_cell_of_its_voices():
    config = EncoderConfig(vocabulary_size=9, n_voices=3, d_model=8, n_heads=1, d_voice=10)
    assert CellHead(config)(torch.randn(2, 5, 8)).shape == (2, 5, 3, 9)


def test_a_window_is_described_by_the_mean_of_its_steps_without_padding():
    features = torch.tensor([[[1.0, 0.0], [3.0, 4.0], [9.0, 9.0]]])
    is_padding = torch.tensor([[False, False, True]])
    assert pool(features, is_padding).tolist() == [[2.0, 2.0]]
    torch.testing.assert_close(pool(features), features.mean(1))
    assert pool(features, torch.ones(1, 3, dtype=torch.bool)).tolist() == [[0.0, 0.0]]


FRAMES = torch.zeros(3, 5, 4, dtype=torch.long)
REFUSED = {
    "no batch": ((FRAMES[0],), ValueError, r"frames must have the shape \(batch, n_steps, 4\), .*; found \(5, 4\)"),
    "too long": ((FRAMES.repeat(1, 13, 1),), ValueError, "at most context_length = 60 positions; found 65"),
    "ids": ((FRAMES + 47,), ValueError, r"must lie in 0..46; found 47..47"),
    "hidden, numbers": ((FRAMES, FRAMES.float()), TypeError, "is_hidden must be True or False; found torch.float32"),
    "hidden, steps": ((FRAMES, FRAMES[..., 0] > 0), ValueError, r"is_hidden must have the shape \(3, 5, 4\)"),
    "padding, numbers": ((FRAMES, None, FRAMES[..., 0].float()), TypeError, "is_padding must be True or False"),
    "padding, shape": ((FRAMES, None, FRAMES[:, 1:, 0] > 0), ValueError, r"is_padding must have the shape \(3, 5\)"),
    "padding alone": ((FRAMES, None, FRAMES[..., 0] == 0), ValueError, "at least one key that it may look at"),
    # One index would serve for all rows.
    "first step": ((FRAMES, None, None, torch.tensor([4])), ValueError, r"first_step must .* \(3\).*; found \(1,\)"),
}


@pytest.mark.parametrize("given, error, sentence", REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_read_is_refused(given, error, sentence):
    with pytest.raises(error, match=sentence):
        make_encoder()(*given)


@pytest.mark.parametrize(
    ("changes", "error", "sentence"),
    [
        ({"d_model": 25}, ValueError, "multiple of 2 \\* n_heads"),
        ({"cycle_length": 0}, ValueError, "cycle_length must be at least 1"),
        ({"d_voice": 2.5}, TypeError, "d_voice"),
    ],
)
def test_sizes_that_make_no_network_are_refused(changes, error, sentence):
    with pytest.raises(error, match=sentence):
        EncoderConfig(**{**SMALL, **changes})
