// The tables of the bank page: links, evidence, movements of its stake and rewards, alarms.

import { copyId } from "./components/copy.js";
import { bankLink, element, link } from "./components/element.js";
import { prose } from "./components/prose.js";
import { toneBadge } from "./components/state.js";
import { dataTable } from "./components/table.js";
import { NOTHING, age, amount, bytes, dateTime, integer, known, sentence } from "./format.js";

/** Returns {node, update(answer)}. */
export function bankTables(context) {
  const { store } = context;
  const asset = () => store.hello?.asset;
  const nameOf = (bank) => store.hello?.banks?.[bank]?.name ?? `bank ${bank}`;
  // What the bank reports, and what the ledger says of it; null where nobody has said it.
  const report = (rowsOf) => (answer) => (answer.report ? rowsOf(answer) : null);
  const ledger = (rowsOf) => (answer) => (known(answer.stake) ? rowsOf(answer) : null);
  const parts = [
    ["Links", linkTable(nameOf), report((answer) => answer.links)],
    ["Alarms", alarmTable(), report((answer) => answer.report.alarms)],
    ["Faults", faultTable(nameOf), report((answer) => answer.report.faults)],
    ["Evidence against it", evidenceTable(asset), ledger((answer) => answer.evidence)],
    ["Votes by fiscal year", votesTable(asset), ledger((answer) => answer.votes_cast)],
    ["Treasury", treasuryTable(asset), ledger((answer) => answer.treasury)],
  ].map(([title, table, rowsOf]) => {
    const attributes = { class: "panel", "aria-label": title, hidden: true };
    const section = element("section", attributes, element("h2", {}, title), table.node);
    return { section, table, rowsOf };
  });
  return {
    node: parts.map(({ section }) => section),
    update: (answer) => {
      for (const { section, table, rowsOf } of parts) {
        const rows = rowsOf(answer);
        section.hidden = rows === null;
        if (rows !== null) table.update(rows);
      }
    },
  };
}

function number(name, head, show = integer) {
  return { name, head, kind: "number", sort: (row) => row[name], cell: (row) => show(row[name]) };
}

function linkTable(nameOf) {
  const words = (row) => {
    if (row.linked_out && row.linked_in) return toneBadge("good", "both ways");
    if (row.linked_out) return toneBadge("warn", "only out");
    return row.linked_in ? toneBadge("warn", "only in") : toneBadge("bad", "lost");
  };
  const degree = (row) => Number(row.linked_out) + Number(row.linked_in);
  const dropped = (row) => row.dropped_transactions + row.dropped_messages;
  return dataTable({
    caption: "Links with the other banks",
    empty: "It tells of no links",
    columns: [
      { name: "bank", head: "Bank", sort: (row) => row.bank, cell: (row) => peer(row, nameOf) },
      { name: "linked", head: "Linked", sort: degree, cell: words },
      number("height", "Height when linked"),
      number("last_heard_ms", "Last heard", age),
      number("queued_items", "Queued"),
      number("sent_items", "Sent"),
      number("sent_bytes", "Bytes sent", bytes),
      { name: "dropped", head: "Dropped", kind: "number", sort: dropped, cell: droppedCell },
      number("connections", "Connected", (times) => `${integer(times)} ×`),
      { name: "address", head: "Address", cell: (row) => row.address || NOTHING },
      { name: "error", head: "Why it is down", kind: "words", cell: (row) => row.last_error },
    ],
  });
  function droppedCell(row) {
    return integer(dropped(row));
  }
}

function peer(row, nameOf) {
  return bankLink(row.bank, row.name ?? nameOf(row.bank));
}

function alarmTable() {
  return dataTable({
    caption: "Alarms since it started, newest first",
    empty: "None since it started",
    sortBy: "time",
    descending: true,
    columns: [
      { name: "time", head: "When", sort: (row) => row.time_ms, cell: (row) => when(row.time_ms) },
      { name: "kind", head: "Kind", sort: (row) => row.kind, cell: (row) => sentence(row.kind) },
      { name: "text", head: "What", kind: "words", cell: textCell },
    ],
  });
}

function textCell(row) {
  return element("span", {}, prose(row.text));
}

function when(milliseconds) {
  return element("time", {}, dateTime(milliseconds));
}

function faultTable(nameOf) {
  const peers = (row) => (row.peers ?? []).map(nameOf).join(", ") || NOTHING;
  return dataTable({
    caption: "Broken on purpose",
    empty: "Nothing is broken on purpose",
    columns: [
      { name: "kind", head: "Kind", cell: (row) => sentence(row.kind) },
      { name: "text", head: "What", kind: "words", cell: textCell },
      { name: "peers", head: "With", kind: "words", cell: peers },
      number("age_ms", "Since", age),
    ],
  });
}

function evidenceTable(asset) {
  const penalty = (row) => amount(row.penalty, asset());
  return dataTable({
    caption: "Evidence of offences of this bank",
    empty: "Nobody holds evidence against it",
    columns: [
      { name: "id", head: "Evidence", cell: (row) => copyId(row.id ?? row.evidence_id) },
      { name: "offence", head: "Offence", sort: (row) => row.offence, cell: (row) => row.offence },
      { name: "height", head: "At height", kind: "number", cell: (row) => blockLink(row.height) },
      { name: "status", head: "Status", cell: (row) => sentence(row.status) },
      {
        name: "recorded",
        head: "Recorded in",
        kind: "number",
        cell: (row) => blockLink(row.recorded_height),
      },
      { name: "penalty", head: "Penalty", kind: "number", cell: penalty },
    ],
  });
}

function blockLink(height) {
  return height === null || height === undefined
    ? NOTHING
    : link(`/blocks/${height}`, integer(height));
}

function votesTable(asset) {
  const reward = (row) => amount(row.reward, asset());
  return dataTable({
    caption: "Votes it cast in settled fiscal years, and what they earned",
    empty: "No fiscal year with its votes is settled yet",
    columns: [
      { name: "year", head: "Year", sort: (row) => row.year, cell: (row) => row.label },
      number("count", "Votes"),
      { name: "reward", head: "Reward", kind: "number", sort: (row) => row.reward, cell: reward },
    ],
  });
}

function treasuryTable(asset) {
  const year = (row) => row.label ?? integer(row.fiscal_year);
  return dataTable({
    caption: "Movements of its stake and rewards, newest first",
    empty: "Nothing has moved",
    columns: [
      { name: "height", head: "Height", kind: "number", cell: (row) => blockLink(row.height) },
      { name: "kind", head: "Kind", sort: (row) => row.kind, cell: (row) => sentence(row.kind) },
      {
        name: "amount",
        head: "Amount",
        kind: "number",
        sort: (row) => row.amount,
        cell: (row) => amount(row.amount, asset()),
      },
      { name: "year", head: "Year", sort: (row) => row.fiscal_year, cell: year },
      { name: "reason", head: "Why", kind: "words", cell: (row) => row.reason || NOTHING },
    ],
  });
}
