// What things are called and mean, in a line each: the words of the ledger's pages.

export const STATES = {
  unknown: "no bank that answers has seen it",
  pending: "received; its proofs are being verified",
  admitted: "verified and passed on to the other banks; not final",
  proposed: "in a block that is being voted on; not final",
  sealed: "final, in a block that a quorum of banks sealed",
  rejected: "refused: it will not be in any block",
  expired: "its expiry height passed before it was sealed; final",
};

/** After these nothing changes any more. */
export const FINAL_STATES = new Set(["sealed", "rejected", "expired"]);

/** The way of a transaction to its end, as the banks' events name it. */
export const STAGES = ["received", "verified", "admitted", "proposed", "sealed", "applied"];

/** What a bank's round consists of, in order, and how it is drawn (`timeline.js`). */
export const ROUND_KINDS = [
  { kind: "proposal", mark: "start", tone: "start", words: "the proposal was made or came in" },
  {
    kind: "validated", mark: "bar", tone: "vote", words: "the block was verified and executed",
  },
  { kind: "voted", mark: "disc", tone: "vote", words: "the bank sent its vote and its ballot" },
  { kind: "certified", mark: "ring", tone: "quorum", words: "the bank saw a quorum of votes" },
  { kind: "committed", mark: "core", tone: "quorum", words: "the bank sent its own commit" },
  { kind: "sealed", mark: "seal", tone: "good", words: "a quorum of commits was there: final" },
  { kind: "applied", mark: "bar", tone: "good", words: "the block was written to its database" },
  {
    kind: "timed-out", mark: "cross", tone: "bad", name: "timed out",
    words: "the bank gave the view up and asked for the next",
  },
];

/** What a bank does with a transaction, in order. */
export const TRANSACTION_KINDS = [
  { kind: "received", mark: "start", tone: "start", words: "from a client or from another bank" },
  { kind: "verified", mark: "circle", tone: "vote", words: "all checks were made and passed" },
  { kind: "admitted", mark: "dot", tone: "vote", words: "it waits here for a block" },
  {
    kind: "gossiped", mark: "dash", tone: "neutral", name: "passed on",
    words: "it was told to the other banks",
  },
  { kind: "proposed", mark: "ring", tone: "quorum", words: "a block with it was proposed" },
  { kind: "sealed", mark: "seal", tone: "good", words: "a quorum of banks sealed that block" },
  { kind: "applied", mark: "disc", tone: "good", words: "the block was written to its database" },
  { kind: "refused", mark: "cross", tone: "bad", words: "a check failed" },
];

/** The fields of a header in its order: [name, what it is]. */
export const HEADER_WORDS = {
  chain_id: ["Chain", "which consortium: the hash of its genesis"],
  height: ["Height", "the block's place in the chain"],
  parent_id: ["Parent", "the id of the block before"],
  original_view: ["View", "the attempt that made this header; above 0, an earlier leader failed"],
  proposer: ["Proposer", "the bank that made this header"],
  time_ms: ["Time", "the proposer's clock; whoever approved held it against its own"],
  transactions_root: ["Merkle root", "over all bytes of the transactions"],
  evidence_root: ["Evidence root", "over the evidence of offences in this block"],
  ballots_root: ["Ballots root", "over the recorded ballots about the block before"],
  transaction_count: ["Transactions", "how many the Merkle root is over"],
  post_state_root: ["State root", "digest of the whole ledger after this block"],
  next_set_hash: ["Next set", "who may vote on the next block, and with which keys"],
};

export const OFFENCES = {
  E1: "voted twice in one view, for different things",
  E2: "proposed two different blocks in one view",
  E3: "committed to two different blocks in one view",
  E4: "broke its lock: gave up a view after it had committed to a block of it",
  E5: "proposed a block that anybody can see is invalid",
  E6: "proposed a block that a quorum rejected by the ledger's state",
  E7: "approved a block that is proven invalid",
  E8: "cast two ballots with different messages",
};

export const TREASURY_KINDS = {
  stake: "into or out of a stake",
  penalty: "from a stake into the year's pot",
  fee: "the approvers' part of fees, into the pot",
  reward: "out of the pot to a bank",
  carry: "from one year's pot into another's",
};

/** How a kind's public bank stands to its amount. */
export const BANK_WORDS = { transfer: "to", issue: "by", payout: "by" };

const PAYMENT_HIDDEN = [
  "the amounts of its outputs",
  "who is paid, and by whom: not even a payee learns who paid",
  "which notes of its rings are spent: all of a ring's real notes are candidates",
  "the memos",
];

const MINT_HIDDEN = [
  "how the amount is divided among the outputs",
  "who receives them",
  "the memos",
];

/** What nobody but payer and payee learns from a transaction of this kind. */
export function hiddenOf(kind) {
  if (kind === "transfer") {
    return PAYMENT_HIDDEN;
  }
  return kind === "issue" || kind === "payout" ? MINT_HIDDEN : [];
}

export const PUBLIC_WORDS = {
  fee: "fee",
  redeemed: "redeemed",
  amount: "amount",
  bank: "bank",
  inputs: "inputs",
  outputs: "outputs",
  bins: "inputs hide in",
  expiry_height: "valid until height",
  fiscal_year: "fiscal year",
  counts: "recorded approvals by bank",
};
