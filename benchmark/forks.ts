/**
 * Does forking hold: many forks in a row, each answering one request, on each Node that is given?
 *
 * Docs: scripts/soak/forks.ts, run under this Node and under each of `--node`. What each of its fields counts is said
 * there; crashes, hangs, failures, leaked descriptors, zombies and random numbers that came twice are aimed to be 0,
 * and then `clean` is true. `answer_*`: milliseconds from asking for a fork to its answer, 32 at once.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Aims, BenchmarkOptions } from './support/options';
import { progress } from './support/progress';

const FORKS = 10_000;
const SOAK = join(__dirname, '../scripts/soak/forks.js');

export const AIMS: Aims = {
  crashes: '0', hangs: '0', failed: '0', leaked_descriptors: '0', zombies: '0', held: '0', duplicate_uuids: '0', duplicate_numbers: '0', duplicate_integers: '0', clean: 'true',
};

export async function run({ samples: forks = FORKS, nodes }: BenchmarkOptions): Promise<Record<string, unknown>> {
  const results: Record<string, unknown> = {};
  for (const node of [process.execPath, ...nodes]) {
    const { node: version, ...result } = await soak(node, forks);
    results[version] = result;
  }
  return { ...results, forks };
}

/** A run with findings has a result, too; one that broke off rejects with what it printed. */
async function soak(node: string, forks: number): Promise<{ readonly node: string }> {
  const child = spawn(node, [SOAK, '--forks', String(forks)], { stdio: ['ignore', 'pipe', 'pipe'] });
  let [output, complaint] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint += text;
    progress(text.trimEnd());
  });
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  const last = output.trimEnd().split('\n').at(-1) ?? '';
  if (!last.startsWith('{')) throw new Error(`the soak under ${node} ended with ${signal ?? code} and no result:\n${complaint}`);
  return JSON.parse(last) as { readonly node: string };
}
