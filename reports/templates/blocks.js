
// pointing at a row of any square marks it in all of them and shows the pictures
(() => {
  const b = data.blocks, n = b.n, $ = (id) => document.getElementById(id);
  const squares = [...document.querySelectorAll(".blocks")], lines = [...document.querySelectorAll(".near")];
  const slider = $("row"), pin = $("pin"), rows = b.rows.length ? b.rows : Array.from({ length: n }, (_, i) => i);
  // what is written short: by image, its class, name and place on the sheet; by encoder and row, what the dots say
  b.true = b.counts.flatMap((count, kind) => Array(count).fill(kind));
  const byImage = (values) => (b.items.length ? values.reduce((all, v, i) => { all[b.items[i]] = v; return all; }, []) : values);
  [b.names, b.places] = [byImage(namesOf(b.names)), byImage(b.places)];
  b.neighbours = squares.map((svg) => steps(svg.querySelector(".dots")).reduce((near, [r, item]) => { (near[r] ||= []).push(item); return near; }, []));
  b.distances = b.far.map((text, e) => unpacked(text, b.k).reduce((far, row, i) => {
    far[rows[i]] = row.map((d) => +(d / 10 ** b.decimals[e]).toFixed(b.decimals[e]));
    return far;
  }, []));
  let row = b.row, pinned = false;
  const kind = (item) => b.classes[b.true[item]], count = n.toLocaleString("en");
  const marks = squares.map((svg) => {
    const add = (name) => { const r = svgElement("rect", { class: name }); svg.append(r); return r; };
    return { band: add("band"), hits: Array.from({ length: b.k }, () => add("hit")) };
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
    set(svg, { viewBox: view(b.places[item]), "aria-label": b.names[item] });
  };
  const show = (place, say = true) => { // pointing is seen, and not told to who listens
    const at = Math.max(0, Math.min(rows.length - 1, place));
    row = rows[at];
    slider.value = at + 1;
    slider.setAttribute("aria-valuetext", `row ${row + 1}, ${kind(row)}`);
    draw(document.querySelector(".query .pic"), row);
    $("query").textContent = kind(row);
    $("query-note").textContent = `Row ${row + 1} of ${count}${pinned ? ", pinned" : ""}, ${b.names[row]}`;
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
    if (say) $("heard").textContent = `Row ${row + 1}, ${kind(row)}. Neighbours of its class: ${heard.join(", ")}.`;
  };
  // the drawn row that is nearest to an image
  const nearest = (image) => {
    const after = rows.findIndex((r) => r >= image);
    if (after <= 0) return after === 0 ? 0 : rows.length - 1;
    return rows[after] - image <= image - rows[after - 1] ? after : after - 1;
  };
  const hold = (on) => { pinned = on; pin.setAttribute("aria-pressed", on); pin.textContent = on ? "Pinned" : "Pin"; show(nearest(row)); };
  const at = (event, svg) => {
    const box = svg.getBoundingClientRect();
    return nearest(Math.max(0, Math.min(n - 1, Math.floor(((event.clientY - box.top) / box.height) * n))));
  };
  for (const svg of squares) {
    svg.addEventListener("pointermove", (event) => { if (!pinned) show(at(event, svg), false); });
    svg.addEventListener("click", (event) => {
      const there = rows[at(event, svg)], again = pinned && there === row;
      row = there;
      hold(!again);
      slider.focus({ preventScroll: true });
    });
  }
  slider.addEventListener("input", () => show(slider.value - 1));
  slider.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1, PageDown: 10, PageUp: -10, Home: -n, End: n }[event.key];
    if (step) { event.preventDefault(); show(nearest(row) + step); }
    if (event.key === "Enter") hold(!pinned);
    if (event.key === "Escape") hold(false);
  });
  pin.addEventListener("click", () => hold(!pinned));
  $("rows").hidden = false;
  show(nearest(row));
  $("heard").textContent = "";
})();

// class by class: numbers of a cell, and images of the one class that lie next to the other
(() => {
  const b = data.blocks, heats = [...document.querySelectorAll("#neighbour-classes .heat")];
  const kinds = b.mix.classes.length ? b.mix.classes : b.classes.map((_, i) => i), names = kinds.map((i) => b.classes[i]);
  const share = heats.map((svg, e) => {
    const drawn = steps(svg.querySelector(".cells")).sort((p, q) => p[1] - q[1] || p[0] - q[0]), values = unpacked(b.mix.shares[e], 1);
    return new Map(drawn.map(([x, y], i) => [y * kinds.length + x, values[i][0] / 10]));
  });
  const pictures = document.getElementById("sheet") && b.places.some((p) => p >= 0);
  const pair = (query, item, distance) => {
    const slot = make("div", "slot");
    if (pictures) slot.append(thumb(b.places[query], b.names[query]), thumb(b.places[item], b.names[item]));
    slot.append(make("span", "note", `${tail(b.names[query])} → ${tail(b.names[item])}`), make("span", "note", `distance ${distance}`));
    return slot;
  };
  const say = (e, row, column) => {
    const value = (i) => share[i].get(row * kinds.length + column), all = b.counts[kinds[row]] * b.k;
    const words = (i) => (value(i) === undefined ? "too few to be drawn" : `${value(i).toFixed(1)}%`);
    const found = [];
    b.neighbours[e].forEach((near, query) => near.forEach((item, k) => {
      if (b.true[query] === kinds[row] && b.true[item] === kinds[column]) found.push([query, item, b.distances[e][query][k].toFixed(b.decimals[e])]);
    }));
    found.sort((p, q) => (b.places[q[0]] >= 0 && b.places[q[1]] >= 0) - (b.places[p[0]] >= 0 && b.places[p[1]] >= 0));
    const once = found.filter(([query], i) => found.findIndex((f) => f[0] === query) === i).slice(0, 6);
    const others = b.encoders.map((name, i) => (i === e ? "" : `${name} ${words(i)}`)).filter(Boolean);
    const none = b.rows.length && !once.length && value(e) ? " No row that is drawn shows it." : "";
    const exact = !b.rows.length ? ` (${found.length} of ${all})` : "";
    const text = `${b.encoders[e]}: of the neighbours of ${names[row]}, ${words(e)}${exact} are ${names[column]}.${others.length ? ` ${others.join(", ")}.` : ""}${none}`;
    return [text, once.map((f) => pair(...f))];
  };
  let first = [0, 0], most = -1;
  share[0].forEach((v, at) => {
    const [row, column] = [Math.floor(at / kinds.length), at % kinds.length];
    if (row !== column && v > most) { most = v; first = [row, column]; }
  });
  cells(document.getElementById("mix-cell"), heats, b.encoders, names, ["Images of", "Neighbours of"], 6, first, say);
  tables["neighbour-classes"] = () => ["encoder,class,neighbours_of,percent", ...heats.flatMap((_, e) =>
    [...share[e]].map(([at, v]) => [b.encoders[e], names[Math.floor(at / kinds.length)], names[at % kinds.length], v].map(field).join(",")))].join("\n") + "\n";
})();

// purity on one other task at a time; all of them are printed
(() => {
  const select = document.getElementById("blocks-task"), tasks = [...document.querySelectorAll("details.task")];
  if (!select) return;
  const show = () => tasks.forEach((d, i) => { d.classList.toggle("away", i !== +select.value); d.open = i === +select.value; });
  select.addEventListener("change", show);
  document.getElementById("blocks-tasks").hidden = false;
  show();
})();
