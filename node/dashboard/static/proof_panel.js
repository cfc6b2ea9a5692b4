// The proof that a transaction is in a block, verified by the reader's own browser.

import { toHex } from "./bytes.js";
import { copyId } from "./components/copy.js";
import { element, fill } from "./components/element.js";
import { toneBadge } from "./components/state.js";
import { count, integer } from "./format.js";
import { NoCryptography, verifyTransaction } from "./merkle.js";

/** What each check compares: [what was done, what it must equal]. */
const CHECKS = {
  domain: ["The leaf's bytes begin with the mark of a leaf", "0x00, so that no inner node passes"],
  id: ["BLAKE2b over all bytes of the transaction", "the id in this page's address"],
  leaf: ["SHA-256 over the mark of a leaf and these bytes", "the leaf that the bank names"],
  chain: ["The chain that the header's bytes name", "this consortium"],
  root: ["The end of the path", "the transactions' root in the header's bytes"],
  block: ["SHA-256 over the header's bytes", "the block's id"],
  height: ["The height in the header's bytes", "the block that is shown"],
  form: ["The proof's bytes", "what a proof must look like"],
};

/** `chainOf()` is the chain's id in hexadecimal, undefined as long as it is not known. */
export function proofPanel({ id, proof, chainOf }) {
  const verdict = element("div", { role: "status" });
  const steps = element("div");
  const button = element("button", { class: "button", type: "button" }, "Verify in this browser");
  button.addEventListener("click", async () => {
    await verify({ id, proof, chainId: chainOf(), verdict, steps });
    button.textContent = "Verify again";
  });
  return element(
    "section",
    { class: "panel card", "aria-labelledby": "proof-heading" },
    element("h2", { id: "proof-heading" }, "Inclusion proof"),
    element(
      "p",
      {},
      `${evidenceWords(proof)} the header of block ${integer(proof.height)} prove that it is in `,
      "that block. Your browser can recompute all of it from the bytes, and believe nobody.",
    ),
    element("div", { class: "row" }, button),
    verdict,
    steps,
    element("p", { class: "quiet small" }, sealWords(proof), element("br"), command(id)),
    rawBytes(proof),
  );
}

function evidenceWords({ siblings }) {
  if (siblings.length === 0) return "Its bytes and";
  const hashes = count(siblings.length, "hash", "hashes");
  return `Its bytes, ${hashes} of the other transactions beside it, and`;
}

function sealWords({ ballots, quorum }) {
  return (
    `Not checked by the browser: that the header is sealed, which ${ballots} anonymous ballots ` +
    `(${quorum} needed) prove. The page's server has verified them; to verify them yourself, ` +
    "from the genesis alone, run "
  );
}

function command(id) {
  return element("code", { class: "id" }, `consortium proof ${id} --verify`);
}

function rawBytes(proof) {
  const part = (name, hex) => [
    element("h3", {}, `${name}, ${integer(hex.length / 2)} bytes`),
    element("pre", { class: "raw", tabindex: 0, "aria-label": name }, hex),
  ];
  return element(
    "details",
    { class: "fold" },
    element("summary", {}, "The bytes"),
    part("Block header", proof.header_hex),
    part("Leaf", proof.leaf_preimage_hex),
  );
}

async function verify({ id, proof, chainId, verdict, steps }) {
  try {
    const result = await verifyTransaction(id, proof, chainId);
    fill(verdict, verdictNotice(result));
    fill(steps, stepList(result));
  } catch (failure) {
    if (!(failure instanceof NoCryptography)) throw failure;
    const next = "Open the page by https or on the machine itself, or use the command below.";
    fill(verdict, notice("warn", "This browser cannot verify here", `${failure.message}. ${next}`));
  }
}

function notice(tone, headWords, words) {
  return element(
    "div",
    { class: "notice", data: { tone } },
    element("p", { class: "notice-head" }, headWords),
    element("p", {}, words),
  );
}

function verdictNotice({ checks, header }) {
  const failed = checks.filter((check) => !check.passed);
  if (failed.length > 0) {
    const [what, expected] = CHECKS[failed[0].name];
    const words = failed[0].name === "form" ? failed[0].found : `${what} is not ${expected}.`;
    return notice("bad", "Does NOT verify", words);
  }
  const words =
    `This is one of the ${count(header.transactionCount, "transaction")} of block ` +
    `${integer(header.height)}: ${count(checks.length, "check")}, made from bytes alone.`;
  return notice("good", "Verified in this browser", words);
}

function stepList({ checks, steps: path }) {
  const items = checks.map((check) => {
    const [what, expected] = CHECKS[check.name];
    return element(
      "li",
      { data: { check: check.name, passed: check.passed ? "yes" : "no" } },
      element("span", { class: "check-name" }, toneBadge(check.passed ? "good" : "bad", what)),
      check.name === "root" && pathList(path),
      element("span", { class: "id small" }, check.found),
      element("span", { class: "quiet small" }, relation(check, expected)),
    );
  });
  return element("ol", { class: "checks" }, items);
}

function relation({ passed, name, expected }, words) {
  if (name === "form") return "";
  return passed ? `is ${words}` : `is not ${words}: ${expected}`;
}

/** Leaf to root: which hash came from which side, and what both became. */
function pathList(path) {
  if (path.length === 0) {
    const words = "The block's only transaction: its leaf is the root.";
    return element("p", { class: "quiet small" }, words);
  }
  const line = ({ side, sibling, result }) =>
    element(
      "li",
      {},
      element("span", { class: "sibling-side" }, `with the ${side} neighbour `),
      copyId(toHex(sibling), { what: "neighbour's hash" }),
      element("span", { class: "sibling-side" }, " becomes "),
      copyId(toHex(result), { what: "hash" }),
    );
  const label = "Path from the leaf to the root";
  return element("ol", { class: "path", "aria-label": label }, path.map(line));
}
