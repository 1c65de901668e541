// The ways that edges take: sideways between steps and within them, else from below to above.

const CORNER = 8;

function pathOf(edge) {
  const { source: a, target: b, link } = edge;
  const { source: left, target: right } = link;
  const apart = right.x >= left.x + left.w || left.x >= right.x + right.w;
  const level = left.y < right.y + right.h && right.y < left.y + left.h;
  const steps = Boolean(left.column && right.column);
  edge.sideways = apart && (level || steps || Boolean(link.across));
  if (link.across && left.line < right.line) return wrappedPath(a, b, left, right);
  if (edge.sideways) return sidewaysPath(edge, right.x >= left.x, steps);
  return link.lane ? lanePath(a, b, link.lane) : upwardPath(a, b);
}

function sidewaysPath(edge, forward, steps) {
  const { source: a, target: b, link } = edge;
  const start = { x: forward ? a.x + a.w : a.x, y: a.y + a.h / 2 };
  const end = { x: forward ? b.x : b.x + b.w, y: b.y + b.h / 2 };
  edge.middle = { x: (start.x + end.x) / 2, y: (start.y + end.y) / 2 };
  const out = steps && a !== link.source ? a.out ?? [] : [];
  const into = steps && b !== link.target ? b.into ?? [] : [];
  const bends = [...out, ...link.via, ...into].map((v) => ({ x: v.x, y: v.y + v.h / 2 }));
  return smooth([start, ...bends, end]);
}

function smooth(points) {
  let d = `M${points[0].x} ${points[0].y}`;
  for (let i = 1; i < points.length; i++) {
    const [p, q] = [points[i - 1], points[i]];
    const bow = (q.x - p.x) / 2;
    d += `C${p.x + bow} ${p.y} ${q.x - bow} ${q.y} ${q.x} ${q.y}`;
  }
  return d;
}

function upwardPath(a, b) {
  const up = b.y + b.h <= a.y;
  const start = { x: a.x + a.w / 2, y: up ? a.y : a.y + a.h };
  const end = { x: b.x + b.w / 2, y: up ? b.y + b.h : b.y };
  const bow = (end.y - start.y) / 2;
  return `M${start.x} ${start.y}C${start.x} ${start.y + bow} ${end.x} ${end.y - bow} ${end.x} ${end.y}`;
}

// From the end of one line to the beginning of a later one.
function wrappedPath(a, b, left, right) {
  const [x, y] = [left.x + left.w + CORNER, a.y + a.h / 2];
  const [toX, toY] = [right.x - CORNER, b.y + b.h / 2];
  const between = right.y - right.inLine - LINE_GAP / 2;
  return rounded([[a.x + a.w, y], [x, y], [x, between], [toX, between], [toX, toY], [b.x, toY]]);
}

// Up beside the boxes between, with round corners.
function lanePath(a, b, { off, below, above, unit }) {
  const x = unit.originX + unit.middle + off;
  const low = unit.originY + below.y - LEVEL_GAP / 2;
  const high = unit.originY + above.y + above.h + LEVEL_GAP / 2;
  const [from, to] = [a.x + a.w / 2, b.x + b.w / 2];
  return rounded([[from, a.y], [from, low], [x, low], [x, high], [to, high], [to, b.y + b.h]]);
}

function rounded(points) {
  let d = `M${points[0].join(" ")}`;
  for (let i = 1; i < points.length - 1; i++) {
    const [before, at, after] = points.slice(i - 1, i + 2);
    d += `L${towards(at, before)}Q${at.join(" ")} ${towards(at, after)}`;
  }
  return `${d}L${points.at(-1).join(" ")}`;
}

// The point a corner's radius away from one point on the way to another.
function towards([x, y], [toX, toY]) {
  const length = Math.hypot(toX - x, toY - y) || 1;
  const share = Math.min(CORNER, length / 2) / length;
  return `${x + (toX - x) * share} ${y + (toY - y) * share}`;
}
