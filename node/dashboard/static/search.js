// The search in the header: a height, an id or a bank's name, answered by a page or in words.

import { RequestFailed, fetchJson } from "./api.js";
import { setText } from "./components/element.js";

const MAX_CHARACTERS = 200;

/** Bind the form of the shell. */
export function attachSearch(form, shell) {
  const input = form.querySelector("input");
  const answer = form.querySelector("#search-answer");
  const clear = () => setText(answer, "");
  input.addEventListener("input", clear);
  input.addEventListener("blur", clear);
  input.addEventListener("keydown", (event) => {
    if (event.key === "Escape") clear();
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const found = await find(input.value);
    setText(answer, found.path ? "" : found.why);
    input.setAttribute("aria-invalid", found.path ? "false" : "true");
    if (found.path) go(found.path, input, shell);
  });
}

/** {path, why}: where it is, or why it is nowhere. */
export async function find(text) {
  const wanted = text.trim();
  if (wanted === "") return { path: null, why: "Type a height, an id or the name of a bank." };
  if (wanted.length > MAX_CHARACTERS) return { path: null, why: "That is too long for any id." };
  try {
    const { kind, path, why } = await fetchJson(`/api/search?q=${encodeURIComponent(wanted)}`);
    return kind === "none" ? { path: null, why: why || "Nothing has this name." } : { path, why };
  } catch (failure) {
    if (!(failure instanceof RequestFailed)) throw failure;
    return { path: null, why: [failure.message, failure.next].filter(Boolean).join(". ") };
  }
}

function go(path, input, shell) {
  input.value = "";
  input.blur();
  shell.navigate(path);
}
