"""Pitch, rhythm and harmony: right targets, nothing in sight that is asked, weights that do what they say."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from mini_musessl import training, voices
from mini_musessl.batches import random_frame_batches
from mini_musessl.network.encoder import EncoderConfig
from mini_musessl.objectives.attributes import (
    HEADS,
    NO_TARGET,
    QUESTIONS,
    AttributeModel,
    attribute_batches,
    attribute_loss,
    evaluate_attributes,
    label_attributes,
    same_again,
    transpose_chords,
)

SMALL = dict(d_model=24, n_layers=2, n_heads=2, d_feedforward=40, d_voice=32, context_length=40, is_causal=True)
ONE_CHORD = voices.from_pitches([[72, 67, 64, 48]])
C_MAJOR, G_SEVENTH, A_MINOR = 1, 1 + 12 * 4 + 7, 1 + 12 + 9


def tiny_chorale() -> voices.VoiceGrid:
    # C, G7, C, A minor; the soprano strikes its C again on beat 4, the bass rests in beat 3.
    beats = [[72, 67, 64, 48], [74, 67, 65, 47], [72, 67, 64, -1], [72, 64, 60, 45]]
    pitch = np.repeat(beats, 4, axis=0)
    pitch[6:8, 1] = 65  # an eighth note
    is_onset = np.vstack((pitch[:1] != -2, pitch[1:] != pitch[:-1])) & (pitch != voices.REST)
    is_onset[12, 0] = True
    return voices.from_pitches(pitch, is_onset=is_onset, fifths=0)


def random_chorale(n_steps=60, seed=0) -> voices.VoiceGrid:
    generator = np.random.default_rng(seed)
    pitch = generator.integers([60, 55, 50, 43], [75, 68, 62, 55], (n_steps, 4))
    is_held = generator.random((n_steps, 4)) < 0.7
    for step in range(1, n_steps):
        pitch[step] = np.where(is_held[step], pitch[step - 1], pitch[step])
    pitch[7:9, 2] = voices.REST
    return voices.from_pitches(pitch)


def make(heads=tuple(HEADS), seed=0, **changes) -> AttributeModel:
    model = AttributeModel(EncoderConfig(**{**SMALL, **changes}), heads, seed)
    generator = torch.Generator().manual_seed(1)
    for weight in model.parameters():
        weight.data.copy_(0.3 * torch.randn(weight.shape, generator=generator))
    return model.eval()


def draw(pieces, n_windows=5, n_steps=16, seed=0, **settings):
    generator = None if seed is None else np.random.default_rng(seed)
    return next(attribute_batches(pieces, n_windows, n_steps, generator, **settings))


def test_the_targets_of_a_tiny_chorale_by_hand():
    piece = label_attributes(tiny_chorale())
    soprano, alto, _, bass = range(4)
    assert piece.pitch[:, soprano].tolist() == [37] * 3 + [39] * 4 + [37] * 8 + [NO_TARGET]
    assert piece.pitch[:, bass].tolist() == [13] * 3 + [12] * 4 + [0] * 4 + [10] * 4 + [NO_TARGET]
    assert np.flatnonzero(piece.onset[:, soprano] == 1).tolist() == [3, 7, 11]  # the last strikes the same C again
    assert np.flatnonzero(piece.onset[:, alto] == 1).tolist() == [5, 7, 11]
    assert np.flatnonzero(piece.onset[:, bass] == 1).tolist() == [3, 11]  # resting is no onset
    assert piece.duration[:, alto].tolist() == [3, 3, 2, 2, 1, 0, 1, 0, 2, 2, 1, 0, 2, 2, 1, NO_TARGET]
    assert piece.duration[8:12, bass].tolist() == [NO_TARGET] * 4
    assert piece.chord.tolist() == [G_SEVENTH] * 4 + [C_MAJOR] * 4 + [A_MINOR] * 4 + [NO_TARGET] * 4


def test_the_rule_of_the_same_again_by_hand():
    rule = same_again(label_attributes(tiny_chorale()))
    assert rule["pitch"][5].tolist() == [39, 32, 30, 12]
    assert not rule["onset"].any()
    # The alto's first note should last a quarter; its eighth as long as the six steps before; the next as the eighth.
    assert rule["duration"][:10, 1].tolist() == [2, 2, 1, 0, 0, 0, 3, 3, 1, 0]
    assert rule["chord"].tolist()[:8] == [C_MAJOR] * 4 + [G_SEVENTH] * 4


def test_the_rule_of_the_same_again_sees_nothing_that_comes():
    grid = random_chorale()
    for n_kept in (9, 22, 35):
        cut = voices.cut(grid, 0, n_kept)
        for question, answers in same_again(label_attributes(cut)).items():
            whole = same_again(label_attributes(grid))[question][:n_kept]
            np.testing.assert_array_equal(answers, whole, err_msg=question)


@pytest.mark.parametrize("semitones", [-5, 1, 6])
def test_transposing_a_piece_transposes_its_targets(semitones):
    grid = random_chorale()
    piece, moved = label_attributes(grid), label_attributes(voices.transpose(grid, semitones))
    np.testing.assert_array_equal(moved.pitch, piece.pitch + semitones * (piece.pitch > 0))
    np.testing.assert_array_equal(moved.onset, piece.onset)
    np.testing.assert_array_equal(moved.duration, piece.duration)
    np.testing.assert_array_equal(moved.chord, transpose_chords(piece.chord, semitones))


def test_the_windows_of_a_batch_carry_the_targets_of_their_transposed_pieces():
    grids = [random_chorale(50, seed=1), random_chorale(9, seed=2), tiny_chorale()]
    batch = draw(grids, n_windows=40, n_steps=12)
    n_moved = 0
    for row, (piece_index, start) in enumerate(zip(batch.piece_index, batch.start_step, strict=True)):
        grid = grids[piece_index]
        there = slice(start, min(start + 12, grid.n_steps))
        shift = int(batch.frames[row, 0, 0] - label_attributes(grid).frames[start, 0])
        moved = label_attributes(voices.transpose(grid, shift))
        n_there = there.stop - there.start
        assert batch.is_padding[row].tolist() == [False] * n_there + [True] * (12 - n_there)
        for name in ("frames", *QUESTIONS):
            np.testing.assert_array_equal(getattr(batch, name)[row, :n_there], getattr(moved, name)[there], name)
            assert (getattr(batch, name)[row, n_there:] == (0 if name == "frames" else NO_TARGET)).all()
        n_moved += shift != 0
    assert n_moved > 20 and batch.is_padding.any()


def test_windows_are_those_of_random_frame_batches_and_the_same_each_time():
    grids = [random_chorale(50, seed=seed) for seed in range(3)]
    first, second = draw(grids, seed=4), draw([label_attributes(grid) for grid in grids], seed=4)
    frames = [label_attributes(grid).frames for grid in grids]
    drawn = next(random_frame_batches(frames, 5, 17, np.random.default_rng(4)))
    np.testing.assert_array_equal(first.frames, drawn.frames[:, :16])
    np.testing.assert_array_equal(first.pitch, drawn.frames[:, 1:])
    for name in vars(first):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))


@torch.no_grad()
def test_a_step_answers_from_the_frames_up_to_it_alone():
    batch, model = draw([random_chorale()], n_windows=1), make()
    frames = torch.from_numpy(batch.frames)
    before, features = model(frames), model.encoder(frames)
    for step in (3, 9, 15):
        changed = frames.clone()
        changed[:, step] = (changed[:, step] + 3) % 47
        assert torch.equal(model.encoder(changed)[:, :step], features[:, :step])
        for question, logits in model(changed).items():
            assert torch.equal(logits[:, :step], before[question][:, :step])
            assert not torch.allclose(logits[:, step], before[question][:, step])


@torch.no_grad()
def test_the_loss_is_the_weighted_mean_of_what_each_question_costs():
    batch, model = draw([random_chorale(50, seed=1), random_chorale(9, seed=2)], n_windows=8), make()
    costs = {}
    logits = model(torch.from_numpy(batch.frames))
    for question, scores in logits.items():
        target = getattr(batch, question)
        is_asked = target != NO_TARGET
        log_probs = scores.log_softmax(-1).numpy()[is_asked]
        costs[question] = -log_probs[np.arange(len(log_probs)), target[is_asked]].mean()
    rhythm = (costs["onset"] + costs["duration"]) / 2
    loss, n_steps = attribute_loss(model, batch, {"pitch": 1, "rhythm": 2, "harmony": 0.5})
    assert loss.item() == pytest.approx((costs["pitch"] + 2 * rhythm + 0.5 * costs["chord"]) / 3.5, rel=1e-5)
    assert batch.is_padding.any() and n_steps == (batch.pitch[..., 0] != NO_TARGET).sum()
    for name, cost in (("pitch", costs["pitch"]), ("rhythm", rhythm), ("harmony", costs["chord"])):
        assert attribute_loss(model, batch, {name: 3})[0].item() == pytest.approx(cost, rel=1e-5)


@torch.no_grad()
def test_a_network_with_a_clock_is_told_where_each_window_begins():
    grid, model = random_chorale(50), make(cycle_length=16)
    batch = draw([grid], n_windows=4, n_steps=10, semitones=range(1))
    moved = replace(batch, start_step=batch.start_step + 1)
    same = replace(batch, start_step=batch.start_step + 16)
    loss, later, cycle = (attribute_loss(model, each)[0].item() for each in (batch, moved, same))
    assert cycle == pytest.approx(loss) and later != pytest.approx(loss)


@torch.no_grad()
def test_padding_does_not_count():
    grid, model = random_chorale(11), make()
    short, long = (draw([grid], n_windows=1, n_steps=n_steps, semitones=range(1)) for n_steps in (11, 30))
    (one, n_one), (other, n_other) = attribute_loss(model, short), attribute_loss(model, long)
    assert one.item() == pytest.approx(other.item(), rel=1e-5) and n_one == n_other == 10


@pytest.mark.parametrize("off", list(HEADS))
def test_a_head_that_is_switched_off_gets_no_gradient(off):
    model = make()
    weights = {name: float(name != off) for name in HEADS}
    attribute_loss(model, draw([random_chorale()]), weights)[0].backward()
    for name, head in model.heads.items():
        has_gradient = [weight.grad is not None and bool(weight.grad.any()) for weight in head.parameters()]
        assert all(has_gradient) if name != off else not any(has_gradient)
    assert all(weight.grad is not None for weight in model.encoder.blocks.parameters())


def test_models_with_different_heads_begin_with_the_same_encoder_and_heads():
    config = EncoderConfig(**SMALL)
    whole, part = AttributeModel(config, seed=3), AttributeModel(config, ["harmony"], seed=3)
    other = AttributeModel(config, ["harmony"], seed=4)
    weights = whole.state_dict()
    assert list(part.heads) == ["harmony"]
    assert all(torch.equal(weight, weights[name]) for name, weight in part.state_dict().items())
    assert not torch.equal(other.encoder.symbol_table.weight, whole.encoder.symbol_table.weight)


def test_a_fresh_model_pays_what_chance_pays():
    found = evaluate_attributes(AttributeModel(EncoderConfig(**SMALL)), [random_chorale()])
    for question, n_answers in QUESTIONS.items():
        assert found[f"{question}_nats"] == pytest.approx(math.log(n_answers), abs=0.35)
        assert found[f"{question}_chance_nats"] == pytest.approx(math.log(n_answers))


@pytest.mark.parametrize("is_training", [True, False])
def test_measuring_leaves_a_model_in_its_mode(is_training):
    model = AttributeModel(EncoderConfig(**{**SMALL, "dropout": 0.5})).train(is_training)
    first, again = (evaluate_attributes(model, [tiny_chorale()]) for _ in range(2))
    assert first == again and model.training is is_training


def test_one_batch_is_memorised():
    batch = draw([random_chorale(40)], n_windows=3, n_steps=24)
    model = AttributeModel(EncoderConfig(**{**SMALL, "dropout": 0.0}))
    config = training.TrainingConfig(150, learning_rate=1e-2, n_warmup_updates=10, weight_decay=0.0)
    training.train(model, iter([batch] * 150), config, objective=attribute_loss, report=None)
    assert attribute_loss(model, batch)[0].item() < 0.15


@pytest.mark.parametrize("context_length", [8, 9, 60])
def test_every_step_is_measured_once_whatever_the_context(context_length):
    class Echo(AttributeModel):
        def forward(self, frames, is_padding=None, first_step=None):
            answers = super().forward(frames, is_padding, first_step)
            return {"pitch": 20.0 * torch.nn.functional.one_hot(frames, 47), **answers}

    grids = [random_chorale(60), tiny_chorale(), random_chorale(21, seed=5)]
    model = Echo(EncoderConfig(**{**SMALL, "context_length": context_length}), ["rhythm", "harmony"])
    found = evaluate_attributes(model, grids)
    pieces = [label_attributes(grid) for grid in grids]
    same = np.concatenate([(piece.pitch == piece.frames)[:-1].ravel() for piece in pieces])
    assert found["pitch_accuracy"] == found["pitch_same_again_accuracy"] == pytest.approx(same.mean())
    assert found["pitch_moves_accuracy"] == 0
    assert found["pitch_nats"] == pytest.approx(20 * (1 - same.mean()), rel=1e-4)
    assert found["n_steps"] == 59 + 15 + 20


@torch.no_grad()
def test_what_is_measured_is_the_loss_of_the_piece():
    grid, model = random_chorale(30), make()
    found = evaluate_attributes(model, [grid])
    batch = draw([grid], n_windows=1, n_steps=30, semitones=range(1))
    for name, questions in HEADS.items():
        nats = np.mean([found[f"{question}_nats"] for question in questions])
        assert attribute_loss(model, batch, {name: 1})[0].item() == pytest.approx(nats, rel=1e-4)


def test_the_baselines_of_a_tiny_chorale_by_hand():
    found = evaluate_attributes(make(["rhythm", "harmony"]), [tiny_chorale()])
    assert found["onset_commonest_accuracy"] == found["onset_same_again_accuracy"] == pytest.approx(49 / 60)
    assert found["chord_same_again_accuracy"] == 0
    assert found["chord_same_again_nats"] == pytest.approx(math.log(108))
    assert found["chord_commonest_accuracy"] == pytest.approx(1 / 3)
    share = 49 / 60
    assert found["onset_same_again_nats"] == pytest.approx(-share * math.log(share) - (1 - share) * math.log(1 - share))
    assert not any(name.startswith("pitch") for name in found)


def test_a_question_that_a_batch_does_not_ask_is_left_out():
    grid = voices.cut(tiny_chorale(), 0, 4)  # one beat: no next one
    batch, model = draw([grid]), make()
    assert (batch.chord == NO_TARGET).all()
    loss, _ = attribute_loss(model, batch)
    without, _ = attribute_loss(model, batch, {"pitch": 1, "rhythm": 1})
    assert loss.item() == pytest.approx(without.item())


def weigh(weights, pieces=None):
    return attribute_loss(make(["rhythm", "pitch"]), draw([tiny_chorale()] if pieces is None else pieces), weights)


def diverged() -> AttributeModel:
    model = make()
    model.heads["pitch"].to_voices.weight.data[:] = math.nan
    return model


@pytest.mark.parametrize(
    ("error", "call", "sentence"),
    [
        (ValueError, lambda: make(["melody"]), "must be one of pitch, rhythm, harmony; found 'melody'"),
        (ValueError, lambda: make([]), "At least one head is needed"),
        (ValueError, lambda: make(is_causal=False), "the encoder must be causal; found is_causal=False"),
        (ValueError, lambda: draw([]), "Pieces are needed, at least one"),
        (TypeError, lambda: evaluate_attributes(make(), tiny_chorale()), "Pieces come in a list; found one VoiceGrid"),
        (TypeError, lambda: draw([label_attributes(tiny_chorale()).frames]), "found ndarray. Give the grids"),
        (TypeError, lambda: draw([tiny_chorale()], seed=None), "numpy.random.Generator; found NoneType"),
        (ValueError, lambda: evaluate_attributes(make(), [ONE_CHORD]), "must ask something of pitch; found none"),
        (FloatingPointError, lambda: evaluate_attributes(diverged(), [tiny_chorale()]), "must be finite numbers"),
        (TypeError, lambda: attribute_loss(make(), [1]), "needs a AttributeBatch, .*; found list"),
        (ValueError, lambda: weigh(None, [ONE_CHORD]), "at least one target"),
        (ValueError, lambda: weigh({"pitch": 0, "rhythm": 0.0}), "at least one target; found none. Are all weights 0"),
        (ValueError, lambda: weigh({"pitch": 1, "tempo": 1}), "A head must be one of pitch, rhythm; found 'tempo'"),
        (ValueError, lambda: weigh({"harmony": 1}), "A head must be one of pitch, rhythm; found 'harmony'"),
        (ValueError, lambda: weigh({"pitch": -1, "rhythm": 1}), "0 or more; pitch has -1"),
        (ValueError, lambda: weigh({"rhythm": math.nan}), "finite number"),
    ],
)
def test_heads_pieces_and_weights_that_mean_nothing_are_refused(error, call, sentence):
    with pytest.raises(error, match=sentence):
        call()
