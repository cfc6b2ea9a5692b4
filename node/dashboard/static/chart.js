// Line charts over time: a sliding window, axes with units, gaps where nothing is known, the newest
// value beside its line, and a crosshair by mouse, touch and keyboard that all charts share.

import { element, patch, setAttribute, setText, vector } from "./components/element.js";
import { NOTHING, clock, duration, known } from "./format.js";

const WINDOW_MS = 10 * 60_000;
const GAP_MS = 15_000; // a longer silence between samples breaks the line
const MARGIN_REM = { top: 0.6, right: 0.6, bottom: 1.5, left: 3.4 };
const TICK_MINUTES = [10, 5, 0];
const STEPS = [1, 2, 5];
const JUMPS = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10 };

/** Charts whose crosshairs stand at one time. */
export class ChartGroup {
  constructor() {
    this.charts = [];
  }

  /**
   * {title, unit, format(value), tick(value), least: the smallest top of the axis,
   *  series: [{name, value(sample), dashed?}]}
   */
  add(options) {
    const chart = new LineChart(options, (index) => this.point(index));
    this.charts.push(chart);
    return chart.node;
  }

  update(samples) {
    for (const chart of this.charts) chart.update(samples);
  }

  point(index) {
    for (const chart of this.charts) chart.point(index);
  }

  destroy() {
    for (const chart of this.charts) chart.watch.disconnect();
  }
}

class LineChart {
  constructor(options, point) {
    this.options = options;
    this.samples = [];
    this.at = null; // index of the sample under the crosshair, null: the newest is shown
    this.place = null;
    this.when = element("span", { class: "chart-when" });
    this.readout = element("p", { class: "chart-readout" });
    this.drawing = vector("svg", {
      class: "chart-drawing",
      tabindex: 0,
      role: "slider",
      "aria-orientation": "horizontal",
      "aria-label": `${options.title}, the last ten minutes; arrow keys read it`,
    });
    this.node = element(
      "figure",
      { class: "chart" },
      element("figcaption", {}, titleOf(options), this.when),
      this.readout,
      element("div", { class: "chart-place" }, this.drawing),
    );
    this.watch = new ResizeObserver(([entry]) => this.resize(entry.contentRect));
    this.watch.observe(this.node.lastElementChild);
    this.listen(point);
    this.draw();
  }

  listen(point) {
    const drawing = this.drawing;
    drawing.addEventListener("pointermove", (event) => point(this.nearest(event)));
    drawing.addEventListener("pointerdown", (event) => point(this.nearest(event)));
    drawing.addEventListener("pointerleave", () => point(null));
    drawing.addEventListener("blur", () => point(null));
    drawing.addEventListener("keydown", (event) => {
      const last = this.samples.length - 1;
      let next;
      if (event.key in JUMPS) next = (this.at ?? last) + JUMPS[event.key];
      if (event.key === "Home") next = 0;
      if (event.key === "End") next = last;
      if (event.key === "Escape") point(null);
      if (next === undefined || last < 0) return;
      event.preventDefault();
      point(Math.min(Math.max(next, 0), last));
    });
  }

  resize({ width, height }) {
    this.place = { width, height };
    this.draw();
  }

  update(samples) {
    // The crosshair stays at its time while samples move on.
    const atMs = this.at === null ? null : this.samples[this.at]?.at_ms;
    this.samples = samples;
    const found = atMs === null ? -1 : samples.findIndex((sample) => sample.at_ms === atMs);
    this.at = found < 0 ? null : found;
    this.draw();
  }

  point(index) {
    this.at = index;
    this.draw();
  }

  nearest(event) {
    if (!this.samples.length || !this.place) return null;
    const { x } = this.scales();
    const offset = event.clientX - this.drawing.getBoundingClientRect().left;
    const distances = this.samples.map((sample) => Math.abs(x(sample.at_ms) - offset));
    return distances.indexOf(Math.min(...distances));
  }

  scales() {
    const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
    const { width, height } = this.place;
    const frame = {
      left: MARGIN_REM.left * rem,
      right: width - MARGIN_REM.right * rem,
      top: MARGIN_REM.top * rem,
      bottom: height - MARGIN_REM.bottom * rem,
    };
    const endMs = this.samples.at(-1)?.at_ms ?? Date.now();
    const values = this.options.series.flatMap((one) => this.samples.map(one.value));
    const ticks = niceTicks(Math.max(this.options.least, ...values.filter(known)));
    const share = (ms) => 1 - (endMs - ms) / WINDOW_MS;
    const x = (ms) => round(frame.left + share(ms) * (frame.right - frame.left));
    const y = (value) =>
      round(frame.bottom - (value / ticks.at(-1)) * (frame.bottom - frame.top));
    return { frame, x, y, ticks, endMs };
  }

  draw() {
    this.drawReadout();
    if (!this.place?.width) return;
    const { width, height } = this.place;
    setAttribute(this.drawing, "viewBox", `0 0 ${width} ${height}`);
    const scales = this.scales();
    patch(this.drawing, [
      ...this.axes(scales),
      ...this.options.series.flatMap((one, number) => this.line(one, number, scales)),
      ...this.crosshair(scales),
      this.samples.length === 0 && this.emptyWords(scales),
    ]);
  }

  drawReadout() {
    const index = this.at ?? this.samples.length - 1;
    const sample = this.samples[index];
    const when = this.at === null ? "now" : clock(sample?.at_ms);
    const values = this.options.series.map((one, number) => this.value(one, number, sample));
    setText(this.when, when);
    patch(this.readout, values);
    const words = `${when}: ${values.map((value) => value.textContent).join(", ")}`;
    setAttribute(this.drawing, "aria-valuemin", 0);
    setAttribute(this.drawing, "aria-valuemax", Math.max(0, this.samples.length - 1));
    setAttribute(this.drawing, "aria-valuenow", Math.max(0, index));
    setAttribute(this.drawing, "aria-valuetext", sample ? words : "no samples yet");
  }

  value(one, number, sample) {
    const words = sample ? this.options.format(one.value(sample)) : NOTHING;
    const name = this.options.series.length > 1 && [key(one, number), `${one.name} `];
    const text = element("span", { class: "chart-value" });
    text.append(...[name || []].flat(), element("strong", {}, words));
    return text;
  }

  axes({ frame, x, y, ticks, endMs }) {
    const horizontal = ticks.map((tick) => [
      vector("path", { class: "grid", d: `M${frame.left} ${y(tick)}H${frame.right}` }),
      vector(
        "text",
        { x: frame.left - 6, y: y(tick) + 4, "text-anchor": "end" },
        this.options.tick(tick),
      ),
    ]);
    const vertical = TICK_MINUTES.map((minutes) => {
      const at = x(endMs - minutes * 60_000);
      const anchor = minutes === 0 ? "end" : minutes === 10 ? "start" : "middle";
      const words = minutes === 0 ? "now" : `−${duration(minutes * 60_000)}`;
      const bottom = this.place.height - 4;
      return vector("text", { x: at, y: bottom, "text-anchor": anchor }, words);
    });
    return [...horizontal.flat(), ...vertical];
  }

  line(one, number, { x, y }) {
    const data = { series: number + 1, dashed: one.dashed ? "yes" : null };
    const parts = runs(this.samples, one.value);
    const d = parts
      .map((run) => `M${run.map(([ms, value]) => `${x(ms)} ${y(value)}`).join("L")}`)
      .join("");
    const newest = parts.at(-1)?.at(-1);
    const ends = newest && { cx: x(newest[0]), cy: y(newest[1]), r: 3 };
    return [
      d && vector("path", { class: "line", data, d }),
      ends && this.at === null && vector("circle", { class: "dot", data, ...ends }),
    ];
  }

  crosshair({ frame, x, y }) {
    const sample = this.at === null ? null : this.samples[this.at];
    if (!sample) return [];
    const at = x(sample.at_ms);
    const dots = this.options.series.map((one, number) => {
      const value = one.value(sample);
      const place = known(value) && { cx: at, cy: y(value), r: 4 };
      return place && vector("circle", { class: "dot", data: { series: number + 1 }, ...place });
    });
    const line = vector("path", { class: "cross", d: `M${at} ${frame.top}V${frame.bottom}` });
    return [line, ...dots];
  }

  emptyWords({ frame }) {
    const place = { x: (frame.left + frame.right) / 2, y: (frame.top + frame.bottom) / 2 };
    return vector("text", { ...place, "text-anchor": "middle" }, "The first sample comes shortly");
  }
}

function titleOf({ title, unit }) {
  return element("span", {}, title, element("span", { class: "chart-unit" }, ` ${unit}`));
}

/** The legend: how the line of a series looks. */
function key(one, number) {
  const data = { series: number + 1, dashed: one.dashed ? "yes" : null };
  const line = vector("path", { class: "line", data, d: "M0 4H18" });
  return vector("svg", { class: "chart-key", viewBox: "0 0 18 8", "aria-hidden": "true" }, line);
}

/** Values that follow each other without a gap: lists of [at_ms, value]. */
function runs(samples, valueOf) {
  const found = [];
  let previousMs = null;
  for (const sample of samples) {
    const value = valueOf(sample);
    if (!known(value)) {
      previousMs = null;
      continue;
    }
    if (previousMs === null || sample.at_ms - previousMs > GAP_MS) found.push([]);
    found.at(-1).push([sample.at_ms, value]);
    previousMs = sample.at_ms;
  }
  return found;
}

/** 0 and up to four steps of 1, 2 or 5 times a power of ten, to `largest` (above 0) or beyond. */
export function niceTicks(largest) {
  const power = 10 ** Math.floor(Math.log10(largest));
  const sizes = [0.1, 1].flatMap((scale) => STEPS.map((step) => step * scale * power));
  const size = sizes.find((step) => step * 4 >= largest) ?? power * 5;
  const steps = Math.ceil(largest / size - 1e-9);
  return Array.from({ length: steps + 1 }, (_, index) => Number((index * size).toPrecision(12)));
}

function round(number) {
  return Math.round(number * 10) / 10;
}
