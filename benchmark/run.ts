/**
 * Runs a benchmark: `npm run bench -- <question> [--json]`. Prints the machine, the answer as tables, and with --json
 * one JSON object on the last line of stdout; progress goes to stderr.
 *
 * A question is a file `benchmark/<question>.ts`, "-" in the name written as "_", that exports
 * `run(): Promise<Record<string, unknown>>`.
 */
import { cpus, totalmem } from 'node:os';
import { progress } from './support/progress';
import { table } from './support/table';

const QUESTIONS: Readonly<Record<string, string>> = {
  overhead: 'CPU per request of a stock Egg controller, a warm function and bare node:http',
  'cold-start': 'request to first byte with no instance alive, and start of a stock Egg application',
  'dev-reload': 'from saving a function to its new answer under egg-bin dev',
  snapshot: 'start of a process from a snapshot and of a stock Egg application, and their system calls on files',
};

type Result = Record<string, unknown>;

interface Question {
  run(): Promise<Result>;
}

async function main(): Promise<void> {
  const args = process.argv.slice(2);
  const name = args.find((arg) => !arg.startsWith('--'));
  const unknownFlag = args.find((arg) => arg.startsWith('--') && arg !== '--json');
  if (name === undefined || !Object.hasOwn(QUESTIONS, name) || unknownFlag !== undefined) {
    process.stderr.write(usage(unknownFlag ?? name));
    process.exitCode = 1;
    return;
  }
  const question = (await import(`./${name.replaceAll('-', '_')}.js`)) as Question;
  const machine = machineOf();
  process.stdout.write(`${name}: ${QUESTIONS[name]}\n${machine.cpu}, ${machine.cores} cores, ${machine.memory_gb} GB, Node ${machine.node}\n`);
  const startedAt = performance.now();
  const result = await question.run();
  const seconds = Math.round((performance.now() - startedAt) / 1000);
  progress(`${seconds} s`);
  process.stdout.write(`\n${table(result)}`);
  if (args.includes('--json')) process.stdout.write(`${JSON.stringify({ question: name, machine, seconds, ...result })}\n`);
}

function usage(wrong: string | undefined): string {
  const width = Math.max(...Object.keys(QUESTIONS).map((name) => name.length));
  const lines = Object.entries(QUESTIONS).map(([name, asks]) => `  ${name.padEnd(width)}  ${asks}`);
  const problem = wrong === undefined ? '' : `There is no ${wrong.startsWith('--') ? 'option' : 'benchmark'} "${wrong}".\n`;
  return `${problem}Usage: npm run bench -- <question> [--json]\n${lines.join('\n')}\n`;
}

function machineOf(): { cpu: string; cores: number; memory_gb: number; node: string } {
  const all = cpus();
  return { cpu: all[0]?.model.trim() ?? 'unknown', cores: all.length, memory_gb: Math.round(totalmem() / 2 ** 30), node: process.versions.node };
}

void main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
