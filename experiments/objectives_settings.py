"""What the study of objectives trains: one encoder, one budget of updates, every objective of chapter 4."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from kept_runs import file_name
from torch import nn

from mini_musessl import corpora, masking, voices
from mini_musessl.batches import random_frame_batches
from mini_musessl.network.encoder import EncoderConfig, MaskedTransformer
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
)
from mini_musessl.objectives.masked import evaluate_masked, masked_batches, masked_loss
from mini_musessl.objectives.order import OrderModel, evaluate_order, order_batches, order_loss
from mini_musessl.tokenizers.voice_grid import encode_chorales
from mini_musessl.training.loop import TrainingConfig

Grids = Sequence[voices.VoiceGrid]

#: Every batch holds 1,536 steps, however they are cut: 16 windows of 96, 24 pairs of 32.
N_WINDOWS, N_STEPS, N_PAIRS, N_PAIR_STEPS = 16, 96, 24, 32
#: The context is the length of the training windows: further apart, positions mean nothing to the network.
ENCODER = EncoderConfig(context_length=N_STEPS)
TRAINING = TrainingConfig(
    n_updates=800,
    learning_rate=2e-3,
    n_warmup_updates=50,
    schedule="trapezoid",
    decay_share=0.5,
    weight_decay=0.1,
    betas=(0.9, 0.98),
    averaging=0.98,
    report_every=200,
    device="cpu",
    precision="auto",
)
LONG = replace(TRAINING, n_updates=8000, averaging=0.998, report_every=400)
HEADS = ("pitch", "rhythm", "harmony")
SEEDS = (0, 1, 2)


@dataclass(frozen=True)
class Way:
    """An objective as it is trained."""

    make_model: Callable[[int], nn.Module]  # from a seed; the network has an ``.encoder``
    make_batches: Callable[[Grids, np.random.Generator], Iterator[Any]]  # from training pieces, without end
    objective: Callable[[nn.Module, Any], tuple[Any, int]]  # of a batch: loss, number of targets
    measure: Callable[[nn.Module, Grids], dict[str, float]]  # what the objective itself reports on pieces


@dataclass(frozen=True)
class Setting:
    """One row of the study for each seed."""

    name: str  # of the row
    group: str  # which table it belongs to
    way: Way | None  # how the encoder is trained; None leaves it as it was drawn
    n_pieces: int | None = None  # to train on: the first of the training part in an order of its seed; None: all
    is_fine_tuned: bool = False  # copies of it also learn from labels
    training: TrainingConfig = TRAINING  # the seed is set for each run
    counterpoint: TrainingConfig | None = None  # of tables that are added to a masked network and then trained alone
    is_causal: bool = False  # of an untrained encoder: it sees no later step, as the baseline of the heads must

    @property
    def file_name(self) -> str:
        """The name as a name of files."""
        return file_name(self.name)


def _mask(hide: Callable) -> Way:
    """Name cells that one kind of hiding hides."""

    def make_batches(grids: Grids, generator: np.random.Generator) -> Iterator[Any]:
        windows = random_frame_batches(encode_chorales(grids), N_WINDOWS, N_STEPS, generator)
        return masked_batches(windows, hide, generator)

    def measure(model: nn.Module, grids: Grids) -> dict[str, float]:
        return evaluate_masked(model, encode_chorales(grids), np.random.default_rng(0))

    return Way(partial(MaskedTransformer, ENCODER), make_batches, masked_loss, measure)


def _mask_every_kind(n_first: int) -> Way:
    """Name single cells at first, from which a network learns soonest, then what every kind of hiding hides.

    The network is told the step in the bar: it is made for filling, and no probe asks it for the beat.
    """
    harmony = partial(masking.mask_voices, n_hidden=3, among=(1, 2, 3))
    every_kind = partial(masking.mask_mixed, kinds=(*masking.MASKERS.values(), harmony))

    def make_batches(grids: Grids, generator: np.random.Generator) -> Iterator[Any]:
        windows = random_frame_batches(encode_chorales(grids), N_WINDOWS, N_STEPS, generator)
        yield from masked_batches(itertools.islice(windows, n_first), masking.mask_cells, generator)
        yield from masked_batches(windows, every_kind, generator)

    model = partial(MaskedTransformer, replace(ENCODER, cycle_length=16))
    return Way(model, make_batches, masked_loss, _mask(masking.mask_cells).measure)


def _ask(heads: Sequence[str]) -> Way:
    """Answer questions about what comes next, from what came before."""

    def make_batches(grids: Grids, generator: np.random.Generator) -> Iterator[Any]:
        return attribute_batches([label_attributes(grid) for grid in grids], N_WINDOWS, N_STEPS, generator)

    return Way(
        partial(AttributeModel, replace(ENCODER, is_causal=True), tuple(heads)),
        make_batches,
        attribute_loss,
        evaluate_attributes,
    )


def _contrast(views: Views) -> Way:
    """Find the other view of the same window."""
    # Crops that share little were not learned from at all in a training as short as this.
    n_steps = N_PAIR_STEPS + 8 if views.crops else N_PAIR_STEPS

    def make_batches(grids: Grids, generator: np.random.Generator) -> Iterator[Any]:
        hymns = corpora.melody_groups(grids)
        return contrastive_batches(encode_chorales(grids), N_PAIRS, n_steps, generator, views, hymns)

    def measure(model: nn.Module, grids: Grids) -> dict[str, float]:
        hymns = corpora.melody_groups(grids)
        chance = np.random.default_rng(0)
        return evaluate_contrastive(model, encode_chorales(grids), chance, views, n_steps, hymns)

    def make_model(seed: int) -> nn.Module:
        return ContrastiveModel(ENCODER, seed=seed)

    return Way(make_model, make_batches, contrastive_loss, measure)


def _order() -> Way:
    """Say which of two windows comes first."""

    def make_batches(grids: Grids, generator: np.random.Generator) -> Iterator[Any]:
        return order_batches(encode_chorales(grids), N_PAIRS, N_PAIR_STEPS, generator)

    def measure(model: nn.Module, grids: Grids) -> dict[str, float]:
        return evaluate_order(model, encode_chorales(grids), np.random.default_rng(0), N_PAIR_STEPS)

    return Way(partial(OrderModel, ENCODER), make_batches, order_loss, measure)


def _heads() -> Iterator[Setting]:
    """All but the two of the seven sets of heads that stand among the objectives: pitch alone, and all three."""
    for chosen in range(2, 7):
        names = [head for place, head in enumerate(HEADS) if chosen >> place & 1]
        yield Setting(f"heads: {' + '.join(names)}", "heads", _ask(names))


def _views() -> Iterator[Setting]:
    """Sets of views."""
    for name, views in {
        "crop": Views(transposes=False, crops=True, drops_voices=False),
        "transposition": Views(transposes=True, crops=False, drops_voices=False),
        "voices": Views(transposes=False, crops=False, drops_voices=True),
        "crop + transposition": Views(transposes=True, crops=True, drops_voices=False),
    }.items():
        yield Setting(f"views: {name}", "views", _contrast(views))


ORDERLESS = _mask(masking.mask_orderless)
SETTINGS = (
    Setting("no training", "references", None, is_fine_tuned=True),
    Setting("no training, causal", "references", None, is_causal=True),
    Setting("masked, orderless", "objectives", ORDERLESS, is_fine_tuned=True),
    *(
        Setting(f"masked: {kind}", "objectives", _mask(masking.MASKERS[kind]))
        for kind in ("cells", "spans", "bars", "voices", "notes")
    ),
    Setting("next pitch", "objectives", _ask(("pitch",))),
    Setting("pitch, rhythm and harmony", "objectives", _ask(HEADS)),
    Setting("contrast: crop + voices", "objectives", _contrast(Views(transposes=False))),
    Setting("order", "objectives", _order()),
    *_heads(),
    *_views(),
    Setting("masked, every kind, long", "long", _mask_every_kind(1000), training=LONG),
    Setting(
        "masked, every kind, long, then counterpoint",
        "long",
        _mask_every_kind(1000),
        training=LONG,
        counterpoint=replace(TRAINING, n_updates=1000, learning_rate=1e-2, n_warmup_updates=20),
    ),
    *(Setting(f"masked, orderless, {n} pieces", "data", ORDERLESS, n_pieces=n) for n in (10, 30, 100)),
)
