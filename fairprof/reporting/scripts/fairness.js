"use strict";
// Scores, rates by group and gaps of counts of images, with the definitions and the arithmetic of the tables.
// Counts are flat: of group g, true class t and predicted class p at (g * classes + t) * classes + p.

const fairness = (() => {
  const RATES = ["selection_rate", "true_positive_rate", "false_positive_rate"];
  const COMPARED = {
    demographic_parity_difference: ["selection_rate"],
    equal_opportunity_difference: ["true_positive_rate"],
    equalized_odds_difference: ["true_positive_rate", "false_positive_rate"],
  };

  const quotient = (numerator, denominator) => (denominator === 0 ? NaN : numerator / denominator);

  // As NumPy adds: in order, from eight numbers on in eight sums.
  function sum(values) {
    if (values.length < 8) return values.reduce((total, value) => total + value, 0);
    const sums = values.slice(0, 8);
    const whole = values.length - (values.length % 8);
    for (let place = 8; place < whole; place += 1) sums[place % 8] += values[place];
    const [a, b, c, d, e, f, g, h] = sums;
    return values.slice(whole).reduce((total, value) => total + value, a + b + (c + d) + (e + f + (g + h)));
  }

  function meanOfDefined(values) {
    const defined = values.filter((value) => !Number.isNaN(value)).length;
    return quotient(sum(values.map((value) => (Number.isNaN(value) ? 0 : value))), defined);
  }

  // Of one table of true and predicted classes.
  function scores(counts, classes) {
    const correct = new Array(classes).fill(0);
    const truly = new Array(classes).fill(0);
    const predicted = new Array(classes).fill(0);
    for (let t = 0; t < classes; t += 1) {
      correct[t] = counts[t * classes + t];
      for (let p = 0; p < classes; p += 1) {
        truly[t] += counts[t * classes + p];
        predicted[p] += counts[t * classes + p];
      }
    }
    return {
      accuracy: quotient(sum(correct), sum(truly)),
      balanced_accuracy: meanOfDefined(correct.map((right, c) => quotient(right, truly[c]))),
      macro_f1: meanOfDefined(correct.map((right, c) => quotient(2 * right, truly[c] + predicted[c]))),
    };
  }

  // The sum over the groups.
  function together(counts, classes) {
    const total = new Array(classes * classes).fill(0);
    counts.forEach((count, place) => (total[place % total.length] += count));
    return total;
  }

  // By rate: values and the images that they rest on, each by group and class at g * classes + c.
  function rates(counts, classes) {
    const groups = counts.length / classes ** 2;
    const found = {};
    for (const rate of RATES) {
      found[rate] = { values: new Array(groups * classes), support: new Array(groups * classes) };
    }
    for (let g = 0; g < groups; g += 1) {
      const truly = new Array(classes).fill(0);
      const predicted = new Array(classes).fill(0);
      for (let t = 0; t < classes; t += 1) {
        for (let p = 0; p < classes; p += 1) {
          const count = counts[(g * classes + t) * classes + p];
          truly[t] += count;
          predicted[p] += count;
        }
      }
      const images = truly.reduce((total, count) => total + count, 0);
      for (let c = 0; c < classes; c += 1) {
        const right = counts[(g * classes + c) * classes + c];
        const fractions = [
          [predicted[c], images],
          [right, truly[c]],
          [predicted[c] - right, images - truly[c]],
        ];
        RATES.forEach((rate, place) => {
          const [numerator, denominator] = fractions[place];
          found[rate].values[g * classes + c] = quotient(numerator, denominator);
          found[rate].support[g * classes + c] = denominator;
        });
      }
    }
    return found;
  }

  // The largest minus the smallest defined value of a class over the groups; NaN with fewer than two.
  function difference(values, classes, c) {
    let [lowest, highest, defined] = [Infinity, -Infinity, 0];
    for (let place = c; place < values.length; place += classes) {
      const value = values[place];
      if (Number.isNaN(value)) continue;
      defined += 1;
      if (value < lowest) lowest = value;
      if (value > highest) highest = value;
    }
    return defined < 2 ? NaN : highest - lowest;
  }

  // A gap of rates for one class.
  function gapOfClass(metric, found, classes, c) {
    // Math.max gives NaN where one of them is
    return Math.max(...COMPARED[metric].map((rate) => difference(found[rate].values, classes, c)));
  }

  // Of every class, then the largest and the mean of those that are defined.
  function gaps(metric, found, classes) {
    const ofClasses = Array.from({ length: classes }, (_, c) => gapOfClass(metric, found, classes, c));
    return [...ofClasses, largest(ofClasses), meanOfDefined(ofClasses)];
  }

  function largest(values) {
    const defined = values.filter((value) => !Number.isNaN(value));
    return defined.length ? Math.max(...defined) : NaN;
  }

  // The largest gap over the classes: its class, and the groups between which it lies, by number; the first of equals.
  function between(metric, found, classes) {
    const ofClasses = gaps(metric, found, classes).slice(0, classes);
    const c = ofClasses.indexOf(largest(ofClasses));
    if (c < 0) return null;
    const rate = COMPARED[metric].find((name) => difference(found[name].values, classes, c) === ofClasses[c]);
    const ofGroups = found[rate].values.filter((_, place) => place % classes === c);
    const defined = ofGroups.filter((value) => !Number.isNaN(value));
    return {
      class: c,
      highest: ofGroups.indexOf(Math.max(...defined)),
      lowest: ofGroups.indexOf(Math.min(...defined)),
    };
  }

  // Rates of a metric that are undefined, and that rest on fewer images than leastSupport.
  function weakRates(metric, found, leastSupport) {
    let [undefinedRates, onFewImages] = [0, 0];
    for (const rate of COMPARED[metric]) {
      found[rate].support.forEach((support) => {
        if (support === 0) undefinedRates += 1;
        else if (support < leastSupport) onFewImages += 1;
      });
    }
    return { undefinedRates, onFewImages };
  }

  return { RATES, COMPARED, scores, together, rates, gaps, largest, between, weakRates, meanOfDefined };
})();
