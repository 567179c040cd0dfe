"""Draw the floors of the library for README.md: who may import whom, as a house.

`make tables` writes assets/floors.svg anew, so that the drawing cannot differ from the table in floors.py.
"""

from collections.abc import Iterable
from html import escape

import floors

WIDTH, MARGIN, LABEL, SIDE_WIDTH = 920, 14, 118, 132
FLOOR, GAP, ROOM = 54, 8, 30
CHARACTER = 7.3  # width of one character of the room names, in pixels
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1b1b1b } .small { font-size: 11px; fill: #555 }
.floor { fill: #eef3f8 }
.side { fill: #f6f1e7 } .room { fill: #fff; stroke: #0072b2 } .annex { fill: #fff; stroke: #b06a00 }
.line { stroke: #d55e00; stroke-dasharray: 5 4 } .arrow { stroke: #555; fill: none }
@media (prefers-color-scheme: dark) {
  text { fill: #eee } .small { fill: #aaa } .floor { fill: #1f2a35 } .side { fill: #322a1c }
  .room, .annex { fill: #11171d } .arrow { stroke: #aaa }
}
"""


def _text(x: float, y: float, words: str, style: str = "", anchor: str = "start") -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" class="{style}" text-anchor="{anchor}">{escape(words)}</text>'


def _box(x: float, y: float, width: float, height: float, style: str) -> str:
    return f'<rect x="{x:.0f}" y="{y:.0f}" width="{width:.0f}" height="{height:.0f}" rx="4" class="{style}"/>'


def room_names(rooms: Iterable[str]) -> list[str]:
    """Return what is written into the rooms of a floor: packages without their own faces, files by their last name."""
    packages = {room.split(".")[0] for room in rooms if "." in room}
    return [room.split(".")[-1] for room in rooms if room not in packages]


def svg() -> str:
    """Return the drawing: one row per floor, the ground at the bottom, side rooms beside the house."""
    rows = [(*floor.split(" ", 1), rooms) for floor, rooms in floors.FLOORS.items() if floor != floors.SIDE][::-1]
    height = 2 * MARGIN + len(rows) * (FLOOR + GAP) + 14
    house = WIDTH - SIDE_WIDTH - 3 * MARGIN
    parts = []
    for index, (key, name, rooms) in enumerate(rows):
        y = MARGIN + index * (FLOOR + GAP)
        parts.append(_box(MARGIN, y, house, FLOOR, "floor"))
        parts.append(_text(MARGIN + 10, y + FLOOR / 2 + 5, f"{key}  {name}"))
        names = room_names(rooms)
        spare = house - LABEL - 8 * len(names) - CHARACTER * sum(map(len, names))
        x = MARGIN + LABEL
        for name in names:
            width = CHARACTER * len(name) + min(24, spare / len(names))
            parts.append(_box(x, y + (FLOOR - ROOM) / 2, width, ROOM, "room"))
            parts.append(_text(x + width / 2, y + FLOOR / 2 + 5, name, anchor="middle"))
            x += width + 8
        if key == str(floors.FLOORS_WITHOUT_TORCH):
            parts.append(f'<path d="M{MARGIN} {y - GAP / 2}H{MARGIN + house}" class="line"/>')
            parts.append(_text(MARGIN + house - 6, y - GAP / 2 + 13, "PyTorch only above this line", "small", "end"))
    left = WIDTH - SIDE_WIDTH - MARGIN
    parts.append(_box(left, MARGIN, SIDE_WIDTH, len(rows) * (FLOOR + GAP) - GAP, "side"))
    parts.append(_text(left + SIDE_WIDTH / 2, MARGIN + 20, "side rooms", anchor="middle"))
    for index, name in enumerate(floors.FLOORS[floors.SIDE]):
        y = MARGIN + 36 + index * 44
        parts.append(_box(left + 14, y, SIDE_WIDTH - 28, ROOM, "annex"))
        parts.append(_text(left + SIDE_WIDTH / 2, y + ROOM / 2 + 5, name, anchor="middle"))
    words = (
        "A file imports from the floors below its own, and from what stands left of it; side rooms import all floors."
    )
    parts.append(_text(MARGIN, height - 10, words, "small"))
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
    title = "The floors of mini_musessl: " + ", ".join(name for _, name, _ in rows[::-1])
    return f'{head} role="img"><title>{escape(title)}</title><style>{STYLE}</style>{"".join(parts)}</svg>\n'
