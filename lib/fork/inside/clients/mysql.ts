/**
 * Pools of mysql2 and mysql, and so of ORMs on top of them: free connections are let go, and the pool opens others when
 * it is asked for one. Connections of Sequelize, whose pool is its own, likewise. Runs in templates.
 */
import type { Socket } from 'node:net';
import { packagesOf } from '../inspection/owner';
import type { OpenSocket } from '../inspection/handles';
import type { Origins } from '../origins';
import { comesTrue, type Client } from './client';

/** What both libraries have in common, in all versions that were looked at. */
interface Connection {
  readonly stream?: Socket;
  readonly _socket?: Socket;
  readonly _pool?: object | null;
  /** mysql2: the command that runs. */
  readonly _command?: object | null;
  destroy(): void;
}

interface Pool {
  readonly _allConnections: List;
  readonly _freeConnections: List;
}

/** An array, or one of the queues that mysql2 has had. */
type List = Iterable<Connection> | { readonly length: number; get?(index: number): Connection; toArray?(): Connection[] };

export const mysql: Client = {
  async close(origins, sockets) {
    await Promise.all(poolsOf(origins).map(closePool));
    for (const { socket, origin } of sockets) closeOfSequelize(connectionOf(origins, socket), { socket, origin });
  },
  describe(origins, socket) {
    const connection = connectionOf(origins, socket);
    if (connection === undefined) return undefined;
    return (connection._pool ?? null) === null ? 'of a MySQL client, outside a pool' : 'of a MySQL pool, in use';
  },
};

async function closePool(pool: Pool): Promise<void> {
  // Those that a query has come back from are released in the turns that follow.
  await comesTrue(() => listed(pool._freeConnections).length === listed(pool._allConnections).length);
  for (const connection of listed(pool._freeConnections)) {
    // The pool forgets it; its last bytes would wait for the server.
    connection.destroy();
    socketOf(connection)?.destroy();
  }
}

/** Its pool looks at a connection before it hands it out, and makes another one of one that is closed. */
function closeOfSequelize(connection: Connection | undefined, { socket, origin }: Pick<OpenSocket, 'socket' | 'origin'>): void {
  if (connection === undefined || (connection._pool ?? null) !== null || (connection._command ?? null) !== null) return;
  if (!packagesOf(origin.stack).includes('sequelize')) return;
  connection.destroy();
  socket.destroy();
}

function poolsOf(origins: Origins): Pool[] {
  return origins.instances('mysqlPool').filter((pool): pool is Pool & object => '_allConnections' in pool && '_freeConnections' in pool);
}

function connectionOf(origins: Origins, socket: Socket): Connection | undefined {
  return (origins.instances('mysqlConnection') as Connection[]).find((connection) => socketOf(connection) === socket);
}

function socketOf({ stream, _socket }: Connection): Socket | undefined {
  return stream ?? _socket;
}

function listed(list: List): Connection[] {
  if (Symbol.iterator in list) return [...list];
  if (list.toArray !== undefined) return list.toArray();
  return Array.from({ length: list.length }, (_, index) => list.get?.(index)).filter((connection) => connection !== undefined);
}
