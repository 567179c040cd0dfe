// The definition of a term appears beside its link: under the pointer and at the keyboard's focus; Escape closes it.
// Without this file the links lead to the glossary all the same.
(function () {
  "use strict";

  const note = document.createElement("div");
  note.id = "term-definition";
  note.className = "musessl-term";
  note.setAttribute("role", "tooltip");
  note.hidden = true;
  let shownFor = null;
  let leaving = 0;

  function show(link) {
    clearTimeout(leaving);
    if (shownFor === link) return;
    hide();
    shownFor = link;
    note.textContent = link.dataset.definition;
    link.setAttribute("aria-describedby", note.id);
    note.hidden = false;
    const at = link.getClientRects()[0] || link.getBoundingClientRect();
    const below = at.bottom + note.offsetHeight + 6 < innerHeight;
    const left = Math.min(at.left, document.documentElement.clientWidth - note.offsetWidth - 8);
    note.style.left = scrollX + Math.max(8, left) + "px";
    note.style.top = scrollY + (below ? at.bottom + 2 : at.top - note.offsetHeight - 2) + "px";
  }

  function hide() {
    clearTimeout(leaving);
    if (shownFor) shownFor.removeAttribute("aria-describedby");
    shownFor = null;
    note.hidden = true;
  }

  function hideSoon() {
    clearTimeout(leaving);
    leaving = setTimeout(hide, 200); // time to move the pointer onto the note, as WCAG 1.4.13 asks
  }

  function start() {
    const links = document.querySelectorAll("a[data-definition]");
    if (!links.length) return;
    document.body.appendChild(note);
    for (const link of links) {
      link.addEventListener("mouseenter", () => show(link));
      link.addEventListener("focus", () => show(link));
      link.addEventListener("mouseleave", hideSoon);
      link.addEventListener("blur", hide);
    }
    note.addEventListener("mouseenter", () => clearTimeout(leaving));
    note.addEventListener("mouseleave", hideSoon);
    document.addEventListener("keydown", (event) => event.key === "Escape" && hide());
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
