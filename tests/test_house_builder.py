"""The builder of notebooks: same bytes twice, nothing lost when a cell fails, library code copied word for word."""

import ast
import importlib.util
import subprocess
import textwrap
from pathlib import Path

import build_notebooks
import nbformat
import pytest
from ipykernel.ipkernel import IPythonKernel
from ipykernel.kernelspec import get_kernel_dict
from library_source import PACKAGE, ROOT, bare_source, bare_tree, definitions, find_in_library

ADDRESS = "https://github.com/someone/somewhere"
TWIN = """\
# A title

Some text.

+++ {"tags": ["wide"]}

More text.

```{code-cell} ipython3
:tags: [only-here]

def double(number):
    return 2 * number
```

```{code-cell} ipython3
print(double(21))
```
"""
LAST_CELL = "print(double(21))"
WIDGET_CELL = "```{code-cell} ipython3\nimport ipywidgets\n\nipywidgets.IntSlider()\n```\n\n"
#: What JupyterLab writes when it saves a notebook.
KERNELSPEC = {"name": "python3", **{key: get_kernel_dict()[key] for key in ("display_name", "language")}}
LAB_METADATA = {"kernelspec": KERNELSPEC, "language_info": IPythonKernel.language_info}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "src").mkdir()
    write_twin(tmp_path, TWIN)
    return tmp_path


def write_twin(folder: Path, text: str) -> None:
    (folder / "src" / "00_x.md").write_text(text, "utf-8")


def last_outputs(folder: Path) -> list[str]:
    return [output.text for output in nbformat.read(folder / "00_x.ipynb", as_version=4).cells[-1].outputs]


def test_a_plan_has_ids_by_position_and_the_colab_cells_after_the_title(folder: Path):
    plan = build_notebooks.planned(build_notebooks.read_twin(folder / "src" / "00_x.md"), "00_x", ADDRESS)
    assert [cell.id for cell in plan.cells] == [f"cell-00{number}" for number in range(1, 7)]
    assert [cell.cell_type for cell in plan.cells] == ["markdown", "markdown", "code", "markdown", "code", "code"]
    assert plan.cells[1].source == (
        "[Open this notebook in Colab](https://colab.research.google.com/github/someone/somewhere/blob/main/notebooks/00_x.ipynb)"
    )
    assert plan.cells[3].metadata.tags == ["wide"] and plan.cells[4].metadata.tags == ["only-here"]


def install(monkeypatch, is_found: bool, returncode: int = 0) -> list[str]:
    """Run the cell that installs the library; return what it gave to pip."""
    asked = []

    def run(command, capture_output):
        asked.append(command[-1])
        return subprocess.CompletedProcess(command, returncode)

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object() if is_found else None)
    monkeypatch.setattr(subprocess, "run", run)
    exec(build_notebooks.colab_cells("00_x", ADDRESS)[1].source, {})
    return asked


def test_the_install_cell_does_nothing_where_the_library_is_and_elsewhere_installs_its_tag(monkeypatch, capsys):
    assert install(monkeypatch, is_found=True) == [] and capsys.readouterr().out == ""
    version = build_notebooks.__version__
    assert install(monkeypatch, is_found=False) == [f"mini_musessl[notation] @ git+{ADDRESS}@v{version}"]
    assert capsys.readouterr().out.count("\n") == 1
    sentence = f"could not be installed. Does {ADDRESS} open in a browser?.* run this notebook in a copy of the book"
    with pytest.raises(ModuleNotFoundError, match=sentence):
        install(monkeypatch, is_found=False, returncode=1)


def test_a_new_version_or_address_of_the_install_cell_keeps_the_outputs(folder: Path, monkeypatch):
    build_notebooks.build("00_x", folder, ADDRESS)
    monkeypatch.setattr(build_notebooks, "__version__", "99.0")
    assert build_notebooks.build("00_x", folder, ADDRESS + "s") == "00_x: new text, outputs kept"
    assert f"{ADDRESS}s@v99.0" in (folder / "00_x.ipynb").read_text("utf-8").replace("{address}", ADDRESS + "s")
    assert last_outputs(folder) == ["42\n"]


def test_a_twin_without_a_title_is_refused():
    twin = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1")])
    with pytest.raises(ValueError, match="must begin with a text cell whose first line is its title"):
        build_notebooks.planned(twin, "00_x", ADDRESS)


def test_building_twice_writes_the_same_bytes_and_skips_what_has_not_changed(folder: Path):
    head, last = TWIN.rsplit("```{code-cell}", 1)
    write_twin(folder, f"{head}{WIDGET_CELL}```{{code-cell}}{last}")
    assert "executed in" in build_notebooks.build("00_x", folder, ADDRESS)
    target = folder / "00_x.ipynb"
    first = target.read_bytes()
    notebook = nbformat.read(target, as_version=4)
    assert build_notebooks.is_executed(notebook)
    assert last_outputs(folder) == ["42\n"]
    assert notebook.cells[2].outputs == [], "the Colab cell must do nothing here"
    assert notebook.cells[-2].outputs == [], "a widget has another number in every run"
    assert notebook.metadata == LAB_METADATA
    assert build_notebooks.build("00_x", folder, ADDRESS) == "00_x: unchanged"
    assert "executed in" in build_notebooks.build("00_x", folder, ADDRESS, always=True)
    assert target.read_bytes() == first
    assert sorted(path.name for path in folder.iterdir()) == ["00_x.ipynb", "src"]


def test_new_text_keeps_the_outputs_and_new_code_runs_again(folder: Path):
    build_notebooks.build("00_x", folder, ADDRESS)
    target = folder / "00_x.ipynb"
    before = nbformat.read(target, as_version=4)
    write_twin(folder, TWIN.replace("# ", "# New: ", 1))
    assert build_notebooks.build("00_x", folder, ADDRESS) == "00_x: new text, outputs kept"
    after = nbformat.read(target, as_version=4)
    assert after.cells[0].source.startswith("# New: ") and after.cells[-1] == before.cells[-1]
    assert build_notebooks.build("00_x", folder, ADDRESS) == "00_x: unchanged"
    # What a cell prints in pieces is one output.
    write_twin(folder, TWIN.replace(LAST_CELL, "for i in (1, 2, 3):\n    print(double(i), flush=True)"))
    assert "executed in" in build_notebooks.build("00_x", folder, ADDRESS)
    assert last_outputs(folder) == ["2\n4\n6\n"]


def test_a_failing_cell_is_named_and_the_old_notebook_stays(folder: Path):
    target = folder / "00_x.ipynb"
    target.write_text("the old one", "utf-8")
    write_twin(folder, TWIN.replace(LAST_CELL, "print(triple(21))"))
    with pytest.raises(SystemExit, match="00_x: cell 6 failed with NameError: name 'triple' is not defined"):
        build_notebooks.build("00_x", folder, ADDRESS, always=True)
    assert target.read_text("utf-8") == "the old one"


def test_a_name_without_a_twin_is_refused(folder: Path):
    with pytest.raises(SystemExit, match="it has no 99_y. Known: 00_x"):
        build_notebooks.main(["99_y"], folder)


@pytest.mark.parametrize("tag", ['"same-as:voices.cut"', "only-here, same-as:voices.cut"])
def test_library_code_is_written_into_a_tagged_cell_and_all_else_of_the_twin_stays(folder: Path, tag: str):
    header = "---\njupytext:\n  text_representation:\n    format_name: myst\n---\n\n"
    own = "def cut(x):\n    return x"
    twin = header + TWIN.replace("only-here", tag).replace(
        "def double(number):\n    return 2 * number", f"{own}\n\nvalue = 1"
    )
    write_twin(folder, twin)
    assert build_notebooks.write_library("00_x", folder) == "00_x: 1 cells written from the library"
    library = bare_source(*find_in_library("voices.cut"))
    assert (folder / "src" / "00_x.md").read_text("utf-8") == twin.replace(own, library) != twin
    assert build_notebooks.write_library("00_x", folder) == "00_x: 0 cells written from the library"


SOURCE = '''
import math


@cached
def area(radius: float, *, unit: "str" = "m", **more: dict[str, int]) -> float:
    """Return the area.

    Args:
        radius: é.
    """
    # A comment that says why: π is known.
    scale: float = 1.0

    def inner(x: int) -> int:
        """Inside."""

    return math.pi * radius**2 * scale  # the end
'''


def test_docstrings_and_annotations_go_and_comments_stay():
    node = definitions(ast.parse(SOURCE))["area"]
    text = bare_source(SOURCE, node)
    assert text == textwrap.dedent(
        """\
        @cached
        def area(radius, *, unit="m", **more):
            # A comment that says why: π is known.
            scale = 1.0

            def inner(x):
                pass

            return math.pi * radius**2 * scale  # the end"""
    )
    assert bare_tree(definitions(ast.parse(text))["area"]) == bare_tree(node)


def test_the_fields_of_a_dataclass_keep_their_annotations():
    source = 'class Note:\n    """A note."""\n\n    pitch: int = 60\n\n    def up(self, by: int) -> int: return by\n'
    text = bare_source(source, definitions(ast.parse(source))["Note"])
    assert "pitch: int = 60" in text and "def up(self, by):" in text and '"""' not in text


def test_the_librarys_functions_can_be_copied():
    files = [path for path in (ROOT / PACKAGE).rglob("*.py") if "music" in (path.stem, path.parent.name)]
    sources = [path.read_text("utf-8") for path in files]
    found = [(source, node) for source in sources for node in definitions(ast.parse(source)).values()]
    assert len(found) > 10
    for source, node in found:
        assert bare_tree(ast.parse(bare_source(source, node)).body[0]) == bare_tree(node)


def test_a_name_is_followed_from_its_package_to_the_file_that_defines_it(tmp_path: Path):
    package = tmp_path / PACKAGE / "music"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(
        "from mini_musessl.music.moves import Move, old_cut as cut, missing\nfrom numpy import array\n", "utf-8"
    )
    moves = "def old_cut(x):\n    return x\n\n\nclass Move:\n    def undo(self): pass\n"
    (package / "moves.py").write_text(moves, "utf-8")
    for name, found in (("cut", "old_cut"), ("moves.old_cut", "old_cut"), ("Move", "Move"), ("Move.undo", "undo")):
        source, node = find_in_library(f"music.{name}", tmp_path)
        assert source == moves and node.name == found
    with pytest.raises(LookupError, match=r"music/moves.py defines no missing at that place"):
        find_in_library("music.missing", tmp_path)
    with pytest.raises(LookupError, match=r"music/__init__.py defines no array at that place"):
        find_in_library("music.array", tmp_path)


def test_a_python_that_is_too_old_gets_a_sentence():
    script = (Path(build_notebooks.__file__).parent / "check_python.py").read_text("utf-8")
    script = script.replace("NEEDED = (3, 11)", "NEEDED = (3, 99)")
    done = subprocess.run(["python3", "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "The book needs Python 3.99 or newer; this is 3." in done.stderr and "Traceback" not in done.stderr
