// Five drawings of book/figures become figures with sliders and buttons. Without this file, and on paper, the drawings
// stand still. tools/drawings/moving.py computes the same sentences with the library, and writes moving_data.js.
// Each figure is drawn anew after each touch, as wide as its place; nothing moves by itself.
(function () {
  "use strict";

  // --- Numbers and marks

  function fixed(value, digits = 2) {
    const rounded = Number((value + 1e-9).toFixed(digits)) + 0; // no minus before zero
    return rounded.toFixed(digits).replace("-", "\u2212");
  }

  const sum = (values) => values.reduce((total, value) => total + value, 0);

  function softmax(scores) {
    const largest = Math.max(...scores);
    const powers = scores.map((score) => Math.exp(score - largest));
    const total = sum(powers);
    return powers.map((power) => power / total);
  }

  const text = (x, y, words, kind = "") => `<text x="${x}" y="${y}" class="${kind}">${words}</text>`;
  const box = (x, y, width, height, kind, look = "") =>
    `<rect x="${x}" y="${y}" width="${Math.max(width, 0)}" height="${Math.max(height, 0)}" class="${kind}" ${look}/>`;
  const line = (points, kind, look = "") => `<path d="M${points.join("L")}" class="${kind}" fill="none" ${look}/>`;
  const COLOURS = { soprano: "#D55E00", alto: "#CC79A7", tenor: "#009E73", bass: "#0072B2" };
  const ORANGE = "#E69F00";

  // --- What a figure is made of: controls, and a picture of their values that also says what is seen

  const slider = (name, label, [low, high, step], value, show) => ({ name, label, low, high, step, value, show });
  const choice = (name, label, options) => ({ name, label, options, value: options[0] });
  const button = (label, press) => ({ label, press });

  const temperature = {
    title: "The next note at a temperature",
    controls: [
      slider("temperature", "Temperature", [0.1, 2, 0.05], 1, fixed),
      slider("topP", "Top-p", [0.1, 1, 0.05], 1, fixed),
    ],
    draw(state, width) {
      const nBars = width < 450 ? 6 : 10;
      const probs = softmax(MOVING.logits.map((logit) => logit / state.temperature));
      const order = probs.map((_, id) => id).sort((a, b) => probs[b] - probs[a] || a - b);
      let before = 0;
      const isKept = order.map((id) => {
        const keeps = state.topP >= 1 || before < state.topP * (1 - 1e-6); // the one that crosses the line stays
        before += probs[id];
        return keeps;
      });
      const nKept = isKept.filter(Boolean).length;
      const held = (from, to) => sum(order.slice(from, to).map((id) => probs[id]));
      const wide = (width - 40) / (nBars + 1);
      const parts = [0, 0.25, 0.5, 0.75, 1].map(
        (p) =>
          line([[38, 224 - 180 * p], [width, 224 - 180 * p]], "faint") +
          text(18, 228 - 180 * p, fixed(p), "soft small"),
      );
      parts.push(text(0, 14, "Probability of the next note", "left strong"));
      for (let column = 0; column <= nBars; column++) {
        const isOthers = column === nBars;
        const end = isOthers ? order.length : column + 1;
        const [all, kept] = [held(column, end), held(column, Math.min(end, Math.max(nKept, column)))];
        const x = 40 + wide * column;
        const name = isOthers ? "others" : MOVING.pitches[order[column]];
        parts.push(box(x + 2, 224 - 180 * all, wide - 4, 180 * (all - kept), "dropped"));
        parts.push(box(x + 2, 224 - 180 * kept, wide - 4, 180 * kept, "bar"));
        parts.push(text(x + wide / 2, 218 - 180 * all, fixed(all), "small"));
        parts.push(text(x + wide / 2, 242, name, "small strong"));
      }
      const entropy = -sum(probs.map((p) => (p > 0 ? p * Math.log2(p) : 0)));
      const says =
        `Temperature ${fixed(state.temperature)}: ${MOVING.pitches[order[0]]}, the likeliest, has the probability ` +
        `${fixed(probs[order[0]])}; the entropy is ${fixed(entropy)} bits. Top-p ${fixed(state.topP)} keeps ${nKept} ` +
        `of ${probs.length} symbols, which hold ${fixed(held(0, nKept))} of the probability.`;
      return { parts, height: 250, says };
    },
  };

  const sharpness = {
    title: "How sharp is attention?",
    controls: [slider("factor", "Factor", [0, 10, 0.5], 1, (value) => fixed(value, 1))],
    draw(state, width) {
      const { tune, scores, names } = MOVING;
      const weights = softmax(scores.map((score) => state.factor * score));
      const wide = width / tune.length;
      const parts = [text(0, 14, "Weight of each place", "left strong"), line([[0, 150], [width, 150]], "faint")];
      [...tune].forEach((note, i) => {
        const x = wide * i;
        if (i >= tune.length - 2) parts.push(box(x, 154, wide, 20, "", `fill="${ORANGE}" fill-opacity="0.4"`));
        parts.push(text(x + wide / 2, 169, note));
        const tall = i < 2 ? 0 : 240 * weights[i - 2]; // two places fit fully, so no weight exceeds a half
        if (i >= 2) parts.push(box(x + 1, 150 - tall, wide - 2, tall, "bar"));
      });
      parts.push(text(0, 200, "Weighted mean of the notes", "left strong"));
      const share = [...names].map((name) => sum(weights.filter((_, j) => tune[j + 2] === name)));
      share.forEach((part, column) => {
        const [x, each] = [(width / names.length) * column, width / names.length - 4];
        parts.push(box(x, 208, each, 40, "faint"), box(x, 248 - 40 * part, each, 40 * part, "bar", 'stroke="none"'));
        parts.push(text(x + each / 2, 233, `${names[column]} ${fixed(part)}`, "small"));
      });
      const fits = [2, 1, 0].map((score) => weights.filter((_, j) => scores[j] === score));
      const says =
        `Factor ${fixed(state.factor, 1)}: each of the ${fits[0].length} places that fit fully has the weight ` +
        `${fixed(fits[0][0])}, each of the ${fits[1].length} that fit by half ${fixed(fits[1][0])}, each of the ` +
        `other ${fits[2].length} ${fixed(fits[2][0])}. D has ${fixed(share[names.indexOf("D")])} of the weighted mean.`;
      return { parts, height: 250, says };
    },
  };

  const rotary = {
    title: "Clock hands at a distance",
    controls: [
      slider("query", "Query at", [64, 128, 1], 70, String),
      slider("back", "Key back by", [0, 63, 1], 11, String),
    ],
    draw(state, width) {
      const productsAt = (back) => MOVING.speeds.map((speed) => Math.cos(speed * back));
      const products = productsAt(state.back);
      const radius = Math.min(62, width / 6 - 6);
      const parts = products.map((product, hand) => {
        const [x, y] = [(width * (hand + 0.5)) / 3, radius + 4];
        const tip = (at, reach) => {
          const angle = at * MOVING.speeds[hand];
          return [x + reach * radius * Math.cos(angle), y - reach * radius * Math.sin(angle)];
        };
        const [from, to] = [tip(state.query - state.back, 0.45), tip(state.query, 0.45)];
        const turn = (MOVING.speeds[hand] * state.back) % (2 * Math.PI);
        const arc = `M${from}A${0.45 * radius} ${0.45 * radius} 0 ${turn > Math.PI ? 1 : 0} 0 ${to}`;
        return (
          `<circle cx="${x}" cy="${y}" r="${radius}" class="faint"/><path d="${arc}" class="now"/>` +
          line([[x, y], tip(state.query - state.back, 0.9)], "", 'style="stroke:var(--moving-blue)" stroke-width="9"') +
          line([[x, y], tip(state.query, 0.9)], "", `stroke="${ORANGE}" stroke-width="4"`) +
          text(x, 2 * radius + 24, `${["fast", "slower", "slow"][hand]}: ${fixed(product)}`)
        );
      });
      const top = 2 * radius + 44;
      const y = (value) => top + 80 - 20 * value;
      const x = (back) => 24 + ((width - 30) * back) / 63;
      const curve = (of) => Array.from({ length: 64 }, (_, back) => [x(back), y(of(productsAt(back)))]);
      parts.push(line([[0, top], [24, top]], "", `stroke="${ORANGE}" stroke-width="4"`));
      parts.push(text(30, top + 4, "query", "left"));
      parts.push(line([[80, top], [104, top]], "", 'style="stroke:var(--moving-blue)" stroke-width="9"'));
      parts.push(text(110, top + 4, "key", "left"));
      for (const value of [-3, 0, 3]) {
        parts.push(line([[24, y(value)], [width, y(value)]], "faint"));
        parts.push(text(10, y(value) + 4, fixed(value, 0), "soft small"));
      }
      parts.push(line(curve((each) => each[0]), "now", 'stroke-width="1"'));
      parts.push(line(curve(sum), "", 'style="stroke:var(--moving-blue)" stroke-width="2.5"'));
      parts.push(line([[x(state.back), y(3.2)], [x(state.back), y(-3.2)]], "now", 'stroke-dasharray="5 4"'));
      const middle = Math.min(Math.max(x(state.back), 28), width - 28);
      parts.push(text(middle, top + 160, `${state.back} back`, "strong"));
      parts.push(text(0, top + 180, "Thick: the score. Thin: the fast hands' product.", "left soft"));
      const says =
        `Query at ${state.query}, key at ${state.query - state.back}, ${state.back} back: the fast hands are ` +
        `${fixed((state.back * MOVING.speeds[0]) / (2 * Math.PI))} turns apart. The products of the hands are ` +
        `${products.map((product) => fixed(product)).join(", ")}; the score, their sum, is ${fixed(sum(products))}.`;
      return { parts, height: top + 186, says };
    },
  };

  const pick = (symbol) => (state) => {
    if (state.message.length < 6) state.message.push(symbol);
  };
  const intervals = {
    title: "Nested intervals of an arithmetic code",
    initial: () => ({ message: ["same", "up", "same"] }),
    controls: [
      slider("same", "Probability of same", [5, 95, 5], 70, (value) => fixed(value / 100)),
      button("same", pick("same")),
      button("up", pick("up")),
      button("down", pick("down")),
      button("Take one back", (state) => state.message.pop()),
    ],
    draw({ same, message }, width) {
      // In three-hundredths, as whole numbers: nothing is rounded. Up is twice as probable as down.
      const shares = { same: 3 * same, up: 2 * (100 - same), down: 100 - same };
      const colours = { same: "var(--moving-blue)", up: ORANGE, down: COLOURS.tenor };
      let [low, length, unit] = [0n, 1n, 1n];
      const parts = [];
      message.concat([null]).forEach((picked, row) => {
        const y = 36 * row;
        let start = 0;
        for (const [name, share] of Object.entries(shares)) {
          const [at, part] = [(width * start) / 300, (width * share) / 300];
          const [colour, strength] = [colours[name], name === picked ? 0.6 : 0.15];
          const look = `style="fill:${colour};stroke:${colour}" fill-opacity="${strength}"`;
          parts.push(box(at, y, part, 24, "", look));
          if (part > 36) parts.push(text(at + part / 2, y + 16, name, name === picked ? "strong" : ""));
          if (name === picked) {
            for (const [from, to] of [[at, 0], [at + part, width]]) {
              parts.push(line([[from, y + 24], [to, y + 36]], "now", 'stroke-dasharray="5 4"'));
            }
            [low, length, unit] = [low * 300n + length * BigInt(start), length * BigInt(share), unit * 300n];
          }
          start += share;
        }
      });
      let says = "No symbol yet: the interval is the whole line from 0 to 1.";
      if (message.length) {
        let [nBits, first] = [0n, 0n];
        do {
          nBits += 1n;
          first = ((low << nBits) + unit - 1n) / unit; // rounded up
        } while ((first + 1n) * unit > (low + length) << nBits);
        const part = (whole) => Number(whole) / Number(unit);
        says =
          `The message ${message.join(", ")} has the interval from ${fixed(part(low), 4)} to ` +
          `${fixed(part(low + length), 4)}, which is ${fixed(part(length), 4)} long; \u2212log2 of that is ` +
          `${fixed(-Math.log2(part(length)))}. Sent, it takes ${nBits} bit${nBits > 1n ? "s" : ""}: every binary ` +
          `fraction that begins with 0.${first.toString(2).padStart(Number(nBits), "0")} lies inside.`;
      }
      return { parts, height: 244, says };
    },
  };

  const hiding = {
    title: "Hide cells, and hide them anew",
    initial: () => ({ seed: 0 }),
    controls: [
      choice("kind", "Hide", Object.keys(MOVING.clues)),
      slider("rate", "Rate", [0, MOVING.rates.length - 1, 1], 1, (place) => `${MOVING.rates[place]} %`),
      button("Hide anew", (state) => (state.seed += 1)),
    ],
    draw({ kind, rate, seed }, width) {
      const [nVoices, nSteps] = [MOVING.pitch.length, MOVING.pitch[0].length];
      const masks = MOVING.masks[`${kind} ${MOVING.rates[rate]}`];
      const mask = masks[seed % masks.length];
      const isHidden = (voice, step) => {
        const cell = step * nVoices + voice; // a bit each, four to a hexadecimal digit
        return Boolean((parseInt(mask[cell >> 2], 16) >> (3 - (cell & 3))) & 1);
      };
      const nearestSeen = (voice, step) => {
        for (let far = 1; far < nSteps; far++) {
          const seen = [step - far, step + far].find((at) => at >= 0 && at < nSteps && !isHidden(voice, at));
          if (seen !== undefined) return seen; // the earlier of two as near
        }
      };
      const cell = width / nSteps;
      const parts = [];
      let [nHidden, nRight] = [0, 0];
      Object.entries(COLOURS).forEach(([name, colour], voice) => {
        const pitch = MOVING.pitch[voice];
        const middle = (Math.max(...pitch) + Math.min(...pitch)) / 2;
        const top = 56 * voice;
        parts.push(text(0, top + 12, name, "left"));
        for (let step = 0; step < nSteps; step++) {
          const x = cell * step;
          if (!isHidden(voice, step)) {
            const gap = MOVING.onset[voice][step] ? 1 : 0;
            parts.push(box(x, top + 16, cell, 38, "faint", 'stroke-opacity="0.4"'));
            parts.push(box(x + gap, top + 31 - 2 * (pitch[step] - middle), cell - gap, 8, "", `fill="${colour}"`));
            continue;
          }
          nHidden += 1;
          parts.push(box(x, top + 16, cell, 38, "hidden"));
          parts.push(line([[x + 1, top + 52], [x + cell - 1, top + 18]], "now", 'stroke-opacity="0.5"'));
          nRight += pitch[nearestSeen(voice, step)] === pitch[step] ? 1 : 0;
        }
      });
      parts.push(line([[width / 2, 14], [width / 2, 56 * nVoices]], "now", 'stroke-dasharray="5 4"'));
      const says =
        `${nHidden} of ${nSteps * nVoices} cells are hidden. ${MOVING.clues[kind]} Copying the nearest seen cell of ` +
        `the same voice is right in ${nRight} of the ${nHidden}.`;
      return { parts, height: 56 * nVoices, says };
    },
  };

  // --- A figure on the page, in the place of the drawing of its name

  const FIGURES = {
    moving_temperature: temperature,
    moving_sharpness: sharpness,
    moving_rotary: rotary,
    code_intervals: intervals,
    moving_hiding: hiding,
  };

  function element(name, parent, look = {}) {
    const made = parent.appendChild(document.createElement(name));
    return Object.assign(made, look);
  }

  function addSlider(parent, control, state, draw) {
    const label = element("label", parent, { textContent: control.label });
    const input = element("input", label, { type: "range", min: control.low, max: control.high, step: control.step });
    const shown = element("span", label);
    shown.setAttribute("aria-hidden", "true"); // the slider says it
    const read = () => {
      state[control.name] = Number(input.value);
      shown.textContent = control.show(state[control.name]);
      input.setAttribute("aria-valuetext", shown.textContent);
    };
    input.value = control.value;
    read();
    input.addEventListener("input", () => (read(), draw()));
  }

  function addChoice(parent, control, state, draw) {
    const select = element("select", element("label", parent, { textContent: control.label }));
    control.options.forEach((name) => element("option", select, { textContent: name }));
    state[control.name] = control.value;
    select.addEventListener("change", () => ((state[control.name] = select.value), draw()));
  }

  function addButton(parent, control, state, draw) {
    const made = element("button", parent, { type: "button", textContent: control.label });
    made.addEventListener("click", () => (control.press(state), draw()));
  }

  function start(still, { title, controls, draw, initial }) {
    const figure = document.createElement("figure");
    figure.className = "moving";
    figure.setAttribute("role", "group");
    figure.setAttribute("aria-label", title);
    const picture = figure.appendChild(document.createElementNS("http://www.w3.org/2000/svg", "svg"));
    picture.setAttribute("role", "img");
    picture.setAttribute("aria-label", still.alt);
    const panel = element("div", figure, { className: "controls" });
    const status = element("p", figure);
    status.setAttribute("aria-live", "polite");
    const state = initial ? initial() : {};
    function drawAnew() {
      const width = Math.min(Math.max(panel.clientWidth, 300), 640);
      const { parts, height, says } = draw(state, width);
      picture.setAttribute("viewBox", `0 0 ${width} ${height}`);
      picture.innerHTML = parts.join("");
      if (status.textContent !== says) status.textContent = says;
    }
    for (const control of controls) {
      const add = control.press ? addButton : control.options ? addChoice : addSlider;
      add(panel, control, state, drawAnew);
    }
    still.closest("p").classList.add("moving-still");
    still.closest("p").after(figure);
    drawAnew();
    addEventListener("resize", drawAnew);
  }

  document.querySelectorAll('p > img[src$=".svg"]').forEach((image) => {
    const name = image.getAttribute("src").split("/").pop().replace(".svg", "");
    if (FIGURES[name]) start(image, FIGURES[name]);
  });
})();
