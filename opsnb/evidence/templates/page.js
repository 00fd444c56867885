"use strict";
(() => {
  // A closed table is no evidence on paper.
  addEventListener("beforeprint", () => document.querySelectorAll(".opsnb details.opsnb-table").forEach((each) => { each.open = true; }));

  // Long tables can be sorted and narrowed. Without scripts they are plain tables; on paper every row is there.
  const SORTED_FROM = 6, NARROWED_FROM = 16;
  const RANK = ["fail", "failed", "error", "unmeasured", "missed", "inconclusive", "held", "warn", "warning", "due", "running", "pass", "passed",
    "note", "ok", "not applicable"];
  const TIMES = { b: 1, kb: 1e3, mb: 1e6, gb: 1e9, kib: 1024, mib: 1048576, gib: 1073741824, "%": 1, ms: 1e-3, s: 1, min: 60, h: 3600, days: 86400 };

  function worth(cell) {  // a number where the cell begins with one, the place of a verdict's word, else its text
    const text = cell.textContent.trim().replace(/^[^\w\s+\-\u2212–]+\s*/, "");
    const number = /^([+\-\u2212]?)((?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?)(?:\s*(%|[A-Za-z]+))?(?=$|[\s(])/.exec(text);
    if (number && !/^\d{4}-\d\d/.test(text)) {
      return [0, (number[1] && number[1] !== "+" ? -1 : 1) * Number(number[2].replace(/,/g, "")) * (TIMES[(number[3] || "").toLowerCase()] || 1)];
    }
    if (text === "" || text === "–") { return [9, 0]; }
    const rank = RANK.indexOf(text.toLowerCase());
    return rank >= 0 ? [1, rank] : [2, text.toLowerCase()];
  }

  function compared(one, other) {
    if (one[0] !== other[0]) { return one[0] - other[0]; }
    return typeof one[1] === "number" ? one[1] - other[1] : one[1].localeCompare(other[1], "en", { numeric: true });
  }

  function sortable(table, body, rows) {
    const heads = Array.from(table.tHead.rows[0].cells);
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "opsnb-sort";
      while (head.firstChild) { button.appendChild(head.firstChild); }
      head.appendChild(button);
      button.addEventListener("click", () => {
        const next = { ascending: "descending", descending: "" }[head.getAttribute("aria-sort")] ?? "ascending";
        heads.forEach((each) => each.removeAttribute("aria-sort"));
        const order = rows.map((row, place) => ({ row, place, worth: worth(row.cells[column]) }));
        if (next) {
          head.setAttribute("aria-sort", next);
          const sign = next === "ascending" ? 1 : -1;
          // nothing stays last whichever way
          order.sort((a, b) => (a.worth[0] === 9 || b.worth[0] === 9 ? a.worth[0] - b.worth[0] : sign * compared(a.worth, b.worth)) || a.place - b.place);
        }
        body.append(...order.map((each) => each.row));
      });
    });
  }

  function narrowed(table, rows) {
    const label = document.createElement("label"), field = document.createElement("input"), count = document.createElement("output");
    label.className = "opsnb-narrow";
    field.type = "search";
    label.append("Show rows with ", field, " ", count);
    const show = () => {
      const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const row of rows) {
        const text = row.textContent.toLowerCase();
        row.hidden = !words.every((word) => text.includes(word));
        shown += !row.hidden;
      }
      count.textContent = words.length ? `${shown} of ${rows.length}` : "";
    };
    field.addEventListener("input", show);
    addEventListener("beforeprint", () => { field.value = ""; show(); });
    const place = table.closest(".opsnb-scroll, .scroll") || table;
    place.before(label);
  }

  addEventListener("DOMContentLoaded", () => {
    for (const table of document.querySelectorAll("table")) {
      const body = table.tBodies[0];
      if (!table.tHead || table.tHead.rows.length !== 1 || table.tBodies.length !== 1 || table.matches(".opsnb-branches, .opsnb-difference")) { continue; }
      const rows = Array.from(body.rows), width = table.tHead.rows[0].cells.length;
      if (rows.length < SORTED_FROM || rows.some((row) => row.cells.length !== width || row.querySelector("[rowspan], [colspan]"))) { continue; }
      sortable(table, body, rows);
      if (rows.length >= NARROWED_FROM) { narrowed(table, rows); }
    }
  });

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
