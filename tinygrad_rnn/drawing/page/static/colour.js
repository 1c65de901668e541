// Gradient norms as colours, by the scale that comes with the graph.

const MOST_SHADES = 32; // in one unit

class Scale {
  constructor(scale) {
    this.known = Boolean(scale);
    Object.assign(this, scale);
  }

  colours(norm) {
    if (typeof norm !== "number" || !(norm > 0)) return { fill: this.zero[0], ink: this.zero[1] };
    const share = (Math.log10(norm) - this.low) / (this.high - this.low);
    const last = this.colourSteps.length - 1;
    const [fill, ink] = this.colourSteps[Math.max(0, Math.min(last, Math.floor(share * (last + 1))))];
    return { fill, ink };
  }

  fillLegend(legend) {
    const bar = document.createElement("i");
    const part = 100 / this.colourSteps.length;
    const stops = this.colourSteps.map(([fill], i) => `${fill} ${i * part}% ${(i + 1) * part}%`);
    bar.style.background = `linear-gradient(to right, ${stops.join(", ")})`;
    const [low, high] = [this.low, this.high].map((power) => shownNumber(10 ** power));
    legend.replaceChildren("‖∂L/∂·‖ ", low, bar, high);
  }
}

// The norm of what leaves a unit, all together; null if nothing was recorded of it, and for steps
// left out, whose norms are several.
function normOf(graph, unit) {
  if (unit.kind === "node") return graph.gradientNorm(unit.node);
  return unit.kind === "gap" ? null : jointNorm(graph, carriedFrom(graph, unit).nodes);
}

function jointNorm(graph, nodes) {
  const operations = nodes.filter((n) => graph.nodes.kind[n] === OPERATION);
  const norms = operations.map((n) => graph.gradientNorm(n)).filter((n) => n !== null);
  if (!norms.length) return null;
  return norms.find((n) => typeof n === "string") ?? Math.hypot(...norms);
}

// For the steps left out in a unit, in order: [step, norm of what leaves it].
function normsInGap(graph, unit) {
  const { from, to } = unit.column;
  const steps = unit.box.boxes.filter((b) => b.step >= from && b.step <= to);
  const leaving = graph.leavingSteps ??= leavingSteps(graph);
  const norms = steps.map((b) => [b.step, jointNorm(graph, leaving.get(b) ?? [])]);
  return norms.filter(([, norm]) => norm !== null).sort((a, b) => a[0] - b[0]);
}

// By step: the nodes in it whose results leave it.
function leavingSteps(graph) {
  const { source, target } = graph.edges;
  const found = new Map();
  for (let i = 0; i < source.length; i++) {
    const step = stepAround(graph.boxOf[source[i]]);
    if (!step || step === stepAround(graph.boxOf[target[i]])) continue;
    if (!found.has(step)) found.set(step, new Set());
    found.get(step).add(source[i]);
  }
  return new Map([...found].map(([step, nodes]) => [step, [...nodes]]));
}

// The colours of the steps left out from left to right, as a gradient that SVG can fill with.
function shadesOf(graph, unit, scale) {
  const norms = normsInGap(graph, unit);
  if (!norms.length) return null;
  const shades = element("linearGradient", { id: `shades-${unit.key.replace(":", "-")}` });
  const count = Math.min(MOST_SHADES, norms.length);
  for (let i = 0; i < count; i++) {
    const place = count > 1 ? Math.round((i * (norms.length - 1)) / (count - 1)) : 0;
    const offset = count > 1 ? i / (count - 1) : 0;
    shades.append(element("stop", { offset, "stop-color": scale.colours(norms[place][1]).fill }));
  }
  return shades;
}
