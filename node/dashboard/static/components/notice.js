// Words where there is nothing else to show: loading, empty, failed.

import { capital } from "../format.js";
import { element, fill } from "./element.js";
import { prose } from "./prose.js";

export function loadingNotice(words = "Loading") {
  return element("p", { class: "notice", data: { tone: "quiet" } }, `${words} …`);
}

export function emptyNotice(words) {
  return element("p", { class: "notice", data: { tone: "quiet" } }, words);
}

/** What failed and what to do; a RequestFailed or any other error. */
export function failureNotice(failure) {
  const refused = failure.status === 401 || failure.status === 403;
  return element(
    "div",
    { class: "notice", role: "alert", data: { tone: "bad" } },
    element("p", { class: "notice-head" }, sentence(failure.message || failure)),
    failure.next && element("p", {}, sentence(failure.next)),
    refused && element("p", {}, element("a", { href: loginPath() }, "Log in")),
  );
}

/** The server's words begin small, as those of the command line do. */
function sentence(words) {
  return prose(capital(String(words)));
}

/** Show `root` loading, then what `draw(answer)` makes of the promise, or why it failed. */
export async function load(root, promise, draw) {
  fill(root, loadingNotice());
  try {
    fill(root, draw(await promise));
  } catch (failure) {
    if (failure.name === "AbortError") return;
    fill(root, failureNotice(failure));
    if (failure.status === undefined) console.error(failure);
  }
}

/** The login page, which leads back to where the reader was. */
export function loginPath() {
  return `/login?from=${encodeURIComponent(location.pathname)}`;
}
