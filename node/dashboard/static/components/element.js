// Elements made in code. Data reaches the document only as text nodes and attribute values, never
// as markup: there is no innerHTML in this page.

const SVG = "http://www.w3.org/2000/svg";

/**
 * An HTML element. Attributes: `on: {click: f}` adds listeners, `data: {tone: "bad"}` data
 * attributes, true sets an attribute without value; null, undefined and false leave it out.
 * Children: nodes, texts, numbers, or lists of these; null, undefined and false are left out.
 */
export function element(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

/** The same for SVG. */
export function vector(name, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, name), attributes, children);
}

/** Replace everything inside; a reader who was at the heading stays at the heading. */
export function fill(parent, ...children) {
  const reader = document.activeElement;
  const atHeading = reader?.localName === "h1" && parent.contains(reader);
  parent.replaceChildren(...nodes(children));
  if (atHeading) focusHeading(parent);
  return parent;
}

/** Where a page begins; says whether there is a heading. */
export function focusHeading(parent) {
  const heading = parent.querySelector("h1");
  if (heading) heading.tabIndex = -1;
  heading?.focus({ preventScroll: true });
  return heading !== null;
}

/**
 * Like `fill`, but a child that would look the same stays what it is, with its focus and its
 * selection. For what is drawn every second; listeners of children that stay are the old ones.
 */
export function patch(parent, ...children) {
  const wanted = nodes(children);
  wanted.forEach((child, index) => {
    const there = parent.childNodes[index];
    if (!there) parent.append(child);
    else if (!there.isEqualNode(child)) there.replaceWith(child);
  });
  while (parent.childNodes.length > wanted.length) parent.lastChild.remove();
  return parent;
}

/** Change text only when it differs, so that selections and screen readers stay undisturbed. */
export function setText(node, text) {
  const value = String(text);
  if (node.textContent !== value) node.textContent = value;
}

/** Set an attribute, or remove it for null, undefined and false; nothing happens if it is so. */
export function setAttribute(node, name, value) {
  if (value === null || value === undefined || value === false) {
    if (node.hasAttribute(name)) node.removeAttribute(name);
    return;
  }
  const text = value === true ? "" : String(value);
  if (node.getAttribute(name) !== text) node.setAttribute(name, text);
}

/** A link to a page of ours, or text where there is no path. */
export function link(path, ...children) {
  return path ? element("a", { href: path }, ...children) : element("span", {}, ...children);
}

export function bankLink(bank, name) {
  return link(bank === null || bank === undefined ? null : `/banks/${bank}`, name);
}

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "on") {
      for (const [event, listener] of Object.entries(value)) node.addEventListener(event, listener);
    } else if (name === "data") {
      for (const [key, item] of Object.entries(value)) setAttribute(node, `data-${key}`, item);
    } else {
      setAttribute(node, name, value);
    }
  }
  node.append(...nodes(children));
  return node;
}

function nodes(children) {
  return children
    .flat(Infinity)
    .filter((child) => child !== null && child !== undefined && child !== false)
    .map((child) => (child instanceof Node ? child : document.createTextNode(String(child))));
}
