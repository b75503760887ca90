"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const BESIDE = 150; // pixels of axes and legends
  const LETTER = 9; // pixels of a title's letter

  const wrap = (text, maxLength) => text.split(" ").reduce((lines, word) => {
    const last = lines[lines.length - 1];
    return last && `${last} ${word}`.length > maxLength ? [...lines, word] : [...lines.slice(0, -1), `${last} ${word}`.trim()];
  }, [""]);

  // On a narrow page, panels stand one below the other, as wide as the page.
  const narrow = (spec, room) => {
    const { hconcat, ...rest } = spec;
    const result = hconcat ? { ...rest, vconcat: hconcat } : rest;
    if (result.width) result.width = Math.min(result.width, room - BESIDE / 2);
    if (result.spec) result.spec = narrow(result.spec, room);
    if (result.vconcat) result.vconcat = result.vconcat.filter((panel) => panel.name !== "names").map((panel) => narrow(panel, room));
    return result;
  };

  const fit = (spec, room) => {
    if (room >= data.width + BESIDE) return spec;
    const text = (line) => wrap([line].flat().join(" "), Math.floor(room / LETTER));
    const title = { ...spec.title, text: text(spec.title.text), subtitle: text(spec.title.subtitle), anchor: "start", frame: "bounds" };
    const smaller = { labelAngle: () => -40, columns: () => 1, labelLimit: (value) => Math.min(value, room / 3) };
    const small = JSON.parse(JSON.stringify(spec), (key, value) => (key in smaller ? smaller[key](value) : value));
    return { ...narrow(small, room), title };
  };

  const draw = () => {
    if (typeof vegaEmbed === "undefined") return;
    const colours = dark.matches ? data.dark : data.light;
    for (const [name, spec] of Object.entries(data.charts)) {
      const place = document.getElementById(`chart-${name}`);
      const room = place.clientWidth;
      const isNarrow = room < data.width + BESIDE;
      const config = isNarrow ? { ...colours, legend: { ...colours.legend, orient: "bottom", columns: 1, labelLimit: room - 40 } } : colours;
      vegaEmbed(place, { ...fit(spec, room), config }, { actions: false, renderer: "svg", ast: true, tooltip: { theme: dark.matches ? "dark" : "light" } })
        .catch((error) => { place.textContent = `Cannot draw this chart: ${error.message}`; });
    }
  };

  const valueOf = (row, index) => {
    const cell = row.cells[index];
    return cell.dataset.value === undefined ? cell.textContent : Number(cell.dataset.value);
  };

  const compare = (a, b) => {
    if (typeof a === "number" && typeof b === "number") return a - b;
    if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
    return a.localeCompare(b, "en", { numeric: true });
  };

  const sortBy = (head) => {
    const table = head.closest("table");
    const index = head.cellIndex;
    const up = head.getAttribute("aria-sort") !== "ascending";
    for (const other of table.tHead.rows[0].cells) other.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const rows = [...table.tBodies[0].rows];
    rows.sort((a, b) => (up ? 1 : -1) * compare(valueOf(a, index), valueOf(b, index)));
    table.tBodies[0].append(...rows);
  };

  for (const button of document.querySelectorAll(".sortable th button")) {
    button.addEventListener("click", () => sortBy(button.closest("th")));
  }
  const folded = () => document.querySelectorAll("details:not([open])");
  let opened = [];
  window.addEventListener("beforeprint", () => { opened = [...folded()]; for (const section of opened) section.open = true; });
  window.addEventListener("afterprint", () => { for (const section of opened) section.open = false; });
  dark.addEventListener("change", draw);
  draw();
})();
