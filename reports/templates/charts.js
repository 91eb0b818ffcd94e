// Drawn anew where the page turns dark or light.
const dark = matchMedia("(prefers-color-scheme: dark)");
async function draw() {
  for (const place of document.querySelectorAll("[data-chart]")) {
    const spec = JSON.parse(document.getElementById(place.dataset.chart).textContent);
    const ink = getComputedStyle(document.body).color;
    const grid = getComputedStyle(document.documentElement).getPropertyValue("--line");
    spec.config = {
      background: null,
      font: "sans-serif",
      view: { stroke: null },
      text: { color: ink },
      axis: { labelColor: ink, titleColor: ink, gridColor: grid, domainColor: grid },
    };
    const drawing = place.parentElement.querySelector(".scroll");
    place.hidden = false;
    drawing.hidden = true;
    await vegaEmbed(place, spec, {
      renderer: "svg",
      actions: false,
      ast: false,
      // Nothing is fetched: all data are in the page.
      loader: { load: () => Promise.reject(new Error("a report loads nothing")) },
    });
  }
}
draw();
dark.addEventListener("change", draw);
