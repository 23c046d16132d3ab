/**
 * A real Redis for tests, started by the test process in a directory of its own. It keeps true
 * that the server listens on 127.0.0.1 alone, without password, and writes nothing to disk.
 */
import path from 'node:path';
import { ensurePrograms } from './install';
import { HOST, startServer, type Place, type ServerRecipe } from './server';

export interface Redis {
  readonly host: string;
  readonly port: number;
  readonly socketPath: string;
  /** Ends the server and removes its directory. */
  stop(): Promise<void>;
}

const PACKAGE = { apt: 'redis-server', programs: { server: [ 'redis-server' ] } } as const;

export async function startRedis(): Promise<Redis> {
  const programs = await ensurePrograms(PACKAGE);
  const server = await startServer(recipe(programs.server));
  return { host: HOST, port: server.port, socketPath: socketPath(server), stop: server.stop };
}

function recipe(program: string): ServerRecipe {
  return {
    name: 'redis',
    startTimeoutMs: 30_000,
    command: place => [
      program, '--bind', HOST, '--port', String(place.port), '--unixsocket', socketPath(place),
      '--dir', place.directory, '--save', '', '--appendonly', 'no', '--daemonize', 'no',
      // A test that fills the memory is to see an error, not a machine that swaps.
      '--maxmemory', '64mb', '--maxmemory-policy', 'noeviction',
    ],
    // The socket file is in our own directory, and opened after the port: who answers there is our server.
    probe: place => ({ at: { path: socketPath(place) }, say: 'PING\r\n', expect: /^\+PONG\r\n/ }),
  };
}

function socketPath(place: Place): string {
  return path.join(place.directory, 'redis.sock');
}
