/**
 * Uses each real server of `test/support/servers` once, through the driver applications use. It
 * runs in the mocha process, and keeps true that the other tests can count on these servers: they
 * start, work, stop, and do not outlive the process that started them.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, watch } from 'node:fs';
import { connect } from 'node:net';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import Redis from 'ioredis';
import mysql, { type RowDataPacket } from 'mysql2/promise';
import { startMariadb, type Mariadb } from '../support/servers/mariadb';
import { startRedis, type Redis as RedisServer } from '../support/servers/redis';

/** The first run on a machine may have to install the server. */
const INSTALL_TIMEOUT_MS = 10 * 60_000;

const SERVERS = path.join(__dirname, '..', 'support', 'servers');

describe('test/compat/real_servers.test.ts', () => {
  describe('MariaDB through mysql2', () => {
    let server: Mariadb;

    before(async function() {
      this.timeout(INSTALL_TIMEOUT_MS);
      server = await startMariadb();
    });
    after(() => server?.stop());

    it('shows a row inside its transaction, and not after the rollback', async () => {
      const { host, port, user, password, database } = server;
      const connection = await mysql.createConnection({ host, port, user, password, database });
      try {
        const count = async () => (await connection.query<RowDataPacket[]>('SELECT name FROM eggs'))[0].map(row => row.name as string);
        await connection.query('CREATE TABLE eggs (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(20) NOT NULL)');
        await connection.beginTransaction();
        await connection.execute('INSERT INTO eggs (name) VALUES (?)', [ 'duck' ]);
        assert.deepEqual(await count(), [ 'duck' ]);
        await connection.rollback();
        assert.deepEqual(await count(), []);
      } finally {
        await connection.end();
      }
    });

    it('accepts the same account at its socket file', async () => {
      const { socketPath, user, password, database } = server;
      const connection = await mysql.createConnection({ socketPath, user, password, database });
      await connection.ping();
      await connection.end();
    });
  });

  describe('Redis through ioredis', () => {
    let server: RedisServer;

    before(async function() {
      this.timeout(INSTALL_TIMEOUT_MS);
      server = await startRedis();
    });
    after(() => server?.stop());

    it('gives back the bytes of a buffer, and answers a pipeline in order', async () => {
      const redis = new Redis({ host: server.host, port: server.port });
      try {
        const bytes = Buffer.from([ 0, 255, 13, 10, 128 ]);
        assert.equal(await redis.set('bytes', bytes), 'OK');
        assert.deepEqual(await redis.getBuffer('bytes'), bytes);
        const answers = await redis.pipeline().incr('count').incr('count').get('count').exec();
        assert.deepEqual(answers, [[ null, 1 ], [ null, 2 ], [ null, '2' ]]);
      } finally {
        redis.disconnect();
      }
    });

    it('has neither process nor directory left after stop()', async () => {
      const other = await startRedis();
      await other.stop();
      await other.stop();
      assert.equal(existsSync(path.dirname(other.socketPath)), false);
      await assertRefused(other);
    });
  });

  describe('a killed test process', () => {
    for (const [ name, file, start ] of [[ 'MariaDB', 'mariadb', 'startMariadb' ], [ 'Redis', 'redis', 'startRedis' ]] as const) {
      it(`leaves neither ${name} nor its directory behind`, async function() {
        this.timeout(INSTALL_TIMEOUT_MS);
        const program = `require(${JSON.stringify(path.join(SERVERS, file))}).${start}().then(server => console.log(JSON.stringify(server)))`;
        const starter = spawn(process.execPath, [ '-e', `${program}; setInterval(() => {}, 1000)` ], { stdio: [ 'ignore', 'pipe', 'inherit' ] });
        const server = JSON.parse(await firstLine(starter.stdout)) as RedisServer;
        const gone = untilGone(path.dirname(server.socketPath));
        starter.kill('SIGKILL');
        await gone;
        await assertRefused(server);
      });
    }
  });
});

/** Rejects when the output ends without a line: the process failed, and said why on stderr, which is ours. */
async function firstLine(output: Readable): Promise<string> {
  for await (const line of createInterface(output)) return line;
  throw new Error('the process ended before it printed a line');
}

/** Resolves once the directory is removed; mocha's timeout is the bound. */
async function untilGone(directory: string): Promise<void> {
  const watcher = watch(path.dirname(directory));
  while (existsSync(directory)) await once(watcher, 'change');
  watcher.close();
}

async function assertRefused({ host, port }: { host: string; port: number }): Promise<void> {
  const socket = connect({ host, port });
  try {
    await assert.rejects(once(socket, 'connect'), { code: 'ECONNREFUSED' });
  } finally {
    socket.destroy();
  }
}
