"""Terms of the glossary: definitions are written beside the links to them, and a browser shows them."""

from pathlib import Path
from types import SimpleNamespace

import glossary_terms
import headless
import pytest
from docutils.core import publish_doctree

ASSETS = Path(__file__).resolve().parent.parent / "book" / "assets"
SHOWN = (
    "document.getElementById('term-definition').hidden ? '' : document.getElementById('term-definition').textContent"
)


def link(place: str) -> str:
    return f'<a class="reference internal" href="{place}">x</a>'


@pytest.fixture(name="app")
def make_app():
    env = SimpleNamespace(docname="book/glossary", metadata={"book/glossary": {}})
    doctree = publish_doctree('Bach\n  A *composer* & "father".\n')
    next(doctree.findall(lambda node: node.tagname == "term"))["ids"] = ["term-Bach"]
    app = SimpleNamespace(env=env)
    glossary_terms.collect(app, doctree)
    return app


def test_a_link_to_a_term_carries_its_definition_and_other_links_do_not(app):
    others = link("../book/glossary.html") + link("notation.html#term-Bach") + link("glossary.html#term-unknown")
    context = {"body": link("../book/glossary.html#term-Bach") + others}
    glossary_terms.carry(app, "notebooks/x", "page.html", context, None)
    definition = 'data-definition="Bach: A composer &amp; &quot;father&quot;."'
    assert context["body"] == link("../book/glossary.html#term-Bach").replace("<a", f"<a {definition}") + others
    assert "term-Bach" in app.env.metadata["book/glossary"]["myst_slugs"]


def test_the_glossary_itself_stays_as_it_is(app):
    context = {"body": link("#term-Bach")}
    glossary_terms.carry(app, "book/glossary", "page.html", context, None)
    assert context["body"] == link("#term-Bach")


@pytest.fixture(name="page", scope="module")
def open_page(tmp_path_factory):
    if headless.PATH is None:
        pytest.skip("no Chromium is found")
    path = tmp_path_factory.mktemp("terms") / "page.html"
    script = f'<script defer src="{(ASSETS / "terms.js").as_uri()}"></script>'
    links = '<p><a href="#a" data-definition="fugue: A &amp; B">fugue</a> <a href="#b">other</a></p>'
    path.write_text(f'<!doctype html><meta charset="utf-8">{script}{links}', "utf-8")
    browser = headless.Page()
    browser.open(path.as_uri())
    yield browser
    browser.close()


def test_the_definition_appears_at_the_keyboards_focus_and_escape_closes_it(page):
    page.press("Tab")
    assert page.run(SHOWN) == "fugue: A & B"
    assert page.run("document.activeElement.getAttribute('aria-describedby')") == "term-definition"
    page.press("Escape")
    assert page.run(SHOWN) == ""


def test_the_definition_appears_under_the_pointer_and_goes_when_focus_moves_on(page):
    page.run("document.querySelector('a').dispatchEvent(new MouseEvent('mouseenter'))")
    assert page.run(SHOWN) == "fugue: A & B"
    page.run("document.querySelector('a').dispatchEvent(new FocusEvent('blur'))")
    assert page.run(SHOWN) == "" and page.run("document.querySelector('a').hasAttribute('aria-describedby')") is False
