/**
 * How long does a request wait for a function that has no instance, against the start of a stock Egg process?
 *
 * Docs: examples/bff in production, compiled, answers its home page, for which it asks five upstreams.
 * - `template_*`: from sending the request to the ingress to the first byte of the answer, the instance a fork of the
 *   application's template that was made ahead. `ratio_to_stock` is stock to template.
 * - `warm_p50_ms`: the same request right after it, to the instance that is there: what of the others is the answer's own.
 * - `first_start_ms`: the same with a root template and no template of the application, which is killed as the request
 *   is sent: it is forked from the root, boots the application, tests itself, and the first instance is forked from it.
 * - `fork_call_*`: from asking a template of the application for a fork to being told of it, without a host around.
 * - `spawn_*`: as `template_*` on a host whose launcher is `spawn`; `ratio` is stock to spawn.
 * - `stock_*`: from starting a Node process with the whole application in it (single mode, no egg-cluster) to its first
 *   200. `bare_node_ms`: `node -e 0` from start to end.
 * - `burst_100_*`: of 100 requests at once to 100 functions without an instance, one each, from sending it to its first
 *   byte, in `burst_samples` bursts; of a generated application without upstreams. All but one wait for their fork.
 *
 * Each round takes samples of all, in turns, but for the bursts, which come last. Hosts have no snapshot but spawn's.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Child } from '../scripts/support/child';
import { askFor200, type Ask } from '../scripts/support/request';
import type { Template } from '../lib/fork/template';
import { buildApplication, type Application, type CartonSettings } from './support/applications';
import { EggHost, kill } from './support/egg_host';
import { environmentOf, revisionOf } from './support/function_start';
import { buildManyFunctions, functionName } from './support/many_functions';
import type { Aims, BenchmarkOptions } from './support/options';
import { progress } from './support/progress';
import { startTemplates } from './support/revision_template';
import { median, quantile, round } from './support/statistics';

const ROUNDS = 30;
/** Of the first rounds, which fill the file cache. */
const DISCARDED = 2;
/** What is fast is asked more often in a round, so that its p99 is one. */
const PER_ROUND = 5;
const BURSTS = 5;
const BURST_FUNCTIONS = 100;
/** Short, so that each sample finds no instance soon. */
const IDLE_TIMEOUT_MS = 200;
/** Longer than a burst: the end of its first instances would be in the times of its last ones. */
const BURST_IDLE_TIMEOUT_MS = 3_000;
/** After the last instance has gone, for the agent to be done with it. */
const SETTLE_MS = 150;
/** A template that lives shorter than 10 s counts as failing, and is made anew only after a while. */
const STEADY_MS = 11_000;

const DEFAULTS = { functionDefaults: { idleTimeoutMs: IDLE_TIMEOUT_MS } };
const TEMPLATE: CartonSettings = { ...DEFAULTS, snapshot: { enable: false } };
const SPAWN: CartonSettings = { ...DEFAULTS, launcher: 'spawn' };
const BURST: CartonSettings = { ...TEMPLATE, maxInstances: 2 * BURST_FUNCTIONS, functionDefaults: { idleTimeoutMs: BURST_IDLE_TIMEOUT_MS } };
const FUNCTION_PATH = '/fn/home?city=chengdu';

export const AIMS: Aims = {
  template_p50_ms: '≤ 15', template_p99_ms: '≤ 60', first_start_ms: '≤ 100', ratio_to_stock: '≥ 40', burst_100_p99_ms: '≤ 1000',
};

type What = 'template' | 'warm' | 'firstStart' | 'forkCall' | 'spawn' | 'stock' | 'bare' | 'burst';
type Samples = Record<What, number[]>;

interface Subjects {
  readonly application: Application;
  readonly hosts: { readonly template: EggHost; readonly spawn: EggHost };
  readonly template: Template;
}

export async function run({ samples = ROUNDS }: BenchmarkOptions): Promise<Record<string, unknown>> {
  const closing: (() => Promise<void>)[] = [];
  const taken: Samples = { template: [], warm: [], firstStart: [], forkCall: [], spawn: [], stock: [], bare: [], burst: [] };
  try {
    const application = await buildApplication('bff');
    closing.unshift(() => application.remove());
    const startHost = async (settings: CartonSettings): Promise<EggHost> => {
      const host = await EggHost.start({ baseDir: application.baseDir, env: application.environment('carton', settings) });
      closing.unshift(() => host.stop());
      return host;
    };
    const hosts = { template: await startHost(TEMPLATE), spawn: await startHost(SPAWN) };
    const templates = await startTemplates({ environment: environmentOf(application), functions: (await revisionOf(application)).functions, env: application.environment('carton') });
    closing.unshift(() => templates.close());
    await measure({ application, hosts, template: templates.revision }, taken, samples);
  } finally {
    for (const close of closing) await close();
  }
  taken.burst.push(...(await bursts()));
  return resultOf(taken);
}

async function measure(subjects: Subjects, taken: Samples, rounds: number): Promise<void> {
  const { application, hosts, template } = subjects;
  let killedAt = performance.now();
  for (let i = 1; i <= rounds; i += 1) {
    const sample = (what: What, ms: number): void => {
      if (i > DISCARDED || rounds <= DISCARDED) taken[what].push(ms);
    };
    for (let j = 0; j < PER_ROUND; j += 1) {
      sample('template', await coldRequest(hosts.template, 'egg-carton: template of'));
      sample('warm', await firstByte({ port: hosts.template.port, path: FUNCTION_PATH }));
      sample('forkCall', await forkCall(template));
    }
    sample('spawn', await coldRequest(hosts.spawn));
    sample('stock', await stockStart(application));
    sample('bare', await bareNode());
    if (performance.now() - killedAt > STEADY_MS) {
      sample('firstStart', await firstStart(hosts.template));
      killedAt = performance.now();
    }
    if (i % 5 === 0) progress(`round ${i} of ${rounds}`);
  }
  // Short runs need one, too.
  if (taken.firstStart.length > 0) return;
  await sleep(Math.max(0, STEADY_MS - (performance.now() - killedAt)));
  taken.firstStart.push(await firstStart(hosts.template));
}

async function coldRequest(host: EggHost, template?: string): Promise<number> {
  await noInstance(host);
  const ms = await firstByte({ port: host.port, path: FUNCTION_PATH });
  // A host that fell back to new processes would be measured as one that forks.
  if (template !== undefined && host.processes.revision === undefined) throw new Error('expected a host with a template of its application, and there is none');
  return ms;
}

async function firstStart(host: EggHost): Promise<number> {
  await noInstance(host);
  const { revision, ahead } = host.processes;
  if (revision === undefined) throw new Error('expected a template of the application, and there is none');
  // Those that were forked from it already would answer without it.
  for (const pid of [revision, ...ahead]) kill(pid);
  const ms = await firstByte({ port: host.port, path: FUNCTION_PATH });
  if (host.processes.root === undefined || host.processes.revision === undefined) throw new Error('expected the application\'s template to be forked from the root anew');
  return ms;
}

async function noInstance(host: EggHost): Promise<void> {
  await host.empty();
  await sleep(SETTLE_MS);
}

async function firstByte(asked: Ask): Promise<number> {
  return (await askFor200(asked)).firstByteMs;
}

async function forkCall(template: Template): Promise<number> {
  const askedAt = performance.now();
  const fork = await template.fork(null);
  const ms = performance.now() - askedAt;
  template.collect();
  fork.channel.resume();
  fork.kill();
  await fork.exited;
  return ms;
}

async function stockStart(application: Application): Promise<number> {
  const startedAt = performance.now();
  const child = new Child(join(__dirname, 'support/single_process.js'), { args: [application.baseDir], env: application.environment('') });
  const { port } = (await child.message()) as { port: number };
  await askFor200({ port, path: application.routePath });
  const elapsedMs = performance.now() - startedAt;
  await child.end();
  return elapsedMs;
}

async function bareNode(): Promise<number> {
  const startedAt = performance.now();
  await once(spawn(process.execPath, ['-e', '0'], { stdio: 'ignore' }), 'exit');
  return performance.now() - startedAt;
}

async function bursts(): Promise<number[]> {
  const application = buildManyFunctions(BURST_FUNCTIONS);
  try {
    const host = await EggHost.start({ baseDir: application.baseDir, env: application.environment('carton', BURST) });
    try {
      await askFor200(askFunction(host, 0));
      const samples: number[] = [];
      for (let i = 1; i <= BURSTS; i += 1) {
        await noInstance(host);
        samples.push(...(await Promise.all(Array.from({ length: BURST_FUNCTIONS }, (_, index) => firstByte(askFunction(host, index))))));
        progress(`burst ${i} of ${BURSTS}`);
      }
      return samples;
    } finally {
      await host.stop();
    }
  } finally {
    await application.remove();
  }
}

function askFunction(host: EggHost, index: number): Ask {
  return { port: host.port, path: `/oneapi/${functionName(index)}`, json: [{ name: 'Ada' }] };
}

function resultOf({ template, warm, firstStart: first, forkCall: calls, spawn: spawns, stock, bare, burst }: Samples): Record<string, unknown> {
  return {
    template_p50_ms: round(median(template), 1),
    template_p99_ms: round(quantile(template, 0.99), 1),
    warm_p50_ms: round(median(warm), 1),
    first_start_ms: round(median(first), 1),
    first_start_max_ms: round(Math.max(...first), 1),
    fork_call_ms: round(median(calls), 2),
    fork_call_p99_ms: round(quantile(calls, 0.99), 2),
    burst_100_p50_ms: round(median(burst)),
    burst_100_p99_ms: round(quantile(burst, 0.99)),
    stock_p50_ms: round(median(stock)),
    stock_p99_ms: round(quantile(stock, 0.99)),
    spawn_p50_ms: round(median(spawns)),
    spawn_p99_ms: round(quantile(spawns, 0.99)),
    bare_node_ms: round(median(bare)),
    ratio_to_stock: round(median(stock) / median(template), 1),
    ratio: round(median(stock) / median(spawns), 2),
    samples: stock.length,
    template_samples: template.length,
    first_start_samples: first.length,
    burst_samples: BURSTS,
  };
}
