"""Sound from notes, with NumPy alone, and MP3, in which a page can carry it.

A note is a sum of sine waves at whole multiples of its frequency, under an envelope that opens and closes softly. That
is enough for a chorale to be heard as one, needs no sound library, and gives the same samples on every run.

Reference: Julius O. Smith, Spectral Audio Signal Processing, 2011, "Additive synthesis".

Chapter: 00 (the road in five minutes).
"""

import io
from functools import lru_cache

import numpy as np

from mini_musessl import checks
from mini_musessl.music import Piece, ends_step, is_drum_note, is_repeated, part_indices, steps_to_sec
from mini_musessl.voices import VoiceGrid, as_performed

#: Samples a second of everything the book plays. Voices reach about 900 Hz, their overtones about 9,000 Hz.
SAMPLE_RATE = 22050
#: Root mean square of the sounding part of a clip; full scale is 1.
LOUDNESS = 0.12
#: No sample goes beyond this.
PEAK = 0.9

_N_HARMONICS = 8
#: Harmonic k starts at k ** -1.4, between a square wave's 1 / k and a triangle's 1 / k ** 2; the solo is brighter.
_ROLL_OFF, _SOLO_ROLL_OFF = 1.4, 0.7
_SOLO_GAIN = 2.1  # 6 dB, since its overtones, which are stronger, fall faster
_DECAY_SEC = 6.0  # the fundamental falls to 1 / e in this time, harmonic k in a k-th of it
_ATTACK_SEC = 0.02
_RELEASE_SEC = 0.05  # begins where the note ends: it falls while the next one rises
_EARLY_SEC = 0.05  # a note that is sung again falls before its end, so that it is heard as two
_TAIL_SEC = 0.3
_RING_SEC = 0.25  # the release of what ends with the music
_LONGEST_SEC = 600.0  # at the book's sample rate; as many samples at a higher one last less
_MOST_NOTE_SEC = (
    10_000.0  # of all notes one after the other: sixteen voices for ten minutes, made in about as many seconds
)
_MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)


def synthesize(
    music: Piece | VoiceGrid, sample_rate: int = SAMPLE_RATE, bring_out: str | tuple[str, ...] = ()
) -> np.ndarray:
    """Turn music into sound by adding sine waves.

    Pitched parts have one organ-like tone; a part that is alone or brought out has a brighter one. A drum part is
    bursts of noise, the same on every run. Notes are joined, but for a pitch that its part repeats. Fermatas are held
    (see ``voices.as_performed``). Harmonics above half the sample rate are left out. Loudness grows with the square of
    the velocity, as in General MIDI.

    Args:
        bring_out: names of parts that sound 6 dB above the others.

    Returns:
        float32 (n_samples,), mono, within -0.9..0.9; it ends 0.3 s after the music, in silence.

    >>> from mini_musessl import voices
    >>> synthesize(voices.from_pitches([[60]] * 4, voice_names=("melody",), quarters_per_minute=60)).shape
    (28665,)
    """
    piece = as_performed(music)
    _check_playable(piece, sample_rate)
    brought_out = part_indices(piece, bring_out)
    solo = brought_out or ([0] if len(piece.parts) == 1 else [])
    mix = np.zeros(_to_samples(_length_sec(piece) + _TAIL_SEC, sample_rate))
    rows = zip(piece.notes, _note_edges(piece, sample_rate), _released(piece, sample_rate), strict=True)
    for note, (start, stop), (early, release) in rows:
        if piece.parts[note["part"]].is_drum:
            sound = _drum(int(note["pitch"]), sample_rate)
        else:
            roll_off = _SOLO_ROLL_OFF if note["part"] in solo else _ROLL_OFF
            sound = _tone(int(note["pitch"]), int(start), int(stop - early), int(release), sample_rate, roll_off)
        gain = _SOLO_GAIN if note["part"] in brought_out else 1
        sound = sound[: len(mix) - start]
        mix[start : start + len(sound)] += gain * (note["velocity"] / 127) ** 2 * sound
    return normalize(mix, sample_rate)


def normalize(samples: np.ndarray, sample_rate: int = SAMPLE_RATE) -> np.ndarray:
    """Bring sound to the book's loudness, and bend what would go beyond the ceiling instead of cutting it.

    Loudness is the root mean square over those blocks of 50 ms that sound, so that rests do not count. Samples up to
    0.6 stay in proportion; louder ones approach ``PEAK``.

    >>> tone = np.sin(np.arange(22050) / 10)
    >>> round(float(np.sqrt(np.mean(normalize(tone) ** 2))), 2)
    0.12
    """
    samples = _checked(samples)
    checks.whole_number("sample_rate", sample_rate, 1, advice="22050 is the default.")
    peak = np.abs(samples).max()
    if peak and not 1e-100 < peak < 1e100:  # squares of such numbers would not fit
        samples = samples / peak
    block = max(1, _to_samples(0.05, sample_rate))
    power = np.mean(np.pad(samples, (0, -len(samples) % block)).reshape(-1, block) ** 2, axis=1)
    if power.max() == 0:
        raise ValueError(
            "Sound must have a sample other than 0; found silence. Is the amplitude 0, or the music all rests?"
        )
    rms = np.sqrt(power[power > 1e-3 * power.max()].mean())
    samples *= LOUDNESS / rms
    knee = 2 / 3 * PEAK
    is_loud = np.abs(samples) > knee
    loud = samples[is_loud]
    bent = knee + (PEAK - knee) * np.tanh((np.abs(loud) - knee) / (PEAK - knee))
    samples[is_loud] = np.sign(loud) * bent
    return samples.astype(np.float32)


def fade_out(samples: np.ndarray, fade_sec: float, sample_rate: int = SAMPLE_RATE) -> np.ndarray:
    """Return the sound with its last ``fade_sec`` seconds brought softly to zero.

    >>> fade_out(np.ones(5), fade_sec=1, sample_rate=3).round(2).tolist()
    [1.0, 1.0, 1.0, 0.5, 0.0]
    """
    if not 0 <= fade_sec < float("inf"):
        raise ValueError(f"A fade must last 0 seconds or more; found {fade_sec}.")
    samples = _checked(samples)
    n_faded = min(len(samples), _to_samples(fade_sec, sample_rate))
    samples[len(samples) - n_faded :] *= _rise(n_faded)[::-1]
    return samples.astype(np.float32)


def to_mp3(samples: np.ndarray, sample_rate: int = SAMPLE_RATE) -> bytes:
    """Encode mono sound within -1..1 as MP3: about 40 KB for 15 s of a chorale, the same bytes on every run."""
    import soundfile

    checks.check_choice("The sample rate of an MP3", sample_rate, _MP3_RATES, "Use 22050.")
    samples = _checked(samples)
    if np.abs(samples).max() > 1:
        raise ValueError(
            f"Samples must lie in -1..1 to be written; found {np.abs(samples).max():.3g}. Use audio.normalize first."
        )
    buffer = io.BytesIO()
    # Whole numbers: rounding hides the last-bit differences between processors, so the bytes agree more widely.
    whole = np.rint(samples * 32767).astype(np.int16)
    options = {"subtype": "MPEG_LAYER_III", "compression_level": 0.9, "bitrate_mode": "VARIABLE"}
    soundfile.write(buffer, whole, sample_rate, format="MP3", **options)
    return buffer.getvalue()


def _check_playable(piece: Piece, sample_rate: int) -> None:
    """Refuse a sample rate that is too low, music without notes, and music that would fill the memory."""
    checks.whole_number("sample_rate", sample_rate, 8000, advice="22050 is the default.")
    if len(piece.notes) == 0:
        raise ValueError("Music must have at least one note to be played; found none. Is the cut all rests?")
    longest_sec = _LONGEST_SEC * min(1, SAMPLE_RATE / sample_rate)
    if _length_sec(piece) > longest_sec:
        raise ValueError(
            f"Music must last at most {longest_sec:.0f} s to be played at {sample_rate} samples a second; this lasts "
            f"{_length_sec(piece):.0f} s. Cut it with music.cut or voices.cut first."
        )
    note_sec = (
        np.diff(_note_edges(piece, 1000)).clip(min=100).sum() / 1000
    )  # a short note takes a tenth of a second too
    if note_sec > _MOST_NOTE_SEC:
        raise ValueError(
            f"The notes of a clip may last {_MOST_NOTE_SEC:.0f} s in all, one after the other; these "
            f"{len(piece.notes)} last {note_sec:.0f} s. Cut a shorter part with music.cut or voices.cut."
        )
    is_drum = is_drum_note(piece)
    lowest = piece.notes["pitch"][~is_drum].min(initial=127)
    if not is_drum.any() and _frequency(int(lowest)) >= sample_rate / 2:
        raise ValueError(
            f"At {sample_rate} samples a second only frequencies below {sample_rate / 2:.0f} Hz can be represented; "
            f"the lowest pitch, {lowest}, has {_frequency(int(lowest)):.0f} Hz. Use sample_rate=44100."
        )


def _length_sec(piece: Piece) -> float:
    """Return how long the music lasts."""
    return float(steps_to_sec(piece, piece.n_steps))


def _to_samples(sec: float, sample_rate: int) -> int:
    """Return the whole number of samples nearest to a time."""
    return round(sec * sample_rate)


def _note_edges(piece: Piece, sample_rate: int) -> np.ndarray:
    """Return for each note the samples at which it starts and ends, (n_notes, 2)."""
    onset = piece.notes["onset_step"]
    sec = np.stack([steps_to_sec(piece, onset), steps_to_sec(piece, ends_step(piece.notes))], axis=1)
    return np.rint(sec * sample_rate).astype(np.int64)


def _released(piece: Piece, sample_rate: int) -> np.ndarray:
    """Return for each note by how many samples it falls early, and how many it takes to fall, (n_notes, 2)."""
    is_last = ends_step(piece.notes) == piece.n_steps
    early_sec = np.where(is_repeated(piece.notes), _EARLY_SEC, 0)
    release_sec = np.where(is_last, _RING_SEC, _RELEASE_SEC)
    return np.rint(np.stack([early_sec, release_sec], axis=1) * sample_rate).astype(np.int64)


def _frequency(pitch: int) -> float:
    """Return the frequency of a MIDI pitch in Hz, equal temperament, A4 = 440."""
    return 440.0 * 2 ** ((pitch - 69) / 12)


def _tone(pitch: int, start: int, stop: int, release: int, sample_rate: int, roll_off: float) -> np.ndarray:
    """Return one note with its release after ``stop``; sample 0 of the result belongs at ``start``.

    The phase runs from the start of the clip, not of the note: so two voices that meet on one pitch always add up, and
    never cancel. Both timbres have the same power.
    """
    attack = _to_samples(_ATTACK_SEC, sample_rate)
    held = max(attack, stop - start)
    cycles = np.arange(start, start + held + release) * (_frequency(pitch) / sample_rate)
    cycles %= 1  # in place, here and below: a note of ten minutes takes much memory
    exponent = 2j * np.pi * cycles
    exponent -= np.arange(held + release) / sample_rate / _DECAY_SEC
    fundamental = np.exp(exponent, out=exponent).astype(np.complex64)
    n_harmonics = min(_N_HARMONICS, int(np.ceil(sample_rate / 2 / _frequency(pitch))) - 1)
    strength = np.arange(1, n_harmonics + 1.0) ** -roll_off
    strength /= np.sqrt(np.sum(strength**2))
    sound = np.zeros(len(fundamental), np.complex64)
    # The k-th power of the fundamental turns k times as fast and decays k times as fast; Horner's rule sums the powers.
    for each in strength[::-1]:
        sound += each
        sound *= fundamental
    return sound.imag * _envelope(len(sound), attack, release)


def _envelope(length: int, attack: int, release: int) -> np.ndarray:
    """Return a curve that rises from 0 to 1, stays there, and falls to 0 over the release."""
    envelope = np.ones(length)
    envelope[:attack] = _rise(attack)
    envelope[length - release :] = _rise(release)[::-1]
    return envelope


def _rise(length: int) -> np.ndarray:
    """Return half a cosine from 0 to 1: it has no corner, so it makes no click."""
    return 0.5 - 0.5 * np.cos(np.pi * np.arange(length) / max(length - 1, 1))


@lru_cache(128)
def _drum(pitch: int, sample_rate: int) -> np.ndarray:
    """Return a burst of noise: dull for the bass drum and toms, bright and short for cymbals, between for the rest."""
    is_dull, is_bright = pitch in (35, 36, 41, 43, 45, 47, 48, 50), pitch in (42, 44, 46) or pitch >= 49
    noise = np.random.default_rng(pitch).standard_normal(_to_samples(0.3, sample_rate))
    if is_dull:
        noise = 4 * np.convolve(noise, np.hanning(sample_rate // 200) / (sample_rate // 400), mode="same")
    elif is_bright:
        noise = np.diff(noise, prepend=0.0) / 2
    fall_sec = 0.03 if is_bright else 0.07
    burst = noise * np.exp(-np.arange(len(noise)) / (fall_sec * sample_rate))
    return burst * _envelope(len(burst), _to_samples(0.003, sample_rate), _to_samples(0.05, sample_rate))


def _checked(samples: np.ndarray) -> np.ndarray:
    """Return samples as float64 in one row, or refuse them."""
    samples = np.asarray(samples)
    if samples.size and samples.dtype.kind not in "biuf":
        raise TypeError(f"Sound must be an array of numbers; found {samples.dtype}.")
    samples = samples.astype(np.float64)
    if samples.ndim != 1 or samples.size == 0 or not np.isfinite(samples).all():
        raise ValueError(
            f"Sound must be one row of finite samples; found shape {samples.shape}"
            f"{'' if np.isfinite(samples).all() else ' with NaN or infinity'}. Take the mean over channels for stereo."
        )
    return samples
