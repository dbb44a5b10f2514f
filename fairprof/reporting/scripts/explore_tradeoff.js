"use strict";
// Macro-F1 of every run against a gap; an area of the chart, or limits, choose runs, which a table lists.

{
  const { data, embedded, part, countsOf, gapName, offer, fill, figure, draw } = explore;
  const place = part("tradeoff");
  const control = (name) => place.querySelector(`[name="${name}"]`);
  const LIMITS = ["score_from", "score_to", "gap_from", "gap_to"];
  let view = null;

  function runsShown() {
    const [metric, attribute] = control("gap").value.split("/");
    const classes = data.classes.length;
    return data.runs
      .filter((run) => run.arm === control("arm").value)
      .map((run) => {
        const counts = countsOf(run, attribute);
        const score = fairness.scores(fairness.together(counts, classes), classes).macro_f1;
        const gap = fairness.gaps(metric, fairness.rates(counts, classes), classes)[classes];
        return { run, score, gap, floor: floorOf(run.design) };
      });
  }

  function floorOf(design) {
    const [metric, attribute] = control("gap").value.split("/");
    const row = data.gaps.find(
      (one) =>
        one.arm === control("arm").value &&
        one.design === design &&
        one.metric === metric &&
        one.attribute === attribute &&
        one.class === "max_over_classes",
    );
    return row?.null_mean ?? NaN;
  }

  const limit = (name, otherwise) => (control(name).value === "" ? otherwise : Number(control(name).value));

  function isChosen({ score, gap }) {
    const within = (value, name) => limit(`${name}_from`, -Infinity) <= value && value <= limit(`${name}_to`, Infinity);
    // a value that is undefined lies within no limits
    return LIMITS.every((name) => control(name).value === "") || (within(score, "score") && within(gap, "gap"));
  }

  const drawnRuns = (runs) =>
    runs
      .filter(({ score, gap }) => !Number.isNaN(score) && !Number.isNaN(gap))
      .map((one) => ({
        design: one.run.design,
        macro_f1: one.score,
        gap: one.gap,
        chosen: isChosen(one),
        run: one.run.name,
        seed: one.run.seed,
        "macro-F1": numbers.written(one.score),
        "gap, largest over classes": numbers.written(one.gap),
        n: data.images.toLocaleString("en-US"),
      }));

  function list() {
    const runs = runsShown();
    const chosen = runs.filter(isChosen);
    fill(
      place.querySelector("table"),
      chosen.map(({ run, score, gap, floor }) => [
        { node: links.toRun(run) },
        run.design,
        figure(run.seed, String(run.seed)),
        figure(score),
        figure(gap),
        figure(floor),
      ]),
    );
    place.querySelector(".told").textContent =
      `${chosen.length} of ${numbers.counted(runs.length, "run")} chosen; ` +
      `the gap is the ${control("gap").selectedOptions[0].text}, the largest over the classes.`;
    return runs;
  }

  function listAndMark() {
    const runs = list();
    view?.data("runs", drawnRuns(runs)).runAsync(); // the brush that calls this is part of a run
  }

  async function show() {
    const runs = list();
    const floors = data.designs.map((design) => ({ design, mean: floorOf(design) }));
    view = await draw(
      place.querySelector(".drawn"),
      embedded("tradeoff-chart"),
      { runs: drawnRuns(runs), floors: floors.filter(({ mean }) => !Number.isNaN(mean)) },
      "Macro-F1 of every run against the gap; the table below lists the runs that are chosen",
    );
    view?.addSignalListener("brush", (_, area) => {
      if (!area.macro_f1 || !area.gap) return;
      const ends = [...[...area.macro_f1].sort((one, other) => one - other), ...[...area.gap].sort((one, other) => one - other)];
      LIMITS.forEach((name, number) => (control(name).value = ends[number].toFixed(4)));
      listAndMark();
    });
  }

  function reset() {
    LIMITS.forEach((name) => (control(name).value = ""));
    show();
  }

  const gaps = Object.keys(data.attributes).flatMap((attribute) =>
    Object.keys(fairness.COMPARED).map((metric) => [`${metric}/${attribute}`, gapName(metric, attribute)]),
  );
  offer(control("gap"), gaps);
  offer(control("arm"), data.arms.map((arm) => [arm, arm]));
  for (const name of ["gap", "arm"]) control(name).addEventListener("change", reset);
  for (const name of LIMITS) control(name).addEventListener("input", listAndMark);
  control("reset").addEventListener("click", reset);
  show();
}
