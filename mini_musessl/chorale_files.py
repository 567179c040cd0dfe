"""Read one four-part chorale from MusicXML, without music21.

MusicXML lists notes measure by measure with durations counted in ``divisions`` of a quarter. The reader walks through
each voice once, keeps note, tie and fermata, samples the voices on the grid of sixteenths, and notes in which order the
measures are played when repeats are taken.

Chapter: 3a (pitch, rhythm and harmony as arrays).
"""

import io
import re
import zipfile
from dataclasses import dataclass, field
from xml.etree import ElementTree

import numpy as np

from mini_musessl import voices
from mini_musessl.checks import shown

STEPS_PER_QUARTER = 4
#: The longest chorale has 1,088 steps, and its file 1.4 million bytes.
LARGEST_SCORE, LONGEST_STEPS = 3_000_000, 20_000
#: The fields of a grid that are arrays, and those that are not.
CELLS = ("pitch", "is_onset", "is_fermata", "bar_position_step")
METADATA = ("steps_per_quarter", "meter", "quarters_per_minute", "fifths", "mode", "name", "title")
_SEMITONES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}


@dataclass(frozen=True)
class WrittenChorale:
    """A chorale as it is written, and the order in which its measures are played."""

    grid: voices.VoiceGrid  # the written score, each measure once
    played_step: np.ndarray  # int32 (n_spans, 2): start and stop of each run of measures, in the order of playing
    is_tied_on: np.ndarray  # bool (n_spans, 4): True where a tie leads out of the run's last note of a voice
    is_clean: bool  # the file holds exactly four voices, no grace notes, and every note lies on the grid


@dataclass
class _Voice:
    """What one part holds, times counted in the file's divisions of a quarter."""

    divisions: int
    notes: list[list] = field(default_factory=list)  # [start, end, pitch, has_fermata]
    measure_start: list[int] = field(default_factory=list)
    end: int = 0
    n_grace: int = 0
    tie_end: set[int] = field(default_factory=set)

    def step(self, time: int) -> int:
        """Return the first step that begins at or after a time."""
        return -(-time * STEPS_PER_QUARTER // self.divisions)

    def is_on_grid(self) -> bool:
        """Return whether every note starts and ends on the grid."""
        return not any(time * STEPS_PER_QUARTER % self.divisions for note in self.notes for time in note[:2])


def _parse(data: bytes) -> ElementTree.Element:
    """Return the root of a MusicXML file, zipped or plain."""
    if data[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(member.file_size for member in archive.infolist()) > LARGEST_SCORE:
                raise ValueError(f"it unpacks to more than {LARGEST_SCORE} bytes")
            container = archive.read("META-INF/container.xml").decode()
            data = archive.read(re.search('full-path="([^"]+)"', container)[1])
    if len(data) > LARGEST_SCORE:
        raise ValueError(f"it has more than {LARGEST_SCORE} bytes")
    root = ElementTree.fromstring(data)
    if root.tag != "score-partwise":
        raise ValueError(f"it holds <{root.tag}>, not a partwise score")
    return root


def _choose_voices(root: ElementTree.Element) -> list[ElementTree.Element] | None:
    """Return the parts of soprano, alto, tenor and bass, or None."""
    names = {item.get("id"): (item.findtext("part-name") or "").strip().lower() for item in root.iter("score-part")}
    # "Soprano Oboe 1" is the soprano; "Bass Continuo" the bass.
    found = [[p for p in root.findall("part") if names[p.get("id")].startswith(voice)] for voice in voices.SATB]
    return [parts[0] for parts in found] if all(found) else None


def _read_voice(part: ElementTree.Element) -> _Voice:
    """Walk through a part, measure by measure, and collect its notes."""
    (divisions,) = {int(item.text) for item in part.findall("measure/attributes/divisions")}  # one unit for all
    voice, now, written, latest = _Voice(divisions), 0, [], LONGEST_STEPS * divisions
    for measure in part.iter("measure"):
        furthest = now
        voice.measure_start.append(now)
        for item in measure:
            if item.tag == "note" and item.find("grace") is not None:
                voice.n_grace += 1
            elif item.tag in ("note", "forward", "backup"):
                start, duration = now, int(item.findtext("duration"))
                now += -duration if item.tag == "backup" else duration
                if duration < 0 or not 0 <= now <= latest or item.find("chord") is not None:
                    raise ValueError(f"a {item.tag} that is no single note of a melody leads to {now}/{divisions}")
                if item.tag == "note":
                    written.append((start, now, item))
                    voice.end = now  # with the last note or rest: a silent skip behind it is not music
            furthest = max(furthest, now)
        now = furthest
    _join_ties(voice, written)
    return voice


def _join_ties(voice: _Voice, written: list[tuple[int, int, ElementTree.Element]]) -> None:
    """Add the written notes to a voice; a note at the end of a tie lengthens the one before it."""
    notes = voice.notes
    for start, end, item in written:
        if notes and start < notes[-1][1]:
            raise ValueError(f"two notes of one voice sound at once at {start}/{voice.divisions}")
        place = item.find("pitch")
        if place is None:
            continue  # a rest
        pitch = _SEMITONES[place.findtext("step")] + 12 * (int(place.findtext("octave")) + 1)
        pitch += round(float(place.findtext("alter") or 0))
        has_fermata = item.find("notations/fermata") is not None
        ties = [tie.get("type") for tie in item.findall("tie")]
        if "start" in ties:
            voice.tie_end.add(end)
        if "stop" in ties and notes and notes[-1][1] == start and notes[-1][2] == pitch:
            notes[-1][1] = end
            notes[-1][3] |= has_fermata
        else:
            notes.append([start, end, pitch, has_fermata])


def _sample(read: list[_Voice], n_steps: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return pitch, onsets and fermatas at the beginning of every step."""
    pitch = np.full((n_steps, len(read)), voices.REST, np.int16)
    is_onset = np.zeros(pitch.shape, bool)
    is_fermata = np.zeros(n_steps, bool)
    for column, voice in enumerate(read):
        for start, end, sounding, has_fermata in voice.notes:
            first, stop = voice.step(start), voice.step(end)
            if first < stop:  # else the note lies between the beginnings of two steps
                pitch[first:stop, column] = sounding
                is_onset[first, column] = True
                is_fermata[first:stop] |= has_fermata
    return pitch, is_onset, is_fermata


def _bar_positions(measures: list[ElementTree.Element], edges: list[int]) -> tuple[tuple[int, int], np.ndarray]:
    """Return the first meter and the position in the bar of every step.

    A measure that is too short and stands first, or first in a new meter, is an upbeat and ends on the bar line.
    Another that fits behind a short one goes on with its bar: so a bar split by a repeat sign is counted through.
    """
    position = np.zeros(edges[-1], np.int16)
    meter, first_meter, reached = (4, 4), None, 0
    for index, measure in enumerate(measures):
        time, is_new = measure.find("attributes/time"), index == 0
        if time is not None:
            written = int(time.findtext("beats")), int(time.findtext("beat-type"))
            is_new |= written != meter
            meter = written
            first_meter = first_meter or meter
        bar = meter[0] * 4 * STEPS_PER_QUARTER // meter[1]
        if not 1 <= bar <= LONGEST_STEPS:
            raise ValueError(f"a bar in {meter[0]}/{meter[1]} has {bar} steps")
        length = edges[index + 1] - edges[index]
        fits = reached + length <= bar
        begin = max(bar - length, 0) if is_new else reached * fits
        position[edges[index] : edges[index + 1]] = (begin + np.arange(length)) % bar
        reached = (begin + length) % bar
    return first_meter or meter, position


def _key_and_tempo(root: ElementTree.Element, part: ElementTree.Element) -> dict:
    """Return the first key signature, its mode and the first tempo, as fields of a grid."""
    key = part.find("measure/attributes/key")
    sound = root.find("part/measure/sound[@tempo]")
    found: dict = {} if sound is None else {"quarters_per_minute": float(sound.get("tempo"))}
    if key is not None:
        found |= {"fifths": int(key.findtext("fifths")), "mode": key.findtext("mode")}
    return found


def _played_steps(measures: list[ElementTree.Element], edges: list[int]) -> np.ndarray:
    """Return start and stop of every run of measures that is played without a jump."""
    order: list[int] = []
    begin = 0
    for index, measure in enumerate(measures):
        directions = [mark.get("direction") for mark in measure.iter("repeat")]
        if "forward" in directions:
            begin = index
        order.append(index)
        if "backward" in directions:
            order += [again for again in range(begin, index + 1) if not _is_first_ending(measures[again])]
            begin = index + 1
    spans: list[list[int]] = []
    for start, stop in ((edges[index], edges[index + 1]) for index in order):
        if spans and spans[-1][1] == start:
            spans[-1][1] = stop
        else:
            spans.append([start, stop])
    return np.array(spans, np.int32)


def _is_first_ending(measure: ElementTree.Element) -> bool:
    """Return whether a measure stands under the bracket of the first ending (the only volta holds one measure)."""
    return any(ending.get("number") == "1" for ending in measure.iter("ending"))


def read_chorale(data: bytes, name: str = "", title: str = "") -> WrittenChorale | None:
    """Read a chorale from the bytes of a .mxl or .xml file; None if it has no soprano, alto, tenor and bass.

    The four are the first part each whose name begins so; instruments and a second soprano are left out. Notes off the
    grid of sixteenths are sampled: a step holds the pitch that sounds as it begins. Ties are merged and grace notes
    left out.
    """
    try:
        return _read(_parse(data), name, title)
    except Exception as error:  # a score can be wrong in a hundred ways, and none of them is worth a check of its own
        raise ValueError(
            f"A chorale must be a MusicXML file such as music21's; {shown(name) or 'this one'} cannot be read "
            f"({type(error).__name__}: {shown(error)}). Install music21 again if it is one of its files."
        ) from None


def _read(root: ElementTree.Element, name: str, title: str) -> WrittenChorale | None:
    """Do what ``read_chorale`` says."""
    parts = _choose_voices(root)
    if parts is None:
        return None
    read = [_read_voice(part) for part in parts]
    soprano = parts[0].findall("measure")
    if not (n_steps := max(voice.step(voice.end) for voice in read)):
        raise ValueError("it holds no notes")
    edges = [*map(read[0].step, read[0].measure_start), n_steps]
    meter, position = _bar_positions(soprano, edges)
    cells = (*_sample(read, n_steps), position)
    grid = voices.VoiceGrid(*cells, STEPS_PER_QUARTER, meter, name=name, title=title, **_key_and_tempo(root, parts[0]))
    played_step = _played_steps(soprano, edges)
    tied_step = [set(map(voice.step, voice.tie_end)) for voice in read]
    is_tied_on = np.array([[stop in steps for steps in tied_step] for _, stop in played_step.tolist()])
    has_four_parts = len(root.findall("part")) == 4
    is_clean = has_four_parts and all(voice.is_on_grid() and not voice.n_grace for voice in read)
    return WrittenChorale(grid, played_step, is_tied_on, is_clean)


def expand(chorale: WrittenChorale) -> voices.VoiceGrid:
    """Return the grid with its repeats played out.

    At the place of a jump every note is struck, unless a tie leads to it: bwv8.6 ties a note into both of its endings.
    """
    spans = chorale.played_step.tolist()
    if spans == [[0, chorale.grid.n_steps]]:
        return chorale.grid
    grids = [voices.cut(chorale.grid, start, stop) for start, stop in spans]
    for before, after, is_tied in zip(grids[:-1], grids[1:], chorale.is_tied_on[:-1], strict=True):
        after.is_onset[0] &= ~(is_tied & (before.pitch[-1] == after.pitch[0]))
    arrays = {name: np.concatenate([getattr(grid, name) for grid in grids]) for name in CELLS}
    return voices.VoiceGrid(**arrays, **{name: getattr(chorale.grid, name) for name in METADATA})
