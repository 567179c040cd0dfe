"""The attributes objective: pitch, rhythm and harmony of what comes next, as heads over one causal encoder.

Each head asks the description of a step, which knows the music up to that step, about the music after it:

* **pitch**: the symbol that each voice sings at the next step;
* **rhythm**: whether each voice strikes a note at the next step, and how much longer its present note lasts;
* **harmony**: the chord of the next beat, root and quality.

Pitch is asked as a symbol, not as an interval. From the present symbol either follows from the other, so both are the
same question; but nats of symbols stand on one scale with every other model of the book, and a head that names symbols
can sing. Windows are transposed while training, and the chords move with them, so no key is favoured.

Chapter: 4c (pitch, rhythm and harmony heads).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy.typing import ArrayLike
from torch import Tensor, nn
from torch.nn import functional

from mini_musessl import harmony, voices
from mini_musessl.batches import random_frame_batches
from mini_musessl.checks import check_some, whole_number
from mini_musessl.harmony import label_spans
from mini_musessl.network.encoder import CellHead, EncoderConfig, FrameEncoder
from mini_musessl.network.transformer import evaluation_mode, to_device_of
from mini_musessl.tokenizers.voice_grid import VoiceGridTokens

# --- What the heads must answer, computed from whole pieces

TOKENS = VoiceGridTokens()

#: Stands where there is nothing to answer.
NO_TARGET = -1
#: Classes of how many steps a note lasts after the present one: each begins here and ends before the next.
DURATION_STARTS = (0, 1, 2, 4, 8)
DURATION_NAMES = ("ends with this step", "1 step more", "2 or 3 more", "4 to 7 more", "8 or more")
#: Every question, and how many answers it has.
QUESTIONS: dict[str, int] = {
    "pitch": TOKENS.vocabulary.size,
    "onset": 2,
    "duration": len(DURATION_STARTS),
    "chord": harmony.N_CHORD_CLASSES,
}
#: The heads, and which questions each answers.
HEADS: dict[str, tuple[str, ...]] = {"pitch": ("pitch",), "rhythm": ("onset", "duration"), "harmony": ("chord",)}


@dataclass(frozen=True, eq=False)
class PieceAttributes:
    """A piece, and the right answers at each of its steps.

    What is asked at a step lies after it; at the last step nothing is asked.

    Attributes:
        grid: the piece.
        frames: int64 (n_steps, 4), its symbol ids.
        pitch: int64 (n_steps, 4), the symbol of each voice at the next step.
        onset: int64 (n_steps, 4), 1 where the voice strikes a note at the next step; 0 where it holds on or rests.
        duration: int64 (n_steps, 4), class of how many steps the note of this step lasts after it, as in
            ``DURATION_NAMES``; ``NO_TARGET`` on a rest.
        chord: int64 (n_steps,), the chord of the next beat, numbered as by ``harmony.chord_classes``; ``NO_TARGET`` in
            the last beat.

    Chapter: 4c.
    """

    grid: voices.VoiceGrid
    frames: Int[np.ndarray, "n_steps 4"]
    pitch: Int[np.ndarray, "n_steps 4"]
    onset: Int[np.ndarray, "n_steps 4"]
    duration: Int[np.ndarray, "n_steps 4"]
    chord: Int[np.ndarray, " n_steps"]


def label_attributes(grid: voices.VoiceGrid) -> PieceAttributes:
    """Compute what the heads must answer at each step of a piece.

    Args:
        grid: the whole piece, four voices, sixteenths; its onsets and bars are needed.

    Raises:
        TypeError: no grid, such as ids, which do not say where a note is struck again.
        ValueError: another grid or number of voices, a pitch outside 36..81, or no step.

    Example:
        >>> grid = voices.from_pitches([[72, 67, 64, 48]] * 4 + [[74, 67, 65, 47]] * 4)
        >>> piece = label_attributes(grid)
        >>> piece.onset[3].tolist(), piece.duration[:, 0].tolist(), harmony.chord_class_names()[piece.chord[0]]
        ([1, 0, 1, 1], [2, 2, 1, 0, 2, 2, 1, -1], 'G7')

    Chapter: 4c.
    """
    if not isinstance(grid, voices.VoiceGrid):
        raise TypeError(
            "Rhythm and harmony are read from the onsets and bars of a voices.VoiceGrid; found "
            f"{type(grid).__name__}. Give the grids of the corpus, before they are encoded."
        )
    frames = TOKENS.encode(grid).astype(np.int64).reshape(-1, 4)
    if len(frames) == 0:
        raise ValueError("A piece needs at least one step; found none. Is it cut to nothing?")
    n_more = _note_stops(grid) - np.arange(len(frames))[:, None] - 1
    duration = np.searchsorted(DURATION_STARTS, n_more, side="right") - 1
    targets = {
        "pitch": _one_step_later(frames),
        "onset": _one_step_later(grid.is_onset.astype(np.int64)),
        "duration": np.where(frames == 0, NO_TARGET, duration),
        "chord": _next_chords(grid),
    }
    for answers in targets.values():
        answers[-1] = NO_TARGET
    return PieceAttributes(grid, frames, **targets)


def label_pieces(pieces: Sequence[voices.VoiceGrid | PieceAttributes]) -> list[PieceAttributes]:
    """Label those pieces that are not labelled yet.

    Args:
        pieces: grids, or what ``label_attributes`` made of them; at least one.

    Raises:
        ValueError: there are none, and as ``label_attributes``.
        TypeError: as ``label_attributes``.
    """
    if isinstance(pieces, (voices.VoiceGrid, PieceAttributes)):
        raise TypeError(f"Pieces come in a list; found one {type(pieces).__name__}. Put it into a list.")
    if not len(pieces):
        raise ValueError("At least one piece is needed; found none. Is the split empty?")
    return [piece if isinstance(piece, PieceAttributes) else label_attributes(piece) for piece in pieces]


def transpose_chords(chords: ArrayLike, semitones: ArrayLike) -> Int[np.ndarray, "*shape"]:
    """Move the roots of numbered chords; their qualities stay.

    Args:
        chords: classes as of ``harmony.chord_classes``. 0, which is no chord, and ``NO_TARGET`` do not move.
        semitones: how far up; one number, or as many as suit the shape of the chords.

    Returns:
        int64, the same shape.

    Example:
        >>> transpose_chords([1, 24, 0, -1], 2).tolist()  # C, Bm, none, not asked
        [3, 14, 0, -1]

    Chapter: 4c.
    """
    chords = np.asarray(chords, np.int64)
    quality, root = np.divmod(chords - 1, 12)
    return np.where(chords > 0, 1 + 12 * quality + (root + np.asarray(semitones)) % 12, chords)


def beat_starts(grid: voices.VoiceGrid) -> tuple[np.ndarray, np.ndarray]:
    """Return where the beats begin, and the class of the chord of each.

    Args:
        grid: the whole piece.

    Returns:
        Two int64 arrays (n_beats,).
    """
    chords = harmony.chord_labels(grid)
    return chords["step"].astype(np.int64), harmony.chord_classes(chords)


def _one_step_later(answers: np.ndarray) -> np.ndarray:
    """Give each step what stands at the next; the last one is overwritten."""
    return np.roll(answers, -1, axis=0)


def _note_stops(grid: voices.VoiceGrid) -> np.ndarray:
    """Return for each cell the first step after it at which its note sounds no more, (n_steps, n_voices)."""
    n_steps = grid.n_steps
    is_new = grid.is_onset | (grid.pitch == voices.REST)
    new_step = np.where(is_new, np.arange(n_steps)[:, None], n_steps)
    from_here_on = np.minimum.accumulate(new_step[::-1], axis=0)[::-1]
    return np.concatenate((from_here_on[1:], np.full((1, grid.n_voices), n_steps)))


def _next_chords(grid: voices.VoiceGrid) -> np.ndarray:
    """Return for each step the class of the chord of the first beat that begins after it."""
    start_step, chords = beat_starts(grid)
    following = np.searchsorted(start_step, np.arange(grid.n_steps), side="right")
    return np.append(chords, NO_TARGET)[following]


# --- Windows of frames with the answers that belong to their steps


@dataclass(frozen=True)
class AttributeBatch:
    """Stretches of pieces side by side, and what is asked at each of their steps.

    Answers are numbered as in ``PieceAttributes``; ``NO_TARGET`` stands where nothing is asked. Those of the last step
    of a window are of the music that follows it.

    Attributes:
        frames: int64 (n_windows, n_steps, 4), the ids of every step, soprano first; 0 on padding.
        is_padding: bool (n_windows, n_steps), True beyond the end of the piece.
        start_step: int64 (n_windows,), index in the piece of each window's first step.
        piece_index: int64 (n_windows,), which piece each window was cut from.
        pitch: int64 (n_windows, n_steps, 4), the symbol of the next step, transposed like the window.
        onset: int64 (n_windows, n_steps, 4), whether the voice strikes a note at the next step.
        duration: int64 (n_windows, n_steps, 4), class of how much longer the present note lasts.
        chord: int64 (n_windows, n_steps), the chord of the next beat, transposed like the window.

    Chapter: 4c.
    """

    frames: Int[np.ndarray, "n_windows n_steps 4"]
    is_padding: Bool[np.ndarray, "n_windows n_steps"]
    start_step: Int[np.ndarray, " n_windows"]
    piece_index: Int[np.ndarray, " n_windows"]
    pitch: Int[np.ndarray, "n_windows n_steps 4"]
    onset: Int[np.ndarray, "n_windows n_steps 4"]
    duration: Int[np.ndarray, "n_windows n_steps 4"]
    chord: Int[np.ndarray, "n_windows n_steps"]


def attribute_batches(
    pieces: Sequence[voices.VoiceGrid | PieceAttributes],
    n_windows: int,
    n_steps: int,
    generator: np.random.Generator,
    semitones: range = range(-5, 7),
) -> Iterator[AttributeBatch]:
    """Draw batches of stretches with their answers, without end.

    Windows are drawn and transposed as by ``windows.random_frame_batches``, one step longer than asked; the step too
    many is not shown, only asked for. Answers are computed once a piece; those that name pitches or roots are moved
    with their window.

    Args:
        pieces: whole pieces, at least one.
        n_windows: windows in a batch.
        n_steps: steps in a window.
        generator: source of chance; the same state gives the same batches.
        semitones: intervals to draw from; ``range(1)`` for no transposition.

    Returns:
        An iterator that never ends.

    Raises:
        ValueError: no pieces, another grid, or a count that is not positive.
        TypeError: pieces without onsets, such as ids; no generator; or a count that is not a whole number.

    Example:
        >>> grid = voices.from_pitches([[72, 67, 64, 48]] * 4 + [[74, 67, 65, 47]] * 16)
        >>> batch = next(attribute_batches([grid], 2, 16, np.random.default_rng(0)))
        >>> batch.frames.shape, batch.pitch.shape, batch.chord.shape
        ((2, 16, 4), (2, 16, 4), (2, 16))

    Chapter: 4c.
    """
    labelled = label_pieces(pieces)
    whole_number("n_steps", n_steps, lowest=1)
    drawn = random_frame_batches([piece.frames for piece in labelled], n_windows, n_steps + 1, generator, semitones)
    return _with_answers(drawn, PiecesEndToEnd(labelled), n_steps)


def _with_answers(drawn: Iterator, pieces: PiecesEndToEnd, n_steps: int) -> Iterator[AttributeBatch]:
    """Cut again what was drawn, with its answers."""
    for windows in drawn:
        as_written = pieces.cut(windows.piece_index, windows.start_step, n_steps + 1).frames
        moved = (windows.frames - as_written).reshape(len(as_written), -1)  # rests and padding do not move
        semitones = np.where(moved.max(axis=1) > 0, moved.max(axis=1), moved.min(axis=1))
        yield pieces.cut(windows.piece_index, windows.start_step, n_steps, semitones)


class PiecesEndToEnd:
    """Labelled pieces in one row, from which windows are cut.

    Args:
        pieces: at least one.
    """

    def __init__(self, pieces: Sequence[PieceAttributes]) -> None:
        self.n_steps = np.array([len(piece.frames) for piece in pieces])
        self._first_step = np.cumsum(self.n_steps) - self.n_steps
        self._rows = {
            name: np.concatenate([getattr(piece, name) for piece in pieces]) for name in ("frames", *QUESTIONS)
        }

    def cut(
        self,
        piece_index: Int[np.ndarray, " n_windows"],
        start_step: Int[np.ndarray, " n_windows"],
        n_steps: int,
        semitones: Int[np.ndarray, " n_windows"] | int = 0,
    ) -> AttributeBatch:
        """Cut windows, each from its piece, and transpose them.

        Args:
            piece_index: which piece.
            start_step: where in the piece.
            n_steps: length of all windows; beyond the end of a piece is padding.
            semitones: how far up, one for all or one a window.
        """
        step = start_step[:, None] + np.arange(n_steps)
        is_padding = step >= self.n_steps[piece_index][:, None]
        place = np.minimum(self._first_step[piece_index][:, None] + step, self.n_steps.sum() - 1)
        cut = {name: rows[place] for name, rows in self._rows.items()}
        for name, cells in cut.items():
            cells[is_padding] = 0 if name == "frames" else NO_TARGET
        shift = np.broadcast_to(semitones, start_step.shape)[:, None]
        for name in ("frames", "pitch"):
            cut[name] += shift[..., None] * (cut[name] > 0)
        cut["chord"] = transpose_chords(cut["chord"], shift)
        return AttributeBatch(is_padding=is_padding, start_step=start_step, piece_index=piece_index, **cut)


# --- The encoder with its heads


class AttributeModel(nn.Module):
    """A causal encoder, and a head for each of pitch, rhythm and harmony.

    The heads answer side by side: what the voices do together, they do not say. The encoder's weights depend on the
    seed and not on the heads, so that models with different heads begin alike.

    Args:
        config: sizes of the encoder, which must be causal; ``d_voice`` is the width of the heads.
        heads: which there are, of "pitch", "rhythm" and "harmony".
        seed: of the first weights.

    Raises:
        ValueError: an encoder that sees what it is asked for, one of other symbols, or an unknown head.

    Example:
        >>> import torch
        >>> model = AttributeModel(EncoderConfig(d_model=16, d_feedforward=32, d_voice=24, is_causal=True))
        >>> {question: tuple(scores.shape) for question, scores in model(torch.zeros(2, 7, 4).long()).items()}
        {'pitch': (2, 7, 4, 47), 'onset': (2, 7, 4, 2), 'duration': (2, 7, 4, 5), 'chord': (2, 7, 109)}

    Chapter: 4c.
    """

    def __init__(self, config: EncoderConfig, heads: Iterable[str] = tuple(HEADS), seed: int = 0) -> None:
        super().__init__()
        if not config.is_causal:
            raise ValueError(
                "The heads ask what comes after each step, so the encoder must be causal; found is_causal=False, with "
                "which the answer stands in sight. Use EncoderConfig(is_causal=True)."
            )
        if (config.n_voices, config.vocabulary_size) != (4, QUESTIONS["pitch"]):
            raise ValueError(
                f"The heads ask about four voices of {QUESTIONS['pitch']} symbols; found n_voices={config.n_voices} "
                f"and vocabulary_size={config.vocabulary_size}."
            )
        wanted = check_heads(heads)
        self.config = config
        self.encoder = FrameEncoder(config, seed)
        self.heads = nn.ModuleDict(
            {
                name: _make_head(config, name, seed=seed + 1000 * place)
                for place, name in enumerate(HEADS)
                if name in wanted
            }
        )

    def forward(
        self,
        frames: Int[Tensor, "batch n_steps n_voices"],
        is_padding: Bool[Tensor, "batch n_steps"] | None = None,
        first_step: Int[Tensor, " batch"] | None = None,
    ) -> dict[str, Tensor]:
        """Score every answer to every question at each step.

        Args:
            frames: symbol ids, 0..46.
            is_padding: True at steps that are not there; None where all are.
            first_step: index in its piece of the first frame of each row; None for 0.

        Returns:
            Logits by question: (batch, n_steps, 4, n_answers) for pitch, onset and duration, (batch, n_steps,
            n_answers) for the chord. Those at a step depend on the frames up to it.

        Raises:
            ValueError: as of ``FrameEncoder``.
            TypeError: as of ``FrameEncoder``.
        """
        return self.answer(self.encoder(frames, None, is_padding, first_step), self.heads)

    def answer(
        self, features: Float[Tensor, "batch n_steps d_model"], heads: Iterable[str] = tuple(HEADS)
    ) -> dict[str, Tensor]:
        """Ask some heads about descriptions of steps.

        Args:
            features: from the encoder.
            heads: which to ask.

        Returns:
            Logits by question, as of ``forward``.

        Raises:
            ValueError: an unknown head, or one that this model does not have.
        """
        answers: dict[str, Tensor] = {}
        for name in check_heads(heads):
            if name not in self.heads:
                raise ValueError(
                    f"This model has the heads {', '.join(self.heads)}; found {name!r} asked. Make it with that head, "
                    "or give it the weight 0."
                )
            scores = self.heads[name](features)
            questions = HEADS[name]
            parts = scores.split([QUESTIONS[question] for question in questions], dim=-1)
            answers.update(zip(questions, parts, strict=True))
        if "chord" in answers:
            answers["chord"] = answers["chord"][:, :, 0]
        return answers


def check_heads(heads: Iterable[str]) -> list[str]:
    """Return names of heads in their order, or refuse them.

    Args:
        heads: of "pitch", "rhythm" and "harmony", at least one.

    Raises:
        ValueError: an unknown name, or none.
    """
    wanted = [heads] if isinstance(heads, str) else list(heads)
    for name in wanted:
        if name not in HEADS:
            raise ValueError(f"A head must be one of {', '.join(HEADS)}; found {name!r}.")
    if not wanted:
        raise ValueError(f"At least one head is needed, of {', '.join(HEADS)}; found none.")
    return [name for name in HEADS if name in wanted]


def _make_head(config: EncoderConfig, name: str, seed: int) -> CellHead:
    """Make a head: one cell a voice, or, for the harmony, one for all."""
    n_answers = sum(QUESTIONS[question] for question in HEADS[name])
    n_cells = 1 if name == "harmony" else config.n_voices
    return CellHead(replace(config, n_voices=n_cells, vocabulary_size=n_answers), seed)


# --- The loss: each head's nats, weighted


@dataclass(frozen=True)
class Attributes:
    """The objective of pitch, rhythm and harmony, with a weight for each: ``train(..., objective=Attributes())``.

    The loss is the weighted mean of the losses of the heads; that of a head is the mean over its questions; that of a
    question is the mean of minus the logarithm of the probability of its answers. With one head alone the loss is its
    own nats. A head of weight 0 is not asked at all and gets no gradient.

    Attributes:
        weights: by head, 0 or more; a head that is not named has 0.

    Raises:
        ValueError: an unknown head, a weight below 0 or not finite, or none above 0.

    Example:
        >>> Attributes({"pitch": 1, "harmony": 0.5}).weights
        {'pitch': 1.0, 'harmony': 0.5}

    Chapter: 4c.
    """

    weights: Mapping[str, float] = field(default_factory=lambda: dict.fromkeys(HEADS, 1.0))

    def __post_init__(self) -> None:
        weights = {name: float(self.weights[name]) for name in check_heads(self.weights)}
        for name, weight in weights.items():
            if not 0 <= weight < math.inf:
                raise ValueError(f"The weight of a head must be a finite number, 0 or more; {name} has {weight}.")
        if not any(weights.values()):
            raise ValueError(f"At least one head must have a weight above 0; found {weights}.")
        object.__setattr__(self, "weights", weights)

    def __call__(self, model: AttributeModel, batch: AttributeBatch) -> tuple[Float[Tensor, ""], int]:
        """Run a model on a batch and measure the surprise of its heads.

        A head for which the batch holds no target at all is left out of the mean.

        Args:
            model: has at least the heads whose weight is above 0.
            batch: from ``attribute_batches``.

        Returns:
            The loss in nats, with its gradient, and the number of steps at which something is asked.

        Raises:
            ValueError: a head that the model lacks, or a batch in which nothing is asked.
            TypeError: a batch of another kind.
        """
        if not isinstance(batch, AttributeBatch):
            raise TypeError(
                "Attributes needs an AttributeBatch, such as objectives.attributes.attribute_batches draws; found "
                f"{type(batch).__name__}."
            )
        n_steps = int((batch.pitch != NO_TARGET).any(axis=-1).sum())
        check_some(n_steps)
        asked = {name: weight for name, weight in self.weights.items() if weight and _targets(batch, name)}
        check_some(len(asked))
        nats = head_nats(model, batch, asked)
        total = sum(asked.values())
        return sum(weight / total * nats[name] for name, weight in asked.items()), n_steps


def head_nats(model: AttributeModel, batch: AttributeBatch, heads: Mapping[str, float]) -> dict[str, Tensor]:
    """Return the loss of each head that is asked, in nats, with its gradient.

    Args:
        model: has these heads.
        batch: holds at least one target for each.
        heads: their names.
    """
    frames, is_padding, first_step = to_device_of(model, batch.frames, batch.is_padding, batch.start_step)
    features = model.encoder(frames, None, is_padding if batch.is_padding.any() else None, first_step)
    answers = model.answer(features, heads)
    nats = {}
    for name in heads:
        targets = _targets(batch, name)
        losses = [
            functional.cross_entropy(
                answers[question].flatten(0, -2).float(), *to_device_of(model, answer.ravel()), ignore_index=NO_TARGET
            )
            for question, answer in targets.items()
        ]
        nats[name] = sum(losses) / len(losses)
    return nats


def _targets(batch: AttributeBatch, head: str) -> dict[str, np.ndarray]:
    """Return the targets of those questions of a head that the batch asks at all."""
    found = {question: getattr(batch, question) for question in HEADS[head]}
    return {question: answer for question, answer in found.items() if (answer != NO_TARGET).any()}


# --- What a model of pitch, rhythm and harmony knows, beside chance and rules that need no learning


def evaluate_attributes(
    model: AttributeModel, pieces: Sequence[voices.VoiceGrid | PieceAttributes], n_windows: int = 16
) -> dict[str, float]:
    """Measure each head on whole pieces, every step once, beside what needs no learning.

    Pieces longer than the context are read in windows that overlap: at least half a context stands before each step
    that counts, the beginnings of pieces apart.

    Args:
        model: asked in evaluation mode, and left in the mode that it was in.
        pieces: at least one.
        n_windows: windows the network reads at once; changes nothing but speed.

    Returns:
        For each question QUESTION ("pitch", "onset", "duration", "chord") of the model's heads:

        * ``QUESTION_nats``: mean of minus the logarithm of the probability of the right answer;
        * ``QUESTION_accuracy``: share of the answers whose likeliest was right;
        * ``QUESTION_chance_nats``, ``QUESTION_chance_accuracy``: of all answers alike;
        * ``QUESTION_commonest_accuracy``: of always giving the commonest right answer of these pieces;
        * ``QUESTION_same_again_accuracy``: of the rule of ``same_again``;
        * ``QUESTION_same_again_nats``: of that rule, said with the probability that it deserves on these pieces, the
          other answers alike;

        and ``pitch_moves_accuracy``, the accuracy at cells where the next symbol is another, and ``n_steps``, how many
        steps were asked.

    Raises:
        ValueError: no pieces, another grid, or a context of one step for longer pieces.
        TypeError: pieces without onsets, such as ids.
        FloatingPointError: the scores of the network are not numbers.

    Chapter: 4c.
    """
    whole_number("n_windows", n_windows, lowest=1)
    labelled = label_pieces(pieces)
    scores = _score(model, labelled, n_windows)
    found: dict[str, float] = {"n_steps": float(sum(len(piece.frames) - 1 for piece in labelled))}
    rules = [same_again(piece) for piece in labelled]
    for question, (nats, is_right, target) in scores.items():
        if len(target) == 0:
            raise ValueError(f"These pieces ask nothing of {question}; found no target. Are they a beat or less long?")
        rule = np.concatenate(
            [answers[question][getattr(p, question) != NO_TARGET] for p, answers in zip(labelled, rules, strict=True)]
        )
        found[f"{question}_nats"], found[f"{question}_accuracy"] = float(nats.mean()), float(is_right.mean())
        found |= _marks(question, target, rule)
        if question == "pitch" and (rule != target).any():
            found["pitch_moves_accuracy"] = float(is_right[rule != target].mean())
    return found


def same_again(piece: PieceAttributes) -> dict[str, np.ndarray]:
    """Answer every question of a piece by the rule that things stay as they are.

    The voice sings on what it sings; it strikes nothing; its note will be as long as its note before, at first a
    quarter; the next beat has the chord that this beat has shown so far. No answer looks beyond its step.

    Args:
        piece: from ``label_attributes``.

    Returns:
        int64 of the shape of its targets, by question.

    Chapter: 4c.
    """
    n_more = np.stack([_as_long_as_before(piece.grid, voice) for voice in range(piece.frames.shape[1])], axis=1)
    return {
        "pitch": piece.frames,
        "onset": np.zeros_like(piece.onset),
        "duration": np.searchsorted(DURATION_STARTS, n_more, side="right") - 1,
        "chord": _chord_so_far(piece.grid),
    }


def _marks(question: str, target: np.ndarray, rule: np.ndarray) -> dict[str, float]:
    """Return what needs no learning."""
    n_answers, share = QUESTIONS[question], float((rule == target).mean())
    return {
        f"{question}_chance_nats": math.log(n_answers),
        f"{question}_chance_accuracy": 1 / n_answers,
        f"{question}_commonest_accuracy": float(np.bincount(target).max() / len(target)),
        f"{question}_same_again_accuracy": share,
        f"{question}_same_again_nats": _surprise(share) + _surprise(1 - share) + (1 - share) * math.log(n_answers - 1),
    }


def _surprise(share: float) -> float:
    """Return minus a share times its logarithm."""
    return -share * math.log(share) if share > 0 else 0.0


@torch.no_grad()
def _score(
    model: AttributeModel, pieces: list[PieceAttributes], n_windows: int
) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Return the nats, whether the likeliest was right, and the target, of every answer in the order of the pieces."""
    together = PiecesEndToEnd(pieces)
    windows = [(p, *cut) for p, piece in enumerate(pieces) for cut in _cuts(len(piece.frames), model.config)]
    found: dict[str, list[tuple[np.ndarray, ...]]] = {}
    for first in range(0, len(windows), n_windows):
        piece_index, start, first_counted, stop = np.array(windows[first : first + n_windows]).T
        batch = together.cut(piece_index, start, int((stop - start).max()))
        step = start[:, None] + np.arange(batch.frames.shape[1])
        is_counted = (step >= first_counted[:, None]) & (step < stop[:, None])
        with evaluation_mode(model):
            answers = model(*to_device_of(model, batch.frames, batch.is_padding, batch.start_step))
        for question, logits in answers.items():
            target = getattr(batch, question)
            is_asked = (target != NO_TARGET) & (is_counted if question == "chord" else is_counted[..., None])
            log_probs = logits.float().log_softmax(-1).cpu().numpy()[is_asked]
            right = target[is_asked]
            nats = -log_probs[np.arange(len(right)), right].astype(np.float64)
            found.setdefault(question, []).append((nats, log_probs.argmax(axis=-1) == right, right))
    scores = {question: tuple(map(np.concatenate, zip(*parts, strict=True))) for question, parts in found.items()}
    if not all(np.isfinite(nats).all() for nats, _, _ in scores.values()):
        raise FloatingPointError(
            "The scores of a network must be finite numbers; found some that are not. Did training diverge? Train "
            "again with a smaller learning_rate."
        )
    return scores


def _cuts(n_steps: int, config: object) -> list[tuple[int, int, int]]:
    """Cut a piece into windows, each ``(start, first step that counts, stop)``, with half a context of history."""
    context_length = config.context_length
    if n_steps > context_length == 1:
        raise ValueError("Windows with history need a context of at least 2 steps; found 1.")
    n_new = max(1, context_length // 2)
    later = range(context_length, n_steps, n_new)
    first = (0, 0, min(n_steps, context_length))
    return [first, *((step - context_length + n_new, step, min(step + n_new, n_steps)) for step in later)]


def _as_long_as_before(grid: voices.VoiceGrid, voice: int) -> np.ndarray:
    """Return for each step how many more the note would last if it were as long as the voice's note before."""
    step = np.arange(grid.n_steps)
    is_new = grid.is_onset[:, voice] | (grid.pitch[:, voice] == voices.REST)
    struck = np.flatnonzero(grid.is_onset[:, voice])
    ends = np.append(np.flatnonzero(is_new), grid.n_steps)
    length = ends[np.searchsorted(ends, struck, side="right")] - struck
    note = np.searchsorted(struck, step, side="right") - 1  # -1 before the first note, where nothing is asked
    before = np.concatenate(([grid.steps_per_quarter] * 2, length))[note + 1]
    began = np.append(struck, 0)[note]
    return np.maximum(before - (step - began) - 1, 0)


def _chord_so_far(grid: voices.VoiceGrid) -> np.ndarray:
    """Return for each step the class of the chord of its beat, from the beat's first step up to this one."""
    start_step, _ = beat_starts(grid)
    step = np.arange(grid.n_steps)
    began = start_step[np.searchsorted(start_step, step, side="right") - 1]
    return harmony.chord_classes(label_spans(grid, began, step + 1))
