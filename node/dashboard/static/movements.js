// Every movement of stakes and pots, to be filtered by bank and kind.

import { bankLink, element, fill, link } from "./components/element.js";
import { dataTable } from "./components/table.js";
import { TREASURY_KINDS } from "./explorer_words.js";
import { amount, count, integer, known } from "./format.js";

const ALL = "";
const SHOWN_FIRST = 25;

/** {node, update(movements, banks, asset)}. */
export function movementsPart() {
  const state = { movements: [], asset: null, drawn: "", shown: SHOWN_FIRST };
  const bank = select("movement-bank", "Bank");
  const kind = select("movement-kind", "Kind");
  const told = element("p", { class: "quiet", role: "status" });
  const table = dataTable({
    caption: "Movements, newest first",
    columns: columnsOf(state),
    rows: [],
    empty: "No movement of this bank and kind among the newest",
  });
  const draw = () => {
    const rows = state.movements.filter(
      (row) =>
        (bank.input.value === ALL || String(row.bank) === bank.input.value) &&
        (kind.input.value === ALL || row.kind === kind.input.value),
    );
    table.update(rows.slice(0, state.shown));
    more.hidden = rows.length <= state.shown;
    const all = integer(state.movements.length);
    fill(told, `${count(rows.length, "movement")} of the newest ${all}.`);
  };
  const more = element("button", { class: "quiet-button more", type: "button" }, "Show all");
  more.addEventListener("click", () => {
    state.shown = Infinity;
    draw();
  });
  for (const { input } of [bank, kind]) input.addEventListener("change", draw);
  const kinds = Object.keys(TREASURY_KINDS);
  fill(kind.input, option(ALL, "all"), kinds.map((name) => option(name, name)));
  const node = element(
    "section",
    { class: "panel" },
    element("h2", {}, "Movements"),
    element("div", { class: "filters" }, bank.node, kind.node, told),
    table.node,
    more,
  );
  const update = (movements, banks, asset) => {
    const text = JSON.stringify([movements, asset]);
    if (text === state.drawn) return;
    Object.assign(state, { movements, asset, drawn: text });
    if (bank.input.options.length === 0) {
      const options = banks.map((item) => option(String(item.bank), item.name));
      fill(bank.input, option(ALL, "all"), options);
    }
    draw();
  };
  return { node, update };
}

function columnsOf(state) {
  return [
    {
      name: "height",
      head: "Block",
      kind: "number",
      cell: (row) => link(`/blocks/${row.height}`, integer(row.height)),
    },
    {
      name: "bank",
      head: "Bank",
      cell: (row) => (known(row.bank) ? bankLink(row.bank, row.name ?? row.bank) : "all"),
    },
    {
      name: "year",
      head: "Year",
      cell: (row) => row.label ?? `FY${row.fiscal_year ?? row.year}`,
    },
    {
      name: "kind",
      head: "Kind",
      cell: (row) => element("span", { title: TREASURY_KINDS[row.kind] }, row.kind),
    },
    {
      name: "amount",
      head: "Amount",
      kind: "number",
      cell: (row) => amount(row.amount, state.asset),
    },
    { name: "reason", head: "Reason", kind: "words", cell: (row) => row.reason },
  ];
}

function select(id, words) {
  const input = element("select", { id });
  const label = element("label", { for: id }, words);
  return { input, node: element("div", { class: "field" }, label, input) };
}

function option(value, words) {
  return element("option", { value }, words);
}
