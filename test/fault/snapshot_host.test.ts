/**
 * Hosts and their snapshots: a real egg-cluster that starts without one, builds it in the background, uses it from then
 * on, and goes on serving whatever becomes of it.
 */
import assert from 'node:assert/strict';
import { cpSync, existsSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { currentSnapshot, openSnapshot } from '../../lib/snapshot/store';
import type { SnapshotRole } from '../../lib/snapshot/manifest';
import { FIXTURES, ROOT, startCluster, type Cluster, type ClusterOptions } from '../support/cluster';
import { eventually } from '../support/eventually';
import { newDirectory, removeDirectory } from '../snapshot/tiny_application';

const REGISTER = path.join(ROOT, 'register.js');

interface Loaded {
  readonly pid: number;
  readonly from: 'snapshot' | 'compile cache' | 'files';
}

describe('a host and its snapshots', () => {
  let directory: string;
  let snapshots: string;
  let order: string;
  let cluster: Cluster | undefined;
  beforeEach(() => {
    directory = newDirectory();
    snapshots = path.join(directory, 'snapshots');
    order = path.join(directory, 'order');
    cpSync(path.join(FIXTURES, 'snapshot-faults/host'), path.join(directory, 'app'), { recursive: true });
    symlinkSync(path.join(ROOT, 'node_modules'), path.join(directory, 'node_modules'));
  });
  afterEach(async () => {
    await cluster?.destroy();
    cluster = undefined;
    removeDirectory(directory);
  });

  async function start(over: Partial<ClusterOptions> = {}): Promise<Cluster> {
    cluster = await startCluster({
      application: path.join(directory, 'app'), workers: 1, env: 'prod', ...over,
      carton: { launcher: 'spawn', snapshot: { build: true }, ...over.carton },
      environment: { CARTON_PATH: ROOT, EGG_CARTON_SNAPSHOT_DIR: snapshots, RECORDING_ORDER: order, NODE_ENV: 'production', TMPDIR: directory },
    });
    return cluster;
  }
  async function stop(): Promise<void> {
    await cluster?.stop();
    cluster = undefined;
  }
  const loaded = async (): Promise<Loaded> => {
    const answer = await (cluster as Cluster).invoke('loaded');
    assert.equal(answer.status, 200, answer.text);
    return answer.json<Loaded>();
  };
  /** By another process than before. */
  const loadedAnew = async (): Promise<Loaded['from']> => {
    const host = cluster as Cluster;
    for (const { pid } of host.instances()) await host.kill(pid);
    // One that is killed while its end is not known yet takes the request along.
    return eventually('an answer from another instance', async () => {
      const answer = await host.invoke('loaded');
      return answer.status === 200 && answer.json<Loaded>().from;
    });
  };
  /** Each once, though Egg writes warnings to several files. */
  const lines = (pattern: RegExp): string[] => [...new Set((cluster as Cluster).logs.split('\n').filter((line) => pattern.test(line)))];
  /** Egg writes its logs once a second. */
  const told = (pattern: RegExp): Promise<unknown> => eventually(`the log to say ${String(pattern)}`, () => lines(pattern).length > 0, { seen: () => lines(/carton/) });
  const built = (role: SnapshotRole): Promise<unknown> => told(new RegExp(`built a snapshot for the role "${role}"`));
  const recordings = (): number[] => (cluster as Cluster).processes().filter(({ commandLine }) => commandLine.includes('recording_process')).map(({ pid }) => pid);

  it('serves at once without one, builds it in the background, and uses it for later instances and from the next start on', async () => {
    await start();
    assert.equal((await loaded()).from, 'compile cache');
    await built('function');
    assert.equal(await loadedAnew(), 'snapshot');
    assert.deepEqual(lines(/(?:WARN|ERROR).*carton/), []);
    await stop();
    const current = currentSnapshot(snapshots, 'function');
    await start();
    assert.equal((await loaded()).from, 'snapshot');
    assert.deepEqual(recordings(), []);
    await stop();
    assert.deepEqual(currentSnapshot(snapshots, 'function'), current);
    assert.deepEqual(readdirSync(snapshots).filter((name) => name.startsWith('.')), []);
  });

  it('serves with a damaged one, says so once, and builds another', async () => {
    await start();
    await built('function');
    await stop();
    const { path: file } = currentSnapshot(snapshots, 'function') ?? assert.fail();
    const bytes = readFileSync(file);
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] as number) ^ 1;
    writeFileSync(file, bytes);
    await start();
    assert.equal((await loaded()).from, 'compile cache');
    await built('function');
    assert.equal(lines(/functions start without a snapshot: CARTON_SNAPSHOT_DAMAGED/).length, 1);
    assert.equal(await loadedAnew(), 'snapshot');
    await stop();
  });

  it('goes on where the file of its snapshot disappears, with one word of it', async () => {
    await start();
    await built('function');
    assert.equal(await loadedAnew(), 'snapshot');
    const { path: file } = currentSnapshot(snapshots, 'function') ?? assert.fail();
    removeDirectory(file);
    assert.equal(await loadedAnew(), 'compile cache');
    assert.equal(await loadedAnew(), 'compile cache');
    await told(/functions start without a snapshot/);
    assert.equal(lines(/functions start without a snapshot/).length, 1);
    await stop();
  });

  it('serves where the recording fails, and says so once', async () => {
    writeFileSync(order, 'fail');
    await start();
    await told(/goes on without a snapshot/);
    assert.match(lines(/goes on without a snapshot/)[0] ?? '', /told to fail/);
    assert.equal(await loadedAnew(), 'compile cache');
    assert.equal(lines(/goes on without a snapshot/).length, 1);
    assert.equal(currentSnapshot(snapshots, 'function'), undefined);
    await stop();
  });

  it('leaves a file that changed while it was recorded to the disk', async () => {
    writeFileSync(order, 'edit');
    await start();
    await told(/built a snapshot for the role "function"/);
    const { manifest } = openSnapshot(currentSnapshot(snapshots, 'function') ?? assert.fail());
    assert.deepEqual(manifest.omitted.filter(({ reason }) => reason.startsWith('written while')).map(({ file }) => path.basename(file)), ['app.js']);
    assert.equal(await loadedAnew(), 'snapshot');
    await stop();
  });

  it('serves, with one word of it, where the directory cannot be made', async () => {
    writeFileSync(path.join(directory, 'file'), '');
    snapshots = path.join(directory, 'file/below');
    await start();
    await told(/goes on without a snapshot: CARTON_SNAPSHOT_NOT_WRITTEN/);
    assert.equal(await loadedAnew(), 'compile cache');
    assert.equal(lines(/WARN.*carton/).length, 1);
    await stop();
  });

  for (const how of ['hang', 'spin']) {
    it(`leaves no process behind where it stops while a recording ${how}s`, async () => {
      writeFileSync(order, how);
      await start();
      await eventually('a recording', () => recordings().length > 0);
      assert.equal((await loaded()).from, 'compile cache');
      await stop();
      assert.ok(!existsSync(path.join(snapshots, 'function.json')));
    });
  }

  it('takes a recording along with an agent that is killed; the next agent begins anew', async () => {
    writeFileSync(order, 'hang');
    await start();
    const [first] = await eventually('a recording', () => recordings().length > 0 && recordings());
    const agent = (cluster as Cluster).agent as number;
    writeFileSync(order, '');
    process.kill(agent, 'SIGKILL');
    await eventually('the end of the recording', () => !recordings().includes(first as number));
    await built('function');
    assert.equal(await loadedAnew(), 'snapshot');
    await stop();
  });

  for (const [what, over, from] of [
    ['in development', { env: 'local' }, 'files'],
    ['in unit tests', { env: 'unittest' }, 'files'],
    ['where snapshots are not enabled', { carton: { snapshot: { enable: false, build: true } } }, 'files'],
    ['where it is not to build any', { carton: { snapshot: { enable: true, build: false } } }, 'compile cache'],
  ] as const) {
    it(`neither uses nor builds one ${what}`, async () => {
      await start({ ...over, require: [REGISTER] });
      assert.equal((await loaded()).from, from);
      assert.equal((await (cluster as Cluster).request('/loaded')).json<{ served: number }>().served, 0);
      assert.deepEqual(recordings(), []);
      await stop();
      assert.ok(!existsSync(snapshots));
    });
  }

  it('has agent and workers start from their own with egg-carton/register, and from their files when those changed', async () => {
    const host = (): Cluster => cluster as Cluster;
    const answers = async (): Promise<unknown> => (await host().request('/')).json();
    const served = async (): Promise<number> => (await host().request('/loaded')).json<{ served: number }>().served;
    const agentServed = (): Promise<number> => eventually('what the agent says', () => {
      const [line] = lines(/agent registered=true/);
      return line === undefined ? undefined : Number(/served=(\d+)/.exec(line)?.[1]) + 1;
    });
    await start({ require: [REGISTER] });
    const stock = await answers();
    assert.deepEqual([await served(), await agentServed()], [0, 1]);
    await built('host');
    await built('function');
    await stop();

    await start({ require: [REGISTER] });
    assert.deepEqual(await answers(), stock);
    assert.ok(await served() > 500, `served ${await served()}`);
    assert.ok(await agentServed() > 500);
    assert.equal((await loaded()).from, 'snapshot');
    assert.doesNotMatch(host().output, /\[egg-carton\]/);
    await stop();

    const controller = path.join(directory, 'app/app/controller/home.js');
    writeFileSync(controller, readFileSync(controller, 'utf8').replace('Hello', 'Howdy'));
    await start({ require: [REGISTER] });
    assert.deepEqual(await answers(), { ...(stock as object), greeting: 'Howdy' });
    assert.equal(await served(), 0);
    // One line from the agent and one from the worker.
    assert.equal(host().output.match(/^\[egg-carton\] .*the snapshot was built for something else.*home\.js/gm)?.length, 2);
    await built('host');
    await stop();
  });
});
