// What happened when, one row per bank, as a drawing and as a table that says the same.
//
// timeLine({kinds, rows, what}) -> {node, destroy()}
//   kinds   [{kind, words, mark, tone}] in order; mark is a name of MARKS, "bar" for what lasted
//   rows    as time_scale.js has them; `note` is shown under the label
//   what    names the drawing: "the round of block 42"
// Each view (an attempt of consensus) is a drawing of its own, beside the others: between two
// views lies a time-out, in which nothing would be drawn.

import { element, fill, vector } from "./components/element.js";
import { dataTable } from "./components/table.js";
import { NOTHING, durationOfMicroseconds, list } from "./format.js";
import {
  beginOf, eventsOf, originOf, rowsOfView, stretchOf, ticksOf, viewsOf,
} from "./time_scale.js";

/** Drawn around 0, 0, in units of a row's height divided by 20. */
const MARKS = {
  start: () => vector("path", { d: "M-4 -6L6 0L-4 6z" }),
  circle: () => vector("circle", { class: "hollow", r: 5.5 }),
  dot: () => vector("circle", { r: 3.5 }),
  disc: () => vector("circle", { r: 4.5 }),
  ring: () => vector("path", { class: "hollow", d: "M0 -7L7 0L0 7L-7 0z" }),
  core: () => vector("path", { d: "M0 -5L5 0L0 5L-5 0z" }),
  seal: () => vector("path", { d: "M-5.5 -6.5H5.5V0L0 6.5L-5.5 0z" }),
  dash: () => vector("rect", { x: -1.5, y: -7, width: 3, height: 14 }),
  later: () => vector("path", { class: "stroke", d: "M-2 -5L3 0L-2 5" }),
  cross: () => vector("path", { class: "stroke", d: "M-5 -5L5 5M5 -5L-5 5" }),
  bar: () => vector("rect", { class: "bar", x: -7, y: -4, width: 14, height: 8 }),
};
const ROW_REM = 1.6;
const AXIS_REM = 1.6;
const LABEL_REM = 7.5;
const TICK_REM = 5;
const NARROW_SHARE = 0.3;

export function timeLine({ kinds, rows, what }) {
  const node = element("div", { class: "timeline" });
  if (originOf(rows) === null) {
    fill(node, silentRows(rows));
    return { node, destroy: () => {} };
  }
  const views = viewsOf(rows);
  const drawings = views.map((view) => viewDrawing({ kinds, rows, what, view, views }));
  fill(
    node,
    legend(kinds, rows, views),
    element("div", { class: "timeline-views" }, drawings.map((drawing) => drawing.node)),
    silentRows(rows),
    asTable({ kinds, rows, what, views }),
  );
  return { node, destroy: () => drawings.forEach((drawing) => drawing.destroy()) };
}

const LATER = {
  kind: "later", mark: "later", tone: "neutral", name: "later than drawn",
  words: "the moment is in the table",
};

function hasLate(rows, view) {
  const part = rowsOfView(rows, view);
  const { until } = stretchOf(part);
  return eventsOf(part).some((event) => event.at_us > until);
}

/** Only what occurs: a round without time-out needs no mark for it. */
function legend(kinds, rows, views) {
  const present = new Set(eventsOf(rows).map((event) => event.kind));
  if (views.some((view) => hasLate(rows, view))) present.add(LATER.kind);
  const items = [...kinds, LATER]
    .filter(({ kind }) => present.has(kind))
    .map((item) =>
      element(
        "li",
        { title: item.words },
        vector(
          "svg",
          { viewBox: "-8.5 -8.5 17 17", "aria-hidden": "true" },
          vector("g", { class: "mark", data: { tone: item.tone } }, MARKS[item.mark]()),
        ),
        element("span", {}, item.name ?? item.kind),
        element("span", { class: "visually-hidden" }, `: ${item.words}`),
      ),
    );
  return element("ul", { class: "timeline-legend" }, items);
}

function viewDrawing({ kinds, rows, what, view, views }) {
  const several = views.length > 1;
  const name = several ? `${what}, view ${view}` : what;
  const svg = vector("svg", { class: "timeline-drawing", role: "img", "aria-label": name });
  const part = {
    kinds: new Map(kinds.map((item, order) => [item.kind, { ...item, order }])),
    rows: rowsOfView(rows.filter((row) => row.events?.length), view),
    origin: originOf(rows),
  };
  const begun = durationOfMicroseconds(originOf(part.rows) - part.origin);
  const node = element(
    "figure",
    { class: "timeline-view" },
    several && element("figcaption", {}, `View ${view}, from ${begun} on`),
    svg,
  );
  // The height is known at once, so that nothing below moves when the width is.
  svg.setAttribute("height", heightOf(part.rows, remOf()));
  const observer = new ResizeObserver(() => requestAnimationFrame(() => draw(svg, part)));
  observer.observe(node);
  return { node, destroy: () => observer.disconnect() };
}

function draw(svg, part) {
  const width = svg.getBoundingClientRect().width;
  if (width === 0) return;
  const rem = remOf();
  const row = ROW_REM * rem;
  const left = Math.min(LABEL_REM * rem, width * NARROW_SHARE);
  const bottom = part.rows.length * row;
  const frame = { ...part, width, rem, row, left, bottom, ...stretchOf(part.rows) };
  frame.right = width - 0.75 * rem;
  frame.x = (at) => {
    const along = (at - frame.from) / (frame.until - frame.from);
    return left + 0.6 * rem + along * (frame.right - left - 0.6 * rem);
  };
  const height = heightOf(part.rows, rem);
  svg.setAttribute("height", height);
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  fill(svg, axis(frame), part.rows.map((item, index) => rowDrawing(frame, item, index)));
}

function remOf() {
  return parseFloat(getComputedStyle(document.documentElement).fontSize);
}

function heightOf(rows, rem) {
  return (rows.length * ROW_REM + AXIS_REM) * rem;
}

function axis(frame) {
  const { rem, left, right, bottom } = frame;
  const span = frame.until - frame.from;
  const anchor = (x) => (x > right - rem ? "end" : "middle");
  return ticksOf(span, (right - left) / (TICK_REM * rem)).map((tick) => {
    const x = frame.x(frame.from + tick);
    const words = durationOfMicroseconds(tick);
    return vector(
      "g",
      { class: "timeline-tick" },
      vector("line", { x1: x, x2: x, y1: 0, y2: bottom }),
      vector("text", { x, y: bottom + 1.1 * rem, "text-anchor": anchor(x) }, words),
    );
  });
}

function rowDrawing(frame, row, index) {
  const y = (index + 0.5) * frame.row;
  const line = vector("line", {
    class: "timeline-row", x1: 0, x2: frame.width, y1: y + frame.row / 2, y2: y + frame.row / 2,
  });
  const label = vector(
    "text",
    { class: "timeline-label", x: 0, y, "dominant-baseline": "central", data: { lead: row.lead } },
    row.label,
  );
  const order = (event) => frame.kinds.get(event.kind)?.order ?? 0;
  const lasting = (event) => (frame.kinds.get(event.kind)?.mark === "bar" ? 0 : 1);
  const events = row.events
    .filter((event) => frame.kinds.has(event.kind))
    .sort((one, other) => lasting(one) - lasting(other) || order(one) - order(other));
  return [line, label, events.map((event) => eventDrawing(frame, row, event, y))];
}

function eventDrawing(frame, row, event, y) {
  const item = frame.kinds.get(event.kind);
  const words = `${row.label}: ${item.name ?? item.kind} ${momentWords(event, frame.origin)}`;
  const title = vector("title", {}, words);
  if (event.at_us > frame.until) return lateDrawing(frame, event, y, item, title);
  const scale = frame.row / 24;
  if (item.mark === "bar") {
    const end = frame.x(event.at_us);
    const width = Math.max(2, end - frame.x(beginOf(event)));
    const shape = vector("rect", {
      class: "bar", x: end - width, y: y - 4 * scale, width, height: 8 * scale,
    });
    return vector("g", { class: "mark", data: { tone: item.tone } }, title, shape);
  }
  const place = `translate(${frame.x(event.at_us)} ${y}) scale(${scale})`;
  const attributes = { class: "mark", transform: place, data: { tone: item.tone } };
  return vector("g", attributes, title, MARKS[item.mark]());
}

/** Beyond the drawn stretch: an arrow at its end, the moment in its title and in the table. */
function lateDrawing(frame, event, y, item, title) {
  const scale = frame.row / 24;
  const place = `translate(${frame.right + 0.25 * frame.rem} ${y}) scale(${scale})`;
  const attributes = { class: "mark", transform: place, data: { tone: item.tone } };
  return vector("g", attributes, title, MARKS.later());
}

/** Banks of which nothing can be drawn, and why. */
function silentRows(rows) {
  const silent = rows.filter((row) => row.error || (row.events ?? []).length === 0);
  if (silent.length === 0) return null;
  const byWords = new Map();
  for (const row of silent) {
    const words = row.error || "nothing of this is in memory (any longer)";
    byWords.set(words, [...(byWords.get(words) ?? []), row.label]);
  }
  const items = [...byWords].map(([words, labels]) =>
    element("li", {}, element("b", {}, list(labels)), `: ${words}`),
  );
  return element("ul", { class: "timeline-silent" }, items);
}

function momentWords(event, origin) {
  const after = `after ${durationOfMicroseconds(event.at_us - origin)}`;
  if (!event.duration_us) return after;
  return `${after}, having taken ${durationOfMicroseconds(event.duration_us)}`;
}

function asTable({ kinds, rows, what, views }) {
  const origin = originOf(rows);
  const present = new Set(eventsOf(rows).map((event) => event.kind));
  const several = views.length > 1;
  const columns = [
    { name: "bank", head: "Bank", cell: (row) => row.label, sort: (row) => row.place },
    several && { name: "view", head: "View", kind: "number", cell: (row) => row.view },
    ...kinds
      .filter(({ kind }) => present.has(kind))
      .map(({ kind, name, words }) => ({
        name: kind,
        head: name ?? kind,
        help: words,
        kind: "number",
        cell: (row) => cellWords(row.events, kind, origin),
        sort: (row) => row.events.find((event) => event.kind === kind)?.at_us ?? null,
      })),
  ].filter(Boolean);
  const caption = `When it happened at each bank, after the first moment of ${what}`;
  const lines = views.flatMap((view) =>
    rowsOfView(rows, view)
      .map((row, place) => ({ ...row, view, place }))
      .filter((row) => row.events?.length),
  );
  return element(
    "details",
    { class: "fold" },
    element("summary", {}, "The same as a table"),
    dataTable({ caption, columns, rows: lines }).node,
  );
}

function cellWords(events, kind, origin) {
  const event = events.find((item) => item.kind === kind);
  if (!event) return NOTHING;
  const at = durationOfMicroseconds(event.at_us - origin);
  return event.duration_us ? `${at} (${durationOfMicroseconds(event.duration_us)})` : at;
}
