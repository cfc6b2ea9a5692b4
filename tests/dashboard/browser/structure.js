// What a page's structure lacks for keyboards and screen readers, a line each; nothing if it is
// whole: one main landmark, one first heading, no skipped level, unique ids, a name for every
// control, header cells in every table, references that lead somewhere.
() => {
  const lacks = [];
  const count = (selector) => document.querySelectorAll(selector).length;
  const shown = (node) => node.checkVisibility({ visibilityProperty: true });

  if (!document.documentElement.lang) lacks.push("the document says no language");
  if (!document.title) lacks.push("the document has no title");
  if (count("main") !== 1) lacks.push(`${count("main")} main landmarks`);
  if (count("h1") !== 1) lacks.push(`${count("h1")} first headings`);

  let level = 0;
  for (const heading of document.querySelectorAll("h1, h2, h3, h4, h5, h6")) {
    if (!shown(heading) || heading.closest("dialog:not([open])")) continue;
    const next = Number(heading.localName[1]);
    if (next > level + 1) lacks.push(`"${heading.textContent}" is ${next} below ${level}`);
    level = next;
  }

  const ids = Array.from(document.querySelectorAll("[id]"), (node) => node.id);
  for (const id of new Set(ids.filter((one, place) => ids.indexOf(one) !== place))) {
    lacks.push(`the id ${id} is there more than once`);
  }
  for (const name of ["aria-labelledby", "aria-describedby", "aria-controls"]) {
    for (const node of document.querySelectorAll(`[${name}]`)) {
      for (const id of node.getAttribute(name).split(/\s+/)) {
        if (!document.getElementById(id)) lacks.push(`${name}="${id}" leads nowhere`);
      }
    }
  }

  function labelOf(node) {
    const labelled = (node.getAttribute("aria-labelledby") ?? "").split(/\s+/).filter(Boolean);
    return [
      node.getAttribute("aria-label"),
      ...labelled.map((id) => document.getElementById(id)?.textContent),
      ...Array.from(node.labels ?? [], (label) => label.textContent),
      node.getAttribute("title"),
    ].find((text) => text?.trim());
  }
  const nameOf = (node) => labelOf(node) || node.textContent.trim();
  const controls = "a[href], button, input, select, textarea, summary, [role=button], [role=img]";
  for (const node of document.querySelectorAll(`${controls}, [tabindex="0"]`)) {
    if (shown(node) && !nameOf(node)) lacks.push(`no name: ${node.outerHTML.slice(0, 100)}`);
  }

  for (const table of document.querySelectorAll("table")) {
    if (!table.querySelector("th")) lacks.push(`no header cells: ${table.outerHTML.slice(0, 60)}`);
    if (!table.caption && !labelOf(table)) lacks.push("a table without a name");
  }
  for (const picture of document.querySelectorAll("svg")) {
    const silent = picture.closest("[aria-hidden=true], [role=img], [role=graphics-document]");
    const named = picture.hasAttribute("aria-label") || picture.hasAttribute("aria-labelledby");
    if (!silent && !named && !picture.querySelector("title")) {
      lacks.push(`a drawing neither named nor hidden: ${picture.outerHTML.slice(0, 80)}`);
    }
  }
  return lacks;
};
