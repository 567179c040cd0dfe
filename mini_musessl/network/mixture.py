"""A mixture of a network's probabilities and of what guides to earlier places of the piece name: a copy mechanism.

Of a frame x with voices v, a network that says p and guides g that name frames c_g:

    P(x) = w_0 * prod_v p(x_v | past, voices above) + sum_g w_g * [x = c_g],    w_g / w_0 = exp(b + a * nats_g),

where the nats are those that the network gave to the steps of the match. Were the place given and not searched for,
a = 1 would be the rule of Bayes for two hypotheses, "it repeats" and "it is new". ``b``, a number for each kind of
match, and ``a`` are learned. Voice by voice, P is read off by the chain rule: a guide that the voices above contradict
has no share.

References: See, Liu and Manning, "Get To The Point: Summarization with Pointer-Generator Networks" (2017), section 2.2;
Vinyals, Fortunato and Jaitly, "Pointer Networks" (2015).

Chapter: 8b (the chorale benchmark).
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from mini_musessl.network.counterpoint import first_rows
from mini_musessl.repeats import N_KINDS, N_WHOLE, NOTHING, Copies

Scores = Float[Tensor, "batch n_steps n_scored vocabulary"]


class CopyMixture(nn.Module):
    """Mixes what guides name into the probabilities of a network.

    The guide ``line`` first gets a share of each voice's probabilities, sigmoid(b); the outcome counts as the network's
    own. Then the guides to whole frames get theirs.
    """

    START, SCALE = -4.0, 3.0  # b is START + SCALE * table: most kinds are seldom met, so they are read enlarged
    MOST_NATS, TINY = 20.0, 1e-30

    def __init__(self, n_voices: int) -> None:
        super().__init__()
        self.table = nn.Embedding((N_WHOLE + n_voices) * N_KINDS, 1)  # for each guide to frames, and each voice's line
        self.trust = nn.Parameter(torch.zeros(N_WHOLE))  # a is 1 + trust

    def _look_up(self, kind: Tensor, first: int) -> Tensor:
        """Return b of kinds along whose last axis each has a table of its own, ``first`` and those after it."""
        rows = kind + first_rows(first + kind.shape[-1], N_KINDS, kind.device)[first:]
        return self.START + self.SCALE * self.table.weight.take(rows).float()

    def weigh_lines(self, copies: Copies) -> tuple[Int[Tensor, "batch n_steps n_voices"], Tensor]:
        """Return what each voice's line names, and its share."""
        line = copies.copied[:, :, N_WHOLE]
        return line, self._look_up(copies.kind[:, :, N_WHOLE], N_WHOLE).sigmoid() * (line != NOTHING)

    def weigh_frames(
        self, copies: Copies, nats_before: Float[Tensor, "batch n_read"]
    ) -> tuple[Int[Tensor, "batch n_steps n_voices n_whole"], Float[Tensor, "batch n_steps n_whole"]]:
        """Return what the guides to whole frames name, and log(w_g / w_0).

        Args:
            nats_before: of all frames before each step, by the network's own probabilities; the last entries belong to
                the steps of ``copies``. Of a match, what lies before the first entry does not count.
        """
        copied = copies.copied[:, :, :N_WHOLE].transpose(2, 3)
        nats = nats_of_matches(nats_before, copies.length).clamp(max=self.MOST_NATS)
        log_odds = self._look_up(copies.kind[:, :, :N_WHOLE, 0], 0) + (1 + self.trust) * nats
        return copied, log_odds.masked_fill((copied == NOTHING).any(dim=2), -torch.inf)

    def mix_lines(self, scores: Scores, line: Int[Tensor, "batch n_steps n_scored"], share: Tensor) -> Scores:
        """Mix each voice's line in; return what counts as the network's own log-probabilities."""
        probs = (1 - share[..., None]) * scores.float().softmax(dim=-1)
        return probs.scatter_add(-1, line.clamp(min=0)[..., None], share[..., None]).clamp(min=self.TINY).log()

    def mix_frames(
        self,
        log_probs: Scores,
        copied: Int[Tensor, "batch n_steps n_voices n_whole"],
        log_odds: Float[Tensor, "batch n_steps n_whole"],
        frames: Int[Tensor, "batch n_steps n_known"],
    ) -> Scores:
        """Return log P of the first voices, each given those above it.

        Args:
            log_probs: the network's own.
            frames: at least the voices above the last one.
        """
        n_above = log_probs.shape[2] - 1
        above = frames[:, :, :n_above, None]
        nats_above = -log_probs[:, :, :-1].gather(-1, above).cumsum(dim=2)
        is_contradicted = (copied[:, :, :n_above] != above).cumsum(dim=2) > 0
        nats_above = nats_above.masked_fill(is_contradicted, -torch.inf)
        nats_above = nn.functional.pad(nats_above, (0, 0, 1, 0))
        shares = nn.functional.pad(log_odds[:, :, None] + nats_above, (0, 1)).softmax(dim=-1)
        probs = shares[..., -1:] * log_probs.exp()
        copied = copied[:, :, : n_above + 1].clamp(min=0)
        return probs.scatter_add(-1, copied, shares[..., :-1]).clamp(min=self.TINY).log()


def nats_of_matches(
    nats_before: Float[Tensor, "batch n_read"], length: Int[Tensor, "batch n_steps n_guides"]
) -> Float[Tensor, "batch n_steps n_guides"]:
    """Sum the nats of the last ``length`` frames before each step, or of as many as were read.

    >>> nats_of_matches(torch.tensor([[0.0, 1.0, 3.0]]), torch.tensor([[[1], [5]]])).flatten().tolist()
    [1.0, 3.0]
    """
    n_read, n_steps, n_guides = nats_before.shape[1], *length.shape[1:]
    total = nats_before[..., None].expand(-1, -1, n_guides)
    step = torch.arange(n_read - n_steps, n_read, device=length.device)[:, None]
    return total[:, -n_steps:] - total.gather(1, (step - length).clamp(min=0))
