"use strict";
// Draws the charts of a page of `runner serve`, as wide as their places.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const LETTER = 6.6; // pixels of a label's letter
  const SYMBOL = 40; // pixels beside a legend's label
  const isDark = () => (window.loadproofTheme ? window.loadproofTheme() === "dark" : matchMedia("(prefers-color-scheme: dark)").matches);

  // The legend takes as many columns as fit.
  const withLegend = (spec, room) => {
    const { color } = spec.encoding;
    const longest = Math.max(1, ...color.scale.domain.map((name) => name.length));
    const columns = Math.max(1, Math.floor(room / (longest * LETTER + SYMBOL)));
    const legend = { ...color.legend, columns, labelLimit: Math.max(60, room - SYMBOL) };
    return { ...spec, encoding: { ...spec.encoding, color: { ...color, legend } } };
  };

  const draw = () => {
    const places = Object.keys(data.charts).map((name) => document.getElementById(`chart-${name}`));
    if (typeof vegaEmbed === "undefined") {
      for (const place of places) place.textContent = "There are no charts: install the extra “charts” of loadproof.";
      return;
    }
    const theme = isDark() ? "dark" : "light";
    for (const [name, spec] of Object.entries(data.charts)) {
      const place = document.getElementById(`chart-${name}`);
      const config = { ...data[theme], background: null };
      const options = { config, actions: false, renderer: "svg", ast: true, tooltip: { theme } };
      vegaEmbed(place, { ...withLegend(spec, place.clientWidth), autosize: { type: "fit-x", contains: "padding" } }, options)
        .catch((error) => { place.textContent = `Cannot draw this chart: ${error.message}`; });
    }
  };

  window.addEventListener("loadproof-theme", draw);
  draw();
})();
