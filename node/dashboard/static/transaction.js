// One transaction: where it stands, what each bank did with it, what is public, and its proof.

import { copyId } from "./components/copy.js";
import { definitions } from "./components/definitions.js";
import { element, fill, link } from "./components/element.js";
import { emptyNotice, failureNotice, loadingNotice } from "./components/notice.js";
import { toneBadge } from "./components/state.js";
import {
  FINAL_STATES, STAGES, STATES, TRANSACTION_KINDS, hiddenOf,
} from "./explorer_words.js";
import {
  count, dateTime, durationOfMicroseconds, integer, known, sentence, shortId,
} from "./format.js";
import { loginNotice } from "./login_notice.js";
import { parts } from "./parts.js";
import { proofPanel } from "./proof_panel.js";
import { publicRows } from "./public_parts.js";
import { timeLine } from "./timeline.js";
import { originOf, reachedOf } from "./time_scale.js";
import { checksTable } from "./transaction_checks.js";

const ID = /^[0-9a-f]{64}$/;
const POLL_MS = 1_000;
/** Looks after the final state: banks apply a block a little after each other. */
const LOOKS_AFTER = 3;
const TONES = { sealed: "good", rejected: "bad", expired: "bad", unknown: "warn" };

export function render(root, context) {
  const id = context.parameters.id.trim().toLowerCase();
  const page = { root, context, id, timer: null, timeline: null, parts: null, looksAfter: 0 };
  context.setTitle(`Transaction ${shortId(id)}`);
  if (!ID.test(id)) {
    const words = "The id of a transaction has 64 hexadecimal digits. Copy it whole.";
    fill(root, head(page), emptyNotice(words));
    return {};
  }
  fill(root, head(page), loadingNotice("Asking the banks"));
  look(page);
  return {
    destroy: () => {
      clearTimeout(page.timer);
      page.timeline?.destroy();
    },
  };
}

function head({ id }) {
  return element("div", { class: "page-head" }, element("h1", {}, `Transaction ${shortId(id)}`));
}

/** Ask, draw what changed, and ask again while it is on its way. */
async function look(page) {
  const { context, root } = page;
  let again = true;
  try {
    const answer = await context.fetchJson(`/api/transactions/${page.id}`);
    show(page, answer);
    if (FINAL_STATES.has(answer.status.state)) page.looksAfter += 1;
    again = page.looksAfter <= LOOKS_AFTER;
  } catch (failure) {
    if (failure.name === "AbortError") return;
    if (failure.status === undefined) console.error(failure);
    again = failure.status === 404 || failure.status === 0 || failure.status >= 500;
    if (page.parts === null) fill(root, head(page), failureNotice(failure), again && waiting());
  }
  if (again && !context.signal.aborted) page.timer = setTimeout(() => look(page), POLL_MS);
}

function waiting() {
  return emptyNotice("This page asks again each second, in case it is still on its way.");
}

function show(page, answer) {
  if (page.parts === null) {
    page.parts = parts({
      status: (data) => statusPart(data, page),
      stages,
      banks: (data) => banksPart(data, page),
      checks,
      content,
      proof: (data) => proofPart(data, page),
    });
    fill(page.root, head(page), page.parts.nodes);
  }
  const { status, height, index, kind, bytes, banks, proof } = answer;
  const asset = page.context.store.hello?.asset;
  page.parts.show({
    status: { status, height, index },
    stages: { status, banks },
    banks,
    checks: banks,
    content: { kind, bytes, public: answer.public, asset },
    proof: { proof, status },
  });
  if (page.said !== undefined && page.said !== status.state) {
    page.context.announce(`Transaction ${status.state}: ${STATES[status.state] ?? ""}`);
  }
  page.said = status.state;
}

function statusPart({ status, height, index }, page) {
  const { state } = status;
  const place = [": ", link(`/blocks/${height}`, `block ${integer(height)}`), `, place ${index}`];
  const when = known(status.time_ms) ? `, ${dateTime(status.time_ms)}` : "";
  const { reason, message } = status;
  return [
    element(
      "p",
      { class: "row lead" },
      toneBadge(TONES[state] ?? "neutral", sentence(state)),
      element("span", {}, STATES[state] ?? "", known(height) && [place, when]),
    ),
    reason &&
      element(
        "div",
        { class: "notice", data: { tone: "bad" } },
        element("p", { class: "notice-head" }, `Refused (${reason})`),
        message && message !== reason && element("p", {}, message),
      ),
    element("p", {}, copyId(page.id, { whole: true, what: "transaction id" })),
  ];
}

function rowsOf(banks) {
  return (banks ?? []).map((bank) => ({
    label: bank.name,
    note: bank.source,
    lead: bank.source === "client" ? "yes" : null,
    events: bank.events,
    error: bank.error,
  }));
}

/** The way to the seal, with how many banks have come how far. */
function stages({ status, banks }) {
  const rows = rowsOf(banks);
  if (originOf(rows) === null) return [];
  const refused = reachedOf(rows, "refused");
  const none = FINAL_STATES.has(status.state) ? "not remembered" : "not yet";
  const steps = STAGES.map((name) => stage(name, reachedOf(rows, name), rows.length, none));
  const reached = status.state === "rejected" ? steps.filter(({ at }) => at) : steps;
  const nodes = reached.map(({ node }) => node);
  if (refused) nodes.push(stage("refused", refused, rows.length, none, "bad").node);
  return [
    element(
      "div",
      { class: "panel-head" },
      element("h2", {}, "On its way"),
      element("span", { class: "quiet small" }, "how many banks, and when after the first moment"),
    ),
    element("ol", { class: "stages" }, nodes),
  ];
}

function stage(name, at, banks, none, tone = "good") {
  const words = at
    ? [`${integer(at.rows)} of ${count(banks, "bank")}`, whenWords(at)]
    : [none];
  const node = element(
    "li",
    { class: "stage", data: { tone: at ? tone : "neutral" } },
    element("span", { class: "stage-name" }, toneBadge(at ? tone : "neutral", sentence(name))),
    words.map((text) => element("span", { class: "small" }, text)),
  );
  return { at, node };
}

function whenWords({ first, last }) {
  const [one, other] = [durationOfMicroseconds(first), durationOfMicroseconds(last)];
  return one === other ? `after ${one}` : `${one} to ${other}`;
}

function banksPart(banks, page) {
  page.timeline?.destroy();
  const rows = rowsOf(banks);
  if (rows.length === 0) {
    return loginNotice("what each bank did with it");
  }
  page.timeline = timeLine({ kinds: TRANSACTION_KINDS, rows, what: "this transaction" });
  const first = rows.find((row) => row.lead)?.label;
  return element(
    "section",
    { class: "panel card" },
    element("h2", {}, "At each bank"),
    element(
      "p",
      { class: "quiet" },
      first ? `A client sent it to ${first} (in bold). ` : "",
      "Each bank tells its own part, by its own clock, as long as it remembers it.",
    ),
    page.timeline.node,
  );
}

function checks(banks) {
  const table = checksTable(banks ?? []);
  if (table === null) return [];
  return [
    element("h2", {}, "Checks"),
    element(
      "p",
      { class: "quiet" },
      "Every bank checks everything itself. Proofs are verified many at a time; then the time is ",
      "that of all of them together.",
    ),
    table,
  ];
}

function content({ kind, bytes, public: fields, asset }) {
  if (!kind) return emptyNotice("The banks keep no bytes of it, so there is nothing to show.");
  const hidden = hiddenOf(kind);
  return element(
    "div",
    { class: "columns" },
    element(
      "section",
      { class: "panel card" },
      element("h2", {}, "Public"),
      definitions(
        [
          ["Kind", sentence(kind)],
          ...publicRows(fields ?? {}, asset),
          ["Size", `${integer(bytes)} bytes`],
        ],
        { dense: true },
      ),
    ),
    element(
      "section",
      { class: "panel card" },
      element("h2", {}, "Hidden"),
      hidden.length === 0
        ? element("p", {}, "Nothing: governance is done in the open.")
        : [
            element("p", {}, "Hidden from everybody but payer and payee, every bank included:"),
            element("ul", { class: "points" }, hidden.map((words) => element("li", {}, words))),
            element(
              "p",
              { class: "quiet small" },
              "Not hidden: when it came, and with which bank's client certificate.",
            ),
          ],
    ),
  );
}

function proofPart({ proof, status }, page) {
  const chainOf = () => page.context.store.hello?.chain_id;
  if (proof) return proofPanel({ id: page.id, proof, chainOf });
  if (status.state !== "sealed") return [];
  return element(
    "div",
    { class: "notice", data: { tone: "bad" } },
    element("p", { class: "notice-head" }, "There is no proof that holds"),
    element("p", {}, status.why ?? "No bank that answers gave one."),
  );
}
