/**
 * A template on a host that cannot fork for a while, for want of descriptors: who needs a new instance is told so,
 * instances that live serve on, and it forks again as soon as it can.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { newHome, startCluster, type Cluster } from '../support/cluster';
import { eventually } from '../support/eventually';

interface Look {
  readonly pid: number;
  readonly parent: number;
  readonly isForked: boolean;
}

for (const launcher of ['fork', 'auto'] as const) {
  describe(`a template without descriptors, with the launcher "${launcher}"`, () => {
    let cluster: Cluster;
    before(async () => {
      const home = newHome();
      mkdirSync(path.join(home, 'asked'));
      cluster = await startCluster({ application: 'fork-app', workers: 1, home, carton: { launcher, forksAhead: 0 }, environment: { FORK_APP_DIRECTORY: path.join(home, 'asked') } });
    });
    after(() => cluster.stop());

    const note = (): Promise<{ status: number; code: string | undefined; text: string }> => cluster.invoke('note', ['called']);
    async function look(): Promise<Look> {
      const answer = await cluster.invoke('look');
      assert.equal(answer.status, 200, answer.text);
      return answer.json<Look>();
    }

    it('tells callers CARTON_FORK_FAILED, leaves live instances alone, and forks again afterwards', async () => {
      assert.ok((await look()).isForked);
      await cluster.prepared({ ahead: false });
      for (const { pid } of cluster.instances()) await cluster.kill(pid);
      const live = await eventually('a fork of the template that stays', async () => {
        const answer = await cluster.invoke('look');
        return answer.status === 200 && answer.json<Look>();
      });
      // After the first launch a template collects its garbage; the answer to another one says that it has.
      assert.equal((await cluster.invoke('debug', ['url'])).status, 200);
      const lift = forbidDescriptors(live.parent);
      try {
        const failed = await note();
        assert.deepEqual([failed.status, failed.code], [503, 'CARTON_FORK_FAILED'], failed.text);
        assert.equal((await look()).pid, live.pid);
      } finally {
        lift();
      }
      // A launch that failed is tried again after a pause.
      const { text } = await eventually('an answer', async () => {
        const answer = await note();
        return answer.status === 200 && answer;
      });
      assert.match(text, /^\d+$/);
      const forked = cluster.instances('note').map(({ pid }) => readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ')[1]);
      assert.deepEqual([...new Set(forked)], [String(live.parent)]);
      assert.equal((await look()).pid, live.pid);
    });
  });
}

/** The limit is one of numbers, and among those in use there may be gaps. */
function forbidDescriptors(pid: number): () => void {
  const soft = /Max open files +(\d+)/.exec(readFileSync(`/proc/${pid}/limits`, 'utf8'))?.[1] ?? '';
  const used = new Set(readdirSync(`/proc/${pid}/fd`).map(Number));
  let lowestFree = 0;
  while (used.has(lowestFree)) lowestFree += 1;
  const limit = (value: string): void => void execFileSync('prlimit', ['--pid', String(pid), `--nofile=${value}:`]);
  limit(String(lowestFree));
  return () => limit(soft);
}
