/**
 * What a single declaration may say, and how a message tells what is wrong with it.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { problemsError } from '../../lib/spec/problems';
import { parseDeclarations } from '../../lib/spec/schema';

const messageOf = (declaration: unknown): string => problemsError(parseDeclarations({ hello: declaration }, 'config/function.ts').problems, 'CARTON_SPEC_INVALID').message;
const valid = (declaration: unknown): boolean => parseDeclarations({ hello: declaration }, 'config/function.ts').problems.length === 0;

describe('parseDeclarations', () => {
  it('tells an unknown key with place, expectation, value and the nearest name', () => {
    const { problems } = parseDeclarations({ 'user/profile': { timeoutMss: 5 } }, 'config/function.ts');
    const { code, message } = problemsError(problems, 'CARTON_SPEC_INVALID');
    assert.equal(code, 'CARTON_SPEC_INVALID');
    assert.ok(message.includes('config/function.ts: functions["user/profile"].timeoutMss: expected a known key, got "timeoutMss". Did you mean "timeoutMs"?'), message);
  });

  it('lists the keys where no name is near', () => {
    assert.match(messageOf({ zzzzzzzzzzzzzzzz: 1 }), /The keys are triggers, group, auth, clients, concurrency/);
  });

  it('tells every problem of every declaration', () => {
    const { problems, invalid, declarations } = parseDeclarations({ a: { timeoutMs: 0, x: 1, y: 2 }, b: 'no', c: { auth: 'maybe', triggers: [{ type: 'http', method: 'HEAD' }] }, d: {} }, 'f.ts');
    assert.deepEqual(problems.map(({ place }) => place), [
      'f.ts: functions["a"].timeoutMs', 'f.ts: functions["a"].x', 'f.ts: functions["a"].y', 'f.ts: functions["b"]',
      'f.ts: functions["c"].triggers[0].method', 'f.ts: functions["c"].triggers[0].path', 'f.ts: functions["c"].auth',
    ]);
    assert.deepEqual(invalid, ['a', 'b', 'c']);
    assert.deepEqual([...declarations.keys()], ['d']);
  });

  it('tells at most 20 problems and counts the rest', () => {
    const many = (count: number): string => messageOf(Object.fromEntries(Array.from({ length: count }, (_, index) => [`key${index}`, 1])));
    assert.equal(many(20).match(/\n {2}- /g)?.length, 20);
    assert.doesNotMatch(many(20), /more/);
    assert.match(many(23), /23 problems[\s\S]*\n {2}- and 3 more\n/);
  });

  const ranges: readonly (readonly [key: string, min: number, max: number])[] = [
    ['concurrency', 1, 10_000], ['minInstances', 0, 1_000], ['maxInstances', 1, 1_000], ['timeoutMs', 1, 3_600_000],
    ['idleTimeoutMs', 10, 86_400_000], ['queueLimit', 1, 100_000], ['bodyLimitBytes', 0, 1024 ** 3],
  ];
  for (const [key, min, max] of ranges) {
    it(`takes ${key} from ${min} to ${max} and nothing else`, () => {
      for (const value of [min, max]) assert.ok(valid({ [key]: value }), `${value}`);
      for (const value of [min - 1, max + 1, min + 0.5, Number.NaN, Infinity, `${min}`, null]) assert.ok(!valid({ [key]: value }), `${value}`);
      assert.ok(messageOf({ [key]: max + 1 }).includes(`functions["hello"].${key}: expected an integer from ${min} to ${max}, got ${max + 1}.`));
    });
  }

  it('takes a rate limit with both its parts, or null', () => {
    for (const rateLimit of [null, { perSecond: 0.1, burst: 1 }, { perSecond: 1_000_000, burst: 1_000_000 }]) assert.ok(valid({ rateLimit }));
    for (const rateLimit of [5, {}, { perSecond: 1 }, { perSecond: 0, burst: 1 }, { perSecond: 1, burst: 0.5 }, { perSecond: 1, burst: 1, per: 'h' }]) assert.ok(!valid({ rateLimit }), JSON.stringify(rateLimit));
    assert.match(messageOf({ rateLimit: { perSecond: 1 } }), /rateLimit\.burst: expected an integer from 1 to 1000000, got nothing/);
    assert.match(messageOf({ rateLimit: 5 }), /expected null or an object of perSecond and burst, got 5/);
  });

  it('takes a key that is undefined for one that is left out', () => {
    assert.ok(valid({ timeoutMs: undefined, group: undefined, triggers: undefined }));
  });

  it('refuses an empty list of triggers, which nothing could call', () => {
    assert.match(messageOf({ triggers: [] }), /expected an array of 1 to 32 triggers .*, got \[\]/);
    assert.ok(valid({ triggers: Array.from({ length: 32 }, () => ({ type: 'oneapi' })) }));
    assert.ok(!valid({ triggers: Array.from({ length: 33 }, () => ({ type: 'oneapi' })) }));
  });

  it('checks a trigger and an argument by their kind', () => {
    const http = (more: object): unknown => ({ triggers: [{ type: 'http', method: 'POST', path: '/a', ...more }] });
    assert.ok(valid(http({ args: [{ from: 'body' }, { from: 'body', name: 'x' }, { from: 'query', name: 'q', as: 'boolean' }] })));
    assert.match(messageOf({ triggers: [{ type: 'oneapi', path: '/a' }] }), /triggers\[0\]\.path: expected a known key/);
    assert.match(messageOf({ triggers: [{ type: 'cron' }] }), /triggers\[0\]\.type: expected "oneapi", "http", got "cron"/);
    assert.match(messageOf({ triggers: ['oneapi'] }), /triggers\[0\]: expected an object such as \{ type: "oneapi" \}, got "oneapi"/);
    assert.match(messageOf(http({ args: [{ from: 'body', as: 'number' }] })), /args\[0\]\.as: expected a known key/);
    assert.match(messageOf(http({ args: [{ from: 'query' }] })), /args\[0\]\.name: expected a name of 1 to 256 characters, got nothing/);
    assert.match(messageOf(http({ args: [{ from: 'cookie', name: 'c' }] })), /args\[0\]\.from: expected "path", "query", "header", "body", got "cookie"/);
    assert.match(messageOf(http({ path: 'a' })), /path: expected a path that starts with "\/", got "a"/);
  });

  it('bounds arguments and names', () => {
    const http = (count: number, length: number): unknown => ({ triggers: [{ type: 'http', method: 'POST', path: '/a', args: Array(count).fill({ from: 'query', name: 'q'.repeat(length) }) }] });
    assert.ok(valid(http(64, 256)));
    assert.ok(!valid(http(65, 1)) && !valid(http(1, 257)) && !valid(http(1, 0)));
    assert.ok(valid({ group: 'g'.repeat(64) }) && !valid({ group: 'g'.repeat(65) }) && !valid({ group: 'a:b' }));
  });

  it('refuses anything but an object of declarations', () => {
    for (const raw of [null, [], 5, () => ({})]) {
      const { problems } = parseDeclarations(raw, 'config/function.ts');
      assert.deepEqual(problems.map(({ place }) => place), ['config/function.ts']);
    }
  });

  it('never throws, and always names the place', () => {
    fc.assert(fc.property(fc.dictionary(fc.string(), fc.anything()), (raw) => {
      for (const { place } of parseDeclarations(raw, 'f.ts').problems) assert.match(place, /^f\.ts: functions\[/);
    }));
  });
});
