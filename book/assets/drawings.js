// A drawing that is wider than its place scrolls; who has no mouse must be able to reach it. book.css does the rest.
"use strict";

function markScrolling() {
  for (const image of document.querySelectorAll('.bd-article p > img[src$=".svg"]')) {
    const frame = image.parentElement;
    if (frame.scrollWidth > frame.clientWidth + 1) {
      frame.tabIndex = 0;
      frame.setAttribute("role", "group");
      frame.setAttribute("aria-label", "A drawing that scrolls sideways");
    } else {
      for (const name of ["tabindex", "role", "aria-label"]) frame.removeAttribute(name);
    }
  }
}

addEventListener("load", markScrolling);
addEventListener("resize", markScrolling);
