// From units and edges to SVG.

const SVG = "http://www.w3.org/2000/svg";
const LINE = 15;
const KINDS = ["operation", "parameter", "input", "cell"];

function element(name, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// The lines of text in a unit: [text, size, weight].
function linesOf(graph, unit) {
  if (unit.kind === "gap") {
    const { from, to } = unit.column;
    return [[`… ${counted(unit.steps, "step")} …`, 12, 700], [`t=${from} to t=${to}`, 11, 400]];
  }
  return unit.kind === "folded" ? foldedLines(graph, unit) : nodeLines(graph, unit.node);
}

function foldedLines(graph, unit) {
  const { names, nodes } = carriedFrom(graph, unit);
  const shapes = [...new Set(nodes.map((n) => graph.text("shapes", n)))];
  const lines = [[headerOf(unit.box), 12, 700]];
  if (names.length) lines.push([`→ ${names.slice(0, 4).join(", ")}`, 12, 400]);
  if (shapes.length === 1) lines.push([shapes[0], 11, 400]);
  return lines;
}

function nodeLines(graph, node) {
  const [label, name, detail, shapes] = ["label", "name", "detail", "shapes"].map((c) => graph.text(c, node));
  const kind = graph.nodes.kind[node];
  const lines = name ? [[name, 12, 700]] : [];
  if (kind === OPERATION || !name) for (const line of label.split("\n")) lines.push([line, 12, 400]);
  if (detail) lines.push([detail, 11, 400]);
  if (shapes) lines.push([shapes, 11, 400]);
  return lines;
}

function headerOf(box) {
  return `${box.open ? "▾" : "▸"} ${shortened(box.name)}`;
}

// The sizes of all units that aren't open boxes.
function measure(graph, units) {
  for (const unit of units) {
    if (unit.kind === "open") continue;
    unit.lines = linesOf(graph, unit).map(([text, size, weight]) => [shortened(text), size, weight]);
    const widest = Math.max(...unit.lines.map((line) => textWidth(...line)));
    unit.w = Math.max(44, Math.ceil(widest) + 20);
    unit.h = unit.lines.length * LINE + 9;
  }
}

function drawAll(graph, units, edges, layers) {
  for (const layer of Object.values(layers)) layer.replaceChildren();
  for (const unit of units) {
    if (unit.kind !== "open") layers.units.append(drawUnit(graph, unit));
    else if (unit.around) drawBox(unit, layers);
  }
  for (const edge of edges) drawEdge(graph, edge, layers);
}

function drawBox(unit, layers) {
  const { box, x, y, w, h } = unit;
  const kind = `${box.isStep ? "step" : box.part ? "part" : "scope"}`;
  layers.boxes.append(element("rect", { class: `box ${kind}`, x, y, width: w, height: h, rx: 8, "data-box": unit.key }));
  const header = element("text", { x: x + 10, y: y + 17, class: "title" });
  header.textContent = headerOf(box);
  unit.element = element("g", { class: `header ${kind}`, tabindex: 0, role: "button", "aria-expanded": "true",
    "data-key": unit.key, "aria-label": `Fold ${visible(box.name)}` },
    element("rect", { x: x + 4, y: y + 3, width: textWidth(header.textContent, 12, 700) + 14, height: 19, rx: 5 }),
    header);
  layers.headers.append(unit.element);
}

function drawUnit(graph, unit) {
  const group = element("g", { class: classesOf(graph, unit), transform: `translate(${unit.x} ${unit.y})`,
    tabindex: 0, role: unit.kind === "node" ? "img" : "button", "data-key": unit.key,
    "aria-label": unit.lines.map(([text]) => text).join(", ") });
  if (unit.kind !== "node") group.setAttribute("aria-expanded", "false");
  const isInput = unit.kind === "node" && graph.nodes.kind[unit.node] === INPUT;
  group.append(element("rect", { width: unit.w, height: unit.h, rx: isInput ? unit.h / 2 : 6 }));
  for (const [i, [line, size, weight]] of unit.lines.entries()) {
    const text = element("text", { x: unit.w / 2, y: 16 + i * LINE, "font-size": size, "font-weight": weight });
    text.textContent = line;
    group.append(text);
  }
  unit.element = group;
  return group;
}

function classesOf(graph, unit) {
  if (unit.kind !== "node") return `unit ${unit.kind} ${unit.box.isStep ? "step" : ""}`;
  const { kind, name, backward, output } = graph.nodes;
  const classes = ["unit", "node", KINDS[kind[unit.node]]];
  if (graph.texts[name[unit.node]]) classes.push("named");
  if (backward[unit.node]) classes.push("backward");
  if (output[unit.node]) classes.push("output");
  return classes.join(" ");
}

function drawEdge(graph, edge, layers) {
  const path = element("path", { d: pathOf(edge), class: `edge ${edgeKind(graph, edge)}` });
  const title = element("title");
  title.textContent = edgeText(edge) || "one array";
  path.append(title);
  edge.element = path;
  layers.edges.append(path);
  if (!edge.sideways || edge.link.via.length || !(edge.source.column && edge.target.column)) return;
  if (Math.abs(edge.source.column.place - edge.target.column.place) > 1 || !edge.names.size) return;
  const text = element("text", { class: "carried", x: edge.middle.x, y: edge.middle.y - 5 });
  text.textContent = labelOf(edge);
  edge.labelElement = text;
  layers.labels.append(text);
}

// What an edge carries, and of how many it is made.
function edgeText({ names, count }) {
  const text = [...names].map((n) => visible(n)).join(", ");
  return count > 1 ? `${text || "arrays"} × ${count}` : text;
}

function edgeKind(graph, { source }) {
  if (source.kind === "node" && graph.nodes.kind[source.node] === PARAMETER) return "parameter";
  return source.kind === "node" && graph.nodes.backward[source.node] ? "backward" : "plain";
}
