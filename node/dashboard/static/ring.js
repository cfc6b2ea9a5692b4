// The banks on a circle: state, leader, height, the votes of the height being decided, lost links.
//
// Drawn in real pixels of the place it has, so that its text is as large as the page's; where the
// place is narrow (a phone) names are cut to three letters and the table below has the rest.
// One tab stop; arrow keys go around.

import { element, fill, patch, setAttribute, vector } from "./components/element.js";
import { stateOf, stateShape } from "./components/state.js";
import { count, integer } from "./format.js";

const NARROW_REM = 30;
const COMPACT_LETTERS = 3;
const STEPS = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };

/** Returns {node, update(overview), destroy()}. */
export function bankRing() {
  const links = vector("g", { class: "ring-links" });
  const pips = vector("g", { class: "ring-pips", "aria-hidden": "true" });
  const centre = vector("g", { class: "ring-centre", "aria-hidden": "true" });
  const seats = vector("g", { class: "ring-seats" });
  const track = vector("circle", { class: "ring-track" });
  const words = "Banks on a circle; the arrow keys go around";
  const drawing = vector("svg", { class: "ring-drawing", role: "group", "aria-label": words });
  drawing.append(track, links, pips, centre, seats);
  const node = element("div", { class: "ring" }, drawing);
  const state = { overview: null, anchors: new Map(), place: null };
  const draw = () => {
    if (!state.overview || !state.place) return;
    const layout = layoutOf(state.place, state.overview.banks.length);
    if (layout.commits <= 0) return; // not laid out yet
    drawFrame(drawing, track, state.place, layout);
    drawLinks(links, state.overview, layout);
    drawPips(pips, state.overview, layout);
    drawCentre(centre, state.overview, layout);
    drawSeats(seats, state, layout);
  };
  drawing.addEventListener("keydown", (event) => goAround(event, [...state.anchors.values()]));
  const watch = new ResizeObserver(([entry]) => {
    state.place = { width: entry.contentRect.width, height: entry.contentRect.height };
    draw();
  });
  watch.observe(node);
  const update = (overview) => {
    state.overview = overview;
    draw();
  };
  return { node, update, destroy: () => watch.disconnect() };
}

/** Radii in pixels, and the angle of each seat; bank 0 is at the top. */
function layoutOf({ width, height }, bankCount) {
  const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
  const compact = width < NARROW_REM * rem;
  const radius = compact
    ? Math.min(width, height) / 2 - 1.45 * rem
    : Math.min(width / 2 - 7.6 * rem, height / 2 - 4.4 * rem);
  const seat = Math.min((compact ? 1.1 : 1.35) * rem, (Math.PI * radius * 0.76) / bankCount);
  const votes = radius - seat - (compact ? 2.1 : 1.85) * rem;
  return {
    compact,
    rem,
    radius,
    seat,
    votes,
    commits: votes - (compact ? 0.8 : 1) * rem,
    pip: Math.min((compact ? 0.27 : 0.36) * rem, (votes * 2.2) / bankCount),
    angle: (bank) => (2 * Math.PI * bank) / bankCount - Math.PI / 2,
  };
}

function point(layout, bank, radius) {
  const angle = layout.angle(bank);
  return { x: radius * Math.cos(angle), y: radius * Math.sin(angle) };
}

function rounded(number) {
  return Number(number.toFixed(1));
}

function move({ x, y }) {
  return `translate(${rounded(x)} ${rounded(y)})`;
}

function drawFrame(drawing, track, { width, height }, layout) {
  setAttribute(drawing, "viewBox", `${-width / 2} ${-height / 2} ${width} ${height}`);
  setAttribute(drawing, "data-compact", layout.compact ? "yes" : null);
  setAttribute(track, "r", rounded(layout.radius));
}

/** Links lost between banks that both run; of a bank that is gone its state says enough. */
function drawLinks(group, { banks }, layout) {
  const running = banks.filter((row) => row.linked && !isGone(row));
  const lines = [];
  for (const row of running) {
    for (const peer of running) {
      const whole = row.linked.includes(peer.bank) && peer.linked.includes(row.bank);
      if (peer.bank <= row.bank || whole) continue;
      const from = point(layout, row.bank, layout.radius);
      const to = point(layout, peer.bank, layout.radius);
      const ends = [from.x, from.y, to.x, to.y].map(rounded);
      lines.push(vector("path", { d: `M${ends[0]} ${ends[1]}L${ends[2]} ${ends[3]}` }));
    }
  }
  patch(group, lines);
}

function isGone(row) {
  return ["exited", "no answer", "paused", "starting"].includes(row.state);
}

/** Per bank a circle for its vote and a diamond for its commit; filled when they came. */
function drawPips(group, { banks }, layout) {
  const marks = banks
    .filter((row) => row.voted !== undefined && row.active !== false)
    .flatMap((row) => [voteMark(row, layout), commitMark(row, layout)]);
  patch(group, marks);
}

function voteMark(row, layout) {
  const place = move(point(layout, row.bank, layout.votes));
  const size = layout.pip;
  if (row.voted === "reject") {
    const d = `M${-size} ${-size}L${size} ${size}M${size} ${-size}L${-size} ${size}`;
    return vector("path", { class: "pip", data: { lit: "reject" }, d, transform: place });
  }
  const lit = row.voted === "approve" ? "approve" : null;
  return vector("circle", { class: "pip", data: { lit }, r: size, transform: place });
}

function commitMark(row, layout) {
  const place = move(point(layout, row.bank, layout.commits));
  const size = layout.pip * 1.15;
  const d = `M0 ${-size}L${size} 0L0 ${size}L${-size} 0Z`;
  const lit = row.committed ? "commit" : null;
  return vector("path", { class: "pip", data: { lit }, d, transform: place });
}

function drawCentre(group, overview, layout) {
  const line = (name, rem, words) =>
    vector("text", { class: name, y: rounded(rem * layout.rem), "text-anchor": "middle" }, words);
  const leader = overview.banks.find((row) => row.bank === overview.leader);
  const scale = layout.compact ? 0.85 : 1;
  patch(
    group,
    line("ring-caption", -2.3 * scale, "sealed height"),
    line("ring-height", 0.1 * scale, integer(overview.height)),
    line("ring-caption", 1.5 * scale, votesLine(overview.banks)),
    line("ring-caption", 2.75 * scale, leader ? `${leader.name} leads` : "nobody tells who leads"),
  );
}

/** Who votes is told to operators alone. */
function votesLine(banks) {
  if (banks.every((row) => row.voted === undefined)) return "";
  const votes = banks.filter((row) => row.voted).length;
  const commits = banks.filter((row) => row.committed).length;
  return `${count(votes, "vote")}, ${count(commits, "commit")}`;
}

function drawSeats(group, state, layout) {
  const { banks, leader } = state.overview;
  if (group.childElementCount !== banks.length) {
    state.anchors = new Map(banks.map((row) => [row.bank, newSeat(row.bank)]));
    fill(group, [...state.anchors.values()]);
  }
  for (const row of banks) {
    const anchor = state.anchors.get(row.bank);
    const leads = row.bank === leader;
    setAttribute(anchor, "aria-label", seatWords(row, leads));
    setAttribute(anchor, "data-tone", stateOf(row.state).tone);
    setAttribute(anchor, "data-suspect", row.suspicion ? "yes" : null);
    setAttribute(anchor, "transform", move(point(layout, row.bank, layout.radius)));
    patch(anchor, seatParts(row, leads, layout));
  }
}

function newSeat(bank) {
  const tabindex = bank === 0 ? 0 : -1;
  return vector("a", { class: "seat", href: `/banks/${bank}`, tabindex, data: { bank } });
}

function seatWords(row, leads) {
  const words = [`${row.name}: ${row.state}`, `height ${integer(row.height)}`];
  if (leads) words.push("leader");
  if (row.voted) words.push(row.voted === "approve" ? "approves" : "rejects");
  if (row.committed) words.push("committed");
  if (row.suspicion) words.push(`suspected: ${row.suspicion}`);
  if (row.faults?.length) words.push(`broken on purpose: ${row.faults.join(", ")}`);
  return words.join(", ");
}

function seatParts(row, leads, layout) {
  const size = layout.seat;
  const scale = rounded((size * 1.05) / 16);
  const inside = vector("g", { transform: `scale(${scale}) translate(-8 -8)` });
  inside.append(stateShape(row.state));
  return [
    leads && vector("circle", { class: "seat-leader", r: rounded(size + 0.3 * layout.rem) }),
    leads && leaderArrow(row.bank, layout),
    vector("circle", { class: "seat-ground", r: rounded(size) }),
    inside,
    (row.suspicion || row.faults?.length > 0) && suspectMark(row, size),
    ...seatLabel(row, leads, layout),
  ];
}

/** Points outward at the leader, from the side of the votes. */
function leaderArrow(bank, layout) {
  const inward = layout.seat + 0.42 * layout.rem;
  const turn = rounded((layout.angle(bank) * 180) / Math.PI);
  const [long, wide] = [0.6 * layout.rem, 0.36 * layout.rem].map(rounded);
  const d = `M${rounded(-inward)} 0l${-long} ${-wide}v${2 * wide}z`;
  return vector("path", { class: "seat-arrow", d, transform: `rotate(${turn})` });
}

function suspectMark(row, size) {
  const place = `translate(${rounded(size * 0.78)} ${rounded(-size * 0.78)})`;
  const tone = row.suspicion ? "bad" : "warn";
  return vector(
    "g",
    { class: "seat-mark", data: { tone }, transform: place },
    vector("path", { d: "M0 -8L8 0L0 8L-8 0Z" }),
    vector("text", { y: 4, "text-anchor": "middle" }, "!"),
  );
}

function seatLabel(row, leads, layout) {
  const angle = layout.angle(row.bank);
  if (layout.compact) {
    const inward = layout.seat + 0.95 * layout.rem;
    const x = -inward * Math.cos(angle);
    const y = -inward * Math.sin(angle) + 0.25 * layout.rem;
    const name = row.name.slice(0, COMPACT_LETTERS);
    const place = { x: rounded(x), y: rounded(y), "text-anchor": "middle" };
    return leads ? [] : [vector("text", { class: "seat-name", ...place }, name)];
  }
  const outward = layout.seat + 0.8 * layout.rem;
  const x = rounded(outward * Math.cos(angle));
  const steep = Math.abs(Math.cos(angle)) < 0.3;
  const anchor = steep ? "middle" : Math.cos(angle) > 0 ? "start" : "end";
  const lines = [
    ["seat-name", row.name],
    ["seat-state", stateLine(row, leads)],
  ];
  const middle = outward * Math.sin(angle);
  const shift = steep ? (middle < 0 ? -1.3 : 0.9) : 0.6 * Math.sin(angle) - 0.2;
  const first = middle + shift * layout.rem;
  return lines.map(([name, words], index) => {
    const y = rounded(first + index * 1.15 * layout.rem);
    return vector("text", { class: name, x, y, "text-anchor": anchor }, words);
  });
}

function stateLine(row, leads) {
  if (row.state !== "up" && row.state !== "voting") return row.state;
  if (row.suspicion) return "suspect";
  if (row.lag > 0) return `${count(row.lag, "block")} behind`;
  return leads ? "leader" : integer(row.height);
}

function goAround(event, anchors) {
  const at = anchors.indexOf(document.activeElement);
  let next = null;
  if (event.key in STEPS) next = (at + STEPS[event.key] + anchors.length) % anchors.length;
  if (event.key === "Home") next = 0;
  if (event.key === "End") next = anchors.length - 1;
  if (at < 0 || next === null) return;
  event.preventDefault();
  anchors[at].setAttribute("tabindex", -1);
  anchors[next].setAttribute("tabindex", 0);
  anchors[next].focus();
}
