// The forward pass and then backpropagation, moment by moment.

const WHOLE_PLAY = 20000; // milliseconds at most, and at least so long for each moment:
const [SHORTEST, LONGEST] = [30, 450];

class Play {
  constructor(app) {
    this.app = app;
    this.slider = document.getElementById("slider");
    this.output = document.getElementById("moment");
    this.button = document.getElementById("play");
    this.moments = [];
    this.slider.addEventListener("input", () => this.show());
    this.button.addEventListener("click", () => (this.timer ? this.stop() : this.start()));
  }

  // The moments as the picture shows them now: a folded step is one, an opened one has many.
  update(units, owner) {
    const at = this.current();
    const ended = this.moments.length > 0 && this.position() === 2 * this.moments.length;
    this.units = units;
    this.moments = this.momentsOf(owner);
    const count = this.moments.length;
    this.slider.max = 2 * count;
    if (at) {
      const found = this.moments.findIndex((m) => at.node < m.to);
      const place = found < 0 ? count - 1 : found;
      this.slider.value = at.back ? 2 * count - place : place + 1;
    }
    if (ended) this.slider.value = 2 * count;
    this.show();
  }

  momentsOf(owner) {
    const { graph } = this.app;
    const moments = [];
    let last = null;
    for (let node = 0; node < graph.count; node++) {
      if (graph.nodes.kind[node] === PARAMETER || graph.nodes.kind[node] === INPUT) continue;
      const unit = owner[node];
      const box = unit.kind === "gap" ? stepAround(graph.boxOf[node]) : null;
      if (last && last.unit === unit && last.box === box) last.to = node + 1;
      else moments.push((last = { unit, box, from: node, to: node + 1 }));
    }
    return moments;
  }

  position() {
    return Number(this.slider.value);
  }

  // The operation at which the slider stands, and whether on the way back; null at the start.
  current() {
    const position = this.position();
    const count = this.moments.length;
    if (!position || !count) return null;
    const back = position > count;
    const moment = this.moments[back ? 2 * count - position : position - 1];
    return { back, moment, node: moment.from };
  }

  show() {
    const now = this.current();
    document.body.classList.toggle("playing", Boolean(now));
    document.body.classList.toggle("going-back", Boolean(now?.back));
    for (const unit of this.units) this.mark(unit, now);
    for (const edge of this.app.edges) this.markEdge(edge, now);
    this.output.textContent = now ? this.described(now) : "the whole graph";
    this.slider.setAttribute("aria-valuetext", this.output.textContent);
  }

  // later: not made yet; made; back: a cotangent has come; now: at this moment.
  mark(unit, now) {
    unit.state = "";
    if (now) {
      const { moment, back } = now;
      const reached = back ? unit.last >= moment.from : unit.first < moment.to;
      unit.state = back ? (reached ? "back" : "made") : reached ? "made" : "later";
    }
    const list = unit.element?.classList;
    if (!list) return;
    for (const state of ["later", "made", "back"]) list.toggle(state, unit.state === state);
    list.toggle("now", now?.moment.unit === unit);
    this.app.paint(unit, now?.back ? unit.state === "back" : false);
  }

  markEdge({ element: path, labelElement, source, target }, now) {
    const states = [source.state, target.state];
    for (const each of [path, labelElement]) each?.classList.toggle("later", states.includes("later"));
    path.classList.toggle("back", Boolean(now?.back) && states.every((s) => s === "back"));
    const { unit } = now?.moment ?? {};
    path.classList.toggle("now", Boolean(now) && (now.back ? source : target) === unit);
  }

  described({ back, moment }) {
    const { graph } = this.app;
    const place = this.moments.indexOf(moment) + 1;
    const count = this.moments.length;
    const way = back ? `backward ${count - place + 1} of ${count}` : `forward ${place} of ${count}`;
    const { unit, box } = moment;
    const what = unit.kind === "node"
      ? [pathText(graph.boxOf[unit.node]), graph.text("name", unit.node) || graph.text("label", unit.node)]
      : [pathText(box ?? unit.box)];
    const norm = back ? normOf(graph, unit) : null;
    if (norm !== null) what.push(`gradient norm ${shownNumber(norm)}`);
    return visible(`${way}: ${what.filter(Boolean).join(", ")}`);
  }

  start() {
    const end = 2 * this.moments.length;
    if (this.position() >= end) this.slider.value = 0;
    const wait = Math.min(LONGEST, Math.max(SHORTEST, WHOLE_PLAY / Math.max(1, end)));
    const stride = Math.max(1, Math.round((end * wait) / WHOLE_PLAY));
    this.button.textContent = "❚❚";
    this.button.setAttribute("aria-label", "Pause");
    this.timer = setInterval(() => {
      this.slider.value = Math.min(end, this.position() + stride);
      this.show();
      if (this.position() >= end) this.stop();
    }, wait);
  }

  stop() {
    clearInterval(this.timer);
    this.timer = null;
    this.button.textContent = "▶";
    this.button.setAttribute("aria-label", "Play");
  }
}
