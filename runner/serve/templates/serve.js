"use strict";
// Filters, sorts and pages the list without a reload, and shows new runs; every link and form works without it.
(() => {
  const PAUSE = 150; // milliseconds after the last letter
  const listing = () => document.getElementById("listing");
  const announcement = document.getElementById("announcement");
  const ticked = new Set();
  let latest = 0;
  let timer;

  const here = () => `${location.pathname}${location.search}`;

  const addressOf = (form) => {
    const values = new URLSearchParams();
    for (const [name, value] of new FormData(form)) if (value) values.set(name, value);
    return values.size ? `/?${values}` : "/";
  };

  // What is focused keeps the focus, with its selection, when the list is replaced.
  const focused = () => {
    const element = document.activeElement;
    if (!element || !listing().contains(element)) return () => {};
    const { id } = element;
    const label = element.getAttribute("href") || element.value;
    const sort = element.dataset.sort;
    const selection = element.type === "search" ? [element.selectionStart, element.selectionEnd, element.value] : null;
    return () => {
      const escaped = CSS.escape(label || "");
      const match = id ? document.getElementById(id)
        : sort ? document.querySelector(`[data-sort="${sort}"]`)
        : document.querySelector(`#listing a[href="${escaped}"], #listing input[value="${escaped}"]`);
      if (!match) return;
      if (selection) { match.value = selection[2]; match.setSelectionRange(selection[0], selection[1]); }
      match.focus({ preventScroll: true });
    };
  };

  const tick = () => {
    for (const box of document.querySelectorAll(".tick input")) box.checked = ticked.has(box.value);
    const button = document.getElementById("compare-button");
    if (!button) return;
    button.setAttribute("aria-disabled", String(ticked.size !== 2));
    button.textContent = ticked.size === 2 ? "Compare" : ticked.size === 1 ? "Tick one more run" : "Tick two runs to compare";
  };

  const show = async (address, { remember = true, quiet = false } = {}) => {
    const number = ++latest;
    let response;
    try {
      response = await fetch(address, { headers: { Accept: "text/html" } });
    } catch {
      return; // the server has ended; the stream of events says when it is back
    }
    if (!response.ok || number !== latest) return;
    const next = new DOMParser().parseFromString(await response.text(), "text/html").getElementById("listing");
    if (!next || number !== latest) return;
    const restore = focused();
    listing().replaceWith(document.adoptNode(next));
    restore();
    tick();
    if (remember) history.replaceState(null, "", address);
    const count = document.querySelector(".tools .count");
    if (!quiet && count) announcement.textContent = count.textContent.trim();
  };

  document.addEventListener("input", (event) => {
    if (!event.target.closest("#filter")) return;
    clearTimeout(timer);
    const form = event.target.form;
    timer = setTimeout(() => show(addressOf(form)), PAUSE);
  });

  document.addEventListener("submit", (event) => {
    if (event.target.id === "filter") {
      event.preventDefault();
      clearTimeout(timer);
      show(addressOf(event.target));
    } else if (event.target.id === "compare") {
      event.preventDefault();
      if (ticked.size === 2) location.href = `/compare?${new URLSearchParams([...ticked].map((run) => ["run", run]))}`;
      else announcement.textContent = "Tick two runs to compare them.";
    }
  });

  document.addEventListener("click", (event) => {
    const link = event.target.closest("#listing thead a, #listing .pages a, #listing a.chip");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    show(link.getAttribute("href"));
  });

  document.addEventListener("change", (event) => {
    if (!event.target.closest(".tick")) return;
    if (event.target.checked) ticked.add(event.target.value); else ticked.delete(event.target.value);
    if (ticked.size > 2) ticked.delete(ticked.values().next().value); // the one ticked first
    tick();
  });

  document.addEventListener("keydown", (event) => {
    const isTyping = /^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName) && document.activeElement.type !== "checkbox";
    const filter = document.getElementById("q");
    if (event.key === "/" && !isTyping && filter && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      filter.focus();
    }
  });

  window.addEventListener("pageshow", () => {
    ticked.clear();
    for (const box of document.querySelectorAll(".tick input:checked")) ticked.add(box.value);
    tick();
  });

  const events = new EventSource("/events");
  events.addEventListener("runs", (event) => {
    if (event.data.split(" ")[0] !== listing().dataset.version) show(here(), { remember: false, quiet: true });
  });
  document.addEventListener("visibilitychange", () => { if (!document.hidden) show(here(), { remember: false, quiet: true }); });
  window.addEventListener("pagehide", () => events.close());

  document.documentElement.classList.add("js");
  tick();
})();
