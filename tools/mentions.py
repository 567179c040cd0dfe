"""Links of the text: every mention of a notebook or chapter ("5a", "chapters 4 and 5"), each term's first use.

tools/write_tables.py writes them. A plain relative link works on the page, in Jupyter and on GitHub. Only prose is
read: code, formulas, headings, HTML, links that are there and tables made from results stay as they are, and so do
exercises ("3a.7") and whatever is not written yet.
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
    r"|^ *\* <[^\n]*"  # and so does one in a list, such as a choice with its feedback
    r"|^#+ .*?$"
    r"|^:+\{dropdown\}.*?$"  # a title that opens and closes cannot hold a link
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


# Terms


#: Terms that mean one thing in this book, as they stand in the glossary, and what a text calls them beside that.
TERMS: dict[str, str] = {
    "authentic cadence": "perfect authentic cadence",
    "half cadence": "",
    "plagal cadence": "",
    "deceptive cadence": "",
    "cadence": "",
    "anticipation": "",
    "BWV": "",
    "chroma": "",
    "consonance": "",
    "dissonance": "",
    "dominant": "",
    "equal temperament": "",
    "fermata": "",
    "first inversion": "",
    "second inversion": "",
    "church mode": "",
    "diminished triad": "",
    "seventh chord": "dominant seventh",
    "key signature": "",
    "leading note": "",
    "modulation": "",
    "MusicXML": "",
    "parallel fifths and octaves": "parallel fifths|parallel octaves",
    "passing note": "",
    "piano roll": "",
    "Picardy third": "",
    "pitch class": "pitch classes",
    "re-articulation": "re-articulate",
    "relative key": "relative (?:major|minor)",
    "Roman numeral analysis": "Roman numerals?",
    "semitone": "",
    "suspension": "",
    "time signature": "",
    "tonic": "",
    "transposition": "",
    "triad": "",
    "tritone": "",
    "upbeat": "",
    "voice crossing": "",
    "voice leading": "",
    "ablation": "",
    "augmentation": "",
    "autoregressive model": "autoregressive",
    "back-off": "",
    "balanced accuracy": "",
    "baseline": "",
    "bootstrap": "",
    "calibration": "calibrated",
    "causal mask": "",
    "chain rule": "",
    "contrastive learning": "contrastive",
    "cross-entropy": "",
    "decoder-only Transformer": "decoder-only",
    "distillation": "",
    "dropout": "",
    "embedding": "",
    "entropy": "",
    "fine-tuning": "fine-tuned?",
    "held-out data": "held-out",
    "induction head": "",
    "infilling": "",
    "InfoNCE": "",
    "Kullback-Leibler divergence": "",
    "KV cache": "",
    "layer norm": "",
    "learning rate": "",
    "learning-rate warm-up": "warm-up",
    "logit": "",
    "mutual information": "",
    "n-gram model": "n-grams?|[0-9]-grams?|bigrams?",
    "nat": "",
    "overfitting": "overfits?",
    "padding mask": "",
    "padding": "",
    "perplexity": "",
    "pre-norm": "",
    "pre-training": "pre-trained",
    "pretext task": "",
    "query, key and value projections": "learned projections?",
    "residual connection": "residual",
    "rotary positions": "",
    "self-attention": "",
    "self-supervised learning": "self-supervised",
    "skewing": "",
    "softmax": "",
    "teacher forcing": "",
    "temperature": "",
    "tokenizer": "",
    "top-p sampling": "top-p",
    "typical set": "",
    "unigram model": "unigram",
}
GLOSSARY = Path("book/glossary.md")


def term_id(term: str) -> str:
    """Return the place of a term on the glossary's page.

    >>> term_id("query, key and value"), term_id("BWV")
    ('term-query-key-and-value', 'term-BWV')
    """
    return "term-" + re.sub(r"[^a-zA-Z0-9]+", "-", term).strip("-")


def with_terms(text: str, page: Path, root: Path = ROOT) -> str:
    """Return a page whose terms link to the glossary where it first uses them, unless it links them already."""
    glossary = Path(os.path.relpath(root / GLOSSARY, page.parent)).as_posix()
    for term, others in TERMS.items():
        place = f"{glossary}#{term_id(term)}"
        if f"]({place})" in text:
            continue
        named = "|".join(filter(None, [rf"{re.escape(term)}s?", others]))
        used = re.compile(rf"(?<![\w./-])(?:{named})(?![\w/-]|\.\w)", flags=0 if term[0].isupper() else re.IGNORECASE)
        text = _with_first(text, used, place)
    return text


def _with_first(text: str, used: re.Pattern, place: str) -> str:
    end = 0
    for other in [*OTHER.finditer(text), None]:
        start = other.start() if other else len(text)
        if match := used.search(text, end, start):
            return f"{text[: match.start()]}[{match.group()}]({place}){text[match.end() :]}"
        end = other.end() if other else end
    return text
