/**
 * Who ends, and who lives on, when processes of a tree are killed: templates, their host, several at once.
 */
import assert from 'node:assert/strict';
import { fork as forkNode, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { eventually } from '../support/eventually';
import { isRunning } from '../support/processes';
import type { Conduct } from './programs/tree';
import type { Forks, Tree } from './programs/tree_host';

type Named = 'host' | 'root' | 'derived';

describe('a tree of templates', () => {
  let host: ChildProcess;
  let started: number[];
  beforeEach(() => {
    host = forkNode(path.join(__dirname, 'programs/tree_host.js'), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    started = [host.pid as number];
  });
  afterEach(async () => {
    for (const pid of started) if (isRunning(pid)) process.kill(pid, 'SIGKILL');
    for (const pid of started) await eventually(`the end of ${pid}`, () => !isRunning(pid));
  });

  async function growing(...conducts: Conduct[]): Promise<{ pids: Record<Named, number>; forks: { pid: number; other?: number }[] }> {
    const [tree] = await once(host, 'message') as [Tree];
    started.push(tree.root, tree.derived);
    host.send({ fork: conducts.map((conduct) => ({ conduct })) });
    const [forks] = await once(host, 'message') as [Forks];
    const made = forks.map((each) => {
      assert.ok('pid' in each, JSON.stringify(each));
      started.push(each.pid, ...(each.other === undefined ? [] : [each.other]));
      return each;
    });
    return { pids: { host: host.pid as number, ...tree }, forks: made };
  }

  const ORDERS: Named[][] = [['host'], ['root', 'host'], ['host', 'root'], ['derived', 'host'], ['host', 'derived'], ['root', 'derived', 'host'], ['derived', 'root', 'host'], ['host', 'root', 'derived']];
  for (const order of ORDERS) {
    it(`ends with its host, spinning forks too, when these are killed: ${order.join(', ')}`, async () => {
      const { pids } = await growing('talks', 'spins', 'talks', 'spins');
      for (const name of order) process.kill(pids[name], 'SIGKILL');
      await eventually('the end of all', () => started.every((pid) => !isRunning(pid)), { seen: () => started.filter(isRunning) });
    });
  }

  it('ends with its host when its templates were killed and their ends were seen long before', async () => {
    const { pids, forks } = await growing('spins', 'talks');
    for (const name of ['derived', 'root'] as const) {
      process.kill(pids[name], 'SIGKILL');
      await eventually('its end', () => !isRunning(pids[name]));
    }
    assert.ok(forks.every(({ pid }) => isRunning(pid)));
    process.kill(pids.host, 'SIGKILL');
    await eventually('the end of all', () => started.every((pid) => !isRunning(pid)), { seen: () => started.filter(isRunning) });
  });

  it('ends with its host what its forks started in sessions of their own', async () => {
    const { pids, forks } = await growing('starts another');
    assert.ok(isRunning(forks[0]?.other as number));
    process.kill(pids.host, 'SIGKILL');
    await eventually('the end of all', () => started.every((pid) => !isRunning(pid)), { seen: () => started.filter(isRunning) });
  });

  for (const fails of ['hangs', 'spins'] as const) it(`ends a template that ${fails} in its boot, and the root with it, when the one that asked for it was killed`, async () => {
    const directory = mkdtempSync(path.join(tmpdir(), 'ec-template-'));
    const pidFile = path.join(directory, 'pid');
    // This process is the host; the one that starts templates dies before it, as an agent does.
    const agent = forkNode(path.join(__dirname, 'programs/tree_host.js'), [String(process.pid)], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    try {
      const [tree] = await once(agent, 'message') as [Tree];
      started.push(agent.pid as number, tree.root, tree.derived);
      agent.send({ derive: { fails, pidFile } });
      const pid = await eventually('its boot', () => existsSync(pidFile) && Number(readFileSync(pidFile)));
      started.push(pid);
      const left = [agent.pid as number, tree.derived, pid, tree.root];
      agent.kill('SIGKILL');
      await eventually('the end of all', () => left.every((each) => !isRunning(each)), { seen: () => left.filter(isRunning) });
      assert.ok(isRunning(host.pid as number));
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it('loses no fork when its templates are killed', async () => {
    const { pids, forks } = await growing('talks', 'spins');
    process.kill(pids.root, 'SIGKILL');
    process.kill(pids.derived, 'SIGKILL');
    await eventually('their ends', () => !isRunning(pids.root) && !isRunning(pids.derived));
    // A new tree beside what is left of the old one.
    host.send({ start: true });
    const [tree] = await once(host, 'message') as [Tree];
    started.push(tree.root, tree.derived);
    assert.ok(forks.every(({ pid }) => isRunning(pid)));
  });
});
