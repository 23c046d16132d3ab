/**
 * How long does a request wait for a function that has no instance, against the start of a stock Egg process?
 *
 * Docs: both run examples/bff in production, compiled, and answer its home page. `spawn_*`: from sending the request to
 * the first byte of the answer, the instance launched by the `spawn` launcher while it waits. `stock_p50_ms`: from
 * starting a Node process with the whole application in it (single mode, no egg-cluster) to its first 200.
 * `bare_node_ms`: `node -e 0` from start to end. Each round takes one sample of each, in turns; `ratio` is stock to spawn.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Child } from '../scripts/support/child';
import { Example, ExampleHost } from '../scripts/support/example_host';
import { freePort } from '../scripts/support/free_port';
import { treeOf } from '../scripts/support/processes';
import { askFor200 } from '../scripts/support/request';
import { progress } from './support/progress';
import { median, quantile, round } from './support/statistics';

const ROUNDS = 30;
/** Of the first rounds, which fill the file cache. */
const DISCARDED = 2;
/** Short, so that each round finds no instance soon. */
const IDLE_TIMEOUT_MS = 200;
const LOOK_MS = 20;
/** After the last instance has gone, for the agent to be done with it. */
const SETTLE_MS = 150;
const STOP_MS = 8_000;

const CARTON = { launcher: 'spawn', functionDefaults: { idleTimeoutMs: IDLE_TIMEOUT_MS } };
const FUNCTION_PATH = '/fn/home?city=chengdu';
const ROUTE_PATH = '/api/home?city=chengdu';

interface Sample {
  readonly spawnMs: number;
  readonly stockMs: number;
  readonly bareMs: number;
}

export async function run(): Promise<Record<string, unknown>> {
  const example = new Example();
  try {
    await example.build();
    const host = new ExampleHost(example, { port: await freePort(), workers: 1, carton: CARTON });
    try {
      await host.ready();
      return resultOf(await measure(example, host));
    } finally {
      await host.stop(STOP_MS);
    }
  } finally {
    await example.remove();
  }
}

async function measure(example: Example, host: ExampleHost): Promise<Sample[]> {
  const withoutInstances = treeOf(host.pid).length;
  const samples: Sample[] = [];
  for (let i = 1; i <= ROUNDS; i += 1) {
    const spawnMs = (await askFor200({ port: host.port, path: FUNCTION_PATH })).firstByteMs;
    while (treeOf(host.pid).length > withoutInstances) await sleep(LOOK_MS);
    await sleep(SETTLE_MS);
    samples.push({ spawnMs, stockMs: await stockStart(example), bareMs: await bareNode() });
    if (i % 10 === 0) progress(`round ${i} of ${ROUNDS}`);
  }
  return samples.slice(DISCARDED);
}

async function stockStart(example: Example): Promise<number> {
  const startedAt = performance.now();
  const child = new Child(join(__dirname, 'support/single_process.js'), { args: [example.baseDir], env: example.environment('') });
  const { port } = (await child.message()) as { port: number };
  await askFor200({ port, path: ROUTE_PATH });
  const elapsedMs = performance.now() - startedAt;
  await child.end();
  return elapsedMs;
}

async function bareNode(): Promise<number> {
  const startedAt = performance.now();
  await once(spawn(process.execPath, ['-e', '0'], { stdio: 'ignore' }), 'exit');
  return performance.now() - startedAt;
}

function resultOf(samples: readonly Sample[]): Record<string, unknown> {
  const spawns = samples.map((sample) => sample.spawnMs);
  const stocks = samples.map((sample) => sample.stockMs);
  return {
    stock_p50_ms: round(median(stocks)),
    stock_p99_ms: round(quantile(stocks, 0.99)),
    spawn_p50_ms: round(median(spawns)),
    spawn_p99_ms: round(quantile(spawns, 0.99)),
    bare_node_ms: round(median(samples.map((sample) => sample.bareMs))),
    ratio: round(median(stocks) / median(spawns), 2),
    samples: samples.length,
  };
}
