"""The three guides of a network that may copy: where each points on one chorale (notebook 8b)."""

import numpy as np

from drawings.music import split, system
from drawings.pen import ORANGE, SKY, SOPRANO, Drawing
from mini_musessl.repeats import BAR, BEAT, GUIDES, NOTHING, find_copies
from mini_musessl.tokenizers.voice_grid import encode_chorales

#: A chorale whose first two lines are repeated, and the step at which each guide is asked.
NAME, ASKED = "bwv287", {"longest": 104, "opening": 64, "line": 224}
STEP, LANE, LEFT = 2.36, 15, 23


def guides() -> Drawing:
    """One chorale at three of its steps, with the place to which a guide points."""
    piece = next(piece for piece in split()["valid"] if piece.name == NAME)
    ids = encode_chorales([piece])[0]
    copied = find_copies(ids[None]).copied[0]
    place, n_same = _match(ids, ASKED["longest"])
    pen = Drawing(
        "Three guides to an earlier place",
        f"""The same chorale three times, four voices as bars; what follows the present step is striped. Longest match,
        at step {ASKED["longest"]}: the {n_same} steps before it were sung before, {ASKED["longest"] - place} steps
        back; an arrow points to what came next there. Opening, at step {ASKED["opening"]}: a line has ended, and
        an arrow points to the first step of the piece. Own line, at step {ASKED["line"]}: only the soprano was
        sung before, over other notes; an arrow points to its next note there.""",
        442,
    )
    words = {
        "longest": "longest match: all four voices have sung this before",
        "line": "own line: one voice has sung this before, the others have not",
        "opening": "opening: a line has ended, and the piece may begin again",
    }
    for row, (guide, now) in enumerate(ASKED.items()):
        y = 58 + 152 * row
        voices = slice(0, 1) if guide == "line" else slice(None)
        place, length = (0, 0) if guide == "opening" else _match(ids[:, voices], now)
        said = copied[now, GUIDES.index(guide), voices]
        if (said != ids[place, voices]).any() or (said == NOTHING).any():
            raise ValueError(f"The guide {guide} must point to step {place}; found {said}, not {ids[place, voices]}.")
        pen.text(LEFT, y - 34, words[guide], 14, "start", kind="strong")
        system(pen, LEFT, y, piece, STEP, LANE, np.arange(len(ids))[:, None].repeat(4, axis=1) >= now)
        tall = LANE if guide == "line" else 4 * LANE + 6
        for stop in (now, place) if length else ():
            pen.box(LEFT + STEP * (stop - length), y - 2, STEP * length, tall + 4, colour=SKY, strength=0.25, corner=2)
        for step, colour in ((now, ORANGE), (place, SOPRANO)):
            pen.box(LEFT + STEP * step, y - 2, STEP * 3, tall + 4, colour=colour, strength=0.6, corner=1)
        start, stop = LEFT + STEP * (now + 1.5), LEFT + STEP * (place + 1.5)
        pen.path(
            f"M{start:.1f} {y - 4}C{start:.1f} {y - 30} {stop:.1f} {y - 30} {stop:.1f} {y - 5}", head=True, width=2
        )
        pen.text(start + 8, y - 14, "now", 13, "start", kind="soft")
    return pen


def _match(line: np.ndarray, now: int) -> tuple[int, int]:
    """Return the place before which most steps are those before the present, and how many; of equals one in time."""
    best = (0, 0, 0)
    for place in range(1, now):
        is_same = (line[:place][::-1] == line[now - place : now][::-1]).all(axis=1)
        length, back = place if is_same.all() else int(is_same.argmin()), now - place
        best = max(best, (length, (back % BEAT == 0) + (back % BAR == 0), place))
    return best[2], best[0]
