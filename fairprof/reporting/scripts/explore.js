"use strict";
// What all parts of the section Explore share: the data within the page, and the controls that choose from them.

const explore = (() => {
  const embedded = (name) => {
    const block = document.getElementById(`data-${name}`);
    return block && JSON.parse(block.textContent);
  };
  const data = embedded("runs");

  // The place of a part, which is shown from now on.
  function part(name) {
    const place = document.querySelector(`[data-interactive="${name}"]`);
    place.hidden = false;
    place.previousElementSibling.remove(); // what stands there without scripts
    return place;
  }

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

  // A row of a table per list of cells: a text, or {text, number, value, node}; value is kept to the last digit.
  function fill(table, rows) {
    const titles = [...table.tHead.rows[0].cells].map((heading) => heading.textContent);
    table.tBodies[0].replaceChildren(
      ...rows.map((cells) => {
        const row = document.createElement("tr");
        row.setAttribute("role", "row");
        row.append(...cells.map((cell, place) => filled(cell, place, titles[place])));
        return row;
      }),
    );
    sorting.again(table);
  }

  function filled(cell, place, title) {
    const { text = cell, number = false, value, node } = Object(cell) === cell ? cell : {};
    const element = document.createElement(place ? "td" : "th");
    element.setAttribute("role", place ? "cell" : "rowheader"); // a narrow page shows rows as cards
    if (place) element.dataset.title = title;
    else element.scope = "row";
    element.classList.toggle("number", number);
    element.classList.toggle("nothing", text === "–"); // a narrow page leaves it out
    if (value !== undefined) {
      element.dataset.value = String(value);
      element.title = String(value);
    }
    const content = document.createElement("span");
    content.append(node ?? text);
    element.append(content);
    return element;
  }

  const figure = (value, text = numbers.written(value)) => ({ text, number: true, value });

  // Vega is compressed within the page; its script runs as the page's policy knows what it says.
  async function drawingLibrary() {
    const packed = atob(document.getElementById("library").textContent);
    const bytes = Uint8Array.from(packed, (letter) => letter.charCodeAt(0));
    const unpacked = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    const script = document.createElement("script");
    script.textContent = await new Response(unpacked).text();
    document.head.append(script);
    return vegaEmbed;
  }
  const loaded = drawingLibrary().catch(() => null); // where the browser is too old

  // A chart within an element, described in words for those who do not see it.
  // rows: by the names of data; what is of data without rows is not drawn. Null where the browser is too old for it.
  async function draw(element, specification, rows, description) {
    const layer = specification.layer.filter(({ data: { name } }) => rows[name].length);
    const embed = await loaded;
    if (!embed) {
      element.textContent = "This browser is too old to unpack what draws the chart; its values are in the tables.";
      return null;
    }
    element.setAttribute("role", "img");
    element.setAttribute("aria-label", description);
    const { view } = await embed(
      element,
      { ...specification, layer, datasets: rows },
      {
        ast: true, // without `eval`, which the page forbids
        actions: false,
        renderer: "svg",
        tooltip: { theme: "custom" },
      },
    );
    element.querySelector("svg").setAttribute("aria-hidden", "true"); // the label above says it
    return view;
  }

  return { data, embedded, part, unpacked, countsOf, gapName, offer, fill, figure, draw };
})();
