// The treasury: stakes against their floor, pots by fiscal year, whether everything adds up.

import { bankLink, element, fill, link, vector } from "./components/element.js";
import { failureNotice, loadingNotice } from "./components/notice.js";
import { toneBadge } from "./components/state.js";
import { dataTable } from "./components/table.js";
import { invariantPart } from "./invariant.js";
import { movementsPart } from "./movements.js";
import { NOTHING, amount, integer, known, list, money, percent, shortId } from "./format.js";
import { parts } from "./parts.js";

const REFRESH_MS = 5_000;
const FLOOR_SHARE = 0.3;
const BAR = { width: 100, height: 10 };
const BANK_COLUMN = {
  name: "bank",
  head: "Bank",
  cell: (row) => bankLink(row.bank, row.name),
  sort: (row) => row.bank,
};

export function render(root, context) {
  const page = { root, context, parts: null, timer: null };
  context.setTitle("Treasury");
  fill(root, head(), loadingNotice("Adding up the treasury"));
  look(page);
  return { destroy: () => clearTimeout(page.timer) };
}

async function look(page) {
  const { context, root } = page;
  try {
    show(page, await context.fetchJson("/api/treasury"));
  } catch (failure) {
    if (failure.name === "AbortError") return;
    if (failure.status === undefined) console.error(failure);
    if (page.parts === null) fill(root, head(), failureNotice(failure));
  }
  if (!context.signal.aborted) page.timer = setTimeout(() => look(page), REFRESH_MS);
}

function head() {
  return element("div", { class: "page-head" }, element("h1", {}, "Treasury"));
}

function show(page, answer) {
  const asset = page.context.store.hello?.asset ?? answer.asset ?? null;
  if (page.parts === null) {
    page.movements = movementsPart();
    page.parts = parts({ invariant: invariantPart, stakes: stakesPart, years: yearsPart });
    fill(page.root, head(), page.parts.nodes, page.movements.node);
  }
  const { invariant, rows, stakes, years, movements } = answer;
  page.parts.show({
    invariant: { invariant, rows, asset },
    stakes: { stakes, asset },
    years: { years, asset },
  });
  page.movements.update(movements, stakes, asset);
}

function stakesPart({ stakes, asset }) {
  const most = Math.max(...stakes.map((row) => Math.max(row.stake, row.initial_stake)));
  const code = asset ? `, ${asset.code}` : "";
  const columns = [
    BANK_COLUMN,
    { name: "bar", head: "Against its floor", cell: (row) => stakeBar(row, most) },
    {
      name: "stake",
      head: `Stake${code}`,
      kind: "number",
      cell: (row) => amount(row.stake, asset),
      sort: (row) => row.stake,
    },
    {
      name: "share",
      head: "Of initial",
      kind: "number",
      cell: (row) => percent(shareOf(row) * 100),
      sort: shareOf,
    },
    {
      name: "floor",
      head: `Floor${code}`,
      kind: "number",
      help: "A bank whose stake falls below this is removed from the active set",
      cell: (row) => amount(floorOf(row), asset),
    },
    {
      name: "offences",
      head: "Offences",
      kind: "number",
      cell: (row) => integer(row.offences),
      sort: (row) => row.offences,
    },
    { name: "state", head: "State", cell: stakeState, sort: (row) => toneOf(row) },
  ];
  return element(
    "section",
    { class: "panel" },
    element("h2", {}, "Stakes"),
    element(
      "p",
      { class: "quiet" },
      `A bank loses its vote when penalties bring its stake below ${FLOOR_SHARE * 100} % of what `,
      "it began with: the dashed line.",
    ),
    dataTable({ caption: "Stakes by bank", columns, rows: stakes }).node,
  );
}

function shareOf(row) {
  return row.initial_stake ? row.stake / row.initial_stake : 0;
}

function floorOf(row) {
  return row.floor ?? Math.floor(row.initial_stake * FLOOR_SHARE);
}

function toneOf(row) {
  if (!row.active || row.stake < floorOf(row)) return "bad";
  return row.stake < row.initial_stake ? "warn" : "good";
}

function stakeState(row) {
  const words = { good: "whole", warn: "penalised", bad: row.active ? "below floor" : "removed" };
  return toneBadge(toneOf(row), words[toneOf(row)]);
}

/** All bars have one scale, so that banks can be compared. */
function stakeBar(row, most) {
  const x = (value) => (most ? (BAR.width * value) / most : 0);
  const floor = x(floorOf(row));
  return vector(
    "svg",
    {
      class: "stake-bar",
      viewBox: `0 0 ${BAR.width} ${BAR.height}`,
      preserveAspectRatio: "none",
      "aria-hidden": "true",
      data: { tone: toneOf(row) },
    },
    vector("rect", { class: "track", width: x(row.initial_stake), height: BAR.height }),
    vector("rect", { class: "held", y: 2, width: x(row.stake), height: BAR.height - 4 }),
    ["halo", "floor"].map((name) => uprightLine(name, floor)),
  );
}

function uprightLine(name, x) {
  const line = { class: name, x1: x, x2: x, y1: 0, y2: BAR.height };
  return vector("line", { ...line, "vector-effect": "non-scaling-stroke" });
}

const YEAR_AMOUNTS = [
  ["fees", "Fees", "the approvers' part of the fees"],
  ["penalties", "Penalties", "taken from stakes"],
  ["carried_in", "Carried in", "from the pot of the year before"],
  ["rewards", "Rewards", "shared out among the banks by their recorded approvals"],
  ["carried_out", "Carried out", "into the pot of the year after"],
  ["pot", "In the pot", "what is there to share out"],
];

function yearsPart({ years, asset }) {
  const rows = [...years].sort((one, other) => other.year - one.year);
  const shown = YEAR_AMOUNTS.filter(([name]) => rows.some((row) => known(row[name])));
  const code = asset ? ` (${asset.code})` : "";
  const columns = [
    { name: "year", head: "Fiscal year", cell: (row) => row.label, sort: (row) => row.year },
    { name: "state", head: "State", cell: yearState },
    ...shown.map(([name, words, help]) => ({
      name,
      head: words,
      help,
      kind: "number",
      cell: (row) => amount(row[name], asset),
      sort: (row) => row[name],
    })),
  ];
  if (rows.some((row) => row.slashed?.length)) {
    columns.push({
      name: "slashed",
      head: "Penalised",
      help: "Banks that were punished in the year and get nothing of its pot",
      kind: "words",
      cell: (row) => list(row.slashed ?? []) || NOTHING,
    });
  }
  const settled = rows.filter((row) => row.shares?.length);
  return element(
    "section",
    { class: "panel" },
    element("h2", {}, "Fiscal years"),
    dataTable({
      caption: `Pots by fiscal year${code}`, columns, rows, empty: "No fee and no penalty yet",
    }).node,
    settled.map((year) => settlement(year, asset)),
  );
}

function yearState(row) {
  if (known(row.settled_height)) {
    const path = `/blocks/${row.settled_height}`;
    const words = row.state === "carried" ? "carried" : "settled";
    return element("a", { href: path }, `${words} in block ${integer(row.settled_height)}`);
  }
  return row.state ?? "open";
}

function settlement(year, asset) {
  const total = year.shares.reduce((sum, item) => sum + item.count, 0);
  const columns = [
    BANK_COLUMN,
    {
      name: "count",
      head: "Recorded approvals",
      kind: "number",
      cell: (row) => integer(row.count),
      sort: (row) => row.count,
    },
    {
      name: "share",
      head: "Of all",
      kind: "number",
      cell: (row) => percent(total ? (100 * row.count) / total : 0),
    },
    {
      name: "reward",
      head: "Reward",
      kind: "number",
      cell: (row) => money(row.reward, asset),
      sort: (row) => row.reward,
    },
  ];
  return element(
    "details",
    { class: "fold" },
    element("summary", {}, `How ${year.label} was shared out`),
    element(
      "p",
      { class: "quiet" },
      "The counts are proven without opening a single ballot; a penalised bank gets nothing. ",
      year.transaction_id && [
        "It is transaction ",
        link(`/transactions/${year.transaction_id}`, shortId(year.transaction_id)),
        ".",
      ],
    ),
    dataTable({
      caption: `Settlement of ${year.label}`, columns, rows: year.shares,
    }).node,
  );
}
