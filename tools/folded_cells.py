"""A Sphinx extension: the switch of a folded cell is named by the words that are seen on it.

MyST-NB gives each the name "Toggle hidden content", which who speaks to the computer cannot read (WCAG 2.5.3).
"""

from docutils import nodes
from sphinx.application import Sphinx

UNSEEN_NAME = ' aria-label="Toggle hidden content"'


def name(app: Sphinx, pagename: str, templatename: str, context: dict, doctree: nodes.document | None) -> None:
    """Take the name that nobody sees from every switch of a page."""
    if "body" in context:
        context["body"] = context["body"].replace(UNSEEN_NAME, "")


def setup(app: Sphinx) -> dict[str, bool]:
    """Listen to pages as they are written."""
    app.connect("html-page-context", name)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
