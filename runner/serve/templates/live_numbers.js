"use strict";
// Numbers as the report writes them (runner/report/number_format.py), ties to even as there.
(() => {
  const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

  // A tie between two neighbours is exact in binary, so it can be told from a number that only looks like one.
  const fixed = (value, digits) => {
    const scaled = value * 2 ** (digits + 1);
    const isTie = Number.isInteger(scaled) && Math.abs(scaled % 2) === 1;
    const below = Math.floor(value * 10 ** digits);
    const even = isTie ? (below % 2 ? below + 1 : below) / 10 ** digits : value;
    return digits ? even.toFixed(digits) : whole.format(even);
  };

  const isUnknown = (value) => value === null || value === undefined;
  const count = (value) => fixed(value, 0);
  const rate = (value) => (value >= 100 || Number.isInteger(value) ? fixed(value, 0) : fixed(value, 1));
  const ms = (value) => (isUnknown(value) ? "–" : `${fixed(value, value < 0.1 ? 3 : value < 10 ? 2 : value < 100 ? 1 : 0)} ms`);
  const grouped = (text) => text.replace(/^\d+/, (digits) => whole.format(digits));
  const cores = (value) => (value > 0 && value < 0.005 ? "< 0.01" : grouped(fixed(value, 2)));
  const share = (part, all) => {
    if (!all) return "–";
    const percent = (100 * part) / all;
    if (percent > 0 && percent < 0.05) return "< 0.1 %";
    if (percent >= 99.95 && percent < 100) return percent < 99.995 ? `${fixed(percent, 2)} %` : "> 99.99 %";
    return `${fixed(percent, 1).replace(/\.0$/, "")} %`;
  };

  const LATENCIES = { response_time: "response time", duration: "duration", scenario_duration: "scenario" };
  const WHY_NONE = { lost: "no value: it lies among those that failed or were dropped", range: "too long to be told", slices: "each slice of a ramp has its own, in the report" };

  // The 95th percentile of a whole trial: its number, or in few words why there is none. `text` also says which
  // latency it is, unless it is the usual one.
  const p95 = (known) => {
    const latency = LATENCIES[(known && known.of) || "response_time"], named = latency === LATENCIES.response_time ? "" : ` (${latency})`;
    if (!known || (isUnknown(known.ms) && !known.why_none)) return { number: "–", text: "–", latency, why: "" };
    if (!isUnknown(known.ms)) return { number: ms(known.ms), text: `${ms(known.ms)}${named}`, latency, why: "" };
    const word = known.why_none === "slices" ? "by slice" : "no value";
    return { number: word, text: word, latency, why: WHY_NONE[known.why_none] };
  };

  window.LiveNumbers = { isUnknown, count, rate, ms, cores, share, p95 };
})();
