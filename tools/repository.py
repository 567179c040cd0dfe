"""Read the repository's address from pyproject.toml, and move the book to another address.

    python tools/repository.py                                    says the address
    python tools/repository.py https://github.com/OWNER/NAME      writes it everywhere

The address stands in pyproject.toml; files that cannot read it from there (_config.yml, README.md, CITATION.cff,
executed notebooks) hold a copy, which tests/test_house_files.py compares.
"""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

#: Whether the address answers. Until it does, README.md, the first page and the page on setting up say so.
IS_PUBLISHED = False

ROOT = Path(__file__).resolve().parent.parent
ADDRESS = re.compile(r"https://github\.com/[A-Za-z0-9-]+/[A-Za-z0-9_.-]+")


def read_address(root: Path = ROOT) -> str:
    """Return the address that pyproject.toml names."""
    return tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]["urls"]["Repository"]


def owner_and_name(address: str) -> tuple[str, str]:
    """Return ``("owner", "name")`` of a GitHub address."""
    owner, name = address.removeprefix("https://github.com/").split("/")
    return owner, name


def colab_address(address: str, path: str) -> str:
    """Return the address under which Colab opens the notebook at ``path``."""
    owner, name = owner_and_name(address)
    return f"https://colab.research.google.com/github/{owner}/{name}/blob/main/{path}"


def pages_address(address: str) -> str:
    """Return where GitHub Pages serves the rendered book."""
    owner, name = owner_and_name(address)
    return f"https://{owner}.github.io/{name}/"


def notice(root: Path = ROOT) -> str:
    """Return what the pages on getting started say of the address."""
    if IS_PUBLISHED:
        return f"To get a copy of the book: `git clone {read_address(root)}`."
    return (
        "**Not published yet.** Nothing answers so far at the address that the book names: its links to Colab, to the\n"
        "repository and to issues lead nowhere, and a notebook alone cannot install the library. Run the book from a\n"
        "copy of its folder."
    )


def forms(address: str) -> list[str]:
    """Return every form in which a file may hold the address."""
    return [address, colab_address(address, ""), pages_address(address)]


def tracked_files(root: Path = ROOT) -> list[Path]:
    """Return the files that git knows, or every file outside hidden and built folders where there is no git."""
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True, check=False)
    if listing.returncode == 0:
        paths = [root / name for name in listing.stdout.split("\0") if name]
        return [path for path in paths if path.is_file()]
    found = [path.relative_to(root) for path in sorted(root.rglob("*")) if path.is_file()]
    return [root / path for path in found if not any(_is_made(part) for part in path.parts)]


def _is_made(part: str) -> bool:
    """Return whether a program made a file or folder of this name; .ci and .github are ours."""
    is_hidden = part.startswith(".") and part not in (".ci", ".github", ".gitignore", ".yamllint")
    return is_hidden or part in ("_build", "__pycache__", "node_modules") or part.endswith(".egg-info")


def move(new: str, root: Path = ROOT) -> list[Path]:
    """Write ``new`` in place of the present address in every tracked text file; return the files that changed."""
    if not ADDRESS.fullmatch(new):
        raise SystemExit(f"An address must look like https://github.com/OWNER/NAME; found {new!r}.")
    pairs = list(zip(forms(read_address(root)), forms(new), strict=True))
    changed = []
    for path in (path for path in tracked_files(root) if "vendor" not in path.parts):
        try:
            text = moved = path.read_bytes().decode("utf-8")
        except UnicodeDecodeError:
            continue
        for before, after in pairs:
            moved = moved.replace(before, after)
        if moved != text:
            path.write_bytes(moved.encode("utf-8"))
            changed.append(path)
    return changed


if __name__ == "__main__":
    if len(sys.argv) == 1:
        print(read_address())
    else:
        changed_files = move(sys.argv[1])
        print(f"{sys.argv[1]} stands in {len(changed_files)} files now; `make test` checks that none was missed.")
