// An id that is shown short, read whole and copied with one press.

import { element, link } from "./element.js";
import { shortId } from "../format.js";

const SHOWN_MS = 1_500;

/** The id, linked if a path is given; `whole` shows every digit. */
export function copyId(hex, { path = null, whole = false, what = "id" } = {}) {
  const text = element("code", { class: "id", title: hex }, whole ? hex : shortId(hex));
  const words = element("span", { class: "visually-hidden" }, `Copy the ${what}`);
  const button = element(
    "button",
    { class: "copy-button", type: "button", title: `Copy the ${what}` },
    element("span", { class: "copy-mark", "aria-hidden": "true" }),
    words,
  );
  button.addEventListener("click", () => copy(hex, button, words, what));
  return element("span", { class: "copy-id" }, path ? link(path, text) : text, hex && button);
}

async function copy(hex, button, words, what) {
  const done = await write(hex);
  button.dataset.done = done ? "yes" : "no";
  words.textContent = done ? "Copied" : `The browser refused to copy the ${what}`;
  setTimeout(() => {
    delete button.dataset.done;
    words.textContent = `Copy the ${what}`;
  }, SHOWN_MS);
}

/** The clipboard interface exists in secure contexts only; a selection copies anywhere. */
async function write(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = element("textarea", { class: "visually-hidden", readonly: true }, text);
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}
