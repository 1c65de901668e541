// What is known of the unit under the pointer or the focus.

const MOST_KINDS = 8;
const MOST_NEIGHBOURS = 6;

class Panel {
  constructor(aside, graph) {
    Object.assign(this, { aside, graph });
    this.welcome();
  }

  welcome() {
    const { kind } = this.graph.nodes;
    this.fill("", [
      ["operations", kind.filter((k) => k === OPERATION).length.toLocaleString("en")],
      ["parameters", kind.filter((k) => k === PARAMETER).length.toLocaleString("en")],
    ]);
    const help = document.createElement("p");
    help.className = "help";
    help.textContent = "Point at a box to see what it is; click one with ▸ or ▾ to open or fold it. Drag to "
      + "move, turn the wheel to zoom; Tab, Enter, arrows, + and − do the same from the keyboard.";
    this.aside.append(help);
  }

  // What is known of a unit; `edges` are those of the picture.
  show(unit, edges) {
    this.neighbours = [
      ["takes", neighboursText(edges.filter((e) => e.target === unit), "source")],
      ["gives", neighboursText(edges.filter((e) => e.source === unit), "target")],
    ];
    if (unit.kind === "node") this.showNode(unit.node);
    else if (unit.kind === "gap") this.showGap(unit);
    else this.showBox(unit);
  }

  showNode(node) {
    const { graph } = this;
    const label = graph.text("label", node);
    const isOperation = graph.nodes.kind[node] === OPERATION;
    const known = isOperation ? graph.operations[label] : null;
    this.fill(graph.text("name", node) || label.split("\n")[0], [
      [isOperation ? "operation" : "kind", isOperation ? label : KINDS[graph.nodes.kind[node]]],
      ["arguments", graph.text("detail", node)],
      ["in", pathText(graph.boxOf[node])],
      ["shape", graph.text("shapes", node)],
      ["dtype", graph.text("dtypes", node)],
      ["value", summaryText(graph.summary("values", node))],
      ["gradient", summaryText(graph.summary("gradients", node))],
      ["gradient norm", numberText(graph.gradientNorm(node))],
      ...this.neighbours,
      ["equation", known?.equation, "code"],
      ["derivative rules", known?.rules.join("\n"), "code"],
    ]);
  }

  showBox(unit) {
    const { graph } = this;
    const { names } = unit.kind === "folded" ? carriedFrom(graph, unit) : { names: [] };
    this.fill(unit.box.name || "everything", [
      ["in", pathText(unit.box.parent)],
      ["holds", this.contents(unit)],
      ["hands on", names.join(", ")],
      ["shape", this.shapesLeaving(unit)],
      ["gradient norm", numberText(normOf(graph, unit))],
      ...this.neighbours,
    ]);
  }

  showGap(unit) {
    const { from, to } = unit.column;
    this.fill(counted(unit.steps, "step"), [
      ["left out", `t=${from} to t=${to}`],
      ["in", pathText(unit.box)],
      ["gradient norm", normsText(normsInGap(this.graph, unit))],
      ["click", "to see some more of them"],
    ]);
  }

  shapesLeaving(unit) {
    const nodes = unit.kind === "folded" ? carriedFrom(this.graph, unit).nodes : [];
    return [...new Set(nodes.map((n) => this.graph.text("shapes", n)))].slice(0, 4).join(", ");
  }

  // The operations in a box, the most frequent first.
  contents(unit) {
    const counts = new Map();
    const pending = [unit.box];
    while (pending.length) {
      const box = pending.pop();
      pending.push(...box.boxes);
      for (const node of box.nodes) {
        const label = this.graph.text("label", node);
        counts.set(label, (counts.get(label) ?? 0) + 1);
      }
    }
    const sorted = [...counts].sort((a, b) => b[1] - a[1]);
    const shown = sorted.slice(0, MOST_KINDS).map(([label, n]) => (n > 1 ? `${n} × ${label}` : label));
    return shown.join(", ") + (sorted.length > MOST_KINDS ? ", …" : "");
  }

  fill(title, rows) {
    const heading = document.createElement("h2");
    heading.textContent = visible(title);
    const list = document.createElement("dl");
    for (const [term, text, kind] of rows) {
      if (!text) continue;
      const [dt, dd] = [document.createElement("dt"), document.createElement("dd")];
      dt.textContent = term;
      dd.textContent = text.split("\n").map(visible).join("\n");
      if (kind) dd.className = kind;
      list.append(dt, dd);
    }
    this.aside.replaceChildren(...(title ? [heading] : []), list);
  }
}

function pathText(box) {
  const names = [];
  for (let b = box; b && b.parent; b = b.parent) names.unshift(b.name);
  return names.join(" › ");
}

// What comes from each neighbour, or goes to it: a line each.
function neighboursText(edges, end) {
  const lines = edges.slice(0, MOST_NEIGHBOURS).map((edge) => {
    const what = edgeText(edge);
    const label = edge[end].lines?.[0][0] ?? edge[end].box.name;
    return `${label.replace(/^▸ /, "")}${what ? `: ${what}` : ""}`;
  });
  if (edges.length > MOST_NEIGHBOURS) lines.push(`… and ${edges.length - MOST_NEIGHBOURS} more`);
  return lines.join("\n");
}

function normsText(norms) {
  const [first, last] = [norms[0], norms.at(-1)];
  return norms.length ? `${shownNumber(first[1])} at t=${first[0]}, ${shownNumber(last[1])} at t=${last[0]}` : "";
}

function numberText(value) {
  return value === null || value === undefined ? "" : shownNumber(value);
}

function summaryText(summary) {
  if (!summary) return "";
  const { number, mean, std, minimum, maximum, norm } = summary;
  if (number !== null) return shownNumber(number);
  const [m, s, low, high, n] = [mean, std, minimum, maximum, norm].map(shownNumber);
  return `${m} ± ${s}, ${low} … ${high}, norm ${n}`;
}
