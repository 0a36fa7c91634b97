// any two of the encoders in the place of the two that stand there
(() => {
  const d = data.differences;
  if (!d || d.encoders.length < 2) return;
  const $ = (id) => document.getElementById(id), picks = [$("pair-a"), $("pair-b")];
  const lists = [...document.querySelectorAll(".faces")], heads = [...document.querySelectorAll(".only")];
  const terms = [...document.querySelectorAll(".counts dt")], numbers = [...document.querySelectorAll(".counts dd")];
  const body = $("pair-classes").tBodies[0], said = (n) => n.toLocaleString("en-US");
  const signed = (v) => (v === 0 ? "0.0" : `${v > 0 ? "+" : "−"}${Math.abs(v).toFixed(1)}`);
  const face = (number, other) => {
    const item = make("li"), name = d.names[number];
    if (lists[0].classList.contains("bare")) item.append(make("i", "note", name));
    else item.append(thumb(d.places[number], name));
    item.append(make("b", "", d.classes[d.true[number]]), make("span", "", `≠ ${d.classes[d.said[other][number]]}`));
    return item;
  };
  const bar = ([, , , , value, low, high], limit) => {
    const at = (v) => (50 + 50 * v / limit).toFixed(1), ends = [50, 50 + 50 * value / limit].sort((x, y) => x - y);
    const e = svgElement("svg", { class: "bar", viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" });
    e.append(svgElement("rect", { x: ends[0].toFixed(1), y: 1, width: (ends[1] - ends[0]).toFixed(1), height: 8, class: value < 0 ? "worse" : "better" }),
      svgElement("path", { d: `M${at(low)} 5H${at(high)}`, class: "whisker" }), svgElement("path", { d: "M50 0V10", class: "axis" }));
    return e;
  };
  const row = (c, limit) => {
    const line = make("tr"), head = make("th", "", d.classes[c[0]]), drawn = make("td");
    head.scope = "row";
    drawn.append(bar(c, limit));
    line.append(head, ...[c[1], c[2], c[3], signed(c[4])].map((v) => make("td", "", v)), drawn,
      make("td", "", `${signed(c[5])} to ${signed(c[6])}`), make("td", "", c[7] ? "yes" : "no"));
    return line;
  };
  const show = () => {
    const two = picks.map((p) => Number(p.value)), pair = d.pairs[two.join(",")], names = two.map((e) => d.encoders[e]);
    $("pair-title").textContent = pair.title;
    $("pair-said").textContent = pair.said;
    ["Both right", `Only ${names[0]}`, `Only ${names[1]}`, "Neither"].forEach((t, i) => { terms[i].textContent = t; numbers[i].textContent = said(pair.counts[i]); });
    pair.only.forEach((shown, side) => {
      const all = pair.counts[side + 1];
      heads[side].textContent = `Only ${names[side]} right: ${said(all)}${shown.length < all ? `, here ${shown.length}` : ""}`;
      lists[side].replaceChildren(...shown.map((number) => face(number, two[1 - side])));
    });
    $("pair-limit").textContent = pair.limit;
    body.replaceChildren(...pair.classes.map((c) => row(c, pair.limit)));
    $("no-class").hidden = pair.classes.length > 0;
  };
  picks.forEach((pick, side) => pick.addEventListener("change", () => {
    const other = picks[1 - side]; // one that is chosen on both sides changes places with the other
    if (other.value === pick.value) other.value = pick.dataset.before;
    picks.forEach((p) => { p.dataset.before = p.value; });
    show();
  }));
  picks.forEach((p) => { p.dataset.before = p.value; });
  $("pair-controls").hidden = picks[0].options.length < 2;
})();
