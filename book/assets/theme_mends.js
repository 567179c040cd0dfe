// What the theme leaves undone: names for those who listen to a page, and dark letters for those who print a dark one.
(function () {
  "use strict";

  function name() {
    document.querySelectorAll(".bd-links li > details > summary").forEach(function (arrow) {
      arrow.setAttribute("aria-label", "Pages of " + arrow.closest("li").querySelector("a").textContent.trim());
    });
    // A button must be called what it shows: "Search Ctrl+K", and nothing for the pictures of the theme's switch.
    document.querySelectorAll(".search-button-field").forEach(function (button) {
      button.removeAttribute("aria-label");
    });
    document.querySelectorAll(".theme-switch-button").forEach(function (button) {
      hidePictures(button);
      // Sooner or later Font Awesome turns each <i> into an <svg>, and its title with it.
      new MutationObserver(hidePictures.bind(null, button)).observe(button, { childList: true });
    });
    document.querySelectorAll(".sidebar-primary-item:has(> .navbar-brand)").forEach(function (item) {
      item.setAttribute("role", "navigation");
      item.setAttribute("aria-label", "Start of the book");
    });
    document.querySelectorAll('a.download[href$=".html"]').forEach(function (link) {
      link.removeAttribute("download"); // a page, such as the listening test, is opened and not saved
    });
    document.querySelectorAll(".citation-list > .citation").forEach(function (entry) {
      entry.setAttribute("role", "listitem"); // doc-biblioentry, the role that it has, is no longer one
    });
  }

  function hidePictures(button) {
    button.querySelectorAll(".theme-switch").forEach(function (picture) {
      picture.removeAttribute("title");
      picture.querySelector("title")?.remove();
      picture.removeAttribute("aria-labelledby");
      picture.setAttribute("aria-hidden", "true");
    });
  }

  const page = document.documentElement;
  let theme = page.dataset.theme;
  window.addEventListener("beforeprint", function () {
    theme = page.dataset.theme;
    page.dataset.theme = "light";
  });
  window.addEventListener("afterprint", function () {
    page.dataset.theme = theme;
  });
  name();
})();
