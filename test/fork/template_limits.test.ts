/**
 * Many forks, and limits of descriptors and processes: nothing leaks, and what is refused works again later.
 */
import assert from 'node:assert/strict';
import { execFileSync, fork as forkNode, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { held } from '../../lib/fork/children';
import { Template, type ForkedProcess } from '../../lib/fork/template';
import { ROOT } from '../support/cluster';
import { eventually } from '../support/eventually';
import { descriptorsOf, isRunning, zombiesBelow } from '../support/processes';
import type { Forks, Tree } from './programs/tree_host';

const program = path.join(__dirname, 'programs/tree.js');
const entry = path.join(ROOT, 'lib/entry/template_process.js');

describe('many forks of a template', () => {
  let root: Template;
  let derived: Template;
  before(async () => {
    root = await Template.start({ entry, program, argument: {} });
    derived = await root.derive({ program, argument: {} });
    await ended(await talking());
  });
  after(async () => {
    derived.close();
    root.close();
    await eventually('the end of both', () => !isRunning(derived.pid) && !isRunning(root.pid));
  });

  async function talking(): Promise<ForkedProcess> {
    const forked = await derived.fork({});
    forked.channel.on('error', () => undefined);
    const [said] = await once(forked.channel, 'data') as [Buffer];
    assert.equal((JSON.parse(said.toString()) as { pid: number }).pid, forked.pid);
    return forked;
  }
  async function ended(forked: ForkedProcess): Promise<void> {
    forked.channel.write('exit 0');
    assert.deepEqual(await forked.exited, { code: 0, signal: null });
  }
  const zombies = (): number[] => [process.pid, root.pid, derived.pid].flatMap(zombiesBelow);
  const open = (): number[] => [process.pid, root.pid, derived.pid].map(descriptorsOf);

  for (const [title, make] of [
    ['300 in a row', async () => {
      for (let i = 0; i < 300; i++) await ended(await talking());
    }],
    ['200 at once', async () => {
      await Promise.all((await Promise.all(Array.from({ length: 200 }, talking))).map(ended));
    }],
  ] as const) {
    it(`leave no descriptor, no zombie and nothing in memory: ${title}`, async () => {
      const before = open();
      // Hosts that other tests have killed left their roots to this process.
      const known = zombies();
      await make();
      await eventually('no descriptor left', () => open().every((count, index) => count <= (before[index] as number)), { seen: open });
      assert.deepEqual(zombies().filter((pid) => !known.includes(pid)), []);
      await eventually('nothing held', () => held().early === 0 && held().waiting === 1, { seen: held });
    });
  }

  it('hold no descriptors but their standard ones, their channel and what Node opens', async () => {
    const forked = await talking();
    // Loop, wake-up, signals; the lifeline and the channel. Nothing of a control socket, nothing of other forks.
    const other = await talking();
    assert.equal(descriptorsOf(forked.pid), descriptorsOf(other.pid));
    await Promise.all([ended(forked), ended(other)]);
  });
});

describe('a host or template at a limit', () => {
  let host: ChildProcess;
  let tree: Tree;
  beforeEach(async () => {
    host = forkNode(path.join(__dirname, 'programs/tree_host.js'), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    [tree] = await once(host, 'message') as [Tree];
  });
  afterEach(async () => {
    host.kill('SIGKILL');
    await eventually('the end of all', () => [host.pid as number, tree.root, tree.derived].every((pid) => !isRunning(pid)));
  });

  async function forks(count: number): Promise<Forks> {
    host.send({ fork: Array.from({ length: count }, () => ({})) });
    const [all] = await once(host, 'message') as [Forks];
    return all;
  }
  const codes = (all: Forks): (string | undefined)[] => all.filter((each) => 'code' in each).map((each) => each.code);
  const limit = (pid: number, value: string): void => void execFileSync('prlimit', ['--pid', String(pid), value]);

  for (const [which, pidOf] of [['the host', () => host.pid as number], ['a template', () => tree.derived]] as const) {
    it(`forks fail with CARTON_FORK_FAILED while ${which} has no descriptor left, and work again afterwards`, async () => {
      assert.deepEqual(codes(await forks(1)), []);
      const pid = pidOf();
      const [, soft] = /Max open files +(\d+)/.exec(readFileSync(`/proc/${pid}/limits`, 'utf8')) as unknown as [string, string];
      limit(pid, `--nofile=${lowestFree(pid)}:`);
      const failed = await forks(40);
      assert.ok(codes(failed).length > 0 && codes(failed).every((code) => code === 'CARTON_FORK_FAILED'), JSON.stringify(failed));
      limit(pid, `--nofile=${soft}:`);
      assert.deepEqual(codes(await forks(40)), []);
    });
  }

  it('forks fail with CARTON_FORK_FAILED while no process is allowed, and work again afterwards', async () => {
    const lift = forbidProcesses(tree.derived);
    try {
      assert.deepEqual(codes(await forks(3)), Array.from({ length: 3 }, () => 'CARTON_FORK_FAILED'));
    } finally {
      lift();
    }
    assert.deepEqual(codes(await forks(3)), []);
  });
});

/** The limit is one of numbers, and among those in use there may be gaps. */
function lowestFree(pid: number): number {
  const used = new Set(readdirSync(`/proc/${pid}/fd`).map(Number));
  for (let fd = 0; ; fd++) if (!used.has(fd)) return fd;
}

/** By a group's limit of processes for root, whom RLIMIT_NPROC does not bind. */
function forbidProcesses(pid: number): () => void {
  if (process.getuid?.() !== 0) {
    execFileSync('prlimit', ['--pid', String(pid), '--nproc=1:']);
    return () => void execFileSync('prlimit', ['--pid', String(pid), '--nproc=unlimited:']);
  }
  const base = existsSync('/sys/fs/cgroup/pids') ? '/sys/fs/cgroup/pids' : '/sys/fs/cgroup';
  const home = path.join(base, readFileSync(`/proc/${pid}/cgroup`, 'utf8').split('\n').map((line) => line.split(':')).find(([, name]) => name === 'pids' || name === '')?.[2] ?? '/');
  const group = path.join(base, `carton-test-${pid}`);
  if (base === '/sys/fs/cgroup') writeFileSync(path.join(base, 'cgroup.subtree_control'), '+pids');
  mkdirSync(group);
  writeFileSync(path.join(group, 'cgroup.procs'), String(pid));
  writeFileSync(path.join(group, 'pids.max'), '1');
  return () => {
    writeFileSync(path.join(group, 'pids.max'), 'max');
    writeFileSync(path.join(home, 'cgroup.procs'), String(pid));
    rmdirSync(group);
  };
}
