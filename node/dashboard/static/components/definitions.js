// Terms and what they are, in one or more columns.

import { element } from "./element.js";
import { NOTHING } from "../format.js";

/** Rows are [term, value, explanation?]; a value is a node, a text, or nothing. */
export function definitions(rows, { dense = false } = {}) {
  return element(
    "dl",
    { class: "definitions", data: { dense: dense ? "yes" : null } },
    rows.filter(Boolean).map(([term, value, explanation]) =>
      element(
        "div",
        { class: "definition" },
        element("dt", {}, term),
        element("dd", {}, value ?? NOTHING),
        explanation && element("dd", { class: "explanation" }, explanation),
      ),
    ),
  );
}
