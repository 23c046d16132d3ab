/**
 * The scheduler as a whole: what workers, instances and time make it do. Instances are scripted, sockets are real.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { hostProcessOf } from '../../lib/support/host_process';
import { METHOD } from '../../lib/protocol/control';
import { CartonError, toWire } from '../../lib/support/errors';
import { eventually } from '../support/eventually';
import { group, orphan, revisionOf, ScriptedHost, ScriptedWorker, type ScriptedInstance } from './scripted';

const one = { group: 'a', waiting: 1, inflight: 0 };

describe('the scheduler', () => {
  let host: ScriptedHost;
  let worker: ScriptedWorker;
  afterEach(() => host.remove());

  async function start(config: ConstructorParameters<typeof ScriptedHost>[0] = {}, groups = [group('a'), group('b')]): Promise<void> {
    host = new ScriptedHost(config);
    host.revision = revisionOf(groups);
    await host.scheduler.start();
    worker = await new ScriptedWorker().connect(host.scheduler.directory);
    await eventually('the specs', () => worker.told.some(({ method }) => method === METHOD.specs));
  }

  /** The instance that was launched as the nth, told whom it serves. */
  const nth = (n: number): Promise<ScriptedInstance> => eventually(`launch ${n}`, () => (host.launcher.launched[n - 1]?.boot === undefined ? undefined : host.launcher.launched[n - 1]));

  async function stop(): Promise<void> {
    const closed = host.scheduler.close();
    for (const instance of host.launcher.launched) instance.exit(0);
    await closed;
  }

  it('launches one for those that wait, however often it is told of them', async () => {
    await start();
    for (const waiting of [1, 5, 9]) worker.demand({ group: 'a', waiting, inflight: 0 });
    const first = await nth(1);
    assert.equal(first.boot?.group.key, 'a');
    worker.demand({ group: 'a', waiting: 10, inflight: 0 });
    worker.demand({ group: 'b', waiting: 1, inflight: 0 });
    assert.equal((await nth(2)).boot?.group.key, 'b');
    assert.equal(host.launcher.launched.length, 2);
    await stop();
  });

  it('adds up the demand of its workers, and forgets a worker\'s that is gone', async () => {
    await start();
    const other = await new ScriptedWorker().connect(host.scheduler.directory);
    worker.demand({ group: 'a', waiting: 10, inflight: 0 });
    other.demand({ group: 'a', waiting: 10, inflight: 0 });
    await nth(2);
    other.session?.close();
    await eventually('the news of it', () => worker.told.filter(({ method }) => method === METHOD.specs).at(-1)?.message['workers'] === 1);
    assert.equal(host.launcher.launched.length, 2);
    await stop();
  });

  it('guarantee 2: tells workers of an instance only while it is ready', async () => {
    await start();
    worker.demand(one);
    const instance = await nth(1);
    assert.deepEqual(worker.instancesOf('a'), []);
    instance.ready();
    await eventually('the news of it', () => worker.instancesOf('a').length === 1);
    instance.exit(1);
    await eventually('the news of its end', () => worker.instancesOf('a').length === 0);
    await stop();
  });

  it('guarantee 1: reclaims what is idle as soon as its time has passed', async () => {
    await start({}, [group('a', { idleTimeoutMs: 1000 })]);
    worker.demand(one);
    const instance = await nth(1);
    instance.ready();
    worker.demand({ group: 'a', waiting: 0, inflight: 1 });
    instance.send(METHOD.load, { inflight: 1, served: 1 });
    worker.demand({ group: 'a', waiting: 0, inflight: 0 });
    instance.send(METHOD.load, { inflight: 0, served: 1 });
    await eventually('the drain', () => {
      // Time passes only here; that it must be enough is the point.
      host.clock.advance(500);
      return instance.events.includes(METHOD.drain);
    });
    instance.exit(0);
    await stop();
  });

  it('refuses those that wait once a boot has failed, and hears of the next only after the back-off', async () => {
    await start();
    worker.demand(one);
    const instance = await nth(1);
    instance.send(METHOD.failed, { error: toWire(new CartonError('CARTON_INSTANCE_LAUNCH_FAILED', { got: 'a typo' })) });
    instance.exit(1);
    await eventually('the refusals', () => worker.refusals().length === 2);
    assert.deepEqual(worker.refusals(), ['CARTON_INSTANCE_LAUNCH_FAILED', 'CARTON_INSTANCE_BACKING_OFF']);
    worker.demand(one);
    await eventually('another refusal', () => worker.refusals().length === 3);
    assert.equal(host.launcher.launched.length, 1);
    worker.demand(one);
    host.clock.advance(1_000);
    worker.demand(one);
    await nth(2);
    await stop();
  });

  it('refuses those that wait where no process can be made', async () => {
    await start();
    host.launcher.failure = new Error('EAGAIN');
    worker.demand(one);
    await eventually('the refusal', () => worker.refusals().includes('CARTON_INSTANCE_LAUNCH_FAILED'));
    await stop();
  });

  it('ends a launch that takes too long', async () => {
    await start({ launchTimeoutMs: 5_000 });
    worker.demand(one);
    const instance = await nth(1);
    host.clock.advance(4_999);
    assert.ok(!instance.killed);
    host.clock.advance(1);
    assert.ok(instance.killed);
    await eventually('the refusal', () => worker.refusals().includes('CARTON_INSTANCE_LAUNCH_TIMEOUT'));
    await stop();
  });

  it('does not time the channel itself: a process may take to answer as long as a launch may', async () => {
    await start({ launchTimeoutMs: 60_000 });
    worker.demand(one);
    const instance = await nth(1);
    host.clock.advance(59_000);
    instance.ready();
    await eventually('the news of it', () => worker.instancesOf('a').length === 1);
    await stop();
  });

  it('ends an instance that a worker found unresponsive', async () => {
    await start();
    worker.demand(one);
    const instance = await nth(1);
    instance.ready();
    const [id] = await eventually('the news of it', () => (worker.instancesOf('a').length === 1 ? worker.instancesOf('a') : undefined));
    worker.session?.event(METHOD.lost, Buffer.from(JSON.stringify({ id, reason: 'unresponsive' })));
    await eventually('its end', () => instance.killed && worker.instancesOf('a').length === 0);
    await stop();
  });

  it('closes the session of an instance that does not keep to the protocol, and of nobody else', async () => {
    await start();
    worker.demand(one);
    const instance = await nth(1);
    instance.send(99, {});
    await eventually('its end', () => instance.session?.isClosed);
    // It has two seconds to end by itself.
    host.clock.advance(2_000);
    assert.ok(instance.killed);
    assert.equal(worker.session?.isClosed, false);
    await stop();
  });

  it('guarantee 3: adopts the instances of a former agent before it serves a worker', async () => {
    host = new ScriptedHost();
    const { directory } = host.scheduler;
    directory.create();
    directory.nextEpoch();
    const left = await orphan(directory, { id: '1-1', group: 'a', revision: 'r1' });
    await host.scheduler.start();
    worker = await new ScriptedWorker().connect(directory);
    const specs = await eventually('the specs', () => worker.told.find(({ method }) => method === METHOD.specs));
    assert.deepEqual((specs.message['instances'] as { group: string; instances: { id: string }[] }[]).map((entry) => [entry.group, entry.instances.map(({ id }) => id)]), [['a', ['1-1']]]);
    assert.equal(specs.message['epoch'], 2);
    const closed = host.scheduler.close();
    await eventually('the drain', () => left.events.includes(METHOD.drain));
    await left.end();
    await closed;
  });

  it('drains an adopted instance of another revision', async () => {
    host = new ScriptedHost();
    const { directory } = host.scheduler;
    directory.create();
    directory.nextEpoch();
    const left = await orphan(directory, { id: '1-1', group: 'a', revision: 'r0' });
    await host.scheduler.start();
    await eventually('the drain', () => left.events.includes(METHOD.drain));
    await left.end();
    await host.scheduler.close();
  });

  it('adopts what became ready only after the new agent came, and ends what never did', async () => {
    host = new ScriptedHost({ agentGraceMs: 5_000, drainTimeoutMs: 1_000 });
    const { directory } = host.scheduler;
    directory.create();
    directory.nextEpoch();
    const hung = spawn('sleep', ['1000'], { detached: true, stdio: 'ignore' });
    await once(hung, 'spawn');
    directory.noteProcess('1-2', hostProcessOf(hung.pid as number));
    await host.scheduler.start();
    const late = await orphan(directory, { id: '1-1', group: 'a', revision: 'r1' });
    host.clock.advance(500);
    await eventually('the adoption', () => host.log.some((line) => line.includes('adopted instance 1-1')));
    host.clock.advance(6_500);
    await once(hung, 'exit');
    assert.ok(!directory.notedProcesses().has('1-2'));
    assert.deepEqual(late.events, []);
    const closed = host.scheduler.close();
    await late.end();
    await closed;
  });

  it('guarantee 4: close drains all, ends those that do not finish in time, and removes the directory', async () => {
    await start({ drainTimeoutMs: 3_000 });
    worker.demand({ group: 'a', waiting: 20, inflight: 0 });
    const [quick, stuck] = [await nth(1), await nth(2)];
    quick.ready();
    stuck.ready();
    await eventually('both', () => worker.instancesOf('a').length === 2);
    worker.demand({ group: 'b', waiting: 1, inflight: 0 });
    const booting = await nth(3);
    const closed = host.scheduler.close();
    assert.ok(booting.killed, 'one that has begun nothing has nothing to finish');
    await eventually('the drains', () => quick.events.includes(METHOD.drain) && stuck.events.includes(METHOD.drain));
    quick.exit(0);
    host.clock.advance(3_000);
    assert.ok(stuck.killed);
    await closed;
    assert.ok(host.launcher.closed);
    assert.ok(!existsSync(host.scheduler.directory.path));
    assert.deepEqual(readdirSync(host.root), []);
  });

  it('waits for a launch that is under way when it is closed', async () => {
    await start();
    worker.demand(one);
    await eventually('a launch', () => host.launcher.launched.length === 1 || undefined);
    await host.scheduler.close();
    assert.ok(host.launcher.launched.every(({ killed }) => killed));
  });

  it('leaves no timer once it is closed, and does nothing any more', async () => {
    await start({}, [group('a', { minInstances: 1 })]);
    const instance = await nth(1);
    instance.ready();
    await eventually('the news of it', () => worker.instancesOf('a').length === 1);
    await stop();
    // A worker's session lets its socket linger for a second.
    host.clock.advance(10_000);
    assert.equal(host.clock.pending, 0);
    assert.equal(host.launcher.launched.length, 1);
  });

  it('ends everything at once when its host has gone', async () => {
    const process = spawn('sleep', ['1000'], { stdio: 'ignore' });
    await once(process, 'spawn');
    host = new ScriptedHost({}, hostProcessOf(process.pid as number));
    await host.scheduler.start();
    worker = await new ScriptedWorker().connect(host.scheduler.directory);
    worker.demand(one);
    const instance = await nth(1);
    instance.ready();
    await eventually('the news of it', () => worker.instancesOf('a').length === 1);
    process.kill('SIGKILL');
    await once(process, 'exit');
    host.clock.advance(500);
    assert.ok(instance.killed);
    assert.ok(!instance.events.includes(METHOD.drain));
    await host.scheduler.close();
  });

  it('does not start, and leaves nothing, where its directory is of no use', async () => {
    host = new ScriptedHost({ directory: '/dev/null/sockets' });
    await assert.rejects(host.scheduler.start(), { code: 'CARTON_HOST_DIRECTORY_UNSAFE' });
    await host.scheduler.close();
  });
});
