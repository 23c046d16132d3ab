/**
 * The agent's hold on one instance: its control session, its process, and the news from it. It serves alike for one
 * that this agent launched and for one that outlived a former agent.
 */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import type { Clock, Timer } from '../support/clock';
import { CartonError, toWire, type WireError } from '../support/errors';
import type { HostProcess } from '../support/host_environment';
import { LIMITS } from '../support/limits';
import { hostProcessOf, isAlive, killGroup, killRestOfGroup } from '../support/host_process';
import {
  decodeControl, encodeControl, expectFields, METHOD,
  type InstanceAddress, type InstanceBoot, type InstanceLoad, type InstanceReady, type ServiceMock,
} from '../protocol/control';
import { readWireError } from '../protocol/wire_error';
import { connectSession, openSession } from '../rpc/handshake';
import type { Session, SessionHandlers } from '../rpc/session';
import type { Sandbox } from '../sandbox/launcher';

/** News of an instance, for the scheduler. */
export interface InstanceListener {
  onReady(instance: LiveInstance): void;
  onLoad(instance: LiveInstance, load: InstanceLoad): void;
  /** A file that it has loaded changed (development); it drains itself. */
  onStale(instance: LiveInstance, file: string): void;
  /** Once, and last. */
  onEnded(instance: LiveInstance, end: { failure?: WireError; bySignal: boolean; served: number }): void;
}

/** The channel of a fresh process is its own: whoever holds its other end is trusted, so any token will do. */
const CHANNEL_TOKEN = '0'.repeat(32);
/** Milliseconds that a process may live on after its session has closed. */
const EXIT_MS = 2_000;

export class LiveInstance {
  readonly #clock: Clock;
  readonly #listener: InstanceListener;
  #session: Session | undefined;
  #failure: WireError | undefined;
  #kill: () => void = () => undefined;
  #ready = false;
  #stale = false;
  #ended = false;
  #late: Timer | undefined;
  pid = 0;
  /** Connections to its socket wait for it, at least. */
  isReachable = false;

  private constructor(readonly address: InstanceAddress, readonly group: string, clock: Clock, listener: InstanceListener) {
    this.#clock = clock;
    this.#listener = listener;
  }

  /** Boots a sandbox into an instance. */
  static launched(sandbox: Sandbox, boot: InstanceBoot, clock: Clock, listener: InstanceListener): LiveInstance {
    return LiveInstance.started(sandbox, { address: boot, group: boot.group.key, boot: sandbox.hasBoot === true ? undefined : boot }, clock, listener);
  }

  /** Takes hold of a process that knows what it is, or is told it by its `boot`. */
  static started(
    sandbox: Sandbox, { address, group, boot }: { address: InstanceAddress; group: string; boot?: InstanceBoot }, clock: Clock, listener: InstanceListener,
  ): LiveInstance {
    const instance = new LiveInstance(address, group, clock, listener);
    instance.pid = sandbox.pid;
    instance.isReachable = sandbox.hasBoot === true;
    instance.#kill = () => sandbox.kill();
    void sandbox.exited.then(({ code, signal }) => instance.#exited(code, signal));
    openSession(sandbox.channel, CHANNEL_TOKEN, (session) => {
      instance.#session = session;
      if (boot !== undefined) session.event(METHOD.boot, encodeControl(boot));
      return instance.#handlers(() => instance.#endSoon());
      // Its process may take as long as a launch may.
    }, { limitMs: null }).catch(() => sandbox.kill());
    return instance;
  }

  /** Takes over an instance of a former agent. Rejects where nobody answers behind the address. */
  static async adopted(
    address: InstanceAddress, controlToken: string, clock: Clock, listener: InstanceListener,
  ): Promise<{ instance: LiveInstance; ready: InstanceReady }> {
    return new Promise((resolve, reject) => {
      let instance: LiveInstance | undefined;
      let timer: Timer | undefined;
      const handlers = (session: Session): SessionHandlers => ({
        onEvent: (method, payload) => {
          if (instance !== undefined) return instance.#onEvent(method, payload);
          const ready = readReady(method, payload, address.id);
          instance = new LiveInstance(address, ready.group, clock, listener);
          instance.#adopt(session, ready.pid);
          timer?.cancel();
          resolve({ instance, ready });
        },
        onClosed: (error) => {
          timer?.cancel();
          if (instance === undefined) reject(error ?? new CartonError('CARTON_RPC_CLOSED'));
          else instance.#adoptedClosed(instance.#process as HostProcess);
        },
      });
      connectSession(address.socketPath, controlToken, (session) => {
        // One that answers and then never says what it is would hold up the agent's start for ever.
        timer = clock.after(LIMITS.handshakeMs, () => session.close(new CartonError('CARTON_RPC_HANDSHAKE_TIMEOUT', { of: `instance ${address.id}` })));
        return handlers(session);
      }).catch(reject);
    });
  }

  #process: HostProcess | undefined;

  get isEnded(): boolean {
    return this.#ended;
  }

  drain(): void {
    this.#session?.event(METHOD.drain, encodeControl({}));
  }

  reloadLogs(): void {
    this.#session?.event(METHOD.reloadLogs, encodeControl({}));
  }

  /** Resolves once they are in place. Rejects with what the instance says, or `CARTON_RPC_CLOSED`. */
  async setMocks(mocks: readonly ServiceMock[]): Promise<void> {
    await this.#session?.request(METHOD.mock, encodeControl({ mocks }));
  }

  kill(): void {
    this.#kill();
  }

  /** Lets go of it without ending it: the next agent takes it over. */
  release(): void {
    this.#ended = true;
    this.#session?.close();
  }

  #adopt(session: Session, pid: number): void {
    this.#session = session;
    this.#ready = true;
    this.isReachable = true;
    this.pid = pid;
    this.#process = hostProcessOf(pid);
    const adopted = this.#process;
    this.#kill = () => {
      if (isAlive(adopted)) killGroup(pid);
    };
  }

  /** An adopted process is nobody's child here: the end of its session stands for its exit. */
  #adoptedClosed(adopted: HostProcess): void {
    if (!isAlive(adopted)) {
      killRestOfGroup(adopted.pid);
      return this.#exited(0, null);
    }
    this.#clock.after(EXIT_MS, () => {
      this.#kill();
      this.#exited(0, null);
    });
  }

  #handlers(onClosed: () => void): SessionHandlers {
    return { onEvent: (method, payload) => this.#onEvent(method, payload), onClosed };
  }

  #onEvent(method: number, payload: Buffer): void {
    const message = decodeControl(payload);
    switch (method) {
      case METHOD.ready:
        // Each one makes work for the scheduler and all workers.
        if (this.#ready) throw new CartonError('CARTON_RPC_BAD_FRAME', { expected: 'to be told once', got: 'ready again' });
        this.#ready = true;
        this.isReachable = true;
        return this.#listener.onReady(this);
      case METHOD.load:
        return this.#listener.onLoad(this, expectFields<InstanceLoad>(message, { inflight: 'count', served: 'count' }));
      case METHOD.stale:
        // Each one has the scheduler look at all files again, and one is enough to retire it.
        if (this.#stale) return;
        this.#stale = true;
        return this.#listener.onStale(this, expectFields<{ file: string }>(message, { file: 'string' }).file);
      case METHOD.failed:
        this.#failure = readWireError(message['error']);
        return;
      default:
        throw new CartonError('CARTON_RPC_BAD_FRAME', { expected: 'an event of an instance', got: `method ${method}` });
    }
  }

  /** Its session has closed. */
  #endSoon(): void {
    if (!this.#ended) this.#late = this.#clock.after(EXIT_MS, this.#kill);
  }

  #exited(code: number | null, signal: NodeJS.Signals | null): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#late?.cancel();
    this.#session?.close();
    this.#listener.onEnded(this, {
      failure: this.#failure ?? exitFailure(this.group, code),
      bySignal: signal !== null,
      served: begunIn(this.address.recordPath),
    });
  }
}

function exitFailure(group: string, code: number | null): WireError | undefined {
  if (code === null || code === 0) return undefined;
  return toWire(new CartonError('CARTON_INSTANCE_LAUNCH_FAILED', { of: group, expected: 'a process that serves', got: `exit code ${code}` }));
}

/** What an instance says of itself when it is adopted. It runs code that is not ours: nobody else's pid may be in it. */
function readReady(method: number, payload: Buffer, id: string): InstanceReady {
  if (method !== METHOD.ready) throw new CartonError('CARTON_RPC_BAD_FRAME', { expected: 'an instance to say what it is', got: `method ${method}` });
  const ready = expectFields<InstanceReady>(decodeControl(payload), {
    id: 'string', pid: 'count', group: 'string', revision: 'string', inflight: 'count', served: 'count', draining: 'boolean',
  });
  if (ready.id !== id) throw new CartonError('CARTON_RPC_BAD_FRAME', { expected: `instance ${id}`, got: ready.id });
  // A kill goes to the process group: 0 and 1 would be our own and everybody's.
  if (ready.pid <= 1 || ready.pid === process.pid || ready.pid === process.ppid) throw new CartonError('CARTON_RPC_BAD_FRAME', { expected: 'a pid of its own', got: `${ready.pid}` });
  return ready;
}

/** Bytes of a begin record that are looked at: the slots of 512 sessions. The file is the instance's to write. */
const RECORD_BYTES = 4096;

/** 1 where the begin record tells of any invocation: it knows of more than the last report of load. */
function begunIn(recordPath: string): number {
  let fd: number;
  try {
    fd = openSync(recordPath, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch {
    return 0; // It was never made, or is gone already: then nothing is known beyond the last report.
  }
  try {
    if (!fstatSync(fd).isFile()) return 0;
    const bytes = Buffer.alloc(RECORD_BYTES);
    return bytes.subarray(0, readSync(fd, bytes, 0, bytes.length, 0)).some((byte) => byte !== 0) ? 1 : 0;
  } finally {
    closeSync(fd);
  }
}
