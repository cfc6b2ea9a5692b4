// All blocks, newest first: new ones appear at the top, older ones are read as the reader goes on.

import { copyId } from "./components/copy.js";
import { bankLink, element, fill, link } from "./components/element.js";
import { failureNotice, loadingNotice } from "./components/notice.js";
import { NOTHING, clock, dateTime, integer } from "./format.js";
import { find } from "./search.js";

const PAGE = 50;
const HEADS = [
  ["Height", "number"], ["Time", "text"], ["Transactions", "number"], ["Proposer", "text"],
  ["Block", "id"], ["View", "number"], ["Evidence", "number"],
];

export function render(root, context) {
  const page = list(context);
  context.setTitle("Blocks");
  fill(root, page.nodes);
  addNew(page);
  if (context.query.get("q")) answerQuery(page, context.query.get("q"));
  const watch = new IntersectionObserver((entries) => {
    page.endShows = entries.at(-1).isIntersecting;
    goOn(page);
  });
  watch.observe(page.more);
  return {
    update: (change) => {
      if (change === "block" || change === "hello") addNew(page);
      if (change === "connection") goOn(page);
    },
    destroy: () => watch.disconnect(),
  };
}

function list(context) {
  const body = element("tbody");
  const state = element("div", { class: "panel", role: "status" });
  const page = { context, body, state, rows: new Map(), reading: false, endShows: false };
  page.more = element(
    "button",
    { class: "quiet-button more", type: "button", on: { click: () => readOlder(page) } },
    "Older blocks",
  );
  const head = HEADS.map(([words, kind]) => element("th", { scope: "col", data: { kind } }, words));
  const table = element(
    "table",
    { class: "table" },
    element("caption", { class: "visually-hidden" }, "Blocks, newest first"),
    element("thead", {}, element("tr", {}, head)),
    body,
  );
  const frame = { class: "table-frame", tabindex: 0, role: "region", "aria-label": "Blocks" };
  page.nodes = [
    element("div", { class: "page-head" }, element("h1", {}, "Blocks")),
    element("div", frame, table),
    page.more,
    state,
  ];
  return page;
}

/** Read on where the reader is at the end; the names of banks come with the stream's beginning. */
function goOn(page) {
  if (page.endShows && page.context.store.connection !== "connecting") readOlder(page);
}

/** A form that was sent before the page's own code was there ends up here. */
async function answerQuery(page, text) {
  const found = await find(text);
  if (page.context.signal.aborted) return;
  if (found.path) page.context.navigate(found.path, { replace: true });
  else fill(page.state, element("p", { class: "notice", data: { tone: "warn" } }, found.why));
}

function addNew(page) {
  for (const block of page.context.store.blocks) insert(page, block);
  fillGap(page);
  showEnd(page);
}

/** After a lost connection the newest blocks may not reach down to the ones that are shown. */
function fillGap(page) {
  const heights = [...page.rows.keys()].sort((one, other) => other - one);
  const gap = heights.findIndex((height, i) => i > 0 && heights[i - 1] - height > 1);
  if (gap > 0) readOlder(page, heights[gap - 1]);
}

function insert(page, block) {
  if (page.rows.has(block.height)) return;
  const row = drawRow(block, page.context.store.hello);
  const next = [...page.body.children].find((other) => Number(other.dataset.height) < block.height);
  page.body.insertBefore(row, next ?? null);
  page.rows.set(block.height, row);
}

function drawRow(block, hello) {
  const bank = hello?.banks?.find((item) => item.bank === block.proposer);
  const path = `/blocks/${block.height}`;
  const genesis = block.height === 0;
  const cells = [
    link(path, integer(block.height)),
    element("time", { datetime: new Date(block.time_ms).toISOString() }, timeWords(block.time_ms)),
    integer(block.transactions),
    genesis ? NOTHING : bankLink(block.proposer, bank?.name ?? `bank ${block.proposer}`),
    copyId(block.block_id, { path, what: "block id" }),
    integer(block.view),
    block.evidence ? integer(block.evidence) : NOTHING,
  ];
  const drawn = cells.map((cell, index) =>
    element(
      index === 0 ? "th" : "td",
      { scope: index === 0 ? "row" : null, data: { kind: HEADS[index][1] } },
      cell,
    ),
  );
  const tone = block.evidence ? "bad" : block.view ? "warn" : null;
  return element("tr", { data: { height: block.height, tone } }, drawn);
}

/** The day is told of what is not of today. */
function timeWords(unixMilliseconds) {
  const today = new Date(unixMilliseconds).toDateString() === new Date().toDateString();
  return today ? clock(unixMilliseconds) : dateTime(unixMilliseconds);
}

async function readOlder(page, before = lowest(page)) {
  if (page.reading || before === 0) return;
  page.reading = true;
  fill(page.state, loadingNotice("Reading older blocks"));
  try {
    const query = before === null ? `limit=${PAGE}` : `before=${before}&limit=${PAGE}`;
    const { blocks } = await page.context.fetchJson(`/api/blocks?${query}`);
    for (const block of blocks) insert(page, block);
    fill(page.state);
    showEnd(page);
  } catch (failure) {
    if (failure.name === "AbortError") return;
    fill(page.state, failureNotice(failure));
    if (failure.status === undefined) console.error(failure);
  } finally {
    page.reading = false;
  }
}

/** At the genesis there is nothing older to ask for. */
function showEnd(page) {
  if (lowest(page) !== 0 || page.more.hidden) return;
  page.more.hidden = true;
  fill(page.state, element("p", { class: "quiet" }, "This is the beginning of the chain."));
}

function lowest(page) {
  return page.rows.size === 0 ? null : Math.min(...page.rows.keys());
}
