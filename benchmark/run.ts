/**
 * Runs a benchmark: `npm run bench -- <question> [options]`. Prints the machine, the answer as tables beside what is
 * aimed at, and with --json one JSON object on the last line of stdout; progress goes to stderr.
 *
 * A question is a file `benchmark/<question>.ts`, "-" in the name written as "_", that exports
 * `run(options: BenchmarkOptions): Promise<Record<string, unknown>>` and, where there are any, `AIMS`.
 */
import { cpus, totalmem } from 'node:os';
import { parseArgs } from 'node:util';
import type { Aims, BenchmarkOptions } from './support/options';
import { progress } from './support/progress';
import { table } from './support/table';

const QUESTIONS: Readonly<Record<string, string>> = {
  overhead: 'CPU per request of a stock Egg controller, a warm function and bare node:http',
  'cold-start': 'request to first byte with no instance alive, and start of a stock Egg application',
  'dev-reload': 'from saving a function to its new answer under egg-bin dev',
  snapshot: 'start of a process from a snapshot and of a stock Egg application, and their system calls on files',
  density: 'memory and CPU of idle and used instances, and of stock Egg workers',
  steady: 'throughput of a warm instance that was forked, and of one that was not',
  sidecar: 'calls of middleware clients through a sidecar and without one: latency, throughput, memory, boot, connections',
  forks: 'many forks in a row, each answering: crashes, hangs, leaks, random numbers that come twice',
};

const OPTIONS = {
  json: { type: 'boolean', default: false },
  samples: { type: 'string' },
  node: { type: 'string', multiple: true, default: [] as string[] },
} as const;
/** Questions that a number of samples, or another Node, means something to. */
const TAKES_SAMPLES: ReadonlySet<string> = new Set(['cold-start', 'dev-reload', 'density', 'steady', 'sidecar', 'forks']);
const TAKES_NODE: ReadonlySet<string> = new Set(['forks']);

type Result = Record<string, unknown>;

interface Question {
  readonly AIMS?: Aims;
  run(options: BenchmarkOptions): Promise<Result>;
}

interface Asked {
  readonly name: string;
  readonly json: boolean;
  readonly options: BenchmarkOptions;
}

async function main(): Promise<void> {
  const asked = readArguments(process.argv.slice(2));
  if (typeof asked === 'string') {
    process.stderr.write(usage(asked));
    process.exitCode = 1;
    return;
  }
  const { name, json, options } = asked;
  const question = (await import(`./${name.replaceAll('-', '_')}.js`)) as Question;
  const machine = machineOf();
  process.stdout.write(`${name}: ${QUESTIONS[name]}\n${machine.cpu}, ${machine.cores} cores, ${machine.memory_gb} GB, Node ${machine.node}\n`);
  const startedAt = performance.now();
  const result = await question.run(options);
  const seconds = Math.round((performance.now() - startedAt) / 1000);
  progress(`${seconds} s`);
  process.stdout.write(`\n${table(result, question.AIMS)}`);
  if (json) process.stdout.write(`${JSON.stringify({ question: name, machine, seconds, ...result })}\n`);
}

/** Or what is wrong with them. */
function readArguments(args: readonly string[]): Asked | string {
  let parsed;
  try {
    parsed = parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true });
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  const { values: { json, samples, node: nodes }, positionals: [name = '', ...more] } = parsed;
  if (name === '') return '';
  if (!Object.hasOwn(QUESTIONS, name)) return `There is no benchmark "${name}".`;
  if (more.length > 0) return `One benchmark at a time, not "${more.join('" and "')}" too.`;
  if (samples !== undefined && (!TAKES_SAMPLES.has(name) || !/^[1-9]\d*$/.test(samples))) return `"${name}" does not take --samples ${samples}.`;
  if (nodes.length > 0 && !TAKES_NODE.has(name)) return `"${name}" does not take --node.`;
  return { name, json, options: { samples: samples === undefined ? undefined : Number(samples), nodes } };
}

function usage(problem: string): string {
  const width = Math.max(...Object.keys(QUESTIONS).map((name) => name.length));
  const lines = Object.entries(QUESTIONS).map(([name, asks]) => `  ${name.padEnd(width)}  ${asks}`);
  const options = [
    `  --json          one JSON object on the last line of stdout`,
    `  --samples <n>   how many (${[...TAKES_SAMPLES].join(', ')})`,
    `  --node <path>   another Node to ask, as often as there are others (${[...TAKES_NODE].join(', ')})`,
  ];
  return `${problem === '' ? '' : `${problem}\n`}Usage: npm run bench -- <question> [options]\n${[...lines, '', ...options].join('\n')}\n`;
}

function machineOf(): { cpu: string; cores: number; memory_gb: number; node: string } {
  const all = cpus();
  return { cpu: all[0]?.model.trim() ?? 'unknown', cores: all.length, memory_gb: Math.round(totalmem() / 2 ** 30), node: process.versions.node };
}

void main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
