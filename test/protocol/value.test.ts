/**
 * Values of remote calls (lib/protocol/value.ts): what travels stays what it is, what cannot is said, hostile bytes are
 * refused.
 */
import assert from 'node:assert/strict';
import { serialize } from 'node:v8';
import fc from 'fast-check';
import { decodeValue, encodeValue, type Reference } from '../../lib/protocol/value';
import { codeOf } from '../../lib/support/errors';
import { LIMITS } from '../../lib/support/limits';

function travelled<T>(value: T): T {
  return decodeValue(encodeValue(value)) as T;
}

describe('values of remote calls', () => {
  it('stay what they are', () => {
    const values = [
      undefined, null, true, -0, NaN, Infinity, 2n ** 70n, '', 'ü\u{1F375}', new Date(0), /a+/gi, [], {}, [undefined, null, ''], Buffer.from('tea'), Buffer.alloc(0),
      new Uint8Array([1, 2]), new Float64Array([0.5]), new BigInt64Array([-1n]), new Map<unknown, unknown>([[{ a: 1 }, new Set([1, 'x'])]]), { nested: [{ deep: { er: [1] } }] }, new URL('https://a.example/b?c=d'),
    ];
    for (const value of values) assert.deepEqual(travelled(value), value);
    assert.deepEqual(travelled(new DataView(new Uint8Array([1, 2, 3]).buffer, 1)).getUint8(1), 3);
    assert.ok(Buffer.isBuffer(travelled([Buffer.from('x')])[0]));
  });

  it('stay what they are, whatever the data', () => {
    fc.assert(fc.property(fc.object({ withBigInt: true, withDate: true, withMap: true, withSet: true, withTypedArray: true, withNullPrototype: false, withSparseArray: true }), (value) => {
      assert.deepEqual(travelled(value), value);
    }));
  });

  it('go as JSON only where that loses nothing', () => {
    const twice = { a: 1 };
    const isJson = (value: unknown): boolean => encodeValue(value)[0] !== 0xff;
    const asJson = ['tea', 0, 1.5, true, null, [], {}, { a: [1, { b: null }] }, ['a', 'a'], JSON.parse('{"__proto__":1}'), '\ud800'];
    const others = [undefined, -0, NaN, 1n, new Date(0), { a: undefined }, [undefined], new Array(1), Object.assign([1], { index: 1 }), [twice, twice], Buffer.from('x'), new (class { a = 1; })(), { d: new Date(0) }];
    assert.deepEqual([asJson.map(isJson), others.map(isJson)], [asJson.map(() => true), others.map(() => false)]);
    for (const value of asJson) assert.deepEqual(travelled(value), value);
    assert.deepEqual(travelled(others[8]), others[8]);
    assert.equal(0 in (travelled(new Array(1)) as unknown[]), false);
  });

  it('keep cycles and shared parts, with and without something that is marked in them', () => {
    const shared = { name: 'tea' };
    for (const extra of [0, new RangeError('far')]) {
      const value: Record<string, unknown> = { first: shared, second: shared, extra };
      value['itself'] = value;
      const copy = travelled(value);
      assert.ok(copy['itself'] === copy && copy['first'] === copy['second'] && copy['first'] !== shared);
    }
  });

  it('leave what was given as it was', () => {
    const value = Object.freeze({ list: Object.freeze([new Error('x'), Object.freeze({ a: 1 })]) });
    travelled(value);
    assert.equal(value.list[0]?.constructor, Error);
  });

  it('copy small Buffers, and have large ones be views of what was read', () => {
    const [small, large] = [Buffer.alloc(16, 1), Buffer.alloc(LIMITS.valueCopyBytes, 2)];
    const bytes = encodeValue([small, large]);
    const copy = decodeValue(bytes) as Buffer[];
    assert.deepEqual(copy, [small, large]);
    assert.deepEqual(copy.map((each) => each.buffer === bytes.buffer), [false, true]);
  });

  it('have a property named __proto__ as a property', () => {
    const value = JSON.parse('{ "__proto__": { "admin": true }, "e": 0 }') as Record<string, unknown>;
    value['e'] = new Error('so that it is copied');
    const copy = travelled(value);
    assert.deepEqual([Object.keys(copy).sort(), (copy as { admin?: boolean }).admin], [['__proto__', 'e'], undefined]);
  });

  it('lose the class of an object, and not its properties', () => {
    class Row {
      id = 1;
      get twice(): number {
        return this.id * 2;
      }
    }
    assert.deepEqual(travelled([new Row()]), [{ id: 1 }]);
  });

  describe('errors', () => {
    class ReplyError extends Error {
      override get name(): string {
        return this.constructor.name;
      }
    }

    it('keep class, name, message, code, properties, cause and stack', () => {
      const error = Object.assign(new TypeError('no tea', { cause: new RangeError('no water') }), { code: 'E_TEA', details: { at: Buffer.from('x') } });
      const copy = travelled(error);
      assert.ok(copy instanceof TypeError && copy.cause instanceof RangeError);
      assert.deepEqual([copy.message, copy.code, copy.details, copy.stack], ['no tea', 'E_TEA', { at: Buffer.from('x') }, error.stack]);
      assert.deepEqual(Object.keys(copy).sort(), ['code', 'details']);
    });

    it('are of a class with the name of theirs, which is an Error', () => {
      const copy = travelled(new ReplyError('WRONGTYPE'));
      assert.ok(copy instanceof Error);
      assert.deepEqual([copy.name, copy.constructor.name, Object.keys(copy)], ['ReplyError', 'ReplyError', []]);
    });

    it('keep those of an aggregate, and are left out inside of themselves', () => {
      const aggregate = new AggregateError([new Error('one'), 2], 'both');
      const copy = travelled(aggregate);
      assert.ok(copy instanceof AggregateError && copy.errors[0] instanceof Error && copy.errors[1] === 2);
      const circular: Error & { context?: unknown } = new Error('round');
      circular.context = { error: circular, other: 1 };
      assert.deepEqual(travelled([circular, circular]).map(({ message, context }) => [message, context]), [['round', { error: undefined, other: 1 }], ['round', { error: undefined, other: 1 }]]);
    });

    it('are few classes, however many names a peer makes up', () => {
      for (let i = 0; i < 1000; i += 1) assert.equal(travelled(Object.assign(new Error('x'), { constructor: { name: `Made${i}` } })) instanceof Error, true);
    });
  });

  it('refuse with CARTON_RPC_BAD_VALUE what cannot travel', () => {
    const deep = {};
    for (let i = 0, at: { next?: object } = deep; i <= LIMITS.valueDepth; i += 1) at = at.next = {};
    for (const value of [() => 1, { f: () => 1 }, Symbol('s'), [Promise.resolve(1)], new Map([[1, new WeakMap()]]), [new Error('x'), Promise.resolve(1)], deep]) {
      assert.throws(() => encodeValue(value), { code: 'CARTON_RPC_BAD_VALUE' });
    }
  });

  describe('references', () => {
    const transaction = new (class Transaction { id = 7; })();
    const callback = (): void => undefined;

    it('stand for functions and objects, once for each, and are resolved', () => {
      const asked: object[] = [];
      const bytes = encodeValue([transaction, { callback }, transaction], (value) => {
        asked.push(value);
        return { kind: 1, id: asked.length, data: { when: new Date(5) } };
      });
      assert.deepEqual(asked, [transaction, callback]);
      const resolved: Reference[] = [];
      const value = decodeValue(bytes, (reference) => (resolved.push(reference), { of: reference.id }));
      assert.deepEqual(value, [{ of: 1 }, { callback: { of: 2 } }, { of: 1 }]);
      assert.deepEqual(resolved[0], { kind: 1, id: 1, data: { when: new Date(5) } });
    });

    it('are refused where nobody knows of any', () => {
      assert.throws(() => decodeValue(encodeValue([callback], () => ({ kind: 1, id: 1 }))), { code: 'CARTON_RPC_BAD_FRAME' });
    });
  });

  it('refuse hostile bytes with CARTON_RPC_BAD_FRAME, and take no memory for what they only claim', () => {
    const bytes = encodeValue([{ a: 1, b: [new Error('x'), Buffer.from('y')] }, new Map([[1, 2]])]);
    for (let cut = 0; cut < bytes.length; cut += 1) refused(bytes.subarray(0, cut));
    for (const text of ['', '{', '[1,]', 'undefined', '\xfe', '1 2']) refused(Buffer.from(text, 'latin1'));
    refused(Buffer.from('['.repeat(1_000_000)));
    refused(Buffer.from([0xff, 0x0f, ...Array.from({ length: 100_000 }, () => [0x41, 1]).flat()]));
    const before = process.memoryUsage().rss;
    // A dense array, a string, a large integer, a view: each says that it has a gigabyte.
    for (const claim of ['A', '"', 'Z', '\\']) refused(Buffer.concat([Buffer.from([0xff, 0x0f]), Buffer.from(claim), Buffer.from([0x80, 0x80, 0x80, 0x80, 0x04])]));
    assert.ok(process.memoryUsage().rss - before < 200e6);
    fc.assert(fc.property(fc.nat(bytes.length - 1), fc.nat(255), (at, byte) => {
      const changed = Buffer.from(bytes);
      changed[at] = byte;
      outcome(changed);
    }));
  });

  it('are compatible with what V8 itself writes', () => {
    assert.deepEqual(decodeValue(serialize({ a: [1, 'b'] })), { a: [1, 'b'] });
  });
});

function refused(bytes: Buffer): void {
  assert.equal(outcome(bytes), 'CARTON_RPC_BAD_FRAME', bytes.toString('hex', 0, 40));
}

/** Fails with anything but the code of a malformed frame. */
function outcome(bytes: Buffer): unknown {
  try {
    return decodeValue(bytes);
  } catch (error) {
    assert.equal(codeOf(error), 'CARTON_RPC_BAD_FRAME');
    return 'CARTON_RPC_BAD_FRAME';
  }
}
