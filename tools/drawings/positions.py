"""Positions: relative ones by skewing, rotary ones as clock hands (notebook 5b)."""

import math

import torch

from drawings.pen import BLUE, ORANGE, Drawing, number
from mini_musessl.network.attention import position_angles, rotate, skew


def skewing() -> Drawing:
    """One column in front, and the rows read again: products with distances come to stand under their keys."""
    n, side, followed = 5, 28, 2
    by_distance = torch.arange(1 - n, 1).expand(n, n)
    padded = torch.nn.functional.pad(by_distance, (1, 0), value=99)
    pen = Drawing(
        "Relative positions by skewing",
        f"""Step 1, a table of {n} queries by {n} distances, minus 4 to 0. Step 2, a column of zeros in front. Step 3,
        all numbers in one row, of which the first {n} are dropped. Step 4, read again in rows of {n}: up to the
        diagonal each cell now holds the distance from its query to its key; the rest is hidden by the causal mask.""",
        560,
    )

    def table(x: float, y: float, values: torch.Tensor, name: str, columns: str, is_skewed: bool = False) -> None:
        pen.text(x, y - 34, name, anchor="start", kind="strong")
        pen.note(x, y - 15, columns, kind="soft")
        for i, row in enumerate(values.tolist()):
            for j, value in enumerate(row):
                _cell(pen, x + side * j, y + side * i, side, value, is_skewed and j > i)
        offset = 0 if is_skewed or values.shape[1] == n else side
        pen.path(f"M{x + offset} {y + side * followed}h{n * side}v{side}h{-n * side}z", colour=ORANGE, width=3)

    table(24, 70, by_distance, "1  multiply: QE^{T}", "columns are distances")
    pen.arrow((172, 140), (226, 140))
    table(242, 70, padded, "2  pad", "a column of zeros in front")
    why = (
        "Row i must move to the left",
        "by n − 1 − i, each row by",
        "another amount. A column in",
        "front does it for all at once.",
    )
    pen.lines(430, 92, why, 13, anchor="start")
    pen.text(24, 256, "3  read as one row, drop the first n", anchor="start", kind="strong")
    for place, value in enumerate(padded.flatten().tolist()):
        x = 24 + 20.3 * place
        _cell(pen, x, 270, 20.3, value, False)
        if place < n:
            pen.path(f"M{x + 3:.4g} 273l14 18m0 -18l-14 18", width=1.5)
    start = 24 + 20.3 * ((n + 1) * followed + 1)
    pen.path(f"M{start:.5g} 270h{20.3 * n:.4g}v24h{-20.3 * n:.4g}z", colour=ORANGE, width=3)
    for row in range(n):
        x = 24 + 20.3 * n * (row + 1)
        pen.path(f"M{x + 2:.5g} 300v5h{20.3 * n - 4:.4g}v-5", width=1.2)
        pen.text(x + 20.3 * n / 2, 320, f"row {row}", 12, kind="soft")
    pen.arrow((94, 300), (94, 344))
    table(24, 404, skew(by_distance + 0.0).long(), "4  read again in rows of n", "columns are keys", is_skewed=True)
    pen.lines(
        220,
        420,
        (
            "Up to the diagonal each cell holds the distance",
            "from its query (row) to its key (column).",
            "Striped: left over, hidden by the causal mask.",
            "Orange: the row of query 2, on its way.",
        ),
        13,
        gap=1.6,
        anchor="start",
    )
    return pen


def _cell(pen: Drawing, x: float, y: float, side: float, value: float, is_over: bool) -> None:
    """Draw one cell of skewing: a distance, a zero that was put in front (99), or what is left over."""
    tall = min(side, 24) if side < 28 else side
    if is_over:
        pen.hatch(x, y, side, tall, corner=0)
    elif value == 99:
        pen.label(x, y, side, tall, "0", 12, kind="frame", corner=0)
    else:
        pen.label(x, y, side, tall, number(value, 0), 12, colour=BLUE, strength=0.08 + 0.13 * (value + 4), corner=0)


def rotary() -> Drawing:
    """Queries and keys are turned by angles that grow with their places; their product sees the difference alone."""
    width, pairs, places = 16, (1, 2), ((9, 5), (104, 100), (9, 6))
    speeds = position_angles(1, 1, width)[0]
    pen = Drawing(
        "Rotary positions as clock hands",
        """Six dials in two rows, each with the hand of a query and of a key that were alike before they were turned.
        Query at 9 and key at 5, and query at 104 and key at 100, are both 4 apart: the hands stand elsewhere, the
        angle between them is the same, and so is the product. With the key at 6 the angle is smaller and the product
        is another. The second row shows a slower pair of features.""",
        474,
    )
    for column, (query_at, key_at) in enumerate(places):
        x = 240 + 160 * column
        pen.text(x, 30, f"query at {query_at}", kind="strong", colour="")
        pen.text(x, 49, f"key at {key_at}", kind="strong")
        pen.text(x, 68, f"{query_at - key_at} back", 13, kind="soft")
        for row, pair in enumerate(pairs):
            unit = torch.zeros(1, width)
            unit[0, pair] = 1
            turned = [rotate(unit, position_angles(at, 1, width)) for at in (query_at, key_at)]
            product = float((turned[0] * turned[1]).sum())
            _dial(pen, x, 140 + 190 * row, [float(speeds[pair]) * at for at in (query_at, key_at)])
            pen.text(x, 226 + 190 * row, f"product {number(product)}", 14, kind="strong")
    for row, pair in enumerate(pairs):
        pen.note(16, 118 + 190 * row, f"pair {pair + 1} of {width // 2}:")
        pen.note(16, 136 + 190 * row, f"{number(speeds[pair])} radians")
        pen.note(16, 154 + 190 * row, "a position")
    pen.line((24, 452), (60, 452), colour=ORANGE, width=4)
    pen.note(68, 457, "query")
    pen.line((130, 452), (166, 452), kind="stream", width=4)
    pen.note(174, 457, "key")
    pen.note(226, 457, "Same distance: same angle between the hands, same product.")
    return pen


def _dial(pen: Drawing, x: float, y: float, angles: list[float]) -> None:
    """Draw a dial with the hands of a query and a key, and the angle between them."""
    radius = 58
    pen.dot(x, y, radius)

    def at(angle: float, share: float) -> tuple[float, float]:
        return x + share * radius * math.cos(angle), y - share * radius * math.sin(angle)

    query, key = angles
    (x1, y1), (x2, y2) = at(key, 0.5), at(query, 0.5)
    pen.path(f"M{x:.4g} {y:.4g}L{x1:.4g} {y1:.4g}A{radius / 2} {radius / 2} 0 0 0 {x2:.4g} {y2:.4g}Z", width=1)
    pen.arrow((x, y), at(key, 0.94), kind="stream", width=4)
    pen.arrow((x, y), at(query, 0.94), colour=ORANGE, width=4)
    pen.dot(x, y, 4, kind="ink")
