// One block: how it was sealed, when each bank did what, what is in it and what its header says.

import { ballotList, certificateWords } from "./ballots.js";
import { MalformedBytes, fromHex, toHex } from "./bytes.js";
import { copyId } from "./components/copy.js";
import { definitions } from "./components/definitions.js";
import { bankLink, element, fill, link } from "./components/element.js";
import { emptyNotice, failureNotice, loadingNotice } from "./components/notice.js";
import { toneBadge } from "./components/state.js";
import { dataTable } from "./components/table.js";
import { HEADER_WORDS, OFFENCES, ROUND_KINDS } from "./explorer_words.js";
import {
  count, dateTime, durationOfMicroseconds, integer, known, money, sentence,
} from "./format.js";
import { loginNotice } from "./login_notice.js";
import { NoCryptography, ProofInvalid, readHeader } from "./merkle.js";
import { publicWords } from "./public_parts.js";
import { timeLine } from "./timeline.js";
import { reachedOf } from "./time_scale.js";

const DIGITS = /^[0-9]{1,15}$/;
const HASHES = /(_id|_root|_hash)$/;

export function render(root, context) {
  const page = { root, context, drawn: null, timeline: null, height: context.parameters.height };
  context.setTitle(`Block ${page.height}`);
  fill(root, head(page.height), loadingNotice("Reading the block"));
  read(page);
  return {
    update: (change) => {
      if (change === "block") followTip(page);
      if (change === "hello" && page.drawn && !page.drawnAsset) drawAll(page);
    },
    destroy: () => page.timeline?.destroy(),
  };
}

async function read(page) {
  const { root, context, height } = page;
  if (!DIGITS.test(height)) {
    fill(root, head(height), emptyNotice("A height is a whole number such as 42."));
    return;
  }
  try {
    const block = await context.fetchJson(`/api/blocks/${height}`);
    page.drawn = block;
    drawAll(page);
  } catch (failure) {
    if (failure.name === "AbortError") return;
    fill(root, head(height), failureNotice(failure));
    if (failure.status === undefined) console.error(failure);
  }
}

function drawAll(page) {
  page.timeline?.destroy();
  page.drawnAsset = page.context.store.hello?.asset ?? null;
  fill(page.root, draw(page, page.drawn));
}

/** A block that was not there yet, or whose ballots no next one recorded, is read again. */
function followTip(page) {
  const newest = page.context.store.blocks[0]?.height ?? 0;
  const missing = page.drawn === null && newest >= Number(page.height);
  const grown = page.drawn !== null && !known(page.drawn.next) && newest > page.drawn.height;
  if (missing || grown) read(page);
}

function head(height, steps = null) {
  return element("div", { class: "page-head" }, element("h1", {}, `Block ${height}`), steps);
}

function stepper({ previous, next }) {
  const step = (height, words, none) =>
    known(height)
      ? element("a", { class: "quiet-button", href: `/blocks/${height}` }, words)
      : element("span", { class: "quiet small" }, none);
  return element(
    "nav",
    { class: "stepper", "aria-label": "Neighbouring blocks" },
    step(previous, `← Block ${integer(previous)}`, "The first block"),
    step(next, `Block ${integer(next)} →`, "The newest block"),
  );
}

function draw(page, block) {
  return [
    head(integer(block.height), stepper(block)),
    lead(block),
    seal(block),
    round(page, block),
    evidence(page, block),
    header(block),
    batch(page, block),
  ];
}

function lead(block) {
  if (block.height === 0) {
    return element("p", { class: "lead" }, "The genesis: every bank was started with it.");
  }
  return element(
    "p",
    { class: "lead" },
    "Proposed by ",
    bankLink(block.proposer, block.proposer_name),
    ` on ${dateTime(block.time_ms)}`,
    block.view > 0 ? ` in view ${block.view}, after an earlier leader failed` : "",
    `, with ${count(block.transactions.length, "transaction")}.`,
  );
}

function panel(title, ...children) {
  return element("section", { class: "panel card" }, element("h2", {}, title), ...children);
}

function seal(block) {
  const { certificate, votes } = block;
  if (!certificate) return null;
  const verified = certificate.verified
    ? toneBadge("good", "Certificate verified")
    : toneBadge("bad", "Certificate does not verify");
  return element(
    "section",
    { class: "panel card" },
    element("div", { class: "panel-head" }, element("h2", {}, "Seal"), verified),
    element("p", {}, certificateWords(certificate)),
    certificate.why && element("p", { class: "quiet" }, `${sentence(certificate.why)}.`),
    votes && ballotList(votes, block.height),
  );
}

function round(page, block) {
  if (block.height === 0) return null;
  const rounds = block.rounds ?? [];
  if (rounds.length === 0) {
    return panel("Round", loginNotice("what each bank did when"));
  }
  const rows = rounds.map((item) => ({
    label: item.name,
    lead: item.bank === block.proposer ? "yes" : null,
    events: item.events,
    error: item.error,
  }));
  const what = `the round of block ${block.height}`;
  page.timeline = timeLine({ kinds: ROUND_KINDS, rows, what });
  return panel(
    "Round",
    element("p", {}, roundWords(rows)),
    page.timeline.node,
    element(
      "p",
      { class: "quiet small" },
      "Each bank tells its own part, by its own clock; the proposer is in bold. ",
      "When a bank voted is here for its operators; how it voted no recorded ballot tells.",
    ),
  );
}

function roundWords(rows) {
  const [certified, sealed] = [reachedOf(rows, "certified"), reachedOf(rows, "sealed")];
  const applied = reachedOf(rows, "applied");
  const parts = [
    certified && `a quorum of votes after ${durationOfMicroseconds(certified.first)}`,
    sealed && `sealed after ${durationOfMicroseconds(sealed.first)}`,
    applied &&
      `applied by ${count(applied.rows, "bank")} within ${durationOfMicroseconds(applied.last)}`,
  ].filter(Boolean);
  if (parts.length === 0) return "No bank remembers this round any more.";
  return `From the first moment: ${parts.join(", ")}.`;
}

function batch(page, block) {
  const asset = page.drawnAsset;
  const columns = [
    { name: "index", head: "Place", kind: "number", cell: (row) => row.index },
    {
      name: "id",
      head: "Transaction",
      kind: "id",
      cell: (row) => copyId(row.id, { path: `/transactions/${row.id}`, what: "transaction id" }),
    },
    {
      name: "kind", head: "Kind", cell: (row) => sentence(row.kind), sort: (row) => row.kind,
    },
    { name: "public", head: "Public", cell: (row) => publicWords(row, asset) },
    {
      name: "bytes",
      head: "Bytes",
      kind: "number",
      cell: (row) => integer(row.bytes),
      sort: (row) => row.bytes,
    },
  ];
  const table = dataTable({
    caption: `Transactions of block ${block.height}`,
    columns,
    rows: block.transactions,
    empty: block.height
      ? "None: a block without transactions shows that the consortium is alive"
      : "None: money comes from what banks issue later",
  });
  return element(
    "section",
    { class: "panel" },
    element("h2", {}, "Transactions"),
    table.node,
  );
}

function evidence(page, block) {
  const items = block.evidence ?? [];
  if (items.length === 0) return null;
  const asset = page.drawnAsset;
  return panel(
    "Evidence of offences",
    element(
      "p",
      { class: "quiet" },
      "Every bank has verified it from its bytes alone: signatures convict, nobody's word does.",
    ),
    element("ul", { class: "points" }, items.map((item) => evidenceItem(item, asset))),
  );
}

function evidenceItem(item, asset) {
  if (!item.offence) return element("li", {}, "Item ", copyId(item.id, { what: "evidence id" }));
  const loss = item.penalty ? `, and lost ${money(item.penalty, asset)} of its stake` : "";
  return element(
    "li",
    {},
    bankLink(item.bank, item.name),
    ` ${OFFENCES[item.offence] ?? "broke the protocol"} (${item.offence}) at height `,
    link(`/blocks/${item.height}`, integer(item.height)),
    `${loss}. `,
    copyId(item.id, { what: "evidence id" }),
  );
}

function header(block) {
  const names = Object.keys(HEADER_WORDS).filter((name) => name in block.header);
  const others = Object.keys(block.header).filter((name) => !(name in HEADER_WORDS));
  const rows = [...names, ...others].map((name) => {
    const [term, explanation] = HEADER_WORDS[name] ?? [sentence(name), ""];
    return [term, headerValue(name, block.header[name], block), explanation];
  });
  const verdict = element("span", { class: "quiet" }, "…");
  hashHeader(block, verdict);
  return panel(
    "Header",
    element("p", { class: "row" }, copyId(block.block_id, { whole: true, what: "id" }), verdict),
    element("div", { class: "header-fields" }, definitions(rows)),
    element(
      "details",
      { class: "fold" },
      element("summary", {}, "The header's bytes"),
      element("pre", { class: "raw" }, block.header_hex),
    ),
  );
}

function headerValue(name, value, block) {
  if (name === "parent_id" && block.height > 0) {
    return copyId(value, { path: `/blocks/${block.height - 1}`, what: "parent's id" });
  }
  if (name === "proposer") return bankLink(block.proposer, block.proposer_name ?? "nobody");
  if (name === "time_ms") return `${dateTime(value)}.${String(value % 1000).padStart(3, "0")}`;
  return HASHES.test(name) ? copyId(value, { what: sentence(name) }) : integer(value);
}

/** The id is the hash of the header's bytes, which needs no word of anybody. */
async function hashHeader(block, place) {
  try {
    const own = await readHeader(fromHex(block.header_hex));
    const same = toHex(own.blockId) === block.block_id && Number(own.height) === block.height;
    const words = same ? "recomputed in this browser" : "the header's bytes have another id";
    fill(place, toneBadge(same ? "good" : "bad", words));
  } catch (failure) {
    const wrong = failure instanceof ProofInvalid || failure instanceof MalformedBytes;
    if (failure instanceof NoCryptography) fill(place, "not recomputed: the page needs https");
    else if (wrong) fill(place, toneBadge("bad", failure.message));
    else throw failure;
  }
}
