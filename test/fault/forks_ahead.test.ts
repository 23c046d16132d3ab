/**
 * Forks ahead of time on a whole host: they become the instances that requests start, and whatever becomes of them
 * requests are served.
 */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { newHome, ROOT, startCluster, type Cluster } from '../support/cluster';
import { eventually } from '../support/eventually';

interface Look {
  readonly pid: number;
  readonly isForked: boolean;
}

const waiting = (cluster: Cluster, ...not: number[]): Promise<number> =>
  eventually('a fork that waits', () => cluster.processes().find(({ pid, commandLine }) => commandLine.startsWith('egg-carton: fork ahead of time') && !not.includes(pid))?.pid, { seen: () => cluster.processes() });

/** One that is killed while its end is not known yet takes a request along. */
const look = (cluster: Cluster, name = 'look'): Promise<Look> =>
  eventually('an answer', async () => {
    const answer = await cluster.invoke(name);
    return answer.status === 200 && answer.json<Look>();
  });

async function anew(cluster: Cluster): Promise<void> {
  for (const { pid } of cluster.instances()) await cluster.kill(pid);
  await eventually('their end', () => cluster.instances().length === 0);
}

describe('a host with forks ahead of time', () => {
  let cluster: Cluster;
  beforeEach(async () => {
    cluster = await startCluster({ application: 'template-app', workers: 1, carton: { launcher: 'fork' } });
    assert.ok((await look(cluster)).isForked);
  });
  // It asserts that no process is left.
  afterEach(() => cluster.stop());

  it('serves a cold request by the very process that waited, and has another one wait', async () => {
    // While the first template gives way to a whole one, what waits may go with it.
    const served = await eventually('a request that is served by one that waited', async () => {
      const pid = await waiting(cluster);
      await anew(cluster);
      return (await look(cluster)).pid === pid && pid;
    });
    assert.notEqual(await waiting(cluster, served), served);
    assert.equal((await look(cluster)).pid, served);
  });

  it('serves the next request where the one that waited was killed, and has another one wait', async () => {
    const killed = await waiting(cluster);
    await anew(cluster);
    process.kill(killed, 'SIGKILL');
    const answer = await cluster.invoke('look');
    assert.equal(answer.status, 200, answer.text);
    assert.notEqual(answer.json<Look>().pid, killed);
    assert.ok(answer.json<Look>().isForked);
    await waiting(cluster, killed);
  });
});

/** An application with one group of functions whose names alone are more than a frame holds. */
function wideApplication(directory: string): void {
  const names = Array.from({ length: 300 }, (_, index) => `${'f'.repeat(100)}${index}`);
  const files: Record<string, string> = {
    'package.json': JSON.stringify({ name: 'wide-app', version: '1.0.0' }),
    'config/config.default.js': `exports.keys = 'wide'; exports.security = { csrf: false };`,
    'config/plugin.js': `exports.carton = { enable: true, path: ${JSON.stringify(ROOT)} };`,
    'config/function.js': `module.exports = ${JSON.stringify(Object.fromEntries(['look', ...names].map((name) => [`wide.${name}`, { group: 'wide' }])))};`,
    'app/function/wide.js': `const look = async () => ({ pid: process.pid, isForked: /template_process\\.js$/.test(process.argv[1]) });\n`
      + ['look', ...names].map((name) => `exports.${name} = ${name === 'look' ? '' : 'async () => '}look;\n`).join(''),
  };
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(directory, name)), { recursive: true });
    writeFileSync(path.join(directory, name), text);
  }
}

describe('a group whose boot is larger than what goes with a fork', () => {
  it('is served by a fork, too', async () => {
    const home = newHome();
    const application = path.join(home, 'wide-app');
    wideApplication(application);
    const cluster = await startCluster({ application, workers: 1, home, carton: { launcher: 'fork' } });
    try {
      assert.ok((await look(cluster, 'wide.look')).isForked);
    } finally {
      await cluster.stop();
    }
  });
});
