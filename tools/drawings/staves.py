"""Staves for the drawings: clefs, heads and signs are outlines of the font Leipzig (SIL Open Font License 1.1).

An outline is drawn upwards, a thousand units to four spaces of a staff, as SMuFL has it.
"""

from drawings.pen import Drawing

TREBLE_CLEF = (
    "M441 -245c-23 -4 -48 -6 -76 -6c-59 0 -102 7 -130 20c-88 42 -150 93 -187 154c-26 44 -43 103 -48 176c0 6 -1 13 -1 "
    "19c0 54 15 111 45 170c29 57 65 106 110 148s96 85 153 127c-3 16 -8 46 -13 92c-4 43 -5 73 -5 89c0 117 16 172 69 "
    "257c34 54 64 82 89 82 c21 0 43 -30 69 -92s39 -115 41 -159v-15c0 -109 -21 -162 -67 -241c-13 -20 -63 -90 -98 "
    "-118c-13 -9 -25 -19 -37 -29l31 -181c8 1 18 2 28 2c58 0 102 -12 133 -35c59 -43 92 -104 98 -184c1 -7 1 -15 1 -22c0 "
    "-123 -87 -209 -181 -248c8 -57 17 -110 25 -162 c5 -31 6 -58 6 -80c0 -30 -5 -53 -14 -70c-35 -64 -88 -99 -158 "
    "-103c-5 0 -11 -1 -16 -1c-37 0 -72 10 -108 27c-50 24 -77 59 -80 105v11c0 29 7 55 20 76c18 28 45 42 79 44h6c49 0 "
    "93 -42 97 -87v-9c0 -51 -34 -86 -105 -106c17 -24 51 -36 102 -36c62 0 116 43 140 85 c9 16 13 41 13 74c0 20 -1 42 "
    "-5 67c-8 53 -18 106 -26 159zM461 939c-95 0 -135 -175 -135 -286c0 -24 2 -48 5 -71c50 39 92 82 127 128c40 53 60 "
    "100 60 140v8c-4 53 -22 81 -55 81h-2zM406 119l54 -326c73 25 110 78 110 161c0 7 0 15 -1 23c-7 95 -57 142 -151 "
    "142h-12 zM382 117c-72 -2 -128 -47 -128 -120v-7c2 -46 43 -99 75 -115c-3 -2 -7 -5 -10 -10c-70 33 -116 88 -123 "
    "172v11c0 68 44 126 88 159c23 17 49 29 78 36l-29 170c-21 -13 -52 -37 -92 -73c-50 -44 -86 -84 -109 -119c-45 -69 "
    "-67 -130 -67 -182v-13c5 -68 35 -127 93 -176 s125 -73 203 -73c25 0 50 3 75 9c-19 111 -36 221 -54 331z"
)
BASS_CLEF = (
    "M582 -120c0 32 26 58 58 58s58 -26 58 -58s-26 -58 -58 -58s-58 26 -58 58zM582 120c0 32 26 58 58 58s58 -26 58 "
    "-58s-26 -58 -58 -58s-58 26 -58 58zM158 96c51 0 73 -14 88 -49l16 -39c0 -17 -2 -30 -7 -40c-3 -11 -10 -21 -19 "
    "-31c-17 -18 -49 -43 -84 -43 c-55 0 -77 13 -112 44c-24 21 -35 55 -35 100c0 46 14 81 32 112c30 52 71 79 137 93l36 "
    "6l26 2c154 0 235 -68 274 -182c11 -32 18 -68 18 -107c0 -103 -26 -182 -68 -250c-89 -145 -234 -230 -412 -288l-30 "
    "-5c-9 0 -14 3 -14 8c3 10 5 11 10 16c35 15 70 30 96 44l78 43 c96 57 162 136 197 258c9 33 17 60 22 100c3 22 5 35 6 "
    "39c-7 69 -16 115 -23 140s-4 22 -16 40c-8 12 -19 23 -31 34c-24 21 -62 44 -118 44c-48 0 -84 -8 -113 -28c-28 -19 "
    "-42 -44 -42 -73v-16c2 -5 3 -9 4 -11c24 22 52 39 84 39z"
)
SHARP = (
    "M136 186v169h17v-164l44 14v-91l-44 -14v-165l44 12v-91l-44 -13v-155h-17v150l-76 -22v-155h-17v149l-43 -13v90l43 "
    "14v167l-43 -14v92l43 13v169h17v-163zM60 73v-167l76 22v168z"
)
FERMATA = (
    "M0 0c0 0 40 320 300 320s300 -320 300 -320h-32s-38 227 -268 227s-268 -227 -268 -227h-32zM355 52c0 -30 -25 -55 -55 "
    "-55s-55 25 -55 55s25 55 55 55s55 -25 55 -55z"
)
BLACK_HEAD = "M0 -39c0 68 73 172 200 172c66 0 114 -37 114 -95c0 -84 -106 -171 -218 -171c-64 0 -96 30 -96 94z"
HALF_HEAD = (
    "M278 64c0 22 -17 39 -43 39c-12 0 -26 -3 -41 -10c-85 -43 -165 -94 -165 -156c5 -25 15 -32 49 -32c67 11 200 95 200 "
    "159zM0 -36c0 68 73 174 200 174c66 0 114 -39 114 -97c0 -84 -106 -173 -218 -173c-64 0 -96 32 -96 96z"
)

SPACE = 12  # pixels between two lines
LETTERS = "CDEFGAB"


def glyph(pen: Drawing, outline: str, x: float, y: float, colour: str = "") -> None:
    """Draw a sign with its origin at a place."""
    look = f'fill="{colour}"' if colour else 'class="ink"'
    size = 4 * SPACE / 1000
    pen.parts.append(f'<path transform="translate({x:.4g} {y:.4g}) scale({size:g} {-size:g})" {look} d="{outline}"/>')


def height(bottom: float, lowest: str, note: str) -> float:
    """Return where a note such as G4 stands on a staff whose bottom line is ``lowest``.

    >>> height(100, "E4", "G4")
    88.0
    """
    place = [7 * int(name[1]) + LETTERS.index(name[0]) for name in (lowest, note)]
    return bottom - (place[1] - place[0]) * SPACE / 2


def grand_staff(pen: Drawing, x: float, y: float, width: float) -> tuple[float, float]:
    """Draw two staves with clefs and one sharp; return the bottom lines of both."""
    bottoms = (y + 4 * SPACE, y + 13 * SPACE)
    for bottom in bottoms:
        for line in range(5):
            pen.line((x, bottom - line * SPACE), (x + width, bottom - line * SPACE), width=1)
    pen.line((x, y), (x, bottoms[1]), width=1.5)
    glyph(pen, TREBLE_CLEF, x + 8, bottoms[0] - SPACE)
    glyph(pen, BASS_CLEF, x + 8, bottoms[1] - 3 * SPACE)
    glyph(pen, SHARP, x + 50, bottoms[0] - 4 * SPACE)
    glyph(pen, SHARP, x + 50, bottoms[1] - 3 * SPACE)
    return bottoms


def note(pen: Drawing, x: float, y: float, colour: str, is_up: bool, head: str = BLACK_HEAD) -> None:
    """Draw a note with its stem."""
    glyph(pen, head, x, y, colour)
    at = x + 13 if is_up else x + 0.8
    pen.line((at, y), (at, y - 40 if is_up else y + 40), colour=colour, width=1.6)
