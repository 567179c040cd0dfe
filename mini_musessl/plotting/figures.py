"""Pictures with the words that stand for them, and figures of measurements.

Chapter: 00.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from mini_musessl.music import whole_number
from mini_musessl.plotting.appearance import COLOURS, LINE_STYLES, PITCH_RANGE, check_pitch_range, pitch_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Widest that a picture is drawn, in CSS pixels.
WIDTH = 600

_STYLE = {
    "figure.figsize": (5.4, 3.3),
    "figure.constrained_layout.use": True,
    "savefig.dpi": 150,
    "font.size": 11,
    "axes.titlesize": 12,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "lines.linewidth": 2,
    "legend.frameon": False,
}


@dataclass(frozen=True)
class Picture:
    """Something to be shown in a notebook: HTML where it can be drawn, words where it cannot.

    Attributes:
        html: the picture, with its alternative text inside.
        says: what it shows, in words.
    """

    html: str
    says: str

    def _repr_html_(self) -> str:
        """Return the HTML for a notebook."""
        return self.html

    def __repr__(self) -> str:
        return self.says


def image(data: bytes, media_type: str, says: str, width: int = WIDTH) -> str:
    """Return an ``<img>`` that carries its data and its alternative text.

    Args:
        data: the bytes of the picture.
        media_type: such as "image/png".
        says: what the picture shows, in words; not empty.
        width: widest that it is drawn, in CSS pixels; narrow screens shrink it.

    Raises:
        ValueError: ``says`` is empty.
    """
    says = _said(says)
    return (
        f'<img alt="{escape(says)}" src="data:{media_type};base64,{base64.b64encode(data).decode()}" width="{width}" '
        f'style="width:100%;max-width:{width}px;height:auto;background:#fff;display:block">'
    )


@contextmanager
def figure(
    says: str, title: str, x_label: str, y_label: str, n_panels: int = 1, height: float = 3.3
) -> Iterator[Axes | list[Axes]]:
    """Open a figure to draw in; it is shown when the block ends.

    Without words that stand for the picture nothing is drawn. Say what a reader would learn from looking, with the
    numbers that matter, not "a plot of the loss".

    Args:
        says: the alternative text, at least three words.
        title: what is seen.
        x_label: name and unit of the horizontal axis.
        y_label: name and unit of the vertical axis.
        n_panels: how many pictures stand side by side with one vertical axis.
        height: in inches; the width is 5.4.

    Yields:
        The axes, or a list of them for more than one panel.

    Raises:
        TypeError: the number of panels is not whole.
        ValueError: a text is missing, a size is not above 0, or nothing was drawn.

    Example:
        >>> with figure("A line that rises from 0 to 1.", "Rise", "time (s)", "level") as axes:
        ...     _ = axes.plot([0, 1])
        A line that rises from 0 to 1.

    Chapter: 00.
    """
    for name, text in (("title", title), ("x_label", x_label), ("y_label", y_label)):
        if not isinstance(text, str) or not text.strip():
            raise ValueError(f"A figure needs a {name}; found {text!r}. Say what is seen and in which unit.")
    if len(_said(says).split()) < 3:
        raise ValueError(
            f"The alternative text must be at least three words; found {says!r}. "
            "Say what a reader would learn by looking."
        )
    n_panels = whole_number("n_panels", n_panels, 1)
    if not 0 < height < 100:
        raise ValueError(f"The height of a figure must be above 0 and below 100 inches; found {height}.")
    import matplotlib.style
    from matplotlib import cycler
    from matplotlib.figure import Figure

    cycle = cycler(color=COLOURS, linestyle=LINE_STYLES)
    with matplotlib.style.context([{**_STYLE, "axes.prop_cycle": cycle}], after_reset=True):
        canvas = Figure(figsize=(5.4, height))
        panels = canvas.subplots(1, n_panels, sharey=True, squeeze=False)[0]
        yield panels[0] if n_panels == 1 else list(panels)
        if not all(axes.has_data() for axes in panels):
            raise ValueError("A figure must show something; a panel is empty. Draw on every one of the axes.")
        canvas.suptitle(title, fontsize=12)
        panels[0].set_ylabel(y_label)
        for axes in panels:
            axes.set_xlabel(x_label)
        _display(Picture(image(_png(canvas), "image/png", says, width=WIDTH), says))


def plot_heatmap(
    values: np.ndarray,
    x_names: Sequence[str],
    y_names: Sequence[str],
    says: str,
    title: str,
    x_label: str,
    y_label: str,
    unit: str,
) -> None:
    """Show a table of numbers as colours, darker for more.

    Args:
        values: (n_rows, n_columns); row 0 is drawn at the bottom.
        x_names: one name a column.
        y_names: one name a row.
        says: the alternative text.
        title: what is seen.
        x_label: what the columns are.
        y_label: what the rows are.
        unit: what a colour means; written beside the colour scale.

    Raises:
        ValueError: the names do not fit the table, or a text is missing.
    """
    values = np.asarray(values, float)
    if values.shape != (len(y_names), len(x_names)):
        raise ValueError(
            f"A heat map needs one name a row and one a column; found a table of shape {values.shape} with "
            f"{len(y_names)} row names and {len(x_names)} column names."
        )
    with figure(says, title, x_label, y_label) as axes:
        drawn = axes.imshow(values, origin="lower", aspect="auto", cmap="Blues", interpolation="nearest")
        axes.grid(False)
        axes.set_xticks(range(len(x_names)), x_names)
        axes.set_yticks(range(len(y_names)), y_names)
        axes.figure.colorbar(drawn, label=unit)


def pitch_axis(axes: Axes, lowest: int = PITCH_RANGE[0], highest: int = PITCH_RANGE[1], axis: str = "y") -> None:
    """Give one axis of a figure the book's pitch scale: a tick at each C, C2 to C6 unless the music needs more.

    Args:
        axes: what ``figure`` opened.
        lowest: lowest MIDI pitch shown.
        highest: highest MIDI pitch shown.
        axis: "y" or "x".

    Raises:
        ValueError: another axis, or pitches that are not 0 <= lowest < highest <= 127.
    """
    if axis not in ("x", "y"):
        raise ValueError(f'axis must be "x" or "y"; found {axis!r}.')
    check_pitch_range(lowest, highest)
    ticks = [pitch for pitch in range(lowest, highest + 1) if pitch % 12 == 0]
    set_ticks, set_limits = (axes.set_yticks, axes.set_ylim) if axis == "y" else (axes.set_xticks, axes.set_xlim)
    set_ticks(ticks, [pitch_name(pitch) for pitch in ticks])
    set_limits(lowest - 0.5, highest + 0.5)


def _said(says: str) -> str:
    """Return the alternative text without spaces around it, or refuse its absence."""
    if not isinstance(says, str) or not says.strip():
        raise ValueError(
            f"A picture needs words that stand for it; found {says!r}. Say what a reader would learn by looking."
        )
    return says.strip()


def _display(picture: Picture) -> None:
    """Show a picture in a notebook; elsewhere print its words."""
    try:
        from IPython.display import display
    except ImportError:
        print(picture)
    else:
        display(picture)


def _png(canvas: object) -> bytes:
    """Return a matplotlib figure as a small PNG without date or program name, the same on every run."""
    from PIL import Image

    buffer, small = io.BytesIO(), io.BytesIO()
    canvas.savefig(buffer, format="png", metadata={"Software": None}, facecolor="white")
    drawn = Image.open(buffer).convert("RGB").quantize(128, dither=Image.Dither.NONE)
    drawn.save(small, format="png", optimize=True)
    return small.getvalue()
