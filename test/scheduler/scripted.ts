/**
 * A host for tests of the scheduler: real sockets and directory, a fake clock, instances that do what the test says,
 * and a worker that speaks the protocol.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { carton } from '../../config/config.default';
import type { HostDirectory } from '../../lib/support/host_directory';
import type { CartonConfig, HostEnvironment, HostProcess } from '../../lib/support/host_environment';
import { hostProcessOf } from '../../lib/support/host_process';
import { decodeControl, encodeControl, METHOD, type Demand, type InstanceBoot, type InstanceReady } from '../../lib/protocol/control';
import { acceptSession, connectSession, listen, sameToken } from '../../lib/rpc/handshake';
import type { Session } from '../../lib/rpc/session';
import type { Launcher, Sandbox, SandboxExit } from '../../lib/sandbox/launcher';
import { Scheduler } from '../../lib/scheduler/scheduler';
import type { GroupSpec, Revision } from '../../lib/spec/types';
import { FakeClock } from '../support/fake_clock';
import { socketPair } from '../support/session_pair';

export const group = (key: string, over: Partial<GroupSpec> = {}): GroupSpec => ({
  key, functions: [key], concurrency: 10, minInstances: 0, maxInstances: 4, idleTimeoutMs: 60_000, ...over,
});

export const revisionOf = (groups: readonly GroupSpec[], revision = 'r1'): Revision => ({
  application: 'app', revision, groups,
  functions: groups.map(({ key }) => ({ ...carton.functionDefaults, name: key, file: `app/function/${key}`, exportName: 'default', triggers: [], group: key, auth: 'none' })),
});

/** An instance whose far end the test plays. */
export class ScriptedInstance {
  readonly events: number[] = [];
  killed = false;
  session: Session | undefined;
  boot: InstanceBoot | undefined;
  #exit: (exit: SandboxExit) => void = () => undefined;
  readonly exited = new Promise<SandboxExit>((resolve) => (this.#exit = resolve));

  send(method: number, message: unknown): void {
    this.session?.event(method, encodeControl(message));
    this.session?.flush();
  }

  ready(): void {
    const { id, group: spec, revision } = this.boot as InstanceBoot;
    this.send(METHOD.ready, { id, pid: 1, group: spec.key, revision, draining: false, inflight: 0, served: 0 } satisfies InstanceReady);
  }

  exit(code: number | null, signal: NodeJS.Signals | null = null): void {
    this.session?.close();
    this.#exit({ code, signal });
  }
}

export class ScriptedLauncher implements Launcher {
  readonly status = { kind: 'spawn', reason: null } as const;
  readonly launched: ScriptedInstance[] = [];
  closed = false;
  /** What the next launches reject with. */
  failure: Error | undefined;
  /** Whether a kill ends an instance at once. */
  diesOfKill = true;

  async launch(_boot: InstanceBoot): Promise<Sandbox> {
    if (this.failure !== undefined) throw this.failure;
    const [near, far] = await socketPair();
    const instance = new ScriptedInstance();
    this.launched.push(instance);
    acceptSession(far, () => ({
      welcome: {},
      handlers: (session) => {
        instance.session = session;
        return {
          onEvent: (method, payload) => {
            if (method === METHOD.boot) instance.boot = decodeControl(payload) as unknown as InstanceBoot;
            else instance.events.push(method);
          },
          onClosed: () => undefined,
        };
      },
    }), { limitMs: null });
    const kill = (): void => {
      instance.killed = true;
      if (this.diesOfKill) instance.exit(null, 'SIGKILL');
    };
    return { pid: process.pid, channel: near, exited: instance.exited, kill };
  }

  replenish(): void {
    // Nothing is kept.
  }

  refresh(): void {
    // As above.
  }

  async close(): Promise<void> {
    this.closed = true;
  }
}

/** A worker's line, and all that it was told. */
export class ScriptedWorker {
  readonly told: { method: number; message: Record<string, unknown> }[] = [];
  session: Session | undefined;

  async connect(directory: HostDirectory): Promise<this> {
    this.session = await connectSession(directory.agentSocket, directory.token('worker'), () => ({
      onEvent: (method, payload) => void this.told.push({ method, message: decodeControl(payload) }),
      onClosed: () => undefined,
    }));
    return this;
  }

  demand(demand: Demand): void {
    this.session?.event(METHOD.demand, encodeControl(demand));
  }

  /** Ids of the instances that it was told last. */
  instancesOf(key: string): string[] {
    const push = this.told.filter(({ method, message }) => method === METHOD.instances && message['group'] === key).at(-1);
    return ((push?.message['instances'] ?? []) as { id: string }[]).map(({ id }) => id);
  }

  refusals(): string[] {
    return this.told.filter(({ method }) => method === METHOD.refused).map(({ message }) => (message['error'] as { code: string }).code);
  }
}

export class ScriptedHost {
  readonly root = mkdtempSync(path.join(tmpdir(), 'ec-sched-'));
  readonly clock = new FakeClock();
  readonly launcher = new ScriptedLauncher();
  readonly log: string[] = [];
  revision = revisionOf([group('a'), group('b')]);
  scheduler: Scheduler;

  constructor(config: Partial<CartonConfig> = {}, readonly hostProcess: HostProcess = hostProcessOf(process.pid)) {
    this.scheduler = this.agent(config);
  }

  /** Another agent of the same host. */
  agent(config: Partial<CartonConfig> = {}): Scheduler {
    const note = (message: string | Error): void => void this.log.push(String(message));
    const environment: HostEnvironment = {
      application: { kind: 'module', name: 'app', baseDir: '/app', entry: '/app/boot.js', options: {}, disabledPlugins: [] },
      config: { ...carton, directory: this.root, ...config },
      hostProcess: this.hostProcess,
      development: false,
      log: { debug: note, info: note, warn: note, error: note },
      clock: this.clock,
    };
    return new Scheduler({ environment, launcher: this.launcher, loadRevision: () => Promise.resolve(this.revision) });
  }

  remove(): void {
    rmSync(this.root, { recursive: true, force: true });
  }
}

export interface Orphan {
  /** Methods of what the agent told it. */
  readonly events: number[];
  /** Its process is killed, and its session with it. */
  end(): Promise<void>;
}

/** An instance of a former agent, with a process of its own to name: listens on its socket and says what it is. */
export async function orphan(directory: HostDirectory, ready: Omit<InstanceReady, 'pid' | 'inflight' | 'served' | 'draining'>): Promise<Orphan> {
  const events: number[] = [];
  const child = spawn('sleep', ['1000'], { detached: true, stdio: 'ignore' });
  await once(child, 'spawn');
  let session: Session | undefined;
  const server = await listen(directory.instanceSocket(ready.id), (token) => !sameToken(token, directory.token(`control:${ready.id}`)) ? undefined : {
    welcome: {},
    handlers: (opened) => {
      session = opened;
      opened.event(METHOD.ready, encodeControl({ ...ready, pid: child.pid, draining: false, inflight: 0, served: 0 }));
      return { onEvent: (method) => void events.push(method), onClosed: () => undefined };
    },
  });
  return {
    events,
    async end() {
      child.kill('SIGKILL');
      await once(child, 'exit');
      server.close();
      session?.close();
    },
  };
}
