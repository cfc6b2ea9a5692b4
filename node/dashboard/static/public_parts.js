// What everybody sees of a transaction, in words and as terms.

import { bankLink } from "./components/element.js";
import { BANK_WORDS, PUBLIC_WORDS } from "./explorer_words.js";
import { integer, known, list, money, sentence } from "./format.js";

const AMOUNT = /_minor$/;
const NOT_SHOWN = new Set([
  "transaction_id", "id", "kind", "index", "size_bytes", "bytes", "bank_index", "decimals", "asset",
]);

/** Amounts are of the transaction's own asset; of one whose decimals are unknown, minor units. */
function assetOf(fields, base) {
  if (!fields.asset || fields.asset === base?.code) return base;
  if (known(fields.decimals)) return { code: fields.asset, decimals: fields.decimals };
  return null;
}

function amountsOf(fields) {
  return Object.keys(fields)
    .filter((name) => AMOUNT.test(name) && fields[name])
    .map((name) => [name.replace(AMOUNT, ""), fields[name]]);
}

/** The public amounts in a few words: "fee 0.10 CBU, redeemed 5.00 CBU to amberfield". */
export function publicWords(fields, base) {
  const asset = assetOf(fields, base);
  const parts = amountsOf(fields).map(([name, value]) => `${name} ${money(value, asset)}`);
  if (fields.fiscal_year) parts.unshift(fields.fiscal_year);
  const words = parts.join(", ") || (fields.kind === "transfer" ? "no fee" : "");
  if (!fields.bank) return words;
  return `${words} ${BANK_WORDS[fields.kind] ?? "of"} ${fields.bank}`.trim();
}

/** Rows for a list of definitions: [term, value]. */
export function publicRows(fields, base) {
  const asset = assetOf(fields, base);
  const amounts = amountsOf(fields).map(([name, value]) => [
    sentence(PUBLIC_WORDS[name] ?? name),
    money(value, asset),
  ]);
  const others = Object.entries(fields)
    .filter(([name, value]) => !NOT_SHOWN.has(name) && !AMOUNT.test(name) && filled(value))
    .map(([name, value]) => [
      sentence(PUBLIC_WORDS[name] ?? name),
      valueWords(name, value, fields),
    ]);
  return [...amounts, ...others];
}

function filled(value) {
  return known(value) && value !== "" && value !== 0 && value.length !== 0;
}

function valueWords(name, value, fields) {
  if (name === "bank") return bankLink(fields.bank_index, value);
  if (name === "bins") return `${value.length === 1 ? "bin" : "bins"} ${list(value.map(String))}`;
  if (typeof value === "object") {
    return list(Object.entries(value).map(([key, item]) => `${key} ${integer(item)}`));
  }
  return typeof value === "number" ? integer(value) : String(value);
}
