// Breaking banks on purpose, after a confirmation, and mending them.

import { definitions } from "./components/definitions.js";
import { confirmDialog } from "./components/dialog.js";
import { bankLink, element, fill, patch, setText } from "./components/element.js";
import { emptyNotice, failureNotice, loginPath } from "./components/notice.js";
import { askAgainAndAgain } from "./components/polling.js";
import { prose } from "./components/prose.js";
import { quorumTone, toneBadge } from "./components/state.js";
import { faultForm } from "./fault_form.js";
import { REMEDIES } from "./fault_kinds.js";
import { age, capital } from "./format.js";

const ASK_EVERY_MS = 2_000;

export function render(root, context) {
  context.setTitle("Faults");
  const page = { context, answer: null, busy: false };
  const places = {
    access: element("div", { class: "fault-access" }),
    quorum: element("p", { class: "fault-quorum" }),
    outcome: element("div", { class: "fault-outcome", role: "status" }),
    present: element("ul", { class: "fault-list" }),
    healAll: element("button", { class: "quiet-button", type: "button" }, "Heal everything"),
  };
  const form = faultForm((request) => confirmFault(page, places, request, redraw));
  const redraw = () => draw(page, places, form);
  places.healAll.addEventListener("click", () => healAll(page, places, redraw));
  fill(
    root,
    element("h1", {}, "Faults"),
    element(
      "p",
      { class: "lead" },
      "Break a bank and watch the others carry on. The same as ",
      element("code", {}, "consortium fault"),
      "; everything here can be mended.",
    ),
    places.access,
    places.quorum,
    element(
      "div",
      { class: "fault-columns" },
      element(
        "section",
        { class: "panel card fault-break", "aria-label": "Break" },
        element("h2", {}, "Break"),
        form.node,
      ),
      presentPart(places),
    ),
  );
  const asking = askAgainAndAgain(() => ask(page, redraw), ASK_EVERY_MS);
  redraw();
  const update = (change) => {
    if (change === "session" || (change === "hello" && !page.answer)) asking.now();
    if (change !== "sample" && change !== "block") redraw();
  };
  return { update, destroy: asking.stop };
}

function presentPart({ outcome, present, healAll: button }) {
  const head = element("div", { class: "panel-head" }, element("h2", {}, "Broken now"), button);
  const attributes = { class: "panel fault-present", "aria-label": "Broken now" };
  return element("section", attributes, head, outcome, present);
}

/** One question for what is broken; visitors are not answered, so nothing is asked for them. */
async function ask(page, redraw) {
  if (!page.context.store.session.operator || page.busy) return true;
  try {
    page.answer = await page.context.fetchJson("/api/faults");
    page.failure = null;
  } catch (failure) {
    if (failure.name === "AbortError") return false;
    page.failure = failure;
  }
  redraw();
  return true;
}

/** Why nothing can be broken from here, or "". */
function refusal({ answer, failure, context }) {
  const { hello, session } = context.store;
  if (hello && !hello.faults_allowed) {
    return "This server was started so that it breaks nothing (--no-faults).";
  }
  if (answer && !answer.allowed) return "The banks' configuration does not allow faults.";
  if (!session.operator) return "Only operators may break banks, and you are not logged in.";
  return failure ? failure.message : "";
}

function draw(page, places, form) {
  const { store } = page.context;
  const why = refusal(page);
  drawAccess(places.access, why, store.session);
  const quorum = store.overview?.quorum;
  const words = quorum && toneBadge(quorumTone(quorum), quorum.words);
  patch(places.quorum, words ?? "\u00a0");
  form.update({
    banks: store.hello?.banks ?? [],
    kinds: page.answer?.kinds ?? [],
    styles: page.answer?.styles ?? [],
    enabled: !why && page.answer !== null && !page.busy,
  });
  drawPresent(page, places, !why && !page.busy);
}

function drawAccess(place, why, session) {
  if (!why) return fill(place);
  const login = !session.operator && element("a", { href: loginPath() }, "Log in");
  return patch(
    place,
    element(
      "div",
      { class: "notice", data: { tone: "warn" } },
      element("p", {}, why, " ", login),
    ),
  );
}

function drawPresent(page, places, enabled) {
  const faults = page.answer?.faults ?? [];
  places.healAll.disabled = !enabled || faults.length === 0;
  if (!faults.length) {
    const words = page.answer ? "Nothing is broken." : "Not known.";
    patch(places.present, element("li", {}, emptyNotice(words)));
    return;
  }
  const redraw = () => drawPresent(page, places, true);
  const items = faults.map((fault) => presentItem(page, places, fault, enabled, redraw));
  // Ages change each time; focus must not be lost with them, so items are matched by what they are.
  const focused = document.activeElement?.dataset?.fault;
  fill(places.present, items);
  const again = items.find((item) => item.dataset.key === focused);
  again?.querySelector("button")?.focus();
}

function presentItem(page, places, fault, enabled, redraw) {
  const remedy = REMEDIES[fault.kind];
  const key = `${fault.bank} ${fault.kind} ${fault.text}`;
  const button =
    remedy &&
    element(
      "button",
      { class: "quiet-button", type: "button", disabled: !enabled, data: { fault: key } },
      remedy.words,
      element("span", { class: "visually-hidden" }, ` ${fault.name}`),
    );
  button?.addEventListener("click", () =>
    send(page, places, { kind: remedy.kind, bank: fault.bank }, redraw),
  );
  const words = fault.text && fault.text !== fault.kind ? fault.text : "";
  return element(
    "li",
    { class: "fault-item", data: { key } },
    element(
      "div",
      {},
      element("p", {}, bankLink(fault.bank, fault.name), " ", toneBadge("warn", fault.kind)),
      words && element("p", { class: "quiet" }, words),
      remedy === null && rebuildWords(fault),
    ),
    element("span", { class: "quiet" }, fault.age_ms ? age(fault.age_ms) : ""),
    button,
  );
}

function rebuildWords({ name }) {
  const command = element("code", {}, `consortium node rebuild ${name}`);
  return element("p", { class: "quiet" }, command, " repairs it");
}

async function healAll(page, places, redraw) {
  const sure = await confirmDialog({
    title: "Heal everything?",
    words: ["Every fault of every bank ends, and what was killed is started again."],
    action: "Heal everything",
  });
  if (sure) await send(page, places, { kind: "heal", bank: "all" }, redraw);
}

async function confirmFault(page, places, { request, act, effect, facts, loses }, redraw) {
  const forecast = loses && forecastOf(page.context.store, request.bank);
  const sure = await confirmDialog({
    title: `${act}?`,
    words: [effect, definitions(facts, { dense: true }), forecast],
    action: act,
    tone: "bad",
  });
  if (sure) await send(page, places, request, redraw);
}

/** What becomes of the quorum when this bank's vote is missing. */
function forecastOf({ overview }, bank) {
  const quorum = overview?.quorum;
  const row = overview?.banks.find((item) => item.bank === bank);
  if (!quorum || !row) return null;
  if (row.state !== "up") return "It does not vote now anyway.";
  const left = quorum.votes_possible - 1;
  const halts = left < quorum.quorum;
  const outcome = halts
    ? "nothing is sealed any more until it is mended. Nothing is lost either."
    : "the ledger goes on.";
  const words = `${left} of ${quorum.banks} can vote then, ${quorum.quorum} needed: ${outcome}`;
  return element("p", { class: "notice", data: { tone: halts ? "bad" : "neutral" } }, words);
}

async function send(page, places, request, redraw) {
  page.busy = true;
  setText(places.outcome, "");
  redraw();
  try {
    const answer = await page.context.postJson("/api/faults", request);
    page.answer = { ...page.answer, faults: answer.faults ?? [] };
    fill(places.outcome, element("p", {}, prose(capital(answer.text))));
  } catch (failure) {
    fill(places.outcome, failureNotice(failure));
  }
  page.busy = false;
  redraw();
  places.outcome.scrollIntoView({ block: "nearest" });
}
