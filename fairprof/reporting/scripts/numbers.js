"use strict";
// Numbers as the report writes them, and read back from its tables.

const numbers = (() => {
  const FIGURE = /^(< )?[−+-]?[\d,]*\.?\d+/;

  // Without the zero before its point, with three decimals, a tie to the even digit: ".043", "−.021", "undefined".
  function written(value) {
    if (value === null || Number.isNaN(value)) return "undefined";
    const size = Math.abs(value);
    const isTie = (size * 16) % 2 === 1; // what lies midway between two thousandths is an odd number of sixteenths
    const digits = (isTie ? (2 * Math.round(size * 500)) / 1000 : size).toFixed(3).replace(/^0\./, ".");
    return value < 0 && Number(digits) !== 0 ? `−${digits}` : digits;
  }

  function signed(value) {
    const text = written(value);
    return value > 0 && text !== ".000" ? `+${text}` : text;
  }

  function counted(count, noun) {
    return `${count.toLocaleString("en-US")} ${noun}${count === 1 ? "" : "s"}`;
  }

  // The number that a text begins with, NaN where it begins with none; "< .001" lies below .001.
  function read(text) {
    const found = text.match(FIGURE);
    if (!found) return NaN;
    const value = Number(found[0].replace("< ", "").replace("−", "-").replaceAll(",", ""));
    return found[1] ? value / 2 : value;
  }

  return { written, signed, counted, read };
})();
