"use strict";
// A click, or a key, on the title of a column sorts a table's rows: upwards, downwards, and as they were.

const sorting = (() => {
  const NEXT = { none: "ascending", ascending: "descending", descending: "none" };
  const asTheyWere = new WeakMap();

  // What a cell says first: neither its note nor, where it says anything else, its verdict.
  function said(cell) {
    const own = cell.cloneNode(true);
    own.querySelectorAll("small").forEach((note) => note.remove());
    return own.textContent.trim();
  }

  // Numbers before texts, and what is no number last, whichever way rows are sorted.
  function compared(texts, downwards) {
    const values = texts.map(numbers.read);
    const areNumbers = values.some((value) => !Number.isNaN(value));
    const direction = downwards ? -1 : 1;
    return (one, other) => {
      if (!areNumbers) return direction * texts[one].localeCompare(texts[other], undefined, { numeric: true });
      const [left, right] = [values[one], values[other]];
      if (Number.isNaN(left) || Number.isNaN(right)) return Number.isNaN(left) - Number.isNaN(right);
      return direction * (left - right);
    };
  }

  function sort(table, heading) {
    const order = NEXT[heading.getAttribute("aria-sort") ?? "none"];
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    if (order !== "none") heading.setAttribute("aria-sort", order);
    arrange(table);
  }

  function arrange(table) {
    const body = table.tBodies[0];
    if (!asTheyWere.has(table)) asTheyWere.set(table, [...body.rows]);
    const rows = asTheyWere.get(table);
    const heading = table.tHead.querySelector("[aria-sort]");
    if (!heading) {
      body.append(...rows);
      return;
    }
    const texts = rows.map((row) => said(row.cells[heading.cellIndex]));
    const order = rows.map((_, place) => place).sort(compared(texts, heading.getAttribute("aria-sort") === "descending"));
    body.append(...order.map((place) => rows[place]));
  }

  // After the rows of a table were replaced by others.
  function again(table) {
    asTheyWere.delete(table);
    arrange(table);
  }

  for (const table of document.querySelectorAll("table")) {
    if (!table.tHead) continue;
    for (const heading of table.tHead.rows[0].cells) {
      const button = Object.assign(document.createElement("button"), { type: "button", className: "sort" });
      button.append(...heading.childNodes);
      heading.append(button);
      button.addEventListener("click", () => sort(table, heading));
    }
  }

  return { again };
})();
