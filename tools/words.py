"""Words that a house test looks for, each with what to write instead.

These are the phrases of the first edition that can be found without many false alarms. A phrase belongs here when no
good sentence needs it; the rest is an editor's ear: read each page aloud once.
"""

import re
from collections.abc import Iterator
from pathlib import Path

#: Where they are looked for.
CODE = ("mini_musessl/**/*.py", "tools/**/*.py", "experiments/*.py")
PROSE = ("README.md", "book/*.md", "notebooks/src/*.md")

#: What is looked for -> what to write.
BANNED = {
    # English that reads as translated
    r"(?i)\bas of ``?\w": "as in",
    r"\b(?:nats?|bits?) an? [a-z]+": "nats per token",
    r"\b(?:one|an?) (?:vector|row|column|position|number|symbol|line) an? [a-z]+": "one row per step",
    r"\bby heart\b": "memorised, or overfits",
    r"\bis no generator\b": "is not a generator",
    r"\b(?:what|who|which) (?:is|are) (?:none|no(?! longer| more))\b": "what must hold: anything but ...",
    r"\b[Gg]oes on to the same end\b": "ends with the same weights",
    r"\bsureness\b": "confidence",
    r"\bdear(?:er|est)?\b": "has a higher loss",
    r"\bwho (?:may )?looks? at whom\b": "which positions each position may attend to",
    # The field's word first
    r"\bnetworks? hears?\b|\bhears?_[a-z]+|_hear_(?!it_first)": "uses_",
    r"(?i)\bsoften(?:s|ed)?\b|_soften\b": "divide by the temperature",
    r"\b(?:causal|padding|check)_rule\b": "causal_mask",
    r"\b[Pp]ast_?[Kk]eys\b|\blook_(?:on|back)\b|\bframe_past\b": "KV cache, frame history, advance",
    r"\b(?:Token|Frame)Reader\b|\bgeneration\.readers\b": "decoder",
    r"\bRules\(|: Rules\b|\bimport Rules\b": "Sampling",
    r"\bVoicesInTurn\b": "VoiceHead",
    r"\bmeasure_(?:masked|attributes|contrastive|order)\b": "evaluate_",
    r"\b(?:musical|neighbour)_facts\b": "viewpoints",
    r"\bevaluation(?:\.| import )marks\b": "baselines",
    r"\btokenizers\.[Ll]oss\b": "RoundTrip: what is lost",
    # Names of cadences: one set
    r"\b(?:full|half|deceptive) close\b|\bhalf way\b": "perfect, imperfect, plagal or interrupted cadence",
}

#: What stays, by file: the names of cadences in other countries.
KEPT = {
    "book/glossary.md": ("full close", "half close"),
}


def phrases(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield the line, the phrase, and what to write instead, of every banned phrase in a text."""
    for number, line in enumerate(text.splitlines(), 1):
        for pattern, better in BANNED.items():
            for match in re.finditer(pattern, line):
                yield number, match.group(), better


def problems(root: Path) -> list[str]:
    """Return a sentence for every banned phrase in code and prose, this file excepted."""
    paths = [path for pattern in (*CODE, *PROSE) for path in sorted(root.glob(pattern))]
    texts = {path.relative_to(root).as_posix(): path.read_text("utf-8") for path in paths if path.name != "words.py"}
    return [
        f"{name}, line {line}: {phrase!r}; write: {better}"
        for name, text in texts.items()
        for line, phrase, better in phrases(text)
        if phrase not in KEPT.get(name, ())
    ]
