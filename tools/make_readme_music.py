"""Compose the four bars that README.md shows, and write their picture and their sound.

.venv/bin/python tools/make_readme_music.py

The bars were written for this page: a picture of Bach would do as well, but these belong to nobody else.
"""

from pathlib import Path

import numpy as np

from mini_musessl import audio, rolls, voices

ASSETS = Path(__file__).resolve().parent.parent / "assets"
C3, G3, A3, B2, B3 = 48, 55, 57, 47, 59
C4, D4, E4, F4, G4 = 60, 62, 64, 65, 67
B4, C5, D5, E5, F5 = 71, 72, 74, 76, 77
#: One row a chord: its length in sixteenth notes, then soprano, alto, tenor and bass.
CHORDS = (
    (4, C5, G4, E4, C3),
    (4, D5, G4, D4, B2),
    (4, E5, G4, C4, C3),
    (4, D5, G4, B3, G3),
    (4, C5, E4, C4, A3),
    (4, B4, G4, D4, G3),
    (8, C5, G4, E4, C3),
    (4, E5, C5, G4, C4),
    (4, F5, C5, F4, A3),
    (4, E5, C5, G4, G3),
    (2, D5, B4, G4, G3),
    (2, D5, B4, F4, G3),
    (16, C5, G4, E4, C3),
)
TITLE = "Four bars in four voices"


def compose() -> voices.VoiceGrid:
    """Return the four bars on the grid of sixteenth notes."""
    lengths = np.array([chord[0] for chord in CHORDS])
    pitch = np.repeat(np.array([chord[1:] for chord in CHORDS]), lengths, axis=0)
    return voices.from_pitches(pitch, name="readme", title=TITLE, quarters_per_minute=76.0, fifths=0, mode="major")


def main() -> None:
    """Write both files."""
    music = compose()
    files = {
        "readme_roll.svg": rolls.piano_roll_svg(music, title=TITLE).encode("utf-8"),
        "readme_roll.mp3": audio.to_mp3(audio.synthesize(music)),
    }
    ASSETS.mkdir(exist_ok=True)
    for name, data in files.items():
        (ASSETS / name).write_bytes(data)
        print(f"Wrote assets/{name}, {len(data) / 1000:.0f} kB.")


if __name__ == "__main__":
    main()
