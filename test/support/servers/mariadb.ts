/**
 * A real MariaDB for tests, started by the test process in a directory of its own. It keeps true
 * that the server listens on 127.0.0.1 alone, reads no configuration of the machine, and has an
 * empty database and a user with a random password and all rights.
 */
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { ensurePrograms } from './install';
import { HOST, startServer, type Place, type ServerRecipe } from './server';

export interface Mariadb {
  readonly host: string;
  readonly port: number;
  readonly socketPath: string;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  /** Ends the server and removes its data. */
  stop(): Promise<void>;
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>;
  /** After `kill`: starts it again on the same data and port. */
  restart(): Promise<void>;
}

export interface MariadbOptions {
  /** Whether what was committed is still there after `kill`. @default false */
  readonly durable?: boolean;
}

const PACKAGE = {
  apt: 'mariadb-server',
  programs: { server: [ 'mariadbd', 'mysqld' ], installDb: [ 'mariadb-install-db' ] },
} as const;

/** Nothing here outlives the test, so nothing has to survive a crash: no flush, no double write. */
const SMALL_AND_QUICK = [
  '--innodb-buffer-pool-size=16M',
  '--innodb-log-file-size=8M',
  '--innodb-flush-log-at-trx-commit=0',
  '--innodb-flush-method=nosync',
  '--skip-innodb-doublewrite',
  '--sync-frm=0',
  '--key-buffer-size=1M',
  '--aria-pagecache-buffer-size=8M',
];

/**
 * Each commit is in the kernel's hands before it is told, and so are pages twice, since a kill may cut the writing of one
 * in the middle. The kernel outlives the server, so nothing has to reach a disk.
 */
const DURABLE = ['--innodb-flush-log-at-trx-commit=2', '--innodb-doublewrite'];

export async function startMariadb({ durable = false }: MariadbOptions = {}): Promise<Mariadb> {
  const programs = await ensurePrograms(PACKAGE);
  const account = { user: 'carton', password: randomBytes(12).toString('hex'), database: 'carton_test' };
  const server = await startServer(recipe(programs, account, durable ? DURABLE : []));
  const { port, stop, kill, restart } = server;
  return { host: HOST, port, socketPath: socketPath(server), ...account, stop, kill, restart };
}

type Account = Pick<Mariadb, 'user' | 'password' | 'database'>;

/** `flags`: on top of the usual ones; the last of two counts. */
function recipe(programs: { server: string; installDb: string }, account: Account, flags: readonly string[]): ServerRecipe {
  return {
    name: 'mariadb',
    startTimeoutMs: 60_000,
    prepare: directory => [
      programs.installDb, '--no-defaults', ...asRoot(), ...paths(directory),
      '--skip-test-db', '--auth-root-authentication-method=normal', '--skip-name-resolve', ...SMALL_AND_QUICK,
    ],
    command: place => [ ...serverCommand(programs.server, place, account), ...flags ],
    // The server speaks first: a packet with sequence number 0 and protocol version 10. The socket
    // file is in our own directory, and opened after the port: who answers there is our server.
    probe: place => ({ at: { path: socketPath(place) }, expect: /^...\0\n/s }),
  };
}

function serverCommand(program: string, place: Place, account: Account): string[] {
  const initFile = path.join(place.directory, 'init.sql');
  writeFileSync(initFile, firstStatements(account));
  return [
    program, '--no-defaults', ...asRoot(),
    ...paths(place.directory),
    `--socket=${socketPath(place)}`, `--pid-file=${path.join(place.directory, 'mariadb.pid')}`,
    `--bind-address=${HOST}`, `--port=${place.port}`,
    `--init-file=${initFile}`, '--skip-name-resolve', '--max-connections=200', ...SMALL_AND_QUICK,
  ];
}

/** One statement a line, as `--init-file` wants; repeatable, for a second start on another port. */
function firstStatements({ user, password, database }: Account): string {
  return [
    `CREATE DATABASE IF NOT EXISTS ${database};`,
    `CREATE USER IF NOT EXISTS '${user}'@'%' IDENTIFIED BY '${password}';`,
    `GRANT ALL ON *.* TO '${user}'@'%' WITH GRANT OPTION;`,
    '',
  ].join('\n');
}

/** MariaDB refuses to run as root unless told so by name; another user needs no telling. */
function asRoot(): string[] {
  return process.getuid?.() === 0 ? [ '--user=root' ] : [];
}

/** A tmpdir of its own also for the making of the data: a MariaDB that starts deletes the temporary tables of others there. */
function paths(directory: string): string[] {
  return [ `--datadir=${path.join(directory, 'data')}`, `--tmpdir=${directory}` ];
}

function socketPath(place: Place): string {
  return path.join(place.directory, 'mariadb.sock');
}
