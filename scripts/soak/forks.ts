/**
 * The soak of forks: many in a row, each answering one request over its channel, on the Node that runs this.
 *
 *     node scripts/soak/forks.js [--forks 10000] [--at-once 32]
 *
 * Looks for crashes, hangs, leaked descriptors, zombies and random numbers that came twice. Tells of its progress on
 * stderr, and ends with one JSON object on the last line of stdout; exit code 1 where there is a finding.
 */
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { held } from '../../lib/fork/children';
import { Template, type ForkedProcess } from '../../lib/fork/template';
import type { Drawn } from './program';

/** Milliseconds in which a fork must have answered, and ended. */
const HANG_MS = 20_000;
const TOLD_EVERY = 1_000;
/** Milliseconds for what is closing to be closed before descriptors are counted. */
const SETTLE_MS = 200;

const { values } = parseArgs({ options: { forks: { type: 'string', default: '10000' }, 'at-once': { type: 'string', default: '32' } } });
const total = Number(values.forks);
const atOnce = Number(values['at-once']);
const program = path.join(__dirname, 'program.js');
const entry = path.join(__dirname, '../../lib/entry/template_process.js');

const findings = { crashes: 0, hangs: 0, failed: 0, leaked_descriptors: 0, zombies: 0, held: 0, duplicate_uuids: 0, duplicate_numbers: 0, duplicate_integers: 0 };
const seen = { uuids: new Set<string>(), numbers: new Set<string>(), integers: new Set<string>() };
const latencies: number[] = [];

void main();

async function main(): Promise<void> {
  const root = await Template.start({ entry, program, argument: null });
  const template = await root.derive({ program, argument: null });
  const tree = [process.pid, root.pid, template.pid];
  // The first ones make this process open what it keeps.
  await batch(template, 2);
  await settled();
  // As on a host: all later forks come from what the collection has moved together.
  template.collect();
  const before = tree.map(descriptorsOf);
  const started = performance.now();
  for (let made = 0; made < total; made += atOnce) {
    await batch(template, Math.min(atOnce, total - made));
    if (Math.floor((made + atOnce) / TOLD_EVERY) > Math.floor(made / TOLD_EVERY)) process.stderr.write(`${made + atOnce} forks, ${JSON.stringify(findings)}\n`);
  }
  const seconds = (performance.now() - started) / 1000;
  await settled();
  findings.leaked_descriptors = tree.map(descriptorsOf).reduce((sum, count, index) => sum + Math.max(0, count - (before[index] as number)), 0);
  findings.zombies = zombiesBelow(tree);
  // The derived template itself is waited for.
  findings.held = held().early + held().waiting - 1;
  template.close();
  root.close();
  report(seconds);
}

function report(seconds: number): void {
  latencies.sort((a, b) => a - b);
  const at = (share: number): number => Number((latencies[Math.floor((latencies.length - 1) * share)] ?? 0).toFixed(1));
  const isClean = Object.values(findings).every((count) => count === 0);
  process.stdout.write(`${JSON.stringify({
    node: process.version, forks: total, at_once: atOnce, ...findings,
    seconds: Number(seconds.toFixed(1)), answer_p50_ms: at(0.5), answer_p99_ms: at(0.99), answer_max_ms: at(1), clean: isClean,
  })}\n`);
  process.exitCode = isClean ? 0 : 1;
}

function batch(template: Template, count: number): Promise<unknown> {
  return Promise.all(Array.from({ length: count }, () => one(template)));
}

async function one(template: Template): Promise<void> {
  const asked = performance.now();
  let fork: ForkedProcess;
  try {
    fork = await template.fork(null);
  } catch (error) {
    findings.failed++;
    process.stderr.write(`${String(error)}\n`);
    return;
  }
  fork.channel.on('error', () => undefined);
  const hang = setTimeout(() => {
    findings.hangs++;
    process.stderr.write(`fork ${fork.pid} hangs\n`);
    fork.kill();
  }, HANG_MS);
  fork.channel.write('?');
  // A channel that breaks ends without an answer, which says it all.
  const [answer] = await Promise.race([once(fork.channel, 'data').catch(() => []), fork.exited.then(() => [])]) as [Buffer?];
  if (answer !== undefined) {
    latencies.push(performance.now() - asked);
    note(JSON.parse(answer.toString()) as Drawn, fork.pid);
  }
  fork.channel.end();
  fork.channel.resume();
  const { code, signal } = await fork.exited;
  clearTimeout(hang);
  if (code === 0 && answer !== undefined) return;
  findings.crashes++;
  process.stderr.write(`fork ${fork.pid} ended with ${signal ?? code}, ${answer === undefined ? 'without' : 'after'} its answer\n`);
}

function note({ pid, uuids, numbers, integers }: Drawn, expected: number): void {
  if (pid !== expected) findings.crashes++;
  findings.duplicate_uuids += duplicates(seen.uuids, uuids);
  findings.duplicate_numbers += duplicates(seen.numbers, numbers);
  findings.duplicate_integers += duplicates(seen.integers, integers);
}

function duplicates(known: Set<string>, drawn: readonly string[]): number {
  const before = known.size;
  for (const each of drawn) known.add(each);
  return drawn.length - (known.size - before);
}

function settled(): Promise<unknown> {
  return new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
}

function descriptorsOf(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

function zombiesBelow(parents: readonly number[]): number {
  let count = 0;
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const stat = statOf(name);
    const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (state === 'Z' && parents.includes(Number(parent))) count++;
  }
  return count;
}

function statOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch (error) {
    // It ended between two looks.
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return '';
    throw error;
  }
}
