// Turn the takes of a figure into one player: a button for each, one take in view, the place in the music kept. Without
// this file each take stands below the one before, under its name and with a player of its own.
(function () {
  "use strict";

  function seek(player, seconds) {
    if (player.readyState === 0) {
      player.addEventListener("loadedmetadata", seek.bind(null, player, seconds), { once: true });
    } else {
      player.currentTime = seconds < player.duration ? seconds : 0;
    }
  }

  function join(figure) {
    const takes = [...figure.querySelectorAll(".musessl-take")];
    if (takes.length < 2) {
      return;
    }
    const bar = document.createElement("div");
    bar.className = "musessl-takes";
    bar.setAttribute("role", "group");
    bar.setAttribute("aria-label", "What is played");
    const buttons = takes.map(function (take) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = take.getAttribute("aria-label");
      button.addEventListener("click", choose.bind(null, take));
      bar.appendChild(button);
      return button;
    });
    let chosen = takes[0];

    function choose(take) {
      const from = chosen.querySelector("audio");
      const to = take.querySelector("audio");
      const isPlaying = !from.paused && !from.ended;
      if (take !== chosen) {
        seek(to, from.ended ? 0 : from.currentTime);
        from.pause();
      }
      chosen = take;
      takes.forEach(function (each, i) {
        each.classList.toggle("musessl-waiting", each !== take);
        buttons[i].setAttribute("aria-pressed", String(each === take));
      });
      if (isPlaying) {
        to.play();
      }
    }

    // Left and right arrows go from button to button, as well as the tabulator.
    bar.addEventListener("keydown", function (event) {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      const at = buttons.indexOf(document.activeElement);
      if (step && at >= 0) {
        event.preventDefault();
        buttons[(at + step + buttons.length) % buttons.length].focus();
      }
    });
    figure.classList.add("musessl-joined");
    figure.prepend(bar);
    choose(chosen);
  }

  function start() {
    document.querySelectorAll("figure.musessl-music").forEach(join);
  }

  if (document.readyState === "loading") {
    document.addEventListener("DOMContentLoaded", start);
  } else {
    start();
  }
})();
