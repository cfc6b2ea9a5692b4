// Every text that a page shows, with the contrast of WCAG 2.2 (1.4.3) between it and what is
// painted behind it. Returns {texts: how many were measured, poor: [those below their limit]}.
//
// Behind a text is whatever the browser finds at its middle, from the text's own element downward:
// backgrounds of HTML and fills of SVG, mixed as far as they are translucent. The whole page must
// be in the window.
() => {
  const NORMAL = 4.5;
  const LARGE = 3;
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 1;
  const brush = canvas.getContext("2d", { willReadFrequently: true });
  const seen = new Map();

  /** Any colour of CSS as [red, green, blue, alpha] from 0 to 1. */
  function colour(text) {
    if (!seen.has(text)) {
      brush.clearRect(0, 0, 1, 1);
      brush.fillStyle = "#000";
      brush.fillStyle = text;
      brush.fillRect(0, 0, 1, 1);
      const bytes = brush.getImageData(0, 0, 1, 1).data;
      seen.set(text, Array.from(bytes, (byte) => byte / 255));
    }
    return seen.get(text);
  }

  function over(front, back) {
    const alpha = front[3] + back[3] * (1 - front[3]);
    if (alpha === 0) return [0, 0, 0, 0];
    const mixed = [0, 1, 2].map(
      (i) => (front[i] * front[3] + back[i] * back[3] * (1 - front[3])) / alpha,
    );
    return [...mixed, alpha];
  }

  function luminance(rgb) {
    const [red, green, blue] = rgb
      .slice(0, 3)
      .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  }

  function contrast(one, other) {
    const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  }

  function opacity(node) {
    let product = 1;
    for (let place = node; place instanceof Element; place = place.parentElement) {
      product *= Number(getComputedStyle(place).opacity);
    }
    return product;
  }

  const isDrawing = (node) => node instanceof SVGElement && !(node instanceof SVGSVGElement);

  /** What an element paints behind what lies above it. */
  function paint(node) {
    const style = getComputedStyle(node);
    let found = colour(style.backgroundColor);
    if (isDrawing(node)) {
      const shapes = "rect, circle, ellipse, path, polygon";
      const drawn = node.matches(shapes) && style.fill !== "none" && !style.fill.startsWith("url");
      found = drawn ? [...colour(style.fill)] : [0, 0, 0, 0];
      found[3] *= Number(style.fillOpacity);
    }
    return [found[0], found[1], found[2], found[3] * opacity(node)];
  }

  function behind(node, x, y) {
    const stack = document.elementsFromPoint(x, y);
    const place = stack.findIndex((item) => item === node || node.contains(item));
    if (place < 0) return null;
    let mixed = [0, 0, 0, 0];
    for (const item of stack.slice(place)) {
      mixed = over(mixed, isDrawing(node) && item === node ? [0, 0, 0, 0] : paint(item));
      if (mixed[3] > 0.999) return mixed;
    }
    return over(mixed, [1, 1, 1, 1]);
  }

  function limit(style) {
    const size = parseFloat(style.fontSize);
    const bold = Number(style.fontWeight) >= 700;
    return size >= 24 || (bold && size >= 18.66) ? LARGE : NORMAL;
  }

  function isShown(node) {
    const style = getComputedStyle(node);
    const visible = style.visibility === "visible" && style.clipPath === "none";
    // A text cut down to a pixel is for screen readers; a disabled control is exempt.
    const box = node.getBoundingClientRect();
    const clipped = style.overflow === "hidden" && box.width <= 2 && box.height <= 2;
    return visible && !clipped && !node.closest(":disabled, [aria-disabled=true]");
  }

  function texts() {
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const found = [];
    while (walker.nextNode()) {
      const words = walker.currentNode.textContent.trim();
      const node = walker.currentNode.parentElement;
      if (!words || node.closest("script, style, noscript, title, option") || !isShown(node)) {
        continue;
      }
      const range = document.createRange();
      range.selectNodeContents(walker.currentNode);
      const box = Array.from(range.getClientRects()).find((one) => one.width > 1 && one.height > 1);
      if (box) found.push({ node, words, box });
    }
    for (const node of document.querySelectorAll("input, select, textarea")) {
      const box = node.getBoundingClientRect();
      if (isShown(node) && box.width > 2) found.push({ node, words: node.value || "input", box });
    }
    return found;
  }

  const everything = new CSSStyleSheet();
  everything.replaceSync("* { pointer-events: auto !important; }");
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, everything];
  const poor = [];
  let measured = 0;
  for (const { node, words, box } of texts()) {
    const style = getComputedStyle(node);
    const back = behind(node, box.left + box.width / 2, box.top + box.height / 2);
    if (back === null) continue;
    const ink = [...colour(node instanceof SVGElement ? style.fill : style.color)];
    ink[3] *= opacity(node);
    const ratio = contrast(over(ink, back), back);
    measured += 1;
    if (ratio < limit(style) - 0.005) {
      const kind = node.getAttribute("class") ?? "";
      poor.push(`${node.localName}.${kind} "${words.slice(0, 40)}": ${ratio.toFixed(2)}`);
    }
  }
  document.adoptedStyleSheets = document.adoptedStyleSheets.filter((one) => one !== everything);
  return { texts: measured, poor: [...new Set(poor)] };
};
