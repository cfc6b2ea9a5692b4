// Where the events of a round lie on a time axis: arithmetic alone, no page.

export const KINDS = [
  "proposal", "validated", "voted", "certified", "committed", "sealed", "applied", "timed-out",
];

/** What a bar stands for; every other kind is a moment. */
export const LASTING = new Set(["validated", "applied"]);

const MIN_SPAN_US = 1000;
const LATE_FACTOR = 3;

/** Earliest moment of all banks, in Unix microseconds; null where nothing is known. */
export function originOf(rounds) {
  const starts = rounds.flatMap((round) => (round.events ?? []).map(beginOf));
  return starts.length === 0 ? null : Math.min(...starts);
}

export function beginOf(event) {
  return event.at_us - (LASTING.has(event.kind) ? event.duration_us ?? 0 : 0);
}

/** The views in which something happened, in order. */
export function viewsOf(rounds) {
  const views = new Set(rounds.flatMap((round) => (round.events ?? []).map((item) => item.view)));
  return [...views].sort((one, other) => one - other);
}

/**
 * The stretch of time to draw for one view, {from, until} in microseconds, and whether single
 * events lie beyond it: a bank that comes back after a minute must not press the others into
 * a line.
 */
export function stretchOf(rounds, view) {
  const events = rounds.flatMap((round) => round.events ?? []).filter((item) => item.view === view);
  const from = Math.min(...events.map(beginOf));
  const ends = events.map((item) => item.at_us - from).sort((one, other) => one - other);
  const last = ends[ends.length - 1];
  const most = ends[Math.floor((ends.length - 1) * 0.9)];
  const cut = last > LATE_FACTOR * Math.max(most, MIN_SPAN_US);
  const span = Math.max(cut ? most : last, MIN_SPAN_US);
  return { from, until: from + span, cut };
}

/** Round steps of an axis over a span, at most `count` of them. */
export function ticksOf(span, count) {
  const rough = span / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough);
  const ticks = [];
  for (let at = 0; at <= span; at += step) {
    ticks.push(at);
  }
  return ticks;
}

/**
 * When the round reached its ends, in microseconds after the origin:
 * {certified, sealed, appliedFirst, appliedLast, banksApplied, views}; null for what is not known.
 */
export function milestonesOf(rounds) {
  const origin = originOf(rounds);
  const times = (kind) =>
    rounds
      .map((round) => (round.events ?? []).find((item) => item.kind === kind))
      .filter((item) => item !== undefined)
      .map((item) => item.at_us - origin);
  const first = (values) => (values.length === 0 ? null : Math.min(...values));
  const last = (values) => (values.length === 0 ? null : Math.max(...values));
  const applied = times("applied");
  return {
    certified: first(times("certified")),
    sealed: first(times("sealed")),
    appliedFirst: first(applied),
    appliedLast: last(applied),
    banksApplied: applied.length,
  };
}
