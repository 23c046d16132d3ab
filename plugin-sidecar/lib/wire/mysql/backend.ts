/**
 * One connection to the database, taken over from the driver: one command at a time, its answer followed and passed on.
 * It runs in sidecars.
 *
 * 1. Whoever started a command is told once how it ended: done, or lost with the connection.
 * 2. A connection that speaks unasked, or otherwise than the protocol has it, is closed.
 */
import type { Duplex } from 'node:stream';
import { CartonError } from '../../../../lib/support/errors';
import { LIMITS } from '../../../../lib/support/limits';
import { COMMAND, CAPABILITY, STATUS, command, statementCommand } from './protocol';
import { ResponseScanner, type Outcome, type Shape } from './response';
import { KeptStatements } from './prepared';
import { type Kind, type Opened } from './driver';
import { type Settings } from './settings';

export interface Sink {
  /** Bytes of the answer. Returns false to be sent nothing until `resume`. */
  data(chunk: Buffer): boolean;
  done(outcome: Outcome): void;
  /** @param nextSequence number of the packet that could follow; undefined in the middle of one */
  lost(nextSequence: number | undefined): void;
}

export interface Answer {
  readonly outcome: Outcome;
  readonly bytes: Buffer;
}

const TRACK = command(COMMAND.query, 'SET SESSION session_track_state_change = 1');

export class Backend {
  readonly kind: Kind;
  readonly threadId: number;
  readonly statements = new KeptStatements();
  /** What the connection has been set to; undefined: to what nobody knows. */
  settings: string | undefined = '';
  /** The session that used it last, which alone may ask about its last statement. */
  lastUser: object | undefined;
  /** The database tells of changes of the session's state. */
  isTracked = false;
  readonly #stream: Duplex;
  #scanner: ResponseScanner | undefined;
  #sink: Sink | undefined;
  #isClosed = false;
  /** Called once when the connection has ended, by whomever. */
  onClose: () => void = () => undefined;
  /** Called when it has ended while its session had no command under way. */
  onLost: (() => void) | undefined;

  /** @param database where it began, and where a reset alone does not bring it back to; '' for none */
  constructor({ stream, kind, threadId }: Opened, readonly database: string) {
    this.#stream = stream;
    this.kind = kind;
    this.threadId = threadId;
    stream.on('data', (chunk: Buffer) => this.#receive(chunk));
    stream.on('error', () => this.#fail());
    stream.on('close', () => this.#fail());
    stream.on('end', () => this.#fail());
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** A command is under way. */
  get isBusy(): boolean {
    return this.#sink !== undefined;
  }

  /** Begins a command; its bytes are then written with `write`. */
  start(shape: Shape, sink: Sink): void {
    this.#scanner = new ResponseScanner(shape);
    this.#sink = sink;
  }

  /** Returns false when the connection takes no more for now; `onDrain` tells when it does again. */
  write(bytes: Buffer): boolean {
    return this.#isClosed || this.#stream.write(bytes);
  }

  onDrain(callback: () => void): void {
    this.#stream.once('drain', callback);
  }

  resume(): void {
    this.#stream.resume();
  }

  /** Runs a command of the wire's own. Rejects with `CARTON_SIDECAR_WIRE_LOST`. */
  exchange(bytes: Buffer, shape: Shape): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const chunks: Buffer[] = [];
      let size = 0;
      const lost = (): void => reject(new CartonError('CARTON_SIDECAR_WIRE_LOST'));
      if (this.#isClosed) return lost();
      this.start(shape, {
        data: (chunk) => {
          chunks.push(chunk);
          size += chunk.length;
          if (size > LIMITS.wireAnswerBytes) this.#fail();
          return true;
        },
        done: (outcome) => resolve({ outcome, bytes: Buffer.concat(chunks) }),
        lost,
      });
      this.write(bytes);
    });
  }

  /** Lets the database tell of changes of the session's state, where it can. */
  async track(): Promise<void> {
    if ((this.kind & CAPABILITY.sessionTrack) !== 0) this.isTracked = !(await this.exchange(TRACK, 'results')).outcome.failed;
  }

  /** Makes it as new. Rejects with `CARTON_SIDECAR_WIRE_LOST`; it is closed then. */
  async reset(): Promise<void> {
    const { outcome } = await this.exchange(command(COMMAND.resetConnection), 'one');
    this.statements.clear();
    // From where another session went to there is no way back to none.
    if (outcome.failed || this.database === '') this.#fail();
    if ((await this.exchange(command(COMMAND.initDb, Buffer.from(this.database)), 'one')).outcome.failed) this.#fail();
    await this.track();
    this.settings = '';
    this.lastUser = undefined;
  }

  /** Sets it to what a session needs. Rejects with `CARTON_SIDECAR_WIRE_LOST`; it is closed then. */
  async adopt(settings: Settings): Promise<void> {
    if (this.settings !== '') await this.reset();
    this.settings = undefined;
    for (const { sql, mayFail } of settings.statements) {
      const { outcome } = await this.exchange(command(COMMAND.query, sql), 'results');
      if (!outcome.failed || mayFail === true) continue;
      this.#fail();
      throw new CartonError('CARTON_SIDECAR_WIRE_LOST', { of: 'a setting of the session', got: sql });
    }
    this.settings = settings.key;
  }

  /** The statement's number here; prepares it where it is not. Undefined: it cannot be prepared any more, and why. */
  async prepare(sql: string): Promise<number | Buffer> {
    const { outcome, bytes } = await this.exchange(command(COMMAND.prepare, sql), 'prepared');
    if (outcome.failed) return bytes;
    const id = bytes.readUInt32LE(5);
    this.keep(sql, id);
    return id;
  }

  keep(sql: string, id: number): void {
    const closed = this.statements.keep(sql, id);
    if (closed !== undefined) this.write(statementCommand(COMMAND.closeStatement, closed));
  }

  /** The status that the server has now: an ERR packet does not tell. */
  async status(): Promise<number> {
    const { outcome } = await this.exchange(command(COMMAND.ping), 'one');
    return outcome.status ?? STATUS.autocommit;
  }

  /** Ends it, and tells nobody but `onClose`; the database rolls back what was open. */
  destroy(): void {
    this.#sink = undefined;
    this.onLost = undefined;
    this.#fail();
  }

  /** Takes leave first. */
  quit(): void {
    if (!this.#isClosed) this.#stream.end(command(COMMAND.quit), () => this.#stream.destroy());
    this.#sink = undefined;
    this.#fail({ isPolite: true });
  }

  #receive(chunk: Buffer): void {
    const scanner = this.#scanner;
    const sink = this.#sink;
    if (scanner === undefined || sink === undefined) return this.#fail();
    const end = scanner.push(chunk);
    if (scanner.isBad || (end !== -1 && end !== chunk.length)) return this.#fail();
    if (!sink.data(chunk)) this.#stream.pause();
    if (end === -1 || this.#sink !== sink) return;
    this.#stream.resume();
    this.#sink = undefined;
    this.#scanner = undefined;
    sink.done(scanner.outcome);
  }

  #fail({ isPolite } = { isPolite: false }): void {
    if (!isPolite) this.#stream.destroy();
    if (this.#isClosed) return;
    this.#isClosed = true;
    const sink = this.#sink;
    const nextSequence = this.#scanner?.nextSequence;
    this.#sink = undefined;
    this.onClose();
    if (sink === undefined) this.onLost?.();
    else sink.lost(nextSequence);
  }
}
