"""What the library computes, part by part, in numbers and short digests: kept in golden/golden.json.

PYTHONPATH=experiments python tests/golden.py [PART...]          says what differs from the file, and the seconds
PYTHONPATH=experiments python tests/golden.py --write [PART...]  writes these parts anew, or all

A digest stands for what must be equal to the bit, a float for what may move by a millionth. Nothing here says what is
right; it says what was there when the file was written. Whoever changes what a part computes, and means to, writes that
part anew and says so. The last bits of networks depend on the machine: MACHINE_PARTS are compared only on one like that
which the file names.
"""

import contextlib
import hashlib
import io
import json
import math
import os
import re
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from dataclasses import asdict, fields
from functools import cache, partial, wraps
from itertools import islice, product
from pathlib import Path
from typing import Any

import calibration
import numpy as np
import torch
from distillation import distillation_loss
from ensemble import Ensemble
from random_music import make_random_piece

from mini_musessl import (
    audio,
    corpora,
    exercises,
    harmony,
    masking,
    midi,
    music,
    musicxml,
    notation,
    rolls,
    show,
    voices,
)
from mini_musessl.batches import cut_frame_windows, cut_windows, random_batches, random_frame_batches
from mini_musessl.evaluation import counting, fine_tuning, infilling, likelihood, probe_tasks, probing, voice_leading
from mini_musessl.evaluation.likelihood import evaluate_likelihood
from mini_musessl.generation.gibbs import infill
from mini_musessl.generation.pieces import continue_piece, harmonise, harmonise_by_infilling, infill_piece
from mini_musessl.generation.sampling import Sampling, sample, sample_frames
from mini_musessl.network.encoder import EncoderConfig, FrameEncoder, MaskedTransformer, pool
from mini_musessl.network.frames import FrameConfig, FrameTransformer
from mini_musessl.network.transformer import MusicTransformer, TransformerConfig
from mini_musessl.objectives import attributes, contrastive, order
from mini_musessl.objectives.contrastive import Views
from mini_musessl.objectives.masked import evaluate_masked, masked_batches, masked_loss
from mini_musessl.objectives.next_token import next_frame_loss, next_token_loss
from mini_musessl.tokenizers.compound import CompoundWords
from mini_musessl.tokenizers.midi_like import MidiLike
from mini_musessl.tokenizers.remi import Remi
from mini_musessl.tokenizers.voice_grid import VoiceGridTokens
from mini_musessl.training import TrainingConfig, checkpoints, train

TESTS = Path(__file__).resolve().parent
FILE = TESTS / "golden" / "golden.json"
TOKENS = VoiceGridTokens()


# Digests and numbers


def digest(*things, length=12):
    """Return a short digest of texts, bytes and arrays, with the kind and shape of the arrays."""
    hashed = hashlib.sha256()
    for thing in things:
        if isinstance(thing, torch.Tensor):
            thing = thing.detach().cpu().numpy()
        if isinstance(thing, np.ndarray):
            kind = thing.dtype.descr if thing.dtype.names else thing.dtype.str
            hashed.update(f"{kind}{thing.shape}".encode())
            thing = np.ascontiguousarray(thing).tobytes()
        hashed.update(thing if isinstance(thing, bytes) else str(thing).encode())
        hashed.update(b"\0")
    return hashed.hexdigest()[:length]


def number(value):
    """Return a float of ten digits; what is not finite, as text; None as it is."""
    if value is None:
        return None
    return float(f"{float(value):.10g}") if math.isfinite(value) else str(float(value))


def numbers(found):
    return {name: number(each) for name, each in found.items()}


def summary(values):
    """Return size, mean, deviation and three entries of an array."""
    flat = np.asarray(values.detach() if isinstance(values, torch.Tensor) else values, np.float64).ravel()
    return [len(flat), *(number(each) for each in (flat.mean(), flat.std(), *flat[[0, len(flat) // 3, -1]]))]


def numbers_of(record, names):
    """Return the numbers of a record: whole ones begin with n_, lists are of pieces or voices."""
    found = {}
    for name in names:
        value = getattr(record, name)
        is_list, is_whole = name in ("piece_nats", "voice_nats"), name.startswith("n_")
        found[name] = [number(each) for each in value] if is_list else int(value) if is_whole else number(value)
    return found


def digest_of_fields(record, left_out=()):
    return {field.name: digest(getattr(record, field.name)) for field in fields(record) if field.name not in left_out}


def digest_of_grid(grid):
    arrays = (grid.pitch, grid.is_onset, grid.is_fermata, grid.bar_position_step)
    facts = (grid.steps_per_quarter, grid.meter, grid.quarters_per_minute, grid.fifths, grid.mode)
    return digest(*arrays, *facts, grid.name, grid.title, grid.voice_names)


def digest_of_piece(piece):
    meters = [(each.step, each.numerator, each.denominator) for each in piece.meters]
    tempos = [(each.step, each.quarters_per_minute) for each in piece.tempos]
    parts = [(each.name, each.program, each.is_drum) for each in piece.parts]
    return digest(piece.notes, piece.steps_per_quarter, meters, tempos, parts, piece.n_steps, piece.title)


# Music and chance


@cache
def chorales():
    return tuple(corpora.load_chorales())


@cache
def split():
    return corpora.rebuilt_split(list(chorales()))


def some(part, count, n_steps=None):
    """Return the first pieces of a part of the split, cut if asked to."""
    grids = split()[part][:count]
    return grids if n_steps is None else [beginning(grid, n_steps) for grid in grids]


def beginning(grid, n_steps):
    return voices.cut(grid, 0, min(n_steps, grid.n_steps))


def frames_of(grids):
    return [TOKENS.as_steps(TOKENS.encode(grid)) for grid in grids]


chance = np.random.default_rng


def torch_chance(seed):
    return torch.Generator().manual_seed(seed)


def random_ids(seed, *shape):
    return torch.from_numpy(chance(seed).integers(0, 47, shape))


def padding(n_rows, n_steps, n_padded=5):
    """Return padding at the end of the last row."""
    is_padding = torch.zeros(n_rows, n_steps, dtype=torch.bool)
    is_padding[-1, -n_padded:] = True
    return is_padding


def token_batches(seed=0):
    pieces = [TOKENS.encode(grid) for grid in some("train", 6, 40)]
    return random_batches(pieces, 4, 24, chance(seed), begin_id=47, stride_token=4, pitch_ids=range(1, 47))


def frame_batches(seed=0, n_steps=24):
    return random_frame_batches(frames_of(some("train", 6, 40)), 4, n_steps, chance(seed))


def labelled_batches(task="key signature", seed=0):
    """Return batches of labelled excerpts of four pieces."""
    grids = some("train", 4, 120)
    shown = probe_tasks.EXCERPTS["windows"](grids)
    examples = probe_tasks.ask(task, grids, shown)
    return fine_tuning.labelled_batches(examples, shown, np.ones(len(examples.label), bool), chance(seed))


# Networks: all that is made of a configuration is made here

LAYERS = dict(n_layers=2, n_heads=2)
TOKEN_SIZES = LAYERS | dict(vocabulary_size=47, context_length=24, d_model=24, d_feedforward=40)
FRAME_SIZES = LAYERS | dict(context_length=24, d_model=24, d_feedforward=40, d_voice=20)
ENCODER_SIZES = LAYERS | dict(context_length=96, d_model=16, d_feedforward=24, d_voice=20)
FRAME_SWITCHES = {
    "default": {},
    "without holds": {"uses_holds": False},
    "without intervals": {"uses_intervals": False},
    "without hidden share": {"hidden_share": 0.0},
    "without dropout": {"dropout": 0.0},
    "cycle of 4": {"cycle_length": 4},
    "temperature 1.5": {"temperature": 1.5},
}
ENCODER_SWITCHES = {"default": {}, "causal": {"is_causal": True}, "cycle of 16": {"cycle_length": 16}}
POSITIONS = ("none", "sinusoidal", "learned", "relative", "rotary")


def token_network(seed=1, **switches):
    return MusicTransformer(TransformerConfig(**TOKEN_SIZES | switches), seed)


def frame_network(seed=1, **switches):
    return FrameTransformer(FrameConfig(**FRAME_SIZES | switches), seed)


def encoder_config(**switches):
    return EncoderConfig(**ENCODER_SIZES | switches)


def encoder(**switches):
    return FrameEncoder(encoder_config(**switches), 1)


def masked_network(seed=1, **switches):
    return MaskedTransformer(encoder_config(**switches), seed)


def attribute_model(heads=attributes.HEADS):
    return attributes.AttributeModel(encoder_config(is_causal=True), list(heads), 1)


@cache
def shipped(name):
    return checkpoints.load(name).model.eval()


def trained(network):
    """Give a network weights that all do something, each drawn from a seed made of its name, as if it had learned."""
    for name, weight in network.named_parameters():
        source = torch_chance(int(hashlib.sha256(name.encode()).hexdigest()[:8], 16))
        weight.data.copy_(torch.randn(weight.shape, generator=source) * 0.3 + name.endswith("norm.weight"))
    return network.eval()


def weights_of(network):
    """Return name, shape and digest of each weight."""
    weights = network.state_dict().items()
    return {name: f"{'x'.join(map(str, weight.shape))} {digest(weight, length=8)}" for name, weight in weights}


def in_training(network, *inputs):
    """Return what a network says while it is trained, with dropout from a seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        said = network.train()(*inputs)
    network.eval()
    return summary(said)


def token_answers(network):
    ids = random_ids(0, 2, 20)
    answers = {
        "logits": summary(network(ids)),
        "padding": summary(network(ids, None, padding(2, 20))[:, :15]),
        "maps": [summary(each) for each in network.attention_maps(ids)],
        "training": in_training(network, ids),
    }
    if network.config.is_causal:
        kept = network.start_cache(2)
        parts = [network(part, kept) for part in ids.split([7, 1, 1, 11], dim=1)]
        kept.keep_rows(torch.tensor([1, 1]))
        answers |= {"cache": summary(torch.cat(parts, dim=1)), "rows": summary(network(ids[:, :2], kept))}
    return answers


def frame_answers(network):
    frames = random_ids(0, 2, 20, 4)
    frames[0, 4:12] = frames[0, 4]  # some notes are held
    first = torch.tensor([0, 5])
    kept = network.start_cache(2, first)
    states = [network.read_next(kept, part) for part in (frames[:, :0], *frames[:, :12].split([6, 1, 5], dim=1))]
    kept.keep_rows(torch.tensor([1, 1]))
    states.append(network.read_next(kept, frames[:, :1]))
    network.read_next(kept, frames[:, 1:2])
    return {
        "logits": summary(network(frames)),
        "first step": summary(network(frames, first)),
        "describe": summary(network.describe(frames, first)),
        "cache": [summary(each) for each in states],
        "one voice": summary(network.score_next(kept, frames[:, :1, :2])[:, None]),
        "training": in_training(network, frames, first),
    }


def encoder_answers(network):
    frames, is_padding, first = random_ids(0, 3, 20, 4), padding(3, 20), torch.tensor([0, 3, 40])
    is_hidden = random_ids(1, 3, 20, 4) < 12
    return {
        "hidden": summary(network(frames, is_hidden)),
        "padding": summary(network(frames, is_hidden, is_padding)),
        "first step": summary(network(frames, is_hidden, is_padding, first)),
        "training": in_training(network, frames, is_hidden, is_padding, first),
    }


def attribute_answers(network):
    frames = random_ids(0, 2, 20, 4)
    alone = {f"without padding, {name}": each for name, each in network(frames).items()}
    said = network(frames, padding(2, 20), torch.tensor([0, 3])) | alone
    return {name: summary(each) for name, each in said.items()}


def order_answers(network):
    both = random_ids(0, 3, 16, 4), random_ids(1, 3, 16, 4)
    return {"scores": summary(network(*both)), "training": in_training(network, *both)}


def classifier_answers(network):
    chords, keys = (next(labelled_batches(task)) for task in ("chord", "key signature"))
    return {"logits": summary(network(chords)), "training": in_training(network, keys)}


def describe_network(network, answers):
    """Return the first weights of a network, and what it says with others."""
    first = weights_of(network)
    with torch.no_grad():
        return {"first weights": first, "says": answers(trained(network))}


def part_networks():
    """Names, shapes, first weights and answers of every network."""
    found = {}
    for kind, is_causal in product(POSITIONS, (True, False)):
        network = token_network(positions=kind, is_causal=is_causal, dropout=0.1)
        name = f"tokens, {kind}, {'causal' if is_causal else 'both ways'}"
        found[name] = describe_network(network, token_answers)
    found["tokens, bare"] = describe_network(token_network(cycle_lengths=(), n_previous=0), token_answers)
    for name, switches in FRAME_SWITCHES.items():
        found[f"frames, {name}"] = describe_network(frame_network(**switches), frame_answers)
    for name, switches in ENCODER_SWITCHES.items():
        network = encoder(**switches)
        found[f"encoder, {name}"] = describe_network(network, encoder_answers)
        features = network(random_ids(0, 2, 9, 4))
        found[f"encoder, {name}"]["pooled"] = [summary(pool(features)), summary(pool(features, padding(2, 9)))]
    found["masked"] = describe_network(masked_network(), encoder_answers)
    found["attributes"] = describe_network(attribute_model(), attribute_answers)
    found["attributes, pitch alone"] = weights_of(attribute_model(["pitch"]))
    found["contrastive"] = describe_network(contrastive.ContrastiveModel(encoder_config(), 12, 1), encoder_answers)
    found["order"] = describe_network(order.OrderModel(encoder_config(), 1), order_answers)
    found["classifier"] = describe_network(fine_tuning.Classifier(encoder(), 25), classifier_answers)
    for seed in (0, 2):
        kinds = {"tokens": token_network, "frames": frame_network, "masked": masked_network}
        found[f"seeds, {seed}"] = {name: digest(*make(seed).state_dict().values()) for name, make in kinds.items()}
    return found


# Sampling

RULES = ({}, {"temperature": 0.7}, {"top_k": 5}, {"top_p": 0.8})


def part_samples():
    """Pieces drawn from small and from shipped networks, token by token, frame by frame and by filling."""
    found = sampled_tokens() | sampled_frames() | sampled_pieces() | infilled_pieces()
    grids = {name: digest(each.pitch, each.is_onset) for name, each in found.items() if hasattr(each, "pitch")}
    return {name: grids.get(name) or digest(each) for name, each in found.items()}


def sampled_tokens():
    nothing, network = torch.zeros(2, 0, dtype=torch.long), trained(token_network())
    small = trained(token_network(cycle_lengths=(4,), positions="relative"))
    clamp = np.full((12, 4), -1)
    clamp[:, 0] = 30 + np.arange(12) // 3
    given = partial(sample_frames, small, nothing.reshape(2, 0, 4), 12, clamp=clamp)
    found = {
        f"tokens, {rules}": sample(network, random_ids(0, 2, 4), 16, torch_chance(seed), Sampling(**rules))
        for seed, rules in enumerate(RULES, start=1)
    }
    return found | {
        "tokens, beyond the context": sample(small, nothing, 60, torch_chance(5), Sampling(0.9, 20, 0.95)),
        "tokens, given voice": given(torch_chance(6)),
        "tokens, given voice, several candidates": given(torch_chance(7), n_particles=4),
    }


def sampled_frames():
    draw = partial(sample_frames, trained(frame_network()), random_ids(0, 2, 6, 4))
    clamp = np.full((2, 30, 4), -1)
    clamp[0, :, 0] = 30 + np.arange(30) // 4
    clamp[1, ::2, 2] = 14
    narrow = dict(clamp=clamp, n_particles=5, sampling=Sampling(top_p=0.9))
    found = {
        f"frames, {rules}": draw(10, torch_chance(seed), Sampling(**rules)) for seed, rules in enumerate(RULES, start=1)
    }
    return found | {
        "frames, beyond the context": draw(50, torch_chance(5), Sampling(0.8), first_step=3),
        "frames, given cells": draw(30, torch_chance(6), clamp=clamp),
        "frames, given cells, several candidates": draw(30, torch_chance(7), **narrow),
    }


def sampled_pieces():
    """Continue and harmonise with the shipped model and with a small one over tokens."""
    model, opening, soprano = shipped("chorale-frame"), some("test", 1, 24)[0], some("test", 2, 28)[1]
    small = trained(token_network(context_length=64, cycle_lengths=(4, 16)))
    tune, several = [67, 67, 69, 69, 71, 71, 72, 72], Sampling(0.8, top_p=0.95)
    return {
        "continued": continue_piece(model, opening, 24, torch_chance(0), Sampling(0.9, top_p=0.95)),
        "continued, cold": continue_piece(model, opening, 12, torch_chance(1), Sampling(0.3, top_k=3)),
        "continued by tokens": continue_piece(small, voices.cut(opening, 0, 8), 16, torch_chance(2)),
        "harmonised": harmonise(model, soprano, torch_chance(3), Sampling(0.8)),
        "harmonised, several candidates": harmonise(model, soprano, torch_chance(4), several, n_particles=3),
        "harmonised from pitches": harmonise(model, tune, torch_chance(5), Sampling(top_k=4)),
    }


def infilled_pieces():
    """Fill with the shipped model, and beyond the context with a small one."""
    model, piece = shipped("chorale-masked"), some("test", 3, 40)[2]
    is_hidden = np.zeros(piece.pitch.shape, bool)
    is_hidden[8:20, 1:] = True
    (ids,) = frames_of([piece])
    frames = infill(model, ids, torch.from_numpy(is_hidden), torch_chance(3), 3)
    free = np.stack([np.where(is_hidden, -1, ids)] * 2)
    small = trained(masked_network(context_length=16, cycle_length=4))
    beyond = infill(small, free, None, torch_chance(4), 4, first_step=3)
    return {
        "filled": infill_piece(model, piece, is_hidden, torch_chance(0), n_sweeps=6),
        "filled, cold": infill_piece(model, piece, is_hidden, torch_chance(1), 4, Sampling(0.5, 5, 0.9)),
        "harmonised by filling": harmonise_by_infilling(model, piece, torch_chance(2), n_sweeps=8),
        "filled frames": TOKENS.decode(frames.numpy().ravel()),
        "filled beyond the context, 0": TOKENS.decode(beyond[0].numpy().ravel()),
        "filled beyond the context, 1": TOKENS.decode(beyond[1].numpy().ravel()),
    }


# Training

FEW = dict(n_warmup_updates=3, learning_rate=1e-2, report_every=4, device="cpu", precision="float32")


def learn(network, batches, objective, asked=None, **settings):
    """Train a network for a few updates, valid on one batch if asked; return its history and its weights."""
    evaluate = asked and (lambda network: objective(network, asked)[0].item())
    history = train(network, batches, TrainingConfig(**FEW | settings), evaluate, objective, report=None)
    return describe_training(network, history)


def describe_training(network, history):
    """Return a history without its seconds, numbers about all weights, and a digest of them with four digits."""
    said = asdict(history)
    lines = {name: [number(each) for each in said[name]] for name in ("train_nats", "valid_nats", "learning_rate")}
    flat = torch.cat([weight.detach().ravel() for _, weight in sorted(network.named_parameters())]).double().numpy()
    sums = [number(each) for each in (np.abs(flat).sum(), flat @ np.cos(np.arange(len(flat))))]
    learned = {"weights": sums, "weights, rounded to 1e-4": digest(np.round(flat, 4) + 0.0)}
    return {"update": said["update"], "n_targets": said["n_targets"]} | lines | learned


def part_training():
    """Short runs of every objective and every schedule."""
    token_batch, frame_batch = next(token_batches(9)), next(frame_batches(9))
    small = partial(token_network, cycle_lengths=(4,))
    trapezoid = dict(schedule="trapezoid", decay_share=0.4, averaging=0.9, weight_decay=0.02)
    patient = dict(report_every=2, patience=2, keep_best=True, learning_rate=0.3, n_warmup_updates=0)
    teachers = [trained(frame_network(seed)) for seed in (2, 3)]
    student = partial(distillation_loss, teachers=teachers, widest_shift=3)
    return {
        "tokens, linear, averaged": learn(
            small(dropout=0.1), token_batches(), next_token_loss, token_batch, n_updates=12, averaging=0.8
        ),
        "frames, dropout, trapezoid": learn(
            frame_network(), frame_batches(), next_frame_loss, frame_batch, n_updates=10, **trapezoid
        ),
        "masked, several batches": train_masked(),
        "attributes": train_attributes(),
        "contrast": train_contrast(),
        "order, cosine": train_order(),
        "patience, best kept": learn(small(), token_batches(), next_token_loss, token_batch, n_updates=20, **patient),
        "student": learn(frame_network(dropout=0.0), frame_batches(), student, n_updates=5),
        "interrupted": train_twice(),
    }


def train_masked():
    """Hidden cells: several batches an update, equal and orderless weights."""
    hide = partial(masking.mask_mixed, kinds=[masking.mask_notes, masking.mask_spans])
    asked = next(masked_batches(frame_batches(9), hide, chance(2)))
    mixed = masked_batches(frame_batches(), hide, chance(1))
    orderless = masked_batches(frame_batches(), masking.mask_orderless, chance(3))
    return {
        "mixed": learn(masked_network(), mixed, masked_loss, asked, n_updates=6, n_batches=3),
        "orderless": learn(masked_network(2), orderless, masked_loss, n_updates=5),
    }


def train_attributes():
    """Heads of pitch, rhythm and harmony, with equal and with other weights."""
    grids, found = some("train", 6, 60), {}
    every = {"equal": dict.fromkeys(attributes.HEADS, 1.0), "two heads": {"pitch": 1.0, "harmony": 0.3}}
    models = {name: attribute_model(weights) for name, weights in every.items()}
    for name, weights in every.items():
        drawn = attributes.attribute_batches(grids, 3, 24, chance(0))
        found[name] = learn(models[name], drawn, partial(attributes.attribute_loss, weights=weights), n_updates=5)
    return found | {"measured": numbers(attributes.evaluate_attributes(models["equal"], some("valid", 3, 60)))}


def train_contrast():
    """Two views of a window, with and without false negatives."""
    pieces, hymns, crops = frames_of(some("train", 12, 80)), np.arange(12) // 2, Views(n_crop_steps=16)
    unfair = partial(contrastive.contrastive_loss, temperature=0.5, has_false_negatives=True)
    found = {}
    for name, objective in {"fair": contrastive.contrastive_loss, "unfair": unfair}.items():
        network = contrastive.ContrastiveModel(encoder_config(), 12, 1)
        batches = contrastive.contrastive_batches(pieces, 6, 32, chance(0), crops, hymns)
        found[name] = learn(network, batches, objective, n_updates=5)
        measured = contrastive.evaluate_contrastive(network, pieces, chance(1), crops, 32, hymns)
        found[name]["measured"] = numbers(measured)
    return found


def train_order():
    """Which of two windows comes first."""
    pieces, network = frames_of(some("train", 6, 80)), order.OrderModel(encoder_config(), 1)
    batches = order.order_batches(pieces, 8, 16, chance(0), n_gap_steps=2)
    found = learn(network, batches, order.order_loss, n_updates=8, schedule="cosine")
    return found | {"measured": numbers(order.evaluate_order(network, pieces, chance(1), 16, 40))}


def train_twice():
    """A run that is interrupted and goes on from its folder ends as one that is not, to the bit."""
    asked, calls = next(frame_batches(9)), iter(range(100))
    config = TrainingConfig(**FEW, n_updates=8, averaging=0.8, keep_best=True, n_batches=2)

    @wraps(next_frame_loss)
    def stopping_loss(network, batch):
        if next(calls) == 11:
            raise KeyboardInterrupt
        return next_frame_loss(network, batch)

    def go(network, objective=next_frame_loss, **saving):
        def evaluate(network):
            return next_frame_loss(network, asked)[0].item()

        return train(network, frame_batches(), config, evaluate, objective, report=None, **saving)

    whole, first, second = frame_network(), frame_network(), frame_network()
    history = go(whole)
    with tempfile.TemporaryDirectory() as folder:
        with contextlib.suppress(KeyboardInterrupt):
            go(first, stopping_loss, folder=folder, save_every=2)
        resumed = go(second, folder=folder, save_every=2)
    pairs = zip(whole.state_dict().values(), second.state_dict().values(), strict=True)
    is_same = all(torch.equal(one, other) for one, other in pairs) and history == resumed
    return describe_training(second, history) | {"goes on to the bit": is_same}


# Judging


LIKELIHOOD = (
    *("nats_per_token", "nats_per_frame", "bits_per_quarter", "mean_of_piece_means", "change_share", "n_tokens"),
    *("piece_nats", "voice_nats", "change_accuracy"),
)
describe_likelihood = partial(numbers_of, names=LIKELIHOOD)


def describe_infilling(model, pieces, hidden):
    """Return the numbers of filling, apart for cells that copying the nearest symbol of the voice would name."""
    found, copies = infilling.evaluate_infilling(model, pieces, hidden), []
    for ids, is_hidden in zip(frames_of(pieces), hidden, strict=True):
        frames = np.broadcast_to(ids, is_hidden.shape)
        copied = masking.copy_next_door(frames, is_hidden, np.zeros(frames.shape[:2], bool))
        copies.append(((copied == frames) & ~is_hidden.all(axis=1, keepdims=True))[is_hidden])
    nats, is_copy = np.concatenate(found.nats), np.concatenate(copies)
    return numbers_of(found, ("nats_per_cell", "accuracy", "piece_nats")) | {
        "copy_share": number(is_copy.mean()),
        "nats_where_copied": number(nats[is_copy].mean()) if is_copy.any() else None,
        "nats_elsewhere": number(nats[~is_copy].mean()) if not is_copy.all() else None,
        "n_cells": found.n_tokens,
    }


def describe_kinds(model, pieces, generator):
    """Return the numbers of filling of every kind, drawn as ``evaluate_kinds`` draws."""
    drawn = {name: infilling.draw_hidden(pieces, mask, generator) for name, mask in infilling.KINDS.items()}
    return {name: describe_infilling(model, pieces, hidden) for name, hidden in drawn.items()}


def part_shipped():
    """What the shipped models score on chorales, and what is made of their scores."""
    frame_model, masked_model = shipped("chorale-frame"), shipped("chorale-masked")
    pieces, cut, tiny = some("test", 10), some("test", 10, 64), some("test", 2, 24)
    again = evaluate_likelihood(frame_model, cut)
    several_keys = evaluate_likelihood(Ensemble([frame_model], (0, 2, -3)), cut)
    compared = likelihood.compare(again, several_keys, chance(0), 200)
    hidden = infilling.draw_hidden(pieces, masking.mask_spans, chance(0), 2)
    orderless = {
        "orders": infilling.orderless_by_orders(masked_model, tiny, chance(2), 2),
        "subsets": infilling.orderless_by_subsets(masked_model, tiny, chance(3), 4),
    }
    small = {"tokens": trained(token_network(cycle_lengths=(4,))), "frames": trained(frame_network())}
    scores = {name: evaluate_likelihood(each, some("test", 2, 70)) for name, each in small.items()}
    return {
        "weights, chorale-frame": weights_of(frame_model),
        "weights, chorale-masked": weights_of(masked_model),
        "likelihood": describe_likelihood(evaluate_likelihood(frame_model, pieces)),
        "in several keys": describe_likelihood(several_keys),
        "compared": [number(each) for each in (compared.difference, compared.low, compared.high)],
        "filling spans": describe_infilling(masked_model, pieces, hidden),
        "filling": describe_kinds(masked_model, pieces, chance(1)),
        **{
            f"orderless, {name}": [number(each.nats_per_cell), number(each.standard_error)]
            for name, each in orderless.items()
        },
        "measured": numbers(evaluate_masked(masked_model, frames_of(some("test", 4)), chance(4))),
        "small": {name: describe_likelihood(each) for name, each in scores.items()},
        "temperature": number(calibration.find_temperature(frame_model, some("valid", 1, 40), tolerance=0.1)),
    }


def part_counting():
    """Models that count, fitted on forty chorales and scored on five."""
    known, asked = some("train", 40), some("test", 5)
    ngram = counting.NGram(known, 5)
    models = {
        "uniform": counting.Uniform(),
        "unigram": counting.Unigram(known),
        "same again": counting.SameAgain(known),
        "n-gram": ngram,
        "n-gram, shorter": ngram.shorten(2),
        "n-gram, one key": counting.NGram(known, 3, range(1)),
        "musical": counting.MusicalCounts(known),
        "musical, few facts": counting.MusicalCounts(known, ("voice", "beat"), ("voice",), 5.0),
    }
    found = {name: describe_likelihood(evaluate_likelihood(each, asked)) for name, each in models.items()}
    for name in ("cells", "bars", "notes"):
        seen, hidden = (infilling.draw_hidden(each, infilling.KINDS[name], chance(0)) for each in (known, asked))
        two = {"neighbours": counting.NeighbourCounts(known, seen), "uniform cells": counting.Uniform()}
        for title, model in two.items():
            found[f"{title}, {name}"] = describe_infilling(model, asked, hidden)
    rows = [TOKENS.encode(grid) for grid in (*known, *asked)]
    found["marks"] = [number(counting.uniform_nats(47)), number(counting.unigram_nats(rows[:40], rows[40:], 47))]
    found["copied"], batch = {}, next(frame_batches(4))
    for name, hide in masking.MASKERS.items():
        is_hidden = hide(batch.frames, batch.is_padding, chance(1))
        copied = masking.copy_next_door(batch.frames, is_hidden, batch.is_padding)
        found["copied"][name] = [digest(copied), number((copied == batch.frames)[is_hidden].mean())]
    return found


# Music in, out, and as tokens


def part_tokenizers():
    """Ids, what comes back and what is said to be lost, of chorales and of random pieces."""
    grids = [*chorales()[:40], *split()["test"][:10]]
    own = dict(steps_per_quarter=4, parts=tuple(music.Part(name) for name in voices.SATB))
    meters = ((4, 4), (3, 4), (3, 2), (6, 4), (2, 2), (12, 8))
    of_scores = {
        "midi": MidiLike(**own),
        "remi": Remi(**own, meters=meters, tempos=(60.0, 80.0, 100.0)),
        "remi, one meter": Remi(**own),
        "compound": CompoundWords(**own, meters=meters),
    }
    of_random = {"midi": MidiLike(), "remi": Remi(), "compound": CompoundWords(), "midi, few": MidiLike(n_velocities=4)}
    of_grids = {"grid": VoiceGridTokens(), "grid, holds": VoiceGridTokens(has_hold=True)}
    pieces = [voices.to_piece(grid) for grid in grids]
    by_chance = [make_random_piece(seed, 60) for seed in range(10)]
    found = {f"chorales, {name}": [through(each, piece) for piece in pieces] for name, each in of_scores.items()}
    found |= {f"random, {name}": [through(each, piece) for piece in by_chance] for name, each in of_random.items()}
    found |= {f"chorales, {name}": [through(each, grid) for grid in grids] for name, each in of_grids.items()}
    every = of_scores | {f"{name}, default": each for name, each in of_random.items()} | of_grids
    return found | {"vocabularies": {name: digest(each.vocabulary.table()) for name, each in every.items()}}


def through(tokenizer, thing):
    """Return digests of ids, of what comes back and of what is lost; a refusal by its kind alone."""
    try:
        ids = tokenizer.encode(thing)
        back = tokenizer.decode(ids)
    except ValueError:
        return "refused"
    came = digest_of_piece(back) if isinstance(back, music.Piece) else digest_of_grid(back)
    return f"{digest(ids, length=8)} {came[:8]} {digest(tokenizer.what_is_lost(thing), length=8)}"


def part_midi():
    """MIDI files written and read again, and scores in MusicXML."""
    chosen = [voices.to_piece(grid) for grid in chorales()[:14]] + [make_random_piece(seed, 40) for seed in range(6)]
    scores = [voices.to_piece(beginning(grid, 48)) for grid in chorales()[5:10]]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "piece"
        return {
            "midi": [written_as_midi(piece, path.with_suffix(".mid")) for piece in chosen],
            "MusicXML": [written_as_musicxml(piece, path.with_suffix(".musicxml")) for piece in scores],
        }


def written_as_midi(piece, path):
    midi.write_midi(piece, path)
    data, steps = path.read_bytes(), piece.steps_per_quarter
    read = [midi.read_midi(data, steps), midi.read_midi(path, steps, "symusic"), midi.read_midi(path)]
    return [digest(data), *map(digest_of_piece, read)]


def written_as_musicxml(piece, path):
    musicxml.write_musicxml(piece, path)
    text = re.sub(r"<(encoding-date|software)>[^<]*<", "", path.read_text(encoding="utf-8"))
    text = re.sub(r'id="[^"]*"', "", text)  # music21 numbers what it makes by address
    return [digest(text), digest_of_piece(musicxml.read_musicxml(path, 4))]


def part_corpus():
    """Every chorale, the splits and the groups of melodies."""
    parts = {"rebuilt": split(), "melodies apart": corpora.melody_disjoint_split(list(chorales()))}

    def digest_names(grids):
        return digest(*(grid.name for grid in grids))

    return {
        "chorales": {grid.name: digest_of_grid(grid)[:8] for grid in chorales()},
        "splits": {name: {part: digest_names(each) for part, each in found.items()} for name, found in parts.items()},
        "melodies": digest(corpora.melody_groups(list(chorales()))),
        "moved": [digest_of_grid(voices.transpose(grid, 2)) for grid in chorales()[:5]],
        "back from a piece": [digest_of_grid(voices.from_piece(voices.to_piece(grid))) for grid in chorales()[:10]],
    }


def part_harmony():
    """Chords and keys of fifty chorales."""
    found = {}
    for grid in chorales()[:50]:
        chords = harmony.chord_labels(grid)
        key = harmony.find_key(harmony.chroma(grid))
        second = key.runner_up
        found[grid.name] = {
            "chords": digest(chords, harmony.chord_classes(chords), harmony.chord_names(chords, grid.fifths or 0)),
            "blocks": summary(harmony.grid_chroma(grid, 16)),
            "key": [key.tonic, key.mode, key.fifths, number(key.correlation), second.tonic, second.mode],
        }
    return found


def part_cadences():
    """Cadences of fifty chorales."""

    def described(c):
        return f"{c.step} {c.kind} {c.chord_before} {c.chord} {c.key.tonic} {c.key.mode}"

    return {grid.name: digest(*map(described, harmony.cadences(grid))) for grid in chorales()[:50]}


def part_voice_leading():
    """Parallels, crossings and voices out of range in twenty chorales: how many, and where."""
    parallels = voice_leading.parallels

    def faults(grid):
        fifths, octaves = (parallels(grid, interval) for interval in (voice_leading.FIFTH, voice_leading.OCTAVE))
        return fifths, octaves, voice_leading.crossings(grid), voice_leading.out_of_range(grid)

    def described(found):
        return f"{np.count_nonzero(found) if found.dtype == bool else len(found)} {digest(found, length=8)}"

    return {grid.name: [described(each) for each in faults(grid)] for grid in chorales()[:20]}


def part_shown():
    """Scores as text, sound, piano rolls and the sentences that describe music."""
    grids = chorales()[20:25]
    short = voices.cut(grids[0], 0, 16)
    sound = audio.synthesize(short)
    drawn = [(grids[0],), (short, "A beginning", (36, 90)), (make_random_piece(1, 30), "Random notes")]
    return {
        "kern": {grid.name: digest(notation.to_kern(grid)) for grid in grids},
        "sound": [digest(np.round(sound.astype(np.float64), 4) + 0.0), *summary(sound)],
        "faded": summary(audio.fade_out(sound, 0.5)),
        "piano rolls": [digest(rolls.piano_roll_svg(*each)) for each in drawn],
        "described": {grid.name: show.describe(grid) for grid in grids},
        "described, random": show.describe(make_random_piece(2, 30)),
    }


# Batches

MASKERS = masking.MASKERS | {
    "mixed": masking.mask_mixed,
    "mixed, two": partial(masking.mask_mixed, kinds=[masking.mask_bars, masking.mask_voices]),
    "cells, half": partial(masking.mask_cells, share=0.5),
    "spans, short": partial(masking.mask_spans, share=0.4, span_steps=3),
    "bars of 12": partial(masking.mask_bars, bar_steps=12),
    "bars from their lines": partial(masking.mask_bars, bar_line_step=np.array([4, 0, 9, 15])),
    "two of three voices": partial(masking.mask_voices, n_hidden=2, among=[1, 2, 3]),
    "notes, half": partial(masking.mask_notes, share=0.5),
}


def part_batches():
    """Windows and batches of every kind, drawn from seeds."""
    grids = some("train", 8, 90)
    frames, rows, still = frames_of(grids), [TOKENS.encode(grid) for grid in grids], range(1)
    crops, hymns = Views(n_crop_steps=24), np.arange(8) // 2
    found = {
        "windows": digest_of_fields(cut_windows(rows, 24, 47)),
        "windows, overlapping": digest_of_fields(cut_windows(rows, 24, 47, 8)),
        "frame windows": [digest_of_fields(each) for each in cut_frame_windows(frames, 32)],
    }
    several = {
        "tokens": token_batches(),
        "tokens, as they are": random_batches(rows, 3, 30, chance(2), 47),
        "frames": frame_batches(),
        "frames, longer than a piece": frame_batches(n_steps=60),
        "frames, one key": random_frame_batches(frames, 3, 20, chance(3), still),
        "attributes": attributes.attribute_batches(grids, 3, 24, chance(4)),
        "attributes, one key": attributes.attribute_batches(grids, 3, 24, chance(5), still),
        "contrast": contrastive.contrastive_batches(frames, 4, 40, chance(6), crops, hymns),
        "contrast, default": contrastive.contrastive_batches(frames, 4, 64, chance(7)),
        "order": order.order_batches(frames, 6, 16, chance(8)),
        "order, gap": order.order_batches(frames, 6, 16, chance(9), still, 4),
    }
    for name, hide in MASKERS.items():
        drawn = islice(masked_batches(frame_batches(n_steps=60), hide, chance(10)), 3)
        found[f"masked, {name}"] = [digest_of_fields(each, left_out=("piece_index",)) for each in drawn]
    found |= {name: [digest_of_fields(each) for each in islice(drawn, 3)] for name, drawn in several.items()}
    labelled = [digest_of_fields(each) for each in islice(labelled_batches("chord"), 3)]
    # What is called the row of an example was once the view of it.
    found["labelled"] = [{"view" if name == "row" else name: each[name] for name in each} for each in labelled]
    asked = [attributes.label_attributes(grid) for grid in grids]
    names = ("frames", "pitch", "onset", "duration", "chord")
    found["attributes of pieces"] = [digest(*(getattr(each, name) for name in names)) for each in asked]
    off = dict(transposes=False, crops=False, drops_voices=False)
    ways = {name: off | {name: True} for name in off} | {"all": {}, "two voices": {"n_dropped_voices": 2}}
    batch = next(frame_batches(n_steps=40))
    made = {name: contrastive.make_views(batch, Views(**way), chance(3)) for name, way in ways.items()}
    return found | {"views": {name: digest_of_fields(each) for name, each in made.items()}}


# Probing


def part_probing():
    """Features by hand and of encoders, a probe a task, fine-tuning and retrieval."""
    grids = probed_pieces()
    divided, apart = draw_split(np.arange(len(grids)), 4), draw_split(corpora.melody_groups(grids), 4)
    few = TrainingConfig(**FEW, n_updates=4)
    makers = {
        "by hand": probing.handmade_features(grids),
        "encoder": probing.encoder_features(trained(encoder()), grids, precision="float32"),
        "register": {"voice": register(grids)},
        "frames": probing.encoder_features(trained(frame_network(context_length=128)), grids, ["chord"], "float32"),
    }
    found = {"split": [list(each) for each in (divided.labelled, divided.test, apart.labelled, apart.test)]}
    for name, features in makers.items():
        n_labelled = None if name == "by hand" else 5
        found[name] = {task: probed(features, task, divided, n_labelled) for task in features}
    for task in ("chord", "key signature", "voice"):
        result = fine_tuning.fine_tune(encoder(), task, grids, divided, 3, chance(2), few)
        found[f"fine-tuned, {task}"] = describe_result(result)
    return found


def probed(features, task, divided, n_labelled):
    asked = features[task]
    found = {"values": summary(asked.values), "labels": digest(asked.label, asked.piece, asked.classes)}
    if not asked.classes:
        return found | {"retrieved": describe_row({"task": "hymn"} | asdict(probing.retrieve(asked)))}
    with contextlib.suppress(ValueError):  # a task whose classes do not all occur has no score
        found["probe"] = describe_result(probing.probe(features, task, divided, n_labelled, chance(1)))
    return found


def draw_split(group, n_test):
    """Draw whole groups of pieces to test, at least so many pieces; the others may be labelled."""
    is_test = np.zeros(len(group), bool)
    for number in chance(0).permutation(group.max() + 1):
        if is_test.sum() < n_test:
            is_test |= group == number
    return probing.PieceSplit(tuple(np.flatnonzero(~is_test)), tuple(np.flatnonzero(is_test)))


def register(grids):
    """Describe each voice of each piece by its mean pitch alone."""
    lines = [(piece, voice, line) for piece, grid in enumerate(grids) for voice, line in enumerate(grid.pitch.T)]
    rows = [(line[line != voices.REST].mean(), voice, piece) for piece, voice, line in lines if line.max() >= 0]
    mean, voice, piece = np.array(rows).T
    values = mean[:, None].astype(np.float32)
    return probing.Features("voice", voices.SATB, values, voice.astype(int), piece.astype(int), len(grids))


def probed_pieces():
    """Return the first settings of hymns that are set twice, cut."""
    every = chorales()[:200]
    groups = corpora.melody_groups(list(every)).tolist()
    members = {group: [index for index, each in enumerate(groups) if each == group] for group in groups}
    twice = [pair for group in members.values() if len(group) > 1 for pair in group[:2]][:8]
    others = [index for index in range(len(every)) if groups[index] not in {groups[each] for each in twice}][:6]
    return [beginning(every[index], 110) for index in (*twice, *others)]


def describe_result(result):
    row = asdict(result)
    return describe_row(row | {"n_labelled_pieces": len(row.pop("labelled_pieces"))})


def describe_row(row):
    """Return a row of a table with its floats shortened and its lists as text."""
    kept = (int, str, type(None))
    return {
        name: number(each) if isinstance(each, float) else each if isinstance(each, kept) else str(each)
        for name, each in row.items()
    }


# Exercises and notebooks


def part_exercises():
    """What is said to each exercise's solution, known mistakes, an open answer and one that forgets to return."""

    def still_open(*given):
        raise NotImplementedError

    def nothing(*given):
        return None

    found = {}
    exercises._TRIED.clear()  # a second wrong answer is told more than a first
    for name, exercise in exercises.EXERCISES.items():
        answers = [exercise.solution, *(mistake.answer for mistake in exercise.mistakes), still_open, nothing]
        # A mistake may overflow: its reader sees a warning, and the sentence all the same.
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            found[name] = [digest(str(exercises.check(name, answer)), length=8) for answer in answers]
    return found


def part_notebooks():
    """Digests of the outputs that stand in each notebook, in order; nothing is run."""
    return {path.stem: outputs_of(path) for path in sorted((TESTS.parent / "notebooks").glob("*.ipynb"))}


def outputs_of(path):
    """Return digest and beginning of each text of the outputs, in order; cells that may differ (times) are left out."""
    found = []
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        is_kept = "nbval-ignore-output" not in cell["metadata"].get("tags", ())
        for output in cell.get("outputs", ()) if is_kept else ():
            data = {"text/plain": output["text"]} if "text" in output else output.get("data", {})
            found += ["".join(data[kind]) for kind in data if kind in ("text/plain", "text/html")]
    texts = [re.sub(r"base64,[A-Za-z0-9+/=\s]+", "MEDIA", text) for text in found]  # pictures and sound: one word
    return [f"{digest(text, length=10)} {' '.join(text.split())[:24]}" for text in texts]


PARTS = {
    part.__name__.removeprefix("part_"): part
    for part in (
        *(part_corpus, part_networks, part_samples, part_training, part_shipped, part_counting, part_tokenizers),
        *(part_midi, part_harmony, part_cadences, part_batches, part_probing, part_voice_leading, part_shown),
        *(part_exercises, part_notebooks),
    )
}
#: Digests of these hang on the last bits of what PyTorch and NumPy compute.
MACHINE_PARTS = ("networks", "samples", "training", "shipped", "probing")


# Comparing


def machine() -> dict[str, str]:
    """Return what decides over last bits."""
    torch_version = torch.__version__.split("+")[0]  # the wheels for CPU and GPU compute the same on a CPU
    return {"torch": torch_version, "numpy": np.__version__, "cpu": torch.backends.cpu.get_cpu_capability()}


def why_skip(part: str, made_on: dict[str, str]) -> str:
    """Return why a part cannot be compared here, or an empty text."""
    if part not in MACHINE_PARTS or made_on == machine():
        return ""
    kept, here = (", ".join(f"{name} {each[name]}" for name in machine()) for each in (made_on, machine()))
    return (
        f"Last bits of {part} are compared on one kind of machine only: the file was written with {kept}; here {here}."
    )


def compute(part: str) -> dict:
    """Return what a part computes, with one thread, as it comes back from JSON."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return json.loads(json.dumps(PARTS[part]()))
    finally:
        torch.set_num_threads(n_threads)


def load_golden() -> dict:
    return json.loads(FILE.read_text(encoding="utf-8"))


def differences(kept: Any, found: Any, place: str = "") -> Iterator[str]:
    """Say where two answers differ, entry by entry; floats may differ by a millionth."""
    if isinstance(kept, dict) and isinstance(found, dict):
        for key in [*kept, *(key for key in found if key not in kept)]:
            if key not in found or key not in kept:
                yield f"{place}/{key}: {'is gone' if key in kept else 'is new'}"
            else:
                yield from differences(kept[key], found[key], f"{place}/{key}")
    elif isinstance(kept, list) and isinstance(found, list):
        if len(kept) != len(found):
            yield f"{place}: {len(kept)} entries kept, {len(found)} found"
        for index, both in enumerate(zip(kept, found, strict=False)):
            yield from differences(*both, f"{place}[{index}]")
    elif isinstance(kept, float) or isinstance(found, float):
        is_number = all(isinstance(each, (int, float)) for each in (kept, found))
        if not is_number or not math.isclose(kept, found, rel_tol=1e-6, abs_tol=1e-6):
            yield f"{place}: kept {kept}, found {found}"
    elif kept != found:
        yield f"{place}: kept {kept!r}, found {found!r}"


def outputs_gone(kept: dict, found: dict) -> Iterator[tuple[str, str]]:
    """Return notebook and text of each output that does not come again in its order; more outputs may stand between."""
    for name, texts in kept.items():
        rest = found.get(name, [])
        for text in texts:
            if text in rest:
                rest = rest[rest.index(text) + 1 :]
            else:
                yield name, text


def wrong_entries(part: str, kept: dict, found: dict) -> list[str]:
    """Say what of a part is no longer as it was kept."""
    if part == "notebooks":
        return [f"/{name}: {text} is gone" for name, text in outputs_gone(kept, found)]
    return list(differences(kept, found))


def write(answers: dict) -> None:
    """Write the file: one line an entry of a part."""
    entries = [
        f" {json.dumps(part)}: {{\n"
        + ",\n".join(f"  {json.dumps(key)}: {json.dumps(each, separators=(',', ':'))}" for key, each in answer.items())
        + "\n }"
        for part, answer in answers.items()
    ]
    FILE.write_text("{\n" + ",\n".join(entries) + "\n}\n", encoding="utf-8")


def main(arguments: list[str]) -> int:
    """Compute the parts; write them, or say what differs."""
    is_writing = "--write" in arguments
    names = [name for name in arguments if name != "--write"] or list(PARTS)
    answers = load_golden()
    made_on, rest = answers["machine"], [name for name in MACHINE_PARTS if name not in names]
    if is_writing and not rest:
        made_on = machine()
    if others := [reason for name in names if (reason := why_skip(name, made_on))]:
        print(*others, sep="\n")
        names = [name for name in names if not why_skip(name, made_on)]
        if is_writing:
            print(f"Nothing was written. Write all of these, or none: {', '.join(MACHINE_PARTS)}.")
            return 1
    n_different = 0
    for name in names:
        start = time.perf_counter()
        found = compute(name)
        seconds = time.perf_counter() - start
        wrong = [] if is_writing else wrong_entries(name, answers.get(name, {}), found)
        n_different += len(wrong)
        print(f"{name:14s} {seconds:6.1f} s   {len(json.dumps(found)):7d} bytes   {len(wrong)} differences", flush=True)
        print("\n".join(f"    {each}" for each in wrong[:10]), end="\n" if wrong else "")
        answers[name] = found
    if is_writing:
        write({"machine": made_on} | {name: answers[name] for name in PARTS if name in answers})
    return 1 if n_different else 0


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as cache_folder:
        os.environ.setdefault("MUSESSL_CACHE", cache_folder)
        sys.exit(main(sys.argv[1:]))
