
// what is drawn upwards and to the right: the places were worked out beforehand, here they are only taken
(() => {
  const its = data.scaling, figure = document.getElementById("sizes");
  if (!its) return;
  const svg = figure.querySelector("svg.plot"), [left, end] = [52, 564];
  const show = (e, there) => (there ? e.removeAttribute("display") : e.setAttribute("display", "none"));
  const pick = (id) => document.getElementById(id), chosen = (e) => (e ? Number(e.value) : 0);
  const [up, across] = [pick("sizes-y"), pick("sizes-x")];
  const floor = svg.viewBox.baseVal.height - 46;
  const draw = () => {
    const x = its.x[chosen(across)], y = its.y[chosen(up)], said = its.titles[chosen(up)];
    svg.querySelector("[data-y]").replaceChildren(...y.ticks.flatMap(([p, w]) => [svgElement("path", { d: `M${left} ${p}H${end}`, class: "grid" }), svgElement("text", { x: left - 7, y: p + 4, "text-anchor": "end" }, w)]));
    svg.querySelector("[data-x]").replaceChildren(...x.ticks.flatMap(([p, w]) => [svgElement("path", { d: `M${p} ${floor}v4`, class: "axis" }), svgElement("text", { x: p, y: floor + 18, "text-anchor": "middle" }, w)]));
    svg.querySelector("[data-title]").textContent = x.title;
    svg.querySelectorAll("[data-its]").forEach((g, i) => {
      const px = x.at[i], at = y.at[i];
      show(g, px !== null && at);
      if (px === null || !at) return;
      const [py, low, high, name] = at, [lead, whisker, mark, label] = g.children;
      lead.setAttribute("d", name === null ? "" : `M${px} ${py}L${end + 8} ${name}`);
      whisker.setAttribute("d", low === null || high === null ? "" : `M${px} ${low}V${high}`);
      mark.setAttribute("transform", `translate(${px} ${py})`);
      show(label, name !== null);
      if (name !== null) label.setAttribute("transform", `translate(${end + 16} ${name})`);
    });
    document.getElementById("sizes-finding").textContent = said;
    svg.setAttribute("aria-label", said);
  };
  [up, across].forEach((e) => e && e.addEventListener("change", draw));
  document.getElementById("sizes-controls").hidden = !up && !across;
})();
