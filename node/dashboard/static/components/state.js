// The state of a bank as shape, colour and word: never by colour alone.

import { element, vector } from "./element.js";

/** Per state: tone (a colour token) and what it means; the names are those of `diagnosis.py`. */
export const STATES = {
  up: { tone: "good", meaning: "it votes" },
  voting: { tone: "good", meaning: "it votes" },
  exited: { tone: "bad", meaning: "its process has ended" },
  "no answer": { tone: "bad", meaning: "it does not answer" },
  halted: { tone: "bad", meaning: "it signs nothing any more" },
  "cut off": { tone: "bad", meaning: "too few links with other banks" },
  paused: { tone: "warn", meaning: "its process is stopped by a signal" },
  silent: { tone: "warn", meaning: "its links are up, nothing arrives" },
  behind: { tone: "warn", meaning: "it catches up" },
  starting: { tone: "warn", meaning: "it starts" },
  observer: { tone: "neutral", meaning: "it was removed and has no vote" },
};
const UNKNOWN = { tone: "neutral", meaning: "nothing is known of it" };

const SHAPES = {
  up: () => [vector("circle", { class: "solid", cx: 8, cy: 8, r: 6 })],
  voting: () => [vector("circle", { class: "solid", cx: 8, cy: 8, r: 6 })],
  exited: () => [vector("path", { class: "line", d: "M3 3l10 10M13 3L3 13" })],
  "no answer": () => [
    vector("circle", { class: "line", cx: 8, cy: 8, r: 6 }),
    vector("path", { class: "line", d: "M3.8 12.2l8.4-8.4" }),
  ],
  halted: () => [vector("rect", { class: "solid", x: 2.5, y: 2.5, width: 11, height: 11 })],
  "cut off": () => [
    vector("path", { class: "line", d: "M6 2.5a6 6 0 0 0 0 11M10 2.5a6 6 0 0 1 0 11" }),
  ],
  paused: () => [vector("path", { class: "line", d: "M5 3v10M11 3v10" })],
  silent: () => [
    vector("circle", { class: "line", cx: 8, cy: 8, r: 6, "stroke-dasharray": "2.4 2.3" }),
  ],
  behind: () => [vector("path", { class: "line", d: "M8 2v11M3 8.5l5 5 5-5" })],
  starting: () => [
    vector("circle", { class: "line", cx: 8, cy: 8, r: 6 }),
    vector("path", { class: "solid", d: "M8 2a6 6 0 0 1 6 6H8z" }),
  ],
  observer: () => [vector("circle", { class: "line", cx: 8, cy: 8, r: 4 })],
};

export function stateOf(name) {
  return STATES[name] ?? UNKNOWN;
}

/** The drawing of a state, 16 by 16 units, for use inside another SVG. */
export function stateShape(name) {
  const draw = SHAPES[name] ?? SHAPES.observer;
  return vector("g", { class: "state-shape", data: { tone: stateOf(name).tone } }, ...draw());
}

/** Shape and word beside each other. */
export function stateBadge(name) {
  const words = name ?? "unknown";
  const drawing = vector("svg", { viewBox: "0 0 16 16", "aria-hidden": "true" }, stateShape(name));
  return element("span", { class: "badge", data: { tone: stateOf(name).tone } }, drawing, words);
}

/** A mark and a word in one of the tones "good", "warn", "bad", "neutral". */
export function toneBadge(tone, words) {
  const drawing = vector("svg", { viewBox: "0 0 16 16", "aria-hidden": "true" }, markOf(tone));
  return element("span", { class: "badge", data: { tone } }, drawing, words);
}

/** How near the consortium is to losing its quorum. */
export function quorumTone(quorum) {
  if (!quorum || quorum.margin === null || quorum.margin === undefined) return "neutral";
  if (quorum.margin < 0) return "bad";
  return quorum.missing?.length ? "warn" : "good";
}

function markOf(tone) {
  const paths = {
    good: "M3 8.5l3.5 3.5L13 4.5",
    warn: "M8 2.5v7M8 12.2v1.3",
    bad: "M3.5 3.5l9 9M12.5 3.5l-9 9",
    neutral: "M3 8h10",
  };
  const line = vector("path", { class: "line", d: paths[tone] ?? paths.neutral });
  return vector("g", { class: "state-shape", data: { tone } }, line);
}
