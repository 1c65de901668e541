// A box whose contents stand above each other, in levels: layers, and the steps of a loop as a row.

const LEVEL_GAP = 26;
const WIDEST_ROW = 1500;
const LANE = 9; // between lines that pass beside boxes

// A box in levels from bottom to top: what stands loose, then the boxes that need it, and so on.
function measureUp(unit, track) {
  const row = unit.units.filter((u) => u.column);
  const levels = levelsOf(unit, row);
  const blocks = [];
  for (const { loose, plain, timed } of levels) {
    if (loose.length) blocks.push(strip(loose, unit));
    if (plain.length) blocks.push(sideBySide(plain, LEVEL_GAP));
    for (const each of timed) blocks.push(each === row ? rowBlock(row, track) : boxBlock(each));
  }
  const widest = Math.max(0, ...blocks.map((b) => b.w)) + 2 * addLanes(unit, blocks);
  const size = { w: widest, h: 0 };
  for (const block of [...blocks].reverse()) { // from the top
    if (size.h) size.h += LEVEL_GAP;
    block.x = (widest - block.w) / 2;
    block.y = size.h;
    for (const u of [...block.units, ...(block.bends ?? [])]) {
      u.x += block.x;
      u.y += block.y;
    }
    size.h += block.h;
  }
  unit.middle = widest / 2;
  enclose(unit, size);
}

// Links past other blocks get a lane beside them; returns the room that lanes take on a side.
function addLanes(unit, blocks) {
  const blockOf = new Map(blocks.flatMap((block, i) => block.units.map((u) => [u, i])));
  const lanes = { left: 0, right: 0 };
  for (const link of unit.links.values()) {
    const [a, b] = [blockOf.get(link.source), blockOf.get(link.target)];
    if (b - a < 2) continue;
    const half = Math.max(...blocks.slice(a + 1, b).map((block) => block.w)) / 2;
    const end = link.edges[0].target;
    const side = end !== link.target && centreIn(end, link.target) < link.target.w / 2 - 1 ? "left" : "right";
    lanes[side] += 1;
    const off = half + LANE * lanes[side] + 2;
    link.lane = { off: side === "left" ? -off : off, below: blocks[a], above: blocks[b], unit };
  }
  return LANE * Math.max(lanes.left, lanes.right);
}

// Where the middle of a unit stands in a box around it.
function centreIn(unit, box) {
  let x = unit.w / 2;
  for (let u = unit; u !== box; u = u.around) x += u.x + (u.around.w - u.around.inner.w) / 2;
  return x;
}

function isLoose(unit) {
  return unit.kind === "node" || (unit.box.part && !unit.box.timed);
}

// The units of a box by the number of boxes beneath them on the longest way.
function levelsOf(unit, row) {
  const whole = row.length ? Object.assign(row, { first: Math.min(...row.map((u) => u.first)) }) : null;
  const things = [...unit.units.filter((u) => !u.column), ...(whole ? [whole] : [])];
  const thingOf = (u) => (u.column ? whole : u);
  const links = [];
  for (const { source, target } of unit.links.values()) {
    if (thingOf(source) !== thingOf(target)) {
      links.push({ source: thingOf(source), target: thingOf(target) });
    }
  }
  things.sort((a, b) => a.first - b.first);
  const [before, after] = neighbours(things, links);
  const level = new Map();
  const raised = (u) => level.get(u) + (u === whole || !isLoose(u) ? 1 : 0);
  for (const thing of things) level.set(thing, Math.max(0, ...before.get(thing).map(raised)));
  for (const thing of things) {
    const next = after.get(thing).map((u) => level.get(u));
    if (!before.get(thing).length && next.length && thing !== whole && isLoose(thing)) {
      level.set(thing, Math.min(...next));
    }
  }
  return grouped(things, level, whole);
}

function grouped(things, level, whole) {
  const levels = [];
  for (const thing of things) {
    const group = (levels[level.get(thing)] ??= { loose: [], plain: [], timed: [] });
    if (thing === whole || thing.box?.timed) group.timed.push(thing);
    else group[isLoose(thing) ? "loose" : "plain"].push(thing);
  }
  return levels.filter(Boolean);
}

// Loose units: those that have to do with each other from left to right, the rest in rows.
function strip(loose, unit) {
  const inside = new Set(loose);
  const links = [...unit.links.values()].filter((l) => inside.has(l.source) && inside.has(l.target));
  const joined = new Set(links.flatMap((l) => [l.source, l.target]));
  const alone = sideBySide(loose.filter((u) => !joined.has(u)), ROW_GAP);
  if (!joined.size) return alone;
  const size = layOutAcross(loose.filter((u) => joined.has(u)), links);
  const shift = alone.units.length ? alone.w + COLUMN_GAP : 0;
  const bends = links.flatMap((l) => l.via);
  for (const u of [...joined, ...bends]) u.x += shift;
  return { units: loose, bends, w: shift + size.w, h: Math.max(alone.h, size.h) };
}

// Units in rows, one row if there is room.
function sideBySide(units, gap) {
  const block = { units, w: 0, h: 0 };
  let [x, y, height] = [0, 0, 0];
  for (const unit of units) {
    if (x && x + unit.w > WIDEST_ROW) {
      y += height + gap;
      [x, height] = [0, 0];
    }
    Object.assign(unit, { x, y });
    x += unit.w + gap;
    height = Math.max(height, unit.h);
    block.w = Math.max(block.w, x - gap);
  }
  block.h = y + height;
  return block;
}

// The steps of a box in their columns.
function rowBlock(row, track) {
  const h = Math.max(...row.map((u) => u.h));
  for (const unit of row) {
    const { place } = unit.column;
    unit.x = track.x[place] + (track.widths[place] - unit.w) / 2;
    unit.y = (h - unit.h) / 2;
  }
  return { units: row, w: track.w, h };
}

function boxBlock(unit) {
  Object.assign(unit, { x: 0, y: 0 });
  return { units: [unit], w: unit.w, h: unit.h };
}
