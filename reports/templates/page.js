"use strict";
const data = JSON.parse(document.getElementById("data").textContent), root = document.documentElement;
root.classList.add("js");
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
(() => {
  const neighbours = () => {
    const b = data.blocks, kind = (item) => b.classes[b.true[item]];
    const rows = [["encoder", "query", "query_class", "rank", "neighbour", "neighbour_class", "distance"]];
    b.encoders.forEach((name, e) => b.neighbours[e].forEach((near, q) => near.forEach((item, k) =>
      rows.push([name, b.names[q], kind(q), k + 1, b.names[item], kind(item), b.distances[e][q][k]]))));
    return rows.map((r) => r.map(field).join(",")).join("\n") + "\n";
  };
  // the CSV of all figures, zlib in base64
  const packed = () => {
    const bytes = Uint8Array.from(atob(data.csv), (c) => c.charCodeAt(0));
    return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"))).json();
  };
  const NS = "http://www.w3.org/2000/svg";
  const element = (tag, attributes) => {
    const e = document.createElementNS(NS, tag);
    for (const [name, value] of Object.entries(attributes)) e.setAttribute(name, value);
    return e;
  };
  // one drawing, or several where they stand, with the words between them; always in the colours of the light page
  const picture = (figure) => {
    const parts = [...figure.querySelectorAll(":scope > .plot, :scope > .scroll .plot, .beside .plot, .line .blocks, .legend .plot")].filter((svg) => !svg.closest("details"));
    const box = figure.getBoundingClientRect(), all = element("svg", { xmlns: NS });
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
      const r = place(word), t = element("text", { x: r.x, y: r.y + 13 });
      t.textContent = word.textContent;
      reach(r);
      all.append(t);
    }
    const size = [0, Math.floor(top), Math.ceil(right), Math.ceil(low - Math.floor(top))];
    for (const [name, value] of [["viewBox", size.join(" ")], ["width", size[2]], ["height", size[3]]]) all.setAttribute(name, value);
    const style = element("style", {});
    style.textContent = document.querySelectorAll("style")[1].textContent.replace(/var\(--[\w-]+,([^)]+)\)/g, "$1");
    all.prepend(style, element("rect", { x: 0, y: size[1], width: size[2], height: size[3], fill: "#fff" }));
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
      rows.at(-1).push(quoted === undefined && number.test(text) ? Number(text) : text === "" ? null : text);
      if (end !== ",") rows.push([]);
    }
    const [names, ...lines] = rows.filter((row) => row.length > 1 || (row[0] ?? null) !== null);
    return lines.map((line) => Object.fromEntries(names.map((name, place) => [name, line[place] ?? null])));
  };
  for (const figure of document.querySelectorAll("figure[data-csv]")) {
    const name = figure.dataset.csv, tools = figure.querySelector(":scope > .tools");
    const csv = async () => (name === "blocks" ? neighbours() : tables[name] ? tables[name]() : (await packed())[name]);
    const label = figure.querySelector("h3").textContent;
    const add = (text, act) => {
      const b = button(text, act);
      b.setAttribute("aria-label", `${text}: ${label}`);
      tools.append(b);
    };
    if ("DecompressionStream" in window) {
      add("Data (CSV)", async () => saveText(await csv(), "text/csv;charset=utf-8", `${name}.csv`));
      add("Data (JSON)", async () => saveText(JSON.stringify(records(await csv()), null, 1), "application/json", `${name}.json`));
    }
    if (!figure.querySelector(".plot")) continue;
    add("Figure (SVG)", () => saveText(picture(figure), "image/svg+xml", `${name}.svg`));
    add("Figure (PNG)", () => savePixels(picture(figure), `${name}.png`));
  }
})();
