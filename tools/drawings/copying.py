"""What is the same in every key, and how far ahead of its like a canary is (notebook 9d)."""

import numpy as np

from drawings.music import split, system
from drawings.pen import ORANGE, SKY, VOICES, Drawing
from mini_musessl import voices
from mini_musessl.evaluation import copying
from mini_musessl.plotting import pitch_name

#: Two places in training pieces, of two hymns, with the same bar in two keys: Bach-Werke-Verzeichnis, first step.
SAME_BAR = (("248.33-3", 88), ("397", 104))


def key() -> Drawing:
    """One bar in two keys becomes one table when each pitch is counted from the lowest."""
    pieces = {piece.name: piece for piece in split()["train"]}
    bars = [voices.cut(pieces[f"bwv{bwv}"], step, step + 16) for bwv, step in SAME_BAR]
    keys = [copying.moving_windows(bar, 16)[0] for bar in bars]
    if keys[0] != keys[1]:
        raise ValueError("The two bars must be the same music.")
    lowest = [int(bar.pitch.min()) for bar in bars]
    pen = Drawing(
        "One bar in two keys has one window key",
        f"""On the left a bar of four voices from BWV {SAME_BAR[0][0]}, its pitches as numbers once per quarter; on the
        right the same music from BWV {SAME_BAR[1][0]}, in another key, with other numbers. The lowest pitch is
        {lowest[0]} on the left and {lowest[1]} on the right. Subtract it, and both become one table, whose lowest
        number is 0: the window key.""",
        422,
    )
    for column, (bar, (bwv, _)) in enumerate(zip(bars, SAME_BAR, strict=True)):
        x = 40 + 320 * column
        pen.text(x, 28, f"BWV {bwv}", 15, "start", kind="strong")
        system(pen, x, 40, bar, step=15, lane=24)
        _numbers(pen, x, 156, bar.pitch[::4].T)
        pen.text(x + 120, 286, f"lowest: {lowest[column]}, {pitch_name(lowest[column], bar.fifths)}", 14)
        pen.arrow((x + 120, 292), (330 + (-60 if column == 0 else 60), 312), width=2)
        pen.text(x + (40 if column == 0 else 200), 308, f"− {lowest[column]}", 14, kind="strong")
    _numbers(pen, 210, 316, bars[0].pitch[::4].T - lowest[0], size=23)
    pen.text(470, 366, "the window key of both", 14, "start", kind="strong")
    for voice in range(4):
        pen.text(32, 40 + 26 * voice + 17, "SATB"[voice], 13, "end", kind="soft")
        pen.text(32, 156 + 28 * voice + 19, "SATB"[voice], 13, "end", kind="soft")
    return pen


def _numbers(pen: Drawing, x: float, y: float, table: np.ndarray, size: float = 28) -> None:
    """Draw a table of pitches with a row for each voice."""
    for row, (numbers, colour) in enumerate(zip(table.tolist(), VOICES, strict=True)):
        for column, value in enumerate(numbers):
            at = (x + 60 * column + 1, y + size * row + 1, 58, size - 2)
            pen.label(*at, str(value), colour=colour, strength=0.25, corner=3)


def exposure() -> Drawing:
    """Sixteen melodies in the order of their loss; the canary is second, and three halvings reach it."""
    rng = np.random.default_rng(3)
    losses = np.sort(rng.normal(26, 4, 15))
    canary = (losses[0] + losses[1]) / 2
    row = [*losses[:1], canary, *losses[1:]]
    pen = Drawing(
        "Exposure counts halvings",
        """Sixteen melodies made by one rule stand in the order of their loss, as bars. The canary, which was in the
        training set, has the second lowest. Brackets halve the row: of 16 keep 8, of 8 keep 4, of 4 keep 2. After
        three halvings the canary is the last that is kept: its exposure is log 16 minus log 2, to base 2, 3 bits.""",
        330,
    )
    left, wide, floor = 56, 36, 190
    pen.text(left, 26, "loss", 13, "start", kind="soft")
    for rank, loss in enumerate(row, 1):
        tall, x = 4.2 * float(loss), left + wide * (rank - 1)
        is_canary = rank == 2
        look = {"colour": ORANGE, "strength": 0.9} if is_canary else {"colour": SKY, "strength": 0.35}
        pen.box(x + 3, floor - tall, wide - 6, tall, **look)
        pen.text(x + wide / 2, floor + 18, str(rank), 13, kind="strong" if is_canary else "soft")
    pen.text(left - 8, floor + 18, "rank", 13, "end", kind="soft")
    pen.text(left + 1.5 * wide, floor - 4.2 * canary - 10, "canary", 14, kind="strong")
    for halving, n_kept in enumerate((16, 8, 4, 2)):
        y = floor + 36 + 25 * halving
        pen.path(f"M{left + 3} {y}v6h{wide * n_kept - 6}v-6", width=1.5)
        words = f"{n_kept} melodies" if halving == 0 else f"{n_kept}: {halving} bit{'s' * (halving > 1)}"
        pen.text(left + wide * n_kept + (-8 if n_kept == 16 else 10), y + (20 if n_kept == 16 else 10), words, 13,
                 "end" if n_kept == 16 else "start")  # fmt: skip
    return pen
