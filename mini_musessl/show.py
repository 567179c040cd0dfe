"""One call that lets music be heard, seen and read about: player, piano roll, description, and a score on request.

Chapter: 00 (the road in five minutes).
"""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
from jaxtyping import Bool

from mini_musessl import checks
from mini_musessl import music as notes_on_a_grid
from mini_musessl.audio import SAMPLE_RATE, fade_out, normalize, synthesize, to_mp3
from mini_musessl.harmony import chroma, find_key, key_from_signature
from mini_musessl.music import Piece, bar_lines_step, steps_to_sec
from mini_musessl.plotting import Picture, image, pitch_name
from mini_musessl.rolls import ROLL_LEFT, ROLL_RIGHT, Mark, fitting_range, piano_roll_svg
from mini_musessl.takes import Take, make_takes, seconds
from mini_musessl.voices import VoiceGrid, as_performed

#: Longest clip on a page unless asked otherwise.
MAX_SEC = 15.0

_FADE_SEC = 0.8
_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


@dataclass(frozen=True, repr=False)
class Shown(Picture):
    """Music as a notebook displays it: ``html`` with player and pictures, ``says`` as the words that stand for it."""


def show(
    music: Piece | VoiceGrid | Mapping[str, Piece | VoiceGrid],
    says: str | None = None,
    score: bool | str = False,
    max_sec: float = MAX_SEC,
    title: str | None = None,
    *,
    bring_out: str | tuple[str, ...] | None = None,
    marks: list[tuple] | Mapping[str, list[tuple]] = (),
    hidden: Bool[np.ndarray, "n_steps n_voices"] | Mapping[str, np.ndarray] | None = None,
) -> Shown:
    """Show music as a player, a piano roll and one sentence that describes it; two to four takes of it from a dict.

    Fermatas are held (see ``voices.as_performed``). Music longer than ``max_sec`` is cut after a fermata in the second
    half of that time, and its chord rings; else at a bar line there, or at a step where no bar line is near, and it
    fades out. Where it begins with a rest of more than half that time, the clip begins with the bar of the first note.
    The description says so. The bytes are the same on every run.

    Takes share one pitch axis and one time axis. On the book's pages buttons choose the take; elsewhere each stands
    below the one before.

    Args:
        says: a sentence of your own; it becomes the caption, and the description follows it in the alternative text.
        score: True adds the music in staff notation (a VoiceGrid, and verovio installed); "chords" names its chords.
        max_sec: longest clip in seconds, at most 60.
        title: a line above the piano roll.
        bring_out: names of voices that sound 6 dB above the others and brighter; the others are drawn pale.
        marks: (step, "text"), or (step, "text", names of voices) for a bracket; for takes also a dict by name.
        hidden: True for cells that were hidden or filled, drawn hatched; for takes also a dict by name.

    >>> from mini_musessl import voices
    >>> show(voices.from_pitches([[67, 64, 60, 48]] * 16), says="A chord of C.")
    A chord of C. Four voices, 1 bar of 4/4, 3 seconds, C3 to G4.
    """
    _check_request(score, max_sec)
    takes, own, bring_out = make_takes(music, max_sec, marks, hidden), _sentence(says), bring_out or ()
    clips, axis_sec = [take.clip for take in takes], max(take.seconds for take in takes)
    roll = {"title": title or "", "pitch_range": fitting_range(*clips), "axis_sec": axis_sec, "bring_out": bring_out}
    told = [" ".join(filter(None, [take.name and f"{take.name}:", *_facts(take, bring_out)])) for take in takes]
    inside = ""
    for take, facts in zip(takes, told, strict=True):
        about = facts if take.name else f"{own} {facts}".lstrip()
        drawn = _pictures(take, about, score, roll)
        drawn += _player(_sound(take, bring_out), take.name or title or own or describe(take.music))
        inside += _named(take.name, drawn) if take.name else drawn
    data = f' data-roll-left="{ROLL_LEFT}" data-roll-right="{ROLL_RIGHT}" data-seconds="{axis_sec:.3f}"'
    return Shown(_figure(inside, _caption(takes, own), data), " ".join(filter(None, [own, *told])))


def show_audio(
    samples: np.ndarray, sample_rate: int = SAMPLE_RATE, says: str = "", is_normalized: bool = True
) -> Shown:
    """Show sound of at most 60 s as a player and the words that stand for it.

    Args:
        says: what is heard; required.
        is_normalized: True brings the sound to the book's loudness; False plays it as it is.
    """
    if not isinstance(says, str) or not says.strip():
        raise ValueError(f"Sound needs words that stand for it; found {says!r}. Say what a listener would hear.")
    checks.whole_number("sample_rate", sample_rate, 1, advice="22050 is the default.")
    samples = np.asarray(samples)
    if samples.ndim == 1 and len(samples) > 60 * sample_rate:
        raise ValueError(
            f"Sound on a page lasts at most 60 s; this lasts {len(samples) / sample_rate:.0f} s. Choose a part of it."
        )
    sound = normalize(samples, sample_rate) if is_normalized else samples
    return Shown(_figure(_player(sound, says, sample_rate), says, ""), says.strip())


def describe(music: Piece | VoiceGrid) -> str:
    """Describe music in one sentence: name, parts, length as played, key or meter, range.

    A chorale is named by its title, where that is known, and its number in the catalogue of Bach's works.

    >>> from mini_musessl import voices
    >>> describe(voices.from_pitches([[67, 64, 60, 48]] * 16, fifths=0, mode="major", name="bwv355"))
    'BWV 355: four voices, 1 bar of 4/4 in C major, 3 seconds, C3 to G4.'
    """
    piece, name = as_performed(music), ", ".join(_names(music))
    pitches = piece.notes["pitch"][~notes_on_a_grid.is_drum_note(piece)]
    ends = [pitch_name(int(end(pitches)), getattr(music, "fifths", None)) for end in (np.min, np.max) if len(pitches)]
    span = "no pitch" if not ends else f"only {ends[0]}" if ends[0] == ends[1] else " to ".join(ends)
    sentence = (
        f"{_says_parts(music, piece)}, {_says_bars(piece)}{_says_key(music)}, {_says_seconds(seconds(piece))}, {span}."
    )
    return checks.printable(f"{name}: {sentence}" if name else sentence[0].upper() + sentence[1:])


def _names(music: Piece | VoiceGrid) -> list[str]:
    """Return title and number of a chorale, or what other music is called; nothing that the music does not say."""
    title, name = checks.shown(music.title), checks.shown(getattr(music, "name", ""))
    number = re.fullmatch(r"bwv(\d.*)", name)
    has_title = title and not (number and title.startswith("BWV"))  # the list of hymns lacks some titles
    names = ([f"\u201c{title}\u201d"] if has_title else []) + ([f"BWV {number[1]}"] if number else [])
    return names or ([name] if name else [])


def _check_request(score: bool | str, max_sec: float) -> None:
    """Refuse what cannot be shown, before anything is made."""
    checks.check_choice("score", score, (False, True, "chords"))
    if not 0 < checks.real_number("max_sec", max_sec) <= 60:
        raise ValueError(f"max_sec must be above 0 and at most 60 seconds; found {max_sec}. 15 keeps a page small.")


def _sound(take: Take, bring_out: str | tuple[str, ...]) -> np.ndarray:
    """Return the sound of a take; what is cut in the middle of a line fades out instead of ringing on."""
    sound = synthesize(take.clip, bring_out=bring_out)
    return fade_out(sound[: int(take.seconds * SAMPLE_RATE)], _FADE_SEC) if take.is_faded else sound


def _pictures(take: Take, about: str, score: bool | str, roll: dict[str, Any]) -> str:
    """Return the piano roll of a take, and the score where it is asked for."""
    svg = piano_roll_svg(take.clip, marks=take.marks, hidden=take.hidden, **roll)
    roll_image = image(svg.encode(), "image/svg+xml", f"Piano roll. {about}")
    if not score:
        return roll_image
    if not isinstance(take.clip, VoiceGrid):
        raise TypeError(
            f"A score needs a voices.VoiceGrid; found {type(take.clip).__name__}. "
            "voices.from_piece makes one where each part is a voice."
        )
    from mini_musessl.notation import to_svg

    return roll_image + image(
        to_svg(take.clip, has_chords=score == "chords").encode(), "image/svg+xml", f"Score. {about}"
    )


# --- Words


def _facts(take: Take, bring_out: str | tuple[str, ...]) -> list[str]:
    """Return the sentences that describe a take: the music, the cut, marks, hidden cells, voices brought out."""
    marked = "; ".join(_says_mark(mark, take) for mark in take.marks)
    n_hidden = 0 if take.hidden is None else int(take.hidden.sum())
    names = (bring_out,) if isinstance(bring_out, str) else bring_out
    facts = {
        "": describe(take.music) + f" {_says_cut(take)}".rstrip(),
        "Marked": marked,
        "Hatched": f"{n_hidden} hidden cells of {take.hidden.size}" if n_hidden else "",
        "Brought out": ", ".join(names),
    }
    return [f"{what}: {fact}." if what else fact for what, fact in facts.items() if fact]


def _says_mark(mark: Mark, take: Take) -> str:
    """Return the text of a mark with its time and its voices."""
    at_sec = float(steps_to_sec(as_performed(take.clip), mark.step))
    names = f" ({', '.join(mark.voices)})" if mark.voices else ""
    return f"\u201c{mark.text}\u201d at {at_sec:.1f} s{names}"


def _says_cut(take: Take) -> str:
    """Return what of the music is heard, where it is not all."""
    length = _says_seconds(take.seconds)
    played = f"{length} from second {take.start_sec:.0f} on" if take.start_sec else f"the first {length}"
    return f"Shown and played: {played}." if take.is_cut else ""


def _called(takes: list[Take], own: str) -> list[str]:
    """Return what takes are called and the sentence does not say: once for all, or for each that has a name."""
    unsaid = {
        take.name: ", ".join(name for name in _names(take.music) if name.strip("\u201c\u201d") not in own)
        for take in takes
        if isinstance(take.music, VoiceGrid)
    }
    if len(unsaid) == len(takes) and len(set(unsaid.values())) == 1:
        unsaid = {"": unsaid[takes[0].name]}
    return [f"{take}: {names}.".lstrip(": ") for take, names in unsaid.items() if names]


def _caption(takes: list[Take], own: str) -> str:
    """Return the reader's sentence with what takes are called, or the descriptions; and what was cut."""
    said = (
        [own, *_called(takes, own)] if own else [f"{take.name}: {describe(take.music)}".lstrip(": ") for take in takes]
    )
    cuts = {f"{take.name}: {_says_cut(take)}".lstrip(": "): take for take in takes if take.is_cut}
    is_same = len({_says_cut(take) for take in takes}) == 1
    return " ".join([*said, *([_says_cut(takes[0])] if is_same else cuts)]).strip()


def _says_parts(music: Piece | VoiceGrid, piece: Piece) -> str:
    """Return how many voices or parts there are, with the names of a few parts."""
    noun = "voice" if isinstance(music, VoiceGrid) else "part"
    names = [part.name for part in piece.parts if part.name]
    named = f" ({', '.join(names)})" if noun == "part" and 0 < len(names) <= 4 else ""
    return _count(len(piece.parts), noun, in_words=True) + named


def _says_bars(piece: Piece) -> str:
    """Return how many bars there are, the upbeat apart, and the meter."""
    lines = bar_lines_step(piece)
    upbeat = " and an upbeat" if len(lines) and lines[0] > 0 else ""
    meters = " of changing meter" if len({(m.numerator, m.denominator) for m in piece.meters}) > 1 else ""
    first = piece.meters[0]
    return f"{_count(len(lines), 'bar')}{meters or f' of {first.numerator}/{first.denominator}'}{upbeat}"


def _says_key(music: Piece | VoiceGrid) -> str:
    """Return the key where its signature and its notes agree on one; a Dorian tune has the signature of another."""
    if not isinstance(music, VoiceGrid) or music.fifths is None or music.mode not in ("major", "minor"):
        return ""
    written, amount = key_from_signature(music.fifths, music.mode), chroma(music)
    return f" in {written}" if amount.any() and str(find_key(amount)) == str(written) else ""


def _says_seconds(sec: float) -> str:
    """Return a length in whole seconds, or with one decimal below two."""
    return f"{sec:.1f} seconds" if sec < 2 else f"{sec:.0f} seconds"


def _count(n: int, noun: str, in_words: bool = False) -> str:
    """Return a number with its noun."""
    number = _NUMBERS[n] if in_words and n < len(_NUMBERS) else str(n)
    return f"{number} {noun}{'' if n == 1 else 's'}"


def _sentence(says: str | None) -> str:
    """Return the reader's sentence with a full stop, so that another can follow."""
    if says is not None and not isinstance(says, str):
        raise TypeError(f"says must be a sentence; found {says!r}.")
    says = (says or "").strip()
    return says if not says or says[-1] in ".?!:" else f"{says}."


# --- HTML


def _named(name: str, drawn: str) -> str:
    """Return one of several takes under its name; takes.js of the book turns them into one player with buttons."""
    name = escape(name)
    return (
        f'<div class="musessl-take" role="group" aria-label="{name}" style="margin:0 0 12px">'
        f'<p style="margin:4px 0"><strong>{name}</strong></p>{drawn}</div>'
    )


def _player(sound: np.ndarray, name: str, sample_rate: int = SAMPLE_RATE) -> str:
    """Return a player that carries its sound, named for those who hear the page instead of seeing it."""
    data = base64.b64encode(to_mp3(sound, sample_rate)).decode()
    return (
        f'<audio controls aria-label="Player: {escape(name.strip())}" '
        f'preload="metadata" src="data:audio/mpeg;base64,{data}" '
        'style="width:100%;max-width:600px;display:block;margin:4px 0"></audio>'
    )


def _figure(inside: str, caption: str, facts: str) -> str:
    """Return the HTML of a figure with its caption; styles stand inline, since notebooks drop style sheets."""
    return (
        f'<figure class="musessl-music"{facts} style="margin:8px 0;max-width:100%">{inside}'
        f'<figcaption style="max-width:600px;text-align:left">{escape(caption.strip())}</figcaption></figure>'
    )
