"""What happened while training.

Chapter: 00 (used), 6a (built).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields


@dataclass
class History:
    """What happened while training, one entry a printed line.

    Attributes:
        update: how many updates had been made.
        train_nats: mean loss of the updates since the line before.
        valid_nats: what ``evaluate`` said; empty without it.
        learning_rate: step size of the latest update.
        n_targets: how many targets the model had learned from.
        seconds: time spent until then, evaluation included; two runs that differ in it alone are equal.

    Chapter: 6a.
    """

    update: list[int] = field(default_factory=list)
    train_nats: list[float] = field(default_factory=list)
    valid_nats: list[float] = field(default_factory=list)
    learning_rate: list[float] = field(default_factory=list)
    n_targets: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list, compare=False)

    def best_line(self) -> int:
        """Return the index of the entry with the lowest validation loss; the first of equals.

        Raises:
            ValueError: nothing was evaluated.
        """
        if not self.valid_nats:
            raise ValueError("The best entry is that of the lowest validation loss; found none. Train with `evaluate`.")
        return min(range(len(self.valid_nats)), key=self.valid_nats.__getitem__)

    def to_json(self) -> str:
        """Return the history as JSON, such as a file of results holds."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> History:
        """Read what ``to_json`` wrote.

        Args:
            text: JSON with a list for each attribute.

        Raises:
            ValueError: it is something else.

        Example:
            >>> History.from_json(History([0], [3.85]).to_json()).train_nats
            [3.85]
        """
        try:
            lists = json.loads(text)
        except ValueError:
            lists = None
        names = [item.name for item in fields(cls)]
        if not isinstance(lists, dict) or sorted(lists) != sorted(names):
            raise ValueError(f"A history in JSON must hold {', '.join(names)}; found {text[:60]!r}.")
        return cls(**lists)
