// Drawn anew where the page turns dark or light.
const dark = matchMedia("(prefers-color-scheme: dark)");
async function draw() {
  for (const place of document.querySelectorAll("[data-chart]")) {
    const ink = getComputedStyle(document.body).color;
    const page = getComputedStyle(document.documentElement);
    const grid = page.getPropertyValue("--line");
    const text = document.getElementById(place.dataset.chart).textContent;
    const spec = JSON.parse(text.replaceAll("#0072b2", page.getPropertyValue("--accent").trim()));
    spec.config = {
      background: null,
      font: "sans-serif",
      view: { stroke: null },
      text: { color: ink },
      axis: { labelColor: ink, titleColor: ink, gridColor: grid, domainColor: grid },
    };
    place.hidden = false;
    // On a phone the drawing's panels are too small to be read: the chart stands alone there.
    place.parentElement.classList.add("charted");
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
