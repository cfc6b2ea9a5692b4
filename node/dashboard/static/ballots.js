// Anonymous ballots: how many, for what, and that nobody learns whose.

import { copyId } from "./components/copy.js";
import { element, vector } from "./components/element.js";
import { bytes, count } from "./format.js";

/** A verified certificate in words. */
export function certificateWords({ ballots, quorum, bytes: size }) {
  const needed = quorum === undefined ? "" : ` (${quorum} needed)`;
  return (
    `${count(ballots, "different bank")} approved${needed}; which ones nobody learns. ` +
    `The ballots are ${bytes(size)} and prove the seal to anybody who has the genesis.`
  );
}

/** Every recorded ballot by its tag: two of one bank would carry the same one. */
export function ballotList({ approved, rejected, votes }) {
  const words = rejected
    ? `Recorded: ${approved} approve, ${rejected} reject.`
    : `Recorded: ${approved} approve.`;
  return element(
    "div",
    { class: "panel" },
    element("p", {}, words, " A tag is one bank's, for this block alone."),
    element("ul", { class: "ballots", "aria-label": "Recorded ballots by tag" }, votes.map(ballot)),
  );
}

function ballot({ tag, approve }) {
  const mark = approve ? "M3 8.5l3.5 3.5L13 4.5" : "M3.5 3.5l9 9M12.5 3.5l-9 9";
  const drawing = vector(
    "svg",
    { viewBox: "0 0 16 16", "aria-hidden": "true" },
    vector(
      "g",
      { class: "state-shape", data: { tone: approve ? "good" : "bad" } },
      vector("path", { class: "line", d: mark }),
    ),
  );
  const word = approve ? "approve" : "reject";
  return element("li", { class: "ballot" }, drawing, `${word} `, copyId(tag, { what: "tag" }));
}
