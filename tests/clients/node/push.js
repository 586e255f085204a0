// Pushes with prom-client: push.js URL MODE [OPTION=VALUE]...
//
// The modes are text and gzip. The options: user and password. Each line of the output says as JSON what was done;
// tests/it/clients.rs knows what must come of it.
"use strict";

const { Counter, Gauge, Histogram, Pushgateway, Registry, Summary } = require("prom-client");

const [url, mode, ...rest] = process.argv.slice(2);
const options = Object.fromEntries(rest.map((option) => option.split("=", 2)));

// A slash cannot be told: the client writes it as %2F, which the gateway reads as a slash of the path.
const keys = [
  { job: "keys and more", name: "with space" },
  { job: "keys and more", city: "Köln" },
];

function say(did, more) {
  console.log(JSON.stringify({ did, ...more }));
}

function written(group) {
  return Object.entries(group)
    .map(([name, value]) => `${name}=${value}`)
    .join(",");
}

function gateway(registry) {
  const request = {};
  if (mode === "gzip") request.headers = { "Content-Encoding": "gzip" };
  if (options.user) request.auth = `${options.user}:${options.password}`;
  return new Pushgateway(url, request, registry);
}

// A group as the client takes it: the job, and the rest of the grouping key.
function split({ job, ...groupings }) {
  return { jobName: job, groupings };
}

// What one short-lived job has to tell.
function job(jobs, last, seconds, size) {
  const own = { registers: [new Registry()] };
  new Counter({ name: "client_jobs_total", help: "Jobs.", labelNames: ["kind"], ...own }).inc({ kind: "full" }, jobs);
  new Gauge({ name: "client_last", help: "The newest.", ...own }).set(last);
  const histogram = new Histogram({ name: "client_seconds", help: "Durations.", buckets: [0.5, 1, 5], ...own });
  seconds.forEach((value) => histogram.observe(value));
  new Summary({ name: "client_sizes", help: "Sizes.", percentiles: [0.5], ...own }).observe(size);
  return own.registers[0];
}

// Pushes two jobs to a group, with each of the two methods.
async function merge(group) {
  await gateway(job(2, 7, [0.25, 2], 8)).push(split(group));
  await gateway(job(3.5, 4, [0.75, 8], 16)).pushAdd(split(group));
  say("merged", { group: written(group) });
}

// Pushes a histogram under the name of the gauge.
async function beRefused() {
  const registry = new Registry();
  new Histogram({ name: "client_last", help: "No gauge.", registers: [registry] }).observe(1);
  try {
    await gateway(registry).push({ jobName: "refused" });
  } catch (error) {
    say("refused", { said: error.message });
  }
}

async function remove(group) {
  await gateway(new Registry()).delete(split(group));
  say("deleted", { group: written(group) });
}

async function main() {
  await merge({ job: mode });
  await beRefused();
  for (const key of keys) await merge(key);
  await merge({ job: "gone" });
  await remove({ job: "gone" });
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
