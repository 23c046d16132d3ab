/**
 * Guarantees of lib/scheduler/sidecar_keeper.ts. Sidecars are scripted, time is the test's.
 */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { HostDirectory } from '../../lib/support/host_directory';
import { hostProcessOf } from '../../lib/support/host_process';
import { METHOD, type InstanceReady } from '../../lib/protocol/control';
import type { SidecarBoot } from '../../lib/protocol/sidecar';
import { listen } from '../../lib/rpc/handshake';
import { SidecarKeeper } from '../../lib/scheduler/sidecar_keeper';
import { CartonError, toWire } from '../../lib/support/errors';
import { encodeControl } from '../../lib/protocol/control';
import { eventually } from '../support/eventually';
import { FakeClock } from '../support/fake_clock';
import { isRunning } from '../support/processes';
import { ScriptedLauncher, type ScriptedInstance } from './scripted';

describe('the keeper of a sidecar', () => {
  let root: string;
  let directory: HostDirectory;
  let launcher: ScriptedLauncher;
  let clock: FakeClock;
  let keeper: SidecarKeeper;
  let lines: string[];
  let boot: SidecarBoot;
  const children: ChildProcess[] = [];

  beforeEach(() => {
    root = mkdtempSync(path.join(tmpdir(), 'ec-keeper-'));
    const hostProcess = hostProcessOf(process.pid);
    directory = new HostDirectory(root, hostProcess);
    directory.create();
    launcher = new ScriptedLauncher();
    clock = new FakeClock();
    lines = [];
    boot = {
      id: 's-1', name: 'main', hash: 'abc', held: [], hostProcess, directory: root, agentGraceMs: 1000, drainTimeoutMs: 4000,
      application: { kind: 'egg', name: 'app', baseDir: root, entry: root, options: {}, disabledPlugins: [] },
    };
    keeper = keeperOf();
  });
  afterEach(() => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
    rmSync(root, { recursive: true, force: true });
  });

  function keeperOf(): SidecarKeeper {
    const tell = (message: string | Error): void => void lines.push(String(message));
    return new SidecarKeeper({ boot, directory, launch: () => launcher.launch({} as never), launchTimeoutMs: 20_000, clock, log: { debug: tell, info: tell, warn: tell, error: tell } });
  }

  const nth = (n: number): Promise<ScriptedInstance> => eventually(`start ${n}`, () => (launcher.launched[n - 1]?.session === undefined ? undefined : launcher.launched[n - 1]));
  const ready = async (instance: ScriptedInstance): Promise<void> => {
    instance.send(METHOD.ready, { id: 's-1', pid: process.pid, group: 'main', revision: 'abc', draining: false, inflight: 0, served: 0 } satisfies InstanceReady);
    await eventually('that it serves', () => keeper.status.state === 'ready');
  };
  const ended = (instance: ScriptedInstance): Promise<unknown> => {
    instance.exit(null, 'SIGKILL');
    return eventually('the news of it', () => keeper.status.state === 'waiting');
  };

  async function close(): Promise<void> {
    const closed = keeper.close();
    // It begins with what is under way.
    await new Promise((resolve) => setImmediate(resolve));
    clock.advance(4000);
    await closed;
  }

  it('starts one, once, and says that it serves', async () => {
    keeper.start();
    keeper.start();
    const first = await nth(1);
    assert.equal(keeper.status.state, 'starting');
    await ready(first);
    assert.deepEqual([launcher.launched.length, keeper.status.restarts, keeper.status.error], [1, 0, null]);
    assert.match(lines.join('\n'), /sidecar main \(pid \d+\) serves after 0 ms/);
    await close();
    assert.equal(keeper.status.state, 'ended');
  });

  it('guarantee 2: starts another one at once, and after pauses where that goes on', async () => {
    keeper.start();
    for (const [n, pauseMs] of [0, 100, 200, 400, 800, 1600, 2000, 2000].entries()) {
      await ended(await nth(n + 1));
      if (pauseMs > 0) clock.advance(pauseMs - 1);
      assert.equal(launcher.launched.length, n + 1, `before ${pauseMs} ms`);
      clock.advance(pauseMs > 0 ? 1 : 0);
      await nth(n + 2);
    }
    assert.equal(keeper.status.restarts, 8);
    await close();
  });

  it('guarantee 2: one that lived for long is replaced at once, whatever was before', async () => {
    keeper.start();
    await ended(await nth(1));
    clock.advance(0);
    await ended(await nth(2));
    clock.advance(100);
    await ready(await nth(3));
    clock.advance(10_000);
    await ended(launcher.launched[2] as ScriptedInstance);
    clock.advance(0);
    await nth(4);
    await close();
  });

  it('tells why one does not boot, and goes on', async () => {
    keeper.start();
    const first = await nth(1);
    first.send(METHOD.failed, { error: toWire(new CartonError('CARTON_SIDECAR_BOOT_FAILED', { got: 'no database' })) });
    await eventually('the news', () => first.session !== undefined);
    await new Promise((resolve) => setImmediate(resolve));
    first.exit(1);
    await eventually('the news of its end', () => keeper.status.error?.includes('no database'));
    clock.advance(0);
    await ready(await nth(2));
    assert.equal(keeper.status.error, null);
    await close();
  });

  it('ends one that does not serve in time', async () => {
    keeper.start();
    const first = await nth(1);
    clock.advance(20_000);
    assert.equal(first.killed, true);
    await eventually('the news of it', () => keeper.status.state === 'waiting');
    clock.advance(0);
    await nth(2);
    await close();
  });

  it('tries again where no process can be made', async () => {
    launcher.failure = new CartonError('CARTON_INSTANCE_LAUNCH_FAILED', { got: 'no memory' });
    keeper.start();
    await eventually('the failure', () => keeper.status.error?.includes('no memory'));
    launcher.failure = undefined;
    clock.advance(0);
    await ready(await nth(1));
    await close();
  });

  it('guarantee 3: drains at the end, and ends what does not end by itself', async () => {
    keeper.start();
    const first = await nth(1);
    await ready(first);
    const closed = keeper.close();
    await eventually('to be drained', () => first.events.includes(METHOD.drain));
    clock.advance(3999);
    assert.equal(first.killed, false);
    clock.advance(1);
    await closed;
    assert.equal(first.killed, true);
    clock.advance(60_000);
    assert.equal(launcher.launched.length, 1);
  });

  it('retired, does not replace one that ends', async () => {
    keeper.start();
    await ready(await nth(1));
    keeper.retire();
    (launcher.launched[0] as ScriptedInstance).exit(0);
    await eventually('its end', () => keeper.status.pid === null);
    clock.advance(60_000);
    assert.equal(launcher.launched.length, 1);
    await keeper.close();
  });

  it('guarantee 3: closed while one is on its way, ends that', async () => {
    keeper.start();
    await keeper.close();
    assert.ok(launcher.launched.every(({ killed }) => killed));
  });

  describe('after a former agent', () => {
    async function leave(revision: string): Promise<{ child: ChildProcess; stop: () => void }> {
      const child = spawn('sleep', ['1000'], { detached: true });
      children.push(child);
      await once(child, 'spawn');
      directory.noteProcess('s-1', hostProcessOf(child.pid as number));
      const token = directory.token('control:s-1');
      const server = await listen(directory.instanceSocket('s-1'), (given) => (given === token ? {
        welcome: {},
        handlers: (session) => {
          child.once('exit', () => session.close());
          session.event(METHOD.ready, encodeControl({ id: 's-1', pid: child.pid, group: 'main', revision, draining: false, inflight: 0, served: 0 }));
          return { onEvent: () => undefined, onClosed: () => undefined };
        },
      } : undefined));
      return { child, stop: () => server.close() };
    }

    it('guarantee 1: takes over the one that is there', async () => {
      const { child, stop } = await leave('abc');
      keeper.start();
      await eventually('that it serves', () => keeper.status.state === 'ready');
      assert.deepEqual([keeper.status.pid, launcher.launched.length], [child.pid, 0]);
      stop();
      await close();
      assert.equal(isRunning(child.pid as number), false);
    });

    it('guarantee 1: ends one of another configuration, and starts its own', async () => {
      const { child, stop } = await leave('other');
      keeper.start();
      await nth(1);
      await eventually('its end', () => !isRunning(child.pid as number));
      stop();
      await close();
    });

    it('guarantee 1: ends one that does not answer, and starts another', async () => {
      const { child, stop } = await leave('abc');
      stop();
      keeper.start();
      await nth(1);
      await eventually('its end', () => !isRunning(child.pid as number));
      await close();
    });
  });
});
