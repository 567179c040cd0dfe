"""What stands in several files agrees: packages, commands, tables, address; nothing is there that must not be."""

import doctest
import importlib.metadata
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import chapters
import check_book
import check_python
import floors
import floors_drawing
import pytest
import repository
import tables
import write_tables
import yaml
from drawings import study
from packaging.specifiers import SpecifierSet
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
MAX_FILE_BYTES = 1_200_000
#: What the reader of environment.yml is promised.
EIGHT = ("jupyterlab", "torch", "music21", "pretty_midi", "matplotlib", "ipywidgets", "nbval", "jupyter-book")


def read(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def normal(requirement: str) -> str:
    return re.split(r"[\s<>=!~;\[]", requirement.strip(), maxsplit=1)[0].lower().replace("_", "-")


def requirement_lines(text: str) -> list[str]:
    lines = [line.split(" #")[0].strip() for line in text.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def packages_of_environment(text: str, folder: Path) -> set[str]:
    pip_lines = next(item["pip"] for item in yaml.safe_load(text)["dependencies"] if isinstance(item, dict))
    found = set()
    for line in pip_lines:
        if line.startswith("-r "):
            included = (folder / line.removeprefix("-r ").strip()).read_text("utf-8")
            found |= {normal(entry) for entry in requirement_lines(included)}
        elif not line.startswith("-"):
            found.add(normal(line))
    return found


def test_the_environment_leads_to_the_eight_packages():
    found = packages_of_environment(read("environment.yml"), ROOT)
    assert {normal(name) for name in EIGHT} <= found
    assert "jupyter-book<2" in requirement_lines(read("requirements.txt"))
    document = yaml.safe_load(read("environment.yml"))
    assert document["dependencies"][:2] == ["python=3.11", "pip"]
    assert {"-c constraints.txt", "-r requirements.txt", "-e ."} <= set(document["dependencies"][2]["pip"])


def test_a_package_that_the_environment_lacks_would_be_seen(tmp_path: Path):
    (tmp_path / "r.txt").write_text("# numpy\ntorch>=2  # why\npretty_midi\n", "utf-8")
    text = "dependencies: [python=3.11, pip, {pip: [-r r.txt, -e .]}]"
    assert packages_of_environment(text, tmp_path) == {"torch", "pretty-midi"}


def test_every_package_has_one_exact_version_in_the_constraints():
    pins = requirement_lines(read("constraints.txt"))
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[\w.]+", pin) for pin in pins), "no +cpu or +cu tag, no range"
    names = [normal(pin) for pin in pins]
    assert len(names) == len(set(names))
    wanted = {normal(line) for line in requirement_lines(read("requirements.txt"))}
    assert wanted <= set(names)


def test_the_library_needs_nothing_that_the_list_of_packages_lacks():
    project = tomllib.loads(read("pyproject.toml"))["project"]
    extras = project["optional-dependencies"]
    needed = {normal(line) for line in [*project["dependencies"], *extras["notation"], *extras["scale"]]}
    listed = {normal(line) for line in requirement_lines(read("requirements.txt"))}
    assert needed <= listed
    assert not [line for line in project["dependencies"] if "==" in line or "<" in line], "Colab's versions must do"


def test_every_package_that_the_library_imports_is_declared_and_every_one_declared_is_used():
    project = tomllib.loads(read("pyproject.toml"))["project"]
    extras = project["optional-dependencies"]
    declared = {normal(line) for line in [*project["dependencies"], *extras["notation"], *extras["scale"]]}
    sources = [path.read_text("utf-8") for path in (ROOT / "mini_musessl").rglob("*.py")]
    imported = {name.split(".")[0] for source in sources for _, name in floors.imported_modules(source, "mini_musessl")}
    others = {normal(name) for name in imported - sys.stdlib_module_names - {"mini_musessl"}}
    # matplotlib brings PIL and pooch requests; IPython is there where a notebook runs; readers make the widgets so far.
    # music21 brings the chorales: its files are read, none of its code.
    assert others - {"pil", "requests", "ipython"} == declared - {"ipywidgets", "music21"}


def test_the_packages_without_pytorch_are_those_that_the_parts_without_it_import():
    line = re.search(r"^pip install (numpy .*)$", read("book/setting_up.md"), flags=re.MULTILINE)
    project = tomllib.loads(read("pyproject.toml"))["project"]
    needed = {normal(each) for each in [*project["dependencies"], *project["optional-dependencies"]["notation"]]}
    # safetensors holds networks.
    assert line and {normal(name) for name in line.group(1).split()} == needed - {"torch", "safetensors", "ipywidgets"}


def test_every_pinned_version_can_be_installed_on_the_oldest_python():
    oldest = ".".join(map(str, check_python.NEEDED)) + ".0"
    pins = {normal(pin): pin.split("==")[1] for pin in requirement_lines(read("constraints.txt"))}
    found = {normal(each.name): each for each in importlib.metadata.distributions()}
    present = {name: each for name, each in found.items() if Version(each.version).public == pins.get(name)}
    asked = {name: each.metadata["Requires-Python"] or "" for name, each in present.items()}
    assert {name: asks for name, asks in asked.items() if oldest not in SpecifierSet(asks)} == {}
    assert len(present) > len(pins) - 10, "some are for other systems; the others are here after `make install`"


def makefile_targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):.*##", read("Makefile"), flags=re.MULTILINE))


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "book/setting_up.md"])
def test_every_make_command_in_the_text_exists(name: str):
    named = set(re.findall(r"(?:`|^)make ([a-z-]+)", read(name), flags=re.MULTILINE))
    assert named <= makefile_targets()
    assert name != "README.md" or {"book", "test"} <= named


def test_make_alone_lists_every_target_with_a_line():
    listing = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    listed = re.findall(r"^make ([a-z-]+) +\S.*", listing, flags=re.MULTILINE)
    phony = re.search(r"^\.PHONY: (.*)$", read("Makefile"), flags=re.MULTILINE)
    assert phony is not None and set(listed) == set(phony.group(1).split())


def test_the_check_of_every_change_is_the_two_commands():
    script = read(".ci/run")
    assert re.findall(r"^make .*$", script, flags=re.MULTILINE) == ["make book", "make test"]
    assert (ROOT / ".ci/run").stat().st_mode & 0o100, ".ci/run must be executable"


@pytest.mark.parametrize("page", tables.PAGES)
def test_a_page_of_results_says_what_the_results_say(page):
    assert write_tables.result_page(page) == read(f"book/{page}.md"), "run `make tables`"


def test_the_first_sentences_of_the_study_are_what_was_found():
    gains = [line.strip("| ").split(" | ") for line in tables.hopes().splitlines()[2:]]

    def ahead(column: int) -> set[str]:
        pairs = [(line[0], *map(float, line[column].split(" ± "))) for line in gains]
        return {name for name, mean, spread in pairs if mean > 0 and mean >= 2 * spread}

    assert ahead(6) == {"beat"} and {line[0]: line[1] for line in gains}["beat"] == "heads: rhythm"
    assert ahead(4) == {"chord", "phrase end", "beat", "voice"}
    every, ten = ({task: study.dots(task, budget) for task in tables.TASKS} for budget in (None, 10))
    everyone = {task: {name: one for found in every[task].values() for name, one in found.items()} for task in every}
    for task, dots in (("mode", every), ("mode", ten), ("key signature", ten)):
        rule = study.levels(task, None)["key finder"]
        assert rule > max(one for found in dots[task].values() for one in found.values()), task
    best = {task: max(found, key=found.get) for task, found in everyone.items()}
    assert (best["beat"], best["mode"]) == ("heads: rhythm", "heads: rhythm + harmony")
    chord = everyone["chord"]
    assert max((name for name in chord if "harmony" not in name), key=chord.get) == "masked: voices"
    worse = [one for name, one in chord.items() if name in ("masked: bars", "order", "contrast: crop + voices")]
    assert max(worse) < min(every["chord"]["untrained"].values())
    assert len(set(best.values())) > 1


def test_the_tables_of_the_readme_and_the_contents_are_those_of_the_files():
    assert write_tables.readme() == read("README.md"), "run `make tables`"
    assert chapters.contents() == read("_toc.yml"), "run `make tables`"
    assert floors_drawing.svg() == read("assets/floors.svg"), "run `make tables`"


def test_contents_list_every_page_and_notebook_in_order(tmp_path: Path):
    pages = ["index.md", "glossary.md", "zebra.md", "notation.md", "03_data.md", "10_games.md"]
    for folder, names in {"book": pages, "notebooks": ["03b_y.ipynb", "03a_x.ipynb", "00_a.ipynb"]}.items():
        (tmp_path / folder).mkdir()
        for name in names:
            (tmp_path / folder / name).write_text("# T\n", "utf-8")
    listed = re.findall(r"(?:file|root): (\S+)", chapters.contents(tmp_path))
    chapters_in_order = ["notebooks/00_a", "book/03_data", "notebooks/03a_x", "notebooks/03b_y", "book/10_games"]
    assert listed == ["book/index", *chapters_in_order, "book/notation", "book/glossary", "book/zebra"]
    yaml.safe_load(chapters.contents(tmp_path))


def test_a_page_has_exactly_one_block_for_a_table():
    for page in ("no block", 2 * "<!-- floors --><!-- end of floors -->"):
        with pytest.raises(ValueError, match="The page must have one block"):
            write_tables.fill(page, "floors", "new")


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "tools").glob("*.py")))
def test_the_examples_of_the_tools_are_true(name: str):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_every_file_that_copies_the_repositorys_address_has_the_same():
    address = repository.read_address()
    owner, name = repository.owner_and_name(address)
    config = yaml.safe_load(read("_config.yml"))
    assert config["repository"]["url"] == address
    assert config["sphinx"]["config"]["ogp_site_url"] == repository.pages_address(address)
    assert yaml.safe_load(read("CITATION.cff"))["repository-code"] == address
    colab = re.compile(r"colab\.research\.google\.com/github/([\w.-]+)/([\w.-]+)/")
    for path in repository.tracked_files():
        if path.suffix in {".md", ".ipynb", ".yml", ".cff"}:
            assert set(colab.findall(path.read_text("utf-8"))) <= {(owner, name)}, path


def test_the_pages_on_getting_started_say_whether_the_address_answers(monkeypatch):
    clone = f"`git clone {repository.read_address()}`"
    for is_published in (False, True):
        monkeypatch.setattr(repository, "IS_PUBLISHED", is_published)
        pages = [write_tables.result_page(name) for name in ("index", "setting_up")]
        for page in [write_tables.readme(), *pages]:
            assert ("Not published yet" in page) != is_published and (clone in page) == is_published


def test_moving_to_another_address_changes_every_form_of_it(tmp_path: Path):
    old, new = "https://github.com/a/b", "https://github.com/c/d"
    (tmp_path / "pyproject.toml").write_text(f'[project.urls]\nRepository = "{old}"\n', "utf-8")
    text = f"{old} {repository.colab_address(old, 'n.ipynb')} {repository.pages_address(old)}"
    (tmp_path / "README.md").write_text(text, "utf-8")
    assert len(repository.move(new, tmp_path)) == 2
    assert repository.read_address(tmp_path) == new
    wanted = f"{new} {repository.colab_address(new, 'n.ipynb')} {repository.pages_address(new)}"
    assert (tmp_path / "README.md").read_text("utf-8") == wanted
    with pytest.raises(SystemExit, match="must look like"):
        repository.move("c/d", tmp_path)


#: Written in parts, so that this file does not hold what it looks for.
PLACES = ["/" + "work/", "/" + "tmp/w", "/" + "root/", "/home" + "/"]


def file_problems(name: str, data: bytes) -> list[str]:
    if "/vendor/" in name:
        return []
    is_large = len(data) > MAX_FILE_BYTES and not name.endswith(".safetensors")
    text = "" if b"\0" in data[:1000] else data.decode("utf-8", errors="replace")
    found = [word for word in PLACES if re.search(rf"(?<![\w.}}-]){re.escape(word)}", text)]
    return [f"{name} has {len(data)} bytes"] * is_large + [f"{name} holds {word!r}" for word in found]


def test_no_committed_file_is_large_or_names_a_place_of_one_machine():
    files = repository.tracked_files()
    assert len(files) > 20
    problems = [p for path in files for p in file_problems(path.relative_to(ROOT).as_posix(), path.read_bytes())]
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize(
    "name, data, n_problems",
    [
        ("a.json", bytes(MAX_FILE_BYTES + 1), 1),
        ("a.md", ("see /" + "work/main").encode(), 1),
        ("a.py", ('path = "/' + 'tmp/w/x"').encode(), 1),
        ("book/assets/vendor/a.js", bytes(MAX_FILE_BYTES + 1), 0),
        ("a.md", b"https://example.org/work/1 and notebooks/work/x", 0),
    ],
)
def test_a_large_file_and_a_machines_folder_are_found(name: str, data: bytes, n_problems: int):
    assert len(file_problems(name, data)) == n_problems


PAGE = (
    '<link rel="stylesheet" href="a.css"><link rel="icon" href="a.svg"><script src="b.js"></script>'
    '<body id="top"><img alt="" src="data:image/png;base64,AA==">'
)


@pytest.mark.parametrize(
    "html, problems",
    [
        (PAGE + '<a href="https://example.org">x</a><link rel="canonical" href="https://example.org">', []),
        (PAGE + '<script src="https://x.org/x.js">', ["is loaded from another host: https://x.org/x.js"]),
        (PAGE + '<link rel="stylesheet" href="//x.org/x.css">', ["is loaded from another host: //x.org/x.css"]),
        (PAGE + '<script src="c.js"></script>', ["is not in the book: c.js"]),
        (PAGE + '<a href="#top">x</a><a href="p%20q.html#caf%C3%A9">x</a><a href="/a.css">x</a>', []),
        (PAGE + '<a href="#bottom">x</a>', ["a link leads nowhere: #bottom"]),
        (PAGE + '<a href="../p.html">x</a>', ["a link leads nowhere: ../p.html"]),
        (PAGE + '<a href="p%20q.html#tea">x</a>', ["a link leads nowhere: p%20q.html#tea"]),
        (PAGE + '<audio aria-label="Player: x"></audio>', []),
        (PAGE + "<audio></audio>", ["a player has no name: give it an aria-label"]),
        (PAGE + '<script src="mathjax/x.js"></script>', ["MathJax, 1.2 MB, and no formula"]),
        (PAGE + '<span class="math notranslate">x</span>', ["a formula and no MathJax"]),
        (PAGE + '<script src="mathjax/x.js"></script><div class="amsmath math">x</div>', []),
        ("<body>", ["no icon is named: browsers would ask for /favicon.ico, which is not there"]),
        ('<meta http-equiv="Refresh" content="0; url=book/index.html" />', []),
    ],
)
def test_each_problem_of_a_built_page_is_found(tmp_path: Path, html: str, problems: list[str]):
    (tmp_path / "mathjax").mkdir()
    for name in ("a.css", "a.svg", "b.js", "mathjax/x.js"):
        (tmp_path / name).write_text("", "utf-8")
    (tmp_path / "p q.html").write_text('<p id="café">', "utf-8")
    (tmp_path / "page.html").write_text(html, "utf-8")
    assert list(check_book.page_problems(tmp_path / "page.html", tmp_path)) == problems


def test_nothing_is_read_that_could_run_code_when_it_is_opened():
    found = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for folder in ("mini_musessl", "experiments", "tools", "notebooks/src")
        for path in sorted((ROOT / folder).rglob("*"))
        if path.suffix in (".py", ".md")
        for line in path.read_text("utf-8").splitlines()
        if re.search(r"import (pickle|dill|joblib|shelve|marshal)|torch\.load\(|allow_pickle=True|read_pickle", line)
    ]
    assert found == []
