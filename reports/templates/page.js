(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  for (const table of document.querySelectorAll(".sortable")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => head.querySelector("button")?.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") !== "descending";
      heads.forEach((h) => h.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const key = (row) => parseFloat(row.cells[column].dataset.value);
      const rows = [...table.tBodies[0].rows].sort((a, b) => (down ? key(b) - key(a) : key(a) - key(b)));
      table.tBodies[0].append(...rows);
    }));
  }
  const closed = () => [...document.querySelectorAll("details:not([open])")];
  let opened = [];
  addEventListener("beforeprint", () => { opened = closed(); opened.forEach((d) => { d.open = true; }); });
  addEventListener("afterprint", () => opened.forEach((d) => { d.open = false; }));
  if (!data) return;
  const strip = document.getElementById("strip"), squares = [...document.querySelectorAll(".blocks")];
  const n = data.true.length;
  let row = -1, pinned = false;
  const make = (tag, kind, text) => {
    const e = document.createElement(tag);
    if (kind) e.className = kind;
    if (text !== undefined) e.textContent = text;
    return e;
  };
  const picture = (item, note, other) => {
    const e = make("span", other ? "one other" : "one");
    if (data.shown[item]) {
      const p = make("span", "pic");
      p.style.backgroundPosition = `-${(item % 20) * 32}px -${Math.floor(item / 20) * 32}px`;
      p.dataset.item = data.names[item];
      p.setAttribute("role", "img");
      p.setAttribute("aria-label", data.names[item]);
      p.title = data.names[item];
      e.append(p);
    }
    e.append(make("span", "", `${other ? "✗ " : ""}${data.classes[data.true[item]]}`), make("br"), make("span", "note", note));
    return e;
  };
  const show = (next) => {
    row = Math.max(0, Math.min(n - 1, next));
    document.querySelectorAll(".blocks .row").forEach((mark) => mark.setAttribute("y", row));
    const query = make("div", "near");
    query.append(make("b", "", `Image ${row + 1} of ${n}${pinned ? ", pinned" : ""}`), picture(row, data.names[row], false));
    strip.replaceChildren(query);
    data.encoders.forEach((name, e) => {
      const line = make("div", "near");
      line.append(make("b", "", name));
      data.neighbours[e][row].forEach((item, k) =>
        line.append(picture(item, data.distances[e][row][k].toPrecision(3), data.true[item] !== data.true[row])));
      strip.append(line);
    });
  };
  const at = (event, svg) => {
    const box = svg.getBoundingClientRect();
    return Math.floor(((event.clientY - box.top) / box.height) * n);
  };
  for (const svg of squares) {
    svg.addEventListener("pointermove", (event) => { if (!pinned) show(at(event, svg)); });
    svg.addEventListener("click", (event) => { pinned = !pinned; show(at(event, svg)); });
    svg.addEventListener("focus", () => { if (row < 0) show(0); });
    svg.addEventListener("keydown", (event) => {
      const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10 }[event.key];
      if (step) { event.preventDefault(); show(row + step); }
      if (event.key === "Enter") { pinned = !pinned; show(row); }
    });
  }
})();
