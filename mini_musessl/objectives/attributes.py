"""The attributes objective: pitch, rhythm and harmony of what comes next, as heads over one causal encoder.

Each head reads the features of a step, which depend on the music up to that step, and predicts the music after it:

* **pitch**: the symbol that each voice sings at the next step;
* **rhythm**: whether each voice begins a new note at the next step, and how much longer its present note lasts;
* **harmony**: the chord of the next beat, root and quality.

Pitch is asked as a symbol, not as an interval. From the present symbol either follows from the other, so both are the
same question; but nats of symbols stand on one scale with every other model of the book, and a head that names symbols
can sing. Windows are transposed while training, and the chords move with them, so no key is favoured.

Chapter: 4c (pitch, rhythm and harmony heads).
"""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import ArrayLike
from torch import Tensor, nn
from torch.nn import functional

from mini_musessl import harmony, voices
from mini_musessl.batches import FrameBatch, random_frame_batches, side_by_side, windows_with_history
from mini_musessl.checks import check_batch, check_choice, check_list, check_scores, check_some
from mini_musessl.network.encoder import CellHead, EncoderConfig, FrameEncoder
from mini_musessl.network.transformer import Network, evaluation_mode, to_device_of
from mini_musessl.tokenizers.voice_grid import N_SYMBOLS, TOKENS

NO_TARGET = -1  # stands where nothing is asked
#: How many steps a note lasts after the present one: each class begins here and ends before the next.
DURATION_STARTS = (0, 1, 2, 4, 8)
DURATION_NAMES = ("ends with this step", "1 step more", "2 or 3 more", "4 to 7 more", "8 or more")
#: Every question, and how many answers it has.
QUESTIONS = {"pitch": N_SYMBOLS, "onset": 2, "duration": len(DURATION_STARTS), "chord": harmony.N_CHORD_CLASSES}
#: The heads, and which questions each answers.
HEADS: dict[str, tuple[str, ...]] = {"pitch": ("pitch",), "rhythm": ("onset", "duration"), "harmony": ("chord",)}


@dataclass(frozen=True, eq=False)
class PieceAttributes:
    """A piece, and the right answers at each of its steps: they lie after it; at the last one nothing is asked."""

    grid: voices.VoiceGrid
    frames: Int[np.ndarray, "n_steps 4"]  # its symbol ids
    pitch: Int[np.ndarray, "n_steps 4"]  # the symbol of each voice at the next step
    onset: Int[np.ndarray, "n_steps 4"]  # 1 where a new note begins at the next step; 0 where the voice holds or rests
    duration: Int[np.ndarray, "n_steps 4"]  # as in DURATION_NAMES, how much longer this step's note lasts; not on rests
    chord: Int[np.ndarray, " n_steps"]  # of the next beat, as in harmony.chord_classes; not in the last beat


Pieces = Sequence[voices.VoiceGrid | PieceAttributes]  # grids are labelled at the door


def label_attributes(grid: voices.VoiceGrid) -> PieceAttributes:
    """Compute what the heads must answer at each step of a piece; its onsets and bars are needed.

    >>> grid = voices.from_pitches([[72, 67, 64, 48]] * 4 + [[74, 67, 65, 47]] * 4)
    >>> piece = label_attributes(grid)
    >>> piece.onset[3].tolist(), piece.duration[:, 0].tolist(), harmony.chord_class_names()[piece.chord[0]]
    ([1, 0, 1, 1], [2, 2, 1, 0, 2, 2, 1, -1], 'G7')
    """
    frames = TOKENS.encode(grid).astype(np.int64).reshape(-1, 4)
    step = np.arange(len(frames))[:, None]
    # A note ends where a new one begins or the voice rests: read backwards, the nearest such step that was met.
    ends = np.where(grid.is_onset | (frames == 0), step, len(frames))
    ends = np.minimum.accumulate(ends[::-1])[::-1]
    n_more = np.roll(ends, -1, axis=0) - step - 1
    duration = np.searchsorted(DURATION_STARTS, n_more, side="right") - 1
    chords = harmony.chord_labels(grid)
    next_beat = np.searchsorted(chords["step"], step[:, 0], side="right")
    targets = {
        "pitch": np.roll(frames, -1, axis=0),
        "onset": np.roll(grid.is_onset, -1, axis=0).astype(np.int64),
        "duration": np.where(frames == 0, NO_TARGET, duration),
        "chord": np.append(harmony.chord_classes(chords), NO_TARGET)[next_beat],
    }
    for answers in targets.values():
        answers[-1] = NO_TARGET
    return PieceAttributes(grid, frames, **targets)


def transpose_chords(chords: ArrayLike, semitones: ArrayLike) -> Int[np.ndarray, "*shape"]:
    """Move the roots of numbered chords up; their qualities stay, and so do 0 (no chord) and ``NO_TARGET``.

    >>> transpose_chords([1, 24, 0, -1], 2).tolist()  # C, Bm, none, not asked
    [3, 14, 0, -1]
    """
    chords = np.asarray(chords, np.int64)
    quality, root = np.divmod(chords - 1, 12)
    return np.where(chords > 0, 1 + 12 * quality + (root + np.asarray(semitones)) % 12, chords)


def _label_pieces(pieces: Pieces) -> list[PieceAttributes]:
    """Label those pieces that are not labelled yet."""
    check_list("Pieces", pieces, (voices.VoiceGrid, PieceAttributes), "Is the split empty?")
    for piece in pieces:
        if not isinstance(piece, voices.VoiceGrid | PieceAttributes):
            raise TypeError(
                "Rhythm and harmony are read from the onsets and bars of a voices.VoiceGrid; found "
                f"{type(piece).__name__}. Give the grids of the corpus, before they are encoded."
            )
    return [piece if isinstance(piece, PieceAttributes) else label_attributes(piece) for piece in pieces]


@dataclass(frozen=True)
class AttributeBatch(FrameBatch):
    """Windows with the answers of ``PieceAttributes``, transposed alike; at the last step, about what follows."""

    pitch: Int[np.ndarray, "n_windows n_steps 4"]
    onset: Int[np.ndarray, "n_windows n_steps 4"]
    duration: Int[np.ndarray, "n_windows n_steps 4"]
    chord: Int[np.ndarray, "n_windows n_steps"]


def attribute_batches(
    pieces: Pieces, n_windows: int, n_steps: int, generator: np.random.Generator, semitones: range = range(-5, 7)
) -> Iterator[AttributeBatch]:
    """Draw windows as ``batches.random_frame_batches`` does, without end, and the answers that belong to them."""
    labelled = _label_pieces(pieces)
    # One step more than is shown: it is asked for.
    drawn = random_frame_batches([piece.frames for piece in labelled], n_windows, n_steps + 1, generator, semitones)
    return (_with_answers(windows, labelled, n_steps) for windows in drawn)


def _with_answers(windows: FrameBatch, pieces: list[PieceAttributes], n_steps: int) -> AttributeBatch:
    """Cut again what was drawn, with its answers, and move all as far up as it was moved."""
    written = _cut(pieces, windows.piece_index, windows.start_step, n_steps + 1)
    moved = (windows.frames - written.frames).reshape(len(written.frames), -1)  # rests and padding do not move
    semitones = np.where(moved.max(axis=1) > 0, moved.max(axis=1), moved.min(axis=1))[:, None]
    shown = {name: getattr(written, name)[:, :n_steps] for name in ("is_padding", "frames", *QUESTIONS)}
    for name in ("frames", "pitch"):
        shown[name] = shown[name] + semitones[..., None] * (shown[name] > 0)
    return replace(written, **shown | {"chord": transpose_chords(shown["chord"], semitones)})


def _cut(
    pieces: list[PieceAttributes], piece_index: np.ndarray, start_step: np.ndarray, n_steps: int
) -> AttributeBatch:
    """Cut windows, each from its piece, with the answers at their steps."""
    cut, places = {}, list(zip(piece_index, start_step, strict=True))
    for name in ("frames", *QUESTIONS):
        stretches = [getattr(pieces[piece], name)[start : start + n_steps] for piece, start in places]
        cut[name], is_padding = side_by_side(stretches, n_steps, 0 if name == "frames" else NO_TARGET)
    return AttributeBatch(is_padding=is_padding, start_step=start_step, piece_index=piece_index, **cut)


class AttributeModel(Network):
    """A causal encoder, and a head for each of pitch, rhythm and harmony, which answer side by side.

    First weights depend on the seed and not on which heads there are, so that all models begin alike.

    Args:
        config: of the encoder, which must be causal; ``d_voice`` is the width of the heads.

    >>> model = AttributeModel(EncoderConfig(d_model=16, d_feedforward=32, d_voice=24, is_causal=True))
    >>> {question: tuple(scores.shape) for question, scores in model(torch.zeros(2, 7, 4).long()).items()}
    {'pitch': (2, 7, 4, 47), 'onset': (2, 7, 4, 2), 'duration': (2, 7, 4, 5), 'chord': (2, 7, 109)}
    """

    def __init__(self, config: EncoderConfig, heads: Collection[str] = tuple(HEADS), seed: int = 0) -> None:
        super().__init__()
        if not config.is_causal:
            raise ValueError(
                "The heads ask what comes after each step, so the encoder must be causal; found is_causal=False, with "
                "which the answer stands in sight. Use EncoderConfig(is_causal=True)."
            )
        check_some(len(heads), "At least one head is needed", f"Choose from {', '.join(HEADS)}.")
        for name in heads:
            check_choice("A head", name, HEADS)
        self.config = config
        self.encoder = FrameEncoder(config, seed)
        self.heads = nn.ModuleDict()
        for place, name in enumerate(HEADS):
            if name in heads:
                n_cells = 1 if name == "harmony" else config.n_voices  # one answer per voice, or one for all
                n_answers = sum(QUESTIONS[question] for question in HEADS[name])
                sizes = replace(config, n_voices=n_cells, vocabulary_size=n_answers)
                self.heads[name] = CellHead(sizes, seed + 1000 * place)

    def forward(
        self,
        frames: Int[Tensor, "batch n_steps n_voices"],
        is_padding: Tensor | None = None,
        first_step: Int[Tensor, " batch"] | None = None,
    ) -> dict[str, Tensor]:
        """Return logits by question, (batch, n_steps, 4, n_answers) or, for the chord, (batch, n_steps, n_answers).

        Those at a step depend on the frames up to it. Arguments are those of ``FrameEncoder``.
        """
        return self.answer(self.encoder(frames, None, is_padding, first_step), self.heads)

    def answer(self, features: Float[Tensor, "batch n_steps d_model"], heads: Collection[str]) -> dict[str, Tensor]:
        """Return the logits of some heads for features of steps, by question, as ``forward`` does."""
        answers: dict[str, Tensor] = {}
        for name in (name for name in HEADS if name in heads):
            questions = HEADS[name]
            parts = self.heads[name](features).split([QUESTIONS[question] for question in questions], dim=-1)
            answers.update(zip(questions, parts, strict=True))
        if "chord" in answers:
            answers["chord"] = answers["chord"][:, :, 0]
        return answers


def question_nats(model: AttributeModel, batch: AttributeBatch, heads: Collection[str]) -> dict[str, Tensor]:
    """Return the mean loss of each question of some heads, in nats; not a number where a batch has no target for it."""
    frames, is_padding, first_step = to_device_of(model, batch.frames, batch.is_padding, batch.start_step)
    features = model.encoder(frames, None, is_padding if batch.is_padding.any() else None, first_step)
    nats = {}
    for question, logits in model.answer(features, heads).items():
        (target,) = to_device_of(model, getattr(batch, question))
        logits, target = logits.flatten(0, -2).float(), target.flatten()
        nats[question] = functional.cross_entropy(logits, target, ignore_index=NO_TARGET)
    return nats


def attribute_loss(
    model: AttributeModel, batch: AttributeBatch, weights: Mapping[str, float] | None = None
) -> tuple[Float[Tensor, ""], int]:
    """Return the weighted mean of the losses of the heads, and the number of steps at which something is asked.

    The loss of a head is the mean over its questions; questions of which the batch holds no target are left out.

    Args:
        weights: by head, 0 or more; None for all heads of the model alike. One of weight 0 is not asked at all.
    """
    check_batch(batch, AttributeBatch, "attribute_loss", "attribute_batches")
    weights = dict.fromkeys(model.heads, 1.0) if weights is None else weights
    for name, weight in weights.items():
        check_choice("A head", name, model.heads if weight else HEADS)
        if not 0 <= weight < math.inf:
            raise ValueError(f"The weight of a head must be a finite number, 0 or more; {name} has {weight}.")
    is_asked = {question: bool((getattr(batch, question) != NO_TARGET).any()) for question in QUESTIONS}
    asked = {head: [question for question in HEADS[head] if is_asked[question]] for head in HEADS if weights.get(head)}
    asked = {head: questions for head, questions in asked.items() if questions}
    check_some(len(asked), advice="Are all weights 0, or the windows nothing but the ends of pieces?")
    nats = question_nats(model, batch, asked)
    total = sum(weights[head] for head in asked)
    loss = sum(weights[head] / total * (sum(nats[q] for q in each) / len(each)) for head, each in asked.items())
    return loss, int((batch.pitch != NO_TARGET).any(axis=-1).sum())


def evaluate_attributes(model: AttributeModel, pieces: Pieces) -> dict[str, float]:
    """Measure each head on whole pieces, every step once, with half a context before it, beside baselines.

    Returns:
        ``n_steps``; ``pitch_moves_accuracy``, where the next symbol is another; and for each question ``{question}_``

        * ``nats``, ``accuracy``: of the model;
        * ``chance_nats``, ``chance_accuracy``: of all answers alike;
        * ``commonest_accuracy``: of always giving the commonest right answer of these pieces;
        * ``same_again_accuracy``: of the rule of ``same_again``, and ``same_again_nats``: of giving its answer
          the probability with which it is right on these pieces, and the others equal shares of the rest.
    """
    labelled = _label_pieces(pieces)
    rules = [same_again(piece) for piece in labelled]
    found = {"n_steps": float(sum(len(piece.frames) - 1 for piece in labelled))}
    for question, (nats, is_right, target) in _ask_all(model, labelled).items():
        check_some(len(target), f"These pieces must ask something of {question}", "Are they a beat or less long?")
        truth = [getattr(piece, question) for piece in labelled]
        rule = np.concatenate([r[question][each != NO_TARGET] for r, each in zip(rules, truth, strict=True)])
        found |= {f"{question}_nats": float(nats.mean()), f"{question}_accuracy": float(is_right.mean())}
        found |= _baselines(question, target, rule)
        if question == "pitch" and (rule != target).any():
            found["pitch_moves_accuracy"] = float(is_right[rule != target].mean())
    return found


@torch.no_grad()
def _ask_all(model: AttributeModel, pieces: list[PieceAttributes]) -> dict[str, list[np.ndarray]]:
    """Return nats, whether the likeliest was right, and the target, of every answer in the order of the pieces."""
    length = model.config.context_length
    windows = [(p, *cut) for p, piece in enumerate(pieces) for cut in windows_with_history(len(piece.frames), length)]
    found: dict[str, list[tuple[np.ndarray, ...]]] = {}
    for at in range(0, len(windows), 16):
        piece_index, start, first_counted, stop = np.array(windows[at : at + 16]).T
        batch = _cut(pieces, piece_index, start, int((stop - start).max()))
        step = start[:, None] + np.arange(batch.frames.shape[1])
        is_counted = (step >= first_counted[:, None]) & (step < stop[:, None])
        with evaluation_mode(model):
            answers = model(*to_device_of(model, batch.frames, batch.is_padding, batch.start_step))
        for question, logits in answers.items():
            target = getattr(batch, question)
            is_asked = (target != NO_TARGET) & (is_counted if question == "chord" else is_counted[..., None])
            log_probs, right = logits.float().log_softmax(-1).cpu().numpy()[is_asked], target[is_asked]
            check_scores(log_probs)
            nats = -log_probs[np.arange(len(right)), right].astype(np.float64)
            found.setdefault(question, []).append((nats, log_probs.argmax(axis=-1) == right, right))
    return {question: [np.concatenate(each) for each in zip(*parts, strict=True)] for question, parts in found.items()}


def _baselines(question: str, target: np.ndarray, rule: np.ndarray) -> dict[str, float]:
    """Return what needs no learning."""
    n_answers, share = QUESTIONS[question], float((rule == target).mean())
    surprise = -sum(p * math.log(p) for p in (share, 1 - share) if p > 0)
    return {
        f"{question}_chance_nats": math.log(n_answers),
        f"{question}_chance_accuracy": 1 / n_answers,
        f"{question}_commonest_accuracy": float(np.bincount(target).max() / len(target)),
        f"{question}_same_again_accuracy": share,
        f"{question}_same_again_nats": surprise + (1 - share) * math.log(n_answers - 1),
    }


def same_again(piece: PieceAttributes) -> dict[str, np.ndarray]:
    """Answer every question of a piece, by name, by the rule that things stay as they are.

    The pitch stays; nothing is re-articulated; a note will be as long as the voice's note before, at first a quarter;
    the next beat has the chord that this beat has shown so far. No answer looks beyond its step.
    """
    n_more = np.stack([_as_long_as_before(piece.grid, voice) for voice in range(piece.frames.shape[1])], axis=1)
    step, beat_step = np.arange(len(piece.frames)), harmony.chord_labels(piece.grid)["step"].astype(np.int64)
    began = beat_step[np.searchsorted(beat_step, step, side="right") - 1]
    so_far = harmony.label_spans(piece.grid, began, step + 1)
    return {
        "pitch": piece.frames,
        "onset": np.zeros_like(piece.onset),
        "duration": np.searchsorted(DURATION_STARTS, n_more, side="right") - 1,
        "chord": harmony.chord_classes(so_far),
    }


def _as_long_as_before(grid: voices.VoiceGrid, voice: int) -> np.ndarray:
    """Return for each step how many more the note would last if it were as long as the voice's note before."""
    step = np.arange(grid.n_steps)
    starts = np.flatnonzero(grid.is_onset[:, voice])
    ends = np.append(np.flatnonzero(grid.is_onset[:, voice] | (grid.pitch[:, voice] == voices.REST)), grid.n_steps)
    length = ends[np.searchsorted(ends, starts, side="right")] - starts
    note = np.searchsorted(starts, step, side="right") - 1  # -1 before the first note, where nothing is asked
    before = np.concatenate(([grid.steps_per_quarter] * 2, length))[note + 1]
    began = np.append(starts, 0)[note]
    return np.maximum(before - (step - began) - 1, 0)
