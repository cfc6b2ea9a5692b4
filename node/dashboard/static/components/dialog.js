// A question that must be answered before something is done. Escape says no.

import { element } from "./element.js";

/**
 * Resolves to whether the reader agreed. `words` are paragraphs, `warning` makes the last of them
 * stand out, `tone` "bad" colours the action.
 */
export function confirmDialog({ title, words, warning = false, action, tone = null }) {
  const cancel = element("button", { class: "quiet-button", value: "no" }, "Cancel");
  const agree = element("button", { class: "button", value: "yes", data: { tone } }, action);
  const paragraphs = words.map((text, place) => {
    const last = warning && place === words.length - 1;
    return element("p", last ? { class: "notice", data: { tone: "bad" } } : {}, text);
  });
  const form = element("form", { method: "dialog" }, element("h2", { id: "dialog-title" }, title));
  form.append(...paragraphs, element("div", { class: "dialog-actions" }, cancel, agree));
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
