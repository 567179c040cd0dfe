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

from mini_musessl.objectives.attributes.batches import AttributeBatch, attribute_batches
from mini_musessl.objectives.attributes.measures import measure_attributes, same_again
from mini_musessl.objectives.attributes.model import AttributeModel
from mini_musessl.objectives.attributes.objective import Attributes
from mini_musessl.objectives.attributes.targets import (
    DURATION_NAMES,
    HEADS,
    NO_TARGET,
    QUESTIONS,
    PieceAttributes,
    label_attributes,
    transpose_chords,
)

__all__ = [
    "DURATION_NAMES",
    "HEADS",
    "NO_TARGET",
    "QUESTIONS",
    "AttributeBatch",
    "AttributeModel",
    "Attributes",
    "PieceAttributes",
    "attribute_batches",
    "label_attributes",
    "measure_attributes",
    "same_again",
    "transpose_chords",
]
