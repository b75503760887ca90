// One stage, offered by k6. All its parameters are in order.json, which runner/load/k6/plan.py
// writes beside it; this text is never generated.
//
// Warm-up and measured window are one scenario, so that the window starts with the virtual users,
// connections and backlog of the warm-up. k6 numbers the iterations it starts: while it drops
// none, the number shows whether an iteration was due in the window, however late it starts.
// Once it has dropped some, only the clock shows it; both bounds of the window then allow the
// same grace for late starts.

import http from "k6/http";
import exec from "k6/execution";
import { Counter, Gauge, Trend } from "k6/metrics";

const order = JSON.parse(open("./order.json"));
const { request, schedule } = order;
const expectedStatus = new Set(order.expect.status);
const expectedBody = order.expect.body_contains;

export const options = order.options;
http.setResponseCallback(null); // success is decided below

const began = new Gauge("schedule_began");
const duration = new Trend("good_duration", true);
const connect = new Trend("good_connect", true);
const tls = new Trend("good_tls", true);
const late = new Counter("good_late");
const failed = {};
for (const kind of order.failure_kinds) failed[kind] = new Counter(`failed_${kind}`);
const refused = {}; // by status; 0 stands for those that order.json does not list
for (const status of order.statuses) refused[status] = new Counter(`status_${status}`);
const warmupSent = new Counter("warmup_sent");
const warmupFailed = new Counter("warmup_failed");
const warmupInWindow = new Counter("warmup_good_in_window");

let scenario = null;
let measureAt = 0;
let endAt = 0;

export default function () {
  if (scenario === null) begin();
  const number = scenario.iterationInTest;
  const now = Date.now();
  if (number >= schedule.arrivals || now >= endAt + schedule.grace_ms) return;
  const measured = number >= schedule.warmup_arrivals || now >= measureAt + schedule.grace_ms;

  const [response, failure] = send();
  if (measured) countMeasured(response, failure);
  else countWarmup(failure);
}

function begin() {
  scenario = exec.scenario;
  measureAt = scenario.startTime + schedule.warmup_ms;
  endAt = measureAt + schedule.window_ms;
  began.add(scenario.startTime);
}

function send() {
  let response;
  try {
    response = http.request(request.method, request.url, request.body, request.params);
  } catch (error) {
    return [null, "protocol"];
  }
  return [response, failureOf(response)];
}

function countMeasured(response, failure) {
  if (failure !== null) {
    failed[failure].add(1);
    if (failure === "bad_status") (refused[response.status] || refused[0]).add(1);
    return;
  }
  const timings = response.timings;
  duration.add(timings.duration);
  // k6's blocked is the whole wait for a connection: look-up, connecting and TLS.
  if (timings.connecting > 0) connect.add(timings.blocked - timings.tls_handshaking);
  if (timings.tls_handshaking > 0) tls.add(timings.tls_handshaking);
  if (Date.now() >= endAt) late.add(1);
}

function countWarmup(failure) {
  warmupSent.add(1);
  if (failure !== null) {
    warmupFailed.add(1);
    return;
  }
  const now = Date.now();
  if (now >= measureAt && now < endAt) warmupInWindow.add(1);
}

function failureOf(response) {
  const code = response.error_code;
  const responded = code === 0 || (code >= 1400 && code < 1600);
  if (!responded) return connectionFailure(code, response.error, response.timings);
  if (!expectedStatus.has(response.status)) return "bad_status";
  if (expectedBody !== null && !(response.body || "").includes(expectedBody)) return "bad_body";
  return null;
}

// k6's error codes: "Error codes" in the JavaScript API chapter of its documentation.
function connectionFailure(code, error, timings) {
  if (error.includes("too many open files")) return "no_fd";
  if (error.includes("cannot assign requested address")) return "no_port";
  switch (code) {
    case 1050:
      // One timeout covers connecting and responding; without a connection nothing was timed.
      return timings.blocked === 0 && timings.waiting === 0 ? "connect_timeout" : "timeout";
    case 1211:
      return "connect_timeout";
    case 1201:
    case 1220:
      return "reset";
    case 1701:
      return "bad_body";
  }
  if ((code >= 1100 && code < 1200) || (code >= 1210 && code < 1220)) return "connect_refused";
  if (error.includes("EOF") || error.includes("server closed")) return "closed_early";
  return "protocol";
}

export function handleSummary(data) {
  const values = (name) => (data.metrics[name] ? data.metrics[name].values : null);
  const count = (name) => (values(name) ? values(name).count : 0);
  const failures = {};
  for (const kind of order.failure_kinds) failures[kind] = count(`failed_${kind}`);
  const statuses = {};
  for (const status of order.statuses) statuses[status] = count(`status_${status}`);
  const summary = {
    began_ms: values("schedule_began") ? values("schedule_began").min : null,
    succeeded: count("good_duration"),
    late: count("good_late"),
    failures: failures,
    statuses: statuses,
    dropped: count("dropped_iterations"),
    warmup_sent: count("warmup_sent"),
    warmup_in_window: count("warmup_good_in_window"),
    duration: values("good_duration"),
    connect: values("good_connect"),
    tls: values("good_tls"),
  };
  return { "./summary.json": JSON.stringify(summary) };
}
