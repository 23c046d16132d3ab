/**
 * Warm-ups on a host that forks: they are invoked in each template of the application once, and in no instance.
 */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { newHome, startCluster, type Cluster } from '../support/cluster';
import { eventually } from '../support/eventually';

const INSTANCES = 3;

describe('warm-ups on a host that forks', () => {
  let cluster: Cluster;
  let directory: string;
  before(async () => {
    const home = newHome();
    directory = path.join(home, 'asked');
    mkdirSync(directory);
    cluster = await startCluster({
      application: 'fork-app',
      workers: 1,
      home,
      carton: { launcher: 'fork', snapshot: { build: false, warmUps: [{ function: 'note', args: ['warm-up'] }] } },
      environment: { FORK_APP_DIRECTORY: directory },
    });
  });
  after(() => cluster.stop());

  const warmed = (): number[] => readFileSync(path.join(directory, 'notes'), 'utf8').split('\n').filter((line) => line.startsWith('warm-up ')).map((line) => Number(line.split(' ')[1]));

  /** Each instance says whose fork it is. */
  async function parents(): Promise<number[]> {
    const found: number[] = [];
    for (let i = 0; i < INSTANCES; i += 1) {
      // One that is killed while its end is not known yet takes a request along.
      const look = await eventually('an answer', async () => {
        const answer = await cluster.invoke('look');
        return answer.status === 200 && answer.json<{ pid: number; parent: number; isForked: boolean }>();
      });
      assert.ok(look.isForked);
      assert.equal((await cluster.invoke('note', ['called'])).status, 200);
      found.push(look.parent);
      for (const { pid } of cluster.instances()) await cluster.kill(pid);
      await eventually('their end', () => cluster.instances().length === 0);
    }
    return [...new Set(found)];
  }

  it('are invoked once, in the template, and in none of its instances', async () => {
    const [template, ...others] = await parents();
    assert.deepEqual(others, []);
    assert.deepEqual(warmed(), [template]);
  });

  it('are invoked once again in the template that comes after it', async () => {
    const [first] = warmed() as [number];
    await cluster.kill(first);
    const next = await parents();
    assert.equal(next.length, 1);
    assert.deepEqual(warmed(), [first, ...next]);
  });
});
