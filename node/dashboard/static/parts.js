// Parts of a page that is asked about again and again: a part is drawn anew only when what it is
// drawn from has changed, so that selections, focus and opened folds elsewhere survive.

import { element, fill } from "./components/element.js";

/**
 * `drawings` is {name: draw(data)} in the order of the page; a drawing of nothing hides its part.
 * Returns {nodes, show(data by name)}.
 */
export function parts(drawings) {
  const all = Object.entries(drawings).map(([name, draw]) => {
    const node = element("div", { class: "panel", hidden: true, data: { part: name } });
    return { name, draw, node, drawn: null };
  });
  return {
    nodes: all.map((part) => part.node),
    show: (data) => all.forEach((part) => redraw(part, data[part.name])),
  };
}

function redraw(part, data) {
  const text = JSON.stringify(data);
  if (text === part.drawn) return;
  part.drawn = text;
  fill(part.node, part.draw(data));
  part.node.hidden = part.node.childElementCount === 0;
}
