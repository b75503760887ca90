"use strict";
// The page of a run in progress: draws what the server sends, and leaves for the report when there is one.
(() => {
  const { LineChart, drawProbes, time } = window.LiveChart;
  const page = document.getElementById("live");
  const byId = (id) => document.getElementById(id);
  const run = new window.LiveRun.Run();
  const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
  const LEAVES_AFTER = 700; // milliseconds, so that what is announced can be heard
  const COLOURS = { app: "--s1", proxy: "--s2", generator: "--s7", runner: "--s4", forwarder: "--s5", daemon: "--s5", other: "--s6", system: "--soft" };
  const SERVICES = ["--s3", "--s6", "--s5", "--s2"];
  let selected = null;
  let state = "waiting";
  let isDrawing = false;
  let announced = 0;

  const colour = (name) => `var(${name})`;
  const rate = (value) => (value >= 100 || Number.isInteger(value) ? whole.format(value) : value.toFixed(1));
  const ms = (value) => (value === null || value === undefined ? "–" : value < 10 ? `${value.toFixed(2)} ms` : value < 100 ? `${value.toFixed(1)} ms` : value < 10000 ? `${whole.format(value)} ms` : `${(value / 1000).toFixed(1)} s`);
  const share = (part, all) => (all ? `${((100 * part) / all).toFixed(part && part / all < 0.001 ? 3 : part / all < 0.1 ? 1 : 0)} %` : "–");
  const cores = (value) => value.toFixed(2);
  const kinds = (failures) => Object.entries(failures).sort((a, b) => b[1] - a[1]).map(([kind, count]) => `${whole.format(count)} ${kind}`).join(", ");
  const text = (id, content) => { const element = byId(id); if (element.textContent !== content) element.textContent = content; };
  const show = (id, isShown) => { byId(id).hidden = !isShown; };
  const announce = (sentence) => { byId("announcement").textContent = sentence; };

  const charts = {
    rates: new LineChart(byId("rates"), "Requests per second: target, achieved and failed"),
    latencies: new LineChart(byId("latencies"), "Response time: p50, p95 and p99"),
    cores: new LineChart(byId("cores"), "CPU cores by role"),
    flight: new LineChart(byId("flight"), "Requests under way, and users"),
  };

  const shownTrial = () => (selected !== null && run.trials.get(selected)) || run.current;

  const roles = (points) => {
    const found = new Set(points.flatMap((point) => Object.keys(point.cores || {})));
    const usual = Object.keys(COLOURS).filter((role) => found.has(role));
    const services = [...found].filter((role) => !COLOURS[role]).sort();
    return [...usual.slice(0, 2), ...services, ...usual.slice(2)].filter((role, at, all) => all.indexOf(role) === at);
  };

  const roleColour = (role, services) => colour(COLOURS[role] || SERVICES[services.indexOf(role) % SERVICES.length]);

  const drawCharts = (trial) => {
    const { begins, points } = trial;
    const stage = { warmup_s: begins.warmup_s, duration_s: begins.duration_s };
    const within = (value) => (point) => (trial.isAfterWindow(point) ? null : value(point));
    const failed = (point) => Object.values(point.failures || {}).reduce((sum, count) => sum + count, 0) / (point.seconds || 1);
    const series = [{ name: "achieved", colour: colour("--s1"), value: within((point) => point.rps), text: rate }];
    if (points.some((point) => point.target_rps !== null && point.target_rps !== undefined)) series.unshift({ name: "target", colour: colour("--soft"), dashed: true, value: within((point) => point.target_rps), text: rate });
    if (trial.failed) series.push({ name: "failed", colour: colour("--fail"), area: true, value: failed, text: rate });
    if (begins.model === "scenarios") series.push({ name: "scenarios completed", colour: colour("--s3"), value: within((point) => point.scenarios_per_s), text: rate });
    charts.rates.show(stage, points, series);
    charts.latencies.show({ ...stage, log: true }, points, [["p50", "--s3"], ["p95", "--s1"], ["p99", "--s2"]].map(([name, key]) => ({ name, colour: colour(key), value: (point) => point[`${name}_ms`], text: ms })));
    const named = roles(points);
    const services = named.filter((role) => !COLOURS[role]);
    charts.cores.show(stage, points, named.map((role) => ({ name: role === "system" ? "whole machine" : role, colour: roleColour(role, services), dashed: role === "system", value: (point) => (point.cores || {})[role], text: cores })));
    const flight = [{ name: "requests", colour: colour("--s1"), value: (point) => point.in_flight || 0, text: rate }];
    if (points.some((point) => point.users !== undefined && point.users !== null)) flight.push({ name: "users", colour: colour("--s2"), value: (point) => point.users, text: rate });
    charts.flight.show(stage, points, flight);
  };

  const drawFigures = (trial) => {
    const last = trial.last;
    if (!last) { for (const id of ["rate", "p95", "errors", "under-way", "cpu"]) { text(id, "–"); text(`${id}-more`, ""); } return; }
    const measured = trial.lastOfWindow;
    text("rate", `${rate(measured.rps)} /s`);
    const target = measured.target_rps, users = measured.target_users_per_s;
    text("rate-more", target ? `${share(measured.rps, target)} of the target ${rate(target)}` : users ? `${rate(measured.scenarios_per_s || 0)} scenarios/s, ${rate(users)} users/s due` : trial.begins.model === "closed" ? "users wait for responses" : "");
    text("p95", ms(last.p95_ms));
    const noLatency = last.t_s <= 0 ? "not measured in the warm-up" : last.succeeded ? "known when the stage ends" : "no successful response";
    text("p95-more", last.p95_ms === undefined || last.p95_ms === null ? noLatency : `p50 ${ms(last.p50_ms)}, p99 ${ms(last.p99_ms)}`);
    const { failed } = trial, ended = trial.succeeded + failed;
    text("errors", failed ? share(failed, ended) : "0 %");
    byId("errors").classList.toggle("is-bad", failed > 0);
    text("errors-more", failed ? kinds(trial.failures) : ended ? `of ${whole.format(ended)} requests` : "");
    text("under-way", whole.format(last.in_flight || 0));
    text("under-way-more", last.users !== undefined && last.users !== null ? `${whole.format(last.users)} users` : "");
    const used = Object.entries(last.cores || {}).filter(([role]) => role !== "system").sort((a, b) => b[1] - a[1]);
    text("cpu", used.length ? `${used[0][0]} ${cores(used[0][1])}` : "–");
    text("cpu-more", used.length ? `cores; ${used.slice(1, 4).map(([role, value]) => `${role} ${cores(value)}`).join(", ")}` : "");
  };

  const drawStage = (trial) => {
    const { begins } = trial;
    const t = trial.t_s ?? -begins.warmup_s;
    const length = begins.warmup_s + begins.duration_s;
    text("title", `${begins.number} of ${Math.max(run.total, begins.number)}: ${begins.title}`);
    byId("bar").value = trial.ends ? 1 : Math.min((t + begins.warmup_s) / length, 1);
    const phase = t < 0 ? "warming up" : t < begins.duration_s ? "measuring" : "waiting for the last responses";
    text("left", trial.ends ? "ended" : t < begins.duration_s ? `${phase}, ${time(begins.duration_s - t)} left` : phase);
    const left = run.secondsLeft();
    const isBounded = run.plan.some((planned) => planned.search);
    text("all-left", left > 0 && !run.ends ? `whole run: ${isBounded ? "at most" : "about"} ${time(left)} of load left` : "");
    show("follow", selected !== null && trial !== run.current);
  };

  const cell = (content, className = "") => {
    const made = document.createElement("td");
    if (className) made.className = className;
    made.append(content);
    return made;
  };

  const row = (cells, className = "") => {
    const made = document.createElement("tr");
    made.className = className;
    made.append(...cells);
    return made;
  };

  let drawnProbes = "";
  const drawSearch = (trial) => {
    const number = trial ? trial.begins.number : 0;
    const planned = trial && trial.begins.search ? run.planned(number) : run.plan.filter((one) => one.search && one.number <= (number || Infinity)).at(-1);
    const orders = planned ? planned.orders || 1 : 0;
    const probes = planned ? [...run.probes.values()].filter((probe) => planned.number <= probe.number && probe.number < planned.number + orders).sort((a, b) => a.number - b.number) : [];
    show("search", Boolean(planned && planned.search && (probes.length || (trial && trial.begins.search))));
    if (byId("search").hidden) return;
    text("search-title", `Search: ${planned.configuration} · ${planned.stage}`);
    const unit = probes.length ? probes[0].unit || "RPS" : "RPS";
    const running = run.current && !run.current.ends && run.current.begins.search && run.planned(run.current.begins.number) === planned ? run.current : null;
    const goes = running && running.last && running.last.target_rps ? [{ number: running.begins.number, rate: running.last.target_rps, passed: null, running: true, unit }] : [];
    const all = [...probes.filter((probe) => !goes.length || probe.number !== goes[0].number), ...goes];
    if (all.length) drawProbes(byId("probes"), all, (value) => `${rate(value)} ${unit}`);
    const key = JSON.stringify(all);
    if (key === drawnProbes) return;
    drawnProbes = key;
    byId("probe-rows").replaceChildren(...all.map((probe) => row([
      cell(String(probe.number - planned.number + 1), "number"), cell(`${rate(probe.rate)} ${unit}`, "number"),
      probe.running ? cell("under way") : probe.passed === true ? cell("● passed", "passed-mark") : probe.passed === false ? cell("✕ failed", "failed-mark") : cell("○ undecided"),
      cell(probe.p95_ms === undefined || probe.p95_ms === null ? "–" : ms(probe.p95_ms), "number"), cell(probe.reason || ""),
    ])));
  };

  const drawParts = (trial) => {
    show("parts", trial.parts.size > 1);
    if (trial.parts.size < 2) return;
    byId("part-rows").replaceChildren(...[...trial.parts].map(([name, part]) => {
      const failed = Object.values(part.failures).reduce((sum, count) => sum + count, 0);
      return row([cell(name), cell(rate(part.rps), "number"), cell(ms(part.p95_ms), "number"), cell(whole.format(part.succeeded), "number"), cell(whole.format(failed), failed ? "number failed-mark" : "number"), cell(kinds(part.failures))]);
    }));
  };

  const length = (begins) => `${time(begins.duration_s)}${begins.warmup_s ? ` + ${time(begins.warmup_s)}` : ""}`;

  const trialRow = ({ number, planned, heads, probe }) => {
    const trial = run.trials.get(number), ends = (trial && trial.ends) || run.done.get(number);
    if (heads) return row([cell(`${number}`, "number"), cell(`${planned.configuration} · ${planned.stage}`), cell(length(planned)), cell(`search, at most ${planned.orders} rates`), cell(""), cell(""), cell("")]);
    const name = trial ? trial.begins.title : `${planned.configuration} · ${planned.stage}${planned.detail ? `, ${planned.detail}` : ""}${planned.level !== planned.stage ? ` (${planned.level})` : ""}`;
    let label = name;
    if (trial && (trial.points.length || trial === run.current)) {
      label = document.createElement("button");
      label.type = "button";
      label.textContent = name;
      label.dataset.number = number;
      label.title = "Show its charts";
    }
    const isNow = trial && !trial.ends && trial === run.current && !["died", "failed", "ended"].includes(state);
    const verdict = run.probes.get(number);
    const status = isNow ? "under way" : !ends ? (trial ? "interrupted" : "to come") : ends.status === "complete" ? (verdict ? { true: "passed", false: "failed", null: "undecided" }[String(verdict.passed)] : "done") : ends.status;
    const failed = ends ? ends.failed || 0 : null;
    return row([
      cell(`${probe ? "· " : ""}${number}`, "number"), cell(label), cell(length(trial ? trial.begins : planned)), cell(status, status === "failed" ? "failed-mark" : ""),
      cell(ends && ends.rps !== undefined && ends.rps !== null ? rate(ends.rps) : "", "number"), cell(ends && ends.p95_ms ? ms(ends.p95_ms) : "", "number"), cell(failed === null ? "" : whole.format(failed), failed ? "number failed-mark" : "number"),
    ], [isNow ? "now" : "", !trial && !ends ? "to-come" : "", trial && trial === shownTrial() ? "shown" : ""].join(" ").trim());
  };

  let drawnTable = "";
  const drawTable = () => {
    const rows = run.rows();
    const key = JSON.stringify([rows.length, run.current && run.current.begins.number, Boolean(run.current && run.current.ends), run.probes.size, run.done.size, selected, state]);
    if (key === drawnTable) return;
    drawnTable = key;
    const body = byId("trial-rows");
    const focused = body.contains(document.activeElement) ? document.activeElement.dataset.number : null;
    body.replaceChildren(...rows.map(trialRow));
    if (focused !== null) body.querySelector(`button[data-number="${focused}"]`)?.focus({ preventScroll: true });
    const now = body.querySelector("tr.now"), box = body.closest(".box");
    if (now && !box.contains(document.activeElement)) box.scrollTop = Math.max(now.offsetTop - box.clientHeight / 2, 0);
  };

  let drawnNotes = null;
  const drawNotes = () => {
    const newest = run.notes.at(-1);
    if (newest === drawnNotes) return;
    drawnNotes = newest;
    byId("notes").replaceChildren(...run.notes.map((note) => {
      const item = document.createElement("li"), when = document.createElement("time"), what = document.createElement("span");
      const moment = new Date(note.at_s * 1000);
      when.dateTime = moment.toISOString();
      when.textContent = moment.toLocaleTimeString([], { hour12: false });
      what.textContent = note.text;
      item.append(when, what);
      return item;
    }).reverse());
  };

  const CLASSES = { running: "running", died: "bad", failed: "bad", ended: "good" };
  const WORDS = { waiting: "starting", running: "in progress", died: "interrupted", failed: "failed", ended: "ended" };

  const drawState = () => {
    const badge = byId("state");
    if (badge.textContent !== WORDS[state]) badge.textContent = WORDS[state];
    badge.className = `badge ${CLASSES[state] || ""}`;
    for (const one of ["died", "failed", "ended"]) show(one, state === one);
    if (run.ends) text("reason", run.ends.reason || "");
    if (run.begins) {
      text("experiment", run.begins.experiment);
      const left = byId("left").textContent;
      document.title = state === "running" && left ? `${run.begins.experiment}: ${left}` : `${run.begins.experiment}: ${WORDS[state]}`;
    }
  };

  const draw = () => {
    isDrawing = false;
    if (document.hidden) return;
    const trial = shownTrial();
    if (trial) {
      drawStage(trial);
      drawFigures(trial);
      drawCharts(trial);
      drawParts(trial);
    }
    drawSearch(trial);
    drawTable();
    drawNotes();
    drawState();
  };

  const soon = () => {
    if (isDrawing) return;
    isDrawing = true;
    requestAnimationFrame(draw);
    if (document.hidden) isDrawing = false; // no frames come; everything is drawn when the page is seen again
  };

  const leave = async (report) => {
    announce("The run has ended. Its report opens now.");
    try {
      const response = await fetch(report, { method: "HEAD" });
      if (!response.ok || new URL(response.url).pathname.startsWith("/live/")) return; // the link stays
    } catch {
      return;
    }
    setTimeout(() => location.replace(report), LEAVES_AFTER);
  };

  page.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.dataset.number) selected = Number(button.dataset.number);
    if (button.id === "follow") { selected = null; byId("title").tabIndex = -1; byId("title").focus(); }
    if (run.current && selected === run.current.begins.number && !run.current.ends) selected = null;
    soon();
  });
  document.addEventListener("visibilitychange", soon);

  const events = new EventSource(page.dataset.events);
  events.addEventListener("open", () => show("lost", false));
  events.addEventListener("error", () => { if (!["ended", "died", "failed"].includes(state)) show("lost", true); });
  events.addEventListener("reset", () => { run.reset(); drawnTable = ""; drawnNotes = null; announced = 0; });
  events.addEventListener("records", (event) => {
    for (const record of JSON.parse(event.data)) run.add(record);
    if (run.current && run.current.begins.number !== announced && state === "running") {
      announced = run.current.begins.number;
      announce(`Stage ${announced} of ${run.total}: ${run.current.begins.title}`);
    }
    soon();
  });
  events.addEventListener("state", (event) => {
    const told = JSON.parse(event.data);
    const before = state;
    state = told.state;
    if (state === "died" && before !== state) announce("The runner has ended before the run was complete.");
    if (state === "failed") announce("The run ended without a result.");
    if (state === "ended" || state === "failed") events.close();
    soon();
    if (state === "ended") leave(told.report);
  });
  window.addEventListener("pagehide", () => events.close());
  window.addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
})();
