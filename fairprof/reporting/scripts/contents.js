// Contents that lead to their places also where a page may not change its address, as inside MLflow's frame.
"use strict";
{
  const contents = document.querySelector(".contents");
  const links = [...document.querySelectorAll('a[href^="#"]')];
  const wide = matchMedia("(min-width: 64rem)");
  const fold = contents?.querySelector("details");

  const unfold = (element) => {
    for (let outer = element.closest("details"); outer; outer = outer.parentElement.closest("details")) outer.open = true;
  };

  const go = (event) => {
    const target = document.getElementById(event.currentTarget.getAttribute("href").slice(1));
    if (!target) return;
    event.preventDefault();
    if (fold && contents.contains(event.currentTarget) && !wide.matches) fold.open = false;
    unfold(target);
    if (target.tabIndex < 0) target.tabIndex = -1;
    target.focus({ preventScroll: true });
    target.scrollIntoView();
  };

  for (const link of links) link.addEventListener("click", go);

  if (contents) {
    const unfoldWhereWide = () => { fold.open = wide.matches; };
    unfoldWhereWide();
    wide.addEventListener("change", unfoldWhereWide);

    const places = [...contents.querySelectorAll("a")].map((link) => [link, document.getElementById(link.hash.slice(1))]);
    const mark = () => {
      const passed = places.filter(([, place]) => place.getBoundingClientRect().top < 120 && place.checkVisibility());
      const current = (passed.at(-1) ?? places[0])[0];
      for (const [link] of places) {
        if (link === current) link.setAttribute("aria-current", "location");
        else link.removeAttribute("aria-current");
      }
      if (wide.matches) current.scrollIntoView({ block: "nearest" });
    };
    let waiting = false;
    addEventListener("scroll", () => {
      if (waiting) return;
      waiting = true;
      requestAnimationFrame(() => { waiting = false; mark(); });
    }, { passive: true });
    mark();
  }

  for (const button of document.querySelectorAll(".enlarge")) {
    button.addEventListener("click", () => {
      const enlarged = button.closest("figure").classList.toggle("enlarged");
      button.setAttribute("aria-pressed", enlarged);
    });
  }
}
