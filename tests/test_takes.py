"""Clips end where lines end; takes share one figure, and in a browser one player."""

import base64
import re
import time
from dataclasses import replace
from pathlib import Path

import headless
import numpy as np
import pytest

from mini_musessl import takes, voices
from mini_musessl.rolls import Mark
from mini_musessl.show import show

ASSETS = Path(__file__).resolve().parent.parent / "book" / "assets"


def hymn(n_lines: int = 4) -> voices.VoiceGrid:
    """Lines of two bars at 60 quarters a minute, the last half note of each under a fermata."""
    pitch = np.tile(
        np.repeat([[67, 62, 59, 43], [66, 62, 57, 50], [67, 64, 60, 48], [67, 62, 59, 43]], 8, 0), (n_lines, 1)
    )
    is_fermata = np.arange(len(pitch)) % 32 >= 24
    return voices.from_pitches(pitch, is_fermata=is_fermata, quarters_per_minute=60, title="Four lines")


@pytest.mark.parametrize(
    ("max_sec", "stop", "is_faded"),
    [
        (60, 128, False),  # all of it: 32 quarters and a quarter more at each fermata
        (36, 128, False),
        (35, 96, False),
        (20, 64, False),
        (17, 32, False),  # the second fermata would last until second 18
        (8, 16, True),  # no fermata in time: a bar line
    ],
)
def test_a_clip_ends_after_a_fermata_else_at_a_bar_line(max_sec, stop, is_faded):
    (take,) = takes.make_takes(hymn(), max_sec)
    assert (take.clip.n_steps, take.is_faded, take.is_cut) == (stop, is_faded, stop < 128)
    assert take.seconds <= max_sec
    assert take.seconds == pytest.approx(stop / 4 + stop // 32)


def test_a_clip_never_ends_inside_a_fermata():
    grid = replace(hymn(), bar_position_step=np.arange(128) % 4)
    for max_sec in (5, 6.5, 7, 7.5, 8, 8.9, 15, 16.2):
        (take,) = takes.make_takes(grid, max_sec)
        assert take.seconds <= max_sec and not (grid.is_fermata[take.clip.n_steps - 1] and take.is_faded)


def test_marks_and_hidden_cells_are_cut_with_the_music():
    hidden = np.zeros((128, 4), bool)
    hidden[60:70] = True
    (take,) = takes.make_takes(hymn(), 20, [(70, "late"), (12, "early", "bass")], hidden)
    assert take.marks == (Mark(12, "early", ("bass",)),)
    assert take.hidden.shape == (64, 4) and take.hidden.sum() == 16


def test_takes_stand_below_one_another_in_one_figure():
    shown = show({"Bach": hymn(), "the <network>": hymn(1)}, says="Two takes", max_sec=20)
    assert re.findall(r"<(figure|div|p|img|audio|figcaption)\b", shown.html) == [
        "figure",
        *["div", "p", "img", "audio"] * 2,
        "figcaption",
    ]
    assert re.findall(r'role="group" aria-label="([^"]*)"', shown.html) == ["Bach", "the &lt;network&gt;"]
    assert re.findall(r'aria-label="Player: ([^"]*)"', shown.html) == ["Bach", "the &lt;network&gt;"]
    assert 'data-seconds="18.000"' in shown.html
    rolls = [base64.b64decode(each).decode() for each in re.findall(r'svg\+xml;base64,([^"]+)', shown.html)]
    bar_2 = [re.search(r'<text x="([\d.]+)"[^>]*>2</text>', roll)[1] for roll in rolls]
    assert bar_2[0] == bar_2[1]
    assert shown.says == (
        "Two takes. Bach: “Four lines”: four voices, 8 bars of 4/4, 36 seconds, G2 to G4. Shown and played: the first "
        "18 seconds. the <network>: “Four lines”: four voices, 2 bars of 4/4, 9 seconds, G2 to G4."
    )
    assert re.search(r"<figcaption[^>]*>(.*)</figcaption>", shown.html)[1] == (
        "Two takes. “Four lines”. Bach: Shown and played: the first 18 seconds."
    )


def test_the_caption_says_what_a_take_is_called_beside_one_without_a_name():
    bach, unnamed = replace(hymn(1), name="bwv355"), replace(hymn(1), title="")
    caption = re.search(
        r"<figcaption[^>]*>(.*)</figcaption>", show({"Bach": bach, "network": unnamed}, says="Two").html
    )
    assert caption[1] == "Two. Bach: “Four lines”, BWV 355."


def test_each_take_may_have_its_own_marks_and_hidden_cells():
    hidden = np.ones((32, 4), bool)
    music_ = {"one": hymn(1), "two": hymn(1)}
    shown = show(music_, marks={"two": [(4, "fifths", ("tenor", "bass"))]}, hidden={"one": hidden})
    first, second = re.findall(r'alt="Piano roll. ([^"]*)"', shown.html)
    assert first.startswith("one:") and first.endswith("Hatched: 128 hidden cells of 128.") and "Marked" not in first
    assert second.endswith("Marked: “fifths” at 1.0 s (tenor, bass).")
    for_all = show(music_, marks=[(4, "fifths")], bring_out="alto")
    assert for_all.says.count("“fifths” at 1.0 s. Brought out: alto.") == 2


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda: show({"one": hymn()}), ValueError, r"2 to 4, each with a name; found \['one'\]"),
        (lambda: show({str(i): hymn() for i in range(5)}), ValueError, "2 to 4"),
        (lambda: show({"": hymn(), "b": hymn()}), ValueError, "each with a name"),
        (lambda: show({"a": hymn(), "b": hymn()}, marks={"c": []}), ValueError, r"must name takes, .*; found \['c'\]"),
        (lambda: show({"a": hymn(), "b": [60]}), TypeError, "found list"),
        (lambda: show(hymn(), marks=[(128, "beyond")]), ValueError, r"must lie in 0\.\.127; found 128"),
        (lambda: show(hymn(), bring_out="oboe"), ValueError, "soprano, alto, tenor, bass; found 'oboe'"),
        (lambda: show(hymn(), hidden=np.ones((127, 4), bool)), ValueError, r"\(128, 4\); found bool of \(127, 4\)"),
    ],
)
def test_takes_of_another_kind_are_refused(call, error, sentence):
    with pytest.raises(error, match=sentence):
        call()


LOOK = """[
  [...document.querySelectorAll(".musessl-takes button")].map((each) => each.ariaPressed === "true" ? 1 : 0).join(""),
  [...document.querySelectorAll(".musessl-take")].map((each) => each.getClientRects().length ? 1 : 0).join(""),
  [...document.querySelectorAll("audio")].map((each) => each.currentTime.toFixed(1)).join(" "),
].join("|")"""


def wait_for(page: headless.Page, condition: str) -> None:
    end = time.monotonic() + 20
    while not page.run(condition):
        assert time.monotonic() < end, condition
        time.sleep(0.02)


@pytest.mark.skipif(headless.PATH is None, reason="Chromium is not installed")
def test_in_a_browser_buttons_choose_the_take_and_keep_the_place(tmp_path):
    shown = show({"Bach": hymn(1), "network": hymn(1), "short": voices.cut(hymn(1), 0, 8)})
    style, *scripts = (ASSETS / name for name in ("book.css", "takes.js", "roll_cursor.js"))
    html = f'<meta charset="utf-8"><style>{style.read_text("utf-8")}</style><body style="width:700px">{shown.html}'
    html += "".join(f"<script>{script.read_text('utf-8')}</script>" for script in scripts)
    (tmp_path / "page.html").write_text(html, "utf-8")
    page = headless.Page()
    try:
        page.open((tmp_path / "page.html").as_uri())
        wait_for(page, '[...document.querySelectorAll("audio")].every((each) => each.readyState > 0)')
        assert page.run(LOOK) == "100|100|0.0 0.0 0.0"
        page.run('document.querySelectorAll("audio")[0].currentTime = 5')
        page.run('document.querySelectorAll(".musessl-takes button")[1].click()')
        wait_for(page, f'{LOOK} === "010|010|5.0 5.0 0.0"')
        cursor = 'document.querySelectorAll(".musessl-cursor")[1]'
        wait_for(page, f"!{cursor}.hidden")
        assert 300 < float(page.run(f"{cursor}.style.left").removesuffix("px")) < 400  # second 5 of 9, 600 px wide
        page.run('document.querySelectorAll(".musessl-takes button")[1].focus()')
        page.press("ArrowRight")
        page.run("document.activeElement.click()")
        # The third take lasts two seconds: it begins anew.
        wait_for(page, f'{LOOK} === "001|001|5.0 5.0 0.0"')
        assert page.errors() == []
    finally:
        page.close()
