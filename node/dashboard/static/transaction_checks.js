// Which checks a transaction passed at which bank, and how long each took.

import { definitions } from "./components/definitions.js";
import { element } from "./components/element.js";
import { toneBadge } from "./components/state.js";
import { dataTable } from "./components/table.js";
import { NOTHING, durationOfMicroseconds, integer, sentence } from "./format.js";

/** Of a check: what it makes sure of. */
const CHECK_WORDS = {
  lookup: "what it spends and names is read from the bank's database",
  encoding: "its bytes are not too many and the one canonical encoding",
  rules: "it is not sealed already; fee, accounts and limits are those of the ledger",
  context: "chain, expiry, issuer; the bins that it spends from are closed",
  points: "every curve point and scalar is a valid one",
  nullifiers: "nothing in it was spent before, no key is used twice",
  challenges: "the challenges of its proofs, and an issuer's signature",
  signatures: "expiry, and who must have signed has signed",
  proofs: "range, spend and issue proofs hold",
  conflicts: "nothing that waits here already spends the same",
};

/** A row per bank, a column per check, and what they mean; null if no bank tells of any. */
export function checksTable(banks) {
  const names = [];
  for (const check of banks.flatMap((bank) => bank.checks ?? [])) {
    if (!names.includes(check.name)) names.push(check.name);
  }
  if (names.length === 0) return null;
  const columns = [
    { name: "bank", head: "Bank", cell: (row) => row.name, sort: (row) => row.bank },
    { name: "source", head: "Came from", cell: (row) => sourceWords(row.source, banks) },
    ...names.map((name) => ({
      name,
      head: sentence(name),
      help: CHECK_WORDS[name],
      cell: (row) => checkCell(row.checks.find((check) => check.name === name)),
      sort: (row) => row.checks.find((check) => check.name === name)?.duration_us ?? null,
    })),
  ];
  const rows = banks.filter((bank) => bank.checks?.length);
  return [
    dataTable({ caption: "Checks of this transaction at each bank", columns, rows }).node,
    element(
      "details",
      { class: "fold" },
      element("summary", {}, "What the checks are"),
      definitions(
        names.map((name) => [sentence(name), CHECK_WORDS[name]]),
        { dense: true },
      ),
    ),
  ];
}

/** "bank 3" by its name. */
export function sourceWords(source, banks) {
  const match = /^bank (\d+)$/.exec(source ?? "");
  const other = match && banks.find((bank) => bank.bank === Number(match[1]));
  return other ? other.name : source ?? NOTHING;
}

/** Most checks take less than what other durations are shown in. */
function tookWords(microseconds) {
  return microseconds < 1_000 ? `${microseconds} µs` : durationOfMicroseconds(microseconds);
}

function checkCell(check) {
  if (!check) return element("span", { class: "quiet" }, "not made");
  const took = tookWords(check.duration_us);
  const shared = check.batch > 1 ? ` for ${integer(check.batch)}` : "";
  const badge = toneBadge(check.passed ? "good" : "bad", `${took}${shared}`);
  badge.prepend(
    element("span", { class: "visually-hidden" }, check.passed ? "passed in " : "failed in "),
  );
  if (check.passed) return badge;
  return element("span", { class: "row" }, badge, check.message);
}
