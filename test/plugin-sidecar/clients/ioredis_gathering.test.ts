/**
 * Commands of a client of ioredis that are called at once (lib/runtime/clients/ioredis/gathering.ts): they travel together,
 * and each has its own result. Against a real Redis.
 */
import assert from 'node:assert/strict';
import { LIMITS } from '../../../lib/support/limits';
import { startRedis, type Redis as RedisServer } from '../../support/servers/redis';
import { connected, standIn, VERSIONS, type Client, type Constructor, type Two } from './ioredis_calls';

for (const [version, from] of VERSIONS) {
  describe(`commands of ioredis ${version}, many at once,`, () => {
    let server: RedisServer;
    let real: Client;
    let client: Client;
    let two: Two;
    before(async () => (server = await startRedis()));
    after(() => server.stop());
    beforeEach(async () => {
      const config = { path: server.socketPath };
      real = new (from('ioredis') as Constructor)(config);
      two = await connected(real, undefined);
      client = standIn(() => two, { config, from });
    });
    afterEach(() => {
      two.pair.close();
      real.disconnect();
    });
    const call = (name: string, ...args: unknown[]): Promise<unknown> => client[name]?.(...args) as Promise<unknown>;

    it('go in one call, and what is refused or fails of them does so alone', async () => {
      await call('set', 'k', 'v');
      const all = [call('get', 'k'), call('select', 1), call('incr', 'k'), call('getBuffer', 'k'), call('wait', 0, 1), call('get', 'k')];
      await new Promise((resolve) => process.nextTick(resolve));
      // WAIT may block, and goes alone.
      assert.equal(two.near.session.openCalls, 3);
      const told = (await Promise.allSettled(all)).map((one) => (one.status === 'fulfilled' ? one.value : (one.reason as { code?: string }).code ?? (one.reason as Error).name));
      assert.deepEqual(told, ['v', 'CARTON_SIDECAR_SHARED_CONNECTION', 'ReplyError', Buffer.from('v'), 'CARTON_SIDECAR_SHARED_CONNECTION', 'v']);
    });

    it('go in several where they are more than a call takes', async () => {
      const replies = await Promise.all(Array.from({ length: 3 * LIMITS.redisGathered + 1 }, (_, n) => call('set', `k${n}`, n)));
      assert.deepEqual(new Set(replies), new Set(['OK']));
    });

    it('fail each where the sidecar has gone', async () => {
      const all = [1, 2, 3].map(() => call('get', 'k'));
      two.pair.close();
      for (const one of await Promise.allSettled(all)) assert.equal((one as { reason?: { code: string } }).reason?.code, 'CARTON_RPC_CLOSED');
    });

    for (const command of [['blpop', ['k', 1]], ['multi', []], ['watch', ['k']]] as const) {
      it(`are refused if they hold others up, whoever asks: ${command[0]}`, async () => {
        const [refused, other] = await two.near.call('redis', '$several', [[command, ['ping', []]]]) as [[{ code: string }], unknown];
        assert.deepEqual([refused[0].code, other], ['CARTON_SIDECAR_SHARED_CONNECTION', [null, 'PONG']]);
      });
    }
  });
}
