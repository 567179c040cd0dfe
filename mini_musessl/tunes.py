"""Folk tunes, and the ABC notation in which they are passed on: letters for notes.

``G2`` is a G of two units, ``g`` the one above, ``^`` a sharp until the bar line, ``>`` gives the note before it half
of the note behind it, ``(3`` opens a triplet. The reader takes one melody: a tune with chords or several voices is
refused. Repeats are not played: each written bar comes once, first and second endings one after the other.

music21 reads ABC too, slowly, and agrees on plain tunes. It departs from the standard in four places, where this reader
keeps to it: music21 lets an accidental end with its note, loses or alters some notes beside an ornament, a dot or a bow
mark, takes ``-`` between two pitches for a tie, and passes over ``>`` beside a bracket.

Reference: Walshaw et al., The ABC music standard 2.1 (2011).

Chapter: 3c (data sets).
"""

import contextlib
import functools
import re
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from mini_musessl import files, music
from mini_musessl.checks import check_choice, check_some, check_text, printable, shown
from mini_musessl.corpora import music21_files, pack_pieces, read_each, state_of, unpack_pieces

_NATURAL = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_TONIC_FIFTHS = {"F": -1, "C": 0, "G": 1, "D": 2, "A": 3, "E": 4, "B": 5}
_MODE_FIFTHS = {"": 0, "maj": 0, "ion": 0, "lyd": 1, "mix": -1, "dor": -2}
_MODE_FIFTHS |= {"min": -3, "m": -3, "aeo": -3, "phr": -4, "loc": -5}
_ACCIDENTAL = {"^^": 2, "^": 1, "=": 0, "_": -1, "__": -2}
#: How many units the notes of a tuplet take; None means three in a compound meter, else two.
_TUPLET_UNITS = {2: 3, 3: 2, 4: 3, 5: None, 6: 2, 7: None, 8: 3, 9: None}

#: The longest of 4,000 tunes has 2,438 characters.
LONGEST_TEXT, LONGEST_HOURS, FASTEST_TEMPO = 100_000, 3, 1000
LONGEST_BOOK = 10_000_000
_HALVINGS = 64  # so many lead off every grid; more would only take time

#: Letters and signs that match nothing here (ornaments, bowing, staccato, slurs) are passed over.
_TOKEN = re.compile(
    r'(?P<silent>"[^"]*"|![^!|\s]{1,20}!|\{[^{}]*\}|\[(?=[\d"|]))'  # chord names, marks, grace notes, endings
    r"|\[(?P<field>[A-Za-z+]):(?P<value>[^\[\]]*)\]"
    r"|\((?P<tuplet>[2-9])(?::(?P<units>[1-9]?))?(?::(?P<count>[1-9]?))?(?![:\d])"
    r"|(?P<accidental>\^\^|\^|__|_|=)?(?P<letter>[A-Ga-gxzXZ])(?P<octave>[,']*)"
    r"(?P<number>\d*)(?P<slashes>/*)(?P<divisor>\d*)"
    r'|(?P<unknown>["{\[&^_]|\+(?=\S)|\(\d)'  # chords, voices, quarter tones, and what is not closed
    r"|(?P<broken>[<>]+)"
    r"|(?P<tie>-)"
    r"|(?P<bar>[|:]+)"
)


@dataclass
class _Tune:
    """What has been read so far; times in quarters."""

    title: str = ""
    unit: Fraction | None = None
    meter: tuple[int, int] = (4, 4)
    key: dict[str, int] | None = None  # how far each letter is altered
    notes: list[list] = field(default_factory=list)  # [onset, duration, pitch]
    now: Fraction = Fraction(0)
    meters: dict[Fraction, tuple[int, int]] = field(default_factory=lambda: {Fraction(0): (4, 4)})
    tempos: dict[Fraction, float] = field(default_factory=lambda: {Fraction(0): 120.0})
    first_bar: Fraction | None = None  # where it ends
    in_bar: dict[str, int] = field(default_factory=dict)  # accidentals that hold to the bar line
    last_duration: Fraction = Fraction(0)
    last_is_note: bool = False
    is_tied: bool = False
    next_factor: Fraction = Fraction(1)  # of a broken rhythm
    tuplet: tuple[int, Fraction] = (0, Fraction(1))  # notes left in it, and what their lengths are multiplied by

    @property
    def name(self) -> str:
        """What to call it in a refusal."""
        return shown(self.title, 60) or "this one"


def _read_field(tune: _Tune, name: str, value: str) -> None:
    """Take in a field: title, meter, unit, tempo or key; others say nothing about the notes."""
    if name == "T":
        tune.title = tune.title or printable(value)
    elif name == "L":
        tune.unit = 4 * Fraction(*_read_pair(tune, "A unit of length", value if "/" in value else f"{value}/1"))
    elif name == "M":
        known = {"C": "4/4", "C|": "2/2", "none": "4/4", "": "4/4"}
        tune.meter = tune.meters[tune.now] = _read_pair(tune, "A meter", known.get(value, value))
    elif name == "Q" and "=" in value:
        tune.tempos[tune.now] = _read_tempo(tune, value)
    elif name == "K":
        tune.key = _read_key(value, tune.name)
    elif name == "V" and value.split()[:1] not in (["1"], []):
        raise ValueError(f"A tune must have one voice; {tune.name} has several.")


def _read_pair(tune: _Tune, what: str, written: str) -> tuple[int, int]:
    """Return the two numbers of a fraction such as 6/8."""
    pair = re.fullmatch(r"([1-9][0-9]{0,4})/([1-9][0-9]{0,4})", written)
    if pair is None:
        raise ValueError(
            f"{what} must be a fraction of numbers of at most 5 digits, such as 3/4; {tune.name} has "
            f"{shown(written, 30)!r}."
        )
    return int(pair[1]), int(pair[2])


def _read_tempo(tune: _Tune, value: str) -> float:
    """Return the quarters in a minute of a tempo such as 3/8=60, whose beat may be a sum, beside a word in quotes."""
    beat, _, n_beats = re.sub(r'"[^"]*"', "", value).partition("=")
    beats = beat.split() if beat.count("/") <= 4 else [beat]
    beat_quarters = 4 * sum(Fraction(*_read_pair(tune, "The beat of a tempo", each)) for each in beats)
    found = re.fullmatch(r"\s*(\d{1,5})\s*", n_beats)
    if found is None or not 0 < beat_quarters * int(found[1]) <= FASTEST_TEMPO:
        raise ValueError(
            f"A tempo must be a whole number of beats, up to {FASTEST_TEMPO} quarters a minute; {tune.name} has "
            f"{shown(value, 30)!r}."
        )
    return float(beat_quarters * int(found[1]))


def _read_count(tune: _Tune, digits: str) -> int:
    """Return how many units or parts of one a note lasts."""
    count = int(digits[:6])
    if not 0 < count < 100_000:
        raise ValueError(f"A length must lie in 1..99999; {tune.name} has {shown(digits, 30)}.")
    return count


def _read_key(value: str, name: str) -> dict[str, int]:
    """Return the alteration of each letter under a key such as "Em", "A Dorian" or "Hp" (the bagpipe's)."""
    plain = re.sub(r"\b(clef=[a-z]+(?![+-])|middle=\S*|stafflines=\S*)", "", value)  # what changes no pitch
    plain = {"Hp": "D", "HP": "D", "": "C", "none": "C"}.get(plain.strip(), plain)  # the bagpipe, and no key
    written = re.fullmatch(r"([A-G])([#b]?)\s*([A-Za-z]*)((?:\s*(?:\^\^|\^|__|_|=)[A-Ga-g])*)\s*", plain)
    mode = "maj" if written and written[3] == "M" else written[3][:3].lower() if written else None
    if mode not in _MODE_FIFTHS:
        raise ValueError(
            f"A key must be a letter, a mode and accidentals, such as G, A Dorian or D ^g; {name} has "
            f"{shown(value, 30)!r}."
        )
    fifths = _TONIC_FIFTHS[written[1]] + 7 * {"": 0, "#": 1, "b": -1}[written[2]] + _MODE_FIFTHS[mode]
    if not -7 <= fifths <= 7:
        raise ValueError(f"A key must have at most 7 sharps or flats; {name} has {shown(value, 30)!r}.")
    sharps, flats = "FCGDAEB"[: max(fifths, 0)], "BEADGCF"[: max(-fifths, 0)]
    own = re.findall(r"(\^\^|\^|__|_|=)([A-Ga-g])", written[4])  # as in "D Phr ^f"
    own_key = {letter.upper(): _ACCIDENTAL[sign] for sign, letter in own}
    return {**dict.fromkeys(sharps, 1), **dict.fromkeys(flats, -1), **own_key}


def _read_token(tune: _Tune, token: re.Match) -> None:
    """Take in one token of the music."""
    if token["letter"]:
        _read_note(tune, token)
    elif token["bar"]:
        tune.in_bar.clear()
        tune.first_bar = tune.now if tune.first_bar is None and tune.now else tune.first_bar
    elif token["broken"]:
        _break_rhythm(tune, token["broken"])
    elif token["tie"]:
        tune.is_tied = tune.last_is_note
    elif token["tuplet"]:
        n_notes = int(token["tuplet"])
        is_compound = tune.meter[0] % 3 == 0 and tune.meter[0] > 3
        n_units = int(token["units"] or _TUPLET_UNITS.get(n_notes, n_notes) or (3 if is_compound else 2))
        tune.tuplet = (int(token["count"] or n_notes), Fraction(n_units, n_notes or 1))
    elif token["unknown"]:
        found = token.string[token.start() : token.start() + 12]
        raise ValueError(
            f"A tune must have one note at a time, in signs that are known here; {tune.name} has {shown(found)!r}."
        )
    elif token["field"]:
        _read_field(tune, token["field"], token["value"].strip())


def _read_note(tune: _Tune, token: re.Match) -> None:
    """Take in a note or a rest."""
    _check_on_grid(tune)  # note by note: sums of odd fractions get slow
    duration = _duration(tune, token)
    letter, is_note = token["letter"], token["letter"] not in "zxZX"
    if is_note:
        place = letter + token["octave"]
        if token["accidental"]:
            tune.in_bar[place] = _ACCIDENTAL[token["accidental"]]
        name = letter.upper()
        octave = letter.islower() + token["octave"].count("'") - token["octave"].count(",")
        pitch = 60 + _NATURAL[name] + 12 * octave + tune.in_bar.get(place, tune.key.get(name, 0))
        if tune.is_tied and tune.notes[-1][2] == pitch:
            tune.notes[-1][1] += duration
        else:
            tune.notes.append([tune.now, duration, pitch])
    tune.now += duration
    tune.last_duration, tune.last_is_note, tune.is_tied = duration, is_note, False


def _duration(tune: _Tune, token: re.Match) -> Fraction:
    """Return the length of a note in quarters, with tuplet and broken rhythm; a bare slash halves."""
    unit = tune.unit or Fraction(1, 4 if Fraction(*tune.meter) < Fraction(3, 4) else 2)
    slashes = token["slashes"]
    divisor = 2 ** min(len(slashes), _HALVINGS)
    if slashes and token["divisor"]:
        divisor = _read_count(tune, token["divisor"])
    if token["letter"] in "ZX":  # rests of whole bars
        unit = Fraction(*tune.meter) * 4
    number = _read_count(tune, token["number"]) if token["number"] else 1
    duration = unit if number == divisor else unit * number / divisor  # most notes; arithmetic of fractions is slow
    if tune.next_factor != 1:
        duration, tune.next_factor = duration * tune.next_factor, Fraction(1)
    n_left, factor = tune.tuplet
    if n_left:
        duration *= factor
        tune.tuplet = (n_left - 1, factor)
    return duration


def _break_rhythm(tune: _Tune, signs: str) -> None:
    """Take from one note what another is given: ``>`` dots the note before, ``<`` the note behind."""
    short = Fraction(1, 2 ** min(len(signs), _HALVINGS))
    before, behind = (2 - short, short) if signs[0] == ">" else (short, 2 - short)
    change = tune.last_duration * (before - 1)
    tune.now += change
    if tune.last_is_note:
        tune.notes[-1][1] += change
    tune.next_factor = behind


def _to_piece(tune: _Tune) -> music.Piece:
    """Put what was read on the grid."""
    grid = music.DEFAULT_STEPS_PER_QUARTER
    if not tune.notes:
        raise ValueError(f"A tune needs at least one note; {tune.name} has none.")
    _check_on_grid(tune)
    if tune.now / LONGEST_HOURS > 60 * min(tune.tempos.values()):
        raise ValueError(f"A tune must play for at most {LONGEST_HOURS} hours; {tune.name} plays for longer.")
    meters = []
    for start, (numerator, denominator) in sorted(tune.meters.items()):
        bar = Fraction(numerator * 4, denominator)
        is_upbeat = int(start * grid) == 0 and tune.first_bar is not None and tune.first_bar < bar
        meters.append(music.Meter(int((tune.first_bar - bar if is_upbeat else start) * grid), numerator, denominator))
        meters[-1].bar_length_step(grid)  # refuses a bar of half a step
    return music.Piece(
        music.make_notes(
            *zip(*((int(on * grid), int(length * grid), pitch) for on, length, pitch in tune.notes), strict=True)
        ),
        meters=tuple(meters),
        tempos=tuple(music.Tempo(int(start * grid), each) for start, each in sorted(tune.tempos.items())),
        parts=(music.Part(name="melody"),),
        n_steps=int(tune.now * grid),
        title=tune.title,
    )


def _check_on_grid(tune: _Tune) -> None:
    """Refuse a border of two notes between the steps."""
    grid = music.DEFAULT_STEPS_PER_QUARTER
    if grid % tune.now.denominator:
        raise ValueError(
            f"Every note must lie on the grid of {grid} steps a quarter; {tune.name} has one that does not."
        )


def read_abc(text: str) -> music.Piece:
    r"""Read one tune, from ``X:`` to its last bar: one part at 24 steps a quarter; a short first bar is an upbeat.

    Accidentals hold to the end of their bar, for their octave. Ties are merged; grace notes, ornaments and chord names
    are left out. Refused is a tune with chords or several voices, an unknown key, no notes, or a note off the grid. A
    tempo without a beat (Q:120, or a word alone) is passed over.

    >>> read_abc("X:1\nT:Scale\nL:1/8\nK:G\nG>A B2|").notes[["onset_step", "duration_step", "pitch"]].tolist()
    [(0, 18, 67), (18, 6, 69), (24, 24, 71)]
    """
    check_text("A tune", text, 'Decode bytes with data.decode("utf-8", errors="replace").')
    if len(text) > LONGEST_TEXT:
        raise ValueError(
            f"A tune must have at most {LONGEST_TEXT} characters; found {len(text)}. Use split_tunes first."
        )
    tune, body, is_typeset, is_over = _Tune(), [], False, False
    for line in _lines(text):
        is_typeset = (is_typeset or line.startswith("%%begin")) and not line.startswith("%%end")
        is_over = is_over or (bool(body) and not is_typeset and not line.strip())  # free text may follow an empty line
        written = line.split("%")[0].rstrip()
        header = re.match(r"([A-Za-z+]):(?![|:])(.*)", written)
        if tune.key is not None and header and header[1] == "X":
            raise ValueError(f"A tune must be one; behind {tune.name} begins another. Use split_tunes first.")
        if is_typeset or is_over or (tune.key is None and header is None):
            continue  # words about the tune
        if tune.key is None:
            _read_field(tune, header[1], header[2].strip())
        else:  # a field between two lines of music is read in its place
            body.append(f"[{header[1]}:{re.sub(r'[][]', ' ', header[2])}]" if header else written)
    if tune.key is None:
        raise ValueError(f"A tune needs its key, a line such as K:G; {tune.name} has none.")
    for token in _TOKEN.finditer("\n".join(body)):
        _read_token(tune, token)
    return _to_piece(tune)


def _lines(text: str) -> list[str]:
    """Return the lines of a text whose program may have marked their ends, and its beginning, in its own way."""
    return re.split(r"\r\n?|\n", text.removeprefix("\ufeff"))


def split_tunes(text: str) -> list[str]:
    r"""Split a file of tunes at its ``X:`` lines.

    >>> split_tunes("% a book\nX:1\nK:G\nG|\nX:2\nK:D\nD|")
    ['X:1\nK:G\nG|', 'X:2\nK:D\nD|']
    """
    check_text("A file of tunes", text, 'Decode bytes with data.decode("utf-8", errors="replace").')
    if len(text) > LONGEST_BOOK:
        raise ValueError(
            f"A file of tunes must have at most {LONGEST_BOOK} characters; found {len(text)}. Cut it at an empty line."
        )
    tunes = re.split(r"^(?=X:)", "\n".join(_lines(text)), flags=re.MULTILINE)
    return [tune.strip() for tune in tunes if tune.startswith("X:")]


# Folk tunes from the reader's own music21.

#: The collections that ``load_tunes`` reads, and what their files say about rights.
TUNE_COLLECTIONS = {
    "airdsAirs": "Aird's Airs (Glasgow, 1778 and later). The music is in the public domain. Transcribed by Jack "
    "Campin, 2009; the files state no licence: use them from music21, do not redistribute them.",
    "oneills1850": "O'Neill's Music of Ireland (Chicago, 1903). The music is in the public domain. Transcribed by "
    "volunteers who are named in the files; no licence is stated: use them from music21, do not redistribute them.",
    "ryansMammoth": "Ryan's Mammoth Collection (Boston, 1883). The music is in the public domain. Contributed by Ray "
    "Davies; the files state no licence: use them from music21, do not redistribute them.",
}
#: Raise this when the reader changes what it returns, so that old cache files are not used.
READER_VERSION = 4


def load_tunes(collection: str = "airdsAirs", cache: bool = True) -> list[music.Piece]:
    """Load the tunes of a collection in ``TUNE_COLLECTIONS`` as melodies, in the order of the files.

    They are read by ``read_abc``, and those that it refuses are left out (40 of 1,180 of "airdsAirs" in music21
    10.5.1). music21 also holds the Essen folk songs; they may be used for non-commercial ends only, so this book does
    not read them.

    >>> load_tunes("airdsAirs")[0].title
    'The Ranting Highlandman.'
    """
    check_choice("A collection of tunes", collection, TUNE_COLLECTIONS, "tunes.TUNE_COLLECTIONS says what each is.")
    paths = music21_files(collection, ".abc")
    if not cache:
        return _read_collection(paths)[0]
    key = files.digest(str(READER_VERSION), str(paths[0].parent), state_of(paths))
    make = functools.partial(_read_collection, paths)
    return files.cached(f"tunes-{collection}-{key}.npz", make, pack_pieces, unpack_pieces)


def _read_collection(paths: list[Path]) -> tuple[list[music.Piece], bool]:
    """Read the tunes in some files, and return whether all files could be read."""
    found, is_all = read_each(paths, lambda _, data: _read_tunes(data.decode("utf-8", errors="replace")))
    tunes = [tune for each in found for tune in each]
    check_some(len(tunes), "At least one tune of music21 must be as it was installed", "Install music21 again.")
    return tunes, is_all


def _read_tunes(text: str) -> list[music.Piece]:
    """Return the tunes in a text that ``read_abc`` takes."""
    tunes = []
    for tune in split_tunes(text):
        with contextlib.suppress(ValueError):
            tunes.append(read_abc(tune))
    return tunes
