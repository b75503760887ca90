"use strict";
// What is known of the run, from its records; bounded, however long the run and the page last.
(() => {
  const MAX_POINTS = 400, POINTS_OF_ENDED = 100, MAX_DRAWN = 40, MAX_NOTES = 200, MAX_TRIALS = 2500;

  const add = (total, counts) => {
    for (const [kind, count] of Object.entries(counts || {})) total[kind] = (total[kind] || 0) + count;
    return total;
  };

  const sum = (counts) => Object.values(counts).reduce((total, count) => total + count, 0);

  const worst = (a, b) => (a === null || a === undefined ? b : b === null || b === undefined ? a : Math.max(a, b));

  // Two neighbours become one point: means of rates, sums of counts, the worst of the rest.
  const merged = (a, b) => {
    const cores = {};
    for (const role of new Set([...Object.keys(a.cores || {}), ...Object.keys(b.cores || {})])) {
      cores[role] = (((a.cores || {})[role] || 0) + ((b.cores || {})[role] || 0)) / 2;
    }
    return {
      ...b, cores, rps: (a.rps + b.rps) / 2, p50_ms: worst(a.p50_ms, b.p50_ms), p95_ms: worst(a.p95_ms, b.p95_ms), p99_ms: worst(a.p99_ms, b.p99_ms),
      offered: (a.offered || 0) + (b.offered || 0), failures: add(add({}, a.failures), b.failures), in_flight: worst(a.in_flight, b.in_flight),
      scenarios_completed: (a.scenarios_completed || 0) + (b.scenarios_completed || 0), scenario_failures: add(add({}, a.scenario_failures), b.scenario_failures), scenario_p95_ms: worst(a.scenario_p95_ms, b.scenario_p95_ms),
      seconds: (a.seconds || 1) + (b.seconds || 1),
    };
  };

  const halved = (points) => {
    const result = [];
    for (let at = 0; at < points.length; at += 2) result.push(at + 1 < points.length ? merged(points[at], points[at + 1]) : points[at]);
    return result;
  };

  class Trial {
    constructor(begins) {
      this.begins = begins;
      this.points = [];
      this.failures = {};
      this.offered = 0;
      this.succeeded = 0;
      this.scenarios = { completed: 0, failures: {} };
      this.used = { other: 0, seconds: 0 }; // by programs outside the experiment, while it was measured
      this.parts = new Map();
      this.ends = null;
      this.probe = null;
    }

    add(second) {
      add(this.failures, second.failures);
      this.offered += second.offered || 0;
      this.succeeded += second.succeeded || 0;
      this.scenarios.completed += second.scenarios_completed || 0;
      add(this.scenarios.failures, second.scenario_failures);
      if (second.t_s > 0 && second.cores && second.cores.other !== undefined && !this.isAfterWindow(second)) {
        this.used.other += second.cores.other * (second.seconds || 1);
        this.used.seconds += second.seconds || 1;
      }
      for (const [name, part] of Object.entries(second.parts || {})) {
        const before = this.parts.get(name) || { succeeded: 0, failures: {} };
        this.parts.set(name, { rps: part.rps, p95_ms: part.p95_ms ?? before.p95_ms, succeeded: before.succeeded + (part.succeeded || 0), failures: add(before.failures, part.failures) });
      }
      this.points.push({ ...second, parts: undefined });
      this.t_s = second.t_s;
      if (this.points.length > MAX_POINTS) this.points = halved(this.points);
    }

    end(ends) {
      this.ends = ends;
      this.failures = { ...ends.failures };
      this.succeeded = ends.succeeded || 0;
      if (ends.scenarios) this.scenarios = { ...this.scenarios, completed: ends.scenarios.completed || 0, lost: ends.scenarios.lost || 0 };
      this.parts = new Map(Object.entries(ends.parts || {}).map(([name, part]) => [name, { rps: part.rps, p95: part.p95, succeeded: part.succeeded || 0, failures: part.failures || {} }]));
      while (this.points.length > POINTS_OF_ENDED) this.points = halved(this.points);
    }

    get failed() { return sum(this.failures); }
    get lostScenarios() { return this.scenarios.lost ?? sum(this.scenarios.failures); }
    get last() { return this.points.at(-1); }

    // The last responses may come after the window, in seconds in which no request is due.
    isAfterWindow(point) { return point.t_s - (point.seconds || 1) > this.begins.duration_s - 0.01; }
    get lastOfWindow() { return this.points.findLast((point) => !this.isAfterWindow(point)) || this.last; }
  }

  class Run {
    constructor() { this.reset(); }

    reset() {
      this.begins = null;
      this.ends = null;
      this.plan = [];
      this.total = 0;
      this.trials = new Map();
      this.done = new Map(); // ends of trials that an earlier part of the run completed
      this.probes = new Map();
      this.notes = [];
      this.current = null;
      this.hasLoadEnded = false;
    }

    add(record) {
      const take = { run: "begin", planned: "extend", trial: "beginTrial", second: "addSecond", trial_end: "endTrial", probe: "judge", note: "note", load_end: "endLoad", end: "end" }[record.type];
      if (take) this[take](record);
    }

    begin(record) {
      this.reset();
      this.begins = record;
      this.plan = [...record.trials];
      this.total = record.total || record.trials.length;
    }

    extend(record) {
      const known = new Set(this.plan.map((planned) => planned.number));
      this.plan.push(...record.trials.filter((planned) => !known.has(planned.number)).slice(0, MAX_TRIALS));
      this.total = Math.max(this.total, record.total || 0);
    }

    beginTrial(record) {
      this.current = new Trial(record);
      if (this.trials.size < MAX_TRIALS) this.trials.set(record.number, this.current);
      this.total = Math.max(this.total, record.total);
    }

    addSecond(record) { if (this.current) this.current.add(record); }

    endTrial(record) {
      const trial = this.trials.get(record.number);
      if (!trial) { this.done.set(record.number, record); return; }
      trial.end(record);
      const drawn = [...this.trials.values()].filter((other) => other.ends && other.points.length);
      for (const other of drawn.slice(0, -MAX_DRAWN)) other.points = [];
    }

    judge(record) { this.probes.set(record.number, record); }

    note(record) { this.notes = [...this.notes, record].slice(-MAX_NOTES); }

    endLoad() { this.hasLoadEnded = true; }

    end(record) { this.ends = record; }

    // The planned trial that a number belongs to; a probe belongs to its search.
    planned(number) {
      return this.plan.find((planned) => planned.number <= number && number < planned.number + (planned.orders || 1));
    }

    // The numbers of a search's probes that were begun.
    probesOf(planned) {
      const numbers = [];
      for (let number = planned.number; number < planned.number + (planned.orders || 1); number += 1) if (this.trials.has(number) || this.done.has(number)) numbers.push(number);
      return numbers;
    }

    // The rows of the table: what is done, what is under way, what is to come. A search is one row: its probes
    // have a table of their own.
    rows() {
      const rows = [];
      const seen = new Set();
      for (const planned of this.plan) {
        if (!planned.search) rows.push({ number: planned.number, planned });
        seen.add(planned.number);
        if (!planned.search) continue;
        rows.push({ number: planned.number, planned, probes: this.probesOf(planned) });
        for (let number = planned.number; number < planned.number + (planned.orders || 1); number += 1) seen.add(number);
      }
      for (const number of this.trials.keys()) if (!seen.has(number)) rows.push({ number });
      return rows;
    }

    // Seconds of load that are left, at most; pauses between stages and starts of stacks come on top.
    secondsLeft() {
      let left = 0;
      for (const planned of this.plan) {
        const length = (planned.warmup_s || 0) + planned.duration_s;
        const orders = planned.orders || 1;
        const last = this.current ? this.current.begins.number : 0;
        for (let number = planned.number; number < planned.number + orders; number += 1) {
          const trial = this.trials.get(number);
          if (this.done.has(number) || (trial && trial.ends) || number < last) continue;
          if (planned.search && last >= planned.number + orders) continue;
          left += trial && trial.last ? Math.max(planned.duration_s - trial.t_s, 0) : length;
        }
      }
      return left;
    }
  }

  window.LiveRun = { Run };
})();
