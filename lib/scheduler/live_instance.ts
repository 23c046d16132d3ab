/**
 * The agent's hold on one instance: its control session, its process, and the news from it. It serves alike for one
 * that this agent launched and for one that outlived a former agent.
 */
import { readFileSync } from 'node:fs';
import type { Clock } from '../support/clock';
import { CartonError, toWire, type WireError } from '../support/errors';
import type { HostProcess } from '../support/host_environment';
import { hostProcessOf, isAlive } from '../support/host_process';
import {
  decodeControl, encodeControl, expectFields, METHOD,
  type InstanceAddress, type InstanceBoot, type InstanceFailed, type InstanceLoad, type InstanceReady, type ServiceMock,
} from '../protocol/control';
import { connectSession, openSession } from '../rpc/handshake';
import type { Session, SessionHandlers } from '../rpc/session';
import type { Sandbox } from '../sandbox/launcher';
import { killGroup } from '../sandbox/spawn';

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
  #ended = false;
  pid = 0;

  private constructor(readonly address: InstanceAddress, readonly group: string, clock: Clock, listener: InstanceListener) {
    this.#clock = clock;
    this.#listener = listener;
  }

  /** Boots a sandbox into an instance. */
  static launched(sandbox: Sandbox, boot: InstanceBoot, clock: Clock, listener: InstanceListener): LiveInstance {
    const instance = new LiveInstance(boot, boot.group.key, clock, listener);
    instance.pid = sandbox.pid;
    instance.#kill = () => sandbox.kill();
    void sandbox.exited.then(({ code, signal }) => instance.#exited(code, signal));
    openSession(sandbox.channel, CHANNEL_TOKEN, (session) => {
      instance.#session = session;
      session.event(METHOD.boot, encodeControl(boot));
      return instance.#handlers(() => clock.after(EXIT_MS, instance.#kill));
    }).catch(() => sandbox.kill());
    return instance;
  }

  /** Takes over an instance of a former agent. Rejects where nobody answers behind the address. */
  static async adopted(
    address: InstanceAddress, controlToken: string, clock: Clock, listener: InstanceListener,
  ): Promise<{ instance: LiveInstance; ready: InstanceReady }> {
    return new Promise((resolve, reject) => {
      let instance: LiveInstance | undefined;
      connectSession(address.socketPath, controlToken, (session) => ({
        onEvent: (method, payload) => {
          if (instance !== undefined) return instance.#onEvent(method, payload);
          if (method !== METHOD.ready) return;
          const ready = expectFields<InstanceReady>(decodeControl(payload), { id: 'string', pid: 'number', group: 'string', revision: 'string', inflight: 'number', served: 'number', draining: 'boolean' });
          instance = new LiveInstance(address, ready.group, clock, listener);
          instance.#adopt(session, ready.pid);
          resolve({ instance, ready });
        },
        onClosed: (error) => {
          if (instance === undefined) reject(error ?? new CartonError('CARTON_RPC_CLOSED'));
          else instance.#adoptedClosed(instance.#process as HostProcess);
        },
      })).catch(reject);
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

  setMocks(mocks: readonly ServiceMock[]): void {
    this.#session?.event(METHOD.mock, encodeControl({ mocks }));
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
    this.pid = pid;
    this.#process = hostProcessOf(pid);
    const adopted = this.#process;
    this.#kill = () => {
      if (isAlive(adopted)) killGroup(pid);
    };
  }

  /** An adopted process is nobody's child here: the end of its session stands for its exit. */
  #adoptedClosed(adopted: HostProcess): void {
    if (!isAlive(adopted)) return this.#exited(0, null);
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
        return this.#listener.onReady(this);
      case METHOD.load:
        return this.#listener.onLoad(this, expectFields<InstanceLoad>(message, { inflight: 'number', served: 'number' }));
      case METHOD.stale:
        return this.#listener.onStale(this, expectFields<{ file: string }>(message, { file: 'string' }).file);
      case METHOD.failed:
        this.#failure = expectFields<InstanceFailed>(message, { error: 'object' }).error;
        return;
      default:
        throw new CartonError('CARTON_RPC_BAD_FRAME', { expected: 'an event of an instance', got: `method ${method}` });
    }
  }

  #exited(code: number | null, signal: NodeJS.Signals | null): void {
    if (this.#ended) return;
    this.#ended = true;
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

/** 1 where the begin record tells of any invocation: it knows of more than the last report of load. */
function begunIn(recordPath: string): number {
  try {
    return readFileSync(recordPath).some((byte) => byte !== 0) ? 1 : 0;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 0;
    throw error;
  }
}
