
// pointing at a bin of the ratios shows what lies in it under every encoder
(() => {
  const d = data.distances && data.distances.bins;
  if (!d) return;
  const $ = (id) => document.getElementById(id);
  const svg = document.querySelector("#outlines .plot"), slider = $("bin"), pin = $("bin-pin"), rows = [...document.querySelectorAll(".in-bin")];
  const last = d.bins.length - 1, its = d.pictures;
  let place = d.bin, pinned = false;
  const bands = [0, 2].map((i) => {
    const band = svgElement("rect", { class: "band bin", y: d.y[i], height: d.y[i + 1] - d.y[i] });
    svg.append(band);
    return band;
  });
  const below = (r) => d.edges.filter((edge) => edge <= r).length;
  const inside = its.ratios.map((line) => d.bins.map((_, b) => line.flatMap((r, p) => (r !== null && below(r) === b ? [p] : []))));
  const classes = (most) => {
    const flat = most ? [...most] : [], others = flat.length % 2 ? flat.pop() : 0, words = [];
    for (let i = 0; i < flat.length; i += 2) words.push(`${d.classes[flat[i]]} ${flat[i + 1]}`);
    return words.join(", ") + (others ? ` and ${others} other ${others === 1 ? "class" : "classes"}` : "");
  };
  const images = (n) => `${n.toLocaleString("en")} ${n === 1 ? "image" : "images"}`;
  const picture = (p, ratio) => {
    const one = make("span", "one"), name = `${its.kinds[its.class[p]]}, ${its.names[p]}`;
    one.title = name;
    one.append(thumb(its.places[p], name), make("span", "note", ratio.toFixed(d.decimals)));
    return one;
  };
  const show = (next, say = true) => { // pointing is seen, and not told to who listens
    place = Math.max(0, Math.min(last, next));
    const left = place === 0 ? d.left - 6 : d.x[place - 1], right = place === last ? d.x[last - 1] + 8 : d.x[place];
    bands.forEach((band) => { band.setAttribute("x", left); band.setAttribute("width", Math.max(right - left, 1)); });
    slider.value = place;
    slider.setAttribute("aria-valuetext", d.bins[place]);
    $("bin-name").textContent = d.bins[place];
    $("bin-note").textContent = pinned ? "pinned" : "";
    rows.forEach((row, e) => {
      row.querySelector(".held b").textContent = images(d.counts[e][place]);
      row.querySelector(".held .note").textContent = classes(d.most[e][place]);
      row.querySelector(".few").replaceChildren(...inside[e][place].slice(0, 6).map((p) => picture(p, its.ratios[e][p])));
    });
    if (say) $("bin-heard").textContent = `${d.bins[place]}: ${d.encoders.map((name, e) => `${name} ${d.counts[e][place]}`).join(", ")}.`;
  };
  const hold = (on) => { pinned = on; pin.setAttribute("aria-pressed", on); pin.textContent = on ? "Pinned" : "Pin"; show(place); };
  const at = (event) => {
    const box = svg.getBoundingClientRect(), x = ((event.clientX - box.left) / box.width) * d.wide;
    return x > d.right + 8 ? -1 : d.x.filter((edge) => edge <= x).length;
  };
  svg.addEventListener("pointermove", (event) => { const there = at(event); if (!pinned && there >= 0) show(there, false); });
  svg.addEventListener("click", (event) => {
    const there = at(event);
    if (there < 0) return;
    const again = pinned && there === place;
    place = there;
    hold(!again);
    slider.focus({ preventScroll: true });
  });
  slider.addEventListener("input", () => show(+slider.value));
  slider.addEventListener("keydown", (event) => {
    if (event.key === "Enter") hold(!pinned);
    if (event.key === "Escape") hold(false);
  });
  pin.addEventListener("click", () => hold(!pinned));
  $("bins").hidden = false;
  show(place);
  $("bin-heard").textContent = "";
})();

// another baseline for the medians
(() => {
  const s = data.distances && data.distances.shifts, choice = document.getElementById("against-base");
  if (!s || !choice) return;
  const rows = [...document.getElementById("shift-table").tBodies[0].rows];
  const sign = (v, places) => { const text = Math.abs(v).toFixed(places); return Number(text) === 0 ? text : (v > 0 ? "+" : "−") + text; };
  const bar = (n, colour) => {
    const at = (v) => (50 + 46 * Math.max(-1, Math.min(1, v / s.limit))).toFixed(1);
    const svg = svgElement("svg", { class: "bar", viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" });
    svg.append(svgElement("path", { d: `M${at(n[1])} 5H${at(n[2])}M${at(n[0])} 0V10`, stroke: colour, class: "fixed" }));
    return svg;
  };
  choice.addEventListener("change", () => {
    const base = +choice.value, name = choice.selectedOptions[0].textContent;
    document.getElementById("against-name").textContent = name;
    document.getElementById("against-heard").textContent = `Differences against ${name}.`;
    rows.forEach((row, e) => {
      const n = s.of[base][e], cells = row.cells, d = s.decimals;
      cells[2].replaceChildren(...(n ? [bar(n, s.colours[e])] : []));
      const words = n ? [sign(n[0], d), `${sign(n[1], d)} to ${sign(n[2], d)}`, null, sign(n[3], 1), `${sign(n[4], 1)} to ${sign(n[5], 1)}`] : [e === base ? "baseline" : "other images", "", null, "", ""];
      words.forEach((word, i) => { if (word !== null) cells[3 + i].textContent = word; });
    });
  });
  document.getElementById("against").hidden = false;
})();
