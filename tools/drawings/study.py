"""The dot plot of chapter 4's study: what can be read off each encoder, beside chance, counts and a rule."""

import statistics

from tables import TASKS

from drawings.pen import ALTO, BASS, ORANGE, SOPRANO, TENOR, WIDTH, Drawing, number
from mini_musessl.results import probe_accuracies, rows_by_encoder

LEFT, COLUMN, HEIGHT = 46, 86, 250
#: What an encoder was trained on -> the beginnings of the names of its rows, and a colour. In this order in a column.
FAMILIES = {
    "untrained": (("no training",), ""),
    "masked": (("masked",), BASS),
    "next pitch": (("next pitch",), SOPRANO),
    "heads": (("heads", "pitch, rhythm"), TENOR),
    "contrast": (("contrast", "views"), ALTO),
    "order": (("order",), ORANGE),
}
LINES = {"chance": (1.5, True), "counts made by hand": (3.5, False), "key finder": (2, True)}


def _mean(rows: list[dict], task: str, budget: int | None) -> float | None:
    found = probe_accuracies(rows, task, budget)
    return statistics.fmean(found) if found else None


def levels(task: str, budget: int | None) -> dict[str, float]:
    """Return what is drawn as lines: chance, counts and, where it is asked, the key finder."""
    references = rows_by_encoder("references")
    probes = references["no training"][0]["probes"]
    chance = next(each["chance"] for each in probes if each["task"] == task and "chance" in each)
    by_hand = _mean(references["made by hand"], task, budget)
    rule = _mean(references["key finder, no labels"], task, 0)
    found = {"chance": chance, "counts made by hand": by_hand, "key finder": rule}
    return {name: level for name, level in found.items() if level is not None}


def dots(task: str, budget: int | None) -> dict[str, dict[str, float]]:
    """Return the mean balanced accuracy of every encoder, by family and name."""
    rows = {
        name: each for name, each in rows_by_encoder().items() if each[0]["group"] not in ("counting", "data", "long")
    }
    return {
        family: {name: _mean(each, task, budget) for name, each in rows.items() if name.startswith(begins)}
        for family, (begins, _) in FAMILIES.items()
    }


def _legend(drawing: Drawing) -> None:
    """Draw the names of dots and lines."""
    for i, (family, (_, colour)) in enumerate(FAMILIES.items()):
        x = LEFT + (0, 100, 222, 330, 420, 520)[i]
        drawing.dot(x, 44, 5, colour=colour)
        drawing.text(x + 10, 49, family, 13, "start")
    for i, (name, (width, is_dashed)) in enumerate(LINES.items()):
        x = LEFT + (0, 130, 340)[i]
        drawing.line((x - 6, 68), (x + 24, 68), width=width, dashed=is_dashed, kind=_kind(name))
        drawing.text(x + 32, 73, name, 13, "start")


def _kind(line: str) -> str:
    return "stream" if line == "key finder" else "line"


def _panel(drawing: Drawing, top: float, title: str, budget: int | None) -> None:
    """Draw one panel: a column for each question, in it the dots of a family one above the other."""
    drawing.text(LEFT, top - 12, title, 14, "start", "strong")

    def at(accuracy: float) -> float:
        return top + HEIGHT * (1 - accuracy)

    for tick in (0, 0.25, 0.5, 0.75, 1):
        drawing.line((LEFT, at(tick)), (WIDTH - 8, at(tick)), kind="faint", width=1)
        drawing.text(LEFT - 6, at(tick) + 4, number(tick), 12, "end", "soft")
    for i, (task, name) in enumerate(TASKS.items()):
        x = LEFT + 4 + i * COLUMN
        for line, level in levels(task, budget).items():
            width, is_dashed = LINES[line]
            drawing.line((x, at(level)), (x + COLUMN - 8, at(level)), width=width, dashed=is_dashed, kind=_kind(line))
        for j, (family, found) in enumerate(dots(task, budget).items()):
            for accuracy in found.values():
                drawing.dot(x + 7 + 12.8 * j, at(accuracy), 4, colour=FAMILIES[family][1])
        drawing.text(x + COLUMN / 2 - 4, top + HEIGHT + 18, name, 13)


def probes() -> Drawing:
    """Draw what a linear probe reads off every encoder, with all pieces labelled and with ten."""
    ahead = [name for task, name in TASKS.items() if _best(task) > levels(task, 10)["counts made by hand"]]
    says = f"""
        Two dot plots of balanced accuracy from 0 to 1: all pieces labelled, and ten. Each has a column for
        {", ".join(TASKS.values())}. A dot is an encoder, in the place and colour of what it was trained on; lines are
        chance, counts made by hand and, for key signature and mode, the key finder, which needs no label. With ten
        pieces some dot lies above the counts for {", ".join(ahead)}, far above only for the beat. The mode's key
        finder is above all dots in both plots. With all pieces labelled, the chord's dots of contrast, order and
        hidden bars lie below the untrained ones.
    """
    drawing = Drawing("What each objective taught, beside chance and counts", says, 2 * HEIGHT + 218)
    drawing.text(LEFT, 22, "Balanced accuracy of a linear probe, test pieces", 15, "start", "strong")
    _legend(drawing)
    _panel(drawing, 120, "All pieces labelled", None)
    _panel(drawing, 120 + HEIGHT + 66, "Ten pieces labelled", 10)
    return drawing


def _best(task: str) -> float:
    """Return the best of what was trained, with ten pieces labelled."""
    return max(max(found.values()) for family, found in dots(task, 10).items() if family != "untrained")
