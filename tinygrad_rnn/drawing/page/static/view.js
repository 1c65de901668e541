// Moving about: dragging, the wheel, two fingers, buttons and keys.

const ZOOM_STEP = 1.3;
const [SMALLEST, LARGEST, AT_FIRST] = [0.005, 6, 1.15];
const DRAG_FROM = 4; // pixels: less is a click

class View {
  constructor(svg, stage) {
    Object.assign(this, { svg, stage, x: 0, y: 0, scale: 1, pointers: new Map(), dragged: false });
    svg.addEventListener("wheel", (event) => this.onWheel(event), { passive: false });
    svg.addEventListener("pointerdown", (event) => this.onDown(event));
    svg.addEventListener("pointermove", (event) => this.onMove(event));
    for (const name of ["pointerup", "pointercancel"]) {
      svg.addEventListener(name, (event) => this.pointers.delete(event.pointerId));
    }
    svg.addEventListener("keydown", (event) => this.onKey(event));
    window.addEventListener("beforeprint", () => this.forPrint(true));
    window.addEventListener("afterprint", () => this.forPrint(false));
  }

  apply() {
    this.stage.setAttribute("transform", `translate(${this.x} ${this.y}) scale(${this.scale})`);
  }

  // Zooms about a point of the window.
  zoom(factor, at = this.middle()) {
    const scale = Math.min(LARGEST, Math.max(SMALLEST, this.scale * factor));
    const { left, top } = this.svg.getBoundingClientRect();
    const [px, py] = [at.x - left, at.y - top];
    this.x = px - (px - this.x) * (scale / this.scale);
    this.y = py - (py - this.y) * (scale / this.scale);
    this.scale = scale;
    this.apply();
  }

  middle() {
    const { left, top, width, height } = this.svg.getBoundingClientRect();
    return { x: left + width / 2, y: top + height / 2 };
  }

  pan(dx, dy) {
    this.x += dx;
    this.y += dy;
    this.apply();
  }

  fit({ w, h }) {
    this.size = { w, h };
    const { width, height } = this.svg.getBoundingClientRect();
    this.scale = Math.min(AT_FIRST, Math.max(SMALLEST, Math.min((width - 24) / w, (height - 24) / h)));
    this.x = (width - w * this.scale) / 2;
    this.y = (height - h * this.scale) / 2;
    this.apply();
  }

  // Brings a place into the middle, large enough to read.
  show(unit) {
    const { width, height } = this.svg.getBoundingClientRect();
    this.scale = Math.min(LARGEST, Math.max(this.scale, 0.8));
    this.x = width / 2 - (unit.x + unit.w / 2) * this.scale;
    this.y = height / 2 - (unit.y + unit.h / 2) * this.scale;
    this.apply();
  }

  // Moves a unit that has got the focus, but is out of sight, into the middle.
  bringIn(unit) {
    const { width, height } = this.svg.getBoundingClientRect();
    const x = this.x + (unit.x + (unit.kind === "open" ? 20 : unit.w / 2)) * this.scale;
    const y = this.y + (unit.y + (unit.kind === "open" ? 12 : unit.h / 2)) * this.scale;
    if (x < 0 || y < 0 || x > width || y > height) this.pan(width / 2 - x, height / 2 - y);
  }

  // Keeps a unit where it is on the screen though it has moved in the picture.
  keep(before, after) {
    this.pan((before.x - after.x) * this.scale, (before.y - after.y) * this.scale);
  }

  onWheel(event) {
    event.preventDefault();
    this.zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015)), event);
  }

  onDown(event) {
    this.pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    if (this.pointers.size === 1) {
      this.dragged = false;
      this.from = { x: event.clientX, y: event.clientY };
    }
  }

  onMove(event) {
    const last = this.pointers.get(event.pointerId);
    if (!last) return;
    if (!event.buttons) {
      this.pointers.delete(event.pointerId);
      return;
    }
    const now = { x: event.clientX, y: event.clientY };
    if (!this.dragged && Math.hypot(now.x - this.from.x, now.y - this.from.y) < DRAG_FROM) return;
    this.dragged = true;
    this.svg.setPointerCapture(event.pointerId);
    const other = [...this.pointers].find(([id]) => id !== event.pointerId)?.[1];
    this.pointers.set(event.pointerId, now);
    if (!other) {
      this.pan(now.x - last.x, now.y - last.y);
      return;
    }
    const distance = (p) => Math.max(1, Math.hypot(p.x - other.x, p.y - other.y));
    this.zoom(distance(now) / distance(last), { x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 });
    this.pan((now.x - last.x) / 2, (now.y - last.y) / 2);
  }

  onKey(event) {
    const moves = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] };
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key in moves) this.pan(...moves[event.key]);
    else if (event.key === "+" || event.key === "=") this.zoom(ZOOM_STEP);
    else if (event.key === "-") this.zoom(1 / ZOOM_STEP);
    else if (event.key === "0") this.fit(this.size);
    else return;
    event.preventDefault();
  }

  // On paper the whole picture, whatever part of it is on the screen.
  forPrint(printing) {
    if (printing) {
      this.svg.setAttribute("viewBox", `-8 -8 ${this.size.w + 16} ${this.size.h + 16}`);
      this.stage.removeAttribute("transform");
    } else {
      this.svg.removeAttribute("viewBox");
      this.apply();
    }
  }
}
