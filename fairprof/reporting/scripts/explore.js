"use strict";
// What all parts of the section Explore share: the data within the page, and the controls that choose from them.

const explore = (() => {
  const embedded = (name) => {
    const block = document.getElementById(`data-${name}`);
    return block && JSON.parse(block.textContent);
  };
  const data = embedded("runs");
  const part = (name) => document.querySelector(`[data-interactive="${name}"]`);

  // Whole numbers below 2^16 that were packed into text.
  function unpacked(text) {
    const letters = atob(text);
    return Uint16Array.from({ length: letters.length / 2 }, (_, place) => {
      return letters.charCodeAt(2 * place) + 256 * letters.charCodeAt(2 * place + 1);
    });
  }

  // The counts of a run by group of an attribute, true and predicted class.
  function countsOf(run, attribute) {
    const { classes, cells, attributes } = data;
    const size = classes.length ** 2;
    const counts = new Array(attributes[attribute].groups.length * size).fill(0);
    cells[attribute].forEach((group, cell) => {
      for (let place = 0; place < size; place += 1) counts[group * size + place] += run.counts[cell * size + place];
    });
    return counts;
  }

  const gapName = (metric, attribute) => `${data.names[metric]} by ${data.attributes[attribute].name}`;

  // choices: [value, text] each; a choice that is there before and after stays chosen.
  function offer(select, choices) {
    const before = select.value;
    select.replaceChildren(...choices.map(([value, text]) => new Option(text, value)));
    if (choices.some(([value]) => value === before)) select.value = before;
    select.closest("label").hidden = choices.length < 2;
  }

  // A row per list of cells: text, or {text, number, value, node}; value is kept to the last digit.
  function fill(body, rows) {
    body.replaceChildren(
      ...rows.map((cells) => {
        const row = document.createElement("tr");
        cells.forEach((cell, place) => {
          const { text = cell, number = false, value, node } = Object(cell) === cell ? cell : {};
          const element = document.createElement(place ? "td" : "th");
          if (!place) element.scope = "row";
          if (number) element.className = "number";
          if (value !== undefined) {
            element.dataset.value = String(value);
            element.title = String(value);
          }
          element.append(node ?? text);
          row.append(element);
        });
        return row;
      }),
    );
  }

  const figure = (value, text = numbers.written(value)) => ({ text, number: true, value });

  // A chart within an element, described in words for those who do not see it.
  async function draw(element, specification, rows, description) {
    const filled = { ...specification, datasets: rows };
    element.setAttribute("role", "img");
    element.setAttribute("aria-label", description);
    const { view } = await vegaEmbed(element, filled, {
      ast: true, // without `eval`, which the page forbids
      actions: false,
      renderer: "svg",
      config: { aria: false },
      tooltip: { theme: "custom" },
    });
    return view;
  }

  return { data, embedded, part, unpacked, countsOf, gapName, offer, fill, figure, draw };
})();
