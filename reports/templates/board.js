
// sort by a column, show some encoders, hide columns
(() => {
  const table = document.getElementById("board-table"), heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
  const rows = () => [...body.rows].filter((r) => r.id !== "no-row");
  const value = (row, column) => {
    const cell = row.cells[column];
    if (column === 0) return cell.querySelector("span").textContent.toLowerCase();
    return cell.dataset.value === "" ? null : Number(cell.dataset.value);
  };
  const sort = (column) => {
    const head = heads[column], now = head.getAttribute("aria-sort");
    const smallFirst = column === 0 || column === heads.length - 1; // names, and ranks
    const down = now ? now === "ascending" : !smallFirst;
    heads.forEach((h) => h.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const order = (a, b) => { // what is missing stays last
      const [x, y] = [value(a, column), value(b, column)];
      if (x === null || y === null) return (x === null) - (y === null);
      return (x < y ? -1 : x > y ? 1 : 0) * (down ? -1 : 1);
    };
    body.prepend(...rows().sort(order));
  };
  heads.forEach((head, column) => {
    const label = head.querySelector(".sort"), b = button("", () => sort(column));
    b.append(...label.childNodes);
    label.replaceWith(b);
  });
  const filter = document.getElementById("filter"), said = document.getElementById("filtered");
  filter.addEventListener("input", () => {
    const wanted = filter.value.trim().toLowerCase();
    rows().forEach((r) => { r.hidden = !value(r, 0).includes(wanted); });
    const left = rows().filter((r) => !r.hidden).length;
    said.textContent = wanted ? `${left} of ${rows().length} encoders shown` : "";
    document.getElementById("no-row").hidden = left > 0;
  });
  for (const box of document.querySelectorAll("#board-controls fieldset input")) {
    box.addEventListener("change", () => [...table.tHead.rows, ...rows()].forEach((r) => { r.cells[box.value].hidden = !box.checked; }));
  }
  document.getElementById("board-controls").hidden = false;
})();
