// The page as a whole: what a click does, and what is drawn anew after it.

class App {
  constructor(data) {
    this.graph = new Graph(data);
    this.svg = document.getElementById("picture");
    this.layers = {};
    const stage = element("g");
    for (const name of ["boxes", "edges", "headers", "units", "labels"]) {
      this.layers[name] = element("g", { class: name });
      stage.append(this.layers[name]);
    }
    this.svg.append(arrowHeads(), stage);
    this.view = new View(this.svg, stage);
    this.panel = new Panel(document.getElementById("panel"), this.graph);
    this.scale = new Scale(data.scale);
    this.search = new Search(this);
    this.play = new Play(this);
    this.listen();
    this.offerColours();
    this.redraw();
    this.view.fit(this.units[0]);
  }

  listen() {
    const { svg } = this;
    svg.addEventListener("click", (event) => { // browsers differ in where the one after a drag goes
      if (!this.view.dragged) this.toggle(this.unitOf(event.target));
    });
    svg.addEventListener("pointerover", (event) => this.look(this.unitOf(event.target)));
    svg.addEventListener("focusin", (event) => {
      const unit = this.unitOf(event.target);
      this.look(unit);
      if (unit) this.view.bringIn(unit);
    });
    svg.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      this.toggle(this.unitOf(event.target));
    });
    const clicks = {
      "fold-all": () => this.foldAll(),
      "zoom-in": () => this.view.zoom(ZOOM_STEP),
      "zoom-out": () => this.view.zoom(1 / ZOOM_STEP),
      fit: () => this.view.fit(this.units[0]),
    };
    for (const [id, act] of Object.entries(clicks)) document.getElementById(id).addEventListener("click", act);
  }

  offerColours() {
    if (!this.scale.known) return;
    document.getElementById("by-gradient").hidden = false;
    this.scale.fillLegend(document.getElementById("legend"));
    document.getElementById("colour").addEventListener("change", () => this.play.show());
  }

  unitOf(target) {
    return this.byKey.get(target.closest("[data-key]")?.dataset.key);
  }

  redraw() {
    const { graph } = this;
    this.units = visibleUnits(graph);
    const owner = owners(graph, this.units);
    this.edges = visibleEdges(graph, this.units, owner);
    addLinks(this.units, this.edges);
    measure(graph, this.units);
    layOut(this.units);
    drawAll(graph, this.units, this.edges, this.layers);
    this.byKey = new Map(this.units.map((unit) => [unit.key, unit]));
    this.view.size = { w: this.units[0].w, h: this.units[0].h };
    this.play.update(this.units, owner);
  }

  // Opens what is folded and folds what is open.
  toggle(unit) {
    if (!unit || unit.kind === "node" || !unit.around) return;
    if (unit.kind === "gap") this.graph.timelines.get(unit.box.owner).openGap(unit.column);
    else unit.box.open = !unit.box.open;
    this.redraw();
    const after = this.byKey.get(unit.key) ?? this.units.find((u) => u.first === unit.first && u.box);
    if (after) this.view.keep(unit, after);
    this.focusOn(after);
  }

  focusOn(unit) {
    (unit?.element ?? this.svg).focus({ preventScroll: true });
  }

  foldAll() {
    this.graph.foldAtFirst();
    this.redraw();
    this.view.fit(this.units[0]);
  }

  look(unit) {
    if (!unit || !unit.around) return;
    this.panel.show(unit, this.edges);
    for (const { element: path, source, target } of this.edges) {
      path.classList.toggle("near", source === unit || target === unit);
    }
  }

  // Opens all that is around a node or a box, and brings it into the middle.
  reveal({ box, node }) {
    for (let b = box ?? this.graph.boxOf[node]; b; b = b.parent) {
      if (b !== box) b.open = true;
      if (b.isStep) this.graph.timelineOf(b).shown.add(b.step);
    }
    this.redraw();
    const unit = this.byKey.get(box ? `b${box.index}` : `n${node}`);
    this.view.show(unit);
    this.focusOn(unit);
  }

  coloursOf(unit) {
    if (unit.kind === "gap") {
      const shades = unit.shades ??= shadesOf(this.graph, unit, this.scale);
      if (shades && !shades.isConnected) unit.element.prepend(shades);
      return shades ? { fill: `url(#${shades.id})`, ink: "#ffffff" } : { fill: "", ink: "" };
    }
    const norm = normOf(this.graph, unit);
    return norm === null ? { fill: "", ink: "" } : this.scale.colours(norm);
  }

  // Colours a unit by its gradient's norm, when that is asked for or a cotangent has come.
  paint(unit, back) {
    const rect = unit.kind === "open" ? null : unit.element.querySelector("rect");
    if (!rect) return;
    const wanted = this.scale.known && (back || document.getElementById("colour").checked);
    const colours = wanted ? this.coloursOf(unit) : { fill: "", ink: "" };
    rect.style.fill = colours.fill;
    unit.element.style.fill = colours.ink;
    unit.element.classList.toggle("coloured", colours.fill !== "");
    unit.element.classList.toggle("shaded", unit.kind === "gap" && colours.fill !== "");
    document.getElementById("legend").hidden = !(this.scale.known && (wanted || this.play.current()?.back));
  }
}

function arrowHeads() {
  const kinds = ["plain", "parameter", "backward", "near", "back"];
  return element("defs", {}, ...kinds.map((kind) =>
    element("marker", { id: `arrow-${kind}`, viewBox: "0 0 8 8", refX: 7.5, refY: 4, markerWidth: 7,
      markerHeight: 7, orient: "auto", markerUnits: "userSpaceOnUse" },
      element("path", { d: "M0 0.5L8 4L0 7.5Z", class: `arrow ${kind}` }))));
}

new App(JSON.parse(document.getElementById("data").textContent));
