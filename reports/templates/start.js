// unpack the numbers, then start every part; where a browser cannot, the page stays as it is without scripts
if ("DecompressionStream" in window) {
  const bytes = Uint8Array.from(atob(document.getElementById("data").textContent), (c) => c.charCodeAt(0));
  new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"))).json().then((found) => {
    data = found;
    root.classList.add("js");
    ready.forEach((start) => start());
    root.classList.add("ready");
  });
}
