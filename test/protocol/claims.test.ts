/**
 * What a process says of itself to a sidecar.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { decodeClaims, encodeClaims, mayUse } from '../../lib/protocol/claims';

describe('claims', () => {
  it('are read as they were written', () => {
    fc.assert(fc.property(fc.string(), fc.option(fc.array(fc.string())), (who, clients) => {
      assert.deepEqual(decodeClaims(encodeClaims({ who, clients })), { who, clients });
    }));
  });

  for (const text of ['', 'x', '{}', '[]', '[1,null]', '["a"]', '["a",[1]]', '["a",{}]']) {
    it(`are nothing else: ${text}`, () => assert.throws(() => decodeClaims(text), { code: 'CARTON_RPC_BAD_FRAME' }));
  }

  it('cover a client by its name, or one of several of that name', () => {
    const claims = { who: '1-1', clients: ['mysql', 'redis/one'] };
    assert.deepEqual(['mysql', 'mysql/db1', 'redis/one', 'redis', 'redis/two', 'oss', 'mysq'].map((name) => mayUse(claims, name)), [true, true, true, false, false, false, false]);
    assert.equal(mayUse({ who: 'template', clients: null }, 'oss'), true);
  });
});
