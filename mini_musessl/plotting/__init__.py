"""Pictures of music and of measurements, each with the words that stand for it.

Everything drawn here is shown as an ``<img>`` with an alternative text, on a white ground that stays readable in dark
mode. Voices have the same colours, and pitches the same axis, in all chapters.

Chapter: 00 (the road in five minutes).
"""

from __future__ import annotations

from mini_musessl.plotting.appearance import (
    COLOURS,
    DRUM_COLOUR,
    LINE_STYLES,
    NOTE_NAMES,
    PITCH_RANGE,
    part_colours,
    pitch_name,
)
from mini_musessl.plotting.figures import Picture, figure, image, pitch_axis, plot_heatmap
from mini_musessl.plotting.piano_roll import ROLL_LEFT, ROLL_RIGHT, piano_roll_svg

__all__ = [
    "COLOURS",
    "DRUM_COLOUR",
    "LINE_STYLES",
    "NOTE_NAMES",
    "PITCH_RANGE",
    "ROLL_LEFT",
    "ROLL_RIGHT",
    "Picture",
    "figure",
    "image",
    "part_colours",
    "piano_roll_svg",
    "pitch_axis",
    "pitch_name",
    "plot_heatmap",
]
