// Texts: made safe to look at, short enough to stand in a box, and measured.

const LONGEST_LINE = 30;
const FONT = "system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif";

// Characters that can't be seen, or that turn the text around them, as their codes.
function visible(text) {
  return text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (c) => `\\u{${c.codePointAt(0).toString(16)}}`);
}

function shortened(text, length = LONGEST_LINE) {
  const letters = [...visible(text)];
  if (letters.length <= length) return letters.join("");
  const half = Math.floor(length / 2);
  return `${letters.slice(0, half).join("")}…${letters.slice(half - length + 1).join("")}`;
}

const widths = new Map();
const ruler = document.createElement("canvas").getContext("2d");

function textWidth(text, size = 12, weight = 400) {
  const key = `${weight} ${size} ${text}`;
  if (!widths.has(key)) {
    ruler.font = `${weight} ${size}px ${FONT}`;
    widths.set(key, ruler.measureText(text).width);
  }
  return widths.get(key);
}

function counted(number, word) {
  return `${number.toLocaleString("en")} ${word}${number === 1 ? "" : "s"}`;
}

// A number as a person reads it; what isn't finite comes as text already.
function shownNumber(value) {
  if (typeof value !== "number") return String(value);
  if (value === 0 || Number.isInteger(value) && Math.abs(value) < 1e6) return String(value);
  const size = Math.abs(value);
  return size >= 1e-3 && size < 1e5 ? String(+value.toPrecision(4)) : value.toExponential(2);
}
