"use strict";
(() => {
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

  function sortable(table, rows) {  // a row is a <tr>, or a <tbody> with what changed under it
    const parent = rows[0].parentNode;
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
        const order = rows.map((row, place) => ({ row, place, worth: worth((row.cells || row.rows[0].cells)[column]) }));
        if (next) {
          head.setAttribute("aria-sort", next);
          const sign = next === "ascending" ? 1 : -1;
          // nothing stays last whichever way
          order.sort((a, b) => (a.worth[0] === 9 || b.worth[0] === 9 ? a.worth[0] - b.worth[0] : sign * compared(a.worth, b.worth)) || a.place - b.place);
        }
        parent.append(...order.map((each) => each.row));
      });
    });
  }

  function about(table) {  // what the field is named after: the table's check, or the heading above it
    const card = table.closest(".opsnb-card"), said = card && card.querySelector(".opsnb-head strong");
    if (said) { return said.textContent; }
    const before = Array.from(document.querySelectorAll("h1, h2, h3")).filter((each) => each.compareDocumentPosition(table) & 4);
    return before.length ? before[before.length - 1].textContent : "this table";
  }

  function narrowed(table, rows) {
    const label = document.createElement("label"), field = document.createElement("input"), count = document.createElement("output");
    label.className = "opsnb-narrow";
    field.type = "search";
    label.append("Show rows with ", field, " ", count);
    field.setAttribute("aria-label", `Show rows with … in: ${about(table).trim()}`);
    const elsewhere = Number(table.dataset.more || 0), cut = elsewhere ? ` on this page; ${elsewhere.toLocaleString("en")} more are not looked through` : "";
    const show = () => {
      const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const row of rows) {
        const text = row.textContent.toLowerCase();
        row.hidden = !words.every((word) => text.includes(word));
        shown += !row.hidden;
      }
      count.textContent = words.length ? `${shown} of ${rows.length}${cut}` : "";
    };
    field.addEventListener("input", show);
    addEventListener("beforeprint", () => { field.value = ""; show(); });
    const place = table.closest(".opsnb-scroll, .scroll") || table;
    place.before(label);
  }

  function units(table) {  // what is moved and hidden as one; nothing where the table has another shape
    const differs = table.matches(".opsnb-difference"), width = table.tHead.rows[0].cells.length;
    if (!differs && table.tBodies.length !== 1) { return []; }
    const found = differs ? Array.from(table.tBodies) : Array.from(table.tBodies[0].rows);
    const plain = (row) => row && row.cells.length === width && !row.querySelector("[rowspan], [colspan]");
    return found.every((each) => plain(differs ? each.rows[0] : each)) ? found : [];
  }

  addEventListener("DOMContentLoaded", () => {
    for (const table of document.querySelectorAll("table")) {
      if (!table.tHead || table.tHead.rows.length !== 1 || table.matches(".opsnb-branches")) { continue; }
      const rows = units(table);
      if (rows.length < SORTED_FROM) { continue; }
      sortable(table, rows);
      if (rows.length >= NARROWED_FROM) { narrowed(table, rows); }
    }
  });
})();
