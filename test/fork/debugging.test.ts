/**
 * What the guide to forks says of debugging holds in an instance that was forked: heap snapshots, profiles, a debugger,
 * reports, SIGUSR1; and an inspector flag means processes of their own.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { startCluster, type Cluster } from '../support/cluster';
import { isRunning } from '../support/processes';

interface Look {
  readonly pid: number;
  readonly isForked: boolean;
}

async function ask<T>(cluster: Cluster, name: string, args: unknown[] = []): Promise<T> {
  const answer = await cluster.invoke(name, args);
  assert.equal(answer.status, 200, answer.text);
  return answer.json<T>();
}

describe('debugging a fork', () => {
  let cluster: Cluster;
  const debug = <T>(what: string, ...args: unknown[]): Promise<T> => ask<T>(cluster, 'debug', [what, ...args]);

  before(async () => {
    cluster = await startCluster({ application: 'fork-app', workers: 1, carton: { launcher: 'fork' } });
    assert.ok((await ask<Look>(cluster, 'look')).isForked);
  });
  // Which says as well that a fork with a debugger ends as any other.
  after(() => cluster.stop());

  it('writes a heap snapshot', async () => {
    const file = cluster.file('forked.heapsnapshot');
    assert.equal(await debug('heapFile', file), file);
    const { snapshot, nodes } = JSON.parse(readFileSync(file, 'utf8')) as { snapshot: { node_count: number }; nodes: number[] };
    assert.ok(snapshot.node_count > 0 && nodes.length > 0);
  });

  it('streams a heap snapshot', async () => {
    const keys = await debug<string[]>('heapStream');
    assert.ok(keys.includes('nodes') && keys.includes('strings'), String(keys));
  });

  it('makes a CPU profile, with the functions that ran', async () => {
    assert.ok((await debug<string[]>('cpuProfile')).includes('busy'));
  });

  it('makes a sampling heap profile', async () => {
    assert.ok(await debug<number>('heapProfile') > 0);
  });

  it('makes a diagnostic report of itself', async () => {
    assert.ok(cluster.instances('debug').map(({ pid }) => pid).includes(await debug<number>('report')));
  });

  it('does nothing at SIGUSR1', async () => {
    const [instance] = cluster.instances('debug');
    assert.ok(instance !== undefined);
    process.kill(instance.pid, 'SIGUSR1');
    assert.equal(await debug('url'), null);
    assert.equal(await debug('report'), instance.pid);
    assert.ok(isRunning(instance.pid));
  });

  it('opens a debugger, which answers, closes, and opens again', async () => {
    for (let round = 0; round < 2; round += 1) {
      const { host, pathname } = new URL(await debug<string>('open'));
      const listed = await (await fetch(`http://${host}/json/list`)).json() as { id: string; type: string }[];
      assert.deepEqual(listed.map(({ id, type }) => [id, type]), [[path.basename(pathname), 'node']]);
      assert.equal(await debug('close'), null);
    }
    await debug('open');
  });
});

describe('an inspector flag in carton.execArgv', () => {
  it('means spawned instances, with a debugger each, and the log says why', async () => {
    const cluster = await startCluster({ application: 'fork-app', workers: 1, carton: { execArgv: ['--inspect=127.0.0.1:0'] } });
    try {
      assert.equal((await ask<Look>(cluster, 'look')).isForked, false);
      const { host } = new URL(await ask<string>(cluster, 'debug', ['url']));
      assert.equal((await fetch(`http://${host}/json/list`)).status, 200);
      assert.match(cluster.logs, /instances are spawned, not forked: carton\.execArgv asks for the inspector/);
      assert.deepEqual(cluster.processes().filter(({ kind }) => kind === 'template'), []);
    } finally {
      await cluster.stop();
    }
  });

  it('stops the boot of a host that is to fork', async () => {
    await assert.rejects(startCluster({ application: 'fork-app', workers: 1, carton: { launcher: 'fork', execArgv: ['--inspect=127.0.0.1:0'] } }),
      /CARTON_FORK_UNAVAILABLE.*carton\.execArgv asks for the inspector/s);
  });
});
