/**
 * A template that opens a MySQL pool and clients of Redis while it boots, as an application does, and forks that use
 * them. Runs in templates and their forks.
 */
import { randomUUID } from 'node:crypto';
import Redis from 'ioredis';
import mysql from 'mysql2';
import type { Fork } from '../../../lib/fork/program';

export interface ClientsArgument {
  readonly mysql: { readonly host: string; readonly port: number; readonly user: string; readonly password: string; readonly database: string };
  readonly redis: { readonly host: string; readonly port: number };
  /** What it holds on to that cannot be closed. */
  readonly busy?: 'connection' | 'transaction' | 'blocked' | 'monitor';
}

export interface Told {
  readonly connectionIds: number[];
  readonly clientId: number;
  readonly ids: string[];
  readonly database: string;
  readonly heard: string;
  readonly failures: string[];
}

interface Clients {
  readonly pool: mysql.Pool;
  readonly redis: Redis;
  readonly subscriber: Redis;
}

const INSERTS = 50;
const CHANNEL = 'news';
const kept: unknown[] = [];
const heard: Promise<string>[] = [];

export async function warm(argument: ClientsArgument): Promise<Clients> {
  const pool = mysql.createPool({ ...argument.mysql, connectionLimit: 5 });
  await Promise.all([1, 2, 3].map(() => pool.promise().query('SELECT SLEEP(0.01)')));
  const redis = new Redis(argument.redis);
  await redis.select(3);
  await redis.set('place', 'third database');
  const subscriber = new Redis(argument.redis);
  await subscriber.subscribe(CHANNEL);
  heard.push(new Promise((resolve) => subscriber.once('message', (_channel, message) => resolve(message))));
  if (argument.busy !== undefined) kept.push(await BUSY[argument.busy](argument, pool));
  return { pool, redis, subscriber };
}

const BUSY = {
  async connection({ mysql: server }: ClientsArgument) {
    const connection = mysql.createConnection(server); // mark: connection
    await connection.promise().query('SELECT 1');
    return connection;
  },
  transaction: (_argument: ClientsArgument, pool: mysql.Pool) => pool.promise().getConnection(),
  blocked({ redis: server }: ClientsArgument) {
    const redis = new Redis(server);
    void redis.blpop('nobody-pushes', 0);
    return redis.duplicate().ping().then(() => redis);
  },
  monitor: ({ redis: server }: ClientsArgument) => new Redis(server).monitor(),
} satisfies Record<NonNullable<ClientsArgument['busy']>, unknown>;

export function run({ channel, argument }: Fork, clients: Clients): void {
  use(clients, String(argument)).then(
    (told) => channel.end(JSON.stringify(told)),
    (error: Error) => channel.end(JSON.stringify({ failures: [String(error.stack)] })),
  );
  channel.on('close', () => process.exit(0));
  channel.resume();
}

/** Nothing here waits for `restored`: what is asked for at once has to be answered as well. */
async function use({ pool, redis, subscriber }: Clients, name: string): Promise<Told> {
  const failures: string[] = [];
  const failed = (error: Error): void => void failures.push(error.message);
  redis.on('error', failed);
  pool.on('error', failed);
  const place = redis.get('place');
  const connectionIds = new Set<number>();
  const ids = Array.from({ length: INSERTS }, () => [randomUUID(), Math.random().toString(36)].join('-'));
  await Promise.all(ids.map(async (id) => {
    const [rows] = await pool.promise().query<mysql.RowDataPacket[]>('SELECT CONNECTION_ID() AS id');
    connectionIds.add(Number(rows[0]?.['id']));
    await pool.promise().execute('INSERT INTO inserted (uuid, random, fork) VALUES (?, ?, ?)', [id.slice(0, 36), id.slice(37), name]);
    await redis.incr('inserted');
  }).map((insert) => insert.catch(failed)));
  const clientId = Number(await redis.call('CLIENT', 'ID'));
  // Its subscription is back once it is ready, since it is asked for before whatever comes after.
  await subscriber.subscribe('afterwards');
  await redis.publish(CHANNEL, name);
  return { connectionIds: [...connectionIds], clientId, ids, database: String(await place), heard: await (heard[0] as Promise<string>), failures };
}

