"use strict";
// What a run would answer, and how even it would be, with offsets added to the log-probabilities of its classes.

{
  const { data, embedded, part, unpacked, gapName, offer, fill, figure } = explore;
  const place = part("offsets");
  const control = (name) => place.querySelector(`[name="${name}"]`);
  const predictions = embedded("predictions");
  const [LARGEST, STEP] = [3, 0.05];
  const PAUSE = 250; // milliseconds after the last move before floors are permuted and the result is told
  const SHUFFLED = 6e7; // labels in all at most, about a second
  const EVERYBODY = "everybody";

  const classes = data.classes.length;
  const cell = unpacked(predictions.cell);
  const truth = unpacked(predictions.true);
  const person = predictions.person && unpacked(predictions.person);
  const permutations = Math.max(99, Math.min(predictions.permutations, Math.floor(SHUFFLED / (6 * truth.length))));
  const groups = Object.fromEntries(
    Object.entries(data.cells).map(([attribute, ofCells]) => [attribute, cell.map((number) => ofCells[number])]),
  );
  const below = new Map();
  const offsets = new Map(); // of everybody, or of "attribute/number": steps by class
  let waiting = 0;

  const number = () => Number(control("run").value);
  const offsetsOf = (target) => offsets.get(target) ?? new Array(classes).fill(0);
  const isZero = () => [...offsets.values()].every((steps) => steps.every((step) => step === 0));

  function stepsBelow() {
    if (!below.has(number())) below.set(number(), unpacked(predictions.runs[number()].below));
    return below.get(number());
  }

  // The class of each image whose log-probability with the offsets is the largest; of equals the one that was predicted
  // before, then the first.
  function answers() {
    const steps = stepsBelow();
    const ofCells = Array.from({ length: Math.max(...cell) + 1 }, (_, ofCell) => offsetsOfCell(ofCell));
    return truth.map((_, image) => {
      const added = ofCells[cell[image]];
      let [best, highest, wasPredicted] = [0, -Infinity, false];
      for (let c = 0; c < classes; c += 1) {
        const lies = steps[image * classes + c];
        const height = added[c] - lies;
        if (height > highest || (height === highest && lies === 0 && !wasPredicted)) {
          [best, highest, wasPredicted] = [c, height, lies === 0];
        }
      }
      return best;
    });
  }

  // The sum of all offsets that concern a combination of groups, by class.
  function offsetsOfCell(ofCell) {
    const targets = [EVERYBODY, ...Object.keys(data.cells).map((name) => `${name}/${data.cells[name][ofCell]}`)];
    return Array.from({ length: classes }, (_, c) => targets.reduce((sum, name) => sum + offsetsOf(name)[c], 0));
  }

  function counted(predicted, attribute) {
    const counts = new Array(data.attributes[attribute].groups.length * classes ** 2).fill(0);
    predicted.forEach((answer, image) => {
      counts[(groups[attribute][image] * classes + truth[image]) * classes + answer] += 1;
    });
    return counts;
  }

  // Scores, and every gap with the class and groups that decide it.
  function measured(predicted) {
    const first = counted(predicted, Object.keys(data.attributes)[0]);
    const gaps = Object.keys(data.attributes).flatMap((attribute) => {
      const found = fairness.rates(counted(predicted, attribute), classes);
      return Object.keys(fairness.COMPARED).map((metric) => ({
        attribute,
        metric,
        value: fairness.gaps(metric, found, classes)[classes],
        between: fairness.between(metric, found, classes),
        ...fairness.weakRates(metric, found, data.least_support),
      }));
    });
    return { scores: fairness.scores(fairness.together(first, classes), classes), gaps };
  }

  // Noise floors by "metric/attribute": of the run's table, or of these predictions.
  function tableFloors() {
    return Object.fromEntries(
      predictions.runs[number()].floors.map((row) => [
        `${row.metric}/${row.attribute}`,
        { mean: row.null_mean ?? NaN, quantile: row.null_q95 ?? NaN },
      ]),
    );
  }

  function permutedFloors(predicted) {
    const found = Object.entries(data.attributes).flatMap(([attribute, { groups: names }]) =>
      Object.entries(
        permutation.floors(groups[attribute], names.length, truth, predicted, person, classes, permutations),
      ).map(([metric, floor]) => [`${metric}/${attribute}`, floor]),
    );
    return Object.fromEntries(found);
  }

  const described = ({ attribute, value, between: found }) =>
    found === null || value === 0
      ? "–"
      : `${data.classes[found.class]}; ${data.attributes[attribute].groups[found.highest]}, ` +
        data.attributes[attribute].groups[found.lowest];

  function show(before, now, floors, origin) {
    const nothing = { text: "–", number: true };
    const scores = ["macro_f1", "accuracy", "balanced_accuracy"].map((name) => [
      data.names[name],
      figure(before.scores[name]),
      figure(now.scores[name]),
      figure(now.scores[name] - before.scores[name], numbers.signed(now.scores[name] - before.scores[name])),
      nothing,
      nothing,
      "–",
      nothing,
      nothing,
    ]);
    const gaps = now.gaps.map((gap, row) => {
      const floor = floors?.[`${gap.metric}/${gap.attribute}`];
      const change = gap.value - before.gaps[row].value;
      return [
        gapName(gap.metric, gap.attribute),
        figure(before.gaps[row].value),
        figure(gap.value),
        figure(change, numbers.signed(change)),
        floor ? figure(floor.mean) : nothing,
        floor ? figure(floor.quantile) : nothing,
        described(gap),
        figure(gap.undefinedRates, String(gap.undefinedRates)),
        figure(gap.onFewImages, String(gap.onFewImages)),
      ];
    });
    fill(place.querySelector("table"), [...scores, ...gaps]);
    place.querySelector(".origin").textContent = origin;
  }

  function tell(before, now, changed) {
    const named = (name) => data.names[name];
    const gaps = now.gaps
      .map((gap, row) => [gap, before.gaps[row]])
      .filter(([gap]) => gap.attribute !== "gender_x_race" && gap.metric !== "equalized_odds_difference")
      .map(([gap, was]) => `${gapName(gap.metric, gap.attribute)} ${numbers.written(gap.value)} (${numbers.written(was.value)})`);
    const score = `${named("macro_f1")} ${numbers.written(now.scores.macro_f1)} (${numbers.written(before.scores.macro_f1)})`;
    place.querySelector(".told").textContent = isZero()
      ? "No offset: everything is as in the tables of this run, its noise floors too."
      : `${numbers.counted(changed, "answer")} of ${truth.length.toLocaleString("en-US")} changed. ` +
        `Now, and before in brackets: ${[score, ...gaps].join("; ")}. Tuned on the test images: exploration only.`;
  }

  function update() {
    const steps = stepsBelow();
    const asItIs = truth.map((_, image) => {
      const own = steps.subarray(image * classes, (image + 1) * classes);
      return own.indexOf(0);
    });
    const predicted = answers();
    const [before, now] = [measured(asItIs), measured(predicted)];
    const changed = predicted.reduce((total, answer, image) => total + (answer !== asItIs[image]), 0);
    clearTimeout(waiting);
    if (isZero()) {
      show(before, now, tableFloors(), "those of the run's table");
      tell(before, now, changed);
      return;
    }
    show(before, now, null, "being recomputed …");
    waiting = setTimeout(() => {
      show(before, now, permutedFloors(predicted), `recomputed here, ${numbers.counted(permutations, "permutation")}`);
      tell(before, now, changed);
    }, PAUSE);
  }

  function offerSliders() {
    const target = control("target");
    const steps = offsetsOf(target.value);
    place.querySelector(".sliders").replaceChildren(
      ...data.classes.map((name, c) => {
        const label = document.createElement("label");
        const slider = Object.assign(document.createElement("input"), {
          type: "range",
          min: -LARGEST,
          max: LARGEST,
          step: STEP,
        });
        slider.value = steps[c] / predictions.steps;
        const shown = document.createElement("output");
        const tellValue = () => {
          shown.textContent = numbers.signed(Number(slider.value)).replace(/0$/, "");
          slider.setAttribute("aria-valuetext", shown.textContent);
        };
        slider.addEventListener("input", () => {
          const moved = [...offsetsOf(target.value)];
          moved[c] = Math.round(Number(slider.value) * predictions.steps);
          offsets.set(target.value, moved);
          tellValue();
          update();
        });
        tellValue();
        const text = document.createElement("span");
        text.textContent = name;
        label.append(text, slider, shown);
        return label;
      }),
    );
  }

  function offerTargets() {
    const select = control("target");
    select.append(new Option("everybody", EVERYBODY));
    for (const [attribute, { name, groups: names }] of Object.entries(data.attributes)) {
      const options = names.map((group, place) => new Option(group, `${attribute}/${place}`));
      const together = Object.assign(document.createElement("optgroup"), { label: name });
      together.append(...options);
      select.append(together);
    }
  }

  offer(
    control("run"),
    predictions.runs.map(({ run }, place) => [String(place), data.runs[run].name]),
  );
  offerTargets();
  offerSliders();
  control("run").addEventListener("change", update);
  control("target").addEventListener("change", offerSliders);
  control("reset").addEventListener("click", () => {
    offsets.clear();
    offerSliders();
    update();
  });
  update();
}
