"use strict";
(() => {
  const content = document.getElementById("data");
  const data = content ? JSON.parse(content.textContent) : { charts: {} };
  const NARROW = 520; // pixels of a chart from which panels stand beside each other
  const BESIDE = 80; // pixels of an axis, before the chart is measured
  const LETTER = 6.6; // pixels of a label's letter
  const NAME = 18; // letters in a line of a row's name on a narrow page
  const SYMBOL = 40; // pixels beside a legend's label
  const HIGHEST = 620; // pixels of the picture of the verdict
  const LOWEST = 60; // pixels of one of its panels that grows
  const HIGHEST_ROW = 64; // pixels of one of its rows
  const LOW = 190; // pixels of a chart on a narrow page
  const CHANGED = 3; // pixels from which a chart is fitted again
  const isDark = () => (window.loadproofTheme ? window.loadproofTheme() === "dark" : false);

  const panelsInRow = (spec) => (spec.hconcat ? spec.hconcat.length : spec.facet ? spec.columns || 1 : 1);

  // Legends take as many columns as fit.
  const legends = (spec, room) => JSON.parse(JSON.stringify(spec), (key, value) => {
    if (key !== "color" || !value || !value.legend) return value;
    const longest = Math.max(1, ...((value.scale && value.scale.domain) || []).map((name) => String(name).length));
    const columns = Math.max(1, Math.floor(room / (longest * LETTER + SYMBOL)));
    return { ...value, legend: { ...value.legend, columns, labelLimit: Math.max(60, room - SYMBOL) } };
  });

  // Long names of rows take several lines, and every panel has them.
  const wrapped = (name, letters) => String(name).split(" ").reduce((lines, word) => {
    const last = lines[lines.length - 1];
    return last.length + word.length < letters ? [...lines.slice(0, -1), `${last} ${word}`.trim()] : [...lines, word];
  }, [""]).filter(Boolean);
  const named = (panels) => {
    const { y } = panels[0].encoding || {};
    if (!y || !y.scale || !Array.isArray(y.scale.domain)) return panels;
    const lines = Object.fromEntries(y.scale.domain.map((name) => [name, wrapped(name, NAME)]));
    const step = 12 + 11 * Math.max(...Object.values(lines).map((one) => one.length));
    const axis = { ...y.axis, labelExpr: `${JSON.stringify(lines)}[datum.label]`, labelFontSize: 10, labelLineHeight: 11 };
    return panels.map((panel) => ({ ...panel, height: { step }, encoding: { ...panel.encoding, y: { ...y, axis } } }));
  };

  // On a narrow page, panels stand one below the other.
  const stacked = (spec, room) => {
    const stages = [...new Set(((spec.data && spec.data.values) || []).map((row) => row.stage).filter(Boolean))];
    const longest = Math.max(1, ...stages.map((name) => String(name).length));
    const fit = stages.length * (longest + 2) * LETTER < room - 2 * SYMBOL;
    const small = { labelAngle: () => (fit ? 0 : -40), columns: () => 1, labelLimit: (value) => Math.min(value, room / 2.5) };
    const slim = JSON.parse(JSON.stringify(spec), (key, value) => (key in small && typeof value === "number" ? small[key](value) : value));
    const bars = (key, value) => (key === "mark" && value && value.width ? { ...value, width: { band: 0.6 } } : value);
    const { hconcat, ...rest } = JSON.parse(JSON.stringify(slim), bars);
    const result = hconcat ? { ...rest, vconcat: named(hconcat) } : rest;
    if (typeof result.height === "number") result.height = Math.min(result.height, LOW);
    if (result.vconcat) result.vconcat = result.vconcat.filter((panel) => panel.name !== "names");
    return result;
  };

  const widen = (spec, width) => {
    if (typeof spec.width === "number") spec.width = width;
    if (spec.spec) widen(spec.spec, width);
    for (const panel of [...(spec.vconcat || []), ...(spec.hconcat || [])]) widen(panel, width);
    return spec;
  };

  // The names of panels beside each other are no wider than the panels.
  const headed = (spec, width) => {
    if (!spec.facet || !Array.isArray(spec.facet.sort)) return spec;
    const all = spec.facet.sort.map((name) => [name, wrapped(name, Math.floor(width / LETTER))]);
    const most = Math.max(...all.map(([, one]) => one.length)); // as many for each, or the panels of a row would not be level
    const lines = Object.fromEntries(all.map(([name, one]) => [name, [...Array(most - one.length).fill(" "), ...one]]));
    const header = { ...spec.facet.header, labelExpr: `${JSON.stringify(lines)}[datum.label]`, labelLineHeight: 13 };
    return { ...spec, facet: { ...spec.facet, header } };
  };

  const fitted = (spec, room) => {
    const arranged = room < NARROW ? stacked(spec, room) : JSON.parse(JSON.stringify(spec));
    const panels = panelsInRow(arranged);
    const width = Math.max(80, Math.floor(room / panels - BESIDE));
    return { spec: widen(legends(headed(arranged, width), room), width), panels };
  };

  // What axes and legends take is known once a chart is drawn: the rest of the room goes to its panels.
  const fill = async (chart) => {
    const svg = chart.place.querySelector("svg");
    const left = svg ? chart.place.clientWidth - Number(svg.getAttribute("width")) : 0;
    if (!svg || Math.abs(left) < CHANGED) return;
    const { signals } = chart.view.getState({ signals: (name) => /(^|_)(child_?)?width$/i.test(name), data: () => false });
    for (const [name, value] of Object.entries(signals)) {
      if (typeof value === "number") chart.view.signal(name, Math.max(60, value + Math.floor(left / chart.panels)));
    }
    await chart.view.runAsync();
  };

  // The picture of the verdict is as high as the figures beside it.
  const raise = async (chart) => {
    const box = chart.place.closest(".why");
    const left = box && box.offsetLeft > box.parentElement.firstElementChild.offsetLeft ? Math.min(HIGHEST, box.offsetHeight) - (chart.place.getBoundingClientRect().bottom - box.getBoundingClientRect().top) - 16 : 0;
    const { signals } = chart.view.getState({ signals: (name) => /^(concat_\d+_)?height$|(^|_)y_step$/.test(name), data: () => false });
    const steps = Object.keys(signals).filter((name) => name.endsWith("y_step")); // of rows, whose number makes the height
    if (left < CHANGED) return;
    const rows = steps.length ? new Set(chart.view.scale(steps[0].replace("_step", "")).domain()).size : 0;
    for (const name of steps) chart.view.signal(name, Math.min(HIGHEST_ROW, signals[name] + left / rows));
    const heights = steps.length ? [] : Object.keys(signals).filter((name) => signals[name] >= LOWEST); // of panels below each other
    for (const name of heights) chart.view.signal(name, signals[name] + left / heights.length);
    await chart.view.resize().runAsync();
  };

  const drawn = new Map();
  const draw = async (name) => {
    const place = document.getElementById(`chart-${name}`);
    if (!place) return;
    const room = place.clientWidth;
    const { spec, panels } = fitted(data.charts[name], room);
    const config = { ...(isDark() ? data.dark : data.light), background: "transparent" };
    const tooltip = { theme: isDark() ? "dark" : "light", disableDefaultStyle: true };
    try {
      const result = await window.vegaEmbed(place, { ...spec, config }, { actions: false, renderer: "svg", ast: true, defaultStyle: false, logLevel: 1, tooltip });
      drawn.set(name, { place, view: result.view, panels, narrow: room < NARROW, width: room });
      await fill(drawn.get(name));
      await raise(drawn.get(name));
    } catch (error) {
      place.textContent = `Cannot draw this chart: ${error.message}`;
    }
  };

  let round = 0;
  const drawAll = async () => {
    if (typeof window.vegaEmbed === "undefined") return;
    const mine = ++round;
    for (const name of Object.keys(data.charts)) {
      if (mine !== round) return;
      await draw(name);
      if (!performance.getEntriesByName("loadproof-picture").length) performance.mark("loadproof-picture");
      await new Promise((resume) => { setTimeout(resume, 0); }); // the page stays responsive
    }
    performance.mark("loadproof-drawn");
    document.documentElement.dataset.drawn = "all";
  };

  let resizing = 0;
  const resized = () => {
    clearTimeout(resizing);
    resizing = setTimeout(async () => {
      for (const [name, chart] of drawn) {
        const room = chart.place.clientWidth;
        if (!room || room === chart.width) continue;
        if ((room < NARROW) !== chart.narrow || room < NARROW) await draw(name);
        else { chart.width = room; await fill(chart); }
      }
    }, 150);
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
  // A link to something folded opens it.
  const reveal = () => {
    const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    for (let at = target; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
    if (target) target.scrollIntoView();
  };
  window.addEventListener("hashchange", reveal);
  let opened = [];
  window.addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details:not([open])")];
    for (const section of opened) section.open = true;
  });
  window.addEventListener("afterprint", () => { for (const section of opened) section.open = false; });
  window.addEventListener("loadproof-theme", drawAll);
  window.addEventListener("resize", resized);
  reveal();
  drawAll();
})();
