/**
 * Serves the databases of ORMs to the drivers in function processes: one socket for each connection in an ORM's settings,
 * and behind it the wire. Runs in sidecars.
 */
import { rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Server } from 'node:net';
import { join } from 'node:path';
import type { HostLog, ProxiedClient } from '../../lib/support/host_environment';
import { decodeClaims, mayUse } from '../../lib/protocol/claims';
import { wirePath } from '../../lib/protocol/wire_path';
import { listenPrivately } from '../../lib/rpc/handshake';
import { backendOf, connectionLimitOf, databaseConnections } from '../../lib/spec/database_connections';
import type { SidecarOptions } from './client_server';
import { MysqlWire } from './wire/mysql/wire';

export interface WireApplication {
  readonly baseDir: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly logger: HostLog;
}

interface Listening {
  readonly wire: MysqlWire;
  readonly server: Server;
  readonly path: string;
}

export class Wires {
  readonly #app: WireApplication;
  readonly #options: SidecarOptions;
  readonly #listening: Listening[] = [];

  constructor(app: WireApplication, options: SidecarOptions) {
    this.#app = app;
    this.#options = options;
  }

  /** Rejects where the application has no mysql2, or a socket cannot be made. */
  async listen(): Promise<void> {
    const { held, socketPath } = this.#options;
    for (const client of held.filter(({ kind }) => kind === 'mysql-wire')) {
      for (const { id, settings } of databaseConnections(this.#app.config[client.client])) {
        const wire = this.#wireOf(client, settings);
        const path = wirePath(socketPath, client.client, id);
        rmSync(path, { force: true });
        this.#listening.push({ wire, path, server: await listenPrivately(path, (socket) => wire.serve(socket)) });
      }
    }
  }

  async close(): Promise<void> {
    for (const { server, path } of this.#listening) {
      server.close();
      rmSync(path, { force: true });
    }
    await Promise.all(this.#listening.map(({ wire }) => wire.close()));
  }

  #wireOf({ client }: ProxiedClient, settings: Record<string, unknown>): MysqlWire {
    const { clock } = this.#options;
    const requireAsApplication = createRequire(join(this.#app.baseDir, 'package.json'));
    return new MysqlWire({
      backend: backendOf(settings),
      connectionLimit: connectionLimitOf(settings),
      passwordOf: (user) => this.#passwordOf(user, client),
      driver: requireAsApplication('mysql2') as unknown,
      clock,
      log: this.#app.logger,
    });
  }

  /** A driver says in the place of its user what a session claims. */
  #passwordOf(user: string, client: string): string | undefined {
    try {
      return mayUse(decodeClaims(user), client) ? this.#options.tokenOf(user) : undefined;
    } catch {
      return undefined;
    }
  }
}
