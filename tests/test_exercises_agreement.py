"""The solutions of the exercises agree with the library and with PyTorch, chapter by chapter."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from random_music import grids, make_random_piece
from torch import nn

from mini_musessl import harmony, masking, music, voices
from mini_musessl.batches import cut_windows, windows_with_history
from mini_musessl.evaluation import copying, counting, likelihood, probing, statistics, voice_leading
from mini_musessl.exercises import EXERCISES, first_road
from mini_musessl.exercises import attention as chapter_5a
from mini_musessl.exercises import attributes as chapter_4c
from mini_musessl.exercises import benchmark as chapter_8b
from mini_musessl.exercises import continue_fill_harmonise as chapter_9b
from mini_musessl.exercises import contrast as chapter_4d
from mini_musessl.exercises import copying as chapter_9d
from mini_musessl.exercises import counting as chapter_2a
from mini_musessl.exercises import frames as chapter_5d
from mini_musessl.exercises import judging as chapter_9c
from mini_musessl.exercises import learning_without_labels as chapter_1a
from mini_musessl.exercises import masking as chapter_4b
from mini_musessl.exercises import mathematics as chapter_7
from mini_musessl.exercises import music_transformer as chapter_5c
from mini_musessl.exercises import next_token as chapter_4a
from mini_musessl.exercises import pitch_rhythm_harmony as chapter_3a
from mini_musessl.exercises import positions as chapter_5b
from mini_musessl.exercises import repair as chapter_8a
from mini_musessl.exercises import sampling as chapter_9a
from mini_musessl.exercises import tokens as chapter_3b
from mini_musessl.generation.constraints import NoParallels
from mini_musessl.generation.sampling import effective_number, keep_top_k, keep_top_p, resample
from mini_musessl.network import attention
from mini_musessl.network.encoder import EncoderConfig
from mini_musessl.network.frames import FrameConfig, FrameTransformer, VoiceHead, history_of
from mini_musessl.network.transformer import MusicTransformer, TransformerBlock, TransformerConfig
from mini_musessl.objectives import attributes
from mini_musessl.objectives.contrastive import ContrastiveBatch, info_nce
from mini_musessl.objectives.masked import hidden_cross_entropy
from mini_musessl.objectives.next_token import token_cross_entropy
from mini_musessl.tokenizers.midi_like import MidiLike
from mini_musessl.tokenizers.remi import Remi
from mini_musessl.tokenizers.voice_grid import TOKENS, VoiceGridTokens


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def draw_ids(*shape, seed=0, highest=46):
    return np.random.default_rng(seed).integers(0, highest + 1, shape)


def tensors(*arrays):
    return [torch.from_numpy(np.asarray(array)) for array in arrays]


def logits_of(frames, seed=0):
    return torch.from_numpy(draw(*frames.shape, 47, seed=seed))


def nats_of(logits, ids):
    """Return what each symbol that came costs."""
    return -logits.log_softmax(-1).gather(-1, torch.from_numpy(ids)[..., None])[..., 0].numpy()


# 00, 1a


def test_the_first_baselines_and_windows_are_the_librarys():
    train, test = draw_ids(50, highest=8), draw_ids(20, seed=1, highest=11)
    assert first_road.uniform_nats(47) == counting.uniform_nats(47)
    expected = counting.unigram_nats([train], [test], vocabulary_size=12, n_voices=1)
    assert first_road.pooled_unigram_nats(train, test, 12) == pytest.approx(expected)
    window = cut_windows([train], 50, begin_id=47)
    for found, expected in zip(
        first_road.inputs_and_targets(train, 47), (window.token_ids, window.targets), strict=True
    ):
        np.testing.assert_array_equal(found, expected[0])


def test_temperature_divides_logits():
    rows = draw(4, 6)
    for temperature in (0.3, 1.0, 2.5):
        expected = (torch.tensor(rows) / temperature).softmax(-1).numpy()
        np.testing.assert_allclose([first_road.with_temperature(row, temperature) for row in rows], expected)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=30))
def test_balanced_accuracy_is_that_of_a_probe(pairs):
    label, predicted = np.array(pairs).T
    right, total = probing.count_answers(label, predicted, np.zeros(len(label), int), 5)
    expected = probing.balanced_accuracy(right[0], total[0])
    assert chapter_1a.balanced_accuracy(label, predicted) == pytest.approx(expected)


def test_features_are_standardised_as_in_a_probe():
    labelled, test = draw(12, 4), draw(6, 4, seed=1)
    fitted = probing.fit_linear_probe(labelled, np.arange(12) % 2, 0.1)
    np.testing.assert_allclose(chapter_1a.standardise(labelled, test)[1], (test - fitted.mean) / fitted.scale)


@pytest.mark.parametrize("budget", [1, 3])
def test_a_budget_buys_the_beats_that_a_probe_is_fitted_to(budget):
    piece = np.repeat(np.arange(8), [3, 1, 4, 1, 5, 9, 2, 6])
    split = probing.PieceSplit(tuple(range(6)), (6, 7))
    order, drawn = (probing.draw_labelled(split, np.arange(8), n, np.random.default_rng(2)) for n in (None, budget))
    found = chapter_1a.labelled_beats(piece, order, budget)
    np.testing.assert_array_equal(found, np.flatnonzero(np.isin(piece, drawn)))
    assert chapter_1a.may_fit(piece, list(split.test))[found].all()


# 2a


def test_bits_per_quarter_are_those_of_a_likelihood():
    found = likelihood.evaluate_likelihood(counting.Uniform(), [[[60, 55, 52, 48]] * 3])
    assert chapter_2a.bits_per_quarter(found.nats_per_token) == pytest.approx(found.bits_per_quarter)


@given(st.lists(st.integers(0, 4), max_size=9), st.lists(st.floats(0.1, 1), min_size=5, max_size=5))
def test_witten_bell_is_one_level_of_backing_off(symbols, weights):
    prior = np.array(weights) / sum(weights)
    # A context that is another one when nothing was seen.
    seen, asked = np.array([*symbols, 0]), np.array([7] * len(symbols) + [8])
    found = counting.BackoffCounts([asked], seen, n_symbols=5).probabilities([np.array([7])], prior[None])[0]
    np.testing.assert_allclose(chapter_2a.witten_bell(np.bincount(symbols, minlength=5), prior), found)


@given(st.lists(st.integers(40, 42), min_size=1, max_size=30).map(np.array))
def test_steps_held_are_the_viewpoint_of_the_library(voice):
    held = chapter_2a.steps_held(voice)
    found = counting.musical_viewpoints(np.repeat((voice - 35)[:, None], 4, axis=1))
    np.testing.assert_array_equal(held.clip(max=16), found["hold"][:, 2])


def test_an_n_gram_of_the_library_looks_at_the_context_of_the_exercise():
    ids = draw_ids(40, 4, highest=2)
    model = counting.NGram([np.where(ids == 0, -1, ids + 35)], order=3, semitones=range(1))
    row, log_probs = ids.ravel().tolist(), model.symbol_log_probs(ids).reshape(-1, 47)
    contexts = [chapter_2a.context(row, i, 3) for i in range(len(row))]
    for one, other in itertools.combinations(range(len(row)), 2):
        if contexts[one] == contexts[other]:
            np.testing.assert_array_equal(log_probs[one], log_probs[other])
    assert len(np.unique(log_probs, axis=0)) == len(set(contexts))


def test_same_again_is_a_mixture():
    chorale = np.random.default_rng(1).integers(60, 63, size=(30, 4))
    model, certain = counting.SameAgain([chorale]), (chorale[1:] == chorale[:-1]).ravel().astype(float)
    counted = np.exp(likelihood.token_log_probs(counting.Unigram([chorale]), chorale))[1:].ravel()
    expected = -likelihood.token_log_probs(model, chorale)[1:].mean()
    assert chapter_2a.mixture_nats(certain, counted, model.repeat_share) == pytest.approx(expected)


def test_the_leak_of_a_model_that_is_told_the_bass_is_found():
    def log_probs(ids):
        return -np.repeat(ids[:, 3:] / 50, 4, axis=1).ravel()

    ids = draw_ids(6, 4) + 1
    changed = ids.copy()
    changed[4, 3] = 0
    assert chapter_2a.first_leak(log_probs(ids), log_probs(changed), 4 * 4 + 3) == 16
    assert chapter_2a.first_leak(log_probs(ids), log_probs(ids), 23) == -1


# 3a, 3b


def test_transposition_parallels_and_chroma_are_the_librarys():
    grid = voices.from_pitches(55 + draw_ids(400, 2, highest=19), voice_names=("high", "low"))
    found = chapter_3a.parallel_fifths(*grid.pitch.T)
    np.testing.assert_array_equal(found, voice_leading.parallels(grid, voice_leading.FIFTH)[:, 0])
    np.testing.assert_array_equal(chapter_3a.transposed(grid.pitch, 3), voices.transpose(grid, 3).pitch)
    notes = voices.to_piece(grid).notes
    np.testing.assert_allclose(chapter_3a.note_chroma(notes), harmony.chroma(notes))


def test_keys_are_the_librarys():
    profiles = np.array(harmony.MAJOR_PROFILE), np.array(harmony.MINOR_PROFILE)
    for chroma in np.random.default_rng(3).random((50, 12)):
        key = harmony.find_key(chroma)
        assert chapter_3a.key_number(chroma, *profiles) == key.tonic + 12 * (key.mode == "minor")


def test_phrases_end_where_cadences_are():
    is_fermata = np.array([False, True, True, False, False, True, False])
    grid = voices.from_pitches(np.full((7, 1), 60), is_fermata=is_fermata, voice_names=("melody",))
    assert [cadence.step for cadence in harmony.cadences(grid)] == [1, 5]
    assert [stop for _, stop in chapter_3a.phrases(is_fermata)] == [3, 6, 7]


def test_first_ids_are_those_of_a_vocabulary():
    vocabulary = Remi().vocabulary
    sizes = np.array([len(values) for _, values in vocabulary.families])
    assert chapter_3b.first_ids(sizes).tolist() == [vocabulary.slice_of(name).start for name in vocabulary.names]


def test_time_shifts_are_the_waits_of_midi_like_tokens():
    onset, tokenizer = np.array([3, 4, 9, 11]), MidiLike(steps_per_quarter=4)
    ids = tokenizer.encode(music.Piece(music.make_notes(onset, 1, [60, 62, 64, 65]), steps_per_quarter=4))
    families = tokenizer.vocabulary.family_of(ids)
    waits = np.where(families == "time_shift", ids - tokenizer.vocabulary.slice_of("time_shift").start + 1, 0)
    passed = np.cumsum(waits)[families == "note_on"]
    np.testing.assert_array_equal(np.cumsum(chapter_3b.time_shifts(onset)), passed)


@given(st.integers(0, 15))
def test_positions_are_those_of_the_piece(upbeat):
    piece = music.Piece(music.make_notes([0], [64], [60]), 4, meters=(music.Meter(upbeat - 16, 4, 4),))
    found = chapter_3b.position_in_bar(np.arange(64), 16, upbeat)
    np.testing.assert_array_equal(found, music.bar_position_step(piece, np.arange(64)))


def test_nearest_bins_are_the_velocity_tokens():
    remi = Remi()
    piece = music.Piece(music.make_notes(np.arange(127) * 24, 24, 60, velocity=np.arange(1, 128)))
    ids = remi.encode(piece)
    ids = ids[remi.vocabulary.family_of(ids) == "velocity"] - remi.vocabulary.slice_of("velocity").start
    np.testing.assert_array_equal(chapter_3b.nearest_bin(piece.notes["velocity"], remi.velocities), ids)


@given(grids(n_voices=1))
def test_holds_are_the_hold_tokens(grid):
    tokenizer = VoiceGridTokens(has_hold=True, voice_names=grid.voice_names)
    ids = tokenizer.encode(grid)
    expected = np.where(ids == 0, -1, ids + 35)
    expected[ids == tokenizer.vocabulary.id_of("hold")] = -2
    np.testing.assert_array_equal(chapter_3b.with_holds(grid.pitch[:, 0], grid.is_onset[:, 0]), expected)


def test_bits_of_counted_tokens_are_at_most_those_of_the_uniform_code():
    ids = Remi().encode(make_random_piece(seed=2))
    counts = np.unique(ids, return_counts=True)[1]
    assert 0 < chapter_3b.bits_per_quarter(counts, 10.0) < len(ids) * np.log2(len(counts)) / 10


# 4a


@given(st.lists(st.integers(0, 46), min_size=1, max_size=30).map(np.array), st.integers(1, 9))
def test_cut_examples_are_the_windows_of_the_library(ids, length):
    batch = cut_windows([ids], length, stride_token=length, begin_id=47)
    for row, (read, targets) in enumerate(chapter_4a.cut_examples(ids, length, 47)):
        is_token = ~batch.is_padding[row]
        np.testing.assert_array_equal(batch.token_ids[row][is_token], read)
        np.testing.assert_array_equal(batch.targets[row][is_token], targets)


def test_cells_that_hold_and_move_are_those_of_a_likelihood():
    pitch = np.random.default_rng(0).integers(60, 63, size=(30, 4))
    score = likelihood.evaluate_likelihood(counting.SameAgain([voices.from_pitches(pitch)]), [pitch])
    nats, is_change = score.nats[0][1:], score.is_change[0][1:]
    found = chapter_4a.held_and_moved(score.nats[0], pitch)
    assert found == pytest.approx((nats[~is_change].mean(), nats[is_change].mean()))


def test_what_was_heard_is_the_chroma_of_the_past():
    ids = draw_ids(9, 4, seed=1)
    grid = TOKENS.decode(ids.ravel())
    for step in range(1, 9):
        sounding = harmony.chroma(voices.to_piece(voices.cut(grid, 0, step)).notes) > 0
        np.testing.assert_array_equal(chapter_4a.heard_before(ids)[step], sounding)


def test_joined_gradients_are_those_of_one_large_batch():
    table = torch.tensor(draw(5, 7), requires_grad=True)
    targets, read = tensors(draw_ids(3, 6, highest=6), draw_ids(3, 6, seed=1, highest=4))
    is_padding = torch.arange(6) >= torch.tensor([6, 2, 4])[:, None]

    def gradient(rows):
        loss = token_cross_entropy(table[read[rows]], targets[rows], is_padding[rows])
        return torch.autograd.grad(loss, table)[0].numpy().ravel()

    parts = np.stack([gradient(slice(row, row + 1)) for row in range(3)])
    found = chapter_4a.mean_gradient(parts, (~is_padding).sum(1).numpy())
    np.testing.assert_allclose(found, gradient(slice(None)), atol=1e-6)


def test_a_model_that_writes_on_draws_by_what_it_believes_of_its_own_text():
    table = np.array([[0.1, 0.6, 0.3], [0.5, 0.25, 0.25], [0.2, 0.2, 0.6]])
    written = chapter_4a.write_on(lambda heard: table[heard[-1]], [2, 0], 1, np.random.default_rng(0).random(20_000))
    pairs = np.zeros((3, 3))
    np.add.at(pairs, (written[:-1], written[1:]), 1)
    np.testing.assert_allclose(pairs / pairs.sum(axis=1, keepdims=True), table, atol=0.02)


# 4b

VOICES = st.integers(1, 30).flatmap(
    lambda n_steps: st.tuples(arrays(np.int64, n_steps, elements=st.integers(1, 3)), arrays(np.bool_, n_steps))
)
FRAMES, IS_HIDDEN = draw_ids(3, 6, 4), draw(3, 6, 4, seed=1) < -0.3
IS_PADDING = np.arange(6) >= np.array([6, 2, 5])[:, None]


def test_the_hidden_and_the_orderless_loss_are_those_of_the_objective():
    logits = logits_of(FRAMES)
    nats = nats_of(logits, FRAMES)
    equal = torch.from_numpy(masking.equal_weights(IS_HIDDEN, IS_PADDING))
    expected = hidden_cross_entropy(logits, torch.from_numpy(FRAMES), equal).item()
    assert chapter_4b.hidden_loss(-nats, IS_HIDDEN, IS_PADDING) == pytest.approx(expected, rel=1e-5)
    orderless = torch.from_numpy(masking.orderless_weights(IS_HIDDEN, np.zeros((3, 6), bool)))
    expected = hidden_cross_entropy(logits, torch.from_numpy(FRAMES), orderless).item()
    found = chapter_4b.orderless_loss(nats.reshape(3, -1), IS_HIDDEN.reshape(3, -1))
    assert found == pytest.approx(expected, rel=1e-5)


@given(VOICES)
def test_copying_from_the_left_is_the_rule_next_door_where_nothing_stands_to_the_right(drawn):
    melody, is_hidden = drawn
    found = chapter_4b.copy_left(melody, is_hidden)
    for step in np.flatnonzero(is_hidden):
        before = melody[None, : step + 1, None], is_hidden[None, : step + 1, None], np.zeros((1, step + 1), bool)
        assert found[step] == masking.copy_next_door(*before)[0, step, 0]


@given(VOICES, st.integers(0, 9))
def test_whole_notes_are_what_mask_notes_hides(drawn, seed):
    melody, is_chosen = drawn
    whole = chapter_4b.hide_whole_notes(melody, is_chosen)
    assert (whole >= is_chosen).all()
    if (melody != melody[0]).any():
        padding = np.zeros((1, len(melody)), bool)
        whole = masking.mask_notes(melody[None, :, None], padding, np.random.default_rng(seed))[0, :, 0]
    np.testing.assert_array_equal(chapter_4b.hide_whole_notes(melody, whole), whole)


@pytest.mark.parametrize("seed", range(5))
def test_spans_are_such_as_mask_spans_draws(seed):
    empty, chance = np.zeros((1, 40, 4), int), np.random.default_rng(seed)
    hidden = masking.mask_spans(empty, np.zeros((1, 40), bool), chance, share=0.1, span_steps=5)[0]
    rises = np.argwhere(hidden & ~np.vstack([np.zeros((1, 4), bool), hidden[:-1]]))
    starts = [(voice, first + more) for first, voice in rises for more in (0, 5) if hidden[first + more, voice]]
    np.testing.assert_array_equal(chapter_4b.mark_spans(starts, 40, 5), hidden)


@pytest.mark.parametrize("n_cells", [1, 4, 7])
def test_each_size_of_a_hidden_subset_has_its_share(n_cells):
    sizes = [sum(chosen) for chosen in itertools.product((0, 1), repeat=n_cells) if any(chosen)]
    chances = np.array([chapter_4b.subset_probability(n_cells, size) for size in sizes])
    np.testing.assert_allclose(np.bincount(sizes, chances)[1:], 1 / n_cells)


# 4c

HEADED = EncoderConfig(d_model=16, n_layers=1, n_heads=2, d_feedforward=24, d_voice=16, is_causal=True)


def chorale(n_steps=50, upbeat_step=0):
    generator = np.random.default_rng(3)
    pitch = np.repeat(generator.integers([60, 55, 50, 43], [75, 68, 62, 55], (n_steps, 4)), 3, axis=0)[:n_steps]
    return voices.from_pitches(pitch, bar_position_step=(np.arange(n_steps) + upbeat_step) % 16)


@pytest.mark.parametrize("upbeat_step", [0, 12, 14])
def test_what_comes_next_is_what_the_heads_are_asked(upbeat_step):
    grid = chorale(upbeat_step=upbeat_step)
    asked, chords = attributes.label_attributes(grid), harmony.chord_labels(grid)
    np.testing.assert_array_equal(chapter_4c.next_frames(asked.frames), asked.pitch)
    found = chapter_4c.next_chords(harmony.chord_classes(chords), chords["step"], grid.n_steps)
    np.testing.assert_array_equal(found, asked.chord)


@given(chord=st.integers(-1, 108), semitones=st.integers(-12, 12))
def test_a_moved_chord_is_that_of_the_library(chord, semitones):
    assert chapter_4c.move_chord(chord, semitones) == attributes.transpose_chords(chord, semitones)


def test_the_gain_of_a_head_that_never_says_onset_is_what_the_library_reports():
    grid, model = chorale(), attributes.AttributeModel(HEADED, ["rhythm"])
    for layer in model.heads["rhythm"].to_logits:
        layer.weight.data.zero_()
        layer.bias.data[:2] = -layer.bias.data.new_tensor([0.0, 2.0])
    found = attributes.evaluate_attributes(model, [grid])
    is_onset = attributes.label_attributes(grid).onset[:-1].ravel() == 1
    gain = chapter_4c.onset_gain(np.full(len(is_onset), 1 / (1 + math.exp(2))), is_onset)
    assert gain == pytest.approx(found["onset_accuracy"] - found["onset_commonest_accuracy"])


def test_weighted_nats_are_the_loss_of_the_objective():
    model = attributes.AttributeModel(HEADED).eval()
    batch = next(attributes.attribute_batches([chorale()], 3, 20, np.random.default_rng(0)))
    nats = {name: attributes.attribute_loss(model, batch, {name: 1})[0].item() for name in attributes.HEADS}
    weights = {"pitch": 1.0, "rhythm": 0.0, "harmony": 0.3}
    loss, _ = attributes.attribute_loss(model, batch, weights)
    assert chapter_4c.weighted_nats({**nats, "rhythm": math.nan}, weights) == pytest.approx(loss.item(), rel=1e-5)


# 4d


@given(st.integers(2, 6), st.floats(0.1, 2), st.integers(0, 1000))
def test_cosines_temperature_and_surprise_are_info_nce(n_windows, temperature, seed):
    points = draw(2 * n_windows, 4, seed=seed)
    scores = chapter_4d.cosines_of(points, points) / temperature
    expected = info_nce(*torch.from_numpy(points).chunk(2), temperature).item()
    assert chapter_4d.mean_surprise(scores) == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_one_choice_is_a_row_of_the_loss():
    points = draw(6, 4)
    cosines = chapter_4d.cosines_of(points, points)
    candidates = [[(row + 3) % 6, *np.flatnonzero(wrong)] for row, wrong in enumerate(chapter_4d.wrong_candidates(3))]
    surprises = [-np.log(chapter_4d.pick(cosines[row, each], 0.2)[0]) for row, each in enumerate(candidates)]
    assert np.mean(surprises) == pytest.approx(info_nce(*torch.from_numpy(points).chunk(2), 0.2).item(), rel=1e-5)


def test_false_negatives_are_those_of_a_batch():
    piece, hymn = np.array([4, 4, 1, 2, 1, 9]), np.array([0, 0, 3, 3, 3, 5])
    empty = np.zeros((2, 6, 1, 4), np.int64)
    zeros = empty[..., 0, 0]
    batch = ContrastiveBatch(empty, empty > 0, empty[..., 0] > 0, zeros, zeros, piece_index=piece, hymn_index=hymn)
    np.testing.assert_array_equal(chapter_4d.false_negatives(piece, hymn), batch.is_false_negative)


# 5a, 5b, 5c


def test_softmax_is_pytorchs():
    scores = 300 * draw(4, 7)
    np.testing.assert_allclose(chapter_5a.softmax(scores), torch.from_numpy(scores).softmax(-1))


@given(st.integers(1, 6), st.integers(0, 5))
def test_who_may_be_attended_to_is_the_causal_mask(n_queries, n_past):
    expected = attention.causal_mask(n_queries, n_queries + n_past)
    np.testing.assert_array_equal(chapter_5a.may_attend(n_queries, n_queries + n_past), expected)


def test_heads_are_those_of_multi_head_attention():
    layer, features = attention.MultiHeadAttention(12, 3).double(), draw(5, 12)
    joined = torch.from_numpy(features) @ layer.to_queries_keys_values.weight.data.T
    parts = (chapter_5a.split_heads(part.numpy(), 3) for part in joined.chunk(3, dim=-1))
    mask = chapter_5a.may_attend(5, 5)
    mixed = [chapter_5a.attend(*one, mask) for one in zip(*parts, strict=True)]
    found = np.concatenate(mixed, axis=-1) @ layer.to_output.weight.data.numpy().T
    expected, _ = layer(torch.from_numpy(features)[None], torch.from_numpy(mask))
    np.testing.assert_allclose(found, expected[0].detach())


def test_a_leak_is_found_where_a_mask_leaks():
    features = draw(6, 4)
    changed = features + (np.arange(6) == 3)[:, None]
    for mask, leak in ((np.tri(6, dtype=bool), -1), (np.tri(6, k=1, dtype=bool), 2), (np.ones((6, 6), bool), 0)):
        before, after = (chapter_5a.attend(each, each, each, mask) for each in (features, changed))
        assert chapter_5a.first_leak(before, after, 3) == leak


def test_clocks_are_the_sinusoids():
    found = [chapter_5b.clocks(position, 6) for position in range(9)]
    np.testing.assert_allclose(found, attention.sinusoidal(0, 9, 6), atol=1e-6)


@pytest.mark.parametrize("n_queries, n_keys", [(4, 4), (2, 5)])
def test_distances_choose_the_vectors_of_relative_scores(n_queries, n_keys):
    queries, vectors = draw(n_queries, 3), draw(n_keys + n_queries - 1, 3, seed=1)
    expected = attention.relative_scores(*tensors(queries, vectors), n_keys)
    which = chapter_5b.distances(n_queries, n_keys) + n_keys - 1
    np.testing.assert_allclose(np.einsum("qd,qkd->qk", queries, vectors[which]), expected)


def test_skewed_and_turned_are_the_librarys():
    table, features, angles = draw(6, 6), draw(5, 8), draw(5, 4, seed=1)
    np.testing.assert_array_equal(chapter_5b.skewed(table), attention.skew(torch.from_numpy(table)))
    expected = attention.rotate(*tensors(features, angles))
    np.testing.assert_allclose(chapter_5b.turned(features, angles), expected, atol=1e-12)


def test_the_longest_naive_length_just_fits():
    longest = chapter_5b.longest_naive(10**9, 256)
    assert 4 * longest**2 * 256 <= 10**9 < 4 * (longest + 1) ** 2 * 256


def test_normalised_is_pytorchs_layer_norm():
    features = 3 + 2 * draw(4, 6)
    expected = nn.functional.layer_norm(torch.from_numpy(features), (6,))
    np.testing.assert_allclose(chapter_5c.normalised(features), expected)


@pytest.mark.parametrize("sizes", [(96, 4, 256), (12, 3, 20)])
def test_the_weights_of_a_block_are_counted(sizes):
    assert chapter_5c.n_block_weights(*sizes) == sum(w.numel() for w in TransformerBlock(*sizes).parameters())


def test_a_forbidden_distance_gets_no_weight():
    mask = torch.from_numpy(chapter_5c.forbid(8, 3))
    _, weights = attention.MultiHeadAttention(12, 3).double()(torch.from_numpy(draw(1, 8, 12)), mask)
    means = [chapter_5c.mean_weight(weights[0, 0].detach().numpy(), distance) for distance in range(8)]
    assert [distance for distance, mean in enumerate(means) if mean == 0] == [3]


# 5d


@given(arrays(np.int64, st.tuples(st.integers(1, 30), st.just(4)), elements=st.integers(0, 2)))
def test_what_is_known_is_the_history_of_the_library(frames):
    history = history_of(torch.from_numpy(frames)[None], None, begin_id=47)
    np.testing.assert_array_equal(chapter_5d.latest_frames(frames, 47), history.latest[0])
    held = np.stack([chapter_5d.held_steps(voice) for voice in frames.T], axis=1)
    np.testing.assert_array_equal(held, history.held_step[0])


@pytest.fixture(name="model")
def make_model():
    # Large weights, so that it depends on everything that it reads.
    model = FrameTransformer(FrameConfig(d_model=16, n_layers=1, n_heads=2, d_feedforward=24, d_voice=20)).eval()
    for seed, weight in enumerate(model.parameters()):
        weight.data.copy_(torch.from_numpy(0.3 * draw(*weight.shape, seed=seed)))
    return model


@torch.no_grad()
def test_voices_in_turn_take_what_the_network_finds_likeliest_given_them(model):
    cache = model.start_cache(1)
    model.read_next(cache, torch.full((1, 5, 4), 20))

    def score(above):
        given = torch.tensor(above, dtype=torch.long).view(1, 1, -1)
        return model.score_next(cache, given)[0].numpy()

    frame = torch.tensor(chapter_5d.sing_in_turn(score, 4)).view(1, 1, 4)
    assert torch.equal(model.head(cache.features, cache.history, frame).argmax(-1), frame)


@pytest.mark.parametrize("voice", range(4))
@torch.no_grad()
def test_what_moves_is_what_may_move(model, voice):
    frames = torch.from_numpy(draw_ids(1, 9, 4))
    changed = frames.clone()
    changed[0, 4, voice] = (frames[0, 4, voice] + 3) % 47
    moved = (model(frames) - model(changed))[0].abs().amax(-1) > 1e-6
    np.testing.assert_array_equal(moved, chapter_5d.may_move(9, 4, voice))


@torch.no_grad()
def test_one_voice_of_the_head_is_that_of_the_library(monkeypatch):
    monkeypatch.setattr(torch.nn.functional, "gelu", torch.relu)
    config = FrameConfig(d_model=16, n_heads=2, d_voice=20, uses_holds=False, uses_intervals=False)
    head = VoiceHead(config, torch.nn.Identity()).double()
    for weight in (head.shortcut_table.weight, *(layer.bias for layer in head.to_logits)):
        weight.zero_()
    features, frames = torch.from_numpy(draw(1, 1, 16)), torch.tensor([[[30, 26, 21, 9]]])
    known = history_of(frames, None, begin_id=47)
    tables = [rows.numpy() for rows in head.above_table.weight.chunk(6)]
    for voice in range(4):
        own = head.own_table.weight[48 * voice + 47]
        hidden = head.to_voices(features).chunk(4, dim=-1)[voice][0, 0] + own
        first, above = voice * (voice - 1) // 2, frames[0, 0, :voice].tolist()
        to_logits = head.to_logits[voice].weight.numpy()
        logits = chapter_5d.voice_logits(hidden.numpy(), tables[first : first + voice], above, to_logits)
        np.testing.assert_allclose(logits, head(features, known, frames)[0, 0, voice])


# 7a


def test_bits_are_the_nats_of_the_library_over_ln_2():
    train, test = [[0, 0, 1, 2]], [[0, 1, 1, 0, 2]]
    table = counting.unigram_probabilities(train, vocabulary_size=3, n_voices=1)
    nats = counting.unigram_nats(train, test, vocabulary_size=3, n_voices=1)
    assert chapter_7.code_bits(table[0, test[0]]) == pytest.approx(5 * nats / math.log(2))


def test_a_mixture_of_pieces_loses_no_more_than_the_logarithm_of_its_share():
    first, second = np.random.default_rng(0).exponential(size=(2, 30))
    found = chapter_7.mixture_nats(first, second, 0.1)
    assert found == pytest.approx(-math.log(0.1 * math.exp(-first.sum()) + 0.9 * math.exp(-second.sum())))
    assert found <= min(first.sum() - math.log(0.1), second.sum() - math.log(0.9))


def test_the_power_of_a_whole_is_the_power_of_each_opening():
    first, second = torch.tensor(draw(4)).softmax(-1), torch.tensor(draw(4, 4, seed=1)).softmax(-1)
    openings = ((first.log()[:, None] + second.log()).flatten() / 0.7).softmax(-1).reshape(4, 4)
    np.testing.assert_allclose(chapter_7.first_of_whole(first.numpy(), second.numpy(), 0.7), openings.sum(1))


def test_the_perplexity_of_a_uniform_model_is_the_size_of_its_vocabulary():
    pieces = [np.full(n_tokens, counting.uniform_nats(47)) for n_tokens in (3, 30)]
    assert chapter_7.perplexity(pieces) == pytest.approx(47)


def test_the_gradient_is_that_of_autograd():
    logits, targets = torch.tensor(draw(6, 9), requires_grad=True), draw_ids(6, highest=8)
    nn.functional.cross_entropy(logits, torch.from_numpy(targets)).backward()
    found = chapter_7.loss_gradient(logits.detach().numpy(), targets)
    np.testing.assert_allclose(found, logits.grad.numpy(), atol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_the_divergence_is_that_of_pytorch_and_never_below_0(seed):
    q, p = np.random.default_rng(seed).dirichlet(np.ones(5), 2)
    expected = nn.functional.kl_div(*tensors(np.log(p), q), reduction="sum").item()
    assert chapter_7.kl_nats(q, p) == pytest.approx(expected)
    assert chapter_7.kl_nats(q, p) > 0 == chapter_7.kl_nats(q, q)


# 8a


def test_next_note_nats_are_the_librarys_loss_after_a_shift():
    log_probs, ids = torch.from_numpy(draw(6, 9)).log_softmax(-1), np.array([8, 0, 3, 3, 1, 5])
    expected = token_cross_entropy(log_probs[None, :-1], torch.from_numpy(ids)[None, 1:])
    assert chapter_8a.next_note_nats(log_probs.numpy(), ids) == pytest.approx(expected.item(), abs=1e-6)


@pytest.mark.parametrize("n_notes", [1, 2, 7])
def test_the_hidden_notes_are_those_of_pytorch_and_not_those_of_the_library(n_notes):
    hidden = torch.from_numpy(chapter_8a.is_hidden(n_notes))
    assert torch.equal(hidden, nn.Transformer.generate_square_subsequent_mask(n_notes, dtype=torch.bool))
    assert torch.equal(hidden, ~attention.causal_mask(n_notes, n_notes))


def test_nats_without_padding_are_those_that_pytorch_counts():
    logits, targets = torch.from_numpy(draw(2, 5, 4)), torch.tensor([[1, 2, 0, 4], [3, -100, -100, -100]])
    nats = nn.functional.cross_entropy(logits, targets, ignore_index=-100, reduction="none")
    expected = nn.functional.cross_entropy(logits, targets, ignore_index=-100)
    assert chapter_8a.nats_without_padding(nats.numpy(), np.array([4, 1])) == pytest.approx(expected.item(), abs=1e-6)


def test_an_encoded_batch_is_what_batch_first_means():
    time_first, batch_first = (nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=is_so) for is_so in (False, True))
    batch_first.load_state_dict(time_first.state_dict())
    features = draw(3, 5, 8).astype(np.float32)
    found = chapter_8a.encode_batch(lambda array: time_first(torch.from_numpy(array.copy())).detach().numpy(), features)
    np.testing.assert_allclose(found, batch_first(torch.from_numpy(features)).detach(), atol=1e-5)


def test_only_places_before_the_encoder_tell_a_tune_from_its_notes_shuffled():
    notes, places = draw(7, 3), draw(8, 3, seed=1)

    def difference(function):
        orders = np.array([0, 1, 2, 3]), np.array([2, 1, 0, 3])
        one, other = (function(chapter_8a._look_around, order, notes, places)[-1] for order in orders)
        return np.abs(one - other).max()

    assert difference(chapter_8a.encode_in_order) > 0.01
    for blind in EXERCISES["8a.6"].mistakes[:3]:  # no places, places after the encoder, places by the note
        assert difference(blind.answer) < 1e-9


# 8b


def likelihood_of(lengths, seed=0):
    rng = np.random.default_rng(seed)
    nats = tuple(rng.exponential(0.4, size=(n_steps, 4)) for n_steps in lengths)
    return likelihood.Likelihood(nats, tuple(np.zeros(each.shape, bool) for each in nats))


def test_nats_per_token_are_the_headline_and_the_mistakes_are_the_numbers_beside_it():
    score, mistakes = likelihood_of((3, 50, 17)), EXERCISES["8b.1"].mistakes
    assert chapter_8b.nats_per_token(score.nats) == pytest.approx(score.nats_per_token)
    assert mistakes[0].answer(score.nats) == pytest.approx(score.mean_of_piece_means)
    assert mistakes[1].answer(score.nats) == pytest.approx(score.nats_per_frame)


@pytest.mark.parametrize("context", [2, 4, 10, 128])
@pytest.mark.parametrize("n_steps", [1, 4, 5, 12, 13, 130, 641])
def test_scoring_windows_are_those_of_the_library(n_steps, context):
    assert chapter_8b.scoring_windows(n_steps, context) == windows_with_history(n_steps, context)


def test_joint_nats_turn_a_mean_over_five_symbols_into_one_over_four_notes():
    notes, chords = np.random.default_rng(0).exponential(size=(9, 4)), np.random.default_rng(1).exponential(size=9)
    over_five = np.concatenate((notes, chords[:, None]), axis=1).mean()
    assert chapter_8b.joint_nats(notes, chords) == pytest.approx(over_five * 5 / 4)


def test_a_paired_range_is_that_of_the_library():
    first, second = (likelihood_of((5, 40, 12, 30, 7), seed) for seed in (1, 2))
    drawn = np.random.default_rng(3).integers(5, size=(500, 5))
    sums = [np.array([nats.sum() for nats in each.nats]) for each in (first, second)]
    found = likelihood.compare(first, second, np.random.default_rng(3), n_draws=500)
    assert chapter_8b.paired_range(*sums, first.piece_tokens, drawn) == pytest.approx([found.low, found.high])


# Exercises that build


def test_self_attention_built_from_heads_is_pytorchs():
    features, projections, may = draw(5, 6), draw(4, 6, 6, seed=1), np.tri(5, dtype=bool)
    layer = nn.MultiheadAttention(6, 2, bias=False, batch_first=True).double()
    with torch.no_grad():
        layer.in_proj_weight.copy_(torch.from_numpy(np.concatenate(projections[:3].transpose(0, 2, 1))))
        layer.out_proj.weight.copy_(torch.from_numpy(projections[3].T))
        x = torch.from_numpy(features)[None]
        expected = layer(x, x, x, attn_mask=torch.from_numpy(~may))[0][0]
    np.testing.assert_allclose(chapter_5a.self_attention(features, projections, 2, may), expected, atol=1e-12)


@pytest.mark.parametrize("p", [0.1, 0.6, 0.9])
def test_top_p_is_the_samplers(p):
    probabilities = np.random.default_rng(0).dirichlet(np.ones(9))
    expected = keep_top_p(torch.from_numpy(np.log(probabilities)), p).softmax(-1)
    np.testing.assert_allclose(chapter_7.keep_top_p(probabilities, p), expected, atol=1e-12)


def test_back_off_is_the_counts_of_the_library():
    melody = np.array(chapter_2a.MELODY * 3)
    latest, before, following = melody[1:-1], melody[:-2], melody[2:]
    levels = [np.zeros_like(latest), latest, 4 * before + latest]
    library = counting.BackoffCounts(levels, following, n_symbols=4)
    tables = {}
    for context, symbol in zip(zip(before, latest, strict=True), following, strict=True):
        for each in ((), context[1:], context):
            tables.setdefault(each, np.zeros(4, int))[symbol] += 1
    found = [chapter_2a.back_off(tables, context, 4) for context in zip(before, latest, strict=True)]
    np.testing.assert_allclose(found, library.probabilities(levels, np.full((len(latest), 4), 0.25)))


def test_the_contrastive_loss_from_vectors_is_the_librarys():
    first, second = draw(5, 3), draw(5, 3, seed=1)
    expected = info_nce(*tensors(first, second), temperature=0.3)
    assert chapter_4d.info_nce(first, second, 0.3) == pytest.approx(float(expected))


def test_the_training_loop_is_pytorchs_sgd():
    batches, weights = list(draw(4, 4, 2)), torch.tensor([1.0, -2.0], dtype=torch.float64, requires_grad=True)
    options = 0.1, 3, 0.9
    expected = chapter_5c.train(weights.detach().numpy().copy(), chapter_5c._gradient_of_squares, batches, *options)
    optimizer = torch.optim.SGD([weights], lr=0.1)
    warm_up = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda update: min(1, (update + 1) / 3))
    for batch in map(torch.from_numpy, batches):
        optimizer.zero_grad()
        (0.5 * (batch @ weights - batch.sum(1)) ** 2).mean().backward()
        nn.utils.clip_grad_norm_([weights], 0.9)
        optimizer.step()
        warm_up.step()
    np.testing.assert_allclose(expected, weights.detach(), rtol=1e-5)


def test_a_block_is_the_librarys():
    ours, features = TransformerBlock(12, 3, 20).double(), draw(5, 12)
    for weight in ours.parameters():
        nn.init.normal_(weight, generator=torch.Generator().manual_seed(weight.numel()))
    w = {name.removesuffix(".weight"): weight.detach().numpy() for name, weight in ours.named_parameters()}
    projections = [*np.split(w["attention.to_queries_keys_values"], 3), w["attention.to_output"]]
    weights = {name: w[name].T for name in ("attention_norm", "feedforward_norm", "widen", "narrow")}
    weights["projections"] = np.array(projections).transpose(0, 2, 1)
    found = chapter_5c.block(features, weights, 3, np.tri(5, dtype=bool))
    expected = ours(torch.from_numpy(features)[None], attention.causal_mask(5, 5))
    np.testing.assert_allclose(found, expected[0].detach())


@torch.no_grad()
def test_writing_with_a_cache_is_writing_on_without():
    network = MusicTransformer(TransformerConfig(vocabulary_size=5, d_model=8, n_layers=2, n_heads=2), seed=0).double()
    nn.init.normal_(network.to_logits.weight, generator=torch.Generator().manual_seed(0))

    def read(tokens, cache):
        cache = network.start_cache(1) if cache is None else cache
        return network(torch.tensor([tokens]), cache)[0, -1].softmax(-1).numpy(), cache

    def beliefs(heard):
        return network(torch.tensor([heard]))[0, -1].softmax(-1).numpy()

    prompt, draws = [3, 0, 2], np.random.default_rng(0).random(12).tolist()
    assert prompt + chapter_5c.generate(read, prompt, draws) == chapter_4a.write_on(beliefs, prompt, 3, draws)


# 9a


@given(arrays(float, 6, elements=st.integers(0, 4)), st.integers(1, 6), st.floats(0.05, 1))
def test_what_is_kept_is_what_the_library_keeps(weights, k, p):
    probs = (weights + 0.5) / (weights + 0.5).sum()
    logits = torch.from_numpy(np.log(probs))
    np.testing.assert_allclose(chapter_9a.keep_k(probs, k), keep_top_k(logits, k).softmax(-1), atol=1e-12)
    before = np.sort(probs)[::-1].cumsum()
    if abs(before - p).min() > 1e-5:  # where rounding decides, either may be right
        np.testing.assert_allclose(chapter_9a.keep_p(probs, p), keep_top_p(logits, p).softmax(-1), atol=1e-12)


def test_the_fitted_temperature_has_the_loss_of_pytorch():
    logits, targets, temperatures = draw(7, 5), draw_ids(7, highest=4), np.array([0.5, 1.0, 2.0])
    losses = [nn.functional.cross_entropy(*tensors(logits / each, targets)).item() for each in temperatures]
    best, loss = chapter_9a.fit_temperature(logits, targets, temperatures)
    assert (best, loss) == (temperatures[np.argmin(losses)], pytest.approx(min(losses)))


# 9b


def test_what_may_be_sung_without_parallels_is_what_the_library_says():
    rng, n_forbidden = np.random.default_rng(0), 0
    for _ in range(200):
        before, above, n_ids = EXERCISES["9b.6"].draw(rng)
        allowed = NoParallels().allows(*tensors(before[None, None], above[None]), n_ids)[0].numpy()
        np.testing.assert_array_equal(chapter_9b.no_parallels(before, above, n_ids), allowed)
        n_forbidden += (~allowed).sum()
    assert n_forbidden > 50


def test_what_lies_below_the_others_makes_no_crossing():
    for above in itertools.product(range(4), repeat=3):
        pitch = np.array([[*above, each] for each in range(4)])
        names = tuple("abcd")
        crossed, already = (
            voice_leading.crossings(voices.from_pitches(np.where(each > 0, each + 35, -1), voice_names=names))
            for each in (pitch, np.where(np.arange(4) < 3, pitch, 0))
        )
        may = chapter_9b.below_the_others(np.array(above), 4)
        np.testing.assert_array_equal(may[~already], ~crossed[~already])


def test_pairs_that_are_kept_come_as_often_as_whole_pairs_do():
    rng = np.random.default_rng(1)
    first, then, is_allowed, _ = EXERCISES["9b.2"].draw(rng)
    kept = [chapter_9b.reject(first, then, is_allowed, rng.random(400))[:2] for _ in range(3000)]
    share = np.zeros((3, 3))
    np.add.at(share, tuple(np.transpose(kept)), 1 / len(kept))
    np.testing.assert_allclose(share, chapter_9b.two_ways(first, then, is_allowed)[1], atol=0.04)


def test_drafts_are_replaced_as_the_library_replaces_them():
    n_poor = 0
    for seed in range(30):
        log_weights, chance = 2 * draw(6, seed=seed), torch.Generator().manual_seed(seed)
        start = float(torch.rand(1, generator=chance, dtype=torch.float64))
        rows, new = chapter_9b.particle_step(log_weights, np.zeros(6), start)
        weights, is_poor = torch.from_numpy(log_weights)[None], new.sum() == 0
        assert is_poor == bool(effective_number(weights) < 3)
        n_poor += is_poor
        expected = resample(weights, chance.manual_seed(seed))[0] if is_poor else np.arange(6)
        np.testing.assert_array_equal(rows, expected)
    assert 5 < n_poor < 25


# 9c


@pytest.mark.parametrize("seed", range(3))
def test_grooves_distances_and_chances_are_the_librarys(seed):
    has_onset = np.random.default_rng(seed).random(40) < 0.4
    grid = voices.from_pitches(60 + has_onset.cumsum()[:, None], voice_names=("melody",))
    has_onset = grid.is_onset[:, 0]
    assert chapter_9c.groove(has_onset, 16) == pytest.approx(statistics.groove_consistency(grid))
    first, second = draw(30, 4, seed=seed), 1 + 2 * draw(40, 4, seed=9 + seed)
    assert chapter_9c.frechet(first, second) == pytest.approx(statistics.frechet_distance(first, second))
    found = statistics.two_sample_test(first, second, np.random.default_rng(seed))
    assert chapter_9c.p_value(round(found.accuracy * found.n), found.n) == pytest.approx(found.p_value)


def test_the_interval_of_a_share_is_that_of_clopper_and_pearson():
    skills = np.linspace(0, 1, 2001)
    low, high = chapter_9c.interval(8, 10, skills)
    assert (low, high) == pytest.approx((0.4439, 0.9748), abs=6e-4)  # scipy.stats.binomtest(8, 10).proportion_ci()
    assert chapter_9c.interval(5, 5, skills) == pytest.approx((0.025 ** (1 / 5), 1), abs=6e-4)


# 9d


def test_what_is_shared_in_any_key_is_what_the_library_finds():
    rng = np.random.default_rng(0)
    melody, *others = (rng.integers(60, 63, n) for n in (40, 20, 3, 30))
    grids = [voices.from_pitches(line[:, None], voice_names=("melody",)) for line in (melody, *others)]
    for n_steps in (2, 3, 5):
        found = chapter_9d.shared_share(melody, others, n_steps)
        assert 0 < found == copying.shared_share(grids[:1], grids[1:], n_steps)


def test_two_windows_have_one_key_where_the_library_says_so():
    pitch = np.random.default_rng(1).integers(59, 62, (60, 2))
    pitch[pitch == 59] = -1
    keys = copying.moving_windows(voices.from_pitches(pitch, voice_names=("high", "low")), 2)
    ours = {step: chapter_9d.window_key(pitch[step : step + 2]).tolist() for step in keys}
    for one, other in itertools.combinations(keys, 2):
        assert (ours[one] == ours[other]) == (keys[one] == keys[other])


def test_membership_exposure_and_departure_are_the_librarys():
    rng = np.random.default_rng(2)
    trained, held_out = rng.integers(0, 5, 9) / 10, rng.integers(0, 7, 6) / 10
    assert chapter_9d.membership_auc(trained, held_out) == pytest.approx(copying.membership_auc(trained, held_out))
    for canary in rng.random(5):
        assert chapter_9d.exposure(canary, trained + 0.01) == pytest.approx(copying.exposure(canary, trained + 0.01))
    original = rng.integers(60, 62, (9, 1))
    written = np.append(original[:6], rng.integers(60, 62, (2, 1)), axis=0)
    for start in (0, 3, 8):
        grids = [voices.from_pitches(each, voice_names=("melody",)) for each in (written, original)]
        found = chapter_9d.steps_until_departure(written, original, start)
        assert found == copying.steps_until_departure(*grids, start)
