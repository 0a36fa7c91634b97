
// the test images of one class that were taken for another
(() => {
  const c = data.confusion, heats = [...document.querySelectorAll("#confusion-matrix .heat")], size = c.classes.length;
  const places = heats.map((svg) => steps(svg.querySelector(".cells")).sort((p, q) => p[1] - q[1] || p[0] - q[0]));
  const held = places.map((drawn, e) => {
    const counts = unpacked(c.counts[e], 1);
    return new Map(drawn.map(([x, y], i) => [y * size + x, { count: counts[i][0], items: c.cells[e][i] }]));
  });
  c.names = namesOf(c.names);
  const pictures = c.places.some((p) => p >= 0);
  const one = (item) => {
    const slot = make("div", "slot");
    if (pictures) slot.append(thumb(c.places[item], c.names[item]));
    const name = make("span", "note", tail(c.names[item]));
    name.title = c.names[item];
    slot.append(name);
    return slot;
  };
  const say = (e, row, column) => {
    const words = (i) => {
      const cell = held[i].get(row * size + column), total = c.totals[i][row];
      return cell ? `${cell.count} of ${total} (${((100 * cell.count) / total).toFixed(1)}%)` : `too few of ${total} to be drawn`;
    };
    const items = held[e].get(row * size + column)?.items ?? [], count = held[e].get(row * size + column)?.count ?? 0;
    const others = c.encoders.map((name, i) => (i === e ? "" : `${name} ${words(i)}`)).filter(Boolean);
    const what = row === column ? "rightly called" : "taken for";
    const shown = count > items.length ? ` Shown are ${items.length || "none"} of these ${count}.` : "";
    return [`${c.encoders[e]}: ${words(e)} of ${c.classes[row]} ${what} ${c.classes[column]}.${shown}${others.length ? ` ${others.join(", ")}.` : ""}`, items.map(one)];
  };
  let first = [0, 0], most = 0;
  held[0].forEach(({ count }, at) => {
    const [row, column] = [Math.floor(at / size), at % size];
    if (row !== column && count > most) { most = count; first = [row, column]; }
  });
  cells(document.getElementById("confusion-cell"), heats, c.encoders, c.classes, ["True class", "Taken for"], 8, first, say);
  tables["confusion-matrix"] = () => ["encoder,true,predicted,images,of", ...heats.flatMap((_, e) =>
    [...held[e]].map(([at, { count }]) => [c.encoders[e], c.classes[Math.floor(at / size)], c.classes[at % size], count, c.totals[e][Math.floor(at / size)]].map(field).join(",")))].join("\n") + "\n";
})();
