/**
 * Control messages and errors that cross a process boundary: checked before use, because a peer may say anything.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { decodeControl, encodeControl, expectAll, expectFields, expectMocks, METHOD } from '../../lib/protocol/control';
import { STREAM_FOLLOWS } from '../../lib/protocol/frame';
import { decodeWireError, encodeWireError, readWireError } from '../../lib/protocol/wire_error';
import { CartonError, ERRORS, fromWire, toWire, type ErrorCode, type WireError } from '../../lib/support/errors';

const BAD = { code: 'CARTON_RPC_BAD_FRAME' };

describe('control message', () => {
  it('comes out as it went in', () => {
    fc.assert(fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (message) => {
      assert.deepEqual(decodeControl(encodeControl(message)), JSON.parse(JSON.stringify(message)));
    }), { numRuns: 200 });
  });

  it('is an object, or is refused', () => {
    for (const text of ['', '{', 'null', '[]', '1', '"x"', '\u0000']) assert.throws(() => decodeControl(Buffer.from(text)), BAD, text);
  });

  it('has each field with its type', () => {
    const good = { text: 'x', amount: 1.5, whole: 3, is: false, record: {}, list: [] };
    const types = { text: 'string', amount: 'number', whole: 'count', is: 'boolean', record: 'object', list: 'array' } as const;
    assert.equal(expectFields<typeof good>(good, types), good);
    const wrong: [keyof typeof good, unknown[]][] = [
      ['text', [1, null, undefined, {}, 'x'.repeat(5000)]],
      ['amount', ['1', null, Infinity, NaN]],
      ['whole', [-1, 0.5, Infinity, 2 ** 53, '1', null]],
      ['is', [0, 'true', null]],
      ['record', [null, [], 'x']],
      ['list', [{}, null, 'x', { length: 1 }]],
    ];
    for (const [field, values] of wrong) {
      for (const value of values) assert.throws(() => expectFields({ ...good, [field]: value }, types), BAD, `${field}: ${String(value).slice(0, 20)}`);
    }
  });

  it('has its own fields only: not those of a prototype', () => {
    const inherited = JSON.parse('{"__proto__":{"group":"x"}}') as Record<string, unknown>;
    assert.throws(() => expectFields<{ group: string }>(inherited, { group: 'string' }), BAD);
    assert.throws(() => expectFields<{ toString: string }>({}, { toString: 'string' }), BAD);
  });

  it('checks the elements of its arrays', () => {
    assert.throws(() => expectAll([null], {}), BAD);
    assert.throws(() => expectMocks({ mocks: [{ service: 'a' }] }), BAD);
    assert.throws(() => expectMocks({ mocks: { length: 0 } }), BAD);
    assert.deepEqual(expectMocks({ mocks: [{ service: 'a', method: 'b', result: null }] }), [{ service: 'a', method: 'b', result: null }]);
  });

  it('has methods that fit beside the flag of a stream, each once', () => {
    const methods = Object.values(METHOD);
    assert.equal(new Set(methods).size, methods.length);
    for (const method of methods) assert.ok(method > 0 && method < STREAM_FOLLOWS);
  });
});

describe('wire error', () => {
  it('carries every code of the table, with what belongs to it', () => {
    for (const code of Object.keys(ERRORS) as ErrorCode[]) {
      const error = new CartonError(code, { of: 'x', expected: 'y', got: 'z', retryAfterMs: 5, thrown: { name: 'E', message: 'm', code: 'OWN' } });
      const back = fromWire(decodeWireError(encodeWireError(toWire(error))));
      assert.deepEqual([back.code, back.message, back.retryAfterMs], [error.code, error.message, 5]);
      assert.deepEqual({ ...back.thrown }, { name: 'E', message: 'm', code: 'OWN', stack: undefined });
      // An error that was to stop a boot has no status of an answer, and must not become one that node:http refuses.
      assert.equal(back.status, error.status === 0 ? 500 : error.status);
    }
  });

  const good: WireError = { code: 'CARTON_RUNTIME_BUSY', message: 'm', status: 503 };
  for (const [what, wrong] of Object.entries({
    'an unknown code': { code: 'CARTON_NO_SUCH' },
    'a code of the prototype': { code: 'toString' },
    'a code that is an object': { code: { toString: 1 } },
    'a message that is an object': { message: {} },
    'a status below 400': { status: 200 },
    'a status that is no number': { status: '503' },
    'a status beyond 599': { status: 9999 },
    'a status with a fraction': { status: 404.5 },
    'a wait that is no number': { retryAfterMs: 'soon' },
    'a negative wait': { retryAfterMs: -1 },
    'a thrown error without a name': { thrown: { message: 'm' } },
    'a thrown error that is null': { thrown: null },
  })) {
    it(`with ${what} is refused`, () => {
      assert.throws(() => readWireError({ ...good, ...wrong }), BAD);
    });
  }

  it('of any bytes is read or refused, and throws nothing else', () => {
    fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
      assert.throws(() => decodeWireError(Buffer.from(text)), BAD);
    }), { numRuns: 300 });
  });
});
