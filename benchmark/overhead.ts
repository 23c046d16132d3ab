/**
 * What does a warm function cost, against the same answer from a stock Egg controller and from bare node:http?
 *
 * Docs: CPU microseconds per request of all processes of a server (master, agent, worker, instance), at 1, 8 and 32
 * connections, and its requests per second. Figures are medians of rounds in which the subjects take turns; ratios are
 * medians of the rounds' ratios, function to stock. `ratio` is the mean of `ratio_get` and `ratio_post`, and plain fields
 * (`stock_egg_cpu_us`, `function_cpu_us`, `bare_cpu_us`) are means of GET and POST, too. `elsewhere` is the part of the
 * machine that others used meanwhile: above 0.1, run it again. Aims: `c8.ratio` at most 0.8, `c32.ratio` at most 0.6.
 */
import { join } from 'node:path';
import { Child } from '../scripts/support/child';
import type { LoadOrder, LoadResult } from './support/load_client';
import { progress } from './support/progress';
import { median, round } from './support/statistics';
import { ANSWER, startBare, startFunction, startStock, type Method, type Subject, type SubjectName } from './support/subjects';

const ROUNDS = 7;
const CONNECTIONS = [1, 8, 32] as const;
const SUBJECTS = ['stock', 'function', 'bare'] as const;
const METHODS: readonly Method[] = ['get', 'post'];
/** Long enough for the clock ticks in which Linux counts CPU time, 10 ms, to be about 1 % of a figure. */
const DURATION_MS = 1_100;
const WARMUP_MS = 250;
/** Before the first round: the compiler of V8 is done with a server after some thousand requests. */
const FIRST_WARMUP_MS = 2_000;

type Samples = Map<string, LoadResult[]>;

const keyOf = (subject: SubjectName, connections: number, method: Method): string => `${subject} ${connections} ${method}`;

export async function run(): Promise<Record<string, unknown>> {
  const client = new Child(join(__dirname, 'support/load_client.js'));
  const subjects: Subject[] = [];
  try {
    for (const start of [startStock, startFunction, startBare]) subjects.push(await start());
    return resultOf(await measure(client, subjects));
  } finally {
    await Promise.all([...subjects.map((subject) => subject.close()), client.end()]);
  }
}

async function measure(client: Child, subjects: readonly Subject[]): Promise<Samples> {
  for (const subject of subjects) {
    for (const method of METHODS) await load(client, subject, { method, connections: 8, warmupMs: FIRST_WARMUP_MS });
  }
  const samples: Samples = new Map();
  for (let i = 1; i <= ROUNDS; i += 1) {
    progress(`round ${i} of ${ROUNDS}`);
    for (const connections of CONNECTIONS) {
      for (const method of METHODS) {
        for (const subject of subjects) {
          const key = keyOf(subject.name, connections, method);
          const sample = await load(client, subject, { method, connections, warmupMs: WARMUP_MS });
          samples.set(key, [...(samples.get(key) ?? []), sample]);
        }
      }
    }
  }
  return samples;
}

interface Load {
  readonly method: Method;
  readonly connections: number;
  readonly warmupMs: number;
}

async function load(client: Child, subject: Subject, { method, connections, warmupMs }: Load): Promise<LoadResult> {
  const order: LoadOrder = {
    port: subject.port,
    request: subject.requests[method],
    expected: ANSWER,
    connections,
    warmupMs,
    durationMs: DURATION_MS,
    pids: subject.pids(),
  };
  client.send(order);
  const { result, error } = (await client.message()) as { result?: LoadResult; error?: string };
  if (result === undefined) throw new Error(`${subject.name}, ${method}, ${connections} connections: ${error}`);
  return result;
}

function resultOf(samples: Samples): Record<string, unknown> {
  const rows = CONNECTIONS.map((connections) => [`c${connections}`, rowOf(samples, connections)] as const);
  return { ...Object.fromEntries(rows), samples: ROUNDS, sample_ms: DURATION_MS };
}

function rowOf(samples: Samples, connections: number): Record<string, number> {
  const all = (subject: SubjectName, method: Method): LoadResult[] => samples.get(keyOf(subject, connections, method)) ?? [];
  const each = (subject: SubjectName, method: Method, pick: (sample: LoadResult) => number): number => median(all(subject, method).map(pick));
  const mean = (of: (method: Method) => number): number => (of('get') + of('post')) / 2;
  const cpu = (subject: SubjectName) => (method: Method) => each(subject, method, (sample) => sample.cpuMicrosPerRequest);
  const ratio = (method: Method): number => {
    const stock = all('stock', method);
    return median(all('function', method).map((sample, i) => sample.cpuMicrosPerRequest / (stock[i] as LoadResult).cpuMicrosPerRequest));
  };
  const rate = (subject: SubjectName): number => mean((method) => each(subject, method, (sample) => sample.requests / sample.seconds));
  const p99 = (subject: SubjectName): number => mean((method) => each(subject, method, (sample) => sample.p99Ms));
  const perSubject = (name: string, of: (subject: SubjectName) => number): [string, number][] => SUBJECTS.map((subject) => [`${subject}_${name}`, of(subject)]);
  return {
    ratio: round(mean(ratio), 2),
    ratio_get: round(ratio('get'), 2),
    ratio_post: round(ratio('post'), 2),
    stock_egg_cpu_us: round(mean(cpu('stock')), 1),
    function_cpu_us: round(mean(cpu('function')), 1),
    bare_cpu_us: round(mean(cpu('bare')), 1),
    ...Object.fromEntries([
      ...METHODS.flatMap((method) => perSubject(`cpu_us_${method}`, (subject) => round(cpu(subject)(method), 1))),
      ...perSubject('rps', (subject) => round(rate(subject))),
      ...perSubject('p99_ms', (subject) => round(p99(subject), 2)),
    ]),
    elsewhere: round(median(SUBJECTS.flatMap((subject) => METHODS.flatMap((method) => all(subject, method).map((sample) => sample.elsewhere)))), 2),
  };
}
