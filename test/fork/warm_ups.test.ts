/**
 * Warm-ups on a host that forks: they are invoked in the template of the application that stays, and in the one fork
 * that it studies, and in no instance.
 */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { newHome, startCluster, type Cluster } from '../support/cluster';
import { eventually } from '../support/eventually';
import { isRunning } from '../support/processes';

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

  interface Look {
    readonly pid: number;
    readonly parent: number;
    readonly isForked: boolean;
  }

  /** Each instance says who and whose fork it is. */
  async function looks(): Promise<Look[]> {
    await cluster.prepared();
    const found: Look[] = [];
    for (let i = 0; i < INSTANCES; i += 1) {
      // One that is killed while its end is not known yet takes a request along.
      const look = await eventually('an answer', async () => {
        const answer = await cluster.invoke('look');
        return answer.status === 200 && answer.json<Look>();
      });
      assert.ok(look.isForked);
      assert.equal((await cluster.invoke('note', ['called'])).status, 200);
      found.push(look);
      for (const { pid } of cluster.instances()) await cluster.kill(pid);
      await eventually('their end', () => cluster.instances().length === 0);
    }
    return found;
  }

  /** The one template of all these. */
  function templateOf(found: readonly Look[]): number {
    const [template, ...others] = [...new Set(found.map(({ parent }) => parent))];
    assert.deepEqual(others, []);
    return template as number;
  }

  it('are invoked in the template and in the fork that it studies, and in none of its instances', async () => {
    const found = await looks();
    const template = templateOf(found);
    const [first, studied, ...others] = [...new Set(warmed())];
    assert.deepEqual([first, others], [template, []]);
    assert.ok(studied !== undefined && found.every(({ pid }) => pid !== studied));
  });

  it('are invoked again in the template that comes after it', async () => {
    const before = [...new Set(warmed())];
    await cluster.kill(before[0] as number);
    await eventually('its end', () => !isRunning(before[0] as number));
    const template = templateOf(await looks());
    assert.deepEqual([...new Set(warmed())].slice(0, 3), [...before, template]);
  });
});
