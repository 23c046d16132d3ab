/**
 * A database, a wire before it, and connections to both: what the tests of the wire share.
 */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import mysql2 from 'mysql2';
import mysql, { type Connection, type ConnectionOptions } from 'mysql2/promise';
import { MysqlWire, type MysqlWireOptions } from '../../../plugin-sidecar/lib/wire/mysql/wire';
import { systemClock } from '../../../lib/support/clock';
import { type HostLog } from '../../../lib/support/host_environment';
import { type Mariadb } from '../../support/servers/mariadb';

export const USER = 'a-function';
export const PASSWORD = 'a secret of the function';
export const SILENT: HostLog = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

export class WirePair {
  readonly wire: MysqlWire;
  readonly #directory = mkdtempSync(path.join(os.tmpdir(), 'carton-test-wire-'));
  readonly socketPath = path.join(this.#directory, 'mysql.sock');
  readonly #server = net.createServer((socket) => this.wire.serve(socket));
  readonly #connections: Connection[] = [];

  constructor(readonly database: Mariadb, options: Partial<MysqlWireOptions> = {}) {
    this.wire = new MysqlWire({ backend: this.direct, connectionLimit: 4, passwordOf: (user) => (user === USER ? PASSWORD : undefined), driver: mysql2, clock: systemClock, log: SILENT, ...options });
  }

  /** How to connect to the database itself. */
  get direct(): { socketPath: string; user: string; password: string; database: string } {
    const { socketPath, user, password, database } = this.database;
    return { socketPath, user, password, database };
  }

  /** How to connect to the wire. */
  get options(): { socketPath: string; user: string; password: string; database: string } {
    return { socketPath: this.socketPath, user: USER, password: PASSWORD, database: this.database.database };
  }

  async listen(): Promise<this> {
    await once(this.#server.listen(this.socketPath), 'listening');
    return this;
  }

  /** A connection through the wire; the pair ends it. */
  async connect(options: ConnectionOptions = {}): Promise<Connection> {
    return this.#kept(await mysql.createConnection({ ...this.options, ...options }));
  }

  /** A connection to the database itself. */
  async connectDirectly(options: ConnectionOptions = {}): Promise<Connection> {
    return this.#kept(await mysql.createConnection({ ...this.direct, ...options }));
  }

  /** Bare bytes to the wire. */
  async socket(): Promise<net.Socket> {
    const socket = net.connect(this.socketPath);
    await once(socket, 'connect');
    return socket;
  }

  async close(): Promise<void> {
    for (const connection of this.#connections) connection.destroy();
    this.#server.close();
    await this.wire.close();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  #kept(connection: Connection): Connection {
    // A connection that is ended by the other side is for the test to notice, at its next command.
    connection.on('error', () => undefined);
    this.#connections.push(connection);
    return connection;
  }
}

/** The first row's first column. */
export async function value(connection: Pick<Connection, 'query'>, sql: string, values?: unknown[]): Promise<unknown> {
  const [rows] = await connection.query(sql, values);
  return Object.values((rows as Record<string, unknown>[])[0] ?? {})[0];
}
