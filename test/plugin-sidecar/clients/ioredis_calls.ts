/**
 * Calls of ioredis clients for tests, and what is told of their results: the versions that are used, and the same list of
 * calls for a direct client and for what stands for one.
 */
import type { EventEmitter } from 'node:events';
import { createRequire } from 'node:module';
import { Remote } from '../../../lib/rpc/remote';
import type { ClientLine } from '../../../lib/runtime/clients/client_line';
import { redisStandIn } from '../../../lib/runtime/clients/ioredis';
import { serveRedis } from '../../../plugin-sidecar/lib/clients/ioredis';
import { sessionPair, type Pair } from '../../support/session_pair';

export type Reply = Promise<unknown>;
/** As much of ioredis as is called here; a command may have any arguments. */
export type Batch = { exec(callback?: unknown): Reply } & { readonly [command: string]: (...args: unknown[]) => Batch };
export type Client = EventEmitter & Record<string, (...args: unknown[]) => Reply> & {
  status: string;
  isCluster: boolean;
  options: Record<string, unknown>;
  pipeline(commands?: unknown[]): Batch;
  disconnect(): void;
  duplicate(...options: unknown[]): Client;
};
export type Constructor = new (options: object) => Client;

const fromPlugin = createRequire(require.resolve('egg-redis/package.json'));
export const VERSIONS: [string, NodeJS.Require][] = [[fromPlugin('ioredis/package.json') as { version: string }, fromPlugin] as const, [require('ioredis/package.json') as { version: string }, require] as const].map(([{ version }, from]) => [version, from]);

/** Calls that are to have the same results, whatever stands behind the client. */
export const SAME: [string, (redis: Client) => unknown][] = [
  ['set and get', async (r) => [await r['set']?.('k', 'v'), await r['get']?.('k'), await r['get']?.('none')]],
  ['options of a command', async (r) => [await r['set']?.('k', 'v', 'EX', 10, 'NX'), await r['set']?.('k', 'w', 'NX'), await r['ttl']?.('k')]],
  ['numbers, booleans, dates and nothing as text', async (r) => [await r['mset']?.('a', 1.5, 'b', true, 'c', null, 'd', undefined, 'e', new Date(0)), await r['mget']?.('a', 'b', 'c', 'd'), (await r['get']?.('e')) === String(new Date(0))]],
  ['objects that know their text', async (r) => [await r['set']?.('k', { toString: () => 'own' }), await r['get']?.('k')]],
  ['arrays among the arguments', async (r) => [await r['rpush']?.('l', ['a', 'b'], 'c'), await r['lrange']?.(['l', 0, -1])]],
  ['binary keys and values', async (r) => {
    const bytes = Buffer.from([0, 255, 13, 10, 128]);
    return [await r['set']?.(bytes.subarray(0, 2), bytes), await r['getBuffer']?.(bytes.subarray(0, 2)), await r['set']?.('k', bytes), await r['getBuffer']?.('k'), await r['mgetBuffer']?.('k', 'none'), await r['hset']?.('h', 'f', bytes), await r['hgetallBuffer']?.('h')];
  }],
  ['hmset and hset of an object, of one of a class, and of a Map', async (r) => {
    class Row { a = 1; b = 'two'; }
    return [await r['hmset']?.('h', { x: 1, y: null }), await r['hset']?.('h', new Row()), await r['hset']?.('h', new Map<unknown, unknown>([['m', 2], [3, Buffer.from('b')]])), await r['hset']?.('h', 'date', 7), await r['hgetall']?.('h'), await r['hgetall']?.('none')];
  }],
  ['fields with names of every object', async (r) => [await r['hset']?.('h', '__proto__', 'p', 'constructor', 'c'), Object.entries((await r['hgetall']?.('h')) as object)]],
  ['mset of an object and a Map', async (r) => [await r['mset']?.({ a: 1, b: 2 }), await r['msetnx']?.(new Map([['a', 3]])), await r['mget']?.('a', 'b')]],
  ['nested replies', async (r) => [await r['xadd']?.('s', '1-1', 'f', 'v'), await r['xrange']?.('s', '-', '+'), await r['xread']?.('STREAMS', 's', '0'), await r['zadd']?.('z', 1, 'a', 2.5, 'b'), await r['zrange']?.('z', 0, -1, 'WITHSCORES')]],
  ['call and callBuffer', async (r) => [await r['call']?.('SET', 'k', 'v'), await r['call']?.('get', ['k']), await r['callBuffer']?.('get', 'k'), await r['call']?.('hset', 'h', { a: 1 })]],
  ['send_command', (r) => r['send_command']?.('echo', 'x')],
  ['large values', async (r) => [await r['set']?.('k', 'x'.repeat(300_000)), ((await r['get']?.('k')) as string).length]],
  ['text of all kinds', async (r) => [await r['set']?.('ключ', '漢字 \u0000 \ud83d\ude00'), await r['get']?.('ключ')]],
  ['what is not a command of the server', (r) => r['call']?.('NOSUCH', 1)],
  ['an error of a type', async (r) => (await r['set']?.('k', 'v'), r['lpush']?.('k', 1))],
  ['a wrong number of arguments', (r) => r['get']?.()],
  ['eval', async (r) => [await r['eval']?.('return {KEYS[1], ARGV[1], 5}', 1, 'k', 'a'), await r['set']?.('k', 'v'), await r['evalBuffer']?.('return redis.call("get", KEYS[1])', 1, 'k')]],
  ['script, config, info and client that only ask', async (r) => [await r['script']?.('exists', 'abc'), await r['config']?.('get', 'maxmemory-policy'), typeof (await r['info']?.()), typeof (await r['client']?.('id'))]],
  ['unwatch, exec and discard without anything open', async (r) => [await r['unwatch']?.(), await told(r['exec']?.()), await told(r['discard']?.())]],
  ['a pipeline', (r) => r.pipeline()['set']?.('a', 1)['get']?.('a')['getBuffer']?.('a')['lpush']?.('a', 1)['hset']?.('h', { x: 1 })['hgetall']?.('h')['exec']()],
  ['a pipeline of arrays', (r) => r.pipeline([['set', 'a', '1'], ['incr', 'a'], ['hgetall', 'none']])['exec']()],
  ['an empty pipeline', (r) => r.pipeline()['exec']()],
  ['a transaction inside a pipeline', (r) => (r.pipeline()['get']?.('a')['multi']?.()['set']?.('a', 2)['hset']?.('h', 'f', 'v')['hgetall']?.('h')['exec']() as unknown as Batch)['get']?.('a')['exec']()],
  ['multi', (r) => batchOf(r)['set']?.('a', 1)['incr']?.('a')['hset']?.('h', { f: 1 })['hgetall']?.('h')['getBuffer']?.('a')['exec']()],
  ['multi of arrays', (r) => batchOf(r, [['set', 'a', 1], ['get', 'a']])['exec']()],
  ['an empty multi', (r) => batchOf(r)['exec']()],
  ['multi whose command fails as it runs', (r) => batchOf(r)['set']?.('a', 'x')['incr']?.('a')['get']?.('a')['exec']()],
  ['multi that is aborted', (r) => batchOf(r)['set']?.('a', 'x')['set']?.('a')['exec']()],
  ['multi without a pipeline', async (r) => [await r['multi']?.({ pipeline: false }), await r['set']?.('a', '1'), await r['get']?.('a'), await r['exec']?.()]],
  ['multi without a pipeline, discarded', async (r) => [await r['multi']?.({ pipeline: false }), await r['set']?.('a', '1'), await r['discard']?.(), await r['get']?.('a')]],
  ['callbacks of a pipeline and of its commands', async (r) => {
    const heard: unknown[] = [];
    const note = (place: string) => (error: unknown, result: unknown): void => void heard.push([place, shown(error), result]);
    await r.pipeline()['set']?.('a', 'x', note('set'))['incr']?.('a', note('incr'))['exec'](note('exec'));
    await settled();
    return shown(heard);
  }],
  ['callbacks of a transaction and of its commands', async (r) => {
    const heard: unknown[] = [];
    const note = (place: string) => (error: unknown, result: unknown): void => void heard.push([place, shown(error), result]);
    await batchOf(r)['set']?.('a', 'x', note('set'))['incr']?.('a')['get']?.('a', note('get'))['exec'](note('exec'));
    await told(batchOf(r)['set']?.('a', note('bad'))['get']?.('a', note('good'))['exec'](note('aborted')));
    await settled();
    return shown(heard);
  }],
  ['lengths of pipelines', (r) => [r.pipeline()['get']?.('a')['get']?.('b')['length'], batchOf(r)['get']?.('a')['length']]],
  ['scripts that are defined', async (r) => {
    define(r);
    return [await r['pair']?.('k', 'a'), await r['pairBuffer']?.('k', 'a'), await r['anyKeys']?.(2, 'k', 'l'), await r.pipeline()['pair']?.('k', 'b')['pairBuffer']?.('k', 'c')['anyKeys']?.(1, 'k')['exec'](), await batchOf(r)['pair']?.('k', 'd')['exec']()];
  }],
  ['a command that is added', async (r) => {
    (r as unknown as { addBuiltinCommand(name: string): void }).addBuiltinCommand('echo2');
    return (await told(r['echo2']?.('x'))) as unknown;
  }],
  ['a scan', async (r) => {
    await r['mset']?.(Object.fromEntries(Array.from({ length: 50 }, (_, at) => [`s${at}`, at])));
    return (await all((r['scanStream'] as unknown as Scan)({ match: 'app:s*', count: 7 }))).flat().sort();
  }],
  ['scans of hashes, sets and sorted sets', async (r) => {
    await r['hset']?.('h', { a: 1, b: 2 });
    await r['sadd']?.('set', 'm');
    await r['zadd']?.('z', 1, 'm');
    return Promise.all(([['hscanStream', 'h'], ['sscanStream', 'set'], ['zscanStream', 'z'], ['hscanBufferStream', 'h']] as const).map(([scan, key]) => all((r[scan] as unknown as Scan)(key, { match: '*' }))));
  }],
];

export const REFUSED: [string, unknown[]][] = [
  ['select', [1]], ['auth', ['x']], ['hello', [3]], ['reset', []], ['client', ['setname', 'x']], ['client', ['REPLY', 'OFF']], ['client', ['no-evict', 'on']],
  ['call', ['SELECT', 1]], ['call', ['client', ['reply', 'off']]], ['readonly', []], ['psync', ['?', -1]], ['wait', [0, 1]],
];

export const WATCHES: [string, unknown[]][] = [['watch', ['k']], ['multi', []], ['call', ['Watch', 'k']], ['call', ['multi']], ['subscribe', ['c']], ['monitor', []], ['quit', []]];

export const NO_COMMANDS = ['disconnect', 'on', 'emit', 'options', 'constructor', '__proto__', 'sendCommand', 'duplicate', 'defineCommand', 'pipeline', 'status', 'connector', 'getBuiltinCommands', 'toString'];

export type Scan = (...args: unknown[]) => AsyncIterable<unknown>;

export function batchOf(redis: Client, commands?: unknown[]): Batch {
  return redis['multi']?.(commands) as unknown as Batch;
}

export function define(redis: Client, lua = 'return {KEYS[1], ARGV[1]}'): void {
  const { defineCommand } = redis as unknown as { defineCommand(name: string, definition: object): void };
  defineCommand.call(redis, 'pair', { lua, numberOfKeys: 1 });
  defineCommand.call(redis, 'anyKeys', { lua: 'return KEYS', readOnly: false });
}

export async function all(stream: AsyncIterable<unknown>): Promise<unknown[]> {
  const items: unknown[] = [];
  for await (const item of stream) items.push(item);
  return items;
}

/** Lets callbacks be called. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** What came, or what was thrown, with all that says what it is. */
export async function told(result: unknown): Promise<unknown> {
  try {
    return shown(await result);
  } catch (error) {
    return ['threw', shown(error)];
  }
}

export function shown(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(shown);
  if (!(value instanceof Error)) return value;
  const { command, previousErrors } = value as { command?: unknown; previousErrors?: unknown };
  return { name: value.name, message: value.message, command, previousErrors: shown(previousErrors) };
}

export interface Two {
  readonly near: Remote;
  readonly far: Remote;
  readonly pair: Pair;
}

/** A session between a stand-in's process and the sidecar. */
export async function connected(real: object, limit: number | undefined): Promise<Two> {
  const pair = await sessionPair();
  const target = serveRedis(real, { connections: limit });
  const near = new Remote(pair.left, { clock: pair.clock });
  const far = new Remote(pair.right, { clock: pair.clock, offers: () => target });
  pair.left.handlers = near.handlers;
  pair.right.handlers = far.handlers;
  return { near, far, pair };
}

export function standIn(two: () => Two, { config, from }: { readonly config: Record<string, unknown>; readonly from: NodeJS.Require }): Client {
  const line: ClientLine = {
    call: (method, args, options) => two().near.call('redis', method, args, options),
    callOn: (object, method, args, options) => object.call(method, args, options),
  };
  return redisStandIn({ line, config, require: from }) as Client;
}

/** Lines of CLIENT LIST, of the client under test alone. */
export async function list(admin: Client): Promise<string[]> {
  return String(await admin['client']?.('list')).split('\n').filter((line) => line.includes('name=ours'));
}

/** All connections of the client but its shared one. */
export async function killOthers(real: Client, admin: Client): Promise<void> {
  const shared = String(await real['client']?.('id'));
  for (const line of await list(admin)) {
    const id = /^id=(\d+)/.exec(line)?.[1];
    if (id !== undefined && id !== shared) await admin['client']?.('kill', 'id', id);
  }
}
