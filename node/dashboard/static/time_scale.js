// Where events lie on a time axis: arithmetic alone, no page.
//
// A row is {label, events: [{kind, at_us, duration_us?, view?, ...}]} or {label, error}. What
// lasted (duration_us) ended at at_us.

const MIN_SPAN_US = 1_000;
const LATE_FACTOR = 3;
const MOST_LATE = 0.2;

export function eventsOf(rows) {
  return rows.flatMap((row) => row.events ?? []);
}

export function beginOf(event) {
  return event.at_us - (event.duration_us ?? 0);
}

/** The earliest moment in all rows, in Unix microseconds; null where nothing is known. */
export function originOf(rows) {
  const begins = eventsOf(rows).map(beginOf);
  return begins.length === 0 ? null : Math.min(...begins);
}

/** The views in which something happened, in order. */
export function viewsOf(rows) {
  const views = new Set(eventsOf(rows).map((event) => event.view));
  return [...views].sort((one, other) => one - other);
}

/** The same rows with the events of one view alone. */
export function rowsOfView(rows, view) {
  return rows.map((row) =>
    row.events ? { ...row, events: row.events.filter((event) => event.view === view) } : row,
  );
}

/**
 * The stretch of time to draw, {from, until} in Unix microseconds. Single events may lie beyond:
 * a bank that comes back after a minute must not press all others into a line.
 */
export function stretchOf(rows) {
  const from = originOf(rows);
  const ends = eventsOf(rows)
    .map((event) => event.at_us - from)
    .sort((one, other) => one - other);
  return { from, until: from + Math.max(lastOfMost(ends), MIN_SPAN_US) };
}

/** The end before the first great leap among the last of the sorted ends, or the very last. */
function lastOfMost(ends) {
  const first = Math.max(1, Math.ceil(ends.length * (1 - MOST_LATE)));
  for (let i = first; i < ends.length; i += 1) {
    if (ends[i] > LATE_FACTOR * Math.max(ends[i - 1], MIN_SPAN_US)) return ends[i - 1];
  }
  return ends.at(-1);
}

/** Round steps over a span of microseconds, `count` of them or fewer, from 0. */
export function ticksOf(span, count) {
  const rough = span / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough);
  const ticks = [];
  for (let at = 0; at <= span; at += step) ticks.push(at);
  return ticks;
}

/**
 * Of one kind, over all rows: {rows, first, last}, microseconds after the origin, each row by its
 * first such event; null if no row has one.
 */
export function reachedOf(rows, kind) {
  const origin = originOf(rows);
  const times = rows
    .map((row) => (row.events ?? []).filter((event) => event.kind === kind))
    .filter((events) => events.length > 0)
    .map((events) => Math.min(...events.map((event) => event.at_us)) - origin);
  if (times.length === 0) return null;
  return { rows: times.length, first: Math.min(...times), last: Math.max(...times) };
}
