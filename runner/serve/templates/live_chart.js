"use strict";
// Small line charts that are cheap to draw once a second: a chart library would take CPU from what is measured.
(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const LEFT = 46, RIGHT = 8, TOP = 8, BOTTOM = 34;
  const numbers = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

  const svg = (name, attributes = {}) => {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  };

  const short = (value) => {
    if (value >= 1e6) return `${+(value / 1e6).toPrecision(3)}M`;
    if (value >= 1e4) return `${+(value / 1e3).toPrecision(3)}k`;
    return value >= 100 ? numbers.format(value) : `${+value.toPrecision(3)}`;
  };

  const niceStep = (span, count) => {
    const raw = span / count || 1;
    const power = 10 ** Math.floor(Math.log10(raw));
    return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= raw);
  };

  const linear = (top, height) => {
    const step = niceStep(top || 1, 4);
    const max = Math.ceil((top || 1) / step) * step;
    const ticks = Array.from({ length: Math.round(max / step) + 1 }, (_, at) => at * step);
    return { ticks, y: (value) => TOP + (1 - Math.min(value, max) / max) * (height - TOP - BOTTOM) };
  };

  const logarithmic = (bottom, top, height) => {
    const low = 10 ** Math.floor(Math.log10(bottom)), high = 10 ** Math.max(Math.ceil(Math.log10(top)), Math.floor(Math.log10(bottom)) + 1);
    const ticks = [];
    for (let tick = low; tick <= high * 1.001; tick *= 10) ticks.push(tick);
    const span = Math.log10(high / low);
    return { ticks, y: (value) => TOP + (1 - Math.log10(Math.max(value, low) / low) / span) * (height - TOP - BOTTOM) };
  };

  const time = (seconds) => {
    const all = Math.round(Math.abs(seconds)), sign = seconds < 0 ? "−" : "";
    if (all < 120) return `${sign}${all} s`;
    return all < 7200 ? `${sign}${Math.floor(all / 60)}:${String(all % 60).padStart(2, "0")}` : `${sign}${+(all / 3600).toFixed(1)} h`;
  };

  // As in the report, in UTC, so that a reader finds the lines of a log.
  const clock = (began, seconds) => (began === null ? "" : new Date((began + seconds) * 1000).toISOString().slice(11, 19));

  // A record of a second is written some time after its end: the earliest one tells best when the window began.
  const windowBegan = (points) => {
    const known = points.filter((point) => Number.isFinite(point.at_s) && Number.isFinite(point.t_s)).map((point) => point.at_s - point.t_s);
    const began = Math.min(...known);
    return Number.isFinite(began) && Math.abs(began) < 8e12 ? began : null;
  };

  const line = (points, x, y, value) => {
    let path = "", pen = "M";
    for (const point of points) {
      const at = value(point);
      if (at === null || at === undefined) { pen = "M"; continue; }
      path += `${pen}${x(point.t_s).toFixed(1)},${y(at).toFixed(1)}${pen === "M" ? "h0" : ""}`; // a point alone is a dot
      pen = "L";
    }
    return path;
  };

  // A chart of series {name, colour, value(point), text(value), dashed, area} over the seconds of a stage.
  class LineChart {
    constructor(element, label) {
      this.element = element;
      this.label = label;
      this.width = 0;
      this.cursor = null;
      this.svg = svg("svg", { role: "img", "aria-label": label });
      this.legend = document.createElement("ul");
      this.legend.className = "legend";
      element.replaceChildren(this.svg, this.legend);
      new ResizeObserver(() => this.draw()).observe(element);
      this.svg.addEventListener("pointermove", (event) => this.point(event.offsetX));
      this.svg.addEventListener("pointerleave", () => this.point(null));
    }

    show(stage, points, series) {
      Object.assign(this, { stage, points, series });
      this.draw();
    }

    point(offset) {
      this.cursor = offset;
      this.draw();
    }

    draw() {
      const { clientWidth: width, clientHeight: height } = this.svg;
      if (!this.points || !width) return;
      const { warmup_s: warmup, duration_s: duration } = this.stage;
      const last = this.points.at(-1);
      const start = -warmup, end = Math.max(duration, last ? last.t_s : 0);
      const x = (t) => LEFT + ((t - start) / (end - start || 1)) * (width - LEFT - RIGHT);
      const values = this.series.flatMap((one) => this.points.map(one.value)).filter((value) => value !== null && value !== undefined);
      const top = Math.max(...values, 0), bottom = Math.min(...values.filter((value) => value > 0), top || 1);
      const scale = this.stage.log && top / bottom > 30 ? logarithmic(bottom, top, height) : linear(top, height);
      const parts = [];
      if (warmup > 0) parts.push(svg("rect", { class: "warmup", x: LEFT, y: TOP, width: Math.max(x(0) - LEFT, 0), height: height - TOP - BOTTOM }));
      if (!values.length && this.stage.nothing && last && last.t_s > 0) {
        const none = svg("text", { class: "axis", x: (LEFT + width) / 2, y: height / 2, "text-anchor": "middle" });
        none.textContent = this.stage.nothing;
        this.svg.replaceChildren(none);
        this.legend.replaceChildren();
        return;
      }
      this.drawAxes(parts, scale, x, start, end, width, height);
      for (const one of this.series) {
        const path = line(this.points, x, scale.y, one.value);
        if (path && one.area) parts.push(svg("path", { class: "area", d: `M${x(this.points[0].t_s).toFixed(1)},${scale.y(0)}L${path.slice(1).replaceAll("M", "L")}L${x(last.t_s).toFixed(1)},${scale.y(0)}Z`, style: `fill: ${one.colour}` }));
        if (path) parts.push(svg("path", { d: path, class: one.dashed ? "dashed" : "", style: `stroke: ${one.colour}` }));
      }
      const shown = this.pointed(x) ?? last;
      if (this.cursor !== null && shown) parts.push(svg("line", { class: "cursor", x1: x(shown.t_s), x2: x(shown.t_s), y1: TOP, y2: height - BOTTOM }));
      this.svg.replaceChildren(...parts);
      this.drawLegend(shown);
    }

    drawAxes(parts, scale, x, start, end, width, height) {
      for (const tick of scale.ticks) {
        const at = Math.round(scale.y(tick));
        parts.push(svg("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: at, y2: at }));
        const text = svg("text", { class: "axis", x: LEFT - 6, y: at + 4, "text-anchor": "end" });
        text.textContent = short(tick);
        parts.push(text);
      }
      const began = windowBegan(this.points);
      const step = Math.max(1, niceStep(end - start, Math.max(2, Math.floor(width / 110)))); // labels are whole seconds
      for (let tick = Math.ceil(start / step) * step; tick <= end; tick += step) {
        const at = x(tick);
        const anchor = at > width - RIGHT - 20 ? "end" : "middle";
        [[time(tick), 19], [clock(began, tick), 5]].forEach(([label, above]) => {
          const text = svg("text", { class: "axis", x: at, y: height - above, "text-anchor": anchor });
          text.textContent = label;
          parts.push(text);
        });
      }
    }

    pointed(x) {
      if (this.cursor === null || !this.points.length) return null;
      return this.points.reduce((best, point) => (Math.abs(x(point.t_s) - this.cursor) < Math.abs(x(best.t_s) - this.cursor) ? point : best));
    }

    drawLegend(point) {
      const items = this.series.map((one) => {
        const item = document.createElement("li");
        const key = document.createElement("i");
        key.style.borderColor = one.colour;
        if (one.dashed) key.className = "dashed";
        const value = point ? one.value(point) : null;
        const text = document.createElement("b");
        text.textContent = value === null || value === undefined ? "–" : one.text(value);
        item.append(key, `${one.name} `, text);
        return item;
      });
      if (this.cursor !== null && point) {
        const at = document.createElement("li");
        at.textContent = `at ${time(point.t_s)} ${clock(windowBegan(this.points), point.t_s)}`;
        items.unshift(at);
      }
      this.legend.replaceChildren(...items);
    }
  }

  // The probes of a search: one mark each, at its rate, with the rates that bound the result.
  const drawProbes = (element, probes, format) => {
    const width = element.clientWidth, height = 184;
    if (!width) return;
    const picture = svg("svg", { role: "img", "aria-label": "Rates that were tried, in order; the table has the same" });
    const top = Math.max(...probes.map((probe) => probe.rate));
    const scale = linear(top, height);
    const x = (at) => LEFT + ((at + 0.5) / Math.max(probes.length, 6)) * (width - LEFT - RIGHT);
    for (const tick of scale.ticks) {
      const at = Math.round(scale.y(tick));
      picture.append(svg("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: at, y2: at }));
      const text = svg("text", { class: "axis", x: LEFT - 6, y: at + 4, "text-anchor": "end" });
      text.textContent = short(tick);
      picture.append(text);
    }
    const bounds = [Math.max(...probes.filter((probe) => probe.passed === true).map((probe) => probe.rate)), Math.min(...probes.filter((probe) => probe.passed === false).map((probe) => probe.rate))];
    for (const rate of bounds.filter(Number.isFinite)) picture.append(svg("line", { class: "bound", x1: LEFT, x2: width - RIGHT, y1: scale.y(rate), y2: scale.y(rate) }));
    probes.forEach((probe, at) => {
      const kind = probe.passed === true ? "passed" : probe.passed === false ? "failed" : "open";
      const mark = svg("text", { class: `mark ${kind}`, x: x(at), y: scale.y(probe.rate) });
      mark.textContent = { passed: "●", failed: "✕", open: "○" }[kind];
      const title = svg("title");
      title.textContent = `${format(probe.rate)}: ${probe.running ? "under way" : kind === "open" ? "undecided" : kind}`;
      mark.append(title);
      const text = svg("text", { class: "axis", x: x(at), y: height - 5, "text-anchor": "middle" });
      text.textContent = at + 1;
      picture.append(mark, text);
    });
    element.replaceChildren(picture);
  };

  window.LiveChart = { LineChart, drawProbes, time };
})();
