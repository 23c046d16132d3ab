/**
 * What the demo shows, chapter by chapter, on a host that is up. Each chapter asks real requests and prints what came.
 */
import { Agent } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { askFor200 } from '../support/request';
import { instancesOf, showProcesses, type Instance } from './process_view';
import { asked, chapter, duration, fact, line, megabytes } from './screen';

export interface Stage {
  readonly port: number;
  /** Pid of the master. */
  readonly master: number;
  /** Base URL of the upstream stub, which answers late when told to. */
  readonly upstream: string;
  /** Milliseconds after which an idle instance of `home` is reclaimed. */
  readonly idleTimeoutMs: number;
  /** Aborted when the demo ends. */
  readonly signal: AbortSignal;
}

const WARM_CALLS = 300;
const ROUTE_CALLS = 100;
const STREAM_ITEMS = 12;
/** More than one instance of `home` takes at once, and no more than two do. */
const CROWD = 40;
/** So late does the upstream answer a crowd that its calls are all open at the same time. */
const CROWD_DELAY_MS = 400;
const PAGE_DELAY_MS = 150;
const LOOK_MS = 50;

export async function tour(stage: Stage): Promise<void> {
  for (const show of [nothingRuns, coldAndWarm, streams, untouched, crowd, reclaim]) {
    stage.signal.throwIfAborted();
    await show(stage);
  }
}

async function nothingRuns({ master }: Stage): Promise<void> {
  chapter('All functions are deployed, and none of them runs');
  showProcesses(master);
}

async function coldAndWarm({ port }: Stage): Promise<void> {
  chapter('The first call launches an instance, the next ones find it');
  asked('POST /oneapi/home ["chengdu"]');
  const ask = { port, path: '/oneapi/home', json: ['chengdu'] };
  const cold = await askFor200(ask);
  fact('cold', duration(cold.totalMs), 'a process starts, boots the application, answers');
  fact('warm', duration(await medianOf(WARM_CALLS, ask)), `p50 of ${WARM_CALLS}, calls to upstream included`);
}

async function streams({ port, upstream }: Stage): Promise<void> {
  chapter('A function that yields is a stream');
  const path = `/fn/recommendations?limit=${STREAM_ITEMS}`;
  asked(`GET ${path}`);
  const cold = await askFor200({ port, path });
  fact('cold', duration(cold.firstByteMs), 'to the first item');
  await late(upstream, 'recommendations', PAGE_DELAY_MS);
  const startedAt = performance.now();
  let name = 'warm';
  await askFor200({
    port,
    path,
    onData: (text) => {
      fact(name, duration(performance.now() - startedAt), `${text.split('"data":').length - 1} items, as their page came from upstream`);
      name = '';
    },
  });
  await inTime(upstream);
}

async function untouched({ port }: Stage): Promise<void> {
  chapter('The application\'s own routes stay what they were');
  asked('GET /api/home?city=chengdu');
  fact('worker', duration(await medianOf(ROUTE_CALLS, { port, path: '/api/home?city=chengdu' })), `p50 of ${ROUTE_CALLS}, the controller and no function`);
}

async function crowd({ port, upstream, master }: Stage): Promise<void> {
  chapter('More calls than one instance takes bring a second one');
  asked(`${CROWD} calls of home at once, which runs 20 in an instance; upstream is slow`);
  await late(upstream, 'catalog', CROWD_DELAY_MS);
  const startedAt = performance.now();
  await Promise.all(Array.from({ length: CROWD }, () => askFor200({ port, path: '/fn/home' })));
  const count = instancesOf(master).filter(isHome).length;
  fact('answered', `${CROWD}/${CROWD}`, `by ${count} instances, in ${duration(performance.now() - startedAt)} with the launch`);
  await inTime(upstream);
  line();
  showProcesses(master);
}

async function reclaim({ master, idleTimeoutMs, signal }: Stage): Promise<void> {
  chapter('Idle instances go, and their memory with them');
  asked(`home has no calls for ${duration(idleTimeoutMs)}; the default would be 60 s`);
  const before = instancesOf(master).filter(isHome);
  const startedAt = performance.now();
  while (instancesOf(master).some(isHome)) await sleep(LOOK_MS, undefined, { signal });
  const freed = before.reduce((sum, { memoryBytes }) => sum + memoryBytes, 0);
  fact('reclaimed', String(before.length), `${megabytes(freed)} given back, after ${duration(performance.now() - startedAt)}`);
  fact('stays', String(instancesOf(master).length), 'recommend: its own spec says 30 s');
}

const isHome = (instance: Instance): boolean => instance.function === 'home';

async function medianOf(count: number, ask: { port: number; path: string; json?: unknown }): Promise<number> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const times: number[] = [];
  for (let i = 0; i < count; i += 1) times.push((await askFor200({ ...ask, agent })).totalMs);
  agent.destroy();
  return times.sort((a, b) => a - b)[count >> 1] as number;
}

async function late(upstream: string, service: string, delayMs: number): Promise<void> {
  await fetch(`${upstream}/faults/${service}`, { method: 'PUT', body: JSON.stringify({ delayMs }) });
}

async function inTime(upstream: string): Promise<void> {
  await fetch(`${upstream}/faults`, { method: 'DELETE' });
}
