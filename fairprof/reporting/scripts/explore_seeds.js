"use strict";
// A metric of every run beside the mean of its design, its interval and its noise floor.

{
  const { data, embedded, part, countsOf, offer, fill, figure, draw } = explore;
  const place = part("seeds");
  const control = (name) => place.querySelector(`[name="${name}"]`);
  const SCORES = ["macro_f1", "accuracy", "balanced_accuracy"];
  const GAPS = Object.keys(fairness.COMPARED);
  const OVER_CLASSES = ["max_over_classes", "mean_over_classes"];
  const EVERYBODY = "";

  const chosen = (name) => control(name).value;
  const designs = () => [...place.querySelectorAll('[name="design"]:checked')].map((box) => box.value);

  function offerControls() {
    const metric = chosen("metric");
    const attributes = Object.entries(data.attributes).map(([attribute, { name }]) => [attribute, name]);
    offer(control("attribute"), SCORES.includes(metric) ? [[EVERYBODY, "all images"], ...attributes] : attributes);
    const groups = data.attributes[chosen("attribute")]?.groups ?? [];
    offer(control("group"), GAPS.includes(metric) ? [] : groups.map((group, number) => [String(number), group]));
    const classes = data.classes.map((name, number) => [String(number), name]);
    const over = OVER_CLASSES.map((name, number) => [String(data.classes.length + number), data.names[name]]);
    offer(control("answer"), SCORES.includes(metric) ? [] : GAPS.includes(metric) ? [...over, ...classes] : classes);
  }

  // The value of a run and the images that it rests on.
  function measured(run) {
    const [metric, attribute, classes] = [chosen("metric"), chosen("attribute"), data.classes.length];
    const counts = countsOf(run, attribute || Object.keys(data.attributes)[0]);
    if (SCORES.includes(metric)) {
      const size = classes ** 2;
      const start = Number(chosen("group")) * size;
      const own = attribute ? counts.slice(start, start + size) : fairness.together(counts, classes);
      return { value: fairness.scores(own, classes)[metric], images: own.reduce((total, count) => total + count, 0) };
    }
    const found = fairness.rates(counts, classes);
    const c = Number(chosen("answer"));
    if (GAPS.includes(metric)) return { value: fairness.gaps(metric, found, classes)[c], images: data.images };
    const cell = Number(chosen("group")) * classes + c;
    return { value: found[metric].values[cell], images: found[metric].support[cell] };
  }

  // The row of a design in the tables, if they have one.
  function estimate(design) {
    const [metric, attribute, arm] = [chosen("metric"), chosen("attribute"), chosen("arm")];
    const same = (row) => row.arm === arm && row.design === design && row.metric === metric;
    if (SCORES.includes(metric)) return attribute ? undefined : data.performance.find(same);
    const name = [...data.classes, ...OVER_CLASSES][Number(chosen("answer"))];
    return data.gaps.find((row) => same(row) && row.attribute === attribute && row.class === name);
  }

  function title() {
    const texts = [control("metric").selectedOptions[0].text];
    for (const name of ["attribute", "group", "answer"]) {
      if (control(name).options.length && chosen(name) !== EVERYBODY) texts.push(control(name).selectedOptions[0].text);
    }
    return texts.join(", ");
  }

  function show() {
    offerControls();
    const shown = designs();
    const runs = data.runs.filter((run) => run.arm === chosen("arm") && shown.includes(run.design));
    const values = runs.map((run) => ({ run, ...measured(run) }));
    const rows = shown.map((design) => [design, estimate(design)]).filter(([, row]) => row);
    const told = title();
    fill(
      place.querySelector("table"),
      values.map(({ run, value, images }) => [
        { node: links.toRun(run) },
        run.design,
        figure(run.seed, String(run.seed)),
        figure(value),
        figure(images, images.toLocaleString("en-US")),
      ]),
    );
    const means = rows.map(([design, row]) => `${design} ${numbers.written(row.value)}`);
    place.querySelector(".told").textContent =
      `${told}: ${numbers.counted(values.length, "run")}. ` +
      (means.length ? `Means over seeds: ${means.join(", ")}.` : "The tables have no mean of it; single runs are shown.");
    draw(
      place.querySelector(".drawn"),
      embedded("seeds-chart"),
      {
        seeds: values
          .filter(({ value }) => !Number.isNaN(value))
          .map(({ run, value, images }) => ({
            design: run.design,
            value,
            "of the run": `${told} = ${numbers.written(value)}`,
            run: run.name,
            seed: run.seed,
            n: images.toLocaleString("en-US"),
          })),
        // an end that is undefined is not drawn
        means: rows.map(([design, row]) => ({
          design,
          value: row.value,
          lower: row.lower ?? row.value,
          upper: row.upper ?? row.value,
        })),
        floors: rows
          .filter(([, row]) => row.null_mean != null)
          .map(([design, row]) => ({ design, mean: row.null_mean, quantile: row.null_q95 })),
      },
      `${told}, a row per design; the values are listed below the chart`,
    );
  }

  offer(
    control("metric"),
    [...SCORES, ...GAPS, ...fairness.RATES].map((metric) => [metric, data.names[metric]]),
  );
  offer(control("arm"), data.arms.map((arm) => [arm, arm]));
  place.querySelector(".choices").append(
    ...data.designs.map((design) => {
      const label = document.createElement("label");
      const box = Object.assign(document.createElement("input"), { type: "checkbox", name: "design", value: design });
      box.checked = true;
      label.append(box, ` ${design}`);
      return label;
    }),
  );
  place.addEventListener("change", show);
  show();
}
