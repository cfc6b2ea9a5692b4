// The page for an address that no page has.

import { element, fill, link } from "./components/element.js";

export function render(root, context) {
  context.setTitle("Not found");
  fill(
    root,
    element("h1", {}, "There is no such page"),
    element("p", {}, "Go to the ", link("/", "overview"), " or search for a height or an id."),
  );
}
