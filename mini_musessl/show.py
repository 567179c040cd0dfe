"""One call that lets music be heard, seen and read about: player, piano roll, description, and a score on request.

Chapter: 00 (the road in five minutes).
"""

import base64
from dataclasses import dataclass
from html import escape

import numpy as np

from mini_musessl import checks, voices
from mini_musessl import music as notes_on_a_grid
from mini_musessl.audio import SAMPLE_RATE, fade_out, normalize, synthesize, to_mp3
from mini_musessl.harmony import key_from_signature
from mini_musessl.music import Piece, bar_lines_step, bar_position_step, sec_to_steps, steps_to_sec
from mini_musessl.plotting import ROLL_LEFT, ROLL_RIGHT, Picture, image, piano_roll_svg, pitch_name
from mini_musessl.voices import VoiceGrid, as_piece

#: Longest clip on a page unless asked otherwise.
MAX_SEC = 15.0

_FADE_SEC = 0.8
_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


@dataclass(frozen=True, repr=False)
class Shown(Picture):
    """Music as a notebook displays it: ``html`` with player and pictures, ``says`` as the words that stand for it."""


def show(
    music: Piece | VoiceGrid,
    says: str | None = None,
    score: bool = False,
    max_sec: float = MAX_SEC,
    title: str | None = None,
) -> Shown:
    """Show music as a player, a piano roll and one sentence that describes it.

    Music longer than ``max_sec`` is cut at a bar line before it, or at a step where no bar line is near, and fades out;
    where it begins with a rest of more than half that time, the clip begins with the bar of the first note. The
    description says so. The bytes are the same on every run.

    Args:
        says: a sentence of your own; it becomes the caption, and the description follows it in the alternative text.
        score: True adds the music in staff notation (a VoiceGrid, and verovio installed).
        max_sec: longest clip in seconds, at most 60.
        title: a line above the piano roll.

    >>> show(voices.from_pitches([[67, 64, 60, 48]] * 16), says="A chord of C.")
    A chord of C. Four voices, 1 bar of 4/4, 3 seconds, C3 to G4.
    """
    _check_request(music, score, max_sec)
    clip, start_sec = _cut(music, max_sec)
    is_cut, length = clip is not music, _says_seconds(_seconds(clip))
    played = f"{length} from second {start_sec:.0f} on" if start_sec else f"the first {length}"
    cut = f"Shown and played: {played}." if is_cut else ""
    whole, own = describe(music), _sentence(says)
    description = " ".join(filter(None, [own, whole, cut]))
    facts = f' data-roll-left="{ROLL_LEFT}" data-roll-right="{ROLL_RIGHT}" data-seconds="{_seconds(clip):.3f}"'
    inside = _pictures(clip, description, score, title or "")
    inside += _player(_sound(clip, is_cut), title or own or whole)
    return Shown(_figure(inside, " ".join(filter(None, [own or whole, cut])), facts), description)


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
    """Describe music in one sentence: name, parts, length, key or meter, range.

    >>> describe(voices.from_pitches([[67, 64, 60, 48]] * 16, fifths=0, mode="major", name="demo"))
    'demo: four voices, 1 bar of 4/4 in C major, 3 seconds, C3 to G4.'
    """
    piece = as_piece(music)
    name = checks.shown(music.title or music.name if isinstance(music, VoiceGrid) else music.title)
    pitches = piece.notes["pitch"][~notes_on_a_grid.is_drum_note(piece)]
    ends = [pitch_name(int(end(pitches)), getattr(music, "fifths", None)) for end in (np.min, np.max) if len(pitches)]
    span = "no pitch" if not ends else f"only {ends[0]}" if ends[0] == ends[1] else " to ".join(ends)
    sentence = (
        f"{_says_parts(music, piece)}, {_says_bars(piece)}{_says_key(music)}, {_says_seconds(_seconds(piece))}, {span}."
    )
    return checks.printable(f"{name}: {sentence}" if name else sentence[0].upper() + sentence[1:])


def _check_request(music: Piece | VoiceGrid, score: bool, max_sec: float) -> None:
    """Refuse what cannot be shown, before anything is made."""
    if not 0 < checks.real_number("max_sec", max_sec) <= 60:
        raise ValueError(f"max_sec must be above 0 and at most 60 seconds; found {max_sec}. 15 keeps a page small.")
    if len(as_piece(music).notes) == 0:
        raise ValueError("Music must have at least one note to be shown; found none. Is the cut all rests?")
    if score and not isinstance(music, VoiceGrid):
        raise TypeError(
            f"A score needs a voices.VoiceGrid; found {type(music).__name__}. "
            "voices.from_piece makes one where each part is a voice."
        )


def _sound(clip: Piece | VoiceGrid, is_cut: bool) -> np.ndarray:
    """Return the sound of a clip; one that was cut fades out instead of ringing on."""
    sound = synthesize(clip)
    return fade_out(sound[: int(_seconds(clip) * SAMPLE_RATE)], _FADE_SEC) if is_cut else sound


def _pictures(clip: Piece | VoiceGrid, description: str, score: bool, title: str) -> str:
    """Return the piano roll, and the score where it is asked for."""
    pictures = image(piano_roll_svg(clip, title).encode(), "image/svg+xml", f"Piano roll. {description}")
    if not score:
        return pictures
    from mini_musessl.notation import to_svg

    return pictures + image(to_svg(clip).encode(), "image/svg+xml", f"Score. {description}")


def _seconds(music: Piece | VoiceGrid) -> float:
    """Return the length in seconds."""
    piece = as_piece(music)
    return float(steps_to_sec(piece, piece.n_steps))


def _cut(music: Piece | VoiceGrid, max_sec: float) -> tuple[Piece | VoiceGrid, float]:
    """Return the beginning, at most ``max_sec`` long, and its time; a bar line in its second half ends it."""
    piece = as_piece(music)
    if _seconds(piece) <= max_sec:
        return music, 0.0
    start = _start(piece, max_sec)
    start_sec = float(steps_to_sec(piece, start))
    stop = min(int(sec_to_steps(piece, start_sec + max_sec)), piece.n_steps)
    stop = max(start + 1, stop - int(steps_to_sec(piece, stop) > start_sec + max_sec))
    line = stop - int(bar_position_step(piece, stop))
    stop = line if start < line and start + stop <= 2 * line and stop < piece.n_steps else stop
    cut = voices.cut if isinstance(music, VoiceGrid) else notes_on_a_grid.cut
    return cut(music, start, stop), start_sec


def _start(piece: Piece, max_sec: float) -> int:
    """Return the step at which a clip begins: 0, or after a long rest the bar of the first note, or that note."""
    onset = int(piece.notes["onset_step"][0])
    line = max(0, onset - int(bar_position_step(piece, onset)))
    if steps_to_sec(piece, onset) <= max_sec / 2:
        return 0
    return line if steps_to_sec(piece, onset) - steps_to_sec(piece, line) <= max_sec / 2 else onset


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
    """Return the key where it is known."""
    if not isinstance(music, VoiceGrid) or music.fifths is None or music.mode not in ("major", "minor"):
        return ""
    return f" in {key_from_signature(music.fifths, music.mode)}"


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
