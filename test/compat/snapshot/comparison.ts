/**
 * Runs one application of the comparison: copies it, lets one process record its loading, one load it as stock Node and
 * Egg do, and one from the recording. Runs in mocha's process; each boot is a process of its own.
 *
 * A copy is what the three processes share, so that their paths are the same. In it, directories that git would not take
 * under their names have got them (`_node_modules`), and what stands in `_later` has been copied over the application
 * between the recording and the two boots that are compared.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import type { SnapshotRole } from '../../../lib/snapshot/manifest';
import type { SnapshotCase } from './cases';
import type { Order, Outcome } from './child';
import type { Json } from './describe_value';

const ROOT = path.join(__dirname, '../../..');
const FIXTURES = path.join(ROOT, 'fixtures/snapshot');
/** Not committed, and inside of the package, so that applications find its node_modules. */
const COPIES = path.join(FIXTURES, 'run');
const CHILD = path.join(__dirname, 'child.js');
/** A process that has not ended by then is stuck; a boot takes about a second. */
const CHILD_TIMEOUT_MS = 45_000;

export interface Description {
  readonly failed: boolean;
  readonly served: number;
  readonly description: Json;
}

export interface Comparison {
  /** What the processes have left, for whoever looks into a difference. */
  readonly directory: string;
  readonly recorded: Description;
  readonly stock: Description;
  readonly replayed: Description;
}

/** Names under which git would leave a directory out. */
function rename(directory: string): void {
  for (const entry of fs.readdirSync(directory, { withFileTypes: true })) {
    if (!entry.isDirectory()) continue;
    const target = path.join(directory, entry.name.replace(/^_node_modules$/, 'node_modules'));
    if (target !== path.join(directory, entry.name)) fs.renameSync(path.join(directory, entry.name), target);
    rename(target);
  }
}

/** Lines that a process has written, without what no two processes share: times, process ids, durations, frames of others. */
function plainLines(output: string, directory: string): string[] {
  return output
    .replace(/\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d[.,]\d{3}Z?/g, '<time>')
    .replace(/[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} [\d:]{8} GMT/g, '<time>')
    .replace(/(<time> [A-Z]+) \d+/g, '$1 <pid>')
    .replace(/\(node:\d+\)/g, '(node)')
    .replace(/\bpid: \d+/g, 'pid: <pid>')
    .replace(/\b\d+(?:\.\d+)?m?s\b/g, '<duration>')
    .split('\n')
    .filter((line) => !/^\s+at /.test(line) || line.includes(directory));
}

interface Place {
  /** Everything of this comparison lies in here. */
  readonly directory: string;
  readonly baseDir: string;
}

function place({ name, application = name, baseDir = '', addon }: SnapshotCase, role: SnapshotRole): Place {
  const directory = path.join(COPIES, `${name}-${role}`);
  fs.rmSync(directory, { recursive: true, force: true });
  const copy = path.join(directory, 'copy');
  fs.cpSync(path.join(FIXTURES, application), copy, { recursive: true, verbatimSymlinks: true });
  rename(copy);
  // Without a compiler, the application does without it.
  if (addon !== undefined) spawnSync('cc', ['-shared', '-fPIC', '-o', `${addon}.node`, `${addon}.c`], { cwd: copy, stdio: 'ignore' });
  return { directory, baseDir: path.join(copy, baseDir) };
}

function change({ baseDir }: Place): void {
  const changes = path.join(baseDir, '_later');
  if (fs.existsSync(changes)) fs.cpSync(changes, baseDir, { recursive: true, verbatimSymlinks: true });
}

function environment({ variables = {} }: SnapshotCase, { directory }: Place): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(([name]) => !/^(?:EGG_|NODE_|CARTON_|npm_)/.test(name));
  // Paths in variables are relative to the copy.
  const own = Object.entries(variables).map(([name, value]) => [name, value.replaceAll('<copy>', path.join(directory, 'copy'))]);
  return { ...Object.fromEntries(inherited), EGG_SERVER_ENV: 'unittest', EGG_HOME: path.join(directory, 'home'), NO_DEPRECATION: '', ...Object.fromEntries(own) };
}

function order(one: SnapshotCase, role: SnapshotRole, { directory, baseDir }: Place): Omit<Order, 'mode' | 'reference' | 'outcome'> {
  const { framework, options = {}, agent = false, requests = [], env = 'unittest', scope = '' } = one;
  return {
    role, baseDir, options, agent, requests, env, scope,
    framework: framework === undefined ? path.join(ROOT, 'node_modules/egg') : path.join(directory, 'copy', framework),
    snapshots: path.join(directory, 'snapshots'),
  };
}

async function run(one: SnapshotCase, { directory, baseDir }: Place, asked: Order): Promise<Outcome & Description> {
  fs.mkdirSync(asked.snapshots, { recursive: true });
  const child = spawn(process.execPath, [...(one.flags ?? []), CHILD, JSON.stringify(asked)], {
    cwd: baseDir, env: environment(one, { directory, baseDir }), stdio: ['ignore', 'pipe', 'pipe'], timeout: CHILD_TIMEOUT_MS, killSignal: 'SIGKILL',
  });
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  if (!fs.existsSync(asked.outcome)) throw new Error(`the ${asked.mode} process of ${one.name} ended without an outcome (${child.exitCode ?? child.signalCode})\n${out.slice(-2000)}\n${err.slice(-4000)}`);
  const outcome = JSON.parse(fs.readFileSync(asked.outcome, 'utf8')) as Outcome;
  return { ...outcome, description: { ...outcome.description as object, out: plainLines(out, baseDir), err: plainLines(err, baseDir) } };
}

export async function compare(one: SnapshotCase, role: SnapshotRole): Promise<Comparison> {
  const at = place(one, role);
  const common = order(one, role, at);
  const boot = async (mode: Order['mode'], reference: Order['reference']) =>
    await run(one, at, { ...common, mode, reference, outcome: path.join(at.directory, `${mode}.json`) });
  const recorded = await boot('record', null);
  change(at);
  const stock = await boot('stock', null);
  const replayed = await boot('replay', recorded.reference);
  return { directory: at.directory, recorded, stock, replayed };
}
