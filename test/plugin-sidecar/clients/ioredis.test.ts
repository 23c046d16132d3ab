/**
 * A client of ioredis that a sidecar holds (plugin-sidecar/lib/clients/ioredis.ts) and what stands for it in an instance
 * (lib/runtime/clients/ioredis.ts), over a real socket and against a real Redis, with the versions of ioredis that are
 * used: the same calls have the same results as on a direct client.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { inspect } from 'node:util';
import { REDIS } from '../../../lib/protocol/redis';
import type { RemoteObject } from '../../../lib/rpc/remote';
import { LIMITS } from '../../../lib/support/limits';
import { eventually } from '../../support/eventually';
import { startRedis, type Redis as RedisServer } from '../../support/servers/redis';
import { all, batchOf, connected, define, killOthers, list, NO_COMMANDS, REFUSED, SAME, standIn, told, VERSIONS, WATCHES, type Client, type Constructor, type Two } from './ioredis_calls';

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

    async function begin(options: Record<string, unknown>): Promise<void> {
      real = new Redis(options);
      two = await connected(real, limit);
      client = standIn(() => two, { config: options, from });
    }
    async function again(options: Record<string, unknown>): Promise<void> {
      two.pair.close();
      real.disconnect();
      await begin(options);
    }
    async function connections(count: number): Promise<void> {
      await eventually(`${count} connections`, async () => (await list(admin)).length === count, { seen: () => two.far.held.size });
    }
    const blocked = (): Promise<unknown> => eventually('a blocked connection', async () => (await list(admin)).some((line) => / flags=\w*b/.test(line)));
    const raw = (method: string, ...args: unknown[]): Promise<unknown> => two.near.call('redis', method, args);

    describe('a command', () => {
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
        const all: (Promise<unknown> | undefined)[] = [client['set']?.('k', 'x'.repeat(500_000)), client['append']?.('k', 'y'), client['strlen']?.('k'), client.pipeline()['append']?.('k', 'z'.repeat(200_000)).exec(), client['strlen']?.('k')];
        const replies: unknown[] = await Promise.all(all.map(async (each) => each));
        assert.deepEqual([replies[1], replies[2], replies[4]], [500_001, 500_001, 700_001]);
      });

      it('takes what is in an array at the time of the call', async () => {
        const values = ['a'];
        const batch = client.pipeline()['rpush']?.('l', values);
        values.push('b');
        await batch?.['exec']();
        assert.deepEqual(await client['lrange']?.('l', 0, -1), ['a']);
      });

      it('is sent once, however often exec is called', async () => {
        const batch = client.pipeline()['incr']?.('k');
        assert.deepEqual([await batch?.['exec'](), await batch?.['exec'](), await client['get']?.('k')], [[[null, 1]], [[null, 1]], '1']);
      });
    });

    describe('the shared connection', () => {
      for (const [method, args] of REFUSED) {
        it(`is not changed by ${[method, ...args].join(' ')}`, async () => {
          await assert.rejects(client[method]?.(...args) as Promise<unknown>, { code: 'CARTON_SIDECAR_SHARED_CONNECTION' });
        });
      }

      it('is not changed by a pipeline', async () => {
        for (const name of ['select', 'subscribe']) await assert.rejects(client.pipeline()['set']?.('a', 1)[name]?.('1')['exec']() as unknown as Promise<unknown>, { code: 'CARTON_SIDECAR_SHARED_CONNECTION' });
        assert.equal(await client['get']?.('a'), null);
      });

      for (const [method, args] of WATCHES) {
        it(`guarantee 2: refuses a peer's ${[method, ...args].join(' ')} there`, async () => {
          await assert.rejects(raw(method, ...args), ({ code }: { code?: string }) => code === 'CARTON_SIDECAR_SHARED_CONNECTION' || code === 'CARTON_RPC_NO_METHOD');
        });
      }

      for (const method of NO_COMMANDS) {
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
        assert.deepEqual(await batchOf(client)['set']?.('k', '2')['exec'](), [[null, 'OK']]);
        await client['watch']?.('k');
        await real['set']?.('k', 'other');
        assert.equal(await batchOf(client)['set']?.('k', '3')['exec'](), null);
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
        void client.pipeline()['watch']?.('k')['get']?.('k')['exec']();
        const done = batchOf(client)['set']?.('k', '1')['exec']();
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
        await killOthers(real, admin);
        await eventually('nothing is held', () => two.far.held.size === 0);
        await assert.rejects(batchOf(client)['set']?.('k', '2')['exec']() as unknown as Promise<unknown>, { code: 'CARTON_RPC_OBJECT_GONE' });
        assert.equal(await client['get']?.('k'), null);
        assert.equal(await client['watch']?.('k'), 'OK');
        assert.deepEqual(await batchOf(client)['set']?.('k', '3')['exec'](), [[null, 'OK']]);
      });
    });

    describe('a blocking command', () => {
      it('holds nothing up, and gets what comes', async () => {
        const popped = client['blpop']?.('l', 0);
        const read = client['xread']?.('BLOCK', 0, 'STREAMS', 's', '$');
        await eventually('both', async () => (await list(admin)).filter((line) => / flags=\w*b/.test(line)).length === 2);
        await client['rpush']?.('l', 'x');
        await client['xadd']?.('s', '1-1', 'f', 'v');
        assert.deepEqual([await popped, await read], [['app:l', 'x'], [['app:s', [['1-1', ['f', 'v']]]]]]);
        assert.equal(await client['blpop']?.('l', 0.01), null);
        assert.deepEqual((await client.pipeline()['set']?.('k', 'v')['wait']?.(0, 10)['exec']()) as unknown, [[null, 'OK'], [null, 0]]);
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
        const popped: (Promise<unknown> | undefined)[] = [client['blpop']?.('l', 0), client['blpop']?.('l', 0)];
        await connections(3);
        await assert.rejects(client['blpop']?.('l', 0) as Promise<unknown>, { code: 'CARTON_SIDECAR_TOO_MANY_CONNECTIONS' });
        await assert.rejects(client['watch']?.('l') as Promise<unknown>, { code: 'CARTON_SIDECAR_TOO_MANY_CONNECTIONS' });
        await assert.rejects(client['subscribe']?.('l') as Promise<unknown>, { code: 'CARTON_SIDECAR_TOO_MANY_CONNECTIONS' });
        await client['rpush']?.('l', 'x', 'y');
        await Promise.all(popped.map(async (each) => each));
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
        const subscriber = async (): Promise<string | undefined> => (await list(admin)).find((line) => line.includes(' sub=1 psub=1 '))?.split(' ')[0];
        const first = await subscriber();
        const { pair } = two;
        two = await connected(real, limit);
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
        assert.deepEqual(await client.pipeline()['pair']?.('k')['exec'](), [[null, ['app:k', 0]]]);
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
      const none = Object.assign(() => undefined, { resolve: () => { throw new Error('none'); } }) as unknown as NodeJS.Require;
      const any = standIn(() => two, { config: config(), from: none });
      assert.equal(await Promise.resolve(any), any);
      assert.deepEqual([await any['set']?.('k', 'v'), await any.pipeline()['getBuffer']?.('k')['exec'](), any['_x']], ['OK', [[null, Buffer.from('v')]], undefined]);
    });
  });
}
