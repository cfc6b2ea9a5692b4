// The overview: may another bank fail, who leads, who votes, what needs attention, what is sealed.

import { blockStream } from "./block_stream.js";
import { ChartGroup } from "./chart.js";
import { bankLink, element, fill, patch } from "./components/element.js";
import { loginPath } from "./components/notice.js";
import { prose } from "./components/prose.js";
import { quorumTone, stateBadge, stateOf, toneBadge } from "./components/state.js";
import { dataTable } from "./components/table.js";
import { NOTHING, age, bytes, capital, clock, decimal, duration, integer } from "./format.js";
import { known, percent } from "./format.js";
import { bankRing } from "./ring.js";

const ALARMS_SHOWN = 8;
const HEALTHY = new Set(["up", "voting", "observer"]);

export function render(root, context) {
  context.setTitle("");
  const ring = bankRing();
  const stream = blockStream();
  const charts = new ChartGroup();
  const table = bankTable();
  const places = {
    verdict: element("div", { class: "verdict", data: { tone: "neutral" } }),
    figures: element("dl", { class: "figures" }),
    attention: element("ul", { class: "attention" }),
    earlier: element("ul", { class: "earlier", "aria-label": "Earlier alarms", hidden: true }),
    access: element("div", { class: "notice access", data: { tone: "neutral" }, hidden: true }),
  };
  fill(
    root,
    element("h1", { class: "visually-hidden" }, "Overview"),
    hero(places, ring, stream),
    chartPanel(charts),
    panel("Banks", table.node),
  );
  const update = (change) => {
    const { store } = context;
    if (change !== "block") drawFigures(places.figures, store);
    if (change === "hello" || change === "block") stream.update(store);
    if (change === "hello" || change === "sample") charts.update(store.samples);
    if (change === "hello" || change === "session") drawAccess(places.access, store);
    if (change === "hello" || change === "overview") drawOverview(places, ring, table, store);
  };
  update("hello");
  const destroy = () => {
    ring.destroy();
    charts.destroy();
  };
  return { update, destroy };
}

function hero({ verdict, figures, attention, earlier, access }, ring, stream) {
  return element(
    "div",
    { class: "hero" },
    element("div", { class: "hero-words" }, verdict, figures),
    element("div", { class: "hero-ring" }, ring.node, ringKey()),
    element(
      "div",
      { class: "hero-lists" },
      access,
      panel("Needs attention", [attention, earlier]),
      panel("Blocks", stream.node, element("a", { href: "/blocks", class: "small" }, "all blocks")),
    ),
  );
}

function panel(title, content, ...beside) {
  const head = element("div", { class: "panel-head" }, element("h2", {}, title), beside);
  return element("section", { class: "panel", "aria-label": title }, head, content);
}

/** What the marks inside the ring mean. */
function ringKey() {
  const one = (name, words) =>
    element("li", {}, element("span", { class: `key-${name}`, "aria-hidden": "true" }), words);
  return element(
    "ul",
    { class: "ring-key" },
    one("vote", "votes for it"),
    one("reject", "rejects it"),
    one("commit", "commits to it"),
    one("leader", "leads"),
    one("lost", "link lost"),
  );
}

function chartPanel(charts) {
  const one = (title, unit, [format, tick, least], value) =>
    charts.add({ title, unit, format, tick, least, series: [{ name: title, value }] });
  const plain = (value) => value.toLocaleString("en");
  const seconds = (value) => `${plain(value / 1000)} s`;
  const finality = charts.add({
    title: "Finality",
    unit: "submitted until applied",
    format: duration,
    tick: seconds,
    least: 1000,
    series: [
      { name: "half within", value: (sample) => sample.finality_ms_p50 },
      { name: "95 % within", value: (sample) => sample.finality_ms_p95, dashed: true },
    ],
  });
  const rate = [decimal, plain, 10];
  const whole = [integer, plain, 10];
  const load = [percent, (value) => `${plain(value)} %`, 10];
  const size = [bytes, bytes, 100e6];
  const content = element(
    "div",
    { class: "charts" },
    one("Sealed", "transactions a second", rate, (sample) => sample.sealed_per_second),
    finality,
    one("Waiting", "transactions", whole, (sample) => sample.mempool),
    one("Processor", "all banks, of one core", load, (sample) => sample.cpu_percent),
    one("Memory", "all banks, resident", size, (sample) => sample.resident_bytes),
  );
  return panel("Last ten minutes", content);
}

function drawOverview(places, ring, table, store) {
  const { overview } = store;
  drawVerdict(places.verdict, overview);
  if (!overview) return;
  ring.update(overview);
  table.update(overview.banks);
  drawAttention(places, overview, store.session.operator);
}

const VERDICTS = {
  good: "The ledger goes on",
  warn: "The ledger goes on, weakened",
  bad: "The ledger has halted",
  neutral: "Not known",
};

function drawVerdict(place, overview) {
  const quorum = overview?.quorum;
  const tone = quorumTone(quorum);
  place.dataset.tone = tone;
  const [count, margin] = splitWords(quorum?.words ?? "Waiting for the first look at the banks");
  patch(
    place,
    element("p", { class: "verdict-head" }, quorum ? toneBadge(tone, VERDICTS[tone]) : "Looking"),
    element("p", { class: "verdict-words" }, capital(margin)),
    element("p", { class: "verdict-count" }, count || "\u00a0"),
    element("p", { class: "verdict-advice" }, prose(advice(quorum))),
  );
}

/** "12 of 12 can vote, 10 needed: two more may fail" in its two halves. */
function splitWords(words) {
  const at = words.indexOf(": ");
  return at < 0 ? ["", words] : [words.slice(0, at), words.slice(at + 2)];
}

function advice(quorum) {
  if (quorum?.verdict) return capital(quorum.verdict);
  return quorum?.waiting_for ? capital(quorum.waiting_for) : "\u00a0";
}

function drawFigures(place, { overview, samples }) {
  const sample = samples.at(-1);
  const figure = (name, words, note) =>
    element(
      "div",
      { class: "figure" },
      element("dt", {}, name),
      element("dd", {}, words),
      element("dd", { class: "figure-note" }, note),
    );
  const view = overview?.view;
  const late = sample ? duration(sample.finality_ms_p95) : NOTHING;
  patch(
    place,
    figure("Height", integer(overview?.height), known(view) ? `view ${view}` : "\u00a0"),
    figure("Sealed", decimal(sample?.sealed_per_second), "transactions a second"),
    figure("Final within", duration(sample?.finality_ms_p50), `95 % within ${late}`),
    figure("Waiting", integer(sample?.mempool ?? overview?.totals?.mempool), "in the mempool"),
  );
}

/** What is wrong now, by culprit; below what was told before, newest first. */
function drawAttention({ attention, earlier }, overview, operator) {
  const now = overview.banks.flatMap((row) => troubles(row));
  const before = overview.alarms.slice(0, ALARMS_SHOWN).map((alarm) =>
    attentionItem("neutral", element("time", {}, clock(alarm.at_ms)), alarm, alarm.text),
  );
  const nothing = operator
    ? "Nothing: every bank votes, nobody is suspected, nothing is broken on purpose."
    : "Nothing that the public ledger shows.";
  patch(attention, now.length ? now : element("li", { class: "quiet" }, nothing));
  patch(earlier, before);
  earlier.hidden = before.length === 0;
}

function attentionItem(tone, mark, { bank, name }, words) {
  return element(
    "li",
    { class: "attention-item", data: { tone } },
    element("span", { class: "attention-mark" }, mark),
    element("p", {}, bankLink(bank, name), prose(`: ${words}`)),
  );
}

function troubles(row) {
  const item = (tone, mark, words) => attentionItem(tone, mark, row, words);
  const found = [];
  if (!HEALTHY.has(row.state)) {
    const words = row.reason || stateOf(row.state).meaning;
    found.push(item(stateOf(row.state).tone, stateBadge(row.state), words));
  }
  if (row.suspicion) found.push(item("bad", toneBadge("bad", "suspect"), row.suspicion));
  for (const fault of row.faults ?? []) {
    found.push(item("warn", toneBadge("warn", "broken on purpose"), fault));
  }
  return found;
}

function drawAccess(place, { hello, session }) {
  place.hidden = !hello || session.operator;
  if (place.hidden || place.childElementCount) return;
  const login = element("a", { href: loginPath() }, "Log in");
  const words = " to see votes, links, memory, alarms and faults of the banks.";
  fill(place, element("p", {}, login, words));
}

function bankTable() {
  const number = (name, head, show, help) => {
    const sort = (row) => row[name] ?? null;
    return { name, head, kind: "number", help, sort, cell: (row) => show(row[name]) };
  };
  const columns = [
    { name: "name", head: "Bank", sort: (row) => row.name, cell: nameCell },
    { name: "state", head: "State", sort: (row) => row.state, cell: stateCell },
    number("height", "Height", integer),
    number("lag", "Behind", (lag) => (lag ? integer(lag) : NOTHING), "Blocks behind the furthest"),
    number("peers_linked", "Links", integer, "Other banks linked both ways"),
    number("mempool", "Waiting", integer, "Transactions in its mempool"),
    number("last_seal_age_ms", "Last seal", age),
    number("cpu_percent", "Processor", percent, "Of one core"),
    number("resident_bytes", "Memory", bytes),
    number("database_bytes", "Database", bytes),
    { name: "voted", head: "Vote", sort: voteWords, cell: voteWords },
    { name: "kind", head: "Sector", sort: (row) => row.kind, cell: (row) => row.kind ?? NOTHING },
  ];
  const rowAttributes = (row) => {
    const tone = row.suspicion ? "bad" : stateOf(row.state).tone;
    return { data: { tone: tone === "good" ? null : tone } };
  };
  return dataTable({ caption: "All banks", columns, rowAttributes, empty: "No bank was seen yet" });
}

function nameCell(row) {
  return element("span", {}, bankLink(row.bank, row.name));
}

function stateCell(row) {
  const extra = row.suspicion ? toneBadge("bad", "suspect") : null;
  return element("span", { class: "row" }, stateBadge(row.state), extra);
}

function voteWords(row) {
  const vote = { approve: "approves", reject: "rejects" }[row.voted];
  const words = [vote, row.committed && "commits"].filter((word) => known(word) && word);
  return words.join(", ") || NOTHING;
}
