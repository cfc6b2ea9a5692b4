// The operator's page: the shell, the router and the live data that all pages share.
//
// A PAGE is a module named in ROUTES. It exports
//
//   render(root, context) -> { update?(change), destroy?() }   or nothing
//
// `root` is an empty element inside <main>; the page fills it at once (a heading, and a notice
// while it loads: `components/notice.js`) and never touches anything outside of it. `context` is
//
//   parameters   from the path: {height}, {id}, {index}; decoded texts, not yet checked
//   query        URLSearchParams of the address
//   store        what is known now (`live.js`): connection, hello, overview, blocks, samples,
//                session. Read only; hello and overview are null until they arrive
//   signal       aborted when the page is left; pass it to fetchJson
//   fetchJson(path)           GET, throws RequestFailed {status, code, message, next} (`api.js`)
//   postJson(path, body)      POST with the session's token, throws the same
//   navigate(path)            go to another page of ours; ordinary <a href="/..."> do it too
//   setTitle(text)            "Block 42": the tab says "Block 42 · Consortium"
//   announce(text)            says it to screen readers, politely; for what changed by itself
//   reconnect()               opens the event stream anew (after login and logout)
//   renewSession()            asks whose session this is
//
// `update(change)` is called after each change of the store, change being "hello", "overview",
// "block", "sample", "connection" or "session". `destroy()` is called when the page is left: end
// timers there. A page has exactly one <h1>; it is focused when the reader navigates.
//
// Make elements with `components/element.js` (text nodes and attributes only, never markup), words
// for numbers with `format.js`, and colours, sizes and spaces with the tokens of `app.css`. There
// is no inline script or style: the content security policy is default-src 'self'. Styles set by
// code go through classes, SVG attributes or node.style.

import { fetchJson, postJson } from "./api.js";
import { element, fill, focusHeading, setText } from "./components/element.js";
import { failureNotice, loginPath } from "./components/notice.js";
import { LiveStream, emptyStore } from "./live.js";
import { drawShell, learnSession, startShell } from "./shell.js";

const ROUTES = [
  { path: /^\/$/, section: "overview", module: "./overview.js" },
  { path: /^\/blocks$/, section: "blocks", module: "./blocks.js" },
  { path: /^\/blocks\/(?<height>[^/]+)$/, section: "blocks", module: "./block.js" },
  { path: /^\/transactions\/(?<id>[^/]+)$/, section: "blocks", module: "./transaction.js" },
  { path: /^\/banks\/(?<index>[^/]+)$/, section: "overview", module: "./bank.js" },
  { path: /^\/treasury$/, section: "treasury", module: "./treasury.js" },
  { path: /^\/faults$/, section: "faults", module: "./faults.js" },
  { path: /^\/login$/, section: "login", module: "./login.js" },
];
const NOT_FOUND = { section: "", module: "./missing.js" };

const store = emptyStore();
const main = document.getElementById("main");
const announcer = document.getElementById("announcer");
const stream = new LiveStream(store, changed);

/** The page that is shown: {page, leave: AbortController, path}. */
let shown = { page: {}, leave: new AbortController(), path: null };

export const shell = {
  store,
  navigate,
  announce: (text) => setText(announcer, text),
  reconnect: () => stream.open(),
  renewSession: () => learnSession(store, changed),
  setTitle: (text) => {
    document.title = text ? `${text} · Consortium` : "Consortium";
  },
  postJson: (path, body) => postJson(path, body, store.session.csrf),
};

/** Go to a page of ours. */
function navigate(path, { replace = false } = {}) {
  if (replace) history.replaceState(null, "", path);
  else history.pushState(null, "", path);
  window.scrollTo(0, 0);
  return show({ focus: true });
}

async function show({ focus }) {
  leaveShown();
  const leave = new AbortController();
  const path = location.pathname;
  shown = { page: {}, leave, path };
  const { route, parameters } = match(path);
  drawShell(store, { section: route.section, page: pageName(route) });
  // Who comes to log in may be told nothing yet; logging in opens the stream.
  if (route.section !== "login" && stream.opened === 0) stream.open();
  try {
    const module = await import(route.module);
    if (leave.signal.aborted) return;
    const root = element("div", { class: "page", data: { page: pageName(route) } });
    const query = new URLSearchParams(location.search);
    const ask = (address) => fetchJson(address, leave.signal);
    const context = { ...shell, parameters, query, signal: leave.signal, fetchJson: ask };
    fill(main, root);
    shown.page = module.render(root, context) ?? {};
  } catch (failure) {
    if (!leave.signal.aborted) fill(main, failureNotice(failure));
    console.error(failure);
  }
  if (focus && !leave.signal.aborted && !focusHeading(main)) main.focus({ preventScroll: true });
}

/** "./bank.js" -> "bank". */
function pageName({ module }) {
  return module.slice(2, -3);
}

function leaveShown() {
  shown.leave.abort();
  shown.page.destroy?.();
}

function match(path) {
  for (const route of ROUTES) {
    const found = route.path.exec(path.length > 1 ? path.replace(/\/$/, "") : path);
    if (found) return { route, parameters: decoded(found.groups ?? {}) };
  }
  return { route: NOT_FOUND, parameters: {} };
}

function decoded(groups) {
  return Object.fromEntries(
    Object.entries(groups).map(([name, text]) => {
      try {
        return [name, decodeURIComponent(text)];
      } catch {
        return [name, text];
      }
    }),
  );
}

function changed(change) {
  drawShell(store, { change });
  shown.page.update?.(change);
  const refused = change === "connection" && store.connection === "refused";
  if (refused && location.pathname !== "/login") navigate(loginPath(), { replace: true });
}

/** Links to pages of ours change the page without loading it anew. */
function followLink(event) {
  const modified = event.metaKey || event.ctrlKey || event.shiftKey || event.altKey;
  if (event.defaultPrevented || event.button !== 0 || modified) return;
  const anchor = event.target.closest?.("a[href]");
  if (!anchor || anchor.hasAttribute("target") || anchor.hasAttribute("download")) return;
  const address = new URL(anchor.getAttribute("href"), location.href);
  const { origin, pathname, search, hash } = address;
  if (origin !== location.origin || /^\/(static|api)\//.test(pathname)) return;
  if (hash && pathname === location.pathname && search === location.search) return;
  event.preventDefault();
  navigate(pathname + search + hash);
}

document.addEventListener("click", followLink);
window.addEventListener("popstate", () => {
  if (location.pathname !== shown.path) show({ focus: true });
});
startShell(shell, changed);
show({ focus: false });
