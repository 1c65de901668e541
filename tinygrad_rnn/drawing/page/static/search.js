// Finds boxes and nodes by name, and nodes by operation.

const MOST_FOUND = 40;

class Search {
  constructor(app) {
    this.app = app;
    this.input = document.getElementById("query");
    this.list = document.getElementById("found");
    this.input.addEventListener("input", () => this.update());
    this.input.addEventListener("keydown", (event) => this.onKey(event));
    this.list.addEventListener("click", (event) => this.choose(event.target.closest("button")));
    this.list.addEventListener("keydown", (event) => this.onKey(event));
  }

  update() {
    const query = this.input.value.trim().toLowerCase();
    const found = query ? this.matches(query) : [];
    this.list.replaceChildren(...found.slice(0, MOST_FOUND).map((match) => this.entry(match)));
    const more = found.length - MOST_FOUND;
    if (query && (more > 0 || !found.length)) {
      const note = document.createElement("li");
      note.textContent = more > 0 ? `… and ${more.toLocaleString("en")} more` : "nothing has this name";
      this.list.append(note);
    }
    this.list.hidden = !query;
  }

  // Whole names come first, then beginnings of names, other parts of them, and operations.
  matches(query) {
    const { graph } = this.app;
    const found = [[], [], [], []];
    const add = (text, match) => {
      const at = text.toLowerCase().indexOf(query);
      if (at >= 0) found[at ? 2 : text.length === query.length ? 0 : 1].push(match);
      return at >= 0;
    };
    for (const box of graph.boxes) if (box.parent && !box.part) add(box.name, { box });
    for (let node = 0; node < graph.count; node++) {
      if (add(graph.text("name", node), { node })) continue;
      if (graph.text("label", node).toLowerCase().includes(query)) found[3].push({ node });
    }
    return found.flat();
  }

  entry({ box, node }) {
    const { graph } = this.app;
    const name = box ? box.name : graph.text("name", node) || graph.text("label", node);
    const button = document.createElement("button");
    button.type = "button";
    button.dataset[box ? "box" : "node"] = box ? box.index : node;
    const where = document.createElement("small");
    where.textContent = visible(pathText(box ? box.parent : graph.boxOf[node]));
    button.append(shortened(name, 44), where);
    const item = document.createElement("li");
    item.append(button);
    return item;
  }

  choose(button) {
    if (!button) return;
    const { graph } = this.app;
    const { box, node } = button.dataset;
    this.app.reveal(box === undefined ? { node: Number(node) } : { box: graph.boxes[box] });
    this.list.hidden = true;
  }

  onKey(event) {
    const buttons = [...this.list.querySelectorAll("button")];
    const at = buttons.indexOf(document.activeElement);
    if (event.key === "Escape") {
      this.list.hidden = true;
      this.input.focus();
    } else if (event.key === "Enter" && at < 0) this.choose(buttons[0]);
    else if (event.key === "ArrowDown") buttons[Math.min(at + 1, buttons.length - 1)]?.focus();
    else if (event.key === "ArrowUp") (buttons[at - 1] ?? this.input).focus();
    else return;
    event.preventDefault();
  }
}
