"""A Sphinx extension: plain links to terms of the glossary are checked, and carry the definition for terms.js to show.

A notebook links ``[cadence](../book/glossary.md#term-cadence)``, which Jupyter and GitHub can follow too.
"""

import html
import re

from docutils import nodes
from sphinx.application import Sphinx

GLOSSARY = "book/glossary"
LINK = re.compile(r'<a (class="reference internal" href="(?:[^"]*glossary\.html)?#(term-[^"]+)")')


def collect(app: Sphinx, doctree: nodes.document) -> None:
    """Note the terms of the glossary where MyST looks for the places that a link may name."""
    if app.env.docname != GLOSSARY:
        return
    slugs = app.env.metadata[GLOSSARY].setdefault("myst_slugs", {})
    app.env.glossary_definitions = {}
    for item in doctree.findall(nodes.definition_list_item):
        definition = next(item.findall(nodes.definition)).astext()
        for term in item.findall(nodes.term):
            for each in term["ids"]:
                slugs[each] = (term.line, each, term.astext())
                app.env.glossary_definitions[each] = f"{term.astext()}: {definition}"


def carry(app: Sphinx, pagename: str, templatename: str, context: dict, doctree: nodes.document | None) -> None:
    """Write the definition of each term beside the links to it, those of the glossary itself apart."""
    definitions = getattr(app.env, "glossary_definitions", {})
    if pagename == GLOSSARY or "body" not in context:
        return

    def with_definition(match: re.Match) -> str:
        definition = html.escape(definitions.get(match[2], ""))
        return f'<a data-definition="{definition}" {match[1]}' if definition else match.group()

    context["body"] = LINK.sub(with_definition, context["body"])


def setup(app: Sphinx) -> dict[str, bool]:
    """Listen to pages as they are read and written."""
    app.connect("doctree-read", collect)
    app.connect("html-page-context", carry)
    return {"parallel_read_safe": False, "parallel_write_safe": True}
