// Texts that lie over each other, and texts of a drawing that reach out of it. The whole page must
// be in the window.
() => {
  // What is clipped away is for screen readers.
  const clipped = (node) => getComputedStyle(node).clipPath !== "none";
  const shown = (node) =>
    node.checkVisibility({ visibilityProperty: true, opacityProperty: true }) && !clipped(node);

  /** What is left of a box in the frames that cut it off. */
  function visible(node, box) {
    let { left, top, right, bottom } = box;
    for (let place = node; place && place !== document.body; place = place.parentElement) {
      const style = getComputedStyle(place);
      if (style.overflow === "visible" || place instanceof SVGElement) continue;
      const frame = place.getBoundingClientRect();
      [left, right] = [Math.max(left, frame.left), Math.min(right, frame.right)];
      [top, bottom] = [Math.max(top, frame.top), Math.min(bottom, frame.bottom)];
    }
    return { left, top, right, bottom, width: right - left, height: bottom - top };
  }

  const texts = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const words = walker.currentNode.textContent.trim();
    const node = walker.currentNode.parentElement;
    if (!words || node.closest("script, noscript, option, title") || !shown(node)) continue;
    const range = document.createRange();
    range.selectNodeContents(walker.currentNode);
    for (const one of range.getClientRects()) {
      const box = visible(node, one);
      if (box.width > 2 && box.height > 2) texts.push({ node, words, box });
    }
  }

  const wrong = [];
  for (const { node, words, box } of texts) {
    const drawing = node.ownerSVGElement?.getBoundingClientRect();
    if (!drawing) continue;
    const beyond = Math.max(drawing.left - box.left, box.right - drawing.right,
                            drawing.top - box.top, box.bottom - drawing.bottom);
    if (beyond > 1) wrong.push(`"${words}" reaches ${Math.round(beyond)} px out of its drawing`);
  }
  for (const [place, { node, words, box }] of texts.entries()) {
    for (const other of texts.slice(place + 1)) {
      const that = other.box;
      const wide = Math.min(box.right, that.right) - Math.max(box.left, that.left);
      const high = Math.min(box.bottom, that.bottom) - Math.max(box.top, that.top);
      // Boxes of lines reach above and below their letters.
      if (node !== other.node && wide > 1 && high > 0.4 * Math.min(box.height, that.height)) {
        wrong.push(`"${words.slice(0, 40)}" lies over "${other.words.slice(0, 40)}"`);
      }
    }
  }
  return [...new Set(wrong)];
};
