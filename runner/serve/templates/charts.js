"use strict";
// Draws the charts of a page of `runner serve`, as wide as their places.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const isDark = () => (window.loadproofTheme ? window.loadproofTheme() === "dark" : matchMedia("(prefers-color-scheme: dark)").matches);

  const draw = () => {
    const places = Object.keys(data.charts).map((name) => document.getElementById(`chart-${name}`));
    if (typeof vegaEmbed === "undefined") {
      for (const place of places) place.textContent = "There are no charts: install the extra “charts” of loadproof.";
      return;
    }
    const theme = isDark() ? "dark" : "light";
    for (const [name, spec] of Object.entries(data.charts)) {
      const place = document.getElementById(`chart-${name}`);
      const narrow = place.clientWidth < 560 ? { legend: { ...data[theme].legend, orient: "bottom", columns: 1 } } : {};
      const config = { ...data[theme], background: null, ...narrow };
      const options = { config, actions: false, renderer: "svg", ast: true, tooltip: { theme } };
      vegaEmbed(place, { ...spec, autosize: { type: "fit-x", contains: "padding" } }, options)
        .catch((error) => { place.textContent = `Cannot draw this chart: ${error.message}`; });
    }
  };

  window.addEventListener("loadproof-theme", draw);
  draw();
})();
