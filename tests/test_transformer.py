"""MusicTransformer: causal, equal to PyTorch's block, and the same with and without a cache."""

import contextlib
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from mini_musessl.network.attention import POSITIONS, causal_mask
from mini_musessl.network.transformer import (
    MusicTransformer,
    TransformerBlock,
    TransformerConfig,
    evaluation_mode,
    to_device_of,
)

# Tiny matrices: a second thread costs more than it brings, above all on a busy machine.
torch.set_num_threads(1)

CONFIG = TransformerConfig(
    vocabulary_size=11, context_length=16, d_model=12, n_layers=2, n_heads=3, d_feedforward=20, cycle_lengths=(4, 8)
)
BAG = replace(CONFIG, cycle_lengths=(), n_previous=0, is_causal=False)


def lively_model(config=CONFIG):
    model = MusicTransformer(config).eval()  # a fresh one predicts the same for any input
    generator = torch.Generator().manual_seed(1)
    for weight in model.parameters():
        weight.data.normal_(std=0.5, generator=generator)
    return model


def ids_of(batch, time, seed=0):
    return torch.randint(0, 12, (batch, time), generator=torch.Generator().manual_seed(seed))


def test_a_fresh_model_gives_every_symbol_the_same_probability():
    log_probabilities = MusicTransformer(CONFIG)(ids_of(3, 5)).log_softmax(-1)
    assert log_probabilities.shape == (3, 5, 11)  # none for the begin symbol
    torch.testing.assert_close(log_probabilities, torch.full_like(log_probabilities, -math.log(11)))


@pytest.mark.parametrize("kind", POSITIONS)
@pytest.mark.parametrize("position", [0, 6, 15])
def test_changing_a_token_changes_logits_from_it_on_and_those_before_it_where_both_ways_are_seen(position, kind):
    after = (before := ids_of(2, 16)).clone()
    after[:, position] = (before[:, position] + 1) % 11
    for is_causal in (True, False):
        model = lively_model(replace(CONFIG, positions=kind, is_causal=is_causal))
        difference = (model(before) - model(after)).abs().amax(dim=(0, 2))
        assert (difference[:position] == 0).all() if is_causal else (difference[:position] > 1e-6).all()
        assert (difference[position:] > 1e-6).all()


def test_rows_of_a_batch_do_not_see_each_other():
    model, ids = lively_model(), ids_of(3, 7)
    torch.testing.assert_close(model(ids)[1:2], model(ids[1:2]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "kind, n_previous", [*((kind, 3) for kind in POSITIONS), ("rotary", 0), ("rotary", 1), ("relative", 0)]
)
@pytest.mark.parametrize("cuts", [(1, 2, 3, 4, 5, 6, 7, 8, 9), (2, 9), (7, 8, 9)])
def test_reading_in_parts_with_a_cache_gives_the_same_logits(kind, n_previous, cuts):
    model, ids = lively_model(replace(CONFIG, n_previous=n_previous, positions=kind)), ids_of(2, 9)
    cache, parts, start = model.start_cache(2), [], 0
    for stop in cuts:
        parts.append(model(ids[:, start:stop], cache))
        start = stop
    torch.testing.assert_close(torch.cat(parts, dim=1), model(ids), rtol=1e-4, atol=1e-4)
    assert cache.token_ids.tolist() == ids.tolist()


def test_a_block_without_rotation_is_pytorchs_pre_norm_layer():
    ours = TransformerBlock(12, 3, 20).double()
    theirs = torch.nn.TransformerEncoderLayer(
        12, 3, 20, dropout=0.0, activation="gelu", batch_first=True, norm_first=True, bias=False, dtype=torch.float64
    )
    pairs = {
        "self_attn.in_proj_weight": ours.attention.to_queries_keys_values.weight,
        "self_attn.out_proj.weight": ours.attention.to_output.weight,
        "linear1.weight": ours.widen.weight,
        "linear2.weight": ours.narrow.weight,
        "norm1.weight": ours.attention_norm.weight,
        "norm2.weight": ours.feedforward_norm.weight,
    }
    assert dict(theirs.named_parameters()).keys() == pairs.keys()
    theirs.load_state_dict({name: weight.data for name, weight in pairs.items()})
    features = torch.randn(2, 5, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    may_attend = causal_mask(5, 5)
    torch.testing.assert_close(ours(features, may_attend), theirs(features, src_mask=~may_attend))


def test_cycle_tables_tell_voice_and_beat_by_position():
    model = lively_model(replace(CONFIG, n_previous=0))
    same = torch.zeros(1, 16, dtype=torch.long)
    features = model.embed(same)[0]
    torch.testing.assert_close(features[1], features[9])
    assert not torch.allclose(features[1], features[5])
    assert CONFIG.stride_token == 8


def test_the_same_seed_gives_the_same_weights_and_leaves_the_global_state_alone():
    state = torch.get_rng_state()
    first = MusicTransformer(CONFIG, seed=3).state_dict()
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(5)
    second, other = MusicTransformer(CONFIG, seed=3).state_dict(), MusicTransformer(CONFIG, seed=4).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["token_tables.0.weight"], other["token_tables.0.weight"])


def test_dropout_works_while_training_only():
    model = lively_model(replace(CONFIG, dropout=0.5))
    ids = ids_of(1, 6)
    assert torch.equal(model(ids), model(ids))
    model.train()
    assert not torch.equal(model(ids), model(ids))


REFUSED = {
    "too long": (ids_of(1, 17), ValueError, "at most context_length = 16 positions; found 17"),
    "nothing": (ids_of(1, 0), ValueError, r"shape \(batch, time\), no axis empty; found \(1, 0\)"),
    "no batch": (torch.tensor([1, 2, 3]), ValueError, r"found \(3,\). .* token_ids\[None\]"),
    "above": (torch.tensor([[3, 12]]), ValueError, r"must lie in 0\.\.11; found 3\.\.12"),
    "fractions": (torch.ones(1, 3), TypeError, "token_ids must be whole numbers; found torch.float32"),
}


@pytest.mark.parametrize("ids, error, sentence", REFUSED.values(), ids=REFUSED)
def test_tokens_that_cannot_be_read_are_refused(ids, error, sentence):
    for read in (MusicTransformer(CONFIG), MusicTransformer(CONFIG).attention_maps):
        with pytest.raises(error, match=sentence):
            read(ids)


@pytest.mark.parametrize(
    "is_causal, is_padding, error, sentence",
    [
        (True, torch.tensor([[True, False, False]]), ValueError, "may look at; found 1 of 3 .* Pad at the end"),
        (True, torch.zeros(1, 4, dtype=torch.bool), ValueError, r"is_padding must have the shape \(1, 3\)"),
        (True, torch.zeros(1, 3), TypeError, "is_padding must be True or False; found torch.float32"),
    ],
)
def test_padding_that_does_not_fit_or_comes_first_is_refused(is_causal, is_padding, error, sentence):
    with pytest.raises(error, match=sentence):
        MusicTransformer(replace(CONFIG, is_causal=is_causal))(ids_of(1, 3), is_padding=is_padding)


def test_a_cache_that_outgrows_the_context_or_serves_both_ways_is_refused():
    model = MusicTransformer(CONFIG)
    cache = model.start_cache(1)
    model(ids_of(1, 16), cache)
    with pytest.raises(ValueError, match="at most context_length = 16 positions; found 17"):
        model(ids_of(1, 1), cache)
    with pytest.raises(ValueError, match="A cache needs a causal network, .*; found is_causal=False"):
        MusicTransformer(BAG).start_cache(1)


@pytest.mark.parametrize(
    "change, error, sentence",
    [
        ({"n_layers": 0}, ValueError, "n_layers must be at least 1; found 0"),
        ({"d_model": 10}, ValueError, "multiple of 2 \\* n_heads.*found d_model=10 and n_heads=3"),
        ({"dropout": 1.0}, ValueError, "dropout must be at least 0 and below 1; found 1.0"),
        ({"n_previous": -1}, ValueError, "n_previous must be at least 0; found -1"),
        ({"cycle_lengths": (4, 0)}, ValueError, "Each of cycle_lengths must be at least 1; found 0"),
        ({"positions": "absolute"}, ValueError, "positions must be one of none, sinusoidal, .*; found 'absolute'"),
        ({"d_model": 12.0}, TypeError, "d_model must be a whole number; found 12.0"),
    ],
)
def test_sizes_that_make_no_network_are_refused(change, error, sentence):
    with pytest.raises(error, match=sentence):
        replace(CONFIG, **change)


def test_the_input_sums_the_latest_tokens_each_from_its_own_table():
    model, ids = lively_model(replace(CONFIG, n_previous=2, cycle_lengths=())), torch.tensor([[3, 1, 4, 5]])
    tables = [table.weight for table in model.token_tables]
    expected = [
        tables[0][3],  # nothing stands before the first token
        tables[0][1] + tables[1][3],
        tables[0][4] + tables[1][1] + tables[2][3],
        tables[0][5] + tables[1][4] + tables[2][1],
    ]
    torch.testing.assert_close(model.embed(ids)[0], torch.stack(expected))
    torch.testing.assert_close(model.embed(ids, 2)[0], torch.stack(expected[2:]))


def test_weights_begin_as_the_docstring_says():
    model = MusicTransformer(TransformerConfig(vocabulary_size=47, d_model=64, n_layers=8, d_feedforward=128))
    for name, weight in model.named_parameters():
        if "norm" in name:
            assert (weight == 1).all(), name
        elif name == "to_logits.weight":
            assert (weight == 0).all(), name
        elif name.endswith(("to_output.weight", "narrow.weight")):
            assert weight.std().item() == pytest.approx(0.02 / math.sqrt(16), rel=0.1), name
        else:
            assert weight.std().item() == pytest.approx(0.02, rel=0.1), name


def test_without_positions_a_bidirectional_network_reads_a_bag_and_with_them_it_does_not():
    ids, order = ids_of(2, 6), torch.tensor([2, 0, 5, 1, 4, 3])
    for kind in POSITIONS:
        model = lively_model(replace(BAG, positions=kind))
        is_same = torch.allclose(model(ids[:, order]), model(ids)[:, order], atol=1e-4)
        assert is_same == (kind == "none"), kind


@pytest.mark.parametrize("kind", ["relative", "rotary"])
def test_relative_kinds_do_not_know_where_a_window_begins(kind):
    causal = lively_model(replace(BAG, positions=kind, is_causal=True, n_layers=1))
    ids = ids_of(1, 9)
    ids[:, 5:] = ids[:, :4]  # the same four tokens, later
    alone = causal(ids[:, :4])
    # Hide what came before: then distances are all that the later four can know.
    hidden = torch.zeros(1, 9, dtype=torch.bool)
    hidden[:, :5] = True
    may_attend = causal_mask(9, 9) & ~hidden[:, None, None, :]
    may_attend[..., :5, :5] = True
    features = causal.blocks[0](causal.embed(ids), may_attend, causal.angles(ids))
    torch.testing.assert_close(causal.to_logits(causal.norm(features))[:, 5:], alone, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", POSITIONS)
@pytest.mark.parametrize("is_causal", [True, False])
def test_padding_at_the_end_changes_nothing_before_it(kind, is_causal):
    model, ids = lively_model(replace(CONFIG, positions=kind, is_causal=is_causal)), ids_of(2, 12)
    is_padding = torch.zeros(2, 12, dtype=torch.bool)
    is_padding[1, 8:] = True
    logits = model(ids, is_padding=is_padding)
    torch.testing.assert_close(logits[1, :8], model(ids[1:, :8])[0], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(logits[0], model(ids[:1])[0], rtol=1e-4, atol=1e-4)


def test_a_cache_serves_rows_with_padding_too():
    model, ids = lively_model(), ids_of(2, 9)
    is_padding = torch.zeros(2, 9, dtype=torch.bool)
    is_padding[1, 3:5] = True
    cache = model.start_cache(2)
    parts = [model(ids[:, :6], cache, is_padding[:, :6]), model(ids[:, 6:], cache, is_padding)]
    torch.testing.assert_close(torch.cat(parts, 1), model(ids, is_padding=is_padding), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", POSITIONS)
def test_maps_of_attention_are_those_that_the_network_uses(kind):
    model, ids = lively_model(replace(CONFIG, positions=kind, n_layers=1)), ids_of(2, 7)
    (weights,) = model.attention_maps(ids)
    assert weights.shape == (2, 3, 7, 7)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 3, 7))
    assert (weights * ~causal_mask(7, 7) == 0).all()
    block, features = model.blocks[0], model.embed(ids)
    values = block.attention.to_queries_keys_values(block.attention_norm(features))[..., 24:]
    mixed = weights @ values.unflatten(-1, (3, 4)).transpose(1, 2)
    features = features + block.attention.to_output(mixed.transpose(1, 2).flatten(2))
    features = features + block.narrow(torch.nn.functional.gelu(block.widen(block.feedforward_norm(features))))
    torch.testing.assert_close(model.to_logits(model.norm(features)), model(ids), rtol=1e-4, atol=1e-4)


def test_every_weight_of_every_kind_learns():
    for kind in POSITIONS:
        for is_causal in (True, False):
            model = lively_model(replace(CONFIG, positions=kind, is_causal=is_causal, n_previous=1))
            model(ids_of(4, 16)).square().sum().backward()
            assert all(weight.grad.abs().sum() > 0 for weight in model.parameters()), (kind, is_causal)


@torch.no_grad()
def test_rows_of_a_cache_may_change_places():
    model, ids, rows = lively_model(), ids_of(3, 9), torch.tensor([2, 0, 0])
    cache = model.start_cache(3)
    model(ids[:, :5], cache)
    cache.keep_rows(rows)
    found = model(ids[:, 5:], cache)
    expected = model(torch.cat((ids[rows, :5], ids[:, 5:]), dim=1))[:, 5:]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_every_part_of_a_network_goes_back_into_its_own_mode_after_evaluation():
    model = MusicTransformer(CONFIG).train()
    model.blocks[1].eval()
    modes = [part.training for part in model.modules()]
    with contextlib.suppress(KeyError), evaluation_mode(model):
        assert not any(part.training for part in model.modules())
        raise KeyError
    assert [part.training for part in model.modules()] == modes


def test_arrays_become_tensors_that_share_their_memory_on_a_cpu():
    numbers, truths = np.arange(3), np.ones(2, bool)
    found = to_device_of(MusicTransformer(CONFIG), numbers, truths)
    numbers[0] = 7
    assert [each.tolist() for each in found] == [[7, 1, 2], [True, True]]
