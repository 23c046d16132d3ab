/**
 * MySQL for function processes: their drivers connect to the sidecar as they would to the database, and the sidecar maps
 * many such connections onto a few to the database, a transaction at a time. It runs in sidecars.
 *
 * ORMs have their models bound to a driver and cannot be reached call by call; a driver's connection can. Packets pass
 * through unread but for commands, statuses, and the text of statements: see `statement.ts` for what binds a session.
 */
import type { Duplex } from 'node:stream';
import { type Clock } from '../../../../lib/support/clock';
import { CartonError, describeWithCode } from '../../../../lib/support/errors';
import { type HostLog } from '../../../../lib/support/host_environment';
import { LIMITS } from '../../../../lib/support/limits';
import { collationOf, kindOf } from './driver';
import { Frontend } from './frontend';
import { type Login } from './handshake';
import { login } from './login';
import { BackendPool } from './pool';
import { SessionStatements, StatementTexts } from './prepared';
import { errorPacket } from './protocol';
import { Session } from './session';
import { settingsOfHandshake } from './settings';

export interface MysqlWireOptions {
  /** Of the database, as mysql2's createConnection takes them: host, port or socketPath, user, password, database, ssl, … */
  readonly backend: Readonly<Record<string, unknown>>;
  /** Connections to the database, at most. For a moment there is one more, when a statement of a process that ended is killed. */
  readonly connectionLimit: number;
  /** Who may connect: the password of that user; undefined refuses. */
  readonly passwordOf: (user: string) => string | undefined;
  /** mysql2's main module, resolved from the application, whose choice of version it is. */
  readonly driver: unknown;
  readonly clock: Clock;
  readonly log: HostLog;
}

export interface MysqlWireStatus {
  /** Connections of function processes. */
  readonly frontends: number;
  /** Connections to the database. */
  readonly backends: number;
  /** Connections of function processes that keep one to the database. */
  readonly pinned: number;
  /** Those that wait for one. */
  readonly waiting: number;
}

export class MysqlWire {
  readonly #pool: BackendPool;
  readonly #texts = new StatementTexts();
  readonly #frontends = new Set<Frontend>();
  /** Connections that are not let in yet. */
  readonly #entering = new Set<Duplex>();
  #newest = 0;
  #isClosed = false;

  constructor(readonly options: MysqlWireOptions) {
    this.#pool = new BackendPool(options);
  }

  get status(): MysqlWireStatus {
    const pinned = [...this.#frontends].filter(({ isPinned }) => isPinned).length;
    return { frontends: this.#frontends.size, backends: this.#pool.size, pinned, waiting: this.#pool.waiting };
  }

  /** Takes a connection of a function process, unread. */
  serve(socket: Duplex): void {
    socket.on('error', (error) => this.options.log.debug(`[carton] a connection to the wire broke: ${describeWithCode(error)}`));
    if (this.#isClosed || this.#frontends.size + this.#entering.size >= LIMITS.wireConnections) {
      this.#refuse(socket, new CartonError('CARTON_SIDECAR_WIRE_BUSY', { got: `${this.#frontends.size} connections` }));
      return;
    }
    this.#entering.add(socket);
    void this.#enter(socket).finally(() => this.#entering.delete(socket));
  }

  /** Ends all connections; transactions that were open are rolled back. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const socket of this.#entering) socket.destroy();
    for (const frontend of [...this.#frontends]) frontend.end();
    await this.#pool.close();
  }

  async #enter(socket: Duplex): Promise<void> {
    const { clock, passwordOf, backend, log } = this.options;
    const timer = clock.after(LIMITS.wireConnectMs + LIMITS.handshakeMs, () => socket.destroy());
    try {
      const facts = await this.#pool.facts().catch((error: unknown) => {
        this.#refuse(socket, error as CartonError);
        throw error;
      });
      this.#newest = (this.#newest % 0xffffffff) + 1;
      this.#admit(socket, await login(socket, { facts, threadId: this.#newest, passwordOf, database: backend.database }));
    } catch (error) {
      log.debug(`[carton] a connection to the wire was refused: ${describeWithCode(error)}`);
      socket.end(() => socket.destroy());
    } finally {
      timer.cancel();
    }
  }

  #admit(socket: Duplex, entered: Login): void {
    const { driver, clock, backend } = this.options;
    if (socket.destroyed || this.#isClosed) {
      socket.destroy();
      return;
    }
    const session = new Session(kindOf(entered), settingsOfHandshake(entered.capabilities, collationOf(driver, entered.collation)), new SessionStatements(this.#texts));
    const frontend: Frontend = new Frontend({ socket, session, pool: this.#pool, clock, database: backend.database, onEnd: () => this.#frontends.delete(frontend) });
    this.#frontends.add(frontend);
  }

  /** In place of the greeting. */
  #refuse(socket: Duplex, error: CartonError): void {
    socket.end(errorPacket(0, error), () => socket.destroy());
  }
}
