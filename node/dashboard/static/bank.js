// One bank: what it says of itself, what others see of it, its money and its offences.

import { bankParts } from "./bank_parts.js";
import { bankTables } from "./bank_tables.js";
import { element, fill, link, patch, setText } from "./components/element.js";
import { emptyNotice, failureNotice, loadingNotice, loginPath } from "./components/notice.js";
import { askAgainAndAgain } from "./components/polling.js";
import { prose } from "./components/prose.js";
import { stateBadge, stateOf, toneBadge } from "./components/state.js";
import { NOTHING, age, bytes, integer, known, money } from "./format.js";

/** More rarely than the overview comes: the bank's own report costs it something. */
const ASK_EVERY_MS = 3_000;
const HEALTHY = new Set(["up", "voting", "observer"]);

export function render(root, context) {
  const index = Number(context.parameters.index);
  if (!/^\d{1,4}$/.test(context.parameters.index)) {
    context.setTitle("No such bank");
    fill(root, element("h1", {}, "No such bank"), emptyNotice("Banks have numbers from 0."));
    return {};
  }
  const page = { context, index, answer: null, failure: null, toldMs: null };
  const places = {
    head: element("div", { class: "page-head" }),
    condition: element("div", { class: "bank-condition" }),
    figures: element("dl", { class: "figures" }),
    news: element("p", { class: "quiet small" }),
    parts: element("div", { class: "columns bank-parts" }, loadingNotice("Asking the bank")),
  };
  const tables = bankTables(context);
  fill(root, Object.values(places), tables.node);
  const draw = () => {
    drawHead(places, page);
    if (page.answer) {
      patch(places.parts, bankParts(page.answer, context.store));
      tables.update(page.answer);
    } else if (page.failure) {
      fill(places.parts, failureNotice(page.failure));
    }
  };
  const asking = askAgainAndAgain(() => ask(page, draw), ASK_EVERY_MS);
  draw();
  const update = (change) => {
    if (change === "session") asking.now();
    if (change === "overview" || change === "hello" || change === "session") draw();
  };
  return { update, destroy: asking.stop };
}

/** One question to the bank; returns whether to ask again. */
async function ask(page, draw) {
  try {
    page.answer = await page.context.fetchJson(`/api/banks/${page.index}`);
    page.failure = null;
    page.toldMs = Date.now();
  } catch (failure) {
    if (failure.name === "AbortError") return false;
    page.failure = failure;
  }
  draw();
  return page.failure?.status !== 404;
}

/** The newest row: of the stream, or of the bank's answer before the stream has begun. */
function rowOf({ context, index, answer }) {
  const rows = context.store.overview?.banks;
  return rows?.find((row) => row.bank === index) ?? answer ?? null;
}

function drawHead(places, page) {
  const { context, index, answer } = page;
  const row = rowOf(page);
  const banks = context.store.hello?.banks ?? [];
  const name = row?.name ?? banks[index]?.name ?? `bank ${index}`;
  context.setTitle(name);
  const sector = row?.kind ? `${row.kind} sector` : null;
  const about = [`bank ${index}`, sector, row?.address].filter(Boolean).join(" · ");
  patch(
    places.head,
    element("h1", { tabindex: -1 }, name),
    row && stateBadge(row.state),
    row?.suspicion && toneBadge("bad", "suspect"),
    row && context.store.overview?.leader === index && toneBadge("neutral", "leads now"),
    element("span", { class: "quiet" }, about),
    neighbours(index, banks),
  );
  const refused = answer && !context.store.session.operator && visitorNotice();
  patch(places.condition, row ? conditions(row) : [], refused);
  patch(places.figures, row ? figures(row, page, context.store) : []);
  setText(places.news, news(page));
  places.news.hidden = !news(page);
}

function neighbours(index, banks) {
  if (banks.length < 2) return null;
  const one = (other, words) => link(`/banks/${other}`, `${words} ${banks[other].name}`);
  return element(
    "nav",
    { class: "neighbours", "aria-label": "Other banks" },
    one((index + banks.length - 1) % banks.length, "←"),
    " ",
    one((index + 1) % banks.length, "→"),
  );
}

/** Why it does not vote, why it is suspected, what was broken on purpose. */
function conditions(row) {
  const notice = (tone, head, words) =>
    element(
      "div",
      { class: "notice", data: { tone } },
      element("p", { class: "notice-head" }, prose(head)),
      words && element("p", {}, prose(words)),
    );
  const found = [];
  if (!HEALTHY.has(row.state)) {
    const { tone, meaning } = stateOf(row.state);
    found.push(notice(tone, `It does not vote: ${row.reason || meaning}`, ""));
  }
  if (row.suspicion) found.push(notice("bad", "It may be lying", row.suspicion));
  if (row.faults?.length) {
    found.push(notice("warn", "Broken on purpose", row.faults.join("; ")));
  }
  return found;
}

function visitorNotice() {
  const login = element("a", { href: loginPath() }, "Log in");
  return element(
    "div",
    { class: "notice", role: "alert", data: { tone: "neutral" } },
    element("p", {}, "What the bank reports of itself is told to operators alone. ", login),
  );
}

function figures(row, { answer }, { hello }) {
  const figure = (name, words) =>
    words !== NOTHING &&
    element("div", { class: "figure" }, element("dt", {}, name), element("dd", {}, words));
  const others = hello ? ` of ${hello.bank_count - 1}` : "";
  const linked = [integer(row.peers_linked), element("span", { class: "unit" }, others)];
  const links = known(row.peers_linked) ? element("span", {}, linked) : NOTHING;
  return [
    figure("Height", integer(row.height)),
    figure("Blocks behind", integer(row.lag)),
    figure("Links", links),
    figure("Last seal", age(row.last_seal_age_ms)),
    figure("Waiting", integer(row.mempool)),
    figure("Database", bytes(row.database_bytes)),
    figure("Stake", money(answer?.stake, hello?.asset)),
  ];
}

/** How old what stands below is, when the bank tells nothing new. */
function news({ answer, failure, toldMs, context }) {
  if (!answer || !context.store.session.operator) return "";
  if (failure) return `${failure.message}; below is what was told ${age(Date.now() - toldMs)}.`;
  return answer.report ? "" : "The bank tells nothing; below is what others know of it.";
}
