"use strict";
// Noise floors: what gaps are after the groups of the images were permuted, among all images for demographic parity and
// within each true class for the other gaps. All images of a person in one group keep together.

const permutation = (() => {
  const SEED = 0;
  const QUANTILE = 0.95;

  // Mulberry32: numbers in [0, 1) that depend on the seed alone.
  function generator(seed) {
    let state = seed;
    return () => {
      state = (state + 0x6d2b79f5) | 0;
      let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
      mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
      return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
    };
  }

  function shuffle(values, start, end, random) {
    for (let place = end - 1; place > start; place -= 1) {
      const other = start + Math.floor(random() * (place - start + 1));
      [values[place], values[other]] = [values[other], values[place]];
    }
  }

  // What is permuted together: of every unit its group and the true class of most of its images, the first of equals;
  // of every image its unit. person: codes, or null where every image is of another one.
  function unitsOf(group, truth, person, classes) {
    const unitOfImage = new Uint32Array(group.length);
    const numberOf = new Map();
    const groupOfUnit = [];
    const classCounts = [];
    for (let image = 0; image < group.length; image += 1) {
      const name = person === null ? image : `${person[image]} ${group[image]}`;
      if (!numberOf.has(name)) {
        numberOf.set(name, groupOfUnit.length);
        groupOfUnit.push(group[image]);
        classCounts.push(new Array(classes).fill(0));
      }
      unitOfImage[image] = numberOf.get(name);
      classCounts[unitOfImage[image]][truth[image]] += 1;
    }
    const strata = classCounts.map((counts) => counts.indexOf(Math.max(...counts)));
    return { unitOfImage, groupOfUnit, strata };
  }

  // The units of each stratum one after the other: their numbers, and where each stratum ends.
  function inStrata(strata, count) {
    const order = strata.map((_, unit) => unit).sort((one, other) => strata[one] - strata[other]);
    const ends = new Array(count).fill(0);
    strata.forEach((stratum) => (ends[stratum] += 1));
    for (let stratum = 1; stratum < count; stratum += 1) ends[stratum] += ends[stratum - 1];
    return { order, ends };
  }

  // Mean and 95 % quantile of the permuted gaps, the largest over the classes, by metric.
  function floors(group, groups, truth, predicted, person, classes, permutations) {
    const units = unitsOf(group, truth, person, classes);
    const amongAll = units.strata.map(() => 0);
    const metrics = Object.keys(fairness.COMPARED);
    return {
      ...permuted(metrics.slice(0, 1), units, inStrata(amongAll, 1), groups, truth, predicted, classes, permutations),
      ...permuted(metrics.slice(1), units, inStrata(units.strata, classes), groups, truth, predicted, classes, permutations),
    };
  }

  function permuted(metrics, units, { order, ends }, groups, truth, predicted, classes, permutations) {
    const random = generator(SEED);
    const labels = Uint16Array.from(order, (unit) => units.groupOfUnit[unit]);
    const groupOfUnit = new Uint16Array(labels.length);
    const drawn = Object.fromEntries(metrics.map((metric) => [metric, []]));
    for (let number = 0; number < permutations; number += 1) {
      ends.forEach((end, stratum) => shuffle(labels, stratum ? ends[stratum - 1] : 0, end, random));
      order.forEach((unit, place) => (groupOfUnit[unit] = labels[place]));
      const counts = new Array(groups * classes * classes).fill(0);
      for (let image = 0; image < truth.length; image += 1) {
        counts[(groupOfUnit[units.unitOfImage[image]] * classes + truth[image]) * classes + predicted[image]] += 1;
      }
      const found = fairness.rates(counts, classes);
      for (const metric of metrics) drawn[metric].push(fairness.gaps(metric, found, classes)[classes]);
    }
    return Object.fromEntries(metrics.map((metric) => [metric, summary(drawn[metric])]));
  }

  function summary(values) {
    if (values.some(Number.isNaN)) return { mean: NaN, quantile: NaN };
    const sorted = Float64Array.from(values).sort();
    const place = QUANTILE * (sorted.length - 1);
    const [below, above] = [sorted[Math.floor(place)], sorted[Math.ceil(place)]];
    return {
      mean: values.reduce((total, value) => total + value, 0) / values.length,
      quantile: below + (place % 1) * (above - below),
    };
  }

  return { floors };
})();
