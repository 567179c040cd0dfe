"""MusicTransformer: causal, equal to PyTorch's block, and the same with and without a cache."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest
import torch

from mini_musessl.network.attention import KINDS, causal_mask
from mini_musessl.network.transformer import MusicTransformer, TransformerBlock, TransformerConfig

# Tiny matrices: a second thread costs more than it brings, above all on a busy machine.
torch.set_num_threads(1)

CONFIG = TransformerConfig(
    vocabulary_size=11, context_length=16, d_model=12, n_layers=2, n_heads=3, d_feedforward=20, cycle_lengths=(4, 8)
)


def lively_model(config=CONFIG):
    """A model whose every weight matters: a fresh one predicts the same for any input."""
    model = MusicTransformer(config).eval()
    generator = torch.Generator().manual_seed(1)
    for weight in model.parameters():
        weight.data.normal_(std=0.5, generator=generator)
    return model


def ids_of(batch, time, seed=0):
    return torch.randint(0, 12, (batch, time), generator=torch.Generator().manual_seed(seed))


def test_logits_have_one_score_a_symbol_without_the_begin_symbol():
    assert MusicTransformer(CONFIG)(ids_of(3, 5)).shape == (3, 5, 11)


def test_a_fresh_model_gives_every_symbol_the_same_probability():
    log_probabilities = MusicTransformer(CONFIG)(ids_of(3, 5)).log_softmax(-1)
    torch.testing.assert_close(log_probabilities, torch.full_like(log_probabilities, -math.log(11)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("position", [0, 6, 15])
def test_changing_a_token_changes_no_logits_before_it_and_does_change_those_at_it(position, kind):
    model, before = lively_model(replace(CONFIG, positions=kind)), ids_of(2, 16)
    after = before.clone()
    after[:, position] = (before[:, position] + 1) % 11
    difference = (model(before) - model(after)).abs().amax(dim=(0, 2))
    assert (difference[:position] == 0).all()
    assert (difference[position:] > 1e-6).all()


def test_rows_of_a_batch_do_not_see_each_other():
    model, ids = lively_model(), ids_of(3, 7)
    torch.testing.assert_close(model(ids)[[2, 0]], model(ids[[2, 0]]))
    torch.testing.assert_close(model(ids)[1:2], model(ids[1:2]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "kind, n_previous", [*((kind, 3) for kind in KINDS), ("rotary", 0), ("rotary", 1), ("relative", 0)]
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
    torch.testing.assert_close(ours(features, may_attend)[0], theirs(features, src_mask=~may_attend))


def test_cycle_tables_tell_voice_and_beat_by_position():
    model = lively_model(replace(CONFIG, n_previous=0))
    same = torch.zeros(1, 16, dtype=torch.long)
    features = model._embed(same, 0)[0]
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


def test_a_sequence_longer_than_the_context_is_refused():
    with pytest.raises(ValueError, match="at most context_length = 16 tokens; found 17"):
        MusicTransformer(CONFIG)(ids_of(1, 17))


def test_a_cache_that_grows_beyond_the_context_is_refused():
    model = MusicTransformer(CONFIG)
    cache = model.start_cache(1)
    model(ids_of(1, 16), cache)
    with pytest.raises(ValueError, match="at most context_length = 16 tokens; found 17"):
        model(ids_of(1, 1), cache)


def test_nothing_to_read_is_refused():
    with pytest.raises(ValueError, match="at least one token; found none"):
        MusicTransformer(CONFIG)(ids_of(1, 0))


@pytest.mark.parametrize("bad", [-1, 12])
def test_ids_outside_the_vocabulary_are_refused(bad):
    with pytest.raises(ValueError, match=rf"must lie in 0\.\.11, the last being the begin symbol; found .*{bad}"):
        MusicTransformer(CONFIG)(torch.tensor([[3, bad]]))


@pytest.mark.parametrize(
    "change, sentence",
    [
        ({"n_layers": 0}, "n_layers must be at least 1; found 0"),
        ({"d_model": 10}, "multiple of 2 \\* n_heads.*found d_model=10 and n_heads=3"),
        ({"dropout": 1.0}, "dropout must be at least 0 and below 1; found 1.0"),
        ({"n_previous": -1}, "n_previous must be at least 0; found -1"),
        ({"cycle_lengths": (4, 0)}, "Each of cycle_lengths must be at least 1; found 0"),
        ({"positions": "absolute"}, 'positions must be one of "none", "sinusoidal", .*; found \'absolute\''),
    ],
)
def test_sizes_that_cannot_be_are_refused(change, sentence):
    with pytest.raises(ValueError, match=sentence):
        replace(CONFIG, **change)


@pytest.mark.parametrize("change", [{"d_model": 12.0}, {"vocabulary_size": "11"}, {"cycle_lengths": (4, 1.5)}])
def test_sizes_that_are_not_whole_are_refused(change):
    with pytest.raises(TypeError, match="must be a whole number; found"):
        replace(CONFIG, **change)


def test_a_list_of_cycles_is_the_same_size_as_a_tuple():
    assert replace(CONFIG, cycle_lengths=[4, 8]) == CONFIG


def test_one_sequence_without_a_batch_is_refused():
    with pytest.raises(ValueError, match=r"shape \(batch, time\); found \(3,\)"):
        MusicTransformer(CONFIG)(torch.tensor([1, 2, 3]))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bool])
def test_ids_that_are_not_whole_numbers_are_refused(dtype):
    with pytest.raises(TypeError, match="token_ids must be whole numbers; found torch"):
        MusicTransformer(CONFIG)(torch.ones(1, 3, dtype=dtype))


def test_the_input_sums_the_latest_tokens_each_from_its_own_table():
    model, ids = lively_model(replace(CONFIG, n_previous=2, cycle_lengths=())), torch.tensor([[3, 1, 4, 5]])
    tables = [table.weight for table in model.token_tables]
    expected = [
        tables[0][3],  # nothing stands before the first token
        tables[0][1] + tables[1][3],
        tables[0][4] + tables[1][1] + tables[2][3],
        tables[0][5] + tables[1][4] + tables[2][1],
    ]
    torch.testing.assert_close(model._embed(ids, 0)[0], torch.stack(expected))
    torch.testing.assert_close(model._embed(ids, 2)[0], torch.stack(expected[2:]))


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


BAG = replace(CONFIG, cycle_lengths=(), n_previous=0, is_causal=False)


def test_without_positions_a_bidirectional_network_reads_a_bag_and_with_them_it_does_not():
    ids, order = ids_of(2, 6), torch.tensor([2, 0, 5, 1, 4, 3])
    for kind in KINDS:
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
    angles = causal._angles(0, ids)
    rule = causal_mask(9, 9) & ~hidden[:, None, None, :]
    rule[..., :5, :5] = True
    features, _ = causal.blocks[0](causal._embed(ids, 0), rule, angles)
    torch.testing.assert_close(causal.to_logits(causal.norm(features))[:, 5:], alone, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_a_bidirectional_network_sees_what_comes_after(kind):
    model, before = lively_model(replace(CONFIG, positions=kind, is_causal=False)), ids_of(2, 16)
    after = before.clone()
    after[:, 15] = (before[:, 15] + 1) % 11
    assert ((model(before) - model(after)).abs().amax(dim=(0, 2)) > 1e-6).all()


@pytest.mark.parametrize("kind", KINDS)
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


def test_padding_before_the_first_token_is_refused():
    is_padding = torch.tensor([[True, False, False]])
    with pytest.raises(ValueError, match="at least one key that it may look at; found 1 of 3 .* Pad at the end"):
        MusicTransformer(CONFIG)(ids_of(1, 3), is_padding=is_padding)
    with pytest.raises(ValueError, match="at least one key that it may look at"):
        MusicTransformer(BAG)(ids_of(1, 3), is_padding=torch.ones(1, 3, dtype=torch.bool))


@pytest.mark.parametrize("bad", [torch.zeros(1, 4, dtype=torch.bool), torch.zeros(1, 3)])
def test_padding_that_does_not_fit_the_tokens_is_refused(bad):
    with pytest.raises(ValueError, match=r"is_padding must be True or False for each token .* \(1, 3\); found"):
        MusicTransformer(CONFIG)(ids_of(1, 3), is_padding=bad)


def test_a_bidirectional_network_refuses_a_cache():
    sentence = "A cache needs a causal network, .*; found is_causal=False"
    with pytest.raises(ValueError, match=sentence):
        MusicTransformer(BAG).start_cache(1)
    with pytest.raises(ValueError, match=sentence):
        MusicTransformer(BAG)(ids_of(1, 3), MusicTransformer(CONFIG).start_cache(1))


def test_whether_a_network_is_causal_is_yes_or_no():
    with pytest.raises(TypeError, match="is_causal must be True or False; found 1"):
        replace(CONFIG, is_causal=1)


@pytest.mark.parametrize("kind", KINDS)
def test_maps_of_attention_are_those_that_the_network_uses(kind):
    model, ids = lively_model(replace(CONFIG, positions=kind, n_layers=1)), ids_of(2, 7)
    (weights,) = model.attention_maps(ids)
    assert weights.shape == (2, 3, 7, 7)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 3, 7))
    assert (weights * ~causal_mask(7, 7) == 0).all()
    block, features = model.blocks[0], model._embed(ids, 0)
    values = block.attention.to_queries_keys_values(block.attention_norm(features))[..., 24:]
    mixed = weights @ values.unflatten(-1, (3, 4)).transpose(1, 2)
    features = features + block.attention.to_output(mixed.transpose(1, 2).flatten(2))
    features = features + block.narrow(torch.nn.functional.gelu(block.widen(block.feedforward_norm(features))))
    torch.testing.assert_close(model.to_logits(model.norm(features)), model(ids), rtol=1e-4, atol=1e-4)


def test_every_weight_of_every_kind_learns():
    for kind in KINDS:
        for is_causal in (True, False):
            model = lively_model(replace(CONFIG, positions=kind, is_causal=is_causal, n_previous=1))
            model(ids_of(4, 16)).square().sum().backward()
            assert all(weight.grad.abs().sum() > 0 for weight in model.parameters()), (kind, is_causal)


def test_old_configurations_mean_rotary_and_causal():
    names = ("vocabulary_size", "context_length", "d_model", "n_layers", "n_heads", "d_feedforward", "dropout")
    old = {name: getattr(CONFIG, name) for name in (*names, "cycle_lengths", "n_previous")}
    assert TransformerConfig(**old) == replace(CONFIG, positions="rotary", is_causal=True)
    assert not any("position" in name or "distance" in name for name in MusicTransformer(CONFIG).state_dict())


def test_an_empty_batch_is_refused():
    with pytest.raises(ValueError, match="at least one token; found none, in 0 rows. Is the batch empty"):
        MusicTransformer(CONFIG)(torch.zeros(0, 5, dtype=torch.long))


def test_a_cache_goes_on_with_its_own_rows_alone():
    model = lively_model()
    cache = model.start_cache(2)
    with pytest.raises(ValueError, match=r"rows that it holds, 2; found 3. Begin with start_cache\(3\)"):
        model(ids_of(3, 4), cache)
    with pytest.raises(ValueError, match="batch must be at least 1; found 0"):
        model.start_cache(0)


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_a_cache_that_outgrows_its_first_room_says_the_same_as_joined_keys_to_the_bit(kind):
    config = replace(CONFIG, context_length=150, positions=kind)
    model, ids = lively_model(config), ids_of(2, 150)
    cache, joined = model.start_cache(2), model.start_cache(2)
    joined.layers = [JoinedKeys() for _ in model.blocks]
    for start, stop in itertools.pairwise((0, 1, 60, *range(61, 151))):
        assert torch.equal(model(ids[:, start:stop], cache), model(ids[:, start:stop], joined))
    assert [tuple(kept.shape) for kept in cache.layers[1]] == [(2, 3, 150, 4)] * 2


class JoinedKeys:
    """Keys and values, joined anew at each step: the plain form of past_keys.PastKeys."""

    def __init__(self):
        self.kept = None

    def extend(self, *new):
        self.kept = new if self.kept is None else [torch.cat(pair, 2) for pair in zip(self.kept, new, strict=True)]
        return self.kept


@torch.no_grad()
def test_rows_of_a_cache_may_change_places():
    model, ids, rows = lively_model(), ids_of(3, 9), torch.tensor([2, 0, 0])
    cache = model.start_cache(3)
    model(ids[:, :5], cache)
    cache.keep_rows(rows)
    found = model(ids[:, 5:], cache)
    expected = model(torch.cat((ids[rows, :5], ids[:, 5:]), dim=1))[:, 5:]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
