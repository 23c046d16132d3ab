/**
 * The connections to the database, and who waits for one. It runs in sidecars.
 *
 * 1. There are never more than the limit; one is made when somebody waits for it and no idle one fits.
 * 2. Whoever waits longest is served first, and nobody waits longer than a limit.
 * 3. A connection that is given back has no transaction, and nothing of its last session is seen by the next.
 */
import { settledWithin, type Timer } from '../../../../lib/support/clock';
import { CartonError, describeWithCode } from '../../../../lib/support/errors';
import { type HostLog } from '../../../../lib/support/host_environment';
import { LIMITS } from '../../../../lib/support/limits';
import { Backend } from './backend';
import { openConnection, USUAL_KIND, type DriverOptions, type Kind } from './driver';
import { type ServerFacts } from './handshake';
import { COMMAND, command } from './protocol';
import { type Settings } from './settings';

export interface PoolOptions extends DriverOptions {
  readonly connectionLimit: number;
  readonly log: HostLog;
}

/** What a session asks for. */
export interface Claim {
  readonly kind: Kind;
  readonly settings: Settings;
}

interface Waiter {
  readonly claim: Claim;
  readonly resolve: (backend: Backend) => void;
  readonly reject: (error: CartonError) => void;
  readonly timer: Timer;
}

export class BackendPool {
  /** All there are, also those that are in use. */
  readonly #all = new Set<Backend>();
  /** The one given back last is last. */
  readonly #idle: Backend[] = [];
  readonly #waiters = new Set<Waiter>();
  /** Of the limit, what is taken by connections that are being made, or whose commands are being killed. */
  #opening = 0;
  #ending = 0;
  #facts: ServerFacts | undefined;
  #opened: Promise<unknown> = Promise.resolve();
  #kills: Promise<unknown> = Promise.resolve();
  #isClosed = false;
  #onEmpty: () => void = () => undefined;

  constructor(readonly options: PoolOptions) {}

  get size(): number {
    return this.#all.size;
  }

  get waiting(): number {
    return this.#waiters.size;
  }

  /** What the database said of itself last. Rejects with `CARTON_SIDECAR_WIRE_UNREACHABLE`. */
  async facts(): Promise<ServerFacts> {
    if (this.#facts === undefined && this.#opening === 0 && !this.#isClosed) this.#open(USUAL_KIND);
    if (this.#facts === undefined) await this.#opened;
    if (this.#facts === undefined) throw new CartonError('CARTON_SIDECAR_WIRE_UNREACHABLE');
    return this.#facts;
  }

  /** An idle connection that fits as it is. Undefined: ask with `wait`. */
  take(claim: Claim): Backend | undefined {
    if (this.#waiters.size > 0) return undefined;
    const backend = this.takeLast(claim);
    if (backend !== undefined) return backend;
    const fitting = this.#fitting(claim, false);
    return fitting?.settings === claim.settings.key ? this.#taken(fitting) : undefined;
  }

  /** The connection that this session used last, if nobody has used it since. */
  takeLast(claim: Claim): Backend | undefined {
    const backend = this.#idle.find(({ lastUser, settings }) => lastUser === claim && settings === claim.settings.key);
    return backend === undefined ? undefined : this.#taken(backend);
  }

  /** Rejects with `CARTON_SIDECAR_WIRE_BUSY` or `…_UNREACHABLE`. `signal` takes the question back; nothing comes of it then. */
  wait(claim: Claim, signal: AbortSignal): Promise<Backend> {
    return new Promise((resolve, reject) => {
      if (this.#isClosed) return reject(new CartonError('CARTON_SIDECAR_WIRE_UNREACHABLE', { got: 'a sidecar that ends' }));
      if (this.#waiters.size >= LIMITS.wireWaiting) return reject(new CartonError('CARTON_SIDECAR_WIRE_BUSY', { got: `${LIMITS.wireWaiting} others that wait` }));
      const leave = (): void => {
        this.#waiters.delete(waiter);
        waiter.timer.cancel();
        signal.removeEventListener('abort', leave);
      };
      const waiter: Waiter = {
        claim,
        resolve: (backend) => (leave(), resolve(backend)),
        reject: (error) => (leave(), reject(error)),
        timer: this.options.clock.after(LIMITS.wireWaitMs, () => waiter.reject(new CartonError('CARTON_SIDECAR_WIRE_BUSY', { got: `${this.#waiters.size} sessions that wait for ${this.options.connectionLimit} connections` }))),
      };
      signal.addEventListener('abort', leave);
      this.#waiters.add(waiter);
      this.#serve();
    });
  }

  /** Gives a connection back. `isClean`: its session leaves nothing but settings. Resolves when it is as the next may have it. */
  async release(backend: Backend, { isClean }: { isClean: boolean }): Promise<void> {
    if (backend.isClosed) return;
    if (!isClean) {
      try {
        await backend.reset();
      } catch (error) {
        this.options.log.debug(`[carton] a connection to the database could not be reset: ${describeWithCode(error)}`);
        return backend.destroy();
      }
    }
    if (this.#isClosed) return backend.quit();
    this.#idle.push(backend);
    this.#serve();
  }

  /** Ends a connection that somebody left in the middle. A command that runs is killed: the database would not notice. */
  discard(backend: Backend): void {
    const isBusy = backend.isBusy && !backend.isClosed;
    if (isBusy) this.#ending += 1;
    backend.destroy();
    if (!isBusy) return;
    this.#kills = this.#kills.then(() => this.#kill(backend)).finally(() => {
      this.#ending -= 1;
      this.#serve();
    });
  }

  /** Resolves when there are no connections any more. What is not given back in time is cut off. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const waiter of [...this.#waiters]) waiter.reject(new CartonError('CARTON_SIDECAR_WIRE_UNREACHABLE', { got: 'a sidecar that ends' }));
    for (const backend of this.#idle.splice(0)) backend.quit();
    await Promise.all([this.#opened, this.#kills]);
    if (this.#all.size > 0) await settledWithin(this.options.clock, LIMITS.lingerMs, new Promise<void>((resolve) => (this.#onEmpty = resolve)));
    for (const backend of [...this.#all]) backend.destroy();
  }

  #taken(backend: Backend): Backend {
    this.#idle.splice(this.#idle.indexOf(backend), 1);
    return backend;
  }

  get #database(): string {
    const { database } = this.options.backend;
    return typeof database === 'string' ? database : '';
  }

  get #room(): number {
    return this.options.connectionLimit - this.#all.size - this.#opening - this.#ending;
  }

  #serve(): void {
    // Over the set itself: to make room is to come here again, and who has been served then is not to be served twice.
    for (const waiter of this.#waiters) {
      if (this.#idle.length === 0 && this.#room <= 0) return;
      const backend = this.#fitting(waiter.claim, this.#room <= 0);
      if (backend === undefined) this.#grow(waiter.claim.kind);
      else waiter.resolve(this.#taken(backend));
    }
  }

  #fitting({ kind, settings }: Claim, takesAny: boolean): Backend | undefined {
    const fitting = this.#idle.filter((backend) => backend.kind === kind);
    // One that is as new needs its settings, but no reset.
    return fitting.find((backend) => backend.settings === settings.key) ?? fitting.find((backend) => backend.settings === '') ?? (takesAny ? fitting[0] : undefined);
  }

  /** Makes room for a connection, and the connection, unless as many are on their way as there are sessions that wait. */
  #grow(kind: Kind): void {
    if (this.#opening >= this.#waiters.size || this.#isClosed) return;
    // None of those that are idle is of this kind.
    if (this.#room <= 0) this.#idle.shift()?.quit();
    if (this.#room > 0) this.#open(kind);
  }

  #open(kind: Kind): void {
    this.#opening += 1;
    this.#opened = Promise.all([this.#opened, this.#make(kind)]);
  }

  async #make(kind: Kind): Promise<void> {
    try {
      const backend = await this.#connect(kind);
      this.#opening -= 1;
      await this.release(backend, { isClean: true });
    } catch (error) {
      this.#opening -= 1;
      this.options.log.warn(`[carton] ${describeWithCode(error)}`);
      this.#refuse(error);
    }
  }

  async #connect(kind: Kind): Promise<Backend> {
    const opened = await openConnection(this.options, kind);
    this.#facts = opened.facts;
    const backend = new Backend(opened, this.#database);
    backend.onClose = () => this.#lost(backend);
    this.#all.add(backend);
    try {
      await backend.track();
    } catch (error) {
      throw new CartonError('CARTON_SIDECAR_WIRE_UNREACHABLE', { cause: error });
    }
    return backend;
  }

  /** No connection could be made: those who wait take what there is, or learn it when there is none that could come back. */
  #refuse(error: unknown): void {
    this.#serveAny();
    if (this.#all.size > 0 || this.#opening > 0) return;
    for (const waiter of [...this.#waiters]) waiter.reject(error instanceof CartonError ? error : new CartonError('CARTON_SIDECAR_WIRE_UNREACHABLE', { cause: error }));
  }

  #serveAny(): void {
    for (const waiter of this.#waiters) {
      const backend = this.#fitting(waiter.claim, true);
      if (backend !== undefined) waiter.resolve(this.#taken(backend));
    }
  }

  #lost(backend: Backend): void {
    this.#all.delete(backend);
    const at = this.#idle.indexOf(backend);
    if (at !== -1) this.#idle.splice(at, 1);
    if (!this.#isClosed) this.#serve();
    else if (this.#all.size === 0) this.#onEmpty();
  }

  async #kill({ threadId }: Backend): Promise<void> {
    try {
      const killer = new Backend(await openConnection(this.options, USUAL_KIND), this.#database);
      await killer.exchange(command(COMMAND.query, `KILL ${threadId}`), 'results');
      killer.quit();
    } catch (error) {
      this.options.log.warn(`[carton] a statement of a session that ended may still run: ${describeWithCode(error)}`);
    }
  }
}
