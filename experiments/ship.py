"""Put the best runs of the chorale benchmark into the package, each in half precision and with its card.

python experiments/ship.py       # after experiments/jsb.py; writes mini_musessl/pretrained_files/*.safetensors

Of the seeds of a setting, the one with the lowest validation loss is shipped; the card says so and gives the spread of
all. The scores on the card are those of the shipped weights, measured after they were rounded.
"""

from __future__ import annotations

import json
import statistics

import torch
from jsb import RUNS, load_data
from jsb_settings import SETTINGS

from mini_musessl import checkpoints, pretrained
from mini_musessl.evaluation import likelihood

#: Name of the shipped model -> (setting, what it is).
SHIPPED = {
    "chorale-frame": ("frames", "the best model of the chorale benchmark, one position a step"),
}


def ship(name: str, setting_name: str, about: str) -> None:
    """Write one shipped model.

    Args:
        name: of the shipped model.
        setting_name: of the setting in experiments/jsb_settings.py.
        about: first line of the card.
    """
    setting = next(setting for setting in SETTINGS if setting.name == setting_name)
    paths = [RUNS / f"{setting.file_name}-{seed}.json" for seed in setting.seeds]
    rows = [json.loads(path.read_text("utf-8")) for path in paths if path.exists()]
    if not rows:
        raise SystemExit(f"No run of {setting_name!r} has ended; run python experiments/jsb.py first.")
    best = min(rows, key=lambda row: row["valid"]["nats"])
    path = pretrained.FOLDER / f"{name}.safetensors"
    model, _ = checkpoints.load_checkpoint(RUNS / f"{setting.file_name}-{best['seed']}.safetensors")
    checkpoints.save_checkpoint(model, path, {}, dtype=torch.float16)
    model, _ = checkpoints.load_checkpoint(path)
    scores = {
        part: round(likelihood.evaluate_likelihood(model, load_data(setting.data)[part]).nats_per_token, 4)
        for part in ("valid", "test")
    }
    valid = [row["valid"]["nats"] for row in rows]
    spread = f"{statistics.fmean(valid):.4f} ± {statistics.stdev(valid) if len(valid) > 1 else 0:.4f}"
    card = {
        "about": about,
        "data": "JSB-16-SATB, the training part: 229 chorales of J. S. Bach, transposed by -5 to 6 semitones",
        "licence": "weights MIT; the music is in the public domain; the file of the data states no licence",
        "seed": best["seed"],
        "temperature": f"{model.config.temperature}, the one that suits the validation part",
        "choice": f"lowest validation loss of {len(rows)} seeds, whose mean is {spread}",
        "command": f'python experiments/jsb.py --only "{setting_name}" --seeds {best["seed"]}',
        "commit": best["commit"][:10],
        "device": best["processor"],
        "cost": f"{best['seconds'] / 60:.0f} minutes on one core",
        "scores": {f"{part}, nats a token": nats for part, nats in scores.items()},
        "copying": "not measured",
    }
    checkpoints.save_checkpoint(model, path, card, dtype=torch.float16)
    print(f"{path.name}: {path.stat().st_size / 1e6:.1f} MB, {scores}")


if __name__ == "__main__":
    for shipped, (setting_name, about) in SHIPPED.items():
        ship(shipped, setting_name, about)
