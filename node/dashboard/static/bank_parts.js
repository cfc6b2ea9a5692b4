// The parts of the bank page: consensus, money, process, database, mempool, traffic.

import { definitions } from "./components/definitions.js";
import { bankLink, element } from "./components/element.js";
import { toneBadge } from "./components/state.js";
import { NOTHING, bytes, count, decimal, duration, integer, known, money } from "./format.js";
import { percent, sentence, share } from "./format.js";

const CPU_USES = ["verify", "consensus", "database", "network", "other"];

/** Every part that the answer has something for. */
export function bankParts(answer, store) {
  const { report } = answer;
  const banks = store.hello?.banks ?? [];
  const parts = [moneyPart(answer, store.hello?.asset)];
  if (!report) return parts;
  return [
    consensusPart(report.consensus, banks),
    ...parts,
    performancePart(report.performance),
    processPart(report, answer.metrics),
    mempoolPart(report.mempool),
    databasePart(report.database, report.traffic),
  ].filter(Boolean);
}

function part(title, ...content) {
  return element(
    "section",
    { class: "panel card", "aria-label": title },
    element("h2", {}, title),
    content,
  );
}

/** Banks by name, linked, or a dash. */
function bankList(indices, banks) {
  if (!indices?.length) return NOTHING;
  if (indices.length === banks.length) return "all banks";
  const names = indices.map((bank) => bankLink(bank, banks[bank]?.name ?? `bank ${bank}`));
  return element("span", {}, names.flatMap((name, place) => (place ? [", ", name] : [name])));
}

function consensusPart(consensus, banks) {
  const refused = (consensus.refused ?? []).map((item) => {
    const name = banks[item.bank]?.name ?? `bank ${item.bank}`;
    return `${name} ${integer(item.messages)}`;
  });
  return part(
    "Consensus",
    definitions(
      [
        ["Deciding height", `${integer(consensus.height)}, view ${integer(consensus.view)}`],
        ["Led by", bankList([consensus.leader], banks)],
        ["Approve", bankList(consensus.approvals, banks)],
        ["Reject", bankList(consensus.rejections, banks)],
        ["Commit", bankList(consensus.commits, banks)],
        ["Gave up waiting", bankList(consensus.timed_out, banks)],
        ["Missing", bankList(consensus.missing, banks)],
        ["Waits for", consensus.waiting_for || "nothing"],
        ["Margin", `${integer(consensus.margin)} over the quorum of ${consensus.quorum}`],
        ["Certificate", consensus.highest_view < 0 ? "none" : `of view ${consensus.highest_view}`],
        ["Has a vote", consensus.active ? "yes" : "no, it was removed from the active set"],
        ["Messages refused", refused.join(", ") || "none", consensus.last_refusal],
        ["Convicts", bankList(consensus.accused, banks)],
      ],
      { dense: true },
    ),
  );
}

function moneyPart(answer, asset) {
  const { stake, initial_stake: initial } = answer;
  const kept = known(stake) && initial ? `${percent((100 * stake) / initial)} of its first` : "";
  const paid = (name, head, explanation) =>
    known(answer[name]) && [head, money(answer[name], asset), explanation];
  return part(
    "Stake and account",
    definitions(
      [
        ["Stake", money(stake, asset), kept],
        paid("initial_stake", "First stake"),
        paid("floor", "Floor", "no penalty takes it below"),
        ["Offences", integer(answer.offences)],
        paid("penalties", "Penalties"),
        paid("topped_up", "Topped up"),
        paid("withdrawn", "Withdrawn"),
        paid("account", "Account", "public: fees, rewards and redemptions"),
        paid("rewards", "Rewards"),
        paid("creator_fees", "Fees as creator"),
        known(answer.blocks_created) && ["Blocks created", integer(answer.blocks_created)],
      ],
      { dense: true },
    ),
  );
}

function performancePart(performance) {
  if (!performance) return null;
  const span = [performance.finality_ms_p50, performance.finality_ms_p95];
  return part(
    "Performance",
    definitions(
      [
        ["Sealed", `${decimal(performance.sealed_per_second)} a second`],
        ["Since it started", sealedWords(performance)],
        ["Final, half within", duration(span[0]), `of ${windowWords(performance)}`],
        ["95 % within", duration(span[1])],
        ["99 % within", duration(performance.finality_ms_p99)],
        ["Verifying a batch", duration(performance.verify_ms_p50), "half within"],
        ["Proposal until vote", duration(performance.vote_ms_p50)],
        ["Proposal until seal", duration(performance.seal_ms_p50)],
        ["Applying a block", duration(performance.apply_ms_p50)],
      ],
      { dense: true },
    ),
  );
}

function sealedWords({ sealed_transactions: transactions, sealed_blocks: blocks }) {
  return `${count(transactions, "transaction")} in ${count(blocks, "block")}`;
}

function windowWords({ window_transactions: transactions, window_ms: span }) {
  return `${count(transactions ?? 0, "transaction")} of its clients in ${duration(span)}`;
}

function processPart({ process, cpu, ready, software_version: version }, metrics) {
  const total = cpu?.total_ms || 1;
  const uses = CPU_USES.filter((use) => known(cpu?.[`${use}_ms`])).map((use) => {
    const spent = cpu[`${use}_ms`];
    return [sentence(use), useBar(spent / total, percent((100 * spent) / total))];
  });
  return part(
    "Process",
    definitions(
      [
        ["Ready", ready ? "yes" : "not yet"],
        ["Process", `${process.pid}, version ${version}`],
        ["Runs for", duration(process.uptime_ms)],
        ["Memory", bytes(process.resident_bytes)],
        metrics && ["Metrics", metricsLink(metrics)],
        ["Processor time", duration(process.cpu_ms), uses.length ? "of it for:" : ""],
        ...uses,
      ],
      { dense: true },
    ),
  );
}

/** The bank serves them itself, at host:port. */
function metricsLink(address) {
  const attributes = { href: `http://${address}/metrics`, target: "_blank", rel: "noreferrer" };
  return /^[\w.:[\]-]+$/.test(address) ? element("a", attributes, address) : address;
}

function useBar(share, words) {
  const bar = element("meter", { min: 0, max: 1, value: share.toFixed(4), "aria-hidden": "true" });
  return element("span", { class: "bar-line" }, bar, element("span", {}, words));
}

function mempoolPart(mempool) {
  return part(
    "Mempool",
    definitions(
      [
        ["Waiting", share(mempool.transactions, mempool.capacity_transactions)],
        ["Their bytes", `${bytes(mempool.bytes)} of ${bytes(mempool.capacity_bytes)}`],
        ["Admitted", integer(mempool.admitted), "since it started"],
        ["Refused", integer(mempool.refused)],
        ["Verified in", count(mempool.batches, "batch", "batches")],
      ],
      { dense: true },
    ),
  );
}

function databasePart(database, traffic) {
  const connected = database.connected;
  const rows = [
    ["Connected", connected ? toneBadge("good", "yes") : toneBadge("bad", "no")],
    ["PostgreSQL", database.server_version || NOTHING, versionWords(database.server_version)],
    ["Size", bytes(database.size_bytes)],
  ];
  if (traffic) {
    const both = (sent, received) => `${bytes(sent)} sent, ${bytes(received)} received`;
    const { peers_sent_bytes: sent, peers_received_bytes: received } = traffic;
    rows.push(["Other banks", both(sent, received)]);
    const { clients_sent_bytes: told, clients_received_bytes: heard } = traffic;
    rows.push(["Clients", both(told, heard)]);
  }
  return part("Database and traffic", definitions(rows, { dense: true }));
}

/** "180004" -> "that is 18.4": the server numbers its versions so. */
function versionWords(version) {
  if (!/^\d{6}$/.test(version ?? "")) return "";
  return `that is ${Math.floor(Number(version) / 10_000)}.${Number(version) % 10_000}`;
}
