"""Make executed notebooks from their text twins.

    python tools/build_notebooks.py                        executes what changed; new text alone executes nothing
    python tools/build_notebooks.py 03b_tokens             executes this one
    python tools/build_notebooks.py --all                  executes everything, for instance when the library changed
    python tools/build_notebooks.py --write-library NAME   copies library code into the cells tagged same-as:

People edit ``notebooks/src/NAME.md`` (MyST Markdown). This tool writes ``notebooks/NAME.ipynb``, which is committed:
Colab, nbval and the rendered book read it. Two runs write the same bytes. After the first text cell the tool inserts a
link that opens the notebook on Colab, and a cell that installs the library where it is missing.
"""

import argparse
import os
import re
import sys
import time
from pathlib import Path

import jupytext
import nbformat
import repository
from library_source import bare_source, bare_tree, definitions, find_in_library, plain_python, replace_definition
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from mini_musessl import __version__
from mini_musessl.files import write_aside

ROOT = Path(__file__).resolve().parent.parent
TIMEOUT_SEC = 300
#: As JupyterLab writes it. With the kernel's ``language_info``, saving a notebook that was only read changes no byte.
KERNELSPEC = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
WIDGET = "application/vnd.jupyter.widget-view+json"
#: A tag, not a branch: a notebook that somebody kept must not meet a library of another year. pip's own words are not
#: shown, a dozen lines that end in advice for authors of packages.
INSTALL_CELL = """\
import importlib.util
import subprocess
import sys

if importlib.util.find_spec("mini_musessl") is None:  # as on Colab and Kaggle; otherwise nothing happens
    address = "{address}"
    print("Installing mini_musessl: seconds on Colab, minutes where PyTorch is missing.", flush=True)
    library = f"mini_musessl[notation] @ git+{{address}}@v{version}"
    if subprocess.run([sys.executable, "-m", "pip", "install", "-q", library], capture_output=True).returncode != 0:
        raise ModuleNotFoundError(
            f"mini_musessl could not be installed. Does {{address}} open in a browser? Then try once more (on Kaggle, "
            "switch on Settings, Internet first). If not, run this notebook in a copy of the book's folder."
        )"""
#: A code cell of a twin that is tagged as library code: its head, its tags in brackets, its code.
SAME_AS_CELL = re.compile(
    r"(^```\{code-cell\}[^\n]*\n:tags: \[([^\n]*same-as:[^\n]*)\]\n\n)(.*?)(?=\n```$)", re.MULTILINE | re.DOTALL
)


def tags(cell: NotebookNode) -> list[str]:
    """Return the tags of a cell."""
    return list(cell.metadata.get("tags", []))


def colab_cells(name: str, address: str) -> list[NotebookNode]:
    """Return the two cells that every notebook has after its first text cell: a link, and what installs the library."""
    link = repository.colab_address(address, f"notebooks/{name}.ipynb")
    code = new_code_cell(INSTALL_CELL.format(address=address, version=__version__))
    # The rendered page has no use for the cell; a reader who opens the notebook sees it.
    code.metadata["tags"] = ["remove-cell"]
    return [new_markdown_cell(f"[Open this notebook in Colab]({link})"), code]


def planned(twin: NotebookNode, name: str, address: str) -> NotebookNode:
    """Return the notebook that a twin describes, not executed: plain metadata, cell ids by position, Colab cells."""
    if not twin.cells or twin.cells[0].cell_type != "markdown" or not twin.cells[0].source.startswith("# "):
        raise ValueError(f"{name} must begin with a text cell whose first line is its title, '# ...'.")
    notebook = new_notebook(metadata={"kernelspec": KERNELSPEC})
    for cell in [twin.cells[0], *colab_cells(name, address), *twin.cells[1:]]:
        made = new_code_cell(cell.source) if cell.cell_type == "code" else new_markdown_cell(cell.source)
        if tags(cell):
            made.metadata["tags"] = tags(cell)
        made["id"] = f"cell-{len(notebook.cells) + 1:03}"
        notebook.cells.append(made)
    return notebook


def read_twin(path: Path) -> NotebookNode:
    """Return the cells of a text twin."""
    return jupytext.read(path, fmt="md:myst")


def outline(notebook: NotebookNode) -> list[tuple]:
    """Return what a notebook and its twin must share: type, text, tags and id of every cell."""
    return [(cell.cell_type, cell.source, tuple(tags(cell)), cell.get("id")) for cell in notebook.cells]


def is_executed(notebook: NotebookNode) -> bool:
    """Return whether the code cells were run from top to bottom in a new kernel."""
    counts = [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"]
    return counts == list(range(1, len(counts) + 1))


def is_up_to_date(target: Path, plan: NotebookNode) -> bool:
    """Return whether the notebook on disk is executed and has the plan's cells and metadata."""
    if not target.is_file():
        return False
    present = nbformat.read(target, as_version=4)
    kernel_agrees = present.metadata.get("kernelspec") == KERNELSPEC
    return kernel_agrees and outline(present) == outline(plan) and is_executed(present)


def code_of(notebook: NotebookNode) -> list[tuple]:
    """Return source and tags of every code cell but the first, which installs the library and has no output."""
    return [(cell.source, tuple(tags(cell))) for cell in notebook.cells if cell.cell_type == "code"][1:]


def with_kept_outputs(target: Path, plan: NotebookNode) -> NotebookNode | None:
    """Return the plan with the outputs on disk where only text changed, or None where code must run again."""
    if not target.is_file():
        return None
    present = nbformat.read(target, as_version=4)
    if not is_executed(present) or code_of(present) != code_of(plan):
        return None
    ran = [cell for cell in present.cells if cell.cell_type == "code"]
    for made, old in zip((cell for cell in plan.cells if cell.cell_type == "code"), ran, strict=True):
        made.outputs, made.execution_count = old.outputs, old.execution_count
    plan.metadata = present.metadata
    plan.metadata["kernelspec"] = KERNELSPEC
    return plan


def execute(notebook: NotebookNode, folder: Path) -> NotebookNode:
    """Run a notebook in a new kernel with ``folder`` as its working directory; return it with its outputs."""
    client = NotebookClient(
        notebook,
        timeout=TIMEOUT_SEC,
        kernel_name="python3",
        record_timing=False,
        # A print may arrive in one piece or in two; one output a stream makes two runs write the same bytes.
        coalesce_streams=True,
        # The kernel's own warning about TCP on this machine says nothing about the notebook.
        extra_arguments=["--IPKernelApp.log_level=ERROR"],
        store_widget_state=False,
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute()
    for cell in notebook.cells:  # without its kernel a widget shows nothing, and its number is another in every run
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if WIDGET not in output.get("data", {})]
    return notebook


def write(notebook: NotebookNode, target: Path) -> None:
    """Write a notebook, its keys in order."""
    nbformat.validate(notebook)
    text = nbformat.writes(notebook, version=4, indent=1, sort_keys=True) + "\n"
    write_aside(target, text.encode("utf-8"))


def failure(notebook: NotebookNode, name: str, error: Exception) -> str:
    """Say which cell of which notebook failed, and with which error."""
    cells = [(number, cell) for number, cell in enumerate(notebook.cells, 1) if cell.cell_type == "code"]
    run = [number for number, cell in cells if cell.execution_count is not None]
    failed = [number for number, cell in cells if any(output.output_type == "error" for output in cell.outputs)]
    number = [1, *run, *failed][-1]
    said = str(error) if isinstance(error, CellTimeoutError) else f"{error.ename}: {error.evalue}"
    told = f"{name}: cell {number} failed with {said}\n--- cell {number}\n{notebook.cells[number - 1].source}\n---\n"
    return told + "The notebook on disk was left as it was."


def build(name: str, folder: Path, address: str, always: bool = False) -> str:
    """Make one notebook and return a sentence about it.

    Args:
        folder: of the notebooks; the twin lies in its ``src``.
        always: execute it although nothing changed.
    """
    plan = planned(read_twin(folder / "src" / f"{name}.md"), name, address)
    target = folder / f"{name}.ipynb"
    if not always and is_up_to_date(target, plan):
        return f"{name}: unchanged"
    if not always and (kept := with_kept_outputs(target, plan)):
        write(kept, target)
        return f"{name}: new text, outputs kept"
    started = time.perf_counter()
    try:
        executed = execute(plan, folder)
    except (CellExecutionError, CellTimeoutError) as error:
        raise SystemExit(failure(plan, name, error)) from None
    write(executed, target)
    return f"{name}: executed in {time.perf_counter() - started:.0f} s, {target.stat().st_size / 1000:.0f} kB"


def write_library(name: str, folder: Path) -> str:
    """Copy the library's definitions into the twin's cells tagged ``same-as:``; return a sentence about it.

    Docstrings and annotations are left out. Everything else in the twin stays as it is, to the letter.
    """
    path = folder / "src" / f"{name}.md"
    changed = []

    def written(match: re.Match) -> str:
        head, tagged, before = match.groups()
        code = before
        for definition in re.findall(r"same-as:([\w.]+)", tagged):
            code = with_library_code(code, definition)
        changed.append(code != before)
        return head + code

    text = SAME_AS_CELL.sub(written, path.read_text("utf-8"))
    if any(changed):
        write_aside(path, text.encode("utf-8"))
    return f"{name}: {sum(changed)} cells written from the library"


def with_library_code(cell: str, name: str) -> str:
    """Return a cell with the library's definition, or as it is where it differs in docstrings and annotations alone."""
    source, node = find_in_library(name)
    tree = plain_python(cell)
    present = definitions(tree).get(node.name) if tree else None
    if present and bare_tree(present) == bare_tree(node):
        return cell
    return replace_definition(cell, node.name, bare_source(source, node))


def names_of_twins(folder: Path) -> list[str]:
    """Return the names of all text twins."""
    return sorted(path.stem for path in (folder / "src").glob("*.md"))


def main(arguments: list[str] | None = None, folder: Path = ROOT / "notebooks") -> None:
    """Read the command line and make the notebooks that it asks for."""
    parser = argparse.ArgumentParser(description="Make executed notebooks from their text twins.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="notebooks to execute; all that changed by default")
    parser.add_argument("--all", action="store_true", help="execute also what has not changed")
    parser.add_argument("--write-library", metavar="NAME", help="copy library code into the cells tagged same-as:")
    options = parser.parse_args(arguments)
    known = names_of_twins(folder)
    asked = [Path(name).stem for name in (options.write_library and [options.write_library]) or options.names or known]
    if unknown := sorted(set(asked) - set(known)):
        raise SystemExit(
            f"notebooks/src must hold what is asked for; it has no {', '.join(unknown)}. Known: {', '.join(known)}."
        )
    for name in asked:
        if options.write_library:
            print(write_library(name, folder))
        else:
            print(build(name, folder, repository.read_address(), always=options.all or bool(options.names)), flush=True)
    if not asked:
        print("notebooks/src holds no text twins: nothing to execute.")


if __name__ == "__main__":
    os.environ.setdefault("PYTHONHASHSEED", "0")
    sys.exit(main())
