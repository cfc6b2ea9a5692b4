// Words where there is nothing else to show: loading, empty, failed.

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
    element("p", { class: "notice-head" }, prose(failure.message || failure)),
    failure.next && element("p", {}, prose(failure.next)),
    refused && element("p", {}, element("a", { href: loginPath() }, "Log in")),
  );
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
