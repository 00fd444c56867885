"use strict";
(() => {
  // A closed table is no evidence on paper.
  addEventListener("beforeprint", () => document.querySelectorAll(".opsnb details.opsnb-table").forEach((each) => { each.open = true; }));

  const dark = matchMedia("(prefers-color-scheme: dark)");

  function themed(layout) {
    const ink = getComputedStyle(document.body).color;
    const line = dark.matches ? "rgba(255,255,255,.16)" : "rgba(0,0,0,.14)";
    const clear = "rgba(0,0,0,0)";
    const own = Object.assign({}, layout, { paper_bgcolor: clear, plot_bgcolor: clear, autosize: true, width: undefined });
    own.margin = Object.assign({ t: 64, r: 20, b: 48, l: 56 }, layout.margin);
    own.height = layout.height || 360;
    own.font = Object.assign({}, layout.font, { color: ink });
    own.title = typeof layout.title === "string" ? { text: layout.title } : Object.assign({}, layout.title);
    own.title.font = Object.assign({}, own.title.font, { color: ink });
    for (const name of new Set([...Object.keys(layout), "xaxis", "yaxis"])) {
      if (/^[xy]axis\d*$/.test(name)) {
        own[name] = Object.assign({}, layout[name], { gridcolor: line, zerolinecolor: line, linecolor: line, color: ink, automargin: true });
      }
    }
    return own;
  }

  function draw(figure) {
    const live = figure.querySelector(".chart-live");
    const spec = JSON.parse(figure.querySelector("script").textContent);
    figure.classList.add("drawn");
    const drawn = Plotly.newPlot(live, spec.data, themed(spec.layout || {}), { displayModeBar: false, responsive: true, displaylogo: false });
    return drawn.then(() => dark.addEventListener("change", () => Plotly.relayout(live, themed(spec.layout || {}))));
  }

  addEventListener("DOMContentLoaded", () => {
    if (typeof Plotly === "undefined") { return; }  // the page was opened alone: the static pictures stay
    for (const figure of document.querySelectorAll("figure.chart:has(.chart-live)")) {
      try {
        draw(figure).catch(() => figure.classList.remove("drawn"));
      } catch (error) {
        figure.classList.remove("drawn");
      }
    }
  });
})();
