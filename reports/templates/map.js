// pointing at an image of any map rings it in all of them and shows its picture
(() => {
  const d = data.map;
  if (!d) return;
  const $ = (id) => document.getElementById(id), slider = $("point-number"), n = d.true.length, names = namesOf(d.names);
  const maps = [...document.querySelectorAll(".map")].map((svg) => {
    const rings = ["halo", "here"].map((name) => {
      const c = svgElement("circle", { class: `hit ${name}`, r: 6 });
      svg.append(c);
      return c;
    });
    return { svg, rings, places: [...svg.querySelectorAll("polyline")].flatMap((line) => [...line.points].map((p) => [p.x, p.y])) };
  });
  const picture = document.querySelector("#point .pic");
  const show = (next, say) => {
    const number = Math.max(0, Math.min(n - 1, next)), kind = d.classes[d.true[number]], name = names[number], seen = d.places[number] >= 0;
    slider.value = number + 1;
    slider.setAttribute("aria-valuetext", `image ${number + 1} of ${n}, ${kind}`);
    for (const m of maps) for (const ring of m.rings) { ring.setAttribute("cx", m.places[number][0]); ring.setAttribute("cy", m.places[number][1]); }
    picture.setAttribute("viewBox", view(d.places[number]));
    picture.setAttribute("aria-label", seen ? name : "no picture here");
    $("point-class").textContent = kind;
    $("point-name").textContent = `Image ${number + 1} of ${n}, ${name}${seen ? "" : ", no picture here"}`;
    if (say) $("point-heard").textContent = `Image ${number + 1}, ${kind}`;
  };
  const nearest = (event, m) => {
    const box = m.svg.getBoundingClientRect(), side = m.svg.viewBox.baseVal.width;
    const x = ((event.clientX - box.left) / box.width - 0.5) * side, y = ((event.clientY - box.top) / box.height - 0.5) * side;
    let best = 0, least = Infinity;
    m.places.forEach(([a, b], number) => { const far = (a - x) ** 2 + (b - y) ** 2; if (far < least) { least = far; best = number; } });
    return best;
  };
  for (const m of maps) for (const kind of ["pointermove", "pointerdown"]) m.svg.addEventListener(kind, (event) => show(nearest(event, m)));
  slider.addEventListener("input", () => show(slider.value - 1, true));
  $("point").hidden = false;
  show(0);
})();
