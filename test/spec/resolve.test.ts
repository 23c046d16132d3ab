/**
 * What holds between declarations, files and the application.
 */
import assert from 'node:assert/strict';
import type { DiscoveredFile } from '../../lib/spec/discover';
import { resolveRevision } from '../../lib/spec/resolve';
import { parseDeclarations } from '../../lib/spec/schema';
import type { FunctionDeclaration, HttpTrigger, Revision } from '../../lib/spec/types';
import { DEFAULTS } from './workspace';

const file = (name: string, exports: readonly string[] = ['default'], complete = true): DiscoveredFile =>
  ({ name, file: `app/function/${name}`, path: `app/function/${name}.js`, exports, complete });

interface Given {
  readonly files?: readonly DiscoveredFile[];
  readonly hasUserResolver?: boolean;
  readonly maxInstances?: number;
  readonly uncompiled?: readonly string[];
}

function resolve(declarations: Readonly<Record<string, FunctionDeclaration>>, given: Given = {}): Revision {
  return resolveRevision({
    application: 'shop',
    revision: '0123456789abcdef',
    discovery: { files: given.files ?? [file('a'), file('b'), file('c')], problems: [], uncompiled: given.uncompiled ?? [] },
    parsed: parseDeclarations(declarations, 'config/function.ts'),
    specFile: 'config/function.ts',
    defaults: DEFAULTS,
    hasUserResolver: given.hasUserResolver ?? false,
    maxInstances: given.maxInstances ?? 64,
  });
}

const http = (method: HttpTrigger['method'], path: string, args?: HttpTrigger['args']): FunctionDeclaration => ({ triggers: [{ type: 'http', method, path, ...(args && { args }) }] });
const specOf = (revision: Revision, name: string) => revision.functions.find((spec) => spec.name === name);

describe('resolveRevision', () => {
  it('completes a function without a spec from the defaults', () => {
    const revision = resolve({}, { files: [file('dir/a', ['default', 'more'])] });
    assert.deepEqual(revision, {
      application: 'shop',
      revision: '0123456789abcdef',
      functions: [
        { name: 'dir/a', file: 'app/function/dir/a', exportName: 'default', triggers: [{ type: 'oneapi' }], group: 'dir/a', auth: 'none', ...DEFAULTS },
        { name: 'dir/a.more', file: 'app/function/dir/a', exportName: 'more', triggers: [{ type: 'oneapi' }], group: 'dir/a.more', auth: 'none', ...DEFAULTS },
      ],
      groups: ['dir/a', 'dir/a.more'].map((name) => ({ key: name, functions: [name], concurrency: 50, minInstances: 0, maxInstances: 4, idleTimeoutMs: 60_000 })),
    });
  });

  it('freezes all of it, and nothing of the defaults', () => {
    const revision = resolve({ a: http('GET', '/a', [{ from: 'query', name: 'q' }]) });
    const isFrozen = (value: unknown): boolean => typeof value !== 'object' || value === null || (Object.isFrozen(value) && Object.values(value).every(isFrozen));
    assert.ok(isFrozen(revision));
    assert.ok(!Object.isFrozen(DEFAULTS));
  });

  it('takes what a spec gives, null included', () => {
    const rate = { perSecond: 1, burst: 2 };
    const parsed = parseDeclarations({ a: { rateLimit: null, timeoutMs: 5 } }, 'f');
    const revision = resolveRevision({
      application: 'shop', revision: 'x', discovery: { files: [file('a'), file('b')], problems: [], uncompiled: [] }, parsed, specFile: 'f',
      defaults: { ...DEFAULTS, rateLimit: rate }, hasUserResolver: false, maxInstances: 64,
    });
    assert.equal(specOf(revision, 'a')?.rateLimit, null);
    assert.equal(specOf(revision, 'a')?.timeoutMs, 5);
    assert.deepEqual(specOf(revision, 'b')?.rateLimit, rate);
  });

  it('lists the oneapi trigger only where a spec lists no triggers', () => {
    const revision = resolve({ a: http('GET', '/a') });
    assert.deepEqual(specOf(revision, 'a')?.triggers, [{ type: 'http', method: 'GET', path: '/a' }]);
    assert.deepEqual(specOf(revision, 'b')?.triggers, [{ type: 'oneapi' }]);
  });

  it('asks for a user by default where the application has a resolver, and never where it has none', () => {
    assert.equal(specOf(resolve({ b: { auth: 'none' } }, { hasUserResolver: true }), 'a')?.auth, 'required');
    assert.equal(specOf(resolve({ b: { auth: 'none' } }, { hasUserResolver: true }), 'b')?.auth, 'none');
    assert.equal(specOf(resolve({}), 'a')?.auth, 'none');
    for (const auth of ['required', 'optional'] as const) {
      assert.throws(() => resolve({ a: { auth } }), { code: 'CARTON_SPEC_INVALID', message: /functions\["a"\]\.auth: expected "none", or carton\.resolveUser in the config/ });
    }
  });

  it('tells the nearest name for a spec without a function', () => {
    assert.throws(() => resolve({ 'user/profil': {} }, { files: [file('user/profile'), file('b')] }), {
      code: 'CARTON_SPEC_MISSING_FILE', message: /functions\["user\/profil"\]: expected the name of an exported function, got "user\/profil"\. Did you mean "user\/profile"\?/,
    });
    assert.throws(() => resolve({ 'a.nothing': {} }), { code: 'CARTON_SPEC_MISSING_FILE' });
    assert.throws(() => resolve({ d: {} }, { uncompiled: ['d'] }), { code: 'CARTON_SPEC_MISSING_FILE', message: /not compiled/ });
  });

  it('believes a spec about a file that lexing could not tell all of', () => {
    const revision = resolve({ 'a.made': {}, b: {} }, { files: [file('a', ['default'], false), file('b', [], false)] });
    assert.deepEqual(revision.functions.map(({ name, exportName }) => [name, exportName]), [['a', 'default'], ['a.made', 'made'], ['b', 'default']]);
    assert.throws(() => resolve({ 'a.x.y': {} }, { files: [file('a', ['default'], false)] }), { code: 'CARTON_SPEC_MISSING_FILE' });
  });

  it('refuses two triggers of the same method and shape, naming both', () => {
    assert.throws(() => resolve({ a: http('GET', '/users/:id'), b: http('GET', '/users/:name') }), {
      code: 'CARTON_SPEC_DUPLICATE_PATH', message: /functions\["b"\]\.triggers\[0\].*got GET \/users\/:name, already taken by functions\["a"\] with GET \/users\/:id/,
    });
    assert.equal(resolve({ a: http('GET', '/users/:id'), b: http('POST', '/users/:id'), c: http('GET', '/users/me') }).functions.length, 3);
  });

  for (const [path, why] of [['/a//b', 'an empty segment'], ['/a/', 'a trailing slash'], ['/a/*', 'a wildcard'], ['/a/:', 'a parameter without a name'], ['/a-:b', 'a parameter inside a segment'], ['/:a(\\d+)', 'a pattern'], ['/a?b', 'a query'], ['/../a', 'a segment that clients resolve'], ['/a%20b', 'an encoded character']] as const) {
    it(`refuses a path with ${why}`, () => assert.throws(() => resolve({ a: http('GET', path) }), { code: 'CARTON_SPEC_INVALID', message: /triggers\[0\]\.path: expected segments/ }));
  }

  it('takes plain paths', () => {
    for (const path of ['/', '/a', '/a.b/c~d/_e-f', '/:a/:b', '/汉字', '/@me']) assert.equal(resolve({ a: http('GET', path) }).functions.length, 3, path);
  });

  it('checks where arguments come from', () => {
    const refused = (trigger: FunctionDeclaration, message: RegExp): void => assert.throws(() => resolve({ a: trigger }), { code: 'CARTON_SPEC_INVALID', message });
    refused(http('GET', '/:user/x', [{ from: 'path', name: 'usr' }]), /args\[0\]\.name: expected one of the path's parameters user, got "usr"\. Did you mean "user"\?/);
    refused(http('GET', '/x', [{ from: 'path', name: 'id' }]), /expected a path with ":id" in it/);
    refused(http('GET', '/x', [{ from: 'body' }]), /args\[0\]\.from: expected "path", "query" or "header" with GET, got "body"/);
    refused(http('GET', '/x', [{ from: 'header', name: 'a b' }]), /expected the name of a header/);
    refused(http('GET', '/x', [{ from: 'header', name: 'Carton-User' }]), /expected a header that callers may send/);
    refused(http('GET', '/:a/:a'), /parameters with different names, got ":a" twice/);
    refused({ triggers: [{ type: 'oneapi' }, { type: 'oneapi' }] }, /triggers\[1\]: expected one oneapi trigger, got another/);
    assert.ok(resolve({ a: http('POST', '/:id', [{ from: 'path', name: 'id', as: 'number' }, { from: 'body' }, { from: 'header', name: 'Accept' }]) }));
  });

  describe('groups', () => {
    it('share instances and the limits that one member gives', () => {
      const revision = resolve({ c: { group: 'g', concurrency: 7 }, a: { group: 'g', idleTimeoutMs: 99, concurrency: 7 } });
      assert.deepEqual(revision.groups.map((group) => group.key), ['b', 'group:g']);
      assert.deepEqual(revision.groups[1], { key: 'group:g', functions: ['a', 'c'], concurrency: 7, minInstances: 0, maxInstances: 4, idleTimeoutMs: 99 });
      for (const name of ['a', 'c']) {
        const { group, concurrency, idleTimeoutMs } = specOf(revision, name) ?? assert.fail();
        assert.deepEqual({ group, concurrency, idleTimeoutMs }, { group: 'group:g', concurrency: 7, idleTimeoutMs: 99 });
      }
    });

    it('keep limits of single functions apart', () => {
      const revision = resolve({ a: { group: 'g', timeoutMs: 1 }, b: { group: 'g', timeoutMs: 2 } });
      assert.deepEqual(['a', 'b'].map((name) => specOf(revision, name)?.timeoutMs), [1, 2]);
    });

    it('may not disagree, and the message names both functions and values', () => {
      assert.throws(() => resolve({ a: { group: 'g', concurrency: 1 }, b: { group: 'g' }, c: { group: 'g', concurrency: 2 } }), {
        code: 'CARTON_SPEC_GROUP_DISAGREES', message: /functions\["c"\]\.concurrency: expected 1, as functions\["a"\]\.concurrency of the same group, got 2/,
      });
    });

    it('keep minInstances within maxInstances, whoever gives them', () => {
      assert.throws(() => resolve({ a: { minInstances: 5 } }), { code: 'CARTON_SPEC_INVALID', message: /functions\["a"\]\.minInstances: expected at most maxInstances, which is 4 by default, got 5/ });
      assert.throws(() => resolve({ a: { group: 'g', minInstances: 3 }, b: { group: 'g', maxInstances: 2 } }), { code: 'CARTON_SPEC_INVALID', message: /functions\["a"\]\.minInstances: expected at most maxInstances, which is 2, got 3/ });
      assert.ok(resolve({ a: { minInstances: 4 } }));
    });

    it('may not keep more instances than the host has', () => {
      assert.ok(resolve({ a: { minInstances: 4 }, b: { minInstances: 4 } }, { maxInstances: 8 }));
      assert.throws(() => resolve({ a: { minInstances: 4 }, b: { minInstances: 4 } }, { maxInstances: 7 }), { code: 'CARTON_SPEC_INVALID', message: /carton\.maxInstances, which is 7, got 8/ });
    });
  });

  it('tells problems of all kinds together', () => {
    assert.throws(() => resolve({ a: { timeoutMs: 0 }, x: {}, b: http('GET', '/p'), c: { ...http('GET', '/p'), auth: 'required' } }), (error: Error & { code: string }) => {
      assert.equal(error.code, 'CARTON_SPEC_INVALID');
      for (const part of ['4 problems', '["a"].timeoutMs', '["x"]', '["c"].triggers[0]', '["c"].auth']) assert.ok(error.message.includes(part), `${part} in ${error.message}`);
      return true;
    });
  });
});
