// What is to be seen of a graph now: units (nodes, boxes, left out steps) and merged edges.

// The units of a graph, outer boxes before what is in them. A node that isn't a unit itself is
// within the unit that `box.within` names.
function visibleUnits(graph) {
  const units = [];
  const add = (unit) => {
    unit.index = units.length;
    unit.units = [];
    unit.depth = unit.around ? unit.around.depth + 1 : 0;
    unit.around?.units.push(unit);
    units.push(unit);
    return unit;
  };
  for (const box of graph.boxes) {
    const around = box.parent ? box.parent.unit : null;
    box.within = box.parent?.within ?? null;
    box.unit = null;
    if (box.within) continue;
    const column = box.isStep ? columnOf(graph, box) : null;
    if (column && column.step === null) {
      box.within = gapUnit(around, box, column, add);
      continue;
    }
    const unit = add({ kind: box.open ? "open" : "folded", box, around, column,
      key: `b${box.index}`, first: box.first, last: box.last });
    if (!box.open) {
      box.within = unit;
      continue;
    }
    box.unit = unit;
    for (const node of box.nodes) {
      add({ kind: "node", node, around: unit, key: `n${node}`, first: node, last: node });
    }
  }
  return units;
}

function columnOf(graph, box) {
  const timeline = graph.timelineOf(box);
  if (timeline.columnsFor !== timeline.shown.size) {
    timeline.columnsFor = timeline.shown.size;
    timeline.byStep = new Map();
    timeline.now = timeline.columns();
    let place = 0;
    for (const step of timeline.steps) {
      while (step > timeline.now[place].to) place += 1;
      timeline.byStep.set(step, timeline.now[place]);
    }
    timeline.now.forEach((column, i) => { column.place = i; });
  }
  return timeline.byStep.get(box.step);
}

// The steps of one box that stand in one gap are one unit.
function gapUnit(around, box, column, add) {
  let unit = around.units.find((u) => u.kind === "gap" && u.column === column);
  if (!unit) {
    const key = `g${box.parent.index}:${column.from}`;
    unit = add({ kind: "gap", box: box.parent, column, around, key, steps: 0, first: box.first, last: -1 });
  }
  unit.steps += 1;
  unit.first = Math.min(unit.first, box.first);
  unit.last = Math.max(unit.last, box.last);
  return unit;
}

// By node: the unit that shows it.
function owners(graph, units) {
  const owner = new Array(graph.count);
  for (const unit of units) if (unit.kind === "node") owner[unit.node] = unit;
  for (let node = 0; node < graph.count; node++) owner[node] ??= graph.boxOf[node].within;
  return owner;
}

// One edge for all between two units, with what they carry.
function visibleEdges(graph, units, owner) {
  const { source, target, carried, count } = graph.edges;
  const found = new Map();
  for (let i = 0; i < source.length; i++) {
    const [a, b] = [owner[source[i]], owner[target[i]]];
    if (a === b) continue;
    const key = a.index * units.length + b.index;
    let edge = found.get(key);
    if (!edge) found.set(key, (edge = { source: a, target: b, count: 0, names: new Set(), first: i }));
    edge.count += count[i];
    if (graph.texts[carried[i]]) edge.names.add(graph.texts[carried[i]]);
    (a.leaving ??= new Set()).add(source[i]);
  }
  for (const [node, isOutput] of graph.nodes.output.entries()) {
    if (isOutput) (owner[node].leaving ??= new Set()).add(node);
  }
  return [...found.values()];
}

// For each edge the box that holds both ends, and the two units in it that do.
function addLinks(units, edges) {
  for (const unit of units) unit.links = new Map();
  for (const edge of edges) {
    let [a, b] = [edge.source, edge.target];
    while (a.around !== b.around) {
      if (a.depth >= b.depth) a = a.around;
      else b = b.around;
    }
    const key = a.index * units.length + b.index;
    const { links } = a.around;
    if (!links.has(key)) links.set(key, { source: a, target: b, edges: [], via: [] });
    edge.link = links.get(key);
    edge.link.edges.push(edge);
  }
}

// The operations in a unit that its results leave from, and the names they have.
function carriedFrom(graph, unit) {
  const nodes = [...(unit.leaving ?? [])].sort((a, b) => a - b);
  return { nodes, names: [...new Set(nodes.map((n) => graph.text("name", n)))].filter(Boolean) };
}
