"use strict";
// Terms of the report are explained where they occur first in a section: on hover, on focus, and to screen readers.

{
  const IN = "p, li, figcaption, thead th"; // not in captions: a table owns no buttons
  const NOT_IN = "a, button, summary, label, dl, nav, pre, h2, h3, h4, [role='status']";
  const PAUSE = 200; // milliseconds in which a pointer reaches the explanation
  const GAP = 6; // pixels

  const meanings = new Map(); // by term in small letters, abbreviations as they are
  document.querySelectorAll("dl.terms dt").forEach((term, number) => {
    const meaning = term.nextElementSibling;
    meaning.id = `term-${number + 1}`;
    for (const name of term.textContent.split(", ")) meanings.set(keyOf(name), meaning);
  });

  const tip = Object.assign(document.createElement("div"), { className: "tip", hidden: true });
  tip.setAttribute("role", "tooltip");
  let leaving = 0;
  let explained = null; // the element whose explanation is shown

  function keyOf(name) {
    return name === name.toUpperCase() ? name : name.toLowerCase();
  }

  function show(element, meaning) {
    clearTimeout(leaving);
    tip.textContent = meaning.textContent;
    tip.hidden = false;
    explained = element;
    put();
  }

  // Below the element, or above it where there is no room.
  function put() {
    if (tip.hidden) return;
    const place = explained.getBoundingClientRect();
    const below = place.bottom + GAP + tip.offsetHeight < innerHeight;
    tip.style.left = `${Math.max(GAP, Math.min(place.left, document.documentElement.clientWidth - tip.offsetWidth - GAP))}px`;
    tip.style.top = `${below ? place.bottom + GAP : Math.max(GAP, place.top - GAP - tip.offsetHeight)}px`;
  }

  function hide() {
    clearTimeout(leaving);
    tip.hidden = true;
  }

  function hideSoon() {
    leaving = setTimeout(hide, PAUSE);
  }

  function explain(element, meaning) {
    element.setAttribute("aria-describedby", meaning.id);
    element.addEventListener("focus", () => show(element, meaning));
    element.addEventListener("mouseenter", () => show(element, meaning));
    element.addEventListener("blur", hide);
    element.addEventListener("mouseleave", hideSoon);
  }

  // The names, the longest first, as whole words and with the ending of a plural.
  function pattern() {
    const escaped = [...meanings.keys()].map((name) => name.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
    const longestFirst = escaped.sort((one, other) => other.length - one.length);
    return new RegExp(`(?<![\\w-])(${longestFirst.join("|")})(s?)(?![\\w-])`, "gi");
  }

  function meaningOf(found) {
    return meanings.get(found) ?? (found === found.toUpperCase() ? undefined : meanings.get(found.toLowerCase()));
  }

  // Explains what occurs in a text and was not explained before, which the text's element then holds in parts.
  function explainIn(text, names, before) {
    const parts = [];
    let end = 0;
    for (const found of text.data.matchAll(names)) {
      const meaning = meaningOf(found[1]);
      if (!meaning || before.has(meaning)) continue;
      before.add(meaning);
      const term = Object.assign(document.createElement("span"), { className: "term", textContent: found[0], tabIndex: 0 });
      term.setAttribute("role", "button");
      term.addEventListener("click", () => show(term, meaning));
      explain(term, meaning);
      parts.push(text.data.slice(end, found.index), term);
      end = found.index + found[0].length;
    }
    if (parts.length) text.replaceWith(...parts, text.data.slice(end));
  }

  // The button that sorts by a column explains the first term of its title.
  function explainTitle(button, names) {
    for (const found of button.textContent.matchAll(names)) {
      const meaning = meaningOf(found[1]);
      if (meaning) {
        explain(button, meaning);
        return;
      }
    }
  }

  function explainSection(section, names) {
    const before = new Set();
    const texts = [];
    const walker = document.createTreeWalker(section, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const outer = walker.currentNode.parentElement;
      if (outer.closest(IN) && !outer.closest(NOT_IN)) texts.push(walker.currentNode);
    }
    for (const text of texts) explainIn(text, names, before);
    for (const button of section.querySelectorAll("thead button")) explainTitle(button, names);
  }

  if (meanings.size) {
    document.querySelector("main").append(tip);
    tip.addEventListener("mouseenter", () => clearTimeout(leaving));
    tip.addEventListener("mouseleave", hideSoon);
    addEventListener("keydown", (event) => event.key === "Escape" && hide());
    addEventListener("scroll", put, { passive: true, capture: true }); // of the page, and of what scrolls within it
    const names = pattern();
    for (const section of document.querySelectorAll("main > section")) explainSection(section, names);
  }
}
