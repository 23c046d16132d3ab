/**
 * The connection of one function process, once it is let in: takes its commands one after the other, and passes each to a
 * connection of the database, which it keeps for as long as its session needs that one. It runs in sidecars.
 *
 * 1. A command is sent to the database once or never. Where the connection is lost under it, the session learns that.
 * 2. What the session leaves, however it ends, is rolled back or reset before anybody else has its connection.
 * 3. Neither side is read faster than the other one takes it.
 */
import type { Duplex } from 'node:stream';
import { type Clock } from '../../../../lib/support/clock';
import { CartonError } from '../../../../lib/support/errors';
import { LIMITS } from '../../../../lib/support/limits';
import { type Backend } from './backend';
import { CommandReader, type Command } from './commands';
import { type BackendPool } from './pool';
import { jobOf, type Job } from './jobs';
import { ID_AT } from './prepared';
import { errorPacket, okPacket } from './protocol';
import { type Outcome } from './response';
import { type Session } from './session';
import { BINDING, RestOfStatement } from './statement';

export interface FrontendOptions {
  readonly socket: Duplex;
  readonly session: Session;
  readonly pool: BackendPool;
  readonly clock: Clock;
  /** The database that sessions begin in. */
  readonly database: unknown;
  readonly onEnd: () => void;
}

const NOTHING: Outcome = Object.freeze({ failed: false, status: undefined, stateChanged: false });
/** Connections to the database that may turn out to be dead before anything of a command was sent. */
const TRIES = 3;

export class Frontend {
  readonly #reader = new CommandReader();
  readonly #gone = new AbortController();
  #backend: Backend | undefined;
  /** A command is under way. */
  #isBusy = false;
  /** The rest of a long one is being passed on. */
  #rest: RestOfStatement | undefined;
  #restBinds = false;
  /** What is to be done when all of the command has been sent. */
  #sent: () => void = () => undefined;
  #isEnded = false;

  constructor(readonly options: FrontendOptions) {
    const { socket } = options;
    socket.on('data', (chunk: Buffer) => {
      this.#reader.push(chunk);
      this.#work();
    });
    socket.on('drain', () => {
      this.#backend?.resume();
      this.#work();
    });
    for (const event of ['end', 'close', 'error']) socket.on(event, () => this.end());
    socket.resume();
  }

  get isPinned(): boolean {
    return this.#backend !== undefined && this.options.session.isPinned;
  }

  /** Ends the connection, and what it has at the database. */
  end(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#gone.abort();
    const { socket, session, pool, clock } = this.options;
    const backend = this.#dropped();
    session.statements.clear();
    if (backend !== undefined && (backend.isBusy || session.isInTransaction || session.outlastsReset || this.#rest !== undefined)) pool.discard(backend);
    else if (backend !== undefined) void pool.release(backend, { isClean: false });
    socket.end();
    const timer = clock.after(LIMITS.lingerMs, () => socket.destroy());
    socket.once('close', () => timer.cancel());
    // What it still sends is not read, but its end is.
    socket.removeAllListeners('data').resume();
    this.options.onEnd();
  }

  #work(): void {
    const { socket } = this.options;
    try {
      while (!this.#isBusy && !this.#isEnded && !socket.writableNeedDrain) {
        const command = this.#reader.next();
        if (command === undefined) break;
        this.#isBusy = true;
        this.#take(command);
      }
      if (this.#rest !== undefined) this.#passRest();
      else if ((this.#isBusy || socket.writableNeedDrain) && this.#reader.waitingBytes > LIMITS.wireAheadBytes) socket.pause();
    } catch (error) {
      if (!this.#isBusy) socket.write(errorPacket(1, error as CartonError));
      this.end();
    }
  }

  #take(command: Command): void {
    const job = jobOf(command, this.options);
    if (job === 'quit') this.end();
    else if (job === 'reset') void this.#reset();
    else if (job === 'nothing') this.#ready();
    else if (Buffer.isBuffer(job)) this.#answer(job, command);
    else this.#begin(job);
  }

  /** Runs it at once where a connection is at hand: most commands take this way, without a turn of the event loop. */
  #begin(job: Job): void {
    const { session, pool } = this.options;
    if (this.#backend === undefined && job.effects.refersBack) {
      this.#hold(pool.takeLast(session));
      session.bind();
      if (this.#backend === undefined) return this.#answer(errorPacket(1, new CartonError('CARTON_SIDECAR_WIRE_PREVIOUS')), job.command);
    }
    if (this.#backend === undefined) this.#hold(pool.take(session));
    if (this.#backend === undefined) void this.#beginLater(job);
    else this.#send(job, this.#backend);
  }

  async #beginLater(job: Job): Promise<void> {
    try {
      const backend = await this.#acquired();
      if (!this.#isEnded) this.#send(job, backend);
    } catch (error) {
      this.#answer(errorPacket(1, error as CartonError), job.command);
    }
  }

  async #acquired(): Promise<Backend> {
    const { session, pool } = this.options;
    for (let left = TRIES - 1; ; left -= 1) {
      const backend = await pool.wait(session, this.#gone.signal);
      if (this.#isEnded) {
        void pool.release(backend, { isClean: true });
        return backend;
      }
      this.#hold(backend);
      try {
        if (backend.settings !== session.settings.key) await backend.adopt(session.settings);
        return backend;
      } catch (error) {
        this.#dropped();
        if (left === 0) throw new CartonError('CARTON_SIDECAR_WIRE_UNREACHABLE', { cause: error });
      }
    }
  }

  #hold(backend: Backend | undefined): void {
    this.#backend = backend;
    if (backend === undefined) return;
    backend.lastUser = this.options.session;
    // What it had there is gone: a transaction, a temporary table. Its user is to notice.
    backend.onLost = () => {
      this.#backend = undefined;
      this.end();
    };
  }

  #dropped(): Backend | undefined {
    const backend = this.#backend;
    this.#backend = undefined;
    if (backend !== undefined) backend.onLost = undefined;
    return backend;
  }

  #send(job: Job, backend: Backend): void {
    if (job.sql !== undefined) return void this.#prepare(job.sql, job, backend).catch(() => this.#lost(1));
    if (job.prepared !== undefined) {
      const id = backend.statements.idOf(job.prepared.text.sql);
      if (id === undefined) return void this.#prepareFirst(job.prepared.text.sql, job, backend).catch(() => this.#lost(1));
      job.command.bytes.writeUInt32LE(id, ID_AT);
    }
    this.#restBinds = false;
    this.#rest = job.command.isWhole ? undefined : new RestOfStatement();
    if (job.shape !== undefined) this.#listen(job, backend);
    backend.write(job.command.bytes);
    this.#sent = () => (job.shape === undefined ? this.#settle(job, NOTHING) : undefined);
    if (this.#rest === undefined) this.#sent();
    else this.options.socket.resume();
  }

  #listen(job: Job, backend: Backend): void {
    const { socket } = this.options;
    let hasBegun = false;
    backend.start(job.shape ?? 'one', {
      data: (chunk) => {
        hasBegun = true;
        return socket.write(chunk);
      },
      done: (outcome) => this.#settle(job, outcome),
      lost: (next) => this.#lost(hasBegun ? next : this.#reader.sequence + 1),
    });
  }

  /** Passes on what has come of a long command. */
  #passRest(): void {
    const { socket } = this.options;
    const { bytes, isAll } = this.#reader.rest();
    this.#restBinds ||= this.#rest?.binds(bytes) === true;
    if (isAll) this.#rest = undefined;
    if (bytes.length > 0 && this.#backend?.write(bytes) === false) {
      socket.pause();
      this.#backend.onDrain(() => socket.resume());
    }
    if (isAll) this.#sent();
  }

  /** Has a statement of the session prepared for it. */
  async #prepare(sql: string, job: Job, backend: Backend): Promise<void> {
    const { outcome, bytes } = await backend.exchange(job.command.bytes, 'prepared');
    if (!outcome.failed) {
      backend.keep(sql, bytes.readUInt32LE(ID_AT));
      bytes.writeUInt32LE(this.options.session.statements.add(sql, bytes.readUInt16LE(ID_AT + 6)), ID_AT);
    }
    this.options.socket.write(bytes);
    this.#settle(job, outcome);
  }

  /** Has a statement of the session prepared on a connection that does not know it yet. */
  async #prepareFirst(sql: string, job: Job, backend: Backend): Promise<void> {
    const refusal = await backend.prepare(sql);
    if (typeof refusal === 'number') return this.#send(job, backend);
    if (job.shape !== undefined) this.options.socket.write(refusal);
    if (job.command.isWhole) this.#settle(job, { ...NOTHING, failed: true });
    else this.end();
  }

  #settle(job: Job, outcome: Outcome): void {
    // The answer to half a command: the database does not read on.
    if (this.#rest !== undefined) return this.end();
    if (outcome.failed) void this.#settleFailed(job, outcome);
    else this.#settled(job, outcome);
  }

  async #settleFailed(job: Job, outcome: Outcome): Promise<void> {
    try {
      const status = await this.#backend?.status();
      if (!this.#isEnded) this.#settled(job, { ...outcome, status });
    } catch {
      // The session has its answer; what it had at the database is gone.
      this.#dropped();
      if (this.options.session.isPinned) this.end();
      else this.#ready();
    }
  }

  #settled(job: Job, outcome: Outcome): void {
    const { session, pool } = this.options;
    const backend = this.#backend;
    if (backend === undefined) return this.end();
    job.done?.(outcome, backend);
    const verdict = session.after(this.#restBinds ? BINDING : job.effects, outcome, backend.isTracked);
    backend.settings = session.settings.key;
    if (verdict !== 'keep') {
      this.#dropped();
      void pool.release(backend, { isClean: verdict === 'clean' });
    }
    this.#ready();
  }

  #lost(sequence: number | undefined): void {
    this.#dropped();
    if (this.#isEnded) return;
    if (sequence !== undefined) this.options.socket.write(errorPacket(sequence, new CartonError('CARTON_SIDECAR_WIRE_LOST')));
    if (sequence === undefined || this.options.session.isPinned || this.#rest !== undefined) this.end();
    else this.#ready();
  }

  async #reset(): Promise<void> {
    const { socket, session, pool } = this.options;
    const backend = this.#dropped();
    if (backend !== undefined && session.outlastsReset) pool.discard(backend);
    else if (backend !== undefined) await pool.release(backend, { isClean: false });
    session.reset();
    if (this.#isEnded) return;
    socket.write(okPacket(1, session.status));
    this.#ready();
  }

  #answer(bytes: Buffer, command: Command): void {
    if (this.#isEnded) return;
    this.options.socket.write(bytes);
    // Nobody takes the rest.
    if (command.isWhole) this.#ready();
    else this.end();
  }

  #ready(): void {
    this.#isBusy = false;
    if (this.#isEnded) return;
    if (this.options.socket.isPaused() && !this.options.socket.writableNeedDrain) this.options.socket.resume();
    if (this.#reader.waitingBytes > 0) this.#work();
  }
}
