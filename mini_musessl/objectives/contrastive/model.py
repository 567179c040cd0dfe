"""ContrastiveModel: an encoder and a head whose vectors are compared.

Chapter: 4d (contrast).
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from mini_musessl.encoder import EncoderConfig, FrameEncoder, draw_encoder_weights, pool
from mini_musessl.music import whole_number
from mini_musessl.objectives.devices import to_device_of
from mini_musessl.views import ViewPair


class ContrastiveModel(nn.Module):
    """An encoder, the mean over steps, and a small head whose vectors are compared.

    The head is thrown away after training: what comes before it keeps more of the music.

    Args:
        config: of the encoder.
        d_projection: width of the vectors that are compared.
        seed: of the first weights.

    Raises:
        ValueError: a width below 1.

    Example:
        >>> model = ContrastiveModel(EncoderConfig(d_model=16, d_feedforward=32), d_projection=8)
        >>> model(torch.zeros(5, 7, 4, dtype=torch.long)).shape
        torch.Size([5, 8])

    References:
        Chen et al. (2020), section 4.2: a head with one hidden layer; the layer before it describes better.

    Chapter: 4d.
    """

    def __init__(self, config: EncoderConfig, d_projection: int = 64, seed: int = 0) -> None:
        super().__init__()
        whole_number("d_projection", d_projection, lowest=1)
        self.config = config
        self.encoder = FrameEncoder(config, seed)
        with torch.random.fork_rng(devices=[]):
            layers = nn.Linear(config.d_model, config.d_model), nn.GELU(), nn.Linear(config.d_model, d_projection)
        self.head = nn.Sequential(*layers)
        # Not the seed of the encoder, which would give the head the same first numbers.
        draw_encoder_weights(self.head, 1, torch.Generator().manual_seed(-1 - seed))

    def forward(
        self,
        frames: Int[Tensor, "batch n_steps n_voices"],
        is_hidden: Bool[Tensor, "batch n_steps n_voices"] | None = None,
        is_padding: Bool[Tensor, "batch n_steps"] | None = None,
        first_step: Int[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, "batch d_projection"]:
        """Return the vector of each view, of any length.

        Args:
            frames: symbol ids.
            is_hidden: True where a cell must not be seen; None hides nothing.
            is_padding: True at steps that are not there; None where all are.
            first_step: index in its piece of each row's first frame; None for 0.

        Raises:
            ValueError: as of ``FrameEncoder``.
            TypeError: as of ``FrameEncoder``.
        """
        return self.head(pool(self.encoder(frames, is_hidden, is_padding, first_step), is_padding))


def project(model: nn.Module, pair: ViewPair) -> tuple[Tensor, Tensor]:
    """Run a model on all views of a batch at once.

    Args:
        model: a ContrastiveModel, or what is called like one.
        pair: views of windows.

    Returns:
        Its vectors (n_windows, d_projection) of the first views, and of the second.

    Chapter: 4d.
    """
    views = (pair.frames, pair.is_hidden, pair.is_padding, pair.start_step)
    vectors = model(*to_device_of(model, *(array.reshape(-1, *array.shape[2:]) for array in views)))
    return vectors[: len(pair.piece_index)], vectors[len(pair.piece_index) :]
