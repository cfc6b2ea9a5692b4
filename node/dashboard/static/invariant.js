// Whether the treasury adds up: what ever came in is what is there, as a sum to follow.

import { element } from "./components/element.js";
import { toneBadge } from "./components/state.js";
import { integer, known, money, sentence } from "./format.js";

const TERM_WORDS = {
  initial_stakes: "Stakes that the banks began with",
  topped_up: "Stakes added later",
  fees: "Fees ever paid",
  stakes: "Stakes now",
  pots: "Pots of the years",
  creator_fees: "Fees paid to proposers",
  rewards: "Rewards paid to banks",
  withdrawn: "Stakes withdrawn",
};

export function invariantPart({ invariant, rows, asset }) {
  if (!invariant) return [];
  const terms = invariant.terms.map((term) => ({ ...term, key: keyOf(term.name) }));
  const cameIn = terms.filter((term) => term.side === "in");
  const isThere = terms.filter((term) => term.side !== "in");
  const verdict = invariant.holds
    ? toneBadge("good", "Adds up")
    : toneBadge("bad", "Does NOT add up");
  return element(
    "section",
    { class: "panel card" },
    element("div", { class: "panel-head" }, element("h2", {}, "Does it add up?"), verdict),
    element("p", {}, invariant.holds ? wholeWords(rows) : invariant.words),
    element(
      "div",
      { class: "columns" },
      sum("What came in", cameIn, asset),
      sum("Where it is", isThere, asset),
    ),
  );
}

function wholeWords(rows) {
  const agreeing = known(rows) ? ` ${integer(rows)} movements agree with the sealed state.` : "";
  return `Whatever ever came in is somewhere: nothing was made and nothing was lost.${agreeing}`;
}

function keyOf(name) {
  return name.toLowerCase().replaceAll(/[ -]/g, "_");
}

function sum(title, terms, asset) {
  const total = terms.reduce((whole, term) => whole + term.amount, 0);
  return element(
    "section",
    {},
    element("h3", {}, title),
    element(
      "dl",
      { class: "sum" },
      terms.map((term, index) => [
        element("dt", {}, `${index ? "+ " : ""}${TERM_WORDS[term.key] ?? sentence(term.name)}`),
        element("dd", {}, money(term.amount, asset)),
      ]),
      element("dt", { class: "total" }, "= in all"),
      element("dd", { class: "total" }, money(total, asset)),
    ),
  );
}
