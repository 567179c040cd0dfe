"""Make every mention of a notebook or chapter a link: "5a", "notebook 3a", "chapters 4 and 5".

python tools/mentions.py

A plain relative link works on the page, in Jupyter and on GitHub. Only prose is read: code, formulas, headings,
HTML, links that are there and tables made from results stay as they are, and so do exercises ("3a.7") and whatever
is not written yet.
"""

import os
import re
from pathlib import Path

import chapters

ROOT = Path(__file__).resolve().parent.parent
#: What is no prose.
OTHER = re.compile(
    r"\A---\n.*?\n---\n"  # front matter
    r"|^(?P<fence>`{3,}|~{3,}).*?^(?P=fence)"
    r"|<!-- (?P<block>[\w ]+) -->.*?<!-- end of (?P=block) -->"
    r"|<!--.*?-->"
    r"|^<.*?(?:\n\s*\n|\Z)"  # a block of HTML ends with an empty line
    r"|^#+ .*?$"
    r"|``.+?``|`[^`\n]+`|\$\$.+?\$\$|\$[^$\n]+\$"
    r"|!?\[[^\]]*\](?:\([^)]*\)|\{[^}]*\})?"
    r"|</?[a-z]+(?:\s[^<>]*)?>|https?://\S+",
    flags=re.DOTALL | re.MULTILINE,
)
LABEL = r"(?:\d{1,2}[a-z]|\d{1,2})"
MENTION = re.compile(
    rf"\b(?P<word>[Nn]otebook|[Cc]hapter)\s(?P<one>{LABEL})\b(?!\.\d)"
    rf"|\b(?:[Nn]otebook|[Cc]hapter)s\s(?P<several>{LABEL}(?:(?:,\s|,?\s(?:and|or|to)\s){LABEL})*)\b(?!\.\d)"
    r"|(?<![\w./-])(?P<alone>\d{1,2}[a-d])\b(?!\.\d)"
)


def places(root: Path = ROOT) -> dict[str, Path]:
    """Return the page or notebook that each label means: "5" the opener of chapter 5, "5a" a notebook."""
    found: dict[str, Path] = {}
    for path in [*chapters.pages(root), *chapters.notebooks(root)]:
        if label := chapters.label(path.stem):
            found.setdefault(label, path)
    return found


def linked(text: str, page: Path, known: dict[str, Path]) -> str:
    """Return a page of Markdown whose mentions of other pages and notebooks are links.

    Args:
        page: where the text is shown, from which links are counted.
        known: of ``places``.
    """
    parts, end = [], 0
    for other in OTHER.finditer(text):
        parts += [_linked_prose(text[end : other.start()], page, known), other.group()]
        end = other.end()
    return "".join([*parts, _linked_prose(text[end:], page, known)])


def _linked_prose(prose: str, page: Path, known: dict[str, Path]) -> str:
    def link(shown: str, label: str) -> str:
        target = known.get(label)
        if target is None or target == page:
            return shown
        return f"[{shown}]({Path(os.path.relpath(target, page.parent)).as_posix()})"

    def replaced(match: re.Match) -> str:
        if several := match["several"]:
            head = match.group().removesuffix(several)
            return head + re.sub(LABEL, lambda one: link(one.group(), one.group()), several)
        return link(match.group(), match["one"] or match["alone"])

    return MENTION.sub(replaced, prose)


def pages_and_twins(root: Path = ROOT) -> dict[Path, Path]:
    """Return the files that people edit, each with the place where it is shown: a twin is shown as its notebook."""
    twins = {path.parent / "src" / f"{path.stem}.md": path for path in chapters.notebooks(root)}
    return {path: path for path in chapters.pages(root)} | twins


def main(root: Path = ROOT) -> None:
    """Write the links and say which files changed."""
    known, changed = places(root), []
    for path, shown_at in pages_and_twins(root).items():
        text = path.read_text("utf-8")
        if (new := linked(text, shown_at, known)) != text:
            path.write_text(new, "utf-8")
            changed.append(path.name)
    print(f"Linked mentions in {', '.join(changed)}." if changed else "Every mention is a link.")


if __name__ == "__main__":
    main()
