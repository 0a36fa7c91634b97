"use strict";
const root = document.documentElement, ready = []; // what each part of the page starts with, once its numbers are there
let data;
const make = (tag, kind, text) => {
  const e = document.createElement(tag);
  if (kind) e.className = kind;
  if (text !== undefined) e.textContent = text;
  return e;
};
const button = (text, act) => {
  const b = make("button", "", text);
  b.type = "button";
  b.addEventListener("click", act);
  return b;
};

// the part of the sheet of pictures where one lies; -1 has none
const view = (place) => (place < 0 ? "0 -64 64 64" : `${(place % 20) * 64} ${Math.floor(place / 20) * 64} 64 64`);

const NS = "http://www.w3.org/2000/svg";
const svgElement = (tag, attributes, text) => {
  const e = document.createElementNS(NS, tag);
  for (const [name, value] of Object.entries(attributes)) e.setAttribute(name, value);
  if (text !== undefined) e.textContent = text;
  return e;
};
const thumb = (place, name) => {
  const e = svgElement("svg", { class: "pic", viewBox: view(place), role: "img", "aria-label": name });
  e.append(svgElement("use", { href: "#sheet" }));
  return e;
};

// the end of an id, which is what tells ids apart
const tail = (name) => { const letters = [...name]; return letters.length > 13 ? `…${letters.slice(-12).join("")}` : name; };

// the dots or cells of a drawing in the order of its paths, as [x, y]: each is a step from the one before
const steps = (drawing) => [...drawing.querySelectorAll("path[d^=m]")].flatMap((path) => {
  const line = path.getAttribute("d"), step = line.includes("h") ? /m(-?\d+) ?(-?\d+)/g : /(-?\d+) ?(-?\d+)/g; // a cell has sides, a dot none
  let x = 0, y = 0;
  return [...line.matchAll(step)].map((m) => [x += +m[1], y += +m[2]]);
});

const DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_";
// names of which the first sign says how many letters they share with the one before
const namesOf = (coded) => { let name = ""; return coded.map((text) => name = name.slice(0, DIGITS.indexOf(text[0])) + text.slice(1)); };
// numbers that were written in few signs: five bits a sign, 32 more where the number goes on; of k the first, then steps
const unpacked = (text, k) => {
  const rows = [];
  let value = 0, last = [];
  for (const sign of text) {
    const bits = DIGITS.indexOf(sign);
    value = value * 32 + (bits & 31);
    if (bits > 31) continue;
    if (last.length === k || !rows.length) rows.push(last = []);
    last.push(value + (last.length ? last[last.length - 1] : 0));
    value = 0;
  }
  return rows;
};

// drawings of class by class: point at a cell, or choose it in lists; `say` gives what it holds, as text and things to show
const cells = (box, heats, titles, classes, heads, slots, first, say) => {
  const lists = [["Encoder", titles], [heads[0], classes], [heads[1], classes]].map(([name, options]) => {
    const label = make("label", "", name), select = make("select");
    options.forEach((text, value) => { const o = make("option", "", text); o.value = value; select.append(o); });
    label.append(" ", select);
    return [label, select];
  });
  const bar = make("div", "controls"), said = make("p", "said-cell"), shown = make("div", "found"), keep = button("Keep", () => hold(!kept));
  let kept = false;
  said.setAttribute("aria-live", "polite");
  bar.append(...lists.map(([label]) => label), keep);
  box.append(bar, said, shown);
  const bands = heats.map((svg) => {
    const band = svgElement("rect", { class: "band", width: 1, height: 1 });
    svg.querySelector(".cells").append(band);
    return band;
  });
  const value = (i) => +lists[i][1].value;
  const show = () => {
    bands.forEach((band) => { band.setAttribute("x", value(2)); band.setAttribute("y", value(1)); });
    const [text, things] = say(value(0), value(1), value(2));
    if (said.textContent !== text) said.textContent = text;
    const rest = slots - things.length;
    shown.replaceChildren(...things, ...Array.from({ length: Math.max(0, rest) }, () => make("div", "slot none")));
  };
  const hold = (on) => { kept = on; keep.setAttribute("aria-pressed", on); keep.textContent = on ? "Kept" : "Keep"; };
  const to = (e, row, column) => { [e, row, column].forEach((v, i) => { lists[i][1].value = v; }); show(); };
  lists.forEach(([, select]) => select.addEventListener("change", () => { hold(true); show(); }));
  heats.forEach((svg, e) => {
    const at = (event) => {
      const p = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.querySelector(".cells").getScreenCTM().inverse());
      const [column, row] = [Math.floor(p.x), Math.floor(p.y)];
      return row >= 0 && column >= 0 && row < classes.length && column < classes.length ? [e, row, column] : null;
    };
    svg.addEventListener("pointermove", (event) => { const there = at(event); if (there && !kept) to(...there); });
    svg.addEventListener("click", (event) => {
      const there = at(event);
      if (!there) return;
      const again = kept && there.every((v, i) => v === value(i));
      to(...there);
      hold(!again);
    });
  });
  hold(false);
  to(0, ...first);
  box.hidden = false;
};

// light or dark, other than the system says
(() => {
  const dark = () => (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const name = () => (dark() ? "Light page" : "Dark page");
  const toggle = button(name(), () => { root.dataset.theme = dark() ? "light" : "dark"; toggle.textContent = name(); });
  toggle.id = "theme";
  document.querySelector("nav ul").append(make("li"));
  document.querySelector("nav li:last-child").append(toggle);
})();

// print everything that is folded away, and fold it again
(() => {
  let opened = [];
  const open = () => { opened = [...document.querySelectorAll("main details:not([open])")]; opened.forEach((d) => { d.open = true; }); };
  addEventListener("beforeprint", open);
  addEventListener("afterprint", () => opened.forEach((d) => { d.open = false; }));
  addEventListener("hashchange", () => { const d = document.getElementById(location.hash.slice(1)); if (d instanceof HTMLDetailsElement) d.open = true; });
})();

// the numbers of figures that are not kept as text: by their names, functions that give the CSV
const tables = {};
const save = (blob, name) => {
  const a = make("a");
  a.href = URL.createObjectURL(blob);
  a.download = name;
  a.click();
  setTimeout(() => URL.revokeObjectURL(a.href), 1000);
};
const saveText = (text, type, name) => save(new Blob([text], { type }), name);
// a cell of CSV; text that a spreadsheet would run is quoted
const field = (v) => {
  const text = typeof v === "string" && /^[=+\-@\t\r]/.test(v) ? `'${v}` : String(v);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};

// the numbers and the drawing of a figure as files
ready.push(() => {
  const neighbours = () => {
    const b = data.blocks, kind = (item) => b.classes[b.true[item]];
    const rows = [["encoder", "query", "query_class", "rank", "neighbour", "neighbour_class", "distance"]];
    b.encoders.forEach((name, e) => b.neighbours[e].forEach((near, q) => near.forEach((item, k) =>
      rows.push([name, b.names[q], kind(q), k + 1, b.names[item], kind(item), b.distances[e][q][k]]))));
    return rows.map((r) => r.map(field).join(",")).join("\n") + "\n";
  };
  // one drawing, or several where they stand, with the words between them; always in the colours of the light page
  const picture = (figure) => {
    const parts = [...figure.querySelectorAll(":scope > .plot, :scope > .scroll .plot, .beside .plot, .heats .plot, .line .blocks, .legend .plot")].filter((svg) => !svg.closest("details"));
    const box = figure.getBoundingClientRect(), all = svgElement("svg", { xmlns: NS });
    const place = (e) => { const r = e.getBoundingClientRect(); return { x: r.left - box.left, y: r.top - box.top, width: r.width, height: r.height }; };
    const copy = (svg) => { const c = svg.cloneNode(true); c.querySelectorAll(".band, .hit").forEach((m) => m.remove()); return c; };
    let right = 0, low = 0, top = Infinity;
    const reach = (r) => { right = Math.max(right, r.x + r.width); low = Math.max(low, r.y + r.height); top = Math.min(top, r.y); };
    for (const svg of parts) {
      const c = copy(svg), r = parts.length === 1 ? { x: 0, y: 0, width: svg.viewBox.baseVal.width, height: svg.viewBox.baseVal.height } : place(svg);
      for (const name of ["x", "y", "width", "height"]) c.setAttribute(name, r[name]);
      reach(r);
      all.append(c);
    }
    for (const word of parts.length > 1 ? [...figure.querySelectorAll(".drawn")].filter((e) => !e.closest("details")) : []) {
      const r = place(word);
      reach(r);
      all.append(svgElement("text", { x: r.x, y: r.y + 13 }, word.textContent));
    }
    const size = [0, Math.floor(top), Math.ceil(right), Math.ceil(low - Math.floor(top))];
    for (const [name, value] of [["viewBox", size.join(" ")], ["width", size[2]], ["height", size[3]]]) all.setAttribute(name, value);
    const style = svgElement("style", {});
    style.textContent = document.querySelectorAll("style")[1].textContent.replace(/var\(--[\w-]+,([^)]+)\)/g, "$1");
    all.prepend(style, svgElement("rect", { x: 0, y: size[1], width: size[2], height: size[3], fill: "#fff" }));
    return new XMLSerializer().serializeToString(all);
  };
  // at twice the size of the drawing
  const savePixels = (text, name) => {
    const image = new Image();
    image.onload = () => {
      const canvas = make("canvas");
      [canvas.width, canvas.height] = [2 * image.width, 2 * image.height];
      canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
      canvas.toBlob((blob) => save(blob, name), "image/png");
    };
    image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;
  };
  const records = (csv) => {
    const rows = [[]], number = /^-?(0|[1-9]\d*)(\.\d+)?(e[+-]?\d+)?$/i;
    for (const [, quoted, plain, end] of csv.matchAll(/(?:"((?:[^"]|"")*)"|([^,\r\n"]*))(,|\r?\n|$)/g)) {
      const text = quoted === undefined ? plain : quoted.replaceAll('""', '"');
      rows.at(-1).push(rows.length > 1 && quoted === undefined && number.test(text) ? Number(text) : text === "" ? null : text);
      if (end !== ",") rows.push([]);
    }
    const [names, ...lines] = rows.filter((row) => row.length > 1 || (row[0] ?? null) !== null);
    return lines.map((line) => Object.fromEntries(names.map((name, place) => [name, line[place] ?? null])));
  };
  for (const figure of document.querySelectorAll("figure[data-csv]")) {
    const name = figure.dataset.csv, tools = figure.querySelector(":scope > .tools");
    const csv = () => (name === "blocks" ? neighbours() : tables[name] ? tables[name]() : data.csv[name]);
    const label = figure.querySelector("h3").textContent;
    const add = (text, act) => {
      const b = button(text, act);
      b.setAttribute("aria-label", `${text}: ${label}`);
      tools.append(b);
    };
    add("Data (CSV)", () => saveText(csv(), "text/csv;charset=utf-8", `${name}.csv`));
    add("Data (JSON)", () => saveText(JSON.stringify(records(csv()), null, 1), "application/json", `${name}.json`));
    if (!figure.querySelector(".plot")) continue;
    add("Figure (SVG)", () => saveText(picture(figure), "image/svg+xml", `${name}.svg`));
    add("Figure (PNG)", () => savePixels(picture(figure), `${name}.png`));
  }
});
