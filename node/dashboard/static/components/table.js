// Tables: a caption, columns that know how to draw and sort themselves, rows by key.
//
// column: {name, head, cell(row) -> node or text, sort?(row) -> number or text, kind?: "number" |
//          "id" | "text", help?: words for the heading's title}

import { element, fill, patch, setAttribute } from "./element.js";

/**
 * A table in a frame that scrolls sideways by itself, never the page. `update(rows)` draws anew.
 * options: {caption, columns, rows, sortBy?: column name, descending?, empty?: words,
 *           showCaption?, rowAttributes?(row)}
 */
export function dataTable(options) {
  const { rows = [], sortBy = null, descending = false } = options;
  const state = { rows, by: sortBy, down: descending };
  const body = element("tbody");
  const head = element("tr");
  const table = element(
    "table",
    { class: "table" },
    element("caption", { class: options.showCaption ? null : "visually-hidden" }, options.caption),
    element("thead", {}, head),
    body,
  );
  const frame = element(
    "div",
    { class: "table-frame", role: "region", "aria-label": options.caption },
    table,
  );
  new ResizeObserver(() => reachable(frame)).observe(table);
  const draw = () => {
    drawHead(head, options, state, draw);
    drawBody(body, options, state);
  };
  draw();
  return {
    node: frame,
    update: (rows) => {
      state.rows = rows;
      drawBody(body, options, state);
    },
  };
}

/** The keyboard must reach a frame that scrolls, and need not stop at one that does not. */
function reachable(frame) {
  setAttribute(frame, "tabindex", frame.scrollWidth > frame.clientWidth ? 0 : null);
}

function drawHead(head, { columns }, state, draw) {
  if (head.childElementCount === 0) {
    fill(head, columns.map((column) => headCell(column, state, draw)));
  }
  for (const cell of head.children) {
    const sorted = cell.dataset.name === state.by;
    if (sorted) cell.setAttribute("aria-sort", state.down ? "descending" : "ascending");
    else cell.removeAttribute("aria-sort");
  }
}

function headCell(column, state, draw) {
  const attributes = {
    scope: "col",
    title: column.help,
    data: { name: column.name, kind: column.kind ?? "text" },
  };
  if (!column.sort) return element("th", attributes, column.head);
  const sort = () => {
    state.down = state.by === column.name ? !state.down : column.kind === "number";
    state.by = column.name;
    draw();
  };
  const button = element("button", { class: "sort", type: "button", on: { click: sort } });
  button.append(column.head, element("span", { class: "sort-mark", "aria-hidden": "true" }));
  return element("th", attributes, button);
}

function drawBody(body, { columns, empty, rowAttributes }, state) {
  if (state.rows.length === 0) {
    const attributes = { class: "empty", colspan: columns.length };
    fill(body, element("tr", {}, element("td", attributes, empty ?? "Nothing yet")));
    return;
  }
  const wanted = sorted(columns, state).map((row) => {
    const cells = columns.map((column, index) => cell(column, row, index));
    return element("tr", rowAttributes?.(row) ?? {}, cells);
  });
  patchRows(body, wanted);
}

/** Cells that look the same stay, so that a focused link survives the next second. */
function patchRows(body, wanted) {
  wanted.forEach((row, index) => {
    const there = body.children[index];
    if (!there || there.childElementCount !== row.childElementCount) {
      if (there) there.replaceWith(row);
      else body.append(row);
      return;
    }
    for (const name of there.getAttributeNames()) {
      if (!row.hasAttribute(name)) there.removeAttribute(name);
    }
    for (const name of row.getAttributeNames()) there.setAttribute(name, row.getAttribute(name));
    patch(there, [...row.children]);
  });
  while (body.children.length > wanted.length) body.lastElementChild.remove();
}

function cell(column, row, index) {
  const name = index === 0 ? "th" : "td";
  const attributes = { data: { kind: column.kind ?? "text" } };
  if (index === 0) attributes.scope = "row";
  return element(name, attributes, column.cell(row));
}

function sorted(columns, { rows, by, down }) {
  const column = columns.find((item) => item.name === by);
  if (!column?.sort) return rows;
  const direction = down ? -1 : 1;
  return [...rows].sort((one, other) => direction * compare(column.sort(one), column.sort(other)));
}

/** Nothing sorts before everything. */
function compare(one, other) {
  const missing = (value) => value === null || value === undefined;
  if (missing(one) || missing(other)) return Number(missing(other)) - Number(missing(one));
  if (typeof one === "number" && typeof other === "number") return one - other;
  return String(one).localeCompare(String(other), "en", { numeric: true });
}
