"""Write the book's drawings, book/figures/*.svg, and what those that move compute from, book/assets/moving_data.js.

python tools/draw_figures.py writes all of them; python tools/draw_figures.py NAME those whose names begin so.
"""

import sys
from collections.abc import Callable
from pathlib import Path

from drawings import (
    attention,
    constraints,
    copying,
    data,
    judging,
    moving,
    network,
    objectives,
    positions,
    repeats,
    roads,
    sampling,
    study,
)
from drawings.pen import Drawing

FOLDER = Path(__file__).resolve().parent.parent / "book" / "figures"
MOVING_DATA = FOLDER.parent / "assets" / "moving_data.js"
#: The file of each drawing, without its ending, and the function that makes it.
DRAWINGS: dict[str, Callable[[], Drawing]] = {
    "attention_look_up": attention.look_up,
    "attention_masks": attention.masks,
    "attention_projections": attention.projections,
    "attention_heads": attention.heads,
    "network_block": network.block,
    "network_architecture": network.architecture,
    "objectives_hide": objectives.what_is_hidden,
    "frames_stack_and_head": network.frames,
    "positions_skewing": positions.skewing,
    "positions_rotary": positions.rotary,
    "tokens_from_table": data.tokens,
    "code_intervals": data.code,
    "split_leak": data.leak,
    "viewpoints": data.viewpoints,
    "objective_four_decisions": objectives.hide_show_predict_score,
    "probe": objectives.probe,
    "contrast_views": objectives.two_views,
    "missing_alto": objectives.missing_alto,
    "moving_temperature": moving.temperature,
    "moving_sharpness": moving.sharpness,
    "moving_rotary": moving.rotary,
    "moving_hiding": moving.hiding,
    "road_map": roads.needs,
    "road_six_steps": roads.six_steps,
    "road_training_loop": roads.training_loop,
    "study_probes": study.probes,
    "repeats_guides": repeats.guides,
    "sampling_loop": sampling.loop,
    "sampling_cuts": sampling.cuts,
    "sampling_beam": sampling.beam,
    "constraints_given": constraints.given,
    "constraints_corner": constraints.corner,
    "judging_overlap": judging.overlap,
    "judging_coins": judging.coins,
    "copying_key": copying.key,
    "copying_exposure": copying.exposure,
}


def main(names: list[str]) -> None:
    """Write the drawings whose names begin with one of these, or all."""
    for name, make in DRAWINGS.items():
        if not names or name.startswith(tuple(names)):
            (FOLDER / f"{name}.svg").write_text(make().svg(), "utf-8")
            print(f"{name}.svg")
    MOVING_DATA.write_text(moving.script(), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
