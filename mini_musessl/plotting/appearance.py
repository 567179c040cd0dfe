"""What all pictures of the book share: colours, the pitch axis, names of pitches.

Chapter: 00.
"""

from __future__ import annotations

from mini_musessl.music import Piece, whole_number

#: Vermilion, purple, green, blue, orange, sky, black: Okabe and Ito's palette without its yellow, which white swallows.
#: The four that come first are dark enough for a voice, and keep apart for colour-blind readers.
COLOURS = ("#D55E00", "#CC79A7", "#009E73", "#0072B2", "#E69F00", "#56B4E9", "#000000")
#: Lines differ in their dashes too, for print without colour.
LINE_STYLES = ("-", "--", "-.", ":", "-", "--", "-.")
DRUM_COLOUR = "#777777"
#: C2 to C6 holds every chorale; other music stretches the axis by whole octaves.
PITCH_RANGE = (36, 84)
NOTE_NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")


def pitch_name(pitch: int) -> str:
    """Return the name of a MIDI pitch, with sharps; middle C is C4.

    Args:
        pitch: 0 or more.

    Raises:
        TypeError: it is not a whole number.
        ValueError: it is below 0.

    Example:
        >>> pitch_name(60), pitch_name(58)
        ('C4', 'A#3')
    """
    pitch = whole_number("A pitch", pitch, 0)
    return f"{NOTE_NAMES[pitch % 12]}{pitch // 12 - 1}"


def check_pitch_range(lowest: int, highest: int) -> None:
    """Refuse ends of a pitch axis between which there is no pitch.

    Args:
        lowest: lowest MIDI pitch of the axis.
        highest: highest one.

    Raises:
        TypeError: an end is not a whole number.
        ValueError: not 0 <= lowest < highest <= 127.
    """
    whole_number("The lowest pitch of an axis", lowest, 0, 126)
    whole_number("The highest pitch of an axis", highest, lowest + 1, 127)


def part_colours(piece: Piece) -> list[str]:
    """Return the colour of each part of a piece: drums grey, the others in the order of ``COLOURS``.

    Example:
        >>> from mini_musessl import music
        >>> parts = (music.Part("melody"), music.Part("kit", is_drum=True))
        >>> part_colours(music.Piece(music.make_notes([], [], []), parts=parts))
        ['#D55E00', '#777777']
    """
    return [DRUM_COLOUR if part.is_drum else COLOURS[i % len(COLOURS)] for i, part in enumerate(piece.parts)]
