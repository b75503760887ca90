// Reads an interval log with hdr-histogram-js: node read_log.mjs <folder with node_modules> <log>
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const [, , tools, log] = process.argv;
const { HistogramLogReader } = createRequire(join(tools, "x.js"))("hdr-histogram-js");
const reader = new HistogramLogReader(readFileSync(log, "utf8"));
const found = [];
for (let one = reader.nextIntervalHistogram(); one; one = reader.nextIntervalHistogram()) {
  found.push({
    tag: one.tag,
    start_s: one.startTimeStampMsec / 1000,
    count: one.totalCount,
    p50: one.getValueAtPercentile(50),
    p99: one.getValueAtPercentile(99),
    max: one.maxValue,
  });
}
console.log(JSON.stringify(found));
