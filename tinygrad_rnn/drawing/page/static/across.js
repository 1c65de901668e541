// A small graph of units laid out from left to right: each after those it needs.

const COLUMN_GAP = 34;
const ROW_GAP = 14;
const LINE_GAP = 30;
const WIDEST_LINE = 1600;
const SWEEPS = 6;
const MOST_JOINTS = 2000;

// Gives each unit its x and y; returns the size of all, and gives links their bends. Units in
// `leaving` are joined with what is after all others, those in `coming` with what is before them.
function layOutAcross(units, links, { mirrored = false, leaving = [], coming = [] } = {}) {
  const ranks = ranked(units, links);
  const joints = [...units];
  const pieces = bent(links, ranks, joints);
  const last = Math.max(...ranks.values());
  for (const unit of leaving) unit.out = [...bend(unit, ranks.get(unit), last + 1, ranks, joints, pieces)];
  for (const unit of coming) unit.into = [...bend(null, -1, ranks.get(unit), ranks, joints, pieces, unit)];
  const columns = [];
  for (const joint of joints) (columns[ranks.get(joint)] ??= []).push(joint);
  arrange(columns, pieces);
  const wraps = !mirrored && !leaving.length && !coming.length;
  return putInLines(columns, wraps ? WIDEST_LINE : Infinity, mirrored);
}

// Columns from left to right; in several lines if they are too many for one.
function putInLines(columns, widest, mirrored) {
  const size = { w: 0, h: 0 };
  const lines = [[]];
  let x = 0;
  for (const column of columns) {
    const width = Math.max(...column.map((u) => u.w));
    if (x && x + width > widest) {
      lines.push([]);
      x = 0;
    }
    for (const unit of column) unit.x = x + (width - unit.w) / 2;
    lines.at(-1).push(...column);
    size.w = Math.max(size.w, x + width);
    x += width + COLUMN_GAP;
  }
  for (const [number, line] of lines.entries()) {
    const top = Math.min(...line.map((u) => u.y)) - size.h;
    for (const unit of line) {
      unit.y -= top;
      unit.line = number;
      unit.inLine = unit.y - size.h;
      if (mirrored) unit.x = size.w - unit.x - unit.w;
    }
    size.h = Math.max(...line.map((u) => u.y + u.h)) + LINE_GAP;
  }
  size.h -= LINE_GAP;
  return size;
}

// The longest way to each unit, in links; what needs nothing stands just before its first use.
function ranked(units, links) {
  const ordered = [...units].sort((a, b) => a.first - b.first);
  const [before, after] = neighbours(ordered, links);
  const ranks = new Map();
  for (const unit of ordered) {
    ranks.set(unit, Math.max(0, ...before.get(unit).map((u) => ranks.get(u) + 1)));
  }
  for (const unit of ordered) {
    const next = after.get(unit).map((u) => ranks.get(u));
    if (!before.get(unit).length && next.length) ranks.set(unit, Math.min(...next) - 1);
  }
  return ranks;
}

// By unit: those before and those after it. A link back to an earlier unit doesn't count.
function neighbours(units, links) {
  const before = new Map(units.map((u) => [u, []]));
  const after = new Map(units.map((u) => [u, []]));
  for (const { source, target } of links) {
    if (!before.has(source) || !before.has(target) || source.first >= target.first) continue;
    before.get(target).push(source);
    after.get(source).push(target);
  }
  return [before, after];
}

// Links over several columns get a bend in each of those between, so that they pass beside units.
function bent(links, ranks, joints) {
  const pieces = [];
  for (const link of links) {
    const [from, to] = [ranks.get(link.source), ranks.get(link.target)];
    if (from === undefined || to === undefined) continue;
    link.via = [...bend(link.source, from, to, ranks, joints, pieces, link.target)];
    link.across = true;
  }
  return pieces;
}

// A bend in each column between two.
function* bend(source, from, to, ranks, joints, pieces, target = null) {
  let last = source;
  for (let rank = from + 1; rank < to && joints.length < MOST_JOINTS; rank++) {
    const made = { w: 0, h: 4, first: (source ?? target).first };
    ranks.set(made, rank);
    joints.push(made);
    if (last) pieces.push([last, made]);
    last = made;
    yield made;
  }
  if (last && target) pieces.push([last, target]);
}

// The order in each column, and heights that keep pieces straight.
function arrange(columns, pieces) {
  const [left, right] = [new Map(), new Map()];
  for (const [a, b] of pieces) {
    if (!right.has(a)) right.set(a, []);
    if (!left.has(b)) left.set(b, []);
    right.get(a).push(b);
    left.get(b).push(a);
  }
  for (const column of columns) {
    column.sort((a, b) => a.first - b.first);
    let y = 0;
    for (const unit of column) {
      unit.y = y;
      y += unit.h + ROW_GAP;
    }
    for (const unit of column) unit.y -= y / 2;
  }
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const forward = sweep % 2 === 0;
    for (const column of forward ? columns : [...columns].reverse()) {
      settle(column, forward ? left : right);
    }
  }
}

// Moves the units of a column towards their neighbours, without any overlap.
function settle(column, neighboursOf) {
  const wish = new Map();
  for (const unit of column) {
    const near = neighboursOf.get(unit) ?? [];
    const middles = near.map((u) => u.y + u.h / 2);
    const middle = middles.length ? middles.reduce((a, b) => a + b) / middles.length : unit.y + unit.h / 2;
    wish.set(unit, middle);
  }
  column.sort((a, b) => wish.get(a) - wish.get(b) || a.first - b.first);
  let groups = [];
  for (const unit of column) {
    let group = { units: [unit], h: unit.h, wish: wish.get(unit), weight: 1 };
    while (groups.length && topOf(group) < topOf(groups.at(-1)) + groups.at(-1).h + ROW_GAP) {
      group = together(groups.pop(), group);
    }
    groups.push(group);
  }
  for (const group of groups) {
    let y = topOf(group);
    for (const unit of group.units) {
      unit.y = y;
      y += unit.h + ROW_GAP;
    }
  }
}

function topOf(group) {
  return group.wish - group.h / 2;
}

// Two groups that would overlap, as one about the mean of what both wish.
function together(a, b) {
  const h = a.h + ROW_GAP + b.h;
  const middleA = a.wish + (h - a.h) / 2;
  const middleB = b.wish - (h - b.h) / 2;
  const weight = a.weight + b.weight;
  return { units: [...a.units, ...b.units], h, weight,
    wish: (middleA * a.weight + middleB * b.weight) / weight };
}
