/**
 * How much sooner does a process start from a snapshot than a stock Egg process does?
 *
 * Three applications in production: `hello` is one route and one function, `bff` is examples/bff, `large` has 500
 * controllers, routes and services and 40 plugins. Their snapshots are built with `egg-carton snapshot`.
 *
 * Of each, all from before the process exists:
 * - `stock_p50_ms`: the application in one process (single mode, no egg-cluster), to its first 200 from a route.
 * - `snapshot_p50_ms`: a function process with a snapshot, to its first answer from a function; `spawn_p50_ms`: the same
 *   without one. `ratio` is stock to snapshot. `*_ready_p50_ms`: to the moment at which the process says it is ready.
 * - `worker_*`: agent and application in one process that loads everything, with the plugin, to its first 200; `snapshot`
 *   with `egg-carton/register`, `stock` without. `worker_ratio` is stock to snapshot. Both times the agent also reads the
 *   application's files to name their revision, as it does in a cluster, though in a process of its own there.
 * - `snapshot_bytes`, `modules`: the function processes' file, and the modules in it; `worker_*` the workers'.
 * - `syscalls`, `worker_syscalls`: calls from the start until ready that look for files (`stat`, with access and
 *   readlink), open them, and read regular ones, in one run of its own under strace; `drop` is the part of all three
 *   together that a snapshot saves. `bare_syscalls`: those of `node -e 0`, which nothing saves.
 *
 * Each round takes one sample of each, in turns. `bare_node_ms`: `node -e 0` from start to end, which is in all of the
 * others; where NODE_EXTRA_CA_CERTS is set, reading certificates is most of it.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { APPLICATION_NAMES, buildApplication, type Application, type ApplicationName } from './support/applications';
import { FunctionHost } from './support/function_start';
import { progress } from './support/progress';
import { startStock, startWorker } from './support/server_start';
import { buildSnapshots, type BuiltSnapshot } from './support/snapshot_files';
import type { Start } from './support/start';
import { median, round } from './support/statistics';
import { assertStrace, countFileCalls, total, underStrace, type FileCalls } from './support/system_calls';

const ROUNDS = 22;
/** Of the first rounds, which fill the file cache. */
const DISCARDED = 2;

/** The two roles, each by stock means and from a snapshot, and the function role from neither. */
const STARTS = ['stock', 'snapshot', 'spawn', 'workerStock', 'workerSnapshot'] as const;
type StartName = (typeof STARTS)[number];
type Samples = Record<StartName, Start[]>;
/** A trace tells loaders apart; the function role without a snapshot is there for its time alone. */
type Traced = Exclude<StartName, 'spawn'>;

interface Subject {
  readonly application: Application;
  readonly host: FunctionHost;
  readonly snapshots: { readonly function: BuiltSnapshot; readonly host: BuiltSnapshot };
  readonly samples: Samples;
}

export async function run(): Promise<Record<string, unknown>> {
  // Before anything that takes minutes.
  assertStrace();
  const subjects = new Map<ApplicationName, Subject>();
  try {
    for (const name of APPLICATION_NAMES) subjects.set(name, await subjectOf(name));
    const bareMs = await measure(subjects);
    const applications: Record<string, unknown> = {};
    for (const [name, subject] of subjects) applications[name] = resultOf(subject, await traceAll(subject));
    const { directory } = (subjects.get('hello') as Subject).application;
    return { applications, bare_node_ms: round(median(bareMs)), bare_syscalls: await traceBare(join(directory, 'trace')), samples: ROUNDS - DISCARDED };
  } finally {
    for (const { application, host } of subjects.values()) {
      host.close();
      await application.remove();
    }
  }
}

async function subjectOf(name: ApplicationName): Promise<Subject> {
  const application = await buildApplication(name);
  try {
    const samples: Samples = { stock: [], snapshot: [], spawn: [], workerStock: [], workerSnapshot: [] };
    const subject = { application, host: await FunctionHost.of(application), snapshots: await buildSnapshots(application), samples };
    progress(`${name} is built`);
    return subject;
  } catch (error) {
    await application.remove();
    throw error;
  }
}

/** Takes all samples; returns those of bare node. */
async function measure(subjects: ReadonlyMap<ApplicationName, Subject>): Promise<number[]> {
  const bareMs: number[] = [];
  for (let i = 1; i <= ROUNDS; i += 1) {
    for (const subject of subjects.values()) {
      for (const name of STARTS) {
        const sample = await start(subject, name);
        if (i > DISCARDED) subject.samples[name].push(sample);
      }
    }
    const sample = await bareNode();
    if (i > DISCARDED) bareMs.push(sample);
    if (i % 5 === 0) progress(`round ${i} of ${ROUNDS}`);
  }
  return bareMs;
}

function start({ application, host, snapshots }: Subject, name: StartName, trace?: string): Promise<Start> {
  switch (name) {
    case 'stock':
      return startStock(application, trace);
    case 'snapshot':
      return host.start(snapshots.function.reference, trace);
    case 'spawn':
      return host.start(null, trace);
    case 'workerStock':
      return startWorker(application, false, trace);
    case 'workerSnapshot':
      return startWorker(application, true, trace);
  }
}

async function bareNode(): Promise<number> {
  const startedAt = performance.now();
  await once(spawn(process.execPath, ['-e', '0'], { stdio: 'ignore' }), 'exit');
  return performance.now() - startedAt;
}

async function traceAll(subject: Subject): Promise<Record<Traced, FileCalls>> {
  const traced = async (start: Traced): Promise<FileCalls> => await traceStart(subject, start);
  return { stock: await traced('stock'), snapshot: await traced('snapshot'), workerStock: await traced('workerStock'), workerSnapshot: await traced('workerSnapshot') };
}

async function traceStart(subject: Subject, name: Traced): Promise<FileCalls> {
  const trace = join(subject.application.directory, 'trace');
  const { readyAt } = await start(subject, name, trace);
  const calls = countFileCalls(trace, readyAt);
  rmSync(trace);
  return calls;
}

async function traceBare(trace: string): Promise<FileCalls> {
  const [command, ...args] = underStrace(trace);
  await once(spawn(command, [...args, process.execPath, '-e', '0'], { stdio: 'ignore' }), 'exit');
  return countFileCalls(trace);
}

function resultOf({ samples, snapshots }: Subject, calls: Record<Traced, FileCalls>): Record<string, unknown> {
  const p50 = (name: StartName, of: 'readyMs' | 'firstAnswerMs' = 'firstAnswerMs'): number => median(samples[name].map((sample) => sample[of]));
  return {
    stock_p50_ms: round(p50('stock')),
    snapshot_p50_ms: round(p50('snapshot')),
    ratio: round(p50('stock') / p50('snapshot'), 2),
    worker_ratio: round(p50('workerStock') / p50('workerSnapshot'), 2),
    stock_ready_p50_ms: round(p50('stock', 'readyMs')),
    snapshot_ready_p50_ms: round(p50('snapshot', 'readyMs')),
    spawn_p50_ms: round(p50('spawn')),
    worker_stock_p50_ms: round(p50('workerStock')),
    worker_snapshot_p50_ms: round(p50('workerSnapshot')),
    snapshot_bytes: snapshots.function.bytes,
    modules: snapshots.function.modules,
    worker_snapshot_bytes: snapshots.host.bytes,
    worker_modules: snapshots.host.modules,
    syscalls: compared(calls.stock, calls.snapshot),
    worker_syscalls: compared(calls.workerStock, calls.workerSnapshot),
  };
}

function compared(stock: FileCalls, snapshot: FileCalls): Record<string, unknown> {
  return { stock, snapshot, drop: round(1 - total(snapshot) / total(stock), 3) };
}
