"""What the library computes, part by part, in numbers and short digests: kept in golden/golden.json.

python tests/golden.py --write    computes every part and writes the file
python tests/golden.py [PART...]  computes the parts and says what differs from the file, and the seconds

A digest stands for what must be equal to the bit, a float for what may move by a millionth. Nothing here says what is
right; it says what was there when the file was written. Whoever changes what a part computes, and means to, writes the
file again and says so.
"""

from __future__ import annotations

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
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, fields
from functools import cache, partial
from itertools import islice
from pathlib import Path
from typing import Any

import calibration
import numpy as np
import torch
from distillation import distillation_loss
from ensemble import Ensemble
from random_music import make_random_piece

from mini_musessl import audio, corpora, exercises, masking, midi, music, musicxml, notation, show, training, voices
from mini_musessl import harmony as chords_and_keys
from mini_musessl.batches import cut_frame_windows, cut_windows, random_batches, random_frame_batches
from mini_musessl.evaluation import counting, fine_tuning, infilling, likelihood, probing
from mini_musessl.evaluation import voice_leading as leading
from mini_musessl.evaluation.counting import NeighbourCounts
from mini_musessl.evaluation.fine_tuning import Classifier, labelled_batches
from mini_musessl.evaluation.probe_tasks import EXCERPTS, ask
from mini_musessl.generation.gibbs import infill
from mini_musessl.generation.pieces import continue_piece, harmonise, harmonise_by_infilling, infill_piece
from mini_musessl.generation.sampling import Sampling, sample, sample_frames
from mini_musessl.network.encoder import EncoderConfig, FrameEncoder, MaskedTransformer, pool
from mini_musessl.network.frames import FrameConfig, FrameTransformer
from mini_musessl.network.transformer import MusicTransformer, TransformerConfig
from mini_musessl.objectives.attributes import (
    AttributeModel,
    attribute_batches,
    attribute_loss,
    evaluate_attributes,
    label_attributes,
)
from mini_musessl.objectives.contrastive import (
    ContrastiveModel,
    Views,
    contrastive_batches,
    contrastive_loss,
    evaluate_contrastive,
    make_views,
)
from mini_musessl.objectives.masked import evaluate_masked, masked_batches, masked_loss
from mini_musessl.objectives.next_token import next_frame_loss, next_token_loss
from mini_musessl.objectives.order import OrderModel, evaluate_order, order_batches, order_loss
from mini_musessl.plotting import piano_roll_svg
from mini_musessl.tokenizers.compound import CompoundWords
from mini_musessl.tokenizers.midi_like import MidiLike
from mini_musessl.tokenizers.remi import Remi
from mini_musessl.tokenizers.voice_grid import VoiceGridTokens
from mini_musessl.training import checkpoints

TESTS = Path(__file__).resolve().parent
FILE = TESTS / "golden" / "golden.json"
NOTEBOOKS = TESTS.parent / "notebooks"
TOKENS = VoiceGridTokens()

Answer = dict[str, Any]


# What everything is made of.


def digest(*things: Any, length: int = 12) -> str:
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


def number(value: Any) -> float | str:
    """Return a float of ten digits; what is not finite, as text."""
    value = float(value)
    return float(f"{value:.10g}") if math.isfinite(value) else str(value)


def summary(values: Any) -> list[float | str]:
    """Return the shape's size, mean, deviation and three entries of an array."""
    flat = np.asarray(values.detach() if isinstance(values, torch.Tensor) else values, np.float64).ravel()
    entries = flat[[0, len(flat) // 3, -1]]
    return [len(flat), *(number(each) for each in (flat.mean(), flat.std(), *entries))]


def digest_of_fields(record: Any, left_out: tuple[str, ...] = ()) -> Answer:
    """Return a digest for each array of a dataclass, by the field's name."""
    return {field.name: digest(getattr(record, field.name)) for field in fields(record) if field.name not in left_out}


def rename(found: Answer, now: str, once: str) -> Answer:
    """Return an answer with the name that an entry had when the file was written."""
    return {once if name == now else name: each for name, each in found.items()}


def digest_of_grid(grid: voices.VoiceGrid) -> str:
    """Return one digest of all that a grid holds."""
    arrays = (grid.pitch, grid.is_onset, grid.is_fermata, grid.bar_position_step)
    facts = (grid.steps_per_quarter, grid.meter, grid.quarters_per_minute, grid.fifths, grid.mode)
    return digest(*arrays, *facts, grid.name, grid.title, grid.voice_names)


def digest_of_piece(piece: music.Piece) -> str:
    """Return one digest of all that a piece holds."""
    meters = [(each.step, each.numerator, each.denominator) for each in piece.meters]
    tempos = [(each.step, each.quarters_per_minute) for each in piece.tempos]
    parts = [(each.name, each.program, each.is_drum) for each in piece.parts]
    return digest(piece.notes, piece.steps_per_quarter, meters, tempos, parts, piece.n_steps, piece.title)


@cache
def chorales() -> tuple[voices.VoiceGrid, ...]:
    """Return all chorales."""
    return tuple(corpora.load_chorales())


@cache
def split() -> dict[str, list[voices.VoiceGrid]]:
    """Return the rebuilt split."""
    return corpora.rebuilt_split(list(chorales()))


def some(part: str, count: int, n_steps: int | None = None) -> list[voices.VoiceGrid]:
    """Return the first pieces of a part of the split, cut if asked to."""
    grids = split()[part][:count]
    return grids if n_steps is None else [voices.cut(grid, 0, min(n_steps, grid.n_steps)) for grid in grids]


def frames_of(grids: Iterable[voices.VoiceGrid]) -> list[np.ndarray]:
    """Return the ids of grids, (n_steps, 4) each."""
    return [TOKENS.as_steps(TOKENS.encode(grid)) for grid in grids]


def hymns_of(grids: Iterable[voices.VoiceGrid]) -> np.ndarray:
    """Return which pieces set one melody."""
    return corpora.melody_groups(list(grids))


def chance(seed: int) -> np.random.Generator:
    """Return a source of chance for arrays."""
    return np.random.default_rng(seed)


def torch_chance(seed: int) -> torch.Generator:
    """Return a source of chance for tensors."""
    return torch.Generator().manual_seed(seed)


# The networks; all that is made of a configuration is made here.

TOKEN_SIZES = dict(vocabulary_size=47, context_length=24, d_model=24, n_layers=2, n_heads=2, d_feedforward=40)
FRAME_SIZES = dict(context_length=24, d_model=24, n_layers=2, n_heads=2, d_feedforward=40, d_voice=20)
ENCODER_SIZES = dict(context_length=96, d_model=16, n_layers=2, n_heads=2, d_feedforward=24, d_voice=20)
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


def token_network(seed: int = 1, **switches: Any) -> MusicTransformer:
    """Return a small network over tokens."""
    return MusicTransformer(TransformerConfig(**TOKEN_SIZES | switches), seed)


def frame_network(seed: int = 1, **switches: Any) -> FrameTransformer:
    """Return a small network over frames."""
    return FrameTransformer(FrameConfig(**FRAME_SIZES | switches), seed)


def encoder_config(**switches: Any) -> EncoderConfig:
    """Return the settings of a small encoder."""
    return EncoderConfig(**ENCODER_SIZES | switches)


def masked_network(seed: int = 1, **switches: Any) -> MaskedTransformer:
    """Return a small network that fills."""
    return MaskedTransformer(encoder_config(**switches), seed)


def trained(network: torch.nn.Module) -> torch.nn.Module:
    """Give a network weights that all do something, each drawn from a seed made of its name, as if it had learned."""
    for name, weight in network.named_parameters():
        seed = int(hashlib.sha256(name.encode()).hexdigest()[:8], 16)
        weight.data.copy_(
            torch.randn(weight.shape, generator=torch_chance(seed)) * 0.3 + (name.endswith("norm.weight"))
        )
    return network.eval()


@cache
def shipped(name: str) -> torch.nn.Module:
    """Return a shipped model."""
    return checkpoints.load(name).model.eval()


def describe_weights(network: torch.nn.Module) -> Answer:
    """Return name, shape and digest of each first weight."""
    shapes = {name: "x".join(map(str, weight.shape)) for name, weight in network.state_dict().items()}
    return {name: f"{shapes[name]} {digest(w, length=8)}" for name, w in network.state_dict().items()}


def random_ids(seed: int, *shape: int) -> torch.Tensor:
    """Return symbols drawn by chance."""
    return torch.from_numpy(chance(seed).integers(0, 47, shape))


def padding(n_rows: int, n_steps: int, n_padded: int = 5) -> torch.Tensor:
    """Return padding at the end of the last row."""
    is_padding = torch.zeros(n_rows, n_steps, dtype=torch.bool)
    is_padding[-1, -n_padded:] = True
    return is_padding


def in_training(network: torch.nn.Module, *inputs: Any) -> list[float | str]:
    """Return what a network says while it is trained, with dropout from a seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        said = network.train()(*inputs)
    network.eval()
    return summary(said)


def token_answers(network: MusicTransformer) -> Answer:
    """Return what a token network says of fixed inputs."""
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


def frame_answers(network: FrameTransformer) -> Answer:
    """Return what a frame network says of fixed inputs."""
    frames = random_ids(0, 2, 20, 4)
    frames[0, 4:12] = frames[0, 4]  # some notes are held
    first = torch.tensor([0, 5])
    kept = network.start_cache(2, first)
    states = [network.read_next(kept, part)[0] for part in (frames[:, :0], *frames[:, :12].split([6, 1, 5], dim=1))]
    kept.keep_rows(torch.tensor([1, 1]))
    states.append(network.read_next(kept, frames[:, :1])[0])
    features, past = network.read_next(kept, frames[:, 1:2])
    return {
        "logits": summary(network(frames)),
        "first step": summary(network(frames, first)),
        "describe": summary(network.describe(frames, first)),
        "cache": [summary(each) for each in states],
        "one voice": summary(network.head.score_next(features, past, frames[:, :1, :2])),
        "training": in_training(network, frames, first),
    }


def encoder_answers(network: torch.nn.Module) -> Answer:
    """Return what a network that reads with hidden cells says of fixed inputs."""
    frames, is_padding, first = random_ids(0, 3, 20, 4), padding(3, 20), torch.tensor([0, 3, 40])
    is_hidden = random_ids(1, 3, 20, 4) < 12
    return {
        "hidden": summary(network(frames, is_hidden)),
        "padding": summary(network(frames, is_hidden, is_padding)),
        "first step": summary(network(frames, is_hidden, is_padding, first)),
        "training": in_training(network, frames, is_hidden, is_padding, first),
    }


def describe_network(network: torch.nn.Module, answers: Callable[[Any], Answer]) -> Answer:
    """Return the first weights of a network, and what it says with others."""
    first = describe_weights(network)
    with torch.no_grad():
        return {"first weights": first, "says": answers(trained(network))}


def attribute_answers(network: AttributeModel) -> Answer:
    """Return what each head says."""
    frames, first = random_ids(0, 2, 20, 4), torch.tensor([0, 3])
    said = network(frames, padding(2, 20), first)
    return {name: summary(each) for name, each in said.items()} | {
        f"without padding, {name}": summary(each) for name, each in network(frames).items()
    }


def order_answers(network: OrderModel) -> Answer:
    """Return the scores of pairs."""
    left, right = random_ids(0, 3, 16, 4), random_ids(1, 3, 16, 4)
    return {"scores": summary(network(left, right)), "training": in_training(network, left, right)}


def classifier_answers(network: Classifier) -> Answer:
    """Return the scores of a labelled batch."""
    return {"logits": summary(network(next(labelled("chord", 0)))), "training": in_training(network, next(labelled()))}


def labelled(task: str = "key", seed: int = 0) -> Iterator[Any]:
    """Return batches of labelled views of four pieces."""
    grids = some("train", 4, 120)
    shown = EXCERPTS["windows"](grids)
    examples = ask(task, grids, shown)
    return labelled_batches(examples, shown, np.ones(len(examples.label), bool), chance(seed))


def networks() -> Answer:
    """Names, shapes, first weights and answers of every network."""
    found = {}
    for kind in ("none", "sinusoidal", "learned", "relative", "rotary"):
        for is_causal in (True, False):
            name = f"tokens, {kind}, {'causal' if is_causal else 'both ways'}"
            network = token_network(positions=kind, is_causal=is_causal, dropout=0.1)
            found[name] = describe_network(network, token_answers)
    bare = token_network(cycle_lengths=(), n_previous=0)
    found["tokens, bare"] = describe_network(bare, token_answers)
    for name, switches in FRAME_SWITCHES.items():
        found[f"frames, {name}"] = describe_network(frame_network(**switches), frame_answers)
    for name, switches in ENCODER_SWITCHES.items():
        network = FrameEncoder(encoder_config(**switches), 1)
        found[f"encoder, {name}"] = describe_network(network, encoder_answers)
        features = network(random_ids(0, 2, 9, 4))
        found[f"encoder, {name}"]["pooled"] = [summary(pool(features)), summary(pool(features, padding(2, 9)))]
    found["masked"] = describe_network(masked_network(), encoder_answers)
    found["attributes"] = describe_network(AttributeModel(encoder_config(is_causal=True), seed=1), attribute_answers)
    found["attributes, pitch alone"] = describe_weights(AttributeModel(encoder_config(is_causal=True), ["pitch"], 1))
    found["contrastive"] = describe_network(ContrastiveModel(encoder_config(), 12, 1), encoder_answers)
    found["order"] = describe_network(OrderModel(encoder_config(), 1), order_answers)
    classifier = Classifier(FrameEncoder(encoder_config(), 1), 25)
    found["classifier"] = describe_network(classifier, classifier_answers)
    for seed in (0, 2):
        found[f"seeds, {seed}"] = {
            "tokens": digest(*token_network(seed).state_dict().values()),
            "frames": digest(*frame_network(seed).state_dict().values()),
            "masked": digest(*masked_network(seed).state_dict().values()),
        }
    return found


def samples() -> Answer:
    """Pieces drawn from small and from shipped networks, token by token, frame by frame and by filling."""
    return (
        {name: digest(ids) for name, ids in drawn_tokens()}
        | {name: digest(ids) for name, ids in drawn_frames()}
        | {name: digest(grid.pitch, grid.is_onset) for name, grid in drawn_pieces()}
        | {name: digest(grid.pitch, grid.is_onset) for name, grid in filled_pieces()}
    )


def drawn_tokens() -> Iterator[tuple[str, torch.Tensor]]:
    """Draw tokens, within the context and beyond it."""
    nothing = torch.zeros(2, 0, dtype=torch.long)
    for index, rules in enumerate(({}, {"temperature": 0.7}, {"top_k": 5}, {"top_p": 0.8}), start=1):
        yield (
            f"tokens, {rules}",
            sample(trained(token_network()), random_ids(0, 2, 4), 16, torch_chance(index), Sampling(**rules)),
        )
    small = trained(token_network(cycle_lengths=(4,), positions="relative"))
    yield "tokens, beyond the context", sample(small, nothing, 60, torch_chance(5), Sampling(0.9, 20, 0.95))
    clamp = np.full((12, 4), -1)
    clamp[:, 0] = 30 + np.arange(12) // 3
    frames = nothing.reshape(2, 0, 4)
    given = partial(sample_frames, small, frames, 12, clamp=clamp)
    yield "tokens, given voice", given(torch_chance(6))
    yield "tokens, given voice, several candidates", given(torch_chance(7), n_particles=4)


def drawn_frames() -> Iterator[tuple[str, torch.Tensor]]:
    """Draw frames, within the context and beyond it, some of them given."""
    network, prompt = trained(frame_network()), random_ids(0, 2, 6, 4)
    for index, rules in enumerate(({}, {"temperature": 0.7}, {"top_k": 5}, {"top_p": 0.8}), start=1):
        yield f"frames, {rules}", sample_frames(network, prompt, 10, torch_chance(index), Sampling(**rules))
    yield "frames, beyond the context", sample_frames(network, prompt, 50, torch_chance(5), Sampling(0.8), first_step=3)
    clamp = np.full((2, 30, 4), -1)
    clamp[0, :, 0] = 30 + np.arange(30) // 4
    clamp[1, ::2, 2] = 14
    given = partial(sample_frames, network, prompt, 30, clamp=clamp)
    yield "frames, given cells", given(torch_chance(6))
    yield "frames, given cells, several candidates", given(torch_chance(7), n_particles=5, sampling=Sampling(top_p=0.9))


def drawn_pieces() -> Iterator[tuple[str, voices.VoiceGrid]]:
    """Continue and harmonise with the shipped model and with a small one over tokens."""
    model, opening = shipped("chorale-frame"), some("test", 1, 24)[0]
    small = trained(token_network(context_length=64, cycle_lengths=(4, 16)))
    soprano = some("test", 2, 28)[1]
    yield "continued", continue_piece(model, opening, 24, torch_chance(0), Sampling(0.9, top_p=0.95))
    yield "continued, cold", continue_piece(model, opening, 12, torch_chance(1), Sampling(0.3, top_k=3))
    yield "continued by tokens", continue_piece(small, voices.cut(opening, 0, 8), 16, torch_chance(2))
    yield "harmonised", harmonise(model, soprano, torch_chance(3), Sampling(0.8))
    yield (
        "harmonised, several candidates",
        harmonise(model, soprano, torch_chance(4), Sampling(0.8, top_p=0.95), n_particles=3),
    )
    yield (
        "harmonised from pitches",
        harmonise(model, [67, 67, 69, 69, 71, 71, 72, 72], torch_chance(5), Sampling(top_k=4)),
    )


def filled_pieces() -> Iterator[tuple[str, voices.VoiceGrid]]:
    """Fill with the shipped model, and beyond the context with a small one."""
    model, piece = shipped("chorale-masked"), some("test", 3, 40)[2]
    is_hidden = np.zeros(piece.pitch.shape, bool)
    is_hidden[8:20, 1:] = True
    (ids,) = frames_of([piece])
    yield "filled", infill_piece(model, piece, is_hidden, torch_chance(0), n_sweeps=6)
    yield "filled, cold", infill_piece(model, piece, is_hidden, torch_chance(1), 4, Sampling(0.5, 5, 0.9))
    yield "harmonised by filling", harmonise_by_infilling(model, piece, torch_chance(2), n_sweeps=8)
    yield (
        "filled frames",
        TOKENS.decode(infill(model, ids, torch.from_numpy(is_hidden), torch_chance(3), 3).numpy().ravel()),
    )
    free = np.stack([np.where(is_hidden, -1, ids)] * 2)
    small = trained(masked_network(context_length=16, cycle_length=4))
    both = infill(small, free, None, torch_chance(4), 4, first_step=3)
    for row, filled in enumerate(both.numpy()):
        yield f"filled beyond the context, {row}", TOKENS.decode(filled.ravel())


# Training.

FEW = dict(n_warmup_updates=3, learning_rate=1e-2, report_every=4, device="cpu", precision="float32")


def learn(
    network: torch.nn.Module, batches: Iterable[Any], objective: Any, evaluate: Any = None, **settings: Any
) -> Answer:
    """Train a network for a few updates; return its history and what became of its weights."""
    config = training.TrainingConfig(**FEW | settings)
    history = training.train(network, batches, config, evaluate, objective, report=None)
    return describe_history(history) | describe_learned(network)


def describe_history(history: training.History) -> Answer:
    """Return a history without its seconds."""
    said = asdict(history)
    lines = ("train_nats", "valid_nats", "learning_rate")
    return {"update": said["update"], "n_targets": said["n_targets"]} | {
        name: [number(each) for each in said[name]] for name in lines
    }


def describe_learned(network: torch.nn.Module) -> Answer:
    """Return numbers about all weights, and one digest of them with four digits after the point."""
    flat = torch.cat([weight.detach().ravel() for _, weight in sorted(network.named_parameters())]).double().numpy()
    rounded = np.round(flat, 4) + 0.0
    sums = [number(each) for each in (np.abs(flat).sum(), flat @ np.cos(np.arange(len(flat))))]
    return {"weights": sums, "weights, rounded to 1e-4": digest(rounded)}


def token_batches(seed: int = 0) -> Iterator[Any]:
    """Return batches of tokens."""
    pieces = [TOKENS.encode(grid) for grid in some("train", 6, 40)]
    return random_batches(pieces, 4, 24, chance(seed), begin_id=47, stride_token=4, pitch_ids=range(1, 47))


def frame_batches(seed: int = 0, n_steps: int = 24) -> Iterator[Any]:
    """Return batches of frames."""
    return random_frame_batches(frames_of(some("train", 6, 40)), 4, n_steps, chance(seed))


def scored_on(objective: Any, batch: Any) -> Callable[[torch.nn.Module], float]:
    """Return a validation that asks one batch."""
    return lambda network: objective(network, batch)[0].item()


def train_tokens(n_updates: int = 12) -> Answer:
    """Tokens: a linear schedule, averaged weights."""
    evaluate = scored_on(next_token_loss, next(token_batches(9)))
    network = token_network(dropout=0.1, cycle_lengths=(4,))
    return learn(network, token_batches(), next_token_loss, evaluate, n_updates=n_updates, averaging=0.8)


def train_frames() -> Answer:
    """Frames: dropout, hidden inputs, a trapezoid."""
    evaluate = scored_on(next_frame_loss, next(frame_batches(9)))
    way = dict(schedule="trapezoid", decay_share=0.4, averaging=0.9, weight_decay=0.02)
    return learn(frame_network(), frame_batches(), next_frame_loss, evaluate, n_updates=10, **way)


def train_masked() -> Answer:
    """Hidden cells: several batches an update, equal and orderless weights."""
    hide = partial(masking.mask_mixed, kinds=[masking.mask_notes, masking.mask_spans])
    batches = masked_batches(frame_batches(), hide, chance(1))
    evaluate = scored_on(masked_loss, next(masked_batches(frame_batches(9), hide, chance(2))))
    found = learn(masked_network(), batches, masked_loss, evaluate, n_updates=6, n_batches=3)
    batches = masked_batches(frame_batches(), masking.mask_orderless, chance(3))
    return {"mixed": found, "orderless": learn(masked_network(2), batches, masked_loss, n_updates=5)}


def train_attributes() -> Answer:
    """Heads of pitch, rhythm and harmony, with equal and with other weights."""
    grids = some("train", 6, 60)
    found = {}
    for name, weights in {
        "equal": {"pitch": 1.0, "rhythm": 1.0, "harmony": 1.0},
        "two heads": {"pitch": 1.0, "harmony": 0.3},
    }.items():
        network = AttributeModel(encoder_config(is_causal=True), list(weights), 1)
        objective = partial(attribute_loss, weights=weights)
        found[name] = learn(network, attribute_batches(grids, 3, 24, chance(0)), objective, n_updates=5)
    network = AttributeModel(encoder_config(is_causal=True), seed=1)
    learn(network, attribute_batches(grids, 3, 24, chance(0)), attribute_loss, n_updates=5)
    measured = evaluate_attributes(network, some("valid", 3, 60))
    return found | {"measured": {name: number(each) for name, each in measured.items()}}


def train_contrast() -> Answer:
    """Two views of a window, with and without false negatives."""
    grids = some("train", 12, 80)
    pieces, hymns, views = frames_of(grids), np.arange(12) // 2, Views(n_crop_steps=16)
    found = {}
    for name, objective in {
        "fair": contrastive_loss,
        "unfair": partial(contrastive_loss, temperature=0.5, has_false_negatives=True),
    }.items():
        network = ContrastiveModel(encoder_config(), 12, 1)
        batches = contrastive_batches(pieces, 6, 32, chance(0), views, hymns)
        found[name] = learn(network, batches, objective, n_updates=5)
        measured = evaluate_contrastive(network, pieces, chance(1), views, 32, hymns)
        found[name]["measured"] = {key: number(each) for key, each in measured.items()}
    return found


def train_order() -> Answer:
    """Which of two windows comes first; a cosine."""
    pieces, network = frames_of(some("train", 6, 80)), OrderModel(encoder_config(), 1)
    batches = order_batches(pieces, 8, 16, chance(0), n_gap_steps=2)
    found = learn(network, batches, order_loss, n_updates=8, schedule="cosine")
    measured = evaluate_order(network, pieces, chance(1), 16, 40)
    return found | {"measured": {name: number(each) for name, each in measured.items()}}


def train_patiently() -> Answer:
    """A step size that is much too large, patience, and the best weights kept."""
    evaluate = scored_on(next_token_loss, next(token_batches(9)))
    way = dict(n_updates=20, report_every=2, patience=2, keep_best=True, learning_rate=0.3, n_warmup_updates=0)
    return learn(token_network(cycle_lengths=(4,)), token_batches(), next_token_loss, evaluate, **way)


def train_student() -> Answer:
    """A student of two teachers."""
    teachers = [trained(frame_network(seed)) for seed in (2, 3)]
    objective = partial(distillation_loss, teachers=teachers, widest_shift=3)
    return learn(frame_network(dropout=0.0), frame_batches(), objective, n_updates=5)


def train_twice() -> Answer:
    """A run that is interrupted and goes on from its folder ends as one that is not, to the bit."""
    settings = FEW | dict(n_updates=8, averaging=0.8, keep_best=True, n_batches=2)
    config, evaluate = training.TrainingConfig(**settings), scored_on(next_frame_loss, next(frame_batches(9)))
    calls = iter(range(100))

    def objective(network, batch):
        if next(calls) == 11:
            raise KeyboardInterrupt
        return next_frame_loss(network, batch)

    whole, first, second = frame_network(), frame_network(), frame_network()
    go = partial(training.train, config=config, evaluate=evaluate, report=None)
    history = go(whole, frame_batches(), objective=next_frame_loss)
    with tempfile.TemporaryDirectory() as folder:
        with contextlib.suppress(KeyboardInterrupt):
            go(first, frame_batches(), objective=objective, folder=folder, save_every=2)
        resumed = go(second, frame_batches(), objective=next_frame_loss, folder=folder, save_every=2)
    pairs = zip(whole.state_dict().values(), second.state_dict().values(), strict=True)
    is_same = all(torch.equal(one, other) for one, other in pairs) and history == resumed
    return describe_history(history) | describe_learned(second) | {"goes on to the bit": is_same}


def training_runs() -> Answer:
    """Short runs of every objective and every schedule."""
    return {
        "tokens, linear, averaged": train_tokens(),
        "frames, dropout, trapezoid": train_frames(),
        "masked, several batches": train_masked(),
        "attributes": train_attributes(),
        "contrast": train_contrast(),
        "order, cosine": train_order(),
        "patience, best kept": train_patiently(),
        "student": train_student(),
        "interrupted": train_twice(),
    }


def describe_likelihood(found: likelihood.Likelihood) -> Answer:
    """Return the numbers of a likelihood."""
    names = ("nats_per_token", "nats_per_frame", "bits_per_quarter", "mean_of_piece_means", "change_share")
    accuracy = found.change_accuracy
    return {name: number(getattr(found, name)) for name in names} | {
        "n_tokens": int(found.n_tokens),
        "piece_nats": [number(each) for each in found.piece_nats],
        "voice_nats": [number(each) for each in found.voice_nats],
        "change_accuracy": None if accuracy is None else number(accuracy),
    }


def describe_infilling(found: infilling.Infilling) -> Answer:
    """Return the numbers of filling."""
    names = ("nats_per_cell", "accuracy", "copy_share", "nats_where_copied", "nats_elsewhere")
    said = {name: getattr(found, name) for name in names}
    return {name: None if each is None else number(each) for name, each in said.items()} | {
        "n_cells": int(found.n_cells),
        "piece_nats": [number(each) for each in found.piece_nats],
    }


def describe_orderless(found: infilling.Orderless) -> list[float | str | None]:
    """Return the numbers of an orderless likelihood."""
    error = found.standard_error
    return [number(found.nats_per_cell), None if error is None else number(error)]


def shipped_models() -> Answer:
    """What the shipped models score on chorales, and what is made of their scores."""
    frame_model, masked_model = shipped("chorale-frame"), shipped("chorale-masked")
    pieces = some("test", 10)
    scored = likelihood.evaluate_likelihood(frame_model, pieces)
    again = likelihood.evaluate_likelihood(frame_model, some("test", 10, 64))
    short = likelihood.evaluate_likelihood(Ensemble([frame_model], (0, 2, -3)), some("test", 10, 64))
    compared = likelihood.compare(again, short, chance(0), 200)
    hidden = infilling.draw_hidden(pieces, masking.mask_spans, chance(0), 2)
    kinds = infilling.evaluate_kinds(masked_model, pieces, chance(1))
    tiny = some("test", 2, 24)
    by_orders = infilling.orderless_by_orders(masked_model, tiny, chance(2), 2)
    by_subsets = infilling.orderless_by_subsets(masked_model, tiny, chance(3), 4)
    measured = evaluate_masked(masked_model, frames_of(some("test", 4)), chance(4))
    small = {"tokens": trained(token_network(cycle_lengths=(4,))), "frames": trained(frame_network())}
    scores = {name: likelihood.evaluate_likelihood(each, some("test", 2, 70)) for name, each in small.items()}
    return {
        "weights, chorale-frame": describe_weights(frame_model),
        "weights, chorale-masked": describe_weights(masked_model),
        "likelihood": describe_likelihood(scored),
        "in several keys": describe_likelihood(short),
        "compared": [number(each) for each in (compared.difference, compared.low, compared.high)],
        "filling spans": describe_infilling(infilling.evaluate_infilling(masked_model, pieces, hidden)),
        "filling": {name: describe_infilling(found) for name, found in kinds.items()},
        "orderless, orders": describe_orderless(by_orders),
        "orderless, subsets": describe_orderless(by_subsets),
        "measured": {name: number(each) for name, each in measured.items()},
        "small": {name: describe_likelihood(each) for name, each in scores.items()},
        "temperature": number(calibration.find_temperature(frame_model, some("valid", 1, 40), tolerance=0.1)),
    }


def counting_models() -> Answer:
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
    found = {name: describe_likelihood(likelihood.evaluate_likelihood(each, asked)) for name, each in models.items()}
    hides = {name: hide for name, hide in infilling.KINDS.items() if name in ("cells", "bars", "notes")}
    for name, hide in hides.items():
        seen, hidden = (infilling.draw_hidden(each, hide, chance(0)) for each in (known, asked))
        model = NeighbourCounts(known, seen)
        found[f"neighbours, {name}"] = describe_infilling(infilling.evaluate_infilling(model, asked, hidden))
        uniform = infilling.evaluate_infilling(counting.Uniform(), asked, hidden)
        found[f"uniform cells, {name}"] = describe_infilling(uniform)
    rows = [TOKENS.encode(grid) for grid in (*known, *asked)]
    found["marks"] = [number(counting.uniform_nats(47)), number(counting.unigram_nats(rows[:40], rows[40:], 47))]
    return found | {"copied": copied_next_door()}


def copied_next_door() -> Answer:
    """What is copied into hidden cells, by kind of hiding."""
    found = {}
    for batch in islice(frame_batches(4), 1):
        for name, hide in masking.MASKERS.items():
            is_hidden = hide(batch.frames, batch.is_padding, chance(1))
            copied = masking.copy_next_door(batch.frames, is_hidden, batch.is_padding)
            found[name] = [digest(copied), number((copied == batch.frames)[is_hidden].mean())]
    return found


def tokenizers() -> Answer:
    """Ids, what comes back and what is said to be lost, of chorales and of random pieces."""
    grids = [*chorales()[:40], *split()["test"][:10]]
    satb = tuple(music.Part(name) for name in voices.SATB)
    own = dict(steps_per_quarter=4, parts=satb)
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


def through(tokenizer: Any, thing: Any) -> str:
    """Return digests of ids, of what comes back and of what is lost; a refusal by its kind alone."""
    try:
        ids = tokenizer.encode(thing)
        back = tokenizer.decode(ids)
    except ValueError:
        return "refused"
    came = digest_of_piece(back) if isinstance(back, music.Piece) else digest_of_grid(back)
    return f"{digest(ids, length=8)} {came[:8]} {digest(tokenizer.what_is_lost(thing), length=8)}"


def midi_files() -> Answer:
    """MIDI files written and read again, and scores in MusicXML."""
    chosen = [voices.to_piece(grid) for grid in chorales()[:14]] + [make_random_piece(seed, 40) for seed in range(6)]
    found: Answer = {"midi": [], "MusicXML": []}
    with tempfile.TemporaryDirectory() as folder:
        for piece in chosen:
            path = Path(folder) / "piece.mid"
            midi.write_midi(piece, path)
            data = path.read_bytes()
            back = midi.read_midi(data, piece.steps_per_quarter)
            by_symusic = symusic_digest(path, piece.steps_per_quarter)
            found["midi"].append(
                [digest(data), digest_of_piece(back), by_symusic, digest_of_piece(midi.read_midi(path))]
            )
        for piece in [voices.to_piece(voices.cut(grid, 0, min(48, grid.n_steps))) for grid in chorales()[5:10]]:
            path = Path(folder) / "piece.musicxml"
            musicxml.write_musicxml(piece, path)
            text = re.sub(r"<(encoding-date|software)>[^<]*<", "", path.read_text(encoding="utf-8"))
            text = re.sub(r'id="[^"]*"', "", text)  # music21 numbers what it makes by address
            found["MusicXML"].append([digest(text), digest_of_piece(musicxml.read_musicxml(path, 4))])
    return found


def symusic_digest(path: Path, steps_per_quarter: int) -> str:
    """Return what the other reader reads, or a dash where it is not installed."""
    try:
        return digest_of_piece(midi.read_midi(path, steps_per_quarter, "symusic"))
    except ImportError:
        return "-"


def harmony() -> Answer:
    """Chords and keys of fifty chorales."""
    found = {}
    for grid in chorales()[:50]:
        chords = chords_and_keys.chord_labels(grid)
        classes = chords_and_keys.chord_classes(chords)
        names = chords_and_keys.chord_names(chords, grid.fifths or 0)
        blocks = chords_and_keys.grid_chroma(grid, 16)
        key = chords_and_keys.find_key(chords_and_keys.chroma(grid))
        second = key.runner_up
        found[grid.name] = {
            "chords": digest(chords, classes, names),
            "blocks": summary(blocks),
            "key": [key.tonic, key.mode, key.fifths, number(key.correlation), second.tonic, second.mode],
        }
    return found


def cadences() -> Answer:
    """Cadences of fifty chorales."""
    found = {}
    for grid in chorales()[:50]:
        said = chords_and_keys.cadences(grid)
        found[grid.name] = [f"{c.step} {c.kind} {c.chord_before} {c.chord} {c.key.tonic} {c.key.mode}" for c in said]
        found[grid.name] = digest(*found[grid.name])
    return found


def batches() -> Answer:
    """Windows and batches of every kind, drawn from seeds."""
    grids = some("train", 8, 90)
    frames, rows = frames_of(grids), [TOKENS.encode(grid) for grid in grids]
    found: Answer = {
        "windows": digest_of_fields(cut_windows(rows, 24, 47)),
        "windows, overlapping": digest_of_fields(cut_windows(rows, 24, 47, 8)),
        "frame windows": [digest_of_fields(each) for each in cut_frame_windows(frames, 32)],
    }
    several = {
        "tokens": token_batches(),
        "tokens, as they are": random_batches(rows, 3, 30, chance(2), 47),
        "frames": frame_batches(),
        "frames, longer than a piece": frame_batches(n_steps=60),
        "frames, one key": random_frame_batches(frames, 3, 20, chance(3), range(1)),
        "attributes": attribute_batches(grids, 3, 24, chance(4)),
        "attributes, one key": attribute_batches(grids, 3, 24, chance(5), range(1)),
        "contrast": contrastive_batches(frames, 4, 40, chance(6), Views(n_crop_steps=24), np.arange(8) // 2),
        "contrast, default": contrastive_batches(frames, 4, 64, chance(7)),
        "order": order_batches(frames, 6, 16, chance(8)),
        "order, gap": order_batches(frames, 6, 16, chance(9), range(1), 4),
    }
    for name, hide in hiders().items():
        drawn = islice(masked_batches(frame_batches(n_steps=60), hide, chance(10)), 3)
        found[f"masked, {name}"] = [digest_of_fields(each, left_out=("piece_index",)) for each in drawn]
    found |= {name: [digest_of_fields(each) for each in islice(drawn, 3)] for name, drawn in several.items()}
    # What is called the row of an example was once the view of it.
    found["labelled"] = [rename(digest_of_fields(each), "row", "view") for each in islice(labelled("chord"), 3)]
    found["attributes of pieces"] = [digest_of_attributes(grid) for grid in grids]
    return found | {"views": drawn_views()}


def hiders() -> dict[str, Any]:
    """Return every way of hiding, some with other settings."""
    return dict(masking.MASKERS) | {
        "mixed": masking.mask_mixed,
        "mixed, two": partial(masking.mask_mixed, kinds=[masking.mask_bars, masking.mask_voices]),
        "cells, half": partial(masking.mask_cells, share=0.5),
        "spans, short": partial(masking.mask_spans, share=0.4, span_steps=3),
        "bars of 12": partial(masking.mask_bars, bar_steps=12),
        "bars from their lines": partial(masking.mask_bars, bar_line_step=np.array([4, 0, 9, 15])),
        "two of three voices": partial(masking.mask_voices, n_hidden=2, among=[1, 2, 3]),
        "notes, half": partial(masking.mask_notes, share=0.5),
    }


def digest_of_attributes(grid: voices.VoiceGrid) -> str:
    """Return one digest of what the heads are asked of a piece."""
    said = label_attributes(grid)
    return digest(said.frames, said.pitch, said.onset, said.duration, said.chord)


def drawn_views() -> Answer:
    """Return views with each of the changes alone, and with all."""
    off = dict(transposes=False, crops=False, drops_voices=False)
    ways = {name: off | {name: True} for name in off} | {"all": {}, "two voices": {"n_dropped_voices": 2}}
    batch = next(frame_batches(n_steps=40))
    return {name: digest_of_fields(make_views(batch, Views(**way), chance(3))) for name, way in ways.items()}


def probes() -> Answer:
    """Features by hand and of encoders, a probe a task, fine-tuning and retrieval."""
    grids = probed_pieces()
    divided = draw_split(np.arange(len(grids)), 4)
    apart = draw_split(corpora.melody_groups(grids), 4)
    makers = {
        "by hand": probing.handmade_features(grids),
        "encoder": probing.encoder_features(trained(FrameEncoder(encoder_config(), 1)), grids, precision="float32"),
        "register": {"voice": register(grids)},
        "frames": probing.encoder_features(trained(frame_network(context_length=128)), grids, ["chord"], "float32"),
    }
    found: Answer = {"split": [list(each) for each in (divided.labelled, divided.test, apart.labelled, apart.test)]}
    for name, features in makers.items():
        found[name] = {}
        for task, asked in features.items():
            found[name][task] = {
                "values": summary(asked.values),
                "labels": digest(asked.label, asked.piece, asked.classes),
            }
            if asked.classes:
                with contextlib.suppress(ValueError):  # a task whose classes do not all occur has no score
                    result = probing.probe(features, task, divided, None if name == "by hand" else 5, chance(1))
                    found[name][task]["probe"] = describe_result(result)
            else:
                found[name][task]["retrieved"] = describe_row({"task": "hymn"} | asdict(probing.retrieve(asked)))
    encoder, few = FrameEncoder(encoder_config(), 1), training.TrainingConfig(**FEW | dict(n_updates=4))
    for task in ("chord", "key", "voice"):
        result = fine_tuning.fine_tune(encoder, task, grids, divided, 3, chance(2), few)
        found[f"fine-tuned, {task}"] = describe_result(result)
    return found


def draw_split(group: np.ndarray, n_test: int) -> probing.PieceSplit:
    """Draw whole groups of pieces to test, at least so many pieces; the others may be labelled."""
    is_test = np.zeros(len(group), bool)
    for number in chance(0).permutation(group.max() + 1):
        if is_test.sum() < n_test:
            is_test |= group == number
    return probing.PieceSplit(tuple(np.flatnonzero(~is_test)), tuple(np.flatnonzero(is_test)))


def register(grids: list[voices.VoiceGrid]) -> probing.Features:
    """Describe each voice of each piece by its mean pitch alone."""
    lines = [(piece, voice, line) for piece, grid in enumerate(grids) for voice, line in enumerate(grid.pitch.T)]
    rows = [(line[line != voices.REST].mean(), voice, piece) for piece, voice, line in lines if line.max() >= 0]
    mean, voice, piece = np.array(rows).T
    values = mean[:, None].astype(np.float32)
    return probing.Features("voice", voices.SATB, values, voice.astype(int), piece.astype(int), len(grids))


def describe_result(result: probing.ProbeResult) -> Answer:
    """Return how well a probe answers; of its labelled pieces, how many."""
    row = asdict(result)
    return describe_row(row | {"n_labelled_pieces": len(row.pop("labelled_pieces"))})


def probed_pieces() -> list[voices.VoiceGrid]:
    """Return the first settings of hymns that are set twice, cut."""
    every = chorales()[:200]
    groups = hymns_of(every).tolist()
    members = {group: [index for index, each in enumerate(groups) if each == group] for group in groups}
    twice = [pair for group in members.values() if len(group) > 1 for pair in group[:2]][:8]
    others = [index for index in range(len(every)) if groups[index] not in {groups[each] for each in twice}][:6]
    return [voices.cut(every[index], 0, min(110, every[index].n_steps)) for index in (*twice, *others)]


def describe_row(row: dict[str, object]) -> Answer:
    """Return a row of a table with its floats shortened and its lists as text."""
    return {
        name: number(each)
        if isinstance(each, float)
        else each
        if isinstance(each, (int, str, type(None)))
        else str(each)
        for name, each in row.items()
    }


def voice_leading() -> Answer:
    """Parallels, crossings and voices out of range in twenty chorales: how many, and where."""
    return {
        grid.name: [f"{count_found(each)} {digest(each, length=8)}" for each in faults(grid)]
        for grid in chorales()[:20]
    }


def count_found(found: np.ndarray) -> int:
    """Return how many cells are marked, or how many rows are listed."""
    return np.count_nonzero(found) if found.dtype == bool else len(found)


def faults(grid: voices.VoiceGrid) -> tuple[np.ndarray, ...]:
    """Return parallel fifths and octaves, crossings and cells out of range."""
    fifths, octaves = (leading.parallels(grid, interval) for interval in (leading.FIFTH, leading.OCTAVE))
    return fifths, octaves, leading.crossings(grid), leading.out_of_range(grid)


def shown() -> Answer:
    """Scores as text, sound, piano rolls and the sentences that describe music."""
    grids = chorales()[20:25]
    short = voices.cut(grids[0], 0, 16)
    sound = audio.synthesize(short)
    return {
        "kern": {grid.name: digest(notation.to_kern(grid)) for grid in grids},
        "sound": [digest(np.round(sound.astype(np.float64), 4) + 0.0), *summary(sound)],
        "faded": summary(audio.fade_out(sound, 0.5)),
        "piano rolls": [
            digest(piano_roll_svg(grids[0])),
            digest(piano_roll_svg(short, "A beginning", (36, 90))),
            digest(piano_roll_svg(make_random_piece(1, 30), "Random notes")),
        ],
        "described": {grid.name: show.describe(grid) for grid in grids},
        "described, random": show.describe(make_random_piece(2, 30)),
    }


def corpus() -> Answer:
    """Every chorale, the splits and the groups of melodies."""
    parts = {"rebuilt": split(), "melodies apart": corpora.melody_disjoint_split(list(chorales()))}
    return {
        "chorales": {grid.name: digest_of_grid(grid)[:8] for grid in chorales()},
        "splits": {
            name: {part: digest(*(grid.name for grid in grids)) for part, grids in found.items()}
            for name, found in parts.items()
        },
        "melodies": digest(hymns_of(chorales())),
        "moved": [digest_of_grid(voices.transpose(grid, 2)) for grid in chorales()[:5]],
        "back from a piece": [digest_of_grid(voices.from_piece(voices.to_piece(grid))) for grid in chorales()[:10]],
    }


def verdicts() -> Answer:
    """What is said to each exercise's solution, known mistakes, an open answer and one that forgets to return."""

    def still_open(*given):
        raise NotImplementedError

    def nothing(*given):
        return None

    found = {}
    for name, exercise in exercises.EXERCISES.items():
        answers = [exercise.solution, *(mistake.answer for mistake in exercise.mistakes), still_open, nothing]
        # A mistake may overflow: its reader sees a warning, and the sentence all the same.
        with contextlib.redirect_stdout(io.StringIO()), np.errstate(all="ignore"):
            found[name] = [digest(str(exercises.check(name, answer)), length=8) for answer in answers]
    return found


def notebook_outputs() -> Answer:
    """Digests of the outputs that stand in each notebook, in order; nothing is run."""
    return {path.stem: outputs_of(path) for path in sorted(NOTEBOOKS.glob("*.ipynb"))}


def outputs_of(path: Path) -> list[str]:
    """Return one entry per output, its digest and beginning; cells whose output may differ (times) are left out."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    cells = [cell for cell in cells if "nbval-ignore-output" not in cell["metadata"].get("tags", ())]
    return [each for cell in cells for output in cell.get("outputs", ()) for each in texts_of(output)]


def texts_of(output: dict[str, Any]) -> list[str]:
    """Return digest and beginning of each text of an output; pictures and sound count as one word."""
    if "text" in output:
        texts = {output["name"]: output["text"]}
    else:
        texts = {kind: text for kind, text in output.get("data", {}).items() if kind in ("text/plain", "text/html")}
    whole = {kind: re.sub(r"base64,[A-Za-z0-9+/=\s]+", "MEDIA", "".join(text)) for kind, text in texts.items()}
    return [f"{digest(text, length=10)} {' '.join(text.split())[:24]}" for text in whole.values()]


PARTS: dict[str, Callable[[], Answer]] = {
    "corpus": corpus,
    "networks": networks,
    "samples": samples,
    "training": training_runs,
    "shipped": shipped_models,
    "counting": counting_models,
    "tokenizers": tokenizers,
    "midi": midi_files,
    "harmony": harmony,
    "cadences": cadences,
    "batches": batches,
    "probing": probes,
    "voice_leading": voice_leading,
    "shown": shown,
    "exercises": verdicts,
    "notebooks": notebook_outputs,
}


# Comparing.


def compute(part: str) -> Answer:
    """Return what a part computes, with one thread, as it comes back from JSON."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return json.loads(json.dumps(PARTS[part]()))
    finally:
        torch.set_num_threads(n_threads)


def load_golden() -> Answer:
    """Return what is kept."""
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


def outputs_gone(kept: Answer, found: Answer) -> Iterator[tuple[str, str]]:
    """Return notebook and text of each output that does not come again in its order; more outputs may stand between."""
    for name, texts in kept.items():
        rest = found.get(name, [])
        for text in texts:
            if text in rest:
                rest = rest[rest.index(text) + 1 :]
            else:
                yield name, text


def wrong_entries(part: str, kept: Any, found: Answer) -> list[str]:
    """Say what of a part is no longer as it was kept."""
    if part == "notebooks":
        return [f"/{name}: {text} is gone" for name, text in outputs_gone(kept, found)]
    return list(differences(kept, found))


def write(answers: Answer) -> None:
    """Write the file: one line an entry of a part."""
    FILE.parent.mkdir(exist_ok=True)
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
    answers = load_golden() if FILE.exists() else {}
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
        write({name: answers[name] for name in PARTS if name in answers})
    return 1 if n_different else 0


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as cache_folder:
        os.environ.setdefault("MUSESSL_CACHE", cache_folder)
        sys.exit(main(sys.argv[1:]))
