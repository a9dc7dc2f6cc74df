(() => {
  const problems = [];
  const say = (what, element) => problems.push(what + ": " + (element ? element.outerHTML.replace(/\s+/g, " ").slice(0, 160) : ""));
  const all = (selector) => [...document.querySelectorAll(selector)];
  const style = (element) => getComputedStyle(element);
  const shown = (element) => element.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true }) && element.getClientRects().length > 0;

  // name returns the accessible name of an element.
  const name = (element) => {
    const labelled = (element.getAttribute("aria-labelledby") || "").split(" ").map((id) => document.getElementById(id)?.textContent || "").join(" ");
    return (element.getAttribute("aria-label") || labelled || [...(element.labels || [])].map((l) => l.textContent).join(" ") ||
      element.textContent || element.getAttribute("title") || element.getAttribute("alt") || "").trim();
  };

  // The document and its landmarks.
  if (!document.documentElement.lang) say("the page has no language");
  if (!document.title.trim()) say("the page has no title");
  if (!document.querySelector("meta[name=viewport]") || /user-scalable=no|maximum-scale/.test(document.querySelector("meta[name=viewport]").content)) say("the page cannot be enlarged");
  if (all("main").length !== 1) say("there must be one main landmark");
  if (all("h1").length !== 1) say("there must be one heading of the first level");
  let level = 0;
  for (const heading of all("h1, h2, h3, h4, h5, h6").filter(shown)) {
    const next = Number(heading.tagName[1]);
    if (level && next > level + 1) say("a level of headings is left out", heading);
    level = next;
  }
  for (const landmark of all("nav, section[aria-label], aside, form[role=search], [role=region]"))
    if (landmark.matches("nav, aside, [role=region]") && !name(landmark)) say("a landmark has no name", landmark);
  const navs = all("nav").map(name);
  if (new Set(navs).size !== navs.length) say("two navigations have the same name " + navs.join(", "));
  if (document.querySelector("header") && !document.querySelector("a.skip[href='#main']")) say("there is no skip link");

  // Names and labels.
  for (const element of all("a[href], button, summary, input:not([type=hidden]), select, textarea"))
    if (!name(element)) say("a control has no name", element);
  for (const input of all("input:not([type=hidden]), select, textarea"))
    if (!input.labels?.length && !input.getAttribute("aria-label")) say("a field has no label", input);
  for (const image of all("img")) if (!image.hasAttribute("alt")) say("an image has no text", image);
  for (const drawing of all("svg"))
    if (drawing.getAttribute("aria-hidden") !== "true" && !(drawing.getAttribute("role") === "img" && name(drawing))) say("a drawing has no name and is not hidden", drawing);
  for (const header of all("th")) if (!header.scope) say("a heading of a table does not say what it heads", header);
  const ids = all("[id]").map((element) => element.id);
  for (const id of ids.filter((id, i) => ids.indexOf(id) !== i)) say("an id occurs twice: " + id);

  // Focus: in the order of the page, visible, and nothing that scrolls without it.
  for (const element of all("[tabindex]")) if (element.tabIndex > 0) say("the order of focus is changed", element);
  for (const element of all("[aria-hidden=true] a, [aria-hidden=true] button")) say("something hidden can be focused", element);
  for (const element of all("main *")) {
    const scrolls = element.scrollWidth > element.clientWidth + 1 && /auto|scroll/.test(style(element).overflowX);
    if (scrolls && shown(element) && element.tabIndex < 0 && !element.querySelector("a[href], button, input")) say("something scrolls that keys cannot reach", element);
  }
  if (document.documentElement.scrollWidth > WINDOW_WIDTH + 1) say("the page is wider than its window: " + document.documentElement.scrollWidth + " > " + WINDOW_WIDTH);
  for (const panel of all(".panel, .figure, .strip")) {
    const edge = panel.getBoundingClientRect().right;
    for (const element of panel.querySelectorAll("*"))
      if (shown(element) && !element.closest(".scroll, pre, .confirm form, .chartbox, .clip, svg") && element.getBoundingClientRect().right > edge + 1) {
        say("something sticks out of its panel", element);
        break;
      }
  }

  // Contrast, as WCAG 2.2 measures it.
  const canvas = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d", { willReadFrequently: true });
  const seen = new Map();
  const rgba = (colour) => {
    if (!seen.has(colour)) {
      canvas.clearRect(0, 0, 1, 1);
      canvas.fillStyle = colour;
      canvas.fillRect(0, 0, 1, 1);
      const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
      seen.set(colour, [r, g, b, a / 255]);
    }
    return seen.get(colour);
  };
  const over = (top, below) => top.slice(0, 3).map((c, i) => c * top[3] + below[i] * (1 - top[3])).concat(1);
  const ground = (element) => {
    const layers = [];
    for (let e = element; e; e = e.parentElement) {
      const colour = rgba(style(e).backgroundColor);
      if (colour[3] > 0) layers.push(colour);
      if (colour[3] === 1) break;
    }
    return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255, 1]);
  };
  const light = ([r, g, b]) => [r, g, b].map((c) => c / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const checked = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || checked.has(element) || element.closest("svg, option, .skip") || !shown(element)) continue;
    checked.add(element);
    const below = ground(element), s = style(element);
    const ink = over(rgba(s.color), below);
    const [high, low] = [light(ink), light(below)].sort((a, b) => b - a);
    const size = parseFloat(s.fontSize), large = size >= 24 || (size >= 18.66 && Number(s.fontWeight) >= 700);
    const ratio = (high + 0.05) / (low + 0.05);
    if (ratio < (large ? 3 : 4.5)) say("too little contrast, " + ratio.toFixed(2), element);
  }
  return [...new Set(problems)];
})()
