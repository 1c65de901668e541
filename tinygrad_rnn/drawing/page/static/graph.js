// The graph: nodes in columns, boxes as a tree, and which boxes are open.

const MANY = 120; // things that a box may hold side by side before they are parted
const PART = 24;
const MOST_UNITS = 240; // to begin with
const SHOWN_STEPS = 3; // at either end of a long sequence

const [OPERATION, PARAMETER, INPUT, CELL] = [0, 1, 2, 3];

class Box {
  constructor(parent, name, step = -1) {
    Object.assign(this, { parent, name, step, part: false, open: true });
    this.boxes = [];
    this.nodes = [];
    this.first = Infinity; // its first node, and its last
    this.last = -1;
    this.depth = 0;
    this.owner = null; // the box in whose timeline its own steps stand
    this.timed = false; // whether there are steps in it
  }

  get isStep() {
    return this.step >= 0;
  }
}

// The steps that boxes have in common, and those of them that are shown.
class Timeline {
  constructor() {
    this.steps = [];
    this.shown = new Set();
  }

  reset() {
    const { steps } = this;
    const few = steps.length <= 2 * SHOWN_STEPS + 2;
    this.shown = new Set(few ? steps : [...steps.slice(0, SHOWN_STEPS), ...steps.slice(-SHOWN_STEPS)]);
  }

  // The columns of the picture: a step each, or the steps left out between two.
  columns() {
    const columns = [];
    for (const step of this.steps) {
      const last = columns.at(-1);
      if (this.shown.has(step)) columns.push({ step, from: step, to: step, count: 1 });
      else if (last && last.step === null) Object.assign(last, { to: step, count: last.count + 1 });
      else columns.push({ step: null, from: step, to: step, count: 1 });
    }
    return columns.map((c) => (c.count === 1 ? { ...c, step: c.from } : c));
  }

  // Shows some of the steps between two, from both ends.
  openGap(column, some = 4) {
    const hidden = this.steps.filter((s) => s >= column.from && s <= column.to);
    for (const step of [...hidden.slice(0, some), ...hidden.slice(-some)]) this.shown.add(step);
  }
}

class Graph {
  constructor(data) {
    Object.assign(this, data);
    this.count = data.nodes.kind.length;
    this.boxOf = new Array(this.count);
    this.root = this.buildBoxes();
    this.partMany();
    this.boxes = this.inOrder();
    this.timelines = this.buildTimelines();
    this.foldAtFirst();
  }

  text(column, node) {
    return this.texts[this.nodes[column][node]];
  }

  // A summary as an object, or null if nothing was recorded.
  summary(of, node) {
    const row = this[of][node];
    return row ? Object.fromEntries(this.fields.map((field, i) => [field, row[i]])) : null;
  }

  gradientNorm(node) {
    return this.gradients[node]?.[this.fields.indexOf("norm")] ?? null;
  }

  buildBoxes() {
    const { parent, name, step } = this.scopes;
    const boxes = name.map((n, i) => new Box(parent[i] < 0 ? null : parent[i], n, step[i]));
    for (const box of boxes) {
      if (box.parent === null) continue;
      box.parent = boxes[box.parent];
      box.parent.boxes.push(box);
    }
    for (let node = 0; node < this.count; node++) {
      const box = boxes[this.nodes.scope[node]];
      box.nodes.push(node);
      this.boxOf[node] = box;
      box.first = Math.min(box.first, node);
      box.last = Math.max(box.last, node);
    }
    for (const box of boxes.slice(1).reverse()) { // a parent stands before its children
      box.parent.first = Math.min(box.parent.first, box.first);
      box.parent.last = Math.max(box.parent.last, box.last);
    }
    return boxes[0];
  }

  // What stands loose in a box in great number gets boxes of its own, and those again.
  partMany() {
    for (const box of this.inOrder()) {
      const isLeaf = (thing) => typeof thing === "number" && this.nodes.kind[thing] === PARAMETER;
      const loose = [...box.nodes, ...box.boxes.filter((b) => !b.isStep)]
        .sort((a, b) => (a.first ?? a) - (b.first ?? b));
      if (loose.length <= MANY) continue;
      const leaves = this.parted(box, loose.filter(isLeaf));
      const others = this.parted(box, loose.filter((thing) => !isLeaf(thing)));
      const now = [...leaves, ...others];
      box.nodes = now.filter((thing) => typeof thing === "number");
      box.boxes = [...box.boxes.filter((b) => b.isStep), ...now.filter((thing) => thing.boxes)];
    }
  }

  parted(box, things) {
    while (things.length > MANY) {
      const parts = Math.ceil(things.length / PART);
      things = Array.from({ length: parts }, (_, i) => {
        const part = new Box(box, `part ${i + 1} of ${parts}`);
        part.part = true;
        part.open = false;
        for (const thing of things.slice(i * PART, (i + 1) * PART)) this.adopt(part, thing);
        return part;
      });
    }
    return things;
  }

  adopt(part, thing) {
    const isNode = typeof thing === "number";
    if (isNode) this.boxOf[thing] = part;
    else thing.parent = part;
    (isNode ? part.nodes : part.boxes).push(thing);
    part.first = Math.min(part.first, isNode ? thing : thing.first);
    part.last = Math.max(part.last, isNode ? thing : thing.last);
  }

  // Every box after the one around it.
  inOrder() {
    const found = [this.root];
    for (const box of found) {
      for (const inner of box.boxes) {
        inner.depth = box.depth + 1;
        found.push(inner);
      }
    }
    return found;
  }

  buildTimelines() {
    const timelines = new Map();
    for (const [index, box] of this.boxes.entries()) {
      box.index = index;
      box.owner = box.isStep || !box.parent ? box : box.parent.owner;
      if (!box.isStep) continue;
      const owner = box.parent.owner;
      if (!timelines.has(owner)) timelines.set(owner, new Timeline());
      timelines.get(owner).steps.push(box.step);
      for (let b = box.parent; b && !b.timed; b = b.parent) b.timed = true;
    }
    for (const timeline of timelines.values()) {
      timeline.steps = [...new Set(timeline.steps)].sort((a, b) => a - b);
      timeline.reset();
    }
    return timelines;
  }

  timelineOf(step) {
    return this.timelines.get(step.parent.owner);
  }

  // Steps folded, and of the rest what is deepest, until there is not too much to see.
  foldAtFirst() {
    for (const box of this.boxes) box.open = !box.isStep && !box.part;
    for (const timeline of this.timelines.values()) timeline.reset();
    let { depth } = this.boxes.at(-1); // no other is deeper
    while (depth > 0 && visibleUnits(this).length > MOST_UNITS) {
      for (const box of this.boxes) if (box.depth === depth) box.open = false;
      depth -= 1;
    }
  }
}

// The innermost step that a box is or stands in.
function stepAround(box) {
  let b = box;
  while (b && !b.isStep) b = b.parent;
  return b;
}
