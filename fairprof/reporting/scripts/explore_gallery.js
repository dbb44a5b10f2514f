"use strict";
// Errors by design, group, true and predicted class: each image, where it may be shown, beside its map.

{
  const { data, embedded, part, offer } = explore;
  const place = part("gallery");
  const control = (name) => place.querySelector(`[name="${name}"]`);
  const { images, errors, size, colours: packed } = embedded("gallery");
  const EDGE = 96; // pixels of an image and of its map
  const ANY = "";
  const FEW = 12; // errors that are shown at first
  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const colours = bytes(packed);

  // A map, enlarged smoothly.
  function drawn(error, description) {
    const [height, width] = size;
    const levels = bytes(error.map);
    const small = Object.assign(document.createElement("canvas"), { width, height });
    const pixels = new ImageData(width, height);
    levels.forEach((level, number) => pixels.data.set([...colours.subarray(3 * level, 3 * level + 3), 255], 4 * number));
    small.getContext("2d").putImageData(pixels, 0, 0);
    const canvas = Object.assign(document.createElement("canvas"), { width: EDGE, height: EDGE });
    const context = canvas.getContext("2d");
    context.imageSmoothingQuality = "high";
    context.drawImage(small, 0, 0, EDGE, EDGE);
    if (!images[error.image].picture) outline(context);
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", description);
    return canvas;
  }

  // About where a face lies in a portrait: of nobody.
  function outline(context) {
    context.strokeStyle = "#8cffeb";
    context.lineWidth = 1.5;
    context.beginPath();
    context.ellipse(EDGE / 2, EDGE * 0.5, EDGE * 0.29, EDGE * 0.38, 0, 0, 2 * Math.PI);
    context.stroke();
  }

  function shown(error) {
    const image = images[error.image];
    const item = document.createElement("li");
    const pair = Object.assign(document.createElement("div"), { className: "pair" });
    if (image.picture) {
      pair.append(
        Object.assign(new Image(EDGE, EDGE), {
          src: `data:image/jpeg;base64,${image.picture}`,
          alt: `Test image: ${image.gender_x_race}, truly ${image.true}`,
        }),
      );
    }
    pair.append(drawn(error, `Grad-CAM of ${error.predicted}, design ${error.design}`));
    const text = document.createElement("p");
    text.append(
      strong(`${error.predicted} ${error.probability}`),
      ` instead of ${image.true} ${error.probability_of_truth}`,
      document.createElement("br"),
      `${image.gender_x_race}; design ${error.design}`,
    );
    item.append(pair, text);
    return item;
  }

  const strong = (text) => Object.assign(document.createElement("strong"), { textContent: text });

  function show() {
    const attribute = control("attribute").value;
    offer(control("group"), [[ANY, "any"], ...data.attributes[attribute].groups.map((group) => [group, group])]);
    const fits = (name, value) => control(name).value === ANY || control(name).value === value;
    const chosen = errors.filter((error) => {
      const image = images[error.image];
      return (
        fits("design", error.design) &&
        fits("group", image[attribute]) &&
        fits("true", image.true) &&
        fits("predicted", error.predicted)
      );
    });
    place.querySelector(".told").textContent = `${chosen.length} of ${numbers.counted(errors.length, "error")} in this gallery. ` +
      "Numbers are probabilities of the class before them.";
    const list = place.querySelector(".gallery");
    list.replaceChildren(...chosen.slice(0, FEW).map(shown));
    const more = control("more");
    more.hidden = chosen.length <= FEW;
    more.textContent = `Show ${chosen.length - FEW} more`;
    more.onclick = () => {
      const next = chosen.slice(FEW).map(shown);
      list.append(...next);
      more.hidden = true;
      next[0].tabIndex = -1;
      next[0].focus(); // where who came by keyboard goes on
    };
  }

  const any = [ANY, "any"];
  offer(control("design"), data.designs.map((design) => [design, design]));
  offer(
    control("attribute"),
    Object.entries(data.attributes).map(([attribute, { name }]) => [attribute, name]),
  );
  for (const name of ["true", "predicted"]) offer(control(name), [any, ...data.classes.map((one) => [one, one])]);
  place.addEventListener("change", show);
  show();
}
