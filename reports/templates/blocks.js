
// pointing at a row of any square marks it in all of them and shows the pictures
(() => {
  const b = data.blocks;
  if (!b) return;
  const NS = "http://www.w3.org/2000/svg", n = b.true.length, $ = (id) => document.getElementById(id);
  const squares = [...document.querySelectorAll(".blocks")], lines = [...document.querySelectorAll(".near")];
  const slider = $("row"), pin = $("pin");
  let row = b.row, pinned = false;
  const kind = (item) => b.classes[b.true[item]];
  const marks = squares.map((svg) => {
    const add = (name) => { const r = document.createElementNS(NS, "rect"); r.setAttribute("class", name); svg.append(r); return r; };
    return { band: add("band"), hits: b.neighbours[0][0].map(() => add("hit")) };
  });
  const set = (e, values) => { for (const [name, value] of Object.entries(values)) e.setAttribute(name, value); };
  const mark = (e) => {
    const size = b.dot * 2, half = size / 2;
    set(marks[e].band, { x: 0, y: row + 0.5 - half, width: n, height: size });
    marks[e].hits.forEach((hit, k) => {
      const item = b.neighbours[e][row][k];
      set(hit, { x: item + 0.5 - half, y: row + 0.5 - half, width: size, height: size, fill: b.true[item] === b.true[row] ? "#fff" : "#d55e00" });
    });
  };
  const draw = (svg, item) => {
    if (!svg) return;
    set(svg, { viewBox: view(b.places[item]), "aria-label": b.names[item], "data-item": b.names[item] });
  };
  const show = (next) => {
    row = Math.max(0, Math.min(n - 1, next));
    slider.value = row + 1;
    slider.setAttribute("aria-valuetext", `row ${row + 1}, ${kind(row)}`);
    draw(document.querySelector(".query .pic"), row);
    $("query").textContent = kind(row);
    $("query-note").textContent = `Row ${row + 1} of ${n}${pinned ? ", pinned" : ""}, ${b.names[row]}`;
    const heard = lines.map((line, e) => {
      mark(e);
      const near = b.neighbours[e][row], same = near.filter((item) => b.true[item] === b.true[row]).length;
      line.querySelector(".same").textContent = `${same} of ${near.length} of its class`;
      line.querySelectorAll(".slot").forEach((slot, k) => {
        const item = near[k];
        slot.classList.toggle("other", b.true[item] !== b.true[row]);
        draw(slot.querySelector(".pic"), item);
        slot.querySelector(".class").textContent = kind(item);
        slot.querySelector(".far").textContent = b.distances[e][row][k].toFixed(b.decimals[e]);
      });
      return `${b.encoders[e]} ${same} of ${near.length}`;
    });
    $("heard").textContent = `Row ${row + 1}, ${kind(row)}. Neighbours of its class: ${heard.join(", ")}.`;
  };
  const hold = (on) => { pinned = on; pin.setAttribute("aria-pressed", on); pin.textContent = on ? "Pinned" : "Pin"; show(row); };
  const at = (event, svg) => {
    const box = svg.getBoundingClientRect();
    return Math.max(0, Math.min(n - 1, Math.floor(((event.clientY - box.top) / box.height) * n)));
  };
  for (const svg of squares) {
    svg.addEventListener("pointermove", (event) => { if (!pinned) show(at(event, svg)); });
    svg.addEventListener("click", (event) => {
      const there = at(event, svg), again = pinned && there === row;
      row = there;
      hold(!again);
      slider.focus({ preventScroll: true });
    });
  }
  slider.addEventListener("input", () => show(slider.value - 1));
  slider.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1, PageDown: 10, PageUp: -10, Home: -n, End: n }[event.key];
    if (step) { event.preventDefault(); show(row + step); }
    if (event.key === "Enter") hold(!pinned);
    if (event.key === "Escape") hold(false);
  });
  pin.addEventListener("click", () => hold(!pinned));
  $("rows").hidden = false;
  show(row);
  $("heard").textContent = "";
})();
