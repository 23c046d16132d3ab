/**
 * A client of ioredis that a sidecar holds (plugin-sidecar/lib/clients/ioredis.ts) and what stands for it in an instance
 * (lib/runtime/clients/ioredis.ts), over a real socket and against a real Redis, with the versions of ioredis that are
 * used: the same calls have the same results as on a direct client.
 */
import assert from 'node:assert/strict';
import { once, type EventEmitter } from 'node:events';
import { createRequire } from 'node:module';
import { inspect } from 'node:util';
import { REDIS } from '../../../lib/protocol/redis';
import type { RemoteObject } from '../../../lib/rpc/remote';
import { Remote } from '../../../lib/rpc/remote';
import type { ClientLine } from '../../../lib/runtime/clients/client_line';
import { redisStandIn } from '../../../lib/runtime/clients/ioredis';
import { serveRedis } from '../../../plugin-sidecar/lib/clients/ioredis';
import { LIMITS } from '../../../lib/support/limits';
import { eventually } from '../../support/eventually';
import { startRedis, type Redis as RedisServer } from '../../support/servers/redis';
import { sessionPair, type Pair } from '../../support/session_pair';

type Reply = Promise<unknown>;
/** As much of ioredis as is called here; a command may have any arguments. */
interface Batch {
  [command: string]: (...args: unknown[]) => Batch;
}
type Client = EventEmitter & Record<string, (...args: unknown[]) => Reply> & {
  status: string;
  isCluster: boolean;
  options: Record<string, unknown>;
  pipeline(commands?: unknown[]): Batch;
  disconnect(): void;
  duplicate(...options: unknown[]): Client;
};
type Constructor = new (options: object) => Client;

const fromPlugin = createRequire(require.resolve('egg-redis/package.json'));
const VERSIONS: [string, NodeJS.Require][] = [[fromPlugin('ioredis/package.json') as { version: string }, fromPlugin] as const, [require('ioredis/package.json') as { version: string }, require] as const].map(([{ version }, from]) => [version, from]);

interface Two {
  readonly near: Remote;
  readonly far: Remote;
  readonly pair: Pair;
}

for (const [version, from] of VERSIONS) {
  describe(`ioredis ${version} in another process`, () => {
    const Redis = from('ioredis') as Constructor;
    let server: RedisServer;
    let admin: Client;
    /** In the sidecar. */
    let real: Client;
    let client: Client;
    let two: Two;
    let limit: number | undefined;
    const config = (): Record<string, unknown> => ({ path: server.socketPath, keyPrefix: 'app:', connectionName: 'ours' });

    before(async () => {
      server = await startRedis();
      admin = new Redis({ path: server.socketPath });
    });
    after(async () => {
      admin.disconnect();
      await server.stop();
    });
    beforeEach(async () => {
      limit = undefined;
      await begin(config());
    });
    afterEach(async () => {
      two.pair.close();
      real.disconnect();
      await admin['flushall']?.();
      await connections(0);
    });

    async function connected(): Promise<Two> {
      const pair = await sessionPair();
      const target = serveRedis(real, { connections: limit });
      const near = new Remote(pair.left, { clock: pair.clock });
      const far = new Remote(pair.right, { clock: pair.clock, offers: () => target });
      pair.left.handlers = near.handlers;
      pair.right.handlers = far.handlers;
      return { near, far, pair };
    }
    async function begin(options: Record<string, unknown>): Promise<void> {
      real = new Redis(options);
      two = await connected();
      client = standIn(options);
    }
    function standIn(options: Record<string, unknown>): Client {
      const line: ClientLine = {
        call: (method, args, callOptions) => two.near.call('redis', method, args, callOptions),
        callOn: (object, method, args, callOptions) => object.call(method, args, callOptions),
      };
      return redisStandIn({ line, config: options, require: from }) as Client;
    }
    async function again(options: Record<string, unknown>): Promise<void> {
      two.pair.close();
      real.disconnect();
      await begin(options);
    }
    /** Lines of CLIENT LIST, of the client under test alone. */
    async function list(): Promise<string[]> {
      return String(await admin['client']?.('list')).split('\n').filter((line) => line.includes('name=ours'));
    }
    async function connections(count: number): Promise<void> {
      await eventually(`${count} connections`, async () => (await list()).length === count, { seen: () => two.far.held.size });
    }
    const blocked = (): Promise<unknown> => eventually('a blocked connection', async () => (await list()).some((line) => / flags=\w*b/.test(line)));
    const raw = (method: string, ...args: unknown[]): Promise<unknown> => two.near.call('redis', method, args);

    describe('a command', () => {
      const SAME: [string, (redis: Client) => unknown][] = [
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
        ['a pipeline', (r) => r.pipeline()['set']?.('a', 1)['get']?.('a')['getBuffer']?.('a')['lpush']?.('a', 1)['hset']?.('h', { x: 1 })['hgetall']?.('h')['exec']?.()],
        ['a pipeline of arrays', (r) => r.pipeline([['set', 'a', '1'], ['incr', 'a'], ['hgetall', 'none']])['exec']?.()],
        ['an empty pipeline', (r) => r.pipeline()['exec']?.()],
        ['a transaction inside a pipeline', (r) => r.pipeline()['get']?.('a')['multi']?.()['set']?.('a', 2)['hset']?.('h', 'f', 'v')['hgetall']?.('h')['exec']?.()['get']?.('a')['exec']?.()],
        ['multi', (r) => batchOf(r)['set']?.('a', 1)['incr']?.('a')['hset']?.('h', { f: 1 })['hgetall']?.('h')['getBuffer']?.('a')['exec']?.()],
        ['multi of arrays', (r) => batchOf(r, [['set', 'a', 1], ['get', 'a']])['exec']?.()],
        ['an empty multi', (r) => batchOf(r)['exec']?.()],
        ['multi whose command fails as it runs', (r) => batchOf(r)['set']?.('a', 'x')['incr']?.('a')['get']?.('a')['exec']?.()],
        ['multi that is aborted', (r) => batchOf(r)['set']?.('a', 'x')['set']?.('a')['exec']?.()],
        ['multi without a pipeline', async (r) => [await r['multi']?.({ pipeline: false }), await r['set']?.('a', '1'), await r['get']?.('a'), await r['exec']?.()]],
        ['multi without a pipeline, discarded', async (r) => [await r['multi']?.({ pipeline: false }), await r['set']?.('a', '1'), await r['discard']?.(), await r['get']?.('a')]],
        ['callbacks of a pipeline and of its commands', async (r) => {
          const heard: unknown[] = [];
          const note = (place: string) => (error: unknown, result: unknown): void => void heard.push([place, shown(error), result]);
          await r.pipeline()['set']?.('a', 'x', note('set'))['incr']?.('a', note('incr'))['exec']?.(note('exec'));
          await settled();
          return shown(heard);
        }],
        ['callbacks of a transaction and of its commands', async (r) => {
          const heard: unknown[] = [];
          const note = (place: string) => (error: unknown, result: unknown): void => void heard.push([place, shown(error), result]);
          await batchOf(r)['set']?.('a', 'x', note('set'))['incr']?.('a')['get']?.('a', note('get'))['exec']?.(note('exec'));
          await told(batchOf(r)['set']?.('a', note('bad'))['get']?.('a', note('good'))['exec']?.(note('aborted')));
          await settled();
          return shown(heard);
        }],
        ['lengths of pipelines', (r) => [r.pipeline()['get']?.('a')['get']?.('b')['length'], batchOf(r)['get']?.('a')['length']]],
        ['scripts that are defined', async (r) => {
          define(r);
          return [await r['pair']?.('k', 'a'), await r['pairBuffer']?.('k', 'a'), await r['anyKeys']?.(2, 'k', 'l'), await r.pipeline()['pair']?.('k', 'b')['pairBuffer']?.('k', 'c')['anyKeys']?.(1, 'k')['exec']?.(), await batchOf(r)['pair']?.('k', 'd')['exec']?.()];
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
      for (const [what, run] of SAME) {
        it(`does as a direct client does: ${what}`, async () => {
          const direct = new Redis(config());
          // Before that it asks INFO, which would be part of a transaction.
          await once(direct, 'ready');
          try {
            const expected = await told(run(direct));
            await admin['flushall']?.();
            assert.deepEqual(await told(run(client)), expected);
          } finally {
            direct.disconnect();
          }
        });
      }

      it('rejects with the error of the real client', async () => {
        await client['set']?.('k', 'v');
        await assert.rejects(client['lpush']?.('k', 'x') as Promise<unknown>, (error: Error & { command?: unknown }) => {
          assert.deepEqual([error.name, error.message.startsWith('WRONGTYPE'), error.command], ['ReplyError', true, { name: 'lpush', args: ['app:k', 'x'] }]);
          return true;
        });
      });

      it('tells a callback, and is a promise as well', async () => {
        const heard = await new Promise((resolve) => void client['set']?.('k', 'v', (error: unknown, result: unknown) => resolve([error, result])));
        const failed = await new Promise((resolve) => void client['incr']?.('k', (error: Error) => resolve(error.name)));
        assert.deepEqual([heard, failed], [[null, 'OK'], 'ReplyError']);
      });

      it('has the prefix of the real client, and of no other keys', async () => {
        await client['set']?.('k', 'v');
        assert.deepEqual(await admin['keys']?.('*'), ['app:k']);
      });

      it('arrives in the order of the calls, large values among them', async () => {
        const all = [client['set']?.('k', 'x'.repeat(500_000)), client['append']?.('k', 'y'), client['strlen']?.('k'), client.pipeline()['append']?.('k', 'z'.repeat(200_000))['exec']?.(), client['strlen']?.('k')];
        const replies = await Promise.all(all);
        assert.deepEqual([replies[1], replies[2], replies[4]], [500_001, 500_001, 700_001]);
      });

      it('takes what is in an array at the time of the call', async () => {
        const values = ['a'];
        const batch = client.pipeline()['rpush']?.('l', values);
        values.push('b');
        await batch?.['exec']?.();
        assert.deepEqual(await client['lrange']?.('l', 0, -1), ['a']);
      });

      it('is sent once, however often exec is called', async () => {
        const batch = client.pipeline()['incr']?.('k');
        assert.deepEqual([await batch?.['exec']?.(), await batch?.['exec']?.(), await client['get']?.('k')], [[[null, 1]], [[null, 1]], '1']);
      });
    });

    describe('the shared connection', () => {
      const REFUSED: [string, unknown[]][] = [
        ['select', [1]], ['auth', ['x']], ['hello', [3]], ['reset', []], ['client', ['setname', 'x']], ['client', ['REPLY', 'OFF']], ['client', ['no-evict', 'on']],
        ['call', ['SELECT', 1]], ['call', ['client', ['reply', 'off']]], ['readonly', []], ['psync', ['?', -1]], ['wait', [0, 1]],
      ];
      for (const [method, args] of REFUSED) {
        it(`is not changed by ${[method, ...args].join(' ')}`, async () => {
          await assert.rejects(client[method]?.(...args) as Promise<unknown>, { code: 'CARTON_SIDECAR_SHARED_CONNECTION' });
        });
      }

      it('is not changed by a pipeline', async () => {
        for (const name of ['select', 'subscribe']) await assert.rejects(client.pipeline()['set']?.('a', 1)[name]?.('1')['exec']?.() as unknown as Promise<unknown>, { code: 'CARTON_SIDECAR_SHARED_CONNECTION' });
        assert.equal(await client['get']?.('a'), null);
      });

      const WATCHES: [string, unknown[]][] = [['watch', ['k']], ['multi', []], ['call', ['Watch', 'k']], ['call', ['multi']], ['subscribe', ['c']], ['monitor', []], ['quit', []]];
      for (const [method, args] of WATCHES) {
        it(`guarantee 2: refuses a peer's ${[method, ...args].join(' ')} there`, async () => {
          await assert.rejects(raw(method, ...args), ({ code }: { code?: string }) => code === 'CARTON_SIDECAR_SHARED_CONNECTION' || code === 'CARTON_RPC_NO_METHOD');
        });
      }

      for (const method of ['disconnect', 'on', 'emit', 'options', 'constructor', '__proto__', 'sendCommand', 'duplicate', 'defineCommand', 'pipeline', 'status', 'connector', 'getBuiltinCommands', 'toString']) {
        it(`guarantee 1: does not let ${method} be called`, async () => {
          await assert.rejects(raw(method, 'x'), { code: 'CARTON_RPC_NO_METHOD' });
        });
      }

      it('guarantee 1: takes no batch that leaves something open, runs early or is no batch', async () => {
        const options = { isTransaction: false, heard: [] };
        const BAD: unknown[] = [['watch', ['k']], ['call', ['multi']], ['exec', []], ['multi', []], ['disconnect', []], ['call', [['select'], 1]], ['get', [() => undefined]]];
        for (const command of BAD) await assert.rejects(raw(REDIS.batch, [command], options), { name: 'CartonError' });
        await assert.rejects(raw(REDIS.batch, [['get', ['k']]], { isTransaction: true, heard: [] }), { code: 'CARTON_RPC_BAD_VALUE' });
        await assert.rejects(raw(REDIS.batch, 'x', options), { code: 'CARTON_RPC_BAD_VALUE' });
        assert.equal(await client['get']?.('k'), null);
      });
    });

    describe('WATCH', () => {
      it('guards a transaction, on a connection of its own that is used again', async () => {
        await client['set']?.('k', '1');
        await client['watch']?.('k');
        assert.equal(await client['get']?.('k'), '1');
        await connections(2);
        assert.deepEqual(await batchOf(client)['set']?.('k', '2')['exec']?.(), [[null, 'OK']]);
        await client['watch']?.('k');
        await real['set']?.('k', 'other');
        assert.equal(await batchOf(client)['set']?.('k', '3')['exec']?.(), null);
        assert.equal(await client['get']?.('k'), 'other');
        await eventually('nothing is held', () => two.far.held.size === 0);
        await connections(2);
      });

      it('ends with unwatch and with discard', async () => {
        for (const end of ['unwatch', 'discard']) {
          await client['watch']?.('k');
          if (end === 'discard') await client['multi']?.({ pipeline: false });
          assert.equal(await client[end]?.(), 'OK');
          await eventually('nothing is held', () => two.far.held.size === 0);
        }
      });

      it('works in pipelines, and with callers that do not wait', async () => {
        void client.pipeline()['watch']?.('k')['get']?.('k')['exec']?.();
        const done = batchOf(client)['set']?.('k', '1')['exec']?.();
        assert.equal(await client['get']?.('k'), '1');
        assert.deepEqual(await done, [[null, 'OK']]);
      });

      it('guarantee 3: loses its connection when its function process is gone', async () => {
        await client['watch']?.('k');
        await connections(2);
        two.pair.left.close();
        await connections(1);
      });

      it('does not let a transaction run whose connection is lost, and is well afterwards', async () => {
        await client['watch']?.('k');
        await killOthers();
        await eventually('nothing is held', () => two.far.held.size === 0);
        await assert.rejects(batchOf(client)['set']?.('k', '2')['exec']?.() as unknown as Promise<unknown>, { code: 'CARTON_RPC_OBJECT_GONE' });
        assert.equal(await client['get']?.('k'), null);
        assert.equal(await client['watch']?.('k'), 'OK');
        assert.deepEqual(await batchOf(client)['set']?.('k', '3')['exec']?.(), [[null, 'OK']]);
      });
    });

    /** All connections of the client but its shared one. */
    async function killOthers(): Promise<void> {
      const shared = String(await real['client']?.('id'));
      for (const line of await list()) {
        const id = /^id=(\d+)/.exec(line)?.[1];
        if (id !== undefined && id !== shared) await admin['client']?.('kill', 'id', id);
      }
    }

    describe('a blocking command', () => {
      it('holds nothing up, and gets what comes', async () => {
        const popped = client['blpop']?.('l', 0);
        const read = client['xread']?.('BLOCK', 0, 'STREAMS', 's', '$');
        await eventually('both', async () => (await list()).filter((line) => / flags=\w*b/.test(line)).length === 2);
        await client['rpush']?.('l', 'x');
        await client['xadd']?.('s', '1-1', 'f', 'v');
        assert.deepEqual([await popped, await read], [['app:l', 'x'], [['app:s', [['1-1', ['f', 'v']]]]]]);
        assert.equal(await client['blpop']?.('l', 0.01), null);
        assert.deepEqual((await client.pipeline()['set']?.('k', 'v')['wait']?.(0, 10)['exec']?.()) as unknown, [[null, 'OK'], [null, 0]]);
        await connections(3);
      });

      it('guarantee 3: loses its connection when its function process is gone', async () => {
        const popped = assert.rejects(client['blpop']?.('l', 0) as Promise<unknown>, { code: 'CARTON_RPC_CLOSED' });
        await blocked();
        two.pair.left.close();
        await popped;
        await connections(1);
        await real['rpush']?.('l', 'x');
        assert.equal(await real['llen']?.('l'), 1);
      });

      it('ends with disconnect, and loses its connection', async () => {
        const popped = assert.rejects(client['brpop']?.('l', 0) as Promise<unknown>, { message: 'Connection is closed.' });
        await blocked();
        client.disconnect();
        await popped;
        await connections(1);
        await assert.rejects(client['get']?.('k') as Promise<unknown>, { message: 'Connection is closed.' });
        await client['connect']?.();
        assert.equal(await client['get']?.('k'), null);
      });

      it('is refused above the limit of connections', async () => {
        limit = 2;
        await again(config());
        const popped = [client['blpop']?.('l', 0), client['blpop']?.('l', 0)];
        await connections(3);
        await assert.rejects(client['blpop']?.('l', 0) as Promise<unknown>, { code: 'CARTON_SIDECAR_TOO_MANY_CONNECTIONS' });
        await assert.rejects(client['watch']?.('l') as Promise<unknown>, { code: 'CARTON_SIDECAR_TOO_MANY_CONNECTIONS' });
        await assert.rejects(client['subscribe']?.('l') as Promise<unknown>, { code: 'CARTON_SIDECAR_TOO_MANY_CONNECTIONS' });
        await client['rpush']?.('l', 'x', 'y');
        await Promise.all(popped);
        assert.equal(await client['blpop']?.('l', 0.01), null);
      });
    });

    describe('a subscription', () => {
      it('hears messages as text and as bytes, on a connection of its own', async () => {
        const heard: unknown[] = [];
        for (const event of ['message', 'messageBuffer', 'pmessage', 'pmessageBuffer']) client.on(event, (...args: unknown[]) => heard.push([event, ...args]));
        assert.deepEqual([await client['subscribe']?.('c', 'd'), await client['psubscribe']?.('p*')], [2, 3]);
        await connections(2);
        await client['publish']?.('c', Buffer.from([255]));
        await client['publish']?.('p1', 'x');
        await eventually('all', () => heard.length === 4);
        assert.deepEqual(heard, [
          ['message', 'c', '\ufffd'], ['messageBuffer', Buffer.from('c'), Buffer.from([255])],
          ['pmessage', 'p*', 'p1', 'x'], ['pmessageBuffer', 'p*', Buffer.from('p1'), Buffer.from('x')],
        ]);
        assert.deepEqual([await client['unsubscribe']?.('c'), await client['unsubscribe']?.(), await client['punsubscribe']?.('p*')], [2, 1, 0]);
        await connections(1);
      });

      it('tells a callback how many there are', async () => {
        assert.deepEqual(await new Promise((resolve) => void client['subscribe']?.('c', 'd', (error: unknown, count: unknown) => resolve([error, count]))), [null, 2]);
      });

      it('is apart from those of duplicates', async () => {
        const other = client.duplicate({ maxRetriesPerRequest: null });
        const heard: string[] = [];
        client.on('message', (channel: string) => heard.push(`one ${channel}`));
        other.on('message', (channel: string) => heard.push(`other ${channel}`));
        await client['subscribe']?.('a');
        await other['subscribe']?.('b');
        await real['publish']?.('a', '');
        await eventually('one', () => heard.length === 1);
        await real['publish']?.('b', '');
        await eventually('both', () => heard.length === 2);
        assert.deepEqual(heard, ['one a', 'other b']);
        await other['quit']?.();
        await connections(2);
        assert.throws(() => client.duplicate({ db: 3 }), { code: 'CARTON_SIDECAR_SHARED_CONNECTION' });
      });

      it('guarantee 3: loses its connection when its function process is gone', async () => {
        client.on('error', () => undefined);
        await client['subscribe']?.('c');
        await connections(2);
        const { pair } = two;
        pair.left.close();
        await connections(1);
        client.disconnect();
      });

      it('is made again when the sidecar is back, and tells of the gap', async () => {
        const errors: Error[] = [];
        client.on('error', (error: Error) => errors.push(error));
        await client['subscribe']?.('c');
        await client['psubscribe']?.('p*');
        const subscriber = async (): Promise<string | undefined> => (await list()).find((line) => line.includes(' sub=1 psub=1 '))?.split(' ')[0];
        const first = await subscriber();
        const { pair } = two;
        two = await connected();
        pair.close();
        await eventually('another connection', async () => ![undefined, first].includes(await subscriber()));
        assert.deepEqual(errors.map((error) => (error as { code?: string }).code), ['CARTON_SIDECAR_MESSAGES_LOST']);
        const message = once(client, 'message');
        await real['publish']?.('c', 'x');
        assert.deepEqual(await message, ['c', 'x']);
      });

      it('is interrupted when its reader is too far behind', async () => {
        const feed = (await two.near.call('redis', REDIS.feed, [{ isMonitor: false }])) as RemoteObject;
        await feed.call('subscribe', ['c']);
        const messages = (await feed.call(REDIS.messages, [])) as AsyncIterable<unknown>;
        const bytes = 512 * 1024;
        for (let sent = 0; sent < 2 * LIMITS.redisMessageBytes; sent += bytes) await real['publish']?.('c', 'x'.repeat(bytes));
        await assert.rejects(all(messages), { code: 'CARTON_SIDECAR_MESSAGES_LOST' });
        feed.end();
      });
    });

    describe('a script that is defined', () => {
      it('comes from the config, too', async () => {
        await again({ ...config(), scripts: { two: { lua: 'return {KEYS[1], ARGV[1]}', numberOfKeys: 1 } } });
        assert.deepEqual(await client['two']?.('k', 'a'), ['app:k', 'a']);
      });

      it('is sent whole again when the server has forgotten it', async () => {
        define(client);
        await client['pair']?.('k', 'a');
        await admin['script']?.('flush');
        assert.deepEqual(await client['pair']?.('k', 'b'), ['app:k', 'b']);
      });

      it('is forgotten by the real client above the limit, and runs nevertheless', async () => {
        for (let at = 0; at <= LIMITS.redisScripts + 5; at += 1) {
          define(client, `return {KEYS[1], ${at}}`);
          assert.deepEqual(await client['pair']?.('k'), ['app:k', at]);
        }
        assert.equal(Object.keys((real as unknown as { scriptsSet: object }).scriptsSet).length, LIMITS.redisScripts);
        define(client, 'return {KEYS[1], 0}');
        assert.deepEqual(await client.pipeline()['pair']?.('k')['exec']?.(), [[null, ['app:k', 0]]]);
      });
    });

    it('monitors on a connection of its own', async () => {
      const monitor = (await client['monitor']?.()) as Client;
      const heard = once(monitor, 'monitor');
      await client['set']?.('k', 'v');
      assert.deepEqual(((await heard) as unknown[])[1], ['set', 'app:k', 'v']);
      monitor.disconnect();
      await connections(1);
    });

    it('is an object like any other: can be mocked, shown, waited for and asked', async () => {
      assert.equal(await Promise.resolve(client), client);
      const original = client['get'];
      client['get'] = async () => 'mocked';
      assert.equal(await client['get']('k'), 'mocked');
      delete client['get'];
      assert.equal(client['get'], original);
      assert.deepEqual([client.status, client.isCluster, client.options['keyPrefix'], 'hgetall' in client, client['noSuchCommand'], client['_x'], client.constructor.name], ['ready', false, 'app:', true, undefined, undefined, 'Redis']);
      assert.match(inspect({ client }), /Redis \{ status: 'ready' \}/);
      assert.ok((client as unknown as { getBuiltinCommands(): string[] }).getBuiltinCommands().includes('get'));
    });

    it('is connected and ready for those who wait for that', async () => {
      await Promise.all([once(client, 'connect'), once(client, 'ready')]);
    });

    it('says OK to quit, and leaves the shared client alone', async () => {
      const ended = once(client, 'end');
      assert.equal(await client['quit']?.(), 'OK');
      await ended;
      assert.deepEqual([client.status, await real['ping']?.()], ['end', 'PONG']);
    });

    it('has any command where there is no list of them', async () => {
      const line: ClientLine = { call: (method, args) => two.near.call('redis', method, args), callOn: (object, method, args) => object.call(method, args) };
      const none = Object.assign(() => undefined, { resolve: () => { throw new Error('none'); } }) as unknown as NodeJS.Require;
      const any = redisStandIn({ line, config: config(), require: none }) as Client;
      assert.equal(await Promise.resolve(any), any);
      assert.deepEqual([await any['set']?.('k', 'v'), await any.pipeline()['getBuffer']?.('k')['exec']?.(), any['_x']], ['OK', [[null, Buffer.from('v')]], undefined]);
    });
  });
}

type Scan = (...args: unknown[]) => AsyncIterable<unknown>;

function batchOf(redis: Client, commands?: unknown[]): Batch {
  return redis['multi']?.(commands) as unknown as Batch;
}

function define(redis: Client, lua = 'return {KEYS[1], ARGV[1]}'): void {
  const { defineCommand } = redis as unknown as { defineCommand(name: string, definition: object): void };
  defineCommand.call(redis, 'pair', { lua, numberOfKeys: 1 });
  defineCommand.call(redis, 'anyKeys', { lua: 'return KEYS', readOnly: false });
}

async function all(stream: AsyncIterable<unknown>): Promise<unknown[]> {
  const items: unknown[] = [];
  for await (const item of stream) items.push(item);
  return items;
}

/** Lets callbacks be called. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** What came, or what was thrown, with all that says what it is. */
async function told(result: unknown): Promise<unknown> {
  try {
    return shown(await result);
  } catch (error) {
    return ['threw', shown(error)];
  }
}

function shown(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(shown);
  if (!(value instanceof Error)) return value;
  const { command, previousErrors } = value as { command?: unknown; previousErrors?: unknown };
  return { name: value.name, message: value.message, command, previousErrors: shown(previousErrors) };
}
