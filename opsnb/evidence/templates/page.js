"use strict";
(() => {
  // A closed table is no evidence on paper.
  addEventListener("beforeprint", () => document.querySelectorAll(".opsnb details.opsnb-table").forEach((each) => { each.open = true; }));

  const dark = matchMedia("(prefers-color-scheme: dark)");

  function themed(spec) {
    const layout = spec.layout || {};
    const ink = getComputedStyle(document.body).color;
    const line = dark.matches ? "rgba(255,255,255,.16)" : "rgba(0,0,0,.14)";
    const clear = "rgba(0,0,0,0)";
    const own = Object.assign({}, layout, { paper_bgcolor: clear, plot_bgcolor: clear, autosize: true, width: undefined });
    // the legend above the plot, where it cannot run into the title of an axis
    own.legend = Object.assign({}, layout.legend, { orientation: "h", x: 0, xanchor: "left", y: 1, yanchor: "bottom" });
    own.margin = Object.assign({ r: 20, b: 48, l: 56 }, ((layout.template || {}).layout || {}).margin, layout.margin);
    own.margin.t = Math.max(own.margin.t || 0, spec.data.length > 1 ? 76 : 52);
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
    const drawn = Plotly.newPlot(live, spec.data, themed(spec), { displayModeBar: false, responsive: true, displaylogo: false });
    return drawn.then(() => dark.addEventListener("change", () => Plotly.relayout(live, themed(spec))));
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
