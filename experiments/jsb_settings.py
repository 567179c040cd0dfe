"""What the chorale benchmark trains: every setting of experiments/jsb.py.

The settings of frames differ from one, ``BASE``, in one thing each; their names say in which.
"""

from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from kept_runs import file_name
from token_gru import GruConfig, TokenGru

from mini_musessl.network import attention
from mini_musessl.network.frames import FrameConfig, FrameTransformer
from mini_musessl.network.transformer import MusicTransformer, TransformerConfig
from mini_musessl.training.loop import TrainingConfig

N_SYMBOLS = 47
MODELS = {FrameConfig: FrameTransformer, TransformerConfig: MusicTransformer, GruConfig: TokenGru}


@dataclass(frozen=True)
class Setting:
    """One model and how it is trained."""

    name: str  # of the row of the result
    group: str  # which table it belongs to
    model: FrameConfig | TransformerConfig | GruConfig
    training: TrainingConfig  # the seed is set for each run
    seeds: tuple[int, ...] = (0,)  # one run each
    data: str = "JSB"  # or "rebuilt", or "melody-disjoint"
    n_windows: int = 7  # in a batch
    n_steps: int = 192  # sixteenth notes in a window
    transposes: bool = True  # windows are moved to other keys
    keeps_ranges: bool = False  # only to those in which each voice stays in its range
    is_kept: bool = False  # the weights, after the run
    teachers: str = ""  # the setting whose kept networks, one per seed, give the targets; none: the score does
    n_sampled: int = 0  # pieces that the teachers write; then every other batch is drawn from them

    @property
    def reads_frames(self) -> bool:
        """Whether the network spends one position on a step."""
        return isinstance(self.model, FrameConfig)

    @property
    def file_name(self) -> str:
        """The name as a name of files."""
        return file_name(self.name)

    def make_model(self, seed: int) -> torch.nn.Module:
        """Make the network with fresh weights."""
        return MODELS[type(self.model)](self.model, seed=seed)

    def describe(self) -> dict[str, Any]:
        """Return everything that was chosen, as JSON can hold it."""
        about = asdict(self)
        for name in ("name", "group", "seeds", "is_kept"):
            del about[name]
        return about


def _train_for(n_updates: int, averaging: float = 0.998) -> TrainingConfig:
    """Schedules of several lengths, which differ in nothing else but the memory of the average."""
    return TrainingConfig(
        n_updates=n_updates,
        learning_rate=2e-3,
        n_warmup_updates=100,
        schedule="trapezoid",
        decay_share=0.8,
        weight_decay=0.1,
        betas=(0.9, 0.98),
        averaging=averaging,
        report_every=n_updates // 10,
        device="cpu",
        precision="auto",
    )


SHORT, LONG = _train_for(1500), _train_for(6000, 0.999)
BASE = FrameConfig(d_voice=320, dropout=0.15, hidden_share=0.2, context_length=192)

#: BASE with two things that it does not see by itself: repeats, and how two voices move together.
COPYING = replace(BASE, uses_copies=True, uses_counterpoint=True)


def _tokens(kind: str) -> Setting:
    """A token Transformer of the size of BASE's stack, told positions of one kind."""
    model = TransformerConfig(N_SYMBOLS, 384, 160, 3, 5, 480, dropout=0.1, positions=kind)
    seeds = (0, 1, 2) if kind == "rotary" else (0,)  # what these write is measured too
    is_kept = kind in ("relative", "rotary")  # what they do in repeats is measured
    name = f"token Transformer, positions: {kind}"
    return Setting(name, "positions", model, SHORT, seeds, n_windows=4, n_steps=96, is_kept=is_kept)


def _frames(name: str, model: FrameConfig, training: TrainingConfig = LONG, **others: Any) -> Setting:
    """A network over frames at full length."""
    return Setting(name, "frames", model, training, (0, 1, 2), **others)


def _taught(teachers: str, model: FrameConfig, n_sampled: int = 0) -> Setting:
    """A network that learns from others, whose probabilities it cannot memorise like symbols: less noise is needed.

    On pieces that the teachers write it needs none; then windows are moved only to keys that singers could sing in.
    """
    name = f"{teachers}, taught{' on samples' if n_sampled else ''}"
    dropout, hidden_share = (0.0, 0.0) if n_sampled else (0.05, 0.1)
    model, training = replace(model, dropout=dropout, hidden_share=hidden_share), _train_for(9000, 0.999)
    taught = {"teachers": teachers, "n_sampled": n_sampled, "keeps_ranges": n_sampled > 0}
    return _frames(name, model, training, is_kept=True, **taught)


def _idea(name: str, **changes: Any) -> Setting:
    """BASE without, or with more of, one idea."""
    model = {key: value for key, value in changes.items() if key in FrameConfig.__dataclass_fields__}
    others = {key: value for key, value in changes.items() if key not in model}
    return Setting(name, "ideas", replace(BASE, **model), **({"training": SHORT} | others))


SETTINGS = (
    _frames("frames", BASE, is_kept=True),
    _taught("frames", BASE),
    _frames("frames with copies", replace(BASE, uses_copies=True)),
    _frames("frames with counterpoint", replace(BASE, uses_counterpoint=True)),
    _frames("frames that copy", COPYING, is_kept=True),
    _taught("frames that copy", COPYING, n_sampled=1000),
    Setting("frames, short", "ideas", BASE, SHORT, (0, 1, 2)),
    _idea("no transposition", transposes=False),
    _idea("no hold lengths", uses_holds=False),
    _idea("no step index", cycle_length=1),
    _idea("no intervals", uses_intervals=False),
    _idea("no dropout", dropout=0.0),
    _idea("no hidden cells", hidden_share=0.0),
    _idea("no averaging", training=replace(SHORT, averaging=0.0)),
    _idea("half the width", d_model=80, d_feedforward=240, d_voice=160),
    _idea("windows of 64 steps", n_steps=64, n_windows=21, context_length=64),
    *(_tokens(kind) for kind in attention.POSITIONS),
    Setting("token GRU", "recurrent", GruConfig(), SHORT, (0, 1, 2), n_windows=4, n_steps=96, is_kept=True),
    Setting("frames, short, rebuilt", "splits", BASE, SHORT, (0, 1, 2), data="rebuilt"),
    Setting("frames, short, melody-disjoint", "splits", BASE, SHORT, (0, 1, 2), data="melody-disjoint"),
)
