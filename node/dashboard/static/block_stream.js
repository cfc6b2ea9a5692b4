// The newest blocks as they are sealed, newest first.

import { element, link, patch } from "./components/element.js";
import { clock, count, integer } from "./format.js";

const SHOWN = 9;

/** Returns {node, update(store)}. */
export function blockStream() {
  const node = element("ol", { class: "stream" });
  let newest = null;
  return {
    node,
    update: (store) => {
      const banks = store.hello?.banks ?? [];
      const blocks = store.blocks.slice(0, SHOWN);
      const fullest = Math.max(1, ...blocks.map((block) => block.transactions));
      const items = blocks.map((block) => {
        const fresh = newest !== null && block.height > newest;
        return streamItem(block, banks, fullest, fresh);
      });
      patch(node, items.length ? items : element("li", { class: "quiet" }, "No block yet"));
      if (blocks.length) newest = blocks[0].height;
    },
  };
}

function streamItem(block, banks, fullest, fresh) {
  const proposer = banks[block.proposer]?.name ?? `bank ${block.proposer}`;
  const bar = element("meter", { min: 0, max: fullest, value: block.transactions });
  bar.setAttribute("aria-hidden", "true");
  return element(
    "li",
    { class: "stream-item", data: { fresh: fresh ? "yes" : null } },
    link(`/blocks/${block.height}`, integer(block.height)),
    element("span", { class: "stream-bar" }, bar),
    element("span", { class: "stream-count" }, count(block.transactions, "transaction")),
    element("span", { class: "stream-who" }, proposer),
    element("time", { class: "quiet" }, clock(block.time_ms)),
    block.evidence > 0 && element("span", { class: "stream-evidence" }, "evidence"),
  );
}
