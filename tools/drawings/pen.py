"""A pen for SVG drawings in the book's colours: boxes, cells, arrows and words that stay words.

A drawing brings its own ground, a card, and turns dark with the page: a browser tells an image which scheme the page
around it has. So it can be read on every page, in JupyterLab, on GitHub and on paper.
"""

import re
from collections.abc import Sequence
from html import escape

from mini_musessl.plotting import COLOURS

#: As wide as a line of text in the book: words are seen at the size that is written here.
WIDTH = 660
SMALLEST = 12  # pixels; what is set lower or higher in a line is three quarters of its neighbours
SOPRANO, ALTO, TENOR, BASS, ORANGE, SKY = COLOURS[:6]
VOICES = (SOPRANO, ALTO, TENOR, BASS)
BLUE = BASS

STYLE = """
text{font-family:Helvetica,Arial,"Liberation Sans",sans-serif;fill:#1f2328}
.soft{fill:#57606a}.strong{font-weight:bold}.mono{font-family:Menlo,Consolas,"DejaVu Sans Mono",monospace}
.card{fill:#fff}.panel{fill:#eef2f6}.paper{fill:#fff}.line{stroke:#57606a;fill:none}.faint{stroke:#c4ccd4;fill:none}.edge{stroke:#57606a}
.frame{stroke:#57606a;fill:#fff}.ink{fill:#1f2328}.head{fill:#57606a}.stream{stroke:#0072b2;fill:none}.streamhead{fill:#0072b2}
@media (prefers-color-scheme:dark){
text{fill:#f0f3f6}.soft{fill:#b7bfc8}.card{fill:#14181d}.panel{fill:#262d35}.paper{fill:#14181d}
.line,.edge{stroke:#b7bfc8}.faint{stroke:#4a535d}.frame{stroke:#b7bfc8;fill:#14181d}.ink{fill:#f0f3f6}.head{fill:#b7bfc8}.stream{stroke:#56b4e9}.streamhead{fill:#56b4e9}
}
"""
HEAD = (
    '<marker id="{name}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" '
    'markerUnits="userSpaceOnUse" orient="auto-start-reverse"><path d="M0 0.5L8 4L0 7.5z" {look}/></marker>'
)
HATCH = (
    '<pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<path d="M0 0V6" class="line" stroke-width="2" opacity="0.5"/></pattern>'
)


def number(value: float, digits: int = 2) -> str:
    """Write a number with a true minus sign, and none before zero.

    >>> number(-0.5), number(-0.001), number(2, 0)
    ('−0.50', '0.00', '2')
    """
    value = round(float(value), digits)
    return f"{value + 0:.{digits}f}".replace("-", "\u2212")


def _raised(words: str, size: float) -> str:
    """Return words as SVG; ``_{..}`` is set lower and ``^{..}`` higher, in smaller letters."""
    shift, small = round(0.28 * size, 1), round(max(0.75 * size, 11), 1)
    parts = re.split(r"([_^])\{([^}]*)\}", words)
    out, back = escape(parts[0], quote=False), 0.0
    for sign, inside, after in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
        by = shift if sign == "_" else -1.2 * shift
        out += f'<tspan font-size="{small:g}" dy="{by - back:.1f}">{escape(inside, quote=False)}</tspan>'
        back = by
        if after:
            out += f'<tspan dy="{-back:.1f}">{escape(after, quote=False)}</tspan>'
            back = 0.0
    return out


class Drawing:
    """One drawing: what it is called, what it says to who cannot see it, and its parts in the order of drawing."""

    def __init__(self, title: str, says: str, height: float, width: float = WIDTH) -> None:
        self.title, self.says, self.height, self.width = title, " ".join(says.split()), height, width
        self.parts: list[str] = []
        self.heads: dict[str, str] = {}

    def text(
        self, x: float, y: float, words: str, size: float = 14, anchor: str = "middle", kind: str = "", colour: str = ""
    ) -> None:
        """Write words; ``y`` is where they stand on."""
        if size < SMALLEST:
            raise ValueError(f"Words must be at least {SMALLEST} pixels high; found {size}: {words!r}.")
        look = (f' class="{kind}"' if kind else "") + (f' style="fill:{colour}"' if colour else "")
        where = "" if anchor == "start" else f' text-anchor="{anchor}"'
        at = f'x="{x:.4g}" y="{y:.4g}" font-size="{size:g}"'
        self.parts.append(f"<text {at}{where}{look}>{_raised(words, size)}</text>")

    def note(self, x: float, y: float, words: str, kind: str = "") -> None:
        """Write a line of explanation from ``x`` on."""
        self.text(x, y, words, 13, "start", kind)

    def lines(self, x: float, y: float, words: Sequence[str], size: float = 14, gap: float = 1.3, **look: str) -> None:
        """Write several lines, one below the other."""
        for row, line in enumerate(words):
            self.text(x, y + row * gap * size, line, size, **look)

    def box(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        kind: str = "panel",
        colour: str = "",
        strength: float = 0.25,
        corner: float = 5,
        dashed: bool = False,
    ) -> None:
        """Draw a box of one kind, or in a colour: its edge whole, its ground as strong as said."""
        look = f'class="{kind}"'
        if colour:
            look = f'fill="{colour}" fill-opacity="{strength:.2f}" stroke="{colour}"'
        if dashed:
            look += ' stroke-dasharray="4 3"'
        at = f'x="{x:.4g}" y="{y:.4g}" width="{width:.4g}" height="{height:.4g}"'
        self.parts.append(f'<rect {at} rx="{corner:g}" {look}/>')

    def label(self, x: float, y: float, width: float, height: float, words: str, size: float = 14, **look) -> None:
        """Draw a box with a line of words, or with several, in its middle."""
        kind = look.pop("words_kind", "")
        self.box(x, y, width, height, **look)
        lines = words.split("\n")
        first = y + height / 2 + 0.36 * size - 0.6 * size * (len(lines) - 1)
        self.lines(x + width / 2, first, lines, size, gap=1.2, kind=kind)

    def hatch(self, x: float, y: float, width: float, height: float, corner: float = 3) -> None:
        """Cover a place with stripes: it cannot be seen there."""
        at = f'x="{x:.4g}" y="{y:.4g}" width="{width:.4g}" height="{height:.4g}" rx="{corner:g}"'
        self.parts.append(f'<rect {at} class="paper"/><rect {at} fill="url(#hatch)" class="edge"/>')

    def path(
        self,
        d: str,
        kind: str = "line",
        width: float = 1.5,
        colour: str = "",
        head: bool = False,
        dashed: bool = False,
        opacity: float = 1,
    ) -> None:
        """Draw a line along an SVG path."""
        look = f'fill="none" stroke="{colour}"' if colour else f'class="{kind}"'
        if head:
            head_kind = "streamhead" if kind == "stream" else "head"
            name = head_kind + colour.strip("#")
            self.heads[name] = f'fill="{colour}"' if colour else f'class="{head_kind}"'
            look += f' marker-end="url(#{name})"'
        if dashed:
            look += ' stroke-dasharray="5 4"'
        if opacity < 1:
            look += f' opacity="{opacity:.2f}"'
        self.parts.append(f'<path d="{d}" stroke-width="{width:.3g}" {look}/>')

    def line(self, *points: tuple[float, float], **look) -> None:
        """Draw a line through points."""
        self.path("M" + "L".join(f"{x:.4g} {y:.4g}" for x, y in points), **look)

    def arrow(self, *points: tuple[float, float], **look) -> None:
        """Draw a line through points that ends in an arrow."""
        self.line(*points, head=True, **look)

    def dot(self, x: float, y: float, radius: float, kind: str = "frame", colour: str = "") -> None:
        """Draw a disc."""
        look = f'fill="{colour}"' if colour else f'class="{kind}"'
        self.parts.append(f'<circle cx="{x:.4g}" cy="{y:.4g}" r="{radius:g}" {look}/>')

    def plus(self, x: float, y: float) -> None:
        """Draw the sign of a sum."""
        self.dot(x, y, 10)
        self.path(f"M{x - 5:.4g} {y:.4g}h10M{x:.4g} {y - 5:.4g}v10", width=1.8)

    def matrix(
        self,
        x: float,
        y: float,
        values,
        cell: tuple[float, float] = (34, 24),
        colour: str = BLUE,
        digits: int = 1,
        size: float = 12,
        largest: float | None = None,
        is_hidden=None,
    ) -> None:
        """Draw a table of numbers, each the stronger coloured the larger it is; hidden ones are struck out."""
        wide, tall = cell
        largest = largest or max(abs(float(value)) for row in values for value in row) or 1
        for i, row in enumerate(values):
            for j, value in enumerate(row):
                at = (x + j * wide, y + i * tall)
                if is_hidden is not None and bool(is_hidden[i][j]):
                    self.hatch(*at, wide, tall, corner=0)
                    continue
                strength = 0.05 + 0.55 * min(abs(float(value)) / largest, 1)
                self.box(*at, wide, tall, colour=colour, strength=strength, corner=0)
                if digits >= 0:
                    self.text(at[0] + wide / 2, at[1] + tall / 2 + 0.36 * size, number(value, digits), size)

    def svg(self) -> str:
        """Return the drawing as the text of an SVG file, one part a line."""
        heads = "".join(HEAD.format(name=name, look=look) for name, look in sorted(self.heads.items()))
        hatch = HATCH if any("url(#hatch)" in part for part in self.parts) else ""
        lines = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width:g} {self.height:g}" '
            f'width="{self.width:g}" height="{self.height:g}" role="img" aria-labelledby="title desc">',
            f'<title id="title">{escape(self.title)}</title>',
            f'<desc id="desc">{escape(self.says)}</desc>',
            f"<style>{STYLE}</style>",
            *([f"<defs>{heads}{hatch}</defs>"] if heads or hatch else []),
            f'<rect width="{self.width:g}" height="{self.height:g}" rx="8" class="card"/>',
            *self.parts,
            "</svg>",
        ]
        return "\n".join(lines) + "\n"
