"""The encoder with its heads.

Chapter: 4c.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from mini_musessl.encoder import EncoderConfig, FrameEncoder
from mini_musessl.masked_transformer import CellHead
from mini_musessl.objectives.attributes.targets import HEADS, QUESTIONS


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
