/**
 * An instance's line to a sidecar: connects at the first call, and again after a sidecar has gone. Runs in instances.
 *
 * 1. A call waits for the sidecar until its own deadline; what was not sent by then fails with
 *    `CARTON_SIDECAR_UNAVAILABLE`, and has had no effect.
 * 2. What was sent to a sidecar that is gone fails with `CARTON_SIDECAR_LOST`, at once, and is never sent again.
 * 3. Nobody who calls nothing holds a connection, and a process is free to end whatever is open here.
 */
import { once } from 'node:events';
import { createConnection, type Socket } from 'node:net';
import type { Clock, Timer } from '../support/clock';
import { CartonError, codeOf, describe } from '../support/errors';
import type { SidecarIdentity } from '../protocol/control';
import { openSession } from '../rpc/handshake';
import { Remote, type RemoteObject } from '../rpc/remote';
import type { CallOptions } from '../rpc/remote_call';

export interface SidecarLinkOptions {
  /** For messages. */
  readonly name: string;
  /** Undefined: there is none, as where an application is only recorded. */
  readonly socketPath: string | undefined;
  /** Who this process is, and which clients it may use. */
  readonly identity: SidecarIdentity;
  /** Milliseconds for a call that names none. */
  readonly timeoutMs: number;
  readonly clock: Clock;
}

/** Milliseconds between two tries to connect: the first, and the most. A sidecar is back within a second. */
const FIRST_PAUSE_MS = 5;
const MAX_PAUSE_MS = 100;

/** Whoever hears one of these would hear it again. */
const FINAL = new Set(['CARTON_RPC_UNAUTHORIZED', 'CARTON_RPC_VERSION', 'CARTON_RPC_BAD_FRAME']);

interface Waiting {
  connected(remote: Remote): void;
  failed(error: CartonError): void;
}

export class SidecarLink {
  readonly #options: SidecarLinkOptions;
  readonly #waiting = new Set<Waiting>();
  #identity: SidecarIdentity;
  #socket: Socket | undefined;
  #remote: Remote | undefined;
  #isConnecting = false;
  #pauseMs = FIRST_PAUSE_MS;
  #retry: Timer | undefined;
  #lastError = 'it was not tried yet';
  #closed = false;

  constructor(options: SidecarLinkOptions) {
    this.#options = options;
    this.#identity = options.identity;
  }

  /** As `Remote.call`, and with `CARTON_SIDECAR_LOST` and `CARTON_SIDECAR_UNAVAILABLE`. */
  async call(target: string, method: string, args: readonly unknown[], options: CallOptions = {}): Promise<unknown> {
    const { clock } = this.#options;
    const timeoutMs = options.timeoutMs ?? this.#options.timeoutMs;
    const until = clock.now() + timeoutMs;
    const remote = this.#remote ?? (await this.#connected(timeoutMs, options.signal));
    try {
      return await remote.call(target, method, args, { ...options, timeoutMs: Math.max(0, until - clock.now()) });
    } catch (error) {
      throw this.#toldOf(error, remote, `${target}.${method}`);
    } finally {
      if (remote !== this.#remote) this.#closeUnused(remote);
    }
  }

  /** As `call`, for an object that one has given. What ended with a sidecar that is gone fails with `CARTON_SIDECAR_LOST`. */
  async callOn(object: RemoteObject, method: string, args: readonly unknown[], options: CallOptions = {}): Promise<unknown> {
    try {
      return await object.call(method, args, { ...options, timeoutMs: options.timeoutMs ?? this.#options.timeoutMs });
    } catch (error) {
      throw this.#toldOf(error, object.remote, method);
    }
  }

  /** As whom this process calls from now on. What is under way ends as it began. */
  authorize(identity: SidecarIdentity): void {
    this.#identity = identity;
    const remote = this.#remote;
    this.#remote = undefined;
    // One that is still opening is opened again, for those who wait.
    if (remote === undefined) this.#socket?.destroy();
    else this.#closeUnused(remote);
  }

  /** What is under way fails as if the sidecar were gone; later calls connect again. Resolves when no socket is left. */
  async disconnect(): Promise<void> {
    this.#retry?.cancel();
    this.#retry = undefined;
    // One that is still opening has nothing to say.
    if (this.#remote === undefined) this.#socket?.destroy();
    else this.#remote.session.close();
    for (const { failed } of [...this.#waiting]) failed(this.#unavailable());
    if (this.#socket?.closed === false) await once(this.#socket, 'close');
  }

  /** Nothing can be called any more. */
  close(): void {
    this.#closed = true;
    void this.disconnect();
  }

  #connected(timeoutMs: number, signal: AbortSignal | undefined): Promise<Remote> {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      if (this.#closed || this.#options.socketPath === undefined) return reject(this.#unavailable());
      const settle = (): void => {
        this.#waiting.delete(waiting);
        late.cancel();
        signal?.removeEventListener('abort', aborted);
      };
      const waiting: Waiting = {
        connected: (remote) => (settle(), resolve(remote)),
        failed: (error) => (settle(), reject(error)),
      };
      const aborted = (): void => {
        settle();
        reject(signal?.reason as Error);
      };
      const late = this.#options.clock.after(timeoutMs, () => waiting.failed(this.#unavailable()));
      signal?.addEventListener('abort', aborted);
      this.#waiting.add(waiting);
      this.#connect();
    });
  }

  #connect(): void {
    if (this.#isConnecting || this.#retry !== undefined) return;
    this.#isConnecting = true;
    this.#open().then(
      (remote) => {
        this.#isConnecting = false;
        this.#pauseMs = FIRST_PAUSE_MS;
        if (this.#closed) return remote.session.close();
        this.#remote = remote;
        for (const { connected } of [...this.#waiting]) connected(remote);
      },
      (error: unknown) => {
        this.#isConnecting = false;
        this.#lastError = describe(error);
        const code = codeOf(error);
        if (code !== undefined && FINAL.has(code)) for (const { failed } of [...this.#waiting]) failed(error as CartonError);
        this.#tryAgain();
      },
    );
  }

  /** Rejects with the system's error, or as `openSession` does. */
  #open(): Promise<Remote> {
    const { socketPath, clock } = this.#options;
    const { token, claims } = this.#identity;
    return new Promise((resolve, reject) => {
      const socket = createConnection(socketPath as string);
      this.#socket = socket;
      // Calls have deadlines of their own; an idle connection is no reason to live.
      socket.unref();
      socket.once('error', reject);
      socket.once('connect', () => {
        socket.removeListener('error', reject);
        let remote: Remote | undefined;
        openSession(socket, token, (session) => {
          remote = new Remote(session, { clock, onClosed: () => this.#lost(remote) });
          return remote.handlers;
        }, { clock, claims }).then(() => resolve(remote as Remote), reject);
      });
    });
  }

  #lost(remote: Remote | undefined): void {
    if (this.#remote === remote) this.#remote = undefined;
  }

  /** As long as somebody waits. */
  #tryAgain(): void {
    if (this.#waiting.size === 0 || this.#closed) return;
    this.#retry = this.#options.clock.after(this.#pauseMs, () => {
      this.#retry = undefined;
      if (this.#waiting.size > 0) this.#connect();
    });
    this.#pauseMs = Math.min(MAX_PAUSE_MS, 2 * this.#pauseMs);
  }

  #toldOf(error: unknown, { session }: Remote, of: string): unknown {
    if (codeOf(error) !== 'CARTON_RPC_CLOSED' || !session.isClosed) return error;
    return new CartonError('CARTON_SIDECAR_LOST', { of: `${this.#options.name}: ${of}`, cause: error });
  }

  /** Of a former identity. */
  #closeUnused({ session }: Remote): void {
    if (session.openCalls === 0) session.close();
  }

  #unavailable(): CartonError {
    const { name, socketPath } = this.#options;
    return new CartonError('CARTON_SIDECAR_UNAVAILABLE', { of: name, expected: socketPath === undefined ? 'a host that has it' : `a sidecar at ${socketPath}`, got: this.#closed ? 'the end of this process' : this.#lastError });
  }
}
