
// sort by a column, show some encoders and columns, print all of them, and take them along as files
(() => {
  const its = data.board, width = its.columns, table = document.getElementById("board-table");
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];

  // the records of the board again; a number without an end came as text
  const fields = its.fields.map(([name, level, real, values]) => {
    const all = real ? values.map((v) => (v === null ? v : Number(v))) : values;
    const at = { r: (row) => all[row], c: (_, column) => all[column], e: (row, column) => all[row * width + column] }[level];
    return { name, real, at };
  });
  const field_of = (name) => fields.find((f) => f.name === name);
  const wanted = { number: ["value", "mean_change_percent", "rank"].map(field_of) };
  const places = [...Array(its.rows).keys()].flatMap((row) => [...Array(width).keys()].map((column) => [row, column]));
  // a number as the tables beside the page have it
  const digits = (x) => {
    const size = Math.abs(x);
    if (size && (size < 1e-4 || size >= 1e16)) return x.toExponential().replace(/([+-])(\d)$/, (_, sign, one) => `${sign}0${one}`);
    return Object.is(x, -0) ? "-0.0" : /\./.test(String(x)) ? String(x) : `${x}.0`;
  };
  const missing = (v) => v === null;
  const csv_text = (v, real) => {
    if (missing(v)) return "";
    if (v === true || v === false) return v ? "True" : "False";
    if (real) return v === Infinity ? "inf" : v === -Infinity ? "-inf" : digits(v);
    return field(v);
  };
  const json_text = (v, real) => (missing(v) || v === Infinity || v === -Infinity ? "null" : real ? digits(v) : JSON.stringify(v));
  const csv = (chosen) => [chosen.map((f) => f.name).join(","), ...places.map(([r, c]) => chosen.map((f) => csv_text(f.at(r, c), f.real)).join(","))].join("\n") + "\n";
  const records = () => "[\n" + places.map(([r, c]) => `{${fields.map((f) => `${JSON.stringify(f.name)}: ${json_text(f.at(r, c), f.real)}`).join(", ")}}`).join(",\n") + "\n]\n";
  tables.relative = () => csv(["encoder", "task", "protocol", "change_percent", "change_low", "change_high"].map(field_of));

  // sort
  const rows = () => [...body.rows].filter((r) => r.id !== "no-row");
  const name_of = (row) => row.cells[0].querySelector("span").textContent.toLowerCase();
  const value = (row, column) => {
    if (column === 0) return name_of(row);
    const n = Number(row.dataset.row), [one, mean, rank] = wanted.number;
    const v = column <= width ? one.at(n, column - 1) : (column === width + 1 ? mean : rank).at(n, 0);
    return missing(v) ? null : v;
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

  // which encoders and columns are shown
  const find = (id) => document.getElementById(id), text_of = (e) => (e ? e.value.trim().toLowerCase() : "");
  const filter = find("filter"), task = find("board-task"), protocol = find("board-protocol"), said = find("filtered");
  const boxes = [...document.querySelectorAll("#board-controls fieldset input")];
  const asked = (column) => boxes[column - 1].checked && heads[column].textContent.toLowerCase().includes(text_of(task));
  const here = (column) => asked(column) && (!protocol || !protocol.value || heads[column].dataset.protocol === protocol.value);
  const inner = [...Array(width).keys()].map((i) => i + 1);
  const hide = (t, shown) => {
    const show = new Set(shown);
    for (const row of t.rows) if (row.cells.length === heads.length) inner.forEach((c) => { row.cells[c].hidden = !show.has(c); });
  };
  const update = () => {
    const name = text_of(filter), shown = inner.filter(here);
    rows().forEach((r) => { r.hidden = !name_of(r).includes(name); });
    const left = rows().filter((r) => !r.hidden).length;
    hide(table, shown);
    find("no-row").hidden = left > 0;
    const words = [name ? `${left} of ${rows().length} encoders shown` : "", shown.length < width ? `${shown.length} of ${width} columns shown` : ""];
    said.textContent = words.filter(Boolean).join(", ");
  };
  [filter, task].forEach((e) => e.addEventListener("input", update));
  [...boxes, ...(protocol ? [protocol] : [])].forEach((e) => e.addEventListener("change", update));
  if (protocol && its.many) protocol.value = protocol.options[1].value;
  find("board-controls").hidden = false;

  // published numbers beneath the encoders: rows of their own that no sorting moves
  const published = find("board-published");
  if (published) {
    const listed = document.querySelector("#published table"), part = make("tbody", "published");
    const columns = [...listed.tHead.rows[0].cells].map((h) => Number(h.dataset.column));
    for (const row of listed.tBodies[0].rows) {
      const tr = make("tr"), th = row.cells[0].cloneNode(true);
      th.className = "name";
      th.prepend(make("span", "note", "published"));
      tr.append(th, ...heads.slice(1).map(() => make("td")));
      columns.forEach((c, i) => { if (c) tr.cells[c].textContent = row.cells[i].textContent; });
      tr.lastChild.title = row.cells[row.cells.length - 1].textContent;
      part.append(tr);
    }
    published.addEventListener("change", () => { if (published.checked) table.append(part); else part.remove(); update(); });
  }
  update();

  // on paper: every column that was not taken away, so many abreast as fit, those of each protocol together
  const ABREAST = 5;
  let copies = [];
  addEventListener("beforeprint", () => {
    const parts = [];
    inner.filter(asked).forEach((c) => {
      const last = parts[parts.length - 1], same = last && heads[last[0]].dataset.protocol === heads[c].dataset.protocol;
      if (same && last.length < ABREAST) last.push(c); else parts.push([c]);
    });
    if (inner.filter(asked).length <= ABREAST) parts.splice(0, parts.length, inner.filter(asked));
    copies = parts.slice(1).map(() => { const t = table.cloneNode(true); t.removeAttribute("id"); t.classList.add("printed"); t.querySelectorAll("[id]").forEach((e) => e.removeAttribute("id")); return t; });
    table.after(...copies);
    [table, ...copies].forEach((t, i) => hide(t, parts[i] || []));
  });
  addEventListener("afterprint", () => { copies.forEach((t) => t.remove()); copies = []; update(); });

  // to the clipboard, or into a field to copy from where the browser has none for files
  const told = find("board-said"), place = find("board-copy"), area = place.querySelector("textarea");
  const copy = async (text, what) => {
    let done = false;
    try { await navigator.clipboard.writeText(text); done = true; } catch { /* no clipboard for files: the field has it */ }
    if (!done) {
      place.hidden = false;
      area.value = text;
      area.select();
      try { done = document.execCommand("copy"); } catch { done = false; }
    }
    if (done) place.hidden = true;
    told.textContent = done ? `The board is copied as ${what}.` : `The field holds the board as ${what}: copy it from there.`;
  };
  const tools = document.querySelector("#leaderboard .tools");
  const add = (words, act) => { const b = button(words, act); b.setAttribute("aria-label", `${words}: the board`); tools.append(b); };
  add("Data (CSV)", () => saveText(csv(fields), "text/csv;charset=utf-8", "board.csv"));
  add("Data (JSON)", () => saveText(records(), "application/json", "board.json"));
  add("Copy as Markdown", () => copy(its.md, "Markdown"));
  add("Copy as LaTeX", () => copy(its.tex, "LaTeX"));
})();
