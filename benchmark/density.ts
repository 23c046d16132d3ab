/**
 * How many instances does a machine hold, against stock Egg processes of the same application?
 *
 * Docs: a generated application of 1000 functions; each is invoked once through the ingress, so that 100, then 1000
 * instances stay, all idle. Of each number (`instances_100`; plain fields are those of all 1000):
 * - `private_mb`, `pss_mb`: of an instance, from smaps_rollup, the median of all.
 * - `per_instance_mb`: by how much the machine's MemAvailable fell, for each instance, with all that the host itself
 *   holds for it (agent, worker, kernel). On a machine where others work, take `host_pss_per_instance_mb` for it: the
 *   same from the sum of the host's proportional memory.
 * - `idle_cpu_percent`: of one core, all processes of the host, over 30 s that begin with the last invocation: a
 *   collection some seconds after each fork would be in it. `idle_instances_cpu_percent`: the instances alone.
 * - `random_p50_ms`, `random_p99_ms`: a request through the ingress to one of them, taken at random, after that.
 *
 * `used_private_mb`: an instance after 5000 invocations at 8 at once; `used_koa_private_mb`: a fork that answers the same
 * through Egg's router, middleware and Koa (benchmark/support/koa_program.ts, since a host has no such trigger) after
 * 5000 requests. `stock_process_mb`: private memory of a stock Egg worker, two of them, after some requests to a route that
 * gives the same answers; `stock_used_mb` after 5000 to both. `ratio`: stock_process_mb to per_instance_mb at 1000.
 * `instances_in_8_gb`: what is left of 8 GB after the host without instances, divided by `per_instance_mb` at 1000.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Agent } from 'node:http';
import { askFor200 } from '../scripts/support/request';
import type { Application } from './support/applications';
import { exactCpuMicros } from './support/cpu';
import { EggHost } from './support/egg_host';
import { inParallel } from './support/in_parallel';
import { usedByKoa } from './support/koa_instance';
import { buildManyFunctions, functionName, settingsFor } from './support/many_functions';
import { availableMemory, memoryOf, type Memory } from './support/memory';
import type { Aims, BenchmarkOptions } from './support/options';
import { progress } from './support/progress';
import { median, quantile, round } from './support/statistics';

const INSTANCES = 1000;
/** Part of all with which the first figures are taken. */
const FIRST_PART = 0.1;
const IDLE_MS = 30_000;
const LAUNCHES_AT_ONCE = 8;
const RANDOM_REQUESTS = 300;
const USES = 5000;
const CONNECTIONS = 8;
const STOCK_WORKERS = 2;
/** So many that each worker has had some. */
const STOCK_REQUESTS = 20;
const BODY = { name: 'Ada', count: 5 };
const MB = 2 ** 20;
const MACHINE_MB = 8 * 1024;

export const AIMS: Aims = {
  private_mb: '≤ 5', per_instance_mb: '≤ 5', used_private_mb: '≤ 12', used_koa_private_mb: '≤ 20', instances_in_8_gb: '≥ 1000', ratio: '≥ 15',
};

/** Of the host while it has no instance. */
interface Baseline {
  readonly available: number;
  readonly proportional: number;
}

export async function run({ samples: instances = INSTANCES }: BenchmarkOptions): Promise<Record<string, unknown>> {
  const application = buildManyFunctions(instances);
  try {
    const stock = await measureStock(application);
    const forked = await measureHost(application, instances);
    progress(`${USES} requests to a fork with Koa`);
    const koa = await usedByKoa(application, { requests: USES, connections: CONNECTIONS, body: BODY });
    return {
      ...forked,
      used_koa_private_mb: round(koa / MB, 1),
      ...stock,
      instances_in_8_gb: Math.floor((MACHINE_MB - forked.host_mb) / forked.per_instance_mb),
      ratio: round(stock.stock_process_mb / forked.per_instance_mb, 1),
      instances,
    };
  } finally {
    await application.remove();
  }
}

async function measureHost(application: Application, instances: number): Promise<Idle & Record<string, unknown> & { readonly host_mb: number }> {
  const host = await EggHost.start({ baseDir: application.baseDir, env: application.environment('carton', settingsFor(instances)) });
  try {
    // Those of the first template, which is made quickly and soon replaced, are nobody's samples.
    await invoke(host, 0);
    await host.prepared();
    await sleep(1000);
    const before: Baseline = { available: availableMemory(), proportional: totalOf(host.pids, 'proportional') };
    const without = host.processes.instances;
    let launched = without.length;
    const idle = async (count: number): Promise<Idle> => {
      progress(`${count} instances`);
      await inParallel(count - launched, LAUNCHES_AT_ONCE, (index) => invoke(host, launched + index));
      launched = count;
      return measureIdle(host, count, { before, without });
    };
    const part = Math.max(launched + 1, Math.round(instances * FIRST_PART));
    const first = { [`instances_${part}`]: await idle(part) };
    const all = await idle(instances);
    const hostMb = round(before.proportional / MB);
    progress(`${USES} invocations of one function`);
    return { ...first, ...all, host_mb: hostMb, used_private_mb: round((await usedByFunction(host)) / MB, 1) };
  } finally {
    await host.stop();
  }
}

interface Idle {
  readonly private_mb: number;
  readonly pss_mb: number;
  readonly per_instance_mb: number;
  readonly host_pss_per_instance_mb: number;
  readonly idle_cpu_percent: number;
  readonly idle_instances_cpu_percent: number;
  readonly random_p50_ms: number;
  readonly random_p99_ms: number;
}

interface Compared {
  readonly before: Baseline;
  /** Instances that were there before, and are no samples. */
  readonly without: readonly number[];
}

async function measureIdle(host: EggHost, count: number, { before, without }: Compared): Promise<Idle> {
  const { instances, pids } = { instances: host.processes.instances, pids: host.pids };
  if (instances.length !== count) throw new Error(`expected ${count} instances, and there are ${instances.length}`);
  const startedAt = performance.now();
  const [all, own] = [exactCpuMicros(pids), exactCpuMicros(instances)];
  await sleep(IDLE_MS);
  const [allAfter, ownAfter] = [exactCpuMicros(pids), exactCpuMicros(instances)];
  const percent = (micros: number): number => round((micros / 1000 / (performance.now() - startedAt)) * 100, 2);
  const added = count - without.length;
  const available = availableMemory();
  const memories = instances.filter((pid) => !without.includes(pid)).flatMap((pid) => memoryOf(pid) ?? []);
  const each = (kind: keyof Memory): number => round(median(memories.map((memory) => memory[kind])) / MB, 2);
  return {
    private_mb: each('private'),
    pss_mb: each('proportional'),
    per_instance_mb: round((before.available - available) / added / MB, 2),
    host_pss_per_instance_mb: round((totalOf(host.pids, 'proportional') - before.proportional) / added / MB, 2),
    idle_cpu_percent: percent(allAfter - all),
    idle_instances_cpu_percent: percent(ownAfter - own),
    ...(await randomRequests(host, count)),
  };
}

async function randomRequests(host: EggHost, count: number): Promise<Pick<Idle, 'random_p50_ms' | 'random_p99_ms'>> {
  const samples: number[] = [];
  for (let i = 0; i < RANDOM_REQUESTS; i += 1) samples.push(await invoke(host, Math.floor(Math.random() * count)));
  return { random_p50_ms: round(median(samples), 2), random_p99_ms: round(quantile(samples, 0.99), 2) };
}

/** Bytes of private memory after so many invocations. */
async function usedByFunction(host: EggHost): Promise<number> {
  const title = new RegExp(`^egg-carton ${functionName(1)} `);
  const pid = host.instancesNamed(title)[0];
  const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });
  await inParallel(USES, CONNECTIONS, () => invoke(host, 1, agent));
  agent.destroy();
  return (pid === undefined ? undefined : memoryOf(pid)?.private) ?? Number.NaN;
}

async function measureStock(application: Application): Promise<{ readonly stock_process_mb: number; readonly stock_used_mb: number }> {
  const host = await EggHost.start({ baseDir: application.baseDir, env: application.environment(''), workers: STOCK_WORKERS });
  try {
    const ask = (agent?: Agent) => askFor200({ port: host.port, path: application.routePath, json: [BODY], agent });
    const privateMb = (): number => round(median(host.processes.workers.flatMap((pid) => memoryOf(pid)?.private ?? [])) / MB, 1);
    await inParallel(STOCK_REQUESTS, 1, () => ask());
    const idle = privateMb();
    await inParallel(USES, CONNECTIONS, () => ask());
    return { stock_process_mb: idle, stock_used_mb: privateMb() };
  } finally {
    await host.stop();
  }
}

/** Milliseconds to the first byte. */
async function invoke(host: EggHost, index: number, agent?: Agent): Promise<number> {
  return (await askFor200({ port: host.port, path: `/oneapi/${functionName(index)}`, json: [BODY], agent })).firstByteMs;
}

function totalOf(pids: readonly number[], kind: keyof Memory): number {
  return pids.reduce((sum, pid) => sum + (memoryOf(pid)?.[kind] ?? 0), 0);
}
