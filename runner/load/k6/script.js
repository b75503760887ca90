// One stage, offered by k6. All its parameters are in order.json, which runner/load/k6/plan.py
// writes beside it; this text is never generated.
//
// Warm-up and measured window are one scenario, so that the window starts with the virtual users,
// connections and backlog of the warm-up. k6 numbers the iterations it starts: while it drops
// none, the number shows whether an iteration was due in the window, however late it starts.
// Once it has dropped some, only the clock shows it; both bounds of the window then allow the
// same grace for late starts. Users have no schedule: the clock alone decides about their requests.

import { sleep } from "k6";
import http from "k6/http";
import encoding from "k6/encoding";
import exec from "k6/execution";
import { Counter, Gauge, Trend } from "k6/metrics";

const order = JSON.parse(open("./order.json"));
const { schedule } = order;
const encoders = {
  plain: (value) => value,
  percent: percentEncoded,
  form: (value) => percentEncoded(value).replace(/%20/g, "+"),
  json: (value) => JSON.stringify(value).slice(1, -1),
  value: (value) => JSON.stringify(value),
};
const requests = order.requests.map(prepared);

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
  if ((!schedule.users && number >= schedule.arrivals) || now >= endAt + schedule.grace_ms) return;
  const inOrder = !schedule.users && number >= schedule.warmup_arrivals;
  const measured = inOrder || now >= measureAt + schedule.grace_ms;

  const request = requests[order.order[number % order.order.length]];
  const [response, failure] = send(request);
  if (measured) countMeasured(response, failure, request.tags);
  else countWarmup(failure, request.tags);
  // users who are refused must not try again at once for ever
  if (schedule.users && failure !== null && (response === null || response.status === 0)) sleep(0.01);
}

// The values of variables are secrets: they are in the environment, not in order.json.
function prepared(request) {
  const headers = {};
  for (const name of Object.keys(request.headers)) headers[name] = text(request.headers[name]);
  const { body, expect } = request;
  return {
    method: request.method,
    url: text(request.url),
    body: body === null ? null : body.base64 !== undefined ? encoding.b64decode(body.base64) : text(body),
    params: Object.assign({ headers: headers }, request.params),
    tags: order.is_mix ? { request: request.name } : undefined,
    statuses: new Set(expect.statuses),
    headers: expect.headers.map(headerCheck),
    checks: bodyChecks(expect),
  };
}

function text(pieces) {
  return pieces.map((one) => (typeof one === "string" ? one : encoders[one.encode](__ENV[one.env]))).join("");
}

function percentEncoded(value) {
  const hex = (sign) => "%" + sign.charCodeAt(0).toString(16).toUpperCase();
  return encodeURIComponent(value).replace(/[!'()*]/g, hex);
}

function begin() {
  scenario = exec.scenario;
  measureAt = scenario.startTime + schedule.warmup_ms;
  endAt = measureAt + schedule.window_ms;
  began.add(scenario.startTime);
}

function send(request) {
  let response;
  try {
    response = http.request(request.method, request.url, request.body, request.params);
  } catch (error) {
    return [null, "protocol"];
  }
  return [response, failureOf(response, request)];
}

function countMeasured(response, failure, tags) {
  if (failure !== null) {
    failed[failure].add(1, tags);
    if (failure === "bad_status") (refused[response.status] || refused[0]).add(1, tags);
    return;
  }
  const timings = response.timings;
  duration.add(timings.duration, tags);
  // k6's blocked is the whole wait for a connection: look-up, connecting and TLS.
  if (timings.connecting > 0) connect.add(timings.blocked - timings.tls_handshaking, tags);
  if (timings.tls_handshaking > 0) tls.add(timings.tls_handshaking, tags);
  if (Date.now() >= endAt) late.add(1, tags);
}

function countWarmup(failure, tags) {
  warmupSent.add(1);
  if (failure !== null) {
    warmupFailed.add(1);
    return;
  }
  const now = Date.now();
  if (now >= measureAt && now < endAt) warmupInWindow.add(1, tags);
}

function failureOf(response, request) {
  const code = response.error_code;
  const responded = code === 0 || (code >= 1400 && code < 1600);
  if (!responded) return connectionFailure(code, response.error, response.timings);
  if (!request.statuses.has(response.status)) return "bad_status";
  if (!request.headers.every((passes) => passes(response.headers))) return "bad_header";
  if (request.checks.length > 0) {
    const body = response.body || "";
    if (!request.checks.every((passes) => passes(body))) return "bad_body";
  }
  return null;
}

function headerCheck(check) {
  const pattern = check.matches ? new RegExp(check.matches, "u") : null;
  return (headers) => {
    const name = Object.keys(headers).find((one) => one.toLowerCase() === check.name);
    if (name === undefined || !check.exists) return (name !== undefined) === check.exists;
    const value = headers[name];
    if (check.equals !== null && value !== check.equals) return false;
    return value.includes(check.contains) && (pattern === null || pattern.test(value));
  };
}

function bodyChecks(expect) {
  const checks = expect.contains.map((needle) => (body) => body.includes(needle));
  for (const needle of expect.excludes) checks.push((body) => !body.includes(needle));
  if (expect.pattern) {
    const pattern = new RegExp(expect.pattern, "u");
    checks.push((body) => pattern.test(body));
  }
  if (expect.json.length > 0) checks.push((body) => jsonPasses(expect.json, body));
  return checks;
}

function jsonPasses(checks, body) {
  let document;
  try {
    document = JSON.parse(body);
  } catch (error) {
    return false;
  }
  return checks.every((check) => holds(check, valueAt(document, check.steps)));
}

function valueAt(value, steps) {
  for (const step of steps) {
    if (typeof value !== "object" || value === null) return undefined;
    if (Array.isArray(value) !== (typeof step === "number")) return undefined;
    const key = step < 0 ? value.length + step : step;
    if (!Object.prototype.hasOwnProperty.call(value, key)) return undefined;
    value = value[key];
  }
  return value;
}

function holds(check, value) {
  if ((value !== undefined) !== check.exists) return false;
  if (check.value.length > 0 && !equal(value, check.value[0])) return false;
  if (check.min === null && check.max === null) return true;
  if (typeof value !== "number") return false;
  return (check.min === null || value >= check.min) && (check.max === null || value <= check.max);
}

function equal(value, expected) {
  if (!Array.isArray(value) || !Array.isArray(expected)) return value === expected;
  return value.length === expected.length && value.every((item, index) => equal(item, expected[index]));
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
  const counts = (kinds, prefix, selector) => {
    const found = {};
    for (const kind of kinds) found[kind] = count(`${prefix}_${kind}${selector}`);
    return found;
  };
  const counted = (selector) => ({
    succeeded: count(`good_duration${selector}`),
    late: count(`good_late${selector}`),
    failures: counts(order.failure_kinds, "failed", selector),
    statuses: counts(order.statuses, "status", selector),
    warmup_in_window: count(`warmup_good_in_window${selector}`),
    duration: values(`good_duration${selector}`),
    connect: values(`good_connect${selector}`),
    tls: values(`good_tls${selector}`),
  });
  const parts = {};
  if (order.is_mix) for (const { name } of order.requests) parts[name] = counted(`{request:${name}}`);
  const summary = Object.assign(counted(""), {
    began_ms: values("schedule_began") ? values("schedule_began").min : null,
    dropped: count("dropped_iterations"),
    virtual_users: values("vus_max") ? values("vus_max").max : 0,
    warmup_sent: count("warmup_sent"),
    parts: parts,
  });
  return { "./summary.json": JSON.stringify(summary) };
}
