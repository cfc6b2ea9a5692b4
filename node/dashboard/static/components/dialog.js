// A question that must be answered before something is done. Escape says no.

import { element } from "./element.js";

/**
 * Resolves to whether the reader agreed. `words` is what the dialog says: paragraphs, nodes; `tone`
 * "bad" colours the action.
 */
export function confirmDialog({ title, words, action, tone = null }) {
  const cancel = element("button", { class: "quiet-button", value: "no" }, "Cancel");
  const agree = element("button", { class: "button", value: "yes", data: { tone } }, action);
  const content = words
    .filter(Boolean)
    .map((one) => (one instanceof Node ? one : element("p", {}, one)));
  const form = element("form", { method: "dialog" }, element("h2", { id: "dialog-title" }, title));
  form.append(...content, element("div", { class: "dialog-actions" }, cancel, agree));
  const dialog = element("dialog", { class: "dialog", "aria-labelledby": "dialog-title" }, form);
  const before = document.activeElement;
  document.body.append(dialog);
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      before?.focus?.();
      resolve(dialog.returnValue === "yes");
    });
    dialog.addEventListener("click", (event) => {
      if (event.target === dialog) dialog.close("no");
    });
    dialog.showModal();
    cancel.focus();
  });
}
