// What surrounds every page: the menu, the connection, the session, the theme, the status line.

import { fetchJson, postJson } from "./api.js";
import { fill, setAttribute, setText } from "./components/element.js";
import { clock, integer, list } from "./format.js";
import { quorumTone } from "./components/state.js";

const CONNECTION_WORDS = {
  idle: "",
  connecting: "Connecting",
  live: "Live",
  lost: "Connection lost, retrying",
  refused: "Log in to see it live",
};
const THEMES = ["system", "light", "dark"];
const THEME_WORDS = { system: "as the system", light: "light", dark: "dark" };

const part = (id) => document.getElementById(id);
let said = { connection: "", verdict: null, alarmMs: null };

/** Bind the shell's own controls, and learn whose session this is. */
export function startShell(shell, changed) {
  drawTheme();
  part("theme-button").addEventListener("click", nextTheme);
  document.addEventListener("keydown", (event) => focusSearch(event));
  part("session-link").addEventListener("click", (event) => endSession(event, shell, changed));
  import("./search.js").then(
    (search) => search.attachSearch(part("search"), shell),
    (failure) => console.error(failure),
  );
  learnSession(shell.store, changed);
}

/** Ask whose session this is; the page is readable without. */
export async function learnSession(store, changed) {
  try {
    store.session = { ...store.session, ...(await fetchJson("/api/session")) };
    changed("session");
  } catch (failure) {
    if (failure.status !== 0) console.error(failure);
  }
}

/** Draw what depends on the store; `section` and `page` when another page is shown. */
export function drawShell(store, { section, page, change }) {
  if (section !== undefined) drawMenu(section, page);
  if (change === "connection" || change === undefined) drawConnection(store);
  if (change === "connection") drawStatusLine(store);
  if (change !== "sample" && change !== "block") {
    drawStatusLine(store);
    drawIdentity(store);
  }
}

/** Words for what changed by itself, once each; "" when nothing did. */
export function newsOf(store) {
  const words = [];
  const verdict = store.overview?.quorum?.words ?? null;
  if (verdict !== null && said.verdict !== null && verdict !== said.verdict) words.push(verdict);
  const alarms = store.overview?.alarms ?? [];
  const newestMs = alarms[0]?.at_ms ?? 0;
  if (said.alarmMs !== null && newestMs > said.alarmMs) {
    words.push(`${alarms[0].name}: ${alarms[0].text}`);
  }
  said = { ...said, verdict, alarmMs: store.overview ? newestMs : said.alarmMs };
  return words.join(". ");
}

function drawMenu(section, page) {
  document.body.dataset.page = page;
  for (const anchor of document.querySelectorAll(".menu a")) {
    const here = anchor.dataset.section === section;
    setAttribute(anchor, "aria-current", here ? "page" : null);
  }
}

function drawConnection(store) {
  const place = part("connection");
  place.dataset.state = store.connection;
  document.body.dataset.connection = store.connection;
  const words = CONNECTION_WORDS[store.connection];
  setText(place.querySelector(".connection-words"), words);
  if (words !== said.connection && (said.connection === "Live" || store.connection !== "live")) {
    if (store.connection !== "connecting") setText(part("announcer"), words);
  }
  said.connection = words;
}

function drawStatusLine(store) {
  const line = part("status-line");
  const quorum = store.overview?.quorum;
  if (!quorum) return;
  if (store.connection === "lost") {
    line.dataset.tone = "warn";
    setText(line, `Connection lost, retrying. What is shown is of ${clock(store.overview.at_ms)}.`);
    return;
  }
  const tone = quorumTone(quorum);
  line.dataset.tone = tone;
  const missing = quorum.missing?.length ? ` Missing: ${list(quorum.missing)}.` : "";
  setText(line, `Height ${integer(store.overview.height)}. ${quorum.words}.${missing}`);
  const news = newsOf(store);
  if (news) setText(part("announcer"), news);
}

function drawIdentity(store) {
  const { hello, session } = store;
  const name = hello?.consortium ?? "";
  setText(part("consortium-name"), name.toLowerCase() === "consortium" ? "" : name);
  const words = session.operator ? "Log out" : "Log in";
  setText(part("session-link"), words);
  if (hello) {
    const chain = `Chain ${hello.chain_id}`;
    fill(part("footer"), `${chain} · version ${hello.software_version}`);
  }
}

async function endSession(event, shell, changed) {
  if (!shell.store.session.operator) return;
  event.preventDefault();
  try {
    await postJson("/api/logout", {}, shell.store.session.csrf);
  } catch (failure) {
    shell.announce(failure.message);
    return;
  }
  shell.store.session = { operator: false, csrf: null, name: null };
  shell.announce("You are logged out");
  changed("session");
  shell.reconnect();
}

/** "/" goes to the search, as on many pages of this kind. */
function focusSearch(event) {
  const typing = event.target.closest?.("input, textarea, select, dialog");
  if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  part("search-text").focus();
}

function theme() {
  return document.documentElement.dataset.theme ?? "system";
}

function nextTheme() {
  const next = THEMES[(THEMES.indexOf(theme()) + 1) % THEMES.length];
  if (next === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = next;
  try {
    if (next === "system") localStorage.removeItem("theme");
    else localStorage.setItem("theme", next);
  } catch {
    // Storage may be forbidden; the choice then lasts as long as the page.
  }
  drawTheme();
}

function drawTheme() {
  const words = `Colours: ${THEME_WORDS[theme()]}`;
  setText(part("theme-words"), words);
  part("theme-button").title = words;
}
