/**
 * The http trigger by itself: which requests it takes, and what it makes of their heads.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { HttpTrigger } from '../../lib/trigger/http';
import type { RequestHead } from '../../lib/trigger/trigger';
import { specOf } from './spec_of';

function headFor(query: string, headers: RequestHead['headers'] = {}): RequestHead {
  return { method: 'GET', path: '', query, headers };
}

describe('the http trigger', () => {
  const trigger = new HttpTrigger([
    specOf('find', 'GET', '/a/:id', [{ from: 'path', name: 'id', as: 'number' }, { from: 'query', name: 'q', as: 'boolean' }, { from: 'header', name: 'X-H' }]),
    specOf('special', 'POST', '/a/special', [{ from: 'body', name: 'x' }, { from: 'body' }]),
    specOf('remove', 'DELETE', '/a/:other'),
    specOf('add', 'POST', '/a'),
  ]);

  it('takes a path by method, and HEAD as GET', () => {
    assert.equal(trigger.match('GET', '/a/1')?.spec.name, 'find');
    assert.equal(trigger.match('HEAD', '/a/1')?.spec.name, 'find');
    assert.equal(trigger.match('POST', '/a/special')?.spec.name, 'special');
    assert.equal(trigger.match('POST', '/a')?.spec.name, 'add');
    for (const [method, path] of [['POST', '/a/1'], ['PUT', '/a'], ['GET', '/a'], ['GET', '/a/1/'], ['GET', '/A/1'], ['OPTIONS', '/a/1'], ['GET', '/a/%'], ['GET', '*'], ['TRACE', '/a/1']] as const) {
      assert.equal(trigger.match(method, path), undefined, `${method} ${path}`);
    }
  });

  it('knows all methods of a path, however the functions name its parameters', () => {
    assert.deepEqual(trigger.methodsOf('/a/special'), ['GET', 'HEAD', 'POST', 'DELETE']);
    assert.deepEqual(trigger.methodsOf('/a'), ['POST']);
    assert.deepEqual(trigger.methodsOf('/b'), []);
  });

  it('says what of the arguments the body holds', () => {
    assert.equal(trigger.match('GET', '/a/1')?.body, 'none');
    assert.equal(trigger.match('POST', '/a/special')?.body, 'optional');
    assert.equal(trigger.match('POST', '/a')?.body, 'array');
    assert.equal(trigger.match('DELETE', '/a/1')?.body, 'none');
  });

  it('converts, and names what is missing', () => {
    const match = trigger.match('GET', '/a/12');
    assert.deepEqual(match?.args(headFor('q=0', { 'x-h': 'v' })), { kind: 'values', values: [12, false, 'v'], missing: [], fromBody: [] });
    assert.deepEqual(match?.args(headFor('')), { kind: 'values', values: [12, undefined, undefined], missing: [1, 2], fromBody: [] });
    assert.deepEqual(trigger.match('POST', '/a/special')?.args(headFor('')), {
      kind: 'values', values: [undefined, undefined], missing: [0, 1], fromBody: [{ index: 0, name: 'x' }, { index: 1, name: undefined }],
    });
  });

  it('refuses what cannot be converted', () => {
    for (const [path, query] of [['/a/x', ''], ['/a/1e999', ''], ['/a/%20', ''], ['/a/1', 'q=yes'], ['/a/1', 'q=1&q=0'], ['/a/NaN', ''], ['/a/Infinity', '']]) {
      assert.throws(() => trigger.match('GET', path as string)?.args(headFor(query as string)), { code: 'CARTON_RUNTIME_BAD_ARGUMENT' }, `${path}?${query}`);
    }
  });

  it('gives no carton-* header to an argument', () => {
    const guarded = new HttpTrigger([specOf('h', 'GET', '/h', [{ from: 'header', name: 'Carton-User' }])]);
    assert.deepEqual(guarded.match('GET', '/h')?.args(headFor('', { 'carton-user': 'root' })), { kind: 'values', values: [undefined], missing: [0], fromBody: [] });
  });

  it('takes any text as a parameter and gives it back, or takes nothing', () => {
    const texts = new HttpTrigger([specOf('t', 'GET', '/t/:text', [{ from: 'path', name: 'text' }])]);
    fc.assert(fc.property(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 }), (text) => {
      const plan = texts.match('GET', `/t/${encodeURIComponent(text)}`)?.args(headFor(''));
      assert.deepEqual(plan, { kind: 'values', values: [text], missing: [], fromBody: [] });
    }));
    fc.assert(fc.property(fc.string(), fc.string(), (path, query) => {
      try {
        texts.match('GET', path)?.args(headFor(query));
      } catch (error) {
        assert.equal((error as { code?: string }).code, 'CARTON_RUNTIME_BAD_ARGUMENT');
      }
    }));
  });
});
