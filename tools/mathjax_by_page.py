"""A Sphinx extension: MathJax is loaded by pages with a formula of their own, and no longer by the pages above them."""

from sphinx.application import Sphinx
from sphinx.domains.math import MathDomain


class OwnFormulas(MathDomain):
    """Formulas as Sphinx finds them, each counted for its own page."""

    def has_equations(self, docname: str | None = None) -> bool:
        """Say whether a page, or without a name any page, holds a formula."""
        return self.data["has_equations"].get(docname, False) if docname else super().has_equations()


def setup(app: Sphinx) -> dict[str, bool]:
    """Put the domain in the place of Sphinx's own."""
    app.add_domain(OwnFormulas, override=True)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
