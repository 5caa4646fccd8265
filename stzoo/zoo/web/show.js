// What the page shows: labels, a plot, frames, a strategy. Texts are set as texts, never as markup.

const MOST = 5; // labels that are shown at once
const [HEIGHT, LEFT, RIGHT, BOTTOM, TOP] = [220, 50, 10, 24, 10];

export const element = (id) => document.getElementById(id);

const percent = (share) => `${(100 * share).toFixed(share < 0.0995 ? 1 : 0)} %`;
const clock = (seconds) => `${seconds.toFixed(1)} s`;

function made(name, attributes = {}, ...inside) {
  const isDrawn = ["svg", "path", "line", "text"].includes(name);
  const one = isDrawn ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) one.setAttribute(key, value);
  one.append(...inside);
  return one;
}

/** One line on how it goes; `isWrong` where it does not. */
export function state(text, isWrong = false) {
  element("state").textContent = text;
  element("state").classList.toggle("wrong", isWrong);
}

const best = (scores) => [...scores.keys()].sort((a, b) => scores[b] - scores[a]).slice(0, MOST);

export function showScores(scores, labels) {
  element("scores").replaceChildren(
    ...best(scores).map((label) => {
      const bar = made("progress", { max: 1, value: scores[label], "aria-hidden": "true" });
      const line = made("li", {}, made("span", {}, labels[label]), bar, made("span", {}, percent(scores[label])));
      line.dataset.score = scores[label];
      line.dataset.label = labels[label];
      return line;
    }),
  );
}

/** A line a label over the middles of windows; click, and the video goes there. */
export function showPlot(windows, labels, from, to) {
  const highest = labels.map((_, label) => Math.max(...windows.map(({ scores }) => scores[label])));
  const shown = best(highest);
  const width = Math.max(280, element("plot").clientWidth); // so that its letters are as large as all others
  const across = (seconds) => LEFT + ((seconds - from) / (to - from || 1)) * (width - LEFT - RIGHT);
  const up = (share) => TOP + (1 - share) * (HEIGHT - TOP - BOTTOM);
  const places = windows.map(({ start, end }) => (start + end) / 2);
  const drawing = made("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-label": `Probabilities of ${shown.map((label) => labels[label]).join(", ")} from ${clock(from)} to ${clock(to)}` });
  for (const share of [0, 0.5, 1]) {
    drawing.append(made("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: up(share), y2: up(share) }));
    drawing.append(made("text", { x: LEFT - 6, y: up(share) + 4, "text-anchor": "end" }, `${100 * share} %`));
  }
  for (const part of width > 480 ? [0, 0.25, 0.5, 0.75, 1] : [0, 0.5, 1]) {
    const seconds = from + part * (to - from);
    drawing.append(made("text", { x: across(seconds), y: HEIGHT - 6, "text-anchor": part === 1 ? "end" : part ? "middle" : "start" }, clock(seconds)));
  }
  shown.forEach((label, place) => {
    // A single window says the same of all of its time.
    const points = windows.length > 1 ? places.map((seconds, at) => [seconds, windows[at].scores[label]]) : [from, to].map((seconds) => [seconds, windows[0].scores[label]]);
    const path = points.map(([seconds, share], at) => `${at ? "L" : "M"}${across(seconds).toFixed(1)} ${up(share).toFixed(1)}`);
    drawing.append(made("path", { class: `label-${place}`, d: path.join("") }));
  });
  const player = element("player");
  const now = made("line", { class: "now", y1: TOP, y2: HEIGHT - BOTTOM, visibility: "hidden" });
  drawing.append(now);
  if (player.controls) {
    drawing.addEventListener("click", (event) => {
      const share = (event.clientX - drawing.getBoundingClientRect().left - LEFT) / (width - LEFT - RIGHT);
      player.currentTime = Math.min(to, Math.max(from, from + share * (to - from)));
    });
    player.ontimeupdate = () => {
      now.setAttribute("x1", across(player.currentTime));
      now.setAttribute("x2", across(player.currentTime));
      now.setAttribute("visibility", "visible");
    };
  }
  element("plot").replaceChildren(drawing);
  element("legend").replaceChildren(
    ...shown.map((label, place) => {
      const line = made("line", { class: `label-${place}`, x1: 0, x2: 40, y1: 5, y2: 5 });
      return made("li", {}, made("svg", { viewBox: "0 0 40 10" }, line), labels[label]);
    }),
  );
}

export function showCaptions(runs) {
  const cells = ({ from, to, label, score }) => [clock(from), clock(to), label, percent(score)];
  element("captions").replaceChildren(
    ...runs.map((run) => made("tr", {}, ...cells(run).map((text) => made("td", {}, text)))),
  );
}

/** The pictures that the net sees, RGB of `size` by `size`. */
export function showFrames(pictures, size) {
  element("frames").replaceChildren(
    ...pictures.map(({ pixels, seconds }, place) => {
      const canvas = made("canvas", { width: size, height: size, role: "img", "aria-label": `frame ${place + 1}, at ${clock(seconds)}` });
      const picture = new ImageData(size, size);
      for (let from = 0, to = 0; from < pixels.length; from += 3, to += 4)
        picture.data.set([pixels[from], pixels[from + 1], pixels[from + 2], 255], to);
      canvas.getContext("2d").putImageData(picture, 0, 0);
      return made("figure", {}, canvas, made("figcaption", { "aria-hidden": "true" }, clock(seconds)));
    }),
  );
}

/** The unit of every site, in network order; those that look at time are marked. */
export function showStrategy(sites) {
  if (!sites.length) return;
  const timed = sites.filter(({ time }) => time).length;
  element("strategy").hidden = false;
  element("strategy-note").textContent =
    `At ${timed} of ${sites.length} places the net looks at time, with T across frames or ST at space and time in one; S looks at single frames. ` +
    "Which it does where was learnt. From input to output:";
  element("sites").replaceChildren(
    ...sites.map(({ site, unit, time }) => {
      const marked = made("li", time ? { class: "time" } : {}, made("b", {}, unit), site);
      marked.title = time ? `${site} looks at time` : `${site} looks at single frames`;
      return marked;
    }),
  );
}
