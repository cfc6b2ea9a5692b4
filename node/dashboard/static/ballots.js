// Anonymous ballots: how many, for what, and that nobody learns whose.

import { copyId } from "./components/copy.js";
import { element, vector } from "./components/element.js";
import { bytes, count, integer } from "./format.js";

const TAG_DIGITS = 8;

/** A certificate in words. */
export function certificateWords({ ballots, quorum, active_banks: active, bytes: size }) {
  const banks = active ? `${ballots} of ${active} banks` : count(ballots, "different bank");
  return (
    `${banks} approved, ${quorum} were needed; which ones nobody learns. The ballots, ` +
    `${bytes(size)}, prove the seal to anybody who has the genesis.`
  );
}

const STATUS_WORDS = {
  pending: "These are one bank's; which ballots all banks agree to record, the next block says.",
  "not verified": "The next block records ballots that do not verify.",
};

/** Every recorded ballot by its tag: two of one bank would carry the same one. */
export function ballotList({ status, approved, rejected, votes, why }, height) {
  const recorded = `Block ${integer(height + 1)} records ${approved} that approve`;
  const words = STATUS_WORDS[status] ?? `${recorded}, ${rejected || "none"} that reject.`;
  return element(
    "div",
    { class: "panel" },
    element("p", {}, words, why && ` ${why}.`, " A tag is one bank's, for this block alone:"),
    element("ul", { class: "ballots", "aria-label": "Ballots by tag" }, votes.map(ballot)),
    votes.length > 0 && wholeTags(votes),
  );
}

function wholeTags(votes) {
  const whole = (tag) => copyId(tag, { whole: true, what: "tag" });
  const items = votes.map(({ tag }) => element("li", {}, whole(tag)));
  return element(
    "details",
    { class: "fold" },
    element("summary", {}, "The tags, whole"),
    element("ol", { class: "points small" }, items),
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
  return element(
    "li",
    { class: "ballot" },
    drawing,
    element("span", { class: "visually-hidden" }, word),
    element("code", { class: "id" }, tag.slice(0, TAG_DIGITS)),
  );
}
