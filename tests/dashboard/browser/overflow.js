// What is wider than the window, unless it lies in a frame that scrolls by itself.
() => {
  const width = document.documentElement.clientWidth;
  const page = document.documentElement.scrollWidth;
  if (page <= width) return [];
  const scrolls = (node) => {
    for (let place = node.parentElement; place && place !== document.body; place = place.parentElement) {
      if (["auto", "scroll", "hidden", "clip"].includes(getComputedStyle(place).overflowX)) return true;
    }
    return false;
  };
  const wide = Array.from(document.body.querySelectorAll("*"))
    .filter((node) => node.getBoundingClientRect().right > width + 0.5 && !scrolls(node))
    .map((node) => {
      const right = Math.round(node.getBoundingClientRect().right);
      return `${node.localName}.${node.getAttribute("class") ?? ""} ends at ${right}`;
    });
  return [`the page is ${page} wide in a window of ${width}`, ...new Set(wide)].slice(0, 12);
};
