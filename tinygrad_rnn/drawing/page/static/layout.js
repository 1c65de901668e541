// Where everything stands: time from left to right, layers from bottom to top.

const PAD = 10;
const HEADER = 24;
const STEP_GAP = 40;
const WIDEST_LABEL = 120;

// Gives each unit x, y, w and h. Inner boxes are measured first, then all are put in their places.
function layOut(units) {
  const open = units.filter((u) => u.kind === "open");
  for (const unit of open) unit.level = levelOf(unit.box);
  const tracks = new Map();
  for (const unit of open.sort((a, b) => b.level - a.level || b.box.depth - a.box.depth)) {
    if (unit.box.timed) {
      const { owner } = unit.box;
      if (!tracks.has(owner)) tracks.set(owner, trackOf(owner, units));
      measureUp(unit, tracks.get(owner));
    } else if (unit.units.some((u) => u.box && !u.box.part)) measureUp(unit, null);
    else measureAcross(unit);
  }
  place(units);
}

// How many steps a box stands in: the steps of inner loops are measured before those of outer ones.
function levelOf(box) {
  let level = 0;
  for (let b = box; b; b = b.parent) level += b.isStep;
  return level;
}

function measureAcross(unit) {
  const mirrored = goesBack(unit);
  const options = { mirrored, ...(unit.column ? passing(unit, mirrored) : {}) };
  const size = unit.units.length
    ? layOutAcross(unit.units, [...unit.links.values()], options)
    : { w: 0, h: 0 };
  enclose(unit, size);
}

// What hands something on from a step to later ones, and what takes something from earlier ones.
function passing(step, mirrored) {
  const [leaving, coming] = [new Set(), new Set()];
  for (const { source, target, edges } of step.around.links.values()) {
    if (!isHandedOn(source, target, mirrored)) continue;
    for (const edge of edges) {
      if (edge.source.around === step) leaving.add(edge.source);
      if (edge.target.around === step) coming.add(edge.target);
    }
  }
  return { leaving: [...leaving], coming: [...coming] };
}

function isHandedOn(source, target, mirrored) {
  if (!source.column || !target.column) return false;
  return source.column.place < target.column.place !== mirrored;
}

// Whether the steps around a box run from the last to the first.
function goesBack(unit) {
  const step = unit.box.isStep ? unit : null;
  if (!step) return unit.around ? unit.around.box.isStep && goesBack(unit.around) : false;
  let balance = 0;
  for (const { source, target } of step.around.links.values()) {
    if (source.column && target.column) balance += Math.sign(target.column.place - source.column.place);
  }
  return balance < 0;
}

function enclose(unit, size) {
  const title = unit.around ? textWidth(headerOf(unit.box), 12, 700) + 16 : 0;
  unit.inner = size;
  unit.w = Math.max(size.w, title) + 2 * PAD;
  unit.h = size.h + 2 * PAD + (unit.around ? HEADER - PAD / 2 : 0);
}

// The columns that the steps of one owner share: wide enough for the widest in each.
function trackOf(owner, units) {
  const steps = units.filter((u) => u.column && u.around.box.owner === owner);
  const widths = [];
  for (const unit of steps) {
    widths[unit.column.place] = Math.max(widths[unit.column.place] ?? 0, unit.w);
  }
  const gap = STEP_GAP + Math.min(WIDEST_LABEL, widestLabel(new Set(steps.map((u) => u.around))));
  const x = [];
  let w = -gap;
  for (const [place, width] of widths.entries()) {
    x[place] = w + gap;
    w += gap + (width ?? 0);
  }
  return { widths, x, w: Math.max(0, w) };
}

// Of what neighbouring steps hand to each other.
function widestLabel(rows) {
  let widest = 0;
  for (const row of rows) {
    for (const { source, target, edges } of row.links.values()) {
      if (!source.column || !target.column) continue;
      for (const edge of edges) widest = Math.max(widest, textWidth(labelOf(edge), 11));
    }
  }
  return widest;
}

function labelOf(edge) {
  return shortened([...edge.names].join(", "), 16);
}

// From places within the box around to places in the picture.
function place(units) {
  for (const unit of units) {
    const { around } = unit;
    if (!around) Object.assign(unit, { x: 0, y: 0 });
    const left = around ? around.originX : 0;
    const top = around ? around.originY : 0;
    unit.x += left;
    unit.y += top;
    if (unit.kind !== "open") continue;
    unit.originX = unit.x + (unit.w - unit.inner.w) / 2;
    unit.originY = unit.y + PAD + (around ? HEADER - PAD / 2 : 0);
    for (const joint of jointsIn(unit)) {
      joint.x += unit.originX;
      joint.y += unit.originY;
    }
  }
}

// The bends in a box.
function jointsIn(unit) {
  const ofLinks = [...unit.links.values()].flatMap((link) => link.via);
  return [...ofLinks, ...unit.units.flatMap((u) => [...(u.out ?? []), ...(u.into ?? [])])];
}
