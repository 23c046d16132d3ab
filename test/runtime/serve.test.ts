/**
 * How a process becomes an instance, seen from the agent's end of its channel: readiness, failures, and in development
 * what has gone stale. The application is a stand-in, since the runtime knows no Egg either.
 */
import assert from 'node:assert/strict';
import { connect, createServer, type Socket } from 'node:net';
import { forker } from '../../lib/fork/native';
import { decodeControl, encodeControl, METHOD, type InstanceBoot, type ProcessBoot } from '../../lib/protocol/control';
import { openSession } from '../../lib/rpc/handshake';
import type { BootedApplication } from '../../lib/runtime/application';
import { Freshness } from '../../lib/runtime/freshness';
import { serveInstance } from '../../lib/runtime/serve';
import type { FunctionSpec } from '../../lib/spec/types';
import { systemClock, type Clock } from '../../lib/support/clock';
import { Workspace } from './workspace_dir';

const TOKEN = '0'.repeat(32);
const EVENTS = new Map<number, string>([[METHOD.ready, 'ready'], [METHOD.failed, 'failed'], [METHOD.stale, 'stale']]);

/** What the agent heard, in order, and the exit code. */
interface Heard {
  readonly events: { name: string; message: Record<string, unknown> }[];
  readonly exit: Promise<number>;
}

describe('lib/runtime/serve', () => {
  let files: Workspace;
  beforeEach(() => (files = new Workspace()));
  afterEach(() => files.remove());

  const logged: unknown[] = [];
  function application(): BootedApplication {
    const line = (message: unknown): void => void logged.push(message);
    const logger = { debug: line, info: line, warn: line, error: line };
    const scope = { service: undefined, run: <T>(call: () => T): T => call() };
    return { baseDir: files.root, config: {}, logger, createScope: () => scope, reloadLogs: () => undefined, setMocks: () => undefined, close: async () => undefined };
  }

  function bootOf(): InstanceBoot {
    const spec = { name: 'hello', file: 'app/function/hello', exportName: 'default', group: 'hello' } as FunctionSpec;
    const group = { key: 'hello', functions: ['hello'], concurrency: 1, minInstances: 0, maxInstances: 1, idleTimeoutMs: 1000 };
    return {
      id: '1-1', revision: 'r', group, functions: [spec], socketPath: files.path('s'), recordPath: files.path('r'),
      callToken: TOKEN, controlToken: '1'.repeat(32), agentGraceMs: 0, drainTimeoutMs: 100, mocks: [],
    };
  }

  async function socketPair(): Promise<[Socket, Socket]> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(files.path('c'), resolve));
    const accepted = new Promise<Socket>((resolve) => server.once('connection', resolve));
    const near = connect(files.path('c'));
    const far = await accepted;
    server.close();
    return [near, far];
  }

  /** Serves on one end, and boots an instance from the other after `before`. */
  async function serve(booting: Promise<BootedApplication>, { freshness, before, clock = systemClock }: { freshness?: Freshness; before?: () => void | Promise<void>; clock?: Clock }): Promise<Heard & { drain: () => void }> {
    const [near, far] = await socketPair();
    const events: Heard['events'] = [];
    let end: (code: number) => void = () => undefined;
    const exited = new Promise<number>((resolve) => (end = resolve));
    let heardAll: () => void = () => undefined;
    const closed = new Promise<void>((resolve) => (heardAll = resolve));
    const exit = Promise.all([exited, closed]).then(([code]) => code);
    const descriptor = { kind: 'egg', name: 'app', baseDir: files.root, entry: '', options: {}, disabledPlugins: [] } as const;
    const boot: ProcessBoot = { application: descriptor, hostProcess: { pid: process.pid, startTime: '' }, development: freshness !== undefined, snapshot: null, compileCache: null };
    const instance = serveInstance({ channel: far, process: boot, application: booting, clock, freshness, onEnd: (code) => end(code) });
    await before?.();
    const readied = new Promise<void>((resolve) => {
      void openSession(near, TOKEN, (session) => {
        session.event(METHOD.boot, encodeControl(bootOf()));
        return {
          onEvent: (method, payload) => {
            const name = EVENTS.get(method);
            if (name !== undefined) events.push({ name, message: decodeControl(payload) });
            if (name === 'ready') resolve();
          },
          onClosed: heardAll,
        };
      });
    });
    await Promise.race([readied, exit]);
    return { events, exit, drain: () => instance.drain() };
  }

  /** A boot that has failed, and of whose failure nobody has heard yet. */
  function failing(error: Error): Promise<BootedApplication> {
    const booting = Promise.reject(error);
    booting.catch(() => undefined);
    return booting;
  }

  const names = (heard: Heard): string[] => heard.events.map(({ name }) => name);

  it('is ready once its functions are loaded, and ends well when drained', async () => {
    files.write('app/function/hello.js', 'module.exports = () => 1;');
    const heard = await serve(Promise.resolve(application()), {});
    assert.deepEqual(names(heard), ['ready']);
    heard.drain();
    assert.equal(await heard.exit, 0);
  });

  it('ends after its grace where its agent is gone before it has said anything', async () => {
    files.write('app/function/hello.js', 'module.exports = () => 1;');
    const [near, far] = await socketPair();
    const descriptor = { kind: 'egg', name: 'app', baseDir: files.root, entry: '', options: {}, disabledPlugins: [] } as const;
    const exit = new Promise<number>((resolve) => {
      serveInstance({
        channel: far, application: Promise.resolve(application()), clock: systemClock, onEnd: resolve,
        process: { application: descriptor, hostProcess: { pid: process.pid, startTime: '' }, development: false, snapshot: null, compileCache: null },
        begun: { boot: bootOf(), listener: forker().listenAt(files.path('s')) },
      });
    });
    near.destroy();
    assert.equal(await exit, 0);
  });

  it('is ready although a function does not load, and logs where', async () => {
    files.write('app/function/hello.js', '\nthrow new Error("no");');
    const heard = await serve(Promise.resolve(application()), {});
    assert.deepEqual(names(heard), ['ready']);
    assert.match(String(logged.at(-1)), /CARTON_RUNTIME_LOAD_FAILED[^]*app\/function\/hello\.js:2/);
    heard.drain();
    await heard.exit;
  });

  it('tells of a boot that fails while the agent waits', async () => {
    const heard = await serve(failing(new Error('no database')), {});
    assert.equal(await heard.exit, 1);
    assert.deepEqual(names(heard), ['failed']);
  });

  it('is not stale for a function that was edited while it waited', async () => {
    files.write('app/function/hello.js', 'module.exports = () => 1;');
    const service = files.write('app/service.js', '1');
    const freshness = new Freshness(files.root);
    freshness.note(service);
    const heard = await serve(Promise.resolve(application()), { freshness, before: () => void files.write('app/function/hello.js', 'module.exports = () => 2;') });
    assert.deepEqual(names(heard), ['ready']);
    heard.drain();
    await heard.exit;
  });

  it('says that it is stale, and ends well, for a service that was edited while it waited', async () => {
    files.write('app/function/hello.js', 'module.exports = () => 1;');
    const service = files.write('app/service.js', '1');
    const freshness = new Freshness(files.root);
    freshness.note(service);
    const heard = await serve(Promise.resolve(application()), { freshness, before: () => void files.write('app/service.js', '2') });
    assert.equal(await heard.exit, 0);
    assert.deepEqual(heard.events, [{ name: 'stale', message: { file: service } }]);
  });

  it('says that it is stale, not that it failed, where what failed to boot was edited since', async () => {
    const service = files.write('app/service.js', 'broken');
    const freshness = new Freshness(files.root);
    freshness.note(service);
    const heard = await serve(failing(new Error('broken')), { freshness, before: () => void files.write('app/service.js', 'mended') });
    assert.equal(await heard.exit, 0);
    assert.deepEqual(names(heard), ['stale']);
  });

  it('does not tell of a boot that failed long before it was needed: what it missed may be there', async () => {
    // On this clock a long time is over in the next turn.
    let pass: () => void = () => undefined;
    const passed = new Promise<void>((resolve) => (pass = resolve));
    const clock: Clock = { ...systemClock, after: (_delayMs, callback) => systemClock.after(0, () => { callback(); pass(); }) };
    const heard = await serve(failing(new Error('missing')), { freshness: new Freshness(files.root), clock, before: () => passed });
    assert.equal(await heard.exit, 0);
    assert.deepEqual(names(heard), ['stale']);
  });
});
