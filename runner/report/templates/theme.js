"use strict";
(() => {
  const KEY = "loadproof-theme";
  const root = document.documentElement;
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const stored = () => { try { return window.localStorage.getItem(KEY); } catch { return null; } };
  const store = (theme) => { try { window.localStorage.setItem(KEY, theme); } catch { /* kept for this visit only */ } };
  const current = () => root.dataset.theme || (system.matches ? "dark" : "light");
  const chosen = stored();
  if (chosen === "dark" || chosen === "light") root.dataset.theme = chosen;
  window.loadproofTheme = current;
  const announce = () => window.dispatchEvent(new Event("loadproof-theme"));
  system.addEventListener("change", announce);
  document.addEventListener("DOMContentLoaded", () => {
    for (const button of document.querySelectorAll("button.theme")) {
      const label = () => { button.setAttribute("aria-label", current() === "dark" ? "Light colours" : "Dark colours"); button.title = button.getAttribute("aria-label"); };
      button.hidden = false;
      label();
      window.addEventListener("loadproof-theme", label);
      button.addEventListener("click", () => {
        root.dataset.theme = current() === "dark" ? "light" : "dark";
        store(root.dataset.theme);
        announce();
      });
    }
  });
})();
