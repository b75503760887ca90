"use strict";
// The page of a run in progress: draws what the server sends, and leaves for the report when there is one.
(() => {
  const { LineChart, drawProbes, time } = window.LiveChart;
  const page = document.getElementById("live");
  const byId = (id) => document.getElementById(id);
  const run = new window.LiveRun.Run();
  const { isUnknown, count, rate, ms, cores, share, p95 } = window.LiveNumbers;
  const ROLES = JSON.parse(page.dataset.roles);
  const DISTURBED = Number(page.dataset.disturbed);
  const LEAVES_AFTER = 700; // milliseconds, so that what is announced can be heard
  const COLOURS = { app: "--s1", proxy: "--s2", generator: "--s7", runner: "--s4", forwarder: "--s6", daemon: "--s5", other: "--s8", system: "--soft" };
  const SERVICES = ["--s3", "--s9", "--s10", "--s11"];
  let selected = null;
  let state = "waiting";
  let isDrawing = false;
  let announced = 0;

  const colour = (name) => `var(${name})`;
  const role = (name) => ROLES[name] || name;
  const kinds = (failures) => Object.entries(failures).sort((a, b) => b[1] - a[1]).map(([kind, number]) => `${count(number)} ${kind}`).join(", ");
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
    const usual = Object.keys(COLOURS).filter((name) => found.has(name));
    const services = [...found].filter((name) => !COLOURS[name]).sort();
    return [...usual.slice(0, 2), ...services, ...usual.slice(2)].filter((name, at, all) => all.indexOf(name) === at);
  };

  const roleColour = (name, services) => colour(COLOURS[name] || SERVICES[services.indexOf(name) % SERVICES.length]);

  const sum = (counts) => Object.values(counts || {}).reduce((total, number) => total + number, 0);

  const drawCharts = (trial) => {
    const { begins, points } = trial;
    const stage = { warmup_s: begins.warmup_s, duration_s: begins.duration_s };
    const within = (value) => (point) => (trial.isAfterWindow(point) ? null : value(point));
    const series = [{ name: "achieved", colour: colour("--s1"), value: within((point) => point.rps), text: rate }];
    if (points.some((point) => !isUnknown(point.target_rps))) series.unshift({ name: "target", colour: colour("--soft"), dashed: true, value: within((point) => point.target_rps), text: rate });
    if (trial.failed) series.push({ name: "failed or dropped", colour: colour("--fail"), area: true, value: (point) => sum(point.failures) / (point.seconds || 1), text: rate });
    if (begins.model === "scenarios") series.push({ name: "scenarios completed", colour: colour("--s3"), value: within((point) => point.scenarios_per_s), text: rate });
    charts.rates.show(stage, points, series);
    const latencies = [["p50", "--s3"], ["p95", "--s1"], ["p99", "--s2"]].map(([name, key]) => ({ name, colour: colour(key), value: (point) => point[`${name}_ms`], text: ms }));
    if (begins.model === "scenarios") latencies.push({ name: "p95 of whole scenarios", colour: colour("--s4"), dashed: true, value: (point) => point.scenario_p95_ms, text: ms });
    text("latencies-title", begins.model === "closed" ? "Duration" : "Response time");
    charts.latencies.show({ ...stage, log: true, nothing: trial.succeeded ? "the engine tells none before the stage ends" : "no successful response" }, points, latencies);
    const named = roles(points);
    const services = named.filter((name) => !COLOURS[name]);
    charts.cores.show(stage, points, named.map((name) => ({ name: role(name), colour: roleColour(name, services), dashed: name === "system" || name === "other", value: (point) => (point.cores || {})[name], text: cores })));
    const flight = [{ name: "requests", colour: colour("--s1"), value: (point) => point.in_flight, text: rate }];
    if (points.some((point) => !isUnknown(point.users))) flight.push({ name: "users", colour: colour("--s2"), value: (point) => point.users, text: rate });
    charts.flight.show({ ...stage, nothing: "not measured by this engine" }, points, flight);
  };

  const drawCores = (last) => {
    const used = Object.entries(last.cores || {}).filter(([name]) => name !== "system").sort((a, b) => b[1] - a[1]);
    text("cpu", used.length ? `${cores(used[0][1])} cores` : "–");
    text("cpu-more", used.length ? `${role(used[0][0])}, last second; ${used.slice(1, 4).map(([name, value]) => `${role(name)} ${cores(value)}`).join(", ")}` : "");
  };

  // Of a stage that has ended: the numbers of the whole of it, which are those of its report.
  const drawWhole = (trial) => {
    const { ends, begins } = trial, runs = begins.model === "scenarios" ? ends.scenarios : null;
    const latency = p95(runs ? runs.p95 : ends.p95);
    const isOfRuns = runs && !isUnknown(runs.per_s), per = isOfRuns ? runs.per_s : ends.rps;
    text("rate-title", `${isOfRuns ? "Scenarios" : "Rate"}, whole stage`);
    text("rate", isUnknown(per) ? "–" : `${rate(per)} /s`);
    text("rate-more", runs && !isUnknown(ends.rps) ? `${rate(ends.rps)} requests/s` : "successful responses");
    text("p95-title", runs ? "p95 of all scenarios, whole stage" : "p95 of all, whole stage");
    text("p95", latency.number);
    text("p95-more", latency.why || (latency.text === "–" ? "not measured" : latency.latency));
    text("under-way", "–");
    text("under-way-more", "the stage has ended");
  };

  const drawNow = (trial) => {
    const { last, begins } = trial, measured = trial.lastOfWindow, scenarios = begins.model === "scenarios";
    const target = measured.target_rps, users = measured.target_users_per_s;
    text("rate-title", `${scenarios ? "Scenarios" : "Rate"}, last second`);
    text("rate", `${rate(scenarios ? measured.scenarios_per_s || 0 : measured.rps)} /s`);
    text("rate-more", scenarios ? `${users ? `${rate(users)} users/s due, ` : ""}${rate(measured.rps)} requests/s` : target ? `${share(measured.rps, target)} of the target ${rate(target)}` : begins.model === "closed" ? "users wait for responses" : "");
    text("p95-title", scenarios ? "p95 of scenarios, last second" : "p95 of successes, last second");
    const value = scenarios ? last.scenario_p95_ms : last.p95_ms;
    text("p95", ms(value));
    const noLatency = last.t_s <= 0 ? "not measured in the warm-up" : scenarios ? "no scenario completed" : last.succeeded ? "known when the stage ends" : "no successful response";
    text("p95-more", isUnknown(value) ? noLatency : scenarios ? `requests: p95 ${ms(last.p95_ms)}` : `p50 ${ms(last.p50_ms)}, p99 ${ms(last.p99_ms)}`);
    text("under-way", isUnknown(last.in_flight) ? "not measured" : count(last.in_flight));
    text("under-way-more", isUnknown(last.in_flight) ? "by this engine" : isUnknown(last.users) ? "requests" : `requests; ${count(last.users)} users`);
  };

  const drawErrors = (trial) => {
    const runs = trial.begins.model === "scenarios";
    const failed = runs ? trial.lostScenarios : trial.failed;
    const ended = failed + (runs ? trial.scenarios.completed : trial.succeeded);
    text("errors-title", runs ? "Scenarios failed or dropped" : "Requests failed or dropped");
    text("errors", failed ? share(failed, ended) : ended ? "0 %" : "–");
    byId("errors").classList.toggle("is-bad", failed > 0);
    const of = ended ? `${count(failed)} of ${count(ended)} ${runs ? "scenarios" : "requests"}` : "";
    const requests = trial.failed ? `${runs ? "requests: " : ""}${kinds(trial.failures)}` : "";
    text("errors-more", [failed ? of : of && `of ${count(ended)} ${runs ? "scenarios" : "requests"}`, requests].filter(Boolean).join("; "));
  };

  const drawFigures = (trial) => {
    if (trial.ends) drawWhole(trial);
    else if (trial.last) drawNow(trial);
    const unknown = trial.last ? [] : trial.ends ? ["cpu"] : ["rate", "p95", "errors", "under-way", "cpu"];
    for (const id of unknown) { text(id, "–"); text(`${id}-more`, ""); }
    if (trial.last || trial.ends) drawErrors(trial);
    if (trial.last) drawCores(trial.last);
  };

  // Other programs take CPU from what is measured: say so while there is time to stop them.
  const drawDisturbance = (trial) => {
    const { other, seconds } = trial.used, processors = run.begins ? run.begins.processors || 0 : 0;
    const used = seconds ? other / seconds : 0, isAlone = !trial.last || (trial.last.machines || 1) === 1;
    const isDisturbed = isAlone && processors > 0 && used >= DISTURBED * processors;
    show("disturbed", isDisturbed);
    if (isDisturbed) byId("disturbed").firstElementChild.textContent = `Programs outside the experiment used ${cores(used)} of the ${processors} cores of this machine in this stage; from ${share(DISTURBED, 1)} they may change its results.`;
  };

  const isRunOver = () => ["died", "failed", "ended"].includes(state);

  // Before the first stage: what is being prepared, or that nothing was measured.
  const drawWaiting = () => {
    const newest = run.notes.at(-1), isOver = isRunOver();
    text("title", isOver ? "No stage was begun" : "Waiting for the first stage");
    text("left", !isOver && newest ? newest.text : "");
  };

  // What happened in a stage that has ended, such as the death of the service.
  const drawEvents = (trial) => {
    const notes = (trial.ends && trial.ends.events) || [], element = byId("events");
    show("events", notes.length > 0);
    element.className = `note ${trial.ends && trial.ends.status === "failed" ? "bad" : "warn"}`;
    text("events", notes.join("\n"));
  };

  const phase = (trial) => {
    const { begins } = trial, t = trial.t_s ?? -begins.warmup_s;
    if (trial.ends && trial !== run.current) return "ended";
    if (trial.ends && run.hasLoadEnded) return run.ends ? "ended" : "all load has been offered; analyzing the results and writing the report";
    if (trial.ends && trial.ends.status === "failed") return "this stage has failed: the next step is prepared";
    if (trial.ends) return begins.search ? "this rate has ended: the search decides what comes next" : "this stage has ended: the next step is prepared";
    if (isRunOver()) return `interrupted after ${time(Math.max(0, t + begins.warmup_s))}`;
    if (t >= begins.duration_s) return "waiting for the last responses";
    return `${t < 0 ? "warming up" : "measuring"}, ${time(begins.duration_s - t)} left`;
  };

  const drawStage = (trial) => {
    const { begins } = trial;
    const t = trial.t_s ?? -begins.warmup_s;
    const length = begins.warmup_s + begins.duration_s;
    text("title", `${begins.number} of ${Math.max(run.total, begins.number)}: ${begins.title}`);
    const proof = window.LiveProof.text(run, trial, rate);
    byId("proof").firstElementChild.textContent = proof;
    show("proof", Boolean(proof));
    byId("bar").value = trial.ends ? 1 : Math.min((t + begins.warmup_s) / length, 1);
    text("left", phase(trial));
    const left = run.secondsLeft();
    const isBounded = run.plan.some((planned) => planned.search);
    text("all-left", left > 0 && !isRunOver() && !run.ends && !run.hasLoadEnded ? `whole run: ${isBounded ? "at most" : "about"} ${time(left)} of load left` : "");
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

  // A button that shows the charts of a trial.
  const opener = (content, number, label = "Show its charts") => {
    const made = document.createElement("button");
    made.type = "button";
    made.textContent = content;
    made.dataset.number = number;
    made.title = label;
    return made;
  };

  const keepingFocus = (body, change) => {
    const focused = body.contains(document.activeElement) ? document.activeElement.dataset.number : null;
    change();
    if (!isUnknown(focused)) body.querySelector(`button[data-number="${focused}"]`)?.focus({ preventScroll: true });
  };

  let drawnProbes = "", drawRates = () => {};
  new ResizeObserver(() => drawRates()).observe(byId("probes"));
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
    const offered = (one) => { const point = one.points.find((second) => second.target_rps || second.target_users_per_s); return point && (point.target_users_per_s || point.target_rps); };
    const goes = running && offered(running) ? [{ number: running.begins.number, rate: offered(running), passed: null, running: true, unit }] : [];
    const judged = new Set(probes.map((probe) => probe.number));
    const waits = run.probesOf(planned).filter((one) => !judged.has(one) && !goes.some((probe) => probe.number === one) && run.trials.has(one) && run.trials.get(one).ends)
      .map((one) => ({ number: one, rate: offered(run.trials.get(one)), passed: null, waits: true, unit })).filter((probe) => !isUnknown(probe.rate));
    const all = [...probes.filter((probe) => !goes.length || probe.number !== goes[0].number), ...waits, ...goes];
    if (all.length) drawRates = () => drawProbes(byId("probes"), all, (value) => `${rate(value)} ${unit}`);
    drawRates();
    const key = JSON.stringify([all, number]);
    if (key === drawnProbes) return;
    drawnProbes = key;
    keepingFocus(byId("probe-rows"), () => byId("probe-rows").replaceChildren(...all.map((probe) => probeRow(probe, planned))));
  };

  const probeRow = (probe, planned) => {
    const trial = run.trials.get(probe.number), ends = (trial && trial.ends) || run.done.get(probe.number);
    const known = p95(ends ? ends.p95 : { ms: probe.p95_ms });
    const own = cell(known.text, "number");
    own.title = known.why;
    const order = probe.number - planned.number + 1;
    const result = probe.running ? cell("under way") : probe.waits ? cell("○ not judged yet") : probe.passed === true ? cell("● passed", "passed-mark") : probe.passed === false ? cell("✕ failed", "failed-mark") : cell("○ undecided");
    return row([cell(trial && trial.points.length ? opener(String(order), probe.number, `Show the charts of probe ${order}`) : String(order), "number"), cell(`${rate(probe.rate)} ${probe.unit || "RPS"}`, "number"), result, own, cell(probe.reason || "")],
      trial && trial === shownTrial() ? "shown" : "");
  };

  const drawParts = (trial) => {
    show("parts", trial.parts.size > 1);
    if (trial.parts.size < 2) return;
    text("part-p95", trial.ends ? "p95 of all" : "p95 now");
    byId("part-rows").replaceChildren(...[...trial.parts].map(([name, part]) => {
      const failed = sum(part.failures), known = trial.ends ? p95(part.p95) : { text: ms(part.p95_ms), why: "" };
      const latency = cell(known.text, "number");
      latency.title = known.why;
      return row([cell(name), cell(isUnknown(part.rps) ? "–" : rate(part.rps), "number"), latency, cell(count(part.succeeded), "number"), cell(count(failed), failed ? "number failed-mark" : "number"), cell(kinds(part.failures))]);
    }));
  };

  const length = (begins) => `${time(begins.duration_s)}${begins.warmup_s ? ` + ${time(begins.warmup_s)}` : ""}`;

  const endCells = (ends) => {
    if (!ends) return [cell(""), cell(""), cell("")];
    const runs = ends.scenarios, known = p95(runs ? runs.p95 : ends.p95);
    const latency = cell(known.text, "number");
    latency.title = known.why;
    const per = runs ? runs.per_s : ends.rps, lost = (runs ? runs.lost : ends.failed) || 0;
    return [cell(isUnknown(per) ? "–" : `${rate(per)}${runs ? " scenarios/s" : ""}`, "number"), latency, cell(`${count(lost)}${runs ? ` ${lost === 1 ? "scenario" : "scenarios"}` : ""}`, lost ? "number failed-mark" : "number")];
  };

  // A search is shown with its last probe.
  const searchRow = ({ number, planned, probes }) => {
    const name = `${planned.configuration} · ${planned.stage}`, last = probes.filter((one) => run.trials.has(one)).at(-1);
    const isNow = run.current && run.planned(run.current.begins.number) === planned && !run.hasLoadEnded;
    const isShown = shownTrial() && run.planned(shownTrial().begins.number) === planned;
    const status = probes.length ? `${isNow ? "under way, " : ""}${probes.length} of at most ${planned.orders} rates` : `at most ${planned.orders} rates`;
    const wide = cell(status);
    wide.colSpan = 4;
    return row([cell(String(number), "number"), cell(last === undefined ? name : opener(name, last)), cell(`${length(planned)} each`), wide],
      [isNow ? "now" : "", probes.length ? "" : "to-come", isShown ? "shown" : ""].join(" ").trim());
  };

  const trialRow = (place) => {
    if (place.probes) return searchRow(place);
    const { number, planned } = place;
    const trial = run.trials.get(number), ends = (trial && trial.ends) || run.done.get(number);
    const name = trial ? trial.begins.title : `${planned.configuration} · ${planned.stage}${planned.detail ? `, ${planned.detail}` : ""}${planned.level !== planned.stage ? ` (${planned.level})` : ""}`;
    const label = trial && (trial.points.length || trial === run.current) ? opener(name, number) : name;
    const isNow = trial && !trial.ends && trial === run.current && !isRunOver();
    const status = isNow ? "under way" : !ends ? (trial ? "interrupted" : ["failed", "ended"].includes(state) ? "not run" : "to come") : ends.status === "complete" ? "done" : ends.status;
    return row([cell(String(number), "number"), cell(label), cell(length(trial ? trial.begins : planned)), cell(status, status === "failed" ? "failed-mark" : ""), ...endCells(ends)],
      [isNow ? "now" : "", !trial && !ends ? "to-come" : "", trial && trial === shownTrial() ? "shown" : ""].join(" ").trim());
  };

  let drawnTable = "";
  const drawTable = () => {
    const rows = run.rows();
    const key = JSON.stringify([rows.length, run.current && run.current.begins.number, Boolean(run.current && run.current.ends), run.probes.size, run.done.size, selected, state, run.hasLoadEnded]);
    if (key === drawnTable) return;
    drawnTable = key;
    const body = byId("trial-rows");
    keepingFocus(body, () => body.replaceChildren(...rows.map(trialRow)));
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
      when.textContent = moment.toISOString().slice(11, 19);
      what.textContent = note.text;
      item.append(when, what);
      return item;
    }).reverse());
  };

  const CLASSES = { running: "running", died: "bad", failed: "bad", ended: "good" };
  const WORDS = { waiting: "starting", running: "in progress", died: "interrupted", failed: "failed", ended: "ended" };

  const drawState = () => {
    const badge = byId("state");
    const word = state === "running" && run.hasLoadEnded ? "writing the report" : WORDS[state];
    if (badge.textContent !== word) badge.textContent = word;
    badge.className = `badge ${CLASSES[state] || ""}`;
    for (const one of ["died", "failed", "ended"]) show(one, state === one);
    const reason = run.ends ? run.ends.reason || "" : "", isAborted = Boolean(run.ends) && run.ends.status === "aborted";
    text("reason", reason);
    byId("ended").className = `note ${isAborted ? "warn" : "good"}`;
    text("how-ended", isAborted ? `The run was aborted${reason ? ` (${reason})` : ""}; what was measured is kept.` : "The run has ended.");
    if (run.begins) {
      text("experiment", run.begins.experiment);
      const left = byId("left").textContent;
      document.title = state === "running" && run.hasLoadEnded ? `${run.begins.experiment}: ${word}` : state === "running" && left ? `${run.begins.experiment}: ${left}` : `${run.begins.experiment}: ${WORDS[state]}`;
    }
  };

  const draw = () => {
    isDrawing = false;
    if (document.hidden) return;
    const trial = shownTrial();
    for (const one of ["bar", "now", "charts"]) show(one, Boolean(trial));
    if (!trial) drawWaiting();
    else {
      drawStage(trial);
      drawFigures(trial);
      drawCharts(trial);
      drawParts(trial);
      drawDisturbance(trial);
      drawEvents(trial);
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
      for (const one of ["to-report", "report-file"]) show(one, one === "report-file"); // the server has ended, too
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
  events.addEventListener("error", () => { if (!isRunOver()) show("lost", true); });
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
