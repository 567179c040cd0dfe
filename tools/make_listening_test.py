"""Write the page of the blind listening test, book/assets/listening_test.html, from Bach and the shipped networks.

.venv/bin/python tools/make_listening_test.py

Run it again when a shipped network is replaced. No clip is chosen by ear: the pieces are the first of the test set that
fit, and the networks write once, from one seed, at temperature 1.
"""

import base64
import hashlib
import json
from pathlib import Path

import torch

from mini_musessl import audio, corpora, generation, voices
from mini_musessl.tokenizers.voice_grid import TOKENS
from mini_musessl.training import checkpoints
from mini_musessl.voices import VoiceGrid

ROOT = Path(__file__).resolve().parent.parent
TEMPLATE, PAGE = ROOT / "tools" / "listening_test.html", ROOT / "book" / "assets" / "listening_test.html"
NETWORKS = ("chorale-masked", "chorale-frame")
N_OF_A_KIND = 5
N_STEPS, QUARTERS_PER_MINUTE = 48, 96  # three bars, eight seconds with the last chord
KINDS = {
    "setting": "Two settings of one melody: only alto, tenor and bass differ.",
    "opening": "The openings of two pieces.",
}
SAMPLE_RATE, FADE_SEC = 16000, 0.8


def identity() -> str:
    """Return eight letters that change when a network does."""
    weights = [(ROOT / "mini_musessl" / "pretrained_files" / f"{name}.safetensors").read_bytes() for name in NETWORKS]
    return hashlib.sha256(b"".join(weights)).hexdigest()[:8]


def pairs() -> list[dict]:
    """Return the pairs, Bach's clip beside the network's."""
    in_four = [piece for piece in corpora.rebuilt_split()["test"] if piece.meter == (4, 4)]
    masked, writer = (checkpoints.load(name).model for name in NETWORKS)
    chance = torch.Generator().manual_seed(0)
    made = []
    for piece in in_four[:N_OF_A_KIND]:
        piece = voices.cut(piece, 0, 64)  # the network is given a little more than is played
        setting = generation.harmonise_by_infilling(masked, piece, chance)
        made.append(_pair("setting", piece, setting))
    nothing = torch.zeros(N_OF_A_KIND, 0, 4, dtype=torch.long)
    samples = generation.sample_frames(writer, nothing, N_STEPS, chance, generation.Sampling()).numpy()
    for piece, ids in zip(in_four[N_OF_A_KIND : 2 * N_OF_A_KIND], samples, strict=True):
        made.append(_pair("opening", piece, TOKENS.decode(ids.ravel())))
    return made


def _pair(kind: str, bach: VoiceGrid, network: VoiceGrid) -> dict:
    bwv = bach.name.replace("bwv", "BWV ").replace(".", "/")
    title = f"{bach.title} ({bwv})" if bach.title not in ("", bach.name) and "BWV" not in bach.title else bwv
    return {"kind": kind, "title": title, "bach": _clip(bach), "network": _clip(network)}


def _clip(grid: VoiceGrid) -> str:
    """Return sound in base64; without repeated notes and fermatas, which networks do not write."""
    played = voices.from_pitches(grid.pitch[:N_STEPS], quarters_per_minute=QUARTERS_PER_MINUTE)
    sound = audio.synthesize(played, SAMPLE_RATE)
    return base64.b64encode(audio.to_mp3(audio.fade_out(sound, FADE_SEC, SAMPLE_RATE), SAMPLE_RATE)).decode()


def page(id_: str, made: list[dict]) -> str:
    """Return the page with its clips in it."""
    data = json.dumps({"id": id_, "kinds": KINDS, "pairs": made}, ensure_ascii=False).replace("</", "<\\/")
    return TEMPLATE.read_text("utf-8").replace("{{DATA}}", data)


if __name__ == "__main__":
    PAGE.write_text(page(identity(), pairs()), "utf-8")
    print(f"Wrote {PAGE.relative_to(ROOT)}, {PAGE.stat().st_size / 1000:.0f} kB.")
