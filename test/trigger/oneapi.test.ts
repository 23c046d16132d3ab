/**
 * The oneapi trigger and the reading of request heads, by themselves.
 */
import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import fc from 'fast-check';
import { OneapiTrigger } from '../../lib/trigger/oneapi';
import { headOf } from '../../lib/trigger/trigger';
import { specOf } from './spec_of';

const NAMES = ['hello', 'user/profile', 'user/profile.save'];

describe('the oneapi trigger', () => {
  const trigger = new OneapiTrigger('/oneapi/', [
    ...NAMES.map((name) => ({ ...specOf(name, 'GET', '/'), triggers: [{ type: 'oneapi' as const }] })),
    specOf('hidden', 'GET', '/hidden'),
  ]);

  it('finds functions by name, plain or encoded', () => {
    for (const name of NAMES) {
      assert.equal(trigger.match(`/oneapi/${name}`)?.spec.name, name);
      assert.equal(trigger.match(`/oneapi/${encodeURIComponent(name)}`)?.spec.name, name);
    }
  });

  it('leaves paths outside of its prefix alone', () => {
    for (const path of ['/', '/oneapi', '/oneap', '//oneapi/hello', '/x/oneapi/hello', '']) assert.equal(trigger.match(path), undefined, path);
  });

  it('refuses every other name below it, those of functions without the trigger too', () => {
    for (const name of ['', 'hidden', 'hello/', '../hello', 'toString', '__proto__', 'HELLO']) {
      assert.throws(() => trigger.match(`/oneapi/${name}`), { code: 'CARTON_INGRESS_UNKNOWN_FUNCTION' }, name);
    }
    assert.throws(() => trigger.match('/oneapi/%ff'), { code: 'CARTON_INGRESS_BAD_PATH' });
  });

  it('reaches a function by its own name only, whatever is asked for', () => {
    fc.assert(fc.property(fc.oneof(fc.string(), fc.webPath()), (text) => {
      try {
        const match = trigger.match(`/oneapi/${text}`);
        assert.equal(match?.spec.name, decodeURIComponent(text));
      } catch (error) {
        assert.match(String((error as { code?: string }).code), /^CARTON_INGRESS_(?:UNKNOWN_FUNCTION|BAD_PATH)$/);
      }
    }));
  });
});

describe('the head of a request', () => {
  const read = (url: string): { path: string; query: string } => headOf({ url, method: 'GET', headers: {} } as IncomingMessage);

  it('has path and query apart, both as they came', () => {
    for (const [url, path, query] of [['/a', '/a', ''], ['/a?', '/a', ''], ['/a%20?b=%20?c', '/a%20', 'b=%20?c'], ['*', '*', ''], ['//h/a?b', '//h/a', 'b']]) {
      assert.deepEqual([read(url as string).path, read(url as string).query], [path, query]);
    }
  });

  it('has the path of an absolute-form target', () => {
    for (const [url, path, query] of [['http://h/a?b', '/a', 'b'], ['HTTPS://h:1/a', '/a', ''], ['http://h?b', '', 'b']]) {
      assert.deepEqual([read(url as string).path, read(url as string).query], [path, query]);
    }
  });
});
