// Sentences of the server, in which commands stand between backticks.

import { element } from "./element.js";

/** The text as nodes, each command as code. */
export function prose(text) {
  return String(text ?? "")
    .split("`")
    .map((part, index) => (index % 2 ? element("code", {}, part) : part));
}
