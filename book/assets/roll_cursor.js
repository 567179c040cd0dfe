// Move a line over the piano roll while its music plays, and let one player sound at a time. Without this file the
// players work all the same.
//
// A figure says where time lies in its picture: data-roll-left and data-roll-right are fractions of the picture's width
// (where the first step begins and the last one ends), data-seconds is how long the music between them lasts.
(function () {
  "use strict";

  function fraction(figure, name, fallback) {
    const value = Number.parseFloat(figure.dataset[name]);
    return Number.isFinite(value) ? value : fallback;
  }

  // A figure holds one picture and one player, or one of each for every take.
  function follow(player) {
    const figure = player.closest("figure.musessl-music");
    const holder = player.parentElement;
    const picture = holder.querySelector("img");
    if (!picture) {
      return;
    }
    const left = fraction(figure, "rollLeft", 0);
    const right = fraction(figure, "rollRight", 1);
    const cursor = document.createElement("span");
    cursor.className = "musessl-cursor";
    cursor.setAttribute("aria-hidden", "true");
    cursor.hidden = true;
    holder.appendChild(cursor); // and is hidden with it

    function place() {
      const seconds = fraction(figure, "seconds", player.duration);
      const progress = Math.min(player.currentTime / seconds, 1);
      if (!Number.isFinite(progress)) {
        return;
      }
      const x = left + (right - left) * progress;
      cursor.style.left = picture.offsetLeft + x * picture.offsetWidth + "px";
      cursor.style.top = picture.offsetTop + "px";
      cursor.style.height = picture.offsetHeight + "px";
      cursor.hidden = player.ended || player.currentTime === 0; // a last frame is drawn after the end
    }

    function step() {
      place();
      if (!player.paused && !player.ended) {
        window.requestAnimationFrame(step);
      }
    }

    player.addEventListener("play", step);
    player.addEventListener("seeked", place);
    player.addEventListener("ended", place);
    window.addEventListener("resize", place);
  }

  function silenceOthers(event) {
    document.querySelectorAll("audio").forEach(function (player) {
      if (player !== event.target) {
        player.pause();
      }
    });
  }

  function start() {
    document.addEventListener("play", silenceOthers, true); // on its way down: "play" does not bubble
    document.querySelectorAll("figure.musessl-music audio").forEach(follow);
  }

  if (document.readyState === "loading") {
    document.addEventListener("DOMContentLoaded", start);
  } else {
    start();
  }
})();
