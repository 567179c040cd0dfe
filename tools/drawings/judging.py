"""What an overlapping area is, and how many right answers of ten coins give (notebook 9c)."""

import math

import numpy as np

from drawings.pen import BLUE, ORANGE, Drawing


def overlap() -> Drawing:
    """Two densities, and the area below the lower one."""
    pen = Drawing(
        "The overlapping area of two densities",
        """Two curves over one axis, the difference of two pieces in some statistic. The left curve is the density of
        the differences inside the reference set, the right one that of the differences between the two sets; it lies
        further to the right and is wider. The area that lies under both curves is shaded: the overlapping area, here
        about six tenths. It would be 1 if the curves were the same.""",
        270,
    )
    left, floor, tall, wide = 50, 210, 300, 560
    at = np.linspace(0, 6, 121)
    inside, between = (np.exp(-(((at - m) / s) ** 2) / 2) / (s * math.sqrt(2 * math.pi)) for m, s in ((2, 0.8), (3, 1)))

    def points(values: np.ndarray) -> list[tuple[float, float]]:
        return [(left + wide * x / 6, floor - tall * y) for x, y in zip(at.tolist(), values.tolist(), strict=True)]

    shared = points(np.minimum(inside, between))
    area = "M" + "L".join(f"{x:.4g} {y:.4g}" for x, y in [*shared, (left + wide, floor), (left, floor)]) + "z"
    pen.parts.append(f'<path d="{area}" fill="{BLUE}" fill-opacity="0.22"/>')
    for values, colour in ((inside, BLUE), (between, ORANGE)):
        d = "M" + "L".join(f"{x:.4g} {y:.4g}" for x, y in points(values))
        pen.parts.append(f'<path d="{d}" fill="none" stroke="{colour}" stroke-width="2.5"/>')
    pen.line((left, floor), (left + wide, floor))
    pen.text(left + 120, 74, "inside the set", 14, "end", "strong")
    pen.text(left + 352, 90, "between the sets", 14, "start", "strong")
    pen.lines(left + 222, floor - 46, ("the", "overlapping", "area"), 14, gap=1.2, kind="strong")
    pen.text(left, floor + 20, "0", 13, kind="soft")
    pen.text(left + wide / 2, floor + 40, "how far two pieces are apart in one statistic", 14, kind="soft")
    return pen


def coins() -> Drawing:
    """The chance of each number of right answers of ten, by guessing."""
    n, counted = 10, [math.comb(10, k) for k in range(11)]
    at_least = [sum(counted[k:]) / 2**n for k in range(n + 1)]
    if not at_least[9] < 0.05 < at_least[8]:
        raise ValueError("The words of this drawing say that nine of ten convince and eight do not.")
    pen = Drawing(
        "How many of ten a guesser has right",
        f"""Eleven bars for 0 to 10 right answers of ten pairs, as a guesser has them: highest at 5 with
        {counted[5]} of 1,024 ways, falling to 1 of 1,024 at either end. Bars 9 and 10 are coloured: together
        {counted[9] + counted[10]} of 1,024, {at_least[9]:.3f}. With bar 8 it is {sum(counted[8:])} of 1,024,
        {at_least[8]:.3f}, more than one in twenty.""",
        300,
    )
    left, wide, floor = 46, 52, 226
    for k, ways in enumerate(counted):
        tall = 0.68 * ways
        look = {"colour": ORANGE, "strength": 0.9} if k >= 9 else {"colour": BLUE, "strength": 0.4}
        pen.box(left + wide * k + 4, floor - max(tall, 1.5), wide - 8, max(tall, 1.5), corner=1, **look)
        pen.text(left + wide * (k + 0.5), floor - tall - 8, str(ways), 13, kind="strong" if k >= 9 else "soft")
        pen.text(left + wide * (k + 0.5), floor + 18, str(k), 14)
    pen.text(left + wide * 5.5, floor + 40, "right answers of ten", 14, kind="soft")
    pen.text(left, 26, "ways of 1,024", 13, "start", "soft")
    for k, y in ((8, 112), (9, 156)):
        x = left + wide * k + 4
        pen.path(f"M{x} {y + 8}v-8h{left + wide * 11 - 4 - x}v8", width=1.5)
        pen.text((x + left + wide * 11 - 4) / 2, y - 8, f"{k} or more: {at_least[k]:.3f}", 14, kind="strong")
    return pen
