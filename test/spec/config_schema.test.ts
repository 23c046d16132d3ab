/**
 * The configuration's schema: what it takes, what its messages say, and that the defaults fit it.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { carton, customLogger } from '../../config/config.default';
import { configKeys, validateConfig } from '../../lib/spec/config_schema';
import type { CartonConfig } from '../../lib/support/host_environment';

type Changes = Readonly<Record<string, unknown>>;

/** The defaults with the values at some paths replaced. */
function changed(changes: Changes): unknown {
  const config = structuredClone(carton) as unknown as Record<string, unknown>;
  for (const [path, value] of Object.entries(changes)) {
    const keys = path.split('.');
    const parent = keys.slice(0, -1).reduce((at, key) => at[key] as Record<string, unknown>, config);
    if (value === undefined) delete parent[keys.at(-1) as string];
    else parent[keys.at(-1) as string] = value;
  }
  return config;
}

const accepts = (changes: Changes): CartonConfig => validateConfig(changed(changes));
const refuses = (changes: Changes, message: RegExp): void => assert.throws(() => accepts(changes), { code: 'CARTON_CONFIG_INVALID', message });

describe('config.default', () => {
  it('passes the schema as it is', () => {
    assert.deepEqual(validateConfig(carton), carton);
  });

  it('has the keys of the schema, and the defaults that the schema documents', () => {
    const atPath = (path: string): unknown => path.split('.').reduce<unknown>((at, key) => (at as Record<string, unknown> | null)?.[key], carton);
    for (const { path, default: documented } of configKeys()) {
      if (/^(?:functionDefaults|ingress|snapshot|sidecar)$/.test(path) || /^(?:functionDefaults\.rateLimit|ingress\.cors|sidecar\.clients)\./.test(path)) continue;
      assert.deepEqual(atPath(path), documented, path);
    }
    const leaves = (value: object, prefix: string): string[] => Object.entries(value).flatMap(([key, item]) =>
      (typeof item === 'object' && item !== null && !Array.isArray(item) ? [prefix + key, ...leaves(item as object, `${prefix}${key}.`)] : [prefix + key]));
    const nullable = /^(?:functionDefaults\.rateLimit|ingress\.cors|sidecar\.clients)\./;
    assert.deepEqual(leaves(carton, '').sort(), configKeys().map(({ path }) => path).filter((path) => !nullable.test(path)).sort());
  });

  it('stays mutable for Egg, which merges into it', () => {
    validateConfig(carton);
    assert.ok(!Object.isFrozen(carton) && !Object.isFrozen(carton.ingress) && !Object.isFrozen(carton.execArgv));
  });

  it('writes the access log as bare lines', () => {
    assert.equal(customLogger.cartonAccessLogger.formatter({ message: 'GET /' }), 'GET /');
  });
});

describe('validateConfig', () => {
  it('returns a frozen copy, functions excepted', () => {
    const resolveUser = (): unknown => undefined;
    const config = accepts({ resolveUser, 'functionDefaults.rateLimit': { perSecond: 1, burst: 1 } });
    assert.equal(config.resolveUser, resolveUser);
    assert.ok(!Object.isFrozen(resolveUser));
    for (const part of [config, config.ingress, config.functionDefaults, config.functionDefaults.rateLimit, config.disabledPlugins]) assert.ok(Object.isFrozen(part));
  });

  it('tells key, expectation and value', () => {
    refuses({ 'ingress.oneapiPath': 'oneapi' }, /config\.carton\.ingress\.oneapiPath: expected a path that begins and ends with "\/", such as "\/oneapi\/", got "oneapi"\./);
    refuses({ 'snapshot.warmUps': [{ function: '' }] }, /config\.carton\.snapshot\.warmUps/);
    refuses({ 'snapshot.directory': '/x' }, /config\.carton\.snapshot\.directory: expected a known key/);
    refuses({ maxInstances: 0 }, /config\.carton\.maxInstances: expected an integer from 1 to 10000, got 0/);
    refuses({ launcher: undefined }, /config\.carton\.launcher: expected "auto", "fork", "spawn", "inline", got nothing/);
    refuses({ ingress: 5 }, /config\.carton\.ingress: expected an object of ingress settings, got 5/);
    for (const raw of [undefined, null, 5]) assert.throws(() => validateConfig(raw), { code: 'CARTON_CONFIG_INVALID', message: /config\.carton: expected an object/ });
  });

  it('tells an unknown key with the nearest known one', () => {
    refuses({ maxInstance: 5 }, /config\.carton\.maxInstance: expected a known key, got "maxInstance"\. Did you mean "maxInstances"\?/);
    refuses({ 'ingress.orginCheck': true }, /Did you mean "originCheck"\?/);
    refuses({ 'functionDefaults.timeout': 1 }, /Did you mean "timeoutMs"\?/);
  });

  it('tells all problems at once', () => {
    refuses({ a: 1, b: 2, maxInstances: 'x', 'ingress.cors': {} }, /4 problems[\s\S]*ingress\.cors\.origins[\s\S]*/);
  });

  it('checks relations between keys', () => {
    refuses({ 'functionDefaults.minInstances': 5 }, /functionDefaults\.minInstances: expected at most functionDefaults\.maxInstances, which is 4, got 5/);
    refuses({ 'ingress.cors': { origins: ['*'], credentials: true } }, /browsers send no credentials to "\*"/);
    assert.ok(accepts({ 'functionDefaults.minInstances': 4 }));
  });

  it('completes CORS settings', () => {
    assert.deepEqual(accepts({ 'ingress.cors': { origins: ['https://a.example'] } }).ingress.cors, { origins: ['https://a.example'], credentials: false, maxAgeSeconds: 600, allowedHeaders: [] });
  });

  const values: Record<string, readonly [good: readonly unknown[], bad: readonly unknown[]]> = {
    directory: [[null, '/run/egg-carton'], ['run', '', 5]],
    functionDirectory: [['app/function', 'functions'], ['', '/app', '../app', 'app/../..', 'app//x', './app', 'app/', 'app\\x']],
    specFile: [['config/function', 'carton.functions'], ['config/function.ts', '/config/function', '']],
    launcher: [['auto', 'fork', 'spawn', 'inline'], ['forked', '', null]],
    launchTimeoutMs: [[10, 600_000], [9, 600_001, 1.5]],
    drainTimeoutMs: [[0, 600_000], [-1, 600_001]],
    agentGraceMs: [[0, 600_000], [-1, 600_001]],
    maxBackoffMs: [[10, 3_600_000], [9, 3_600_001]],
    execArgv: [[[], ['--max-old-space-size=64'], Array(64).fill('-r')], ['--x', [''], [5], Array(65).fill('-r')]],
    disabledPlugins: [[[], ['egg-x', 'view_nunjucks']], [['a b'], 'onerror', [null]]],
    resolveUser: [[null, async () => undefined], ['resolve', {}, true]],
    'sidecar.enable': [[true, false], [1, 'true', null]],
    'sidecar.clients': [[{}, { mysql: 'local', oss: 'proxied' }, { mq: { sidecar: 'second', plugin: 'kafka', kind: 'generic' }, a: {} }], [{ mysql: 'remote' }, { 'a b': 'local' }, { a: { sidecar: '' } }, { a: { kind: 'mysql' } }, { a: { side: 'x' } }, [], null]],
    'sidecar.callTimeoutMs': [[1, 3_600_000], [0, 3_600_001]],
    'ingress.enable': [[true, false], [1, 'true', null]],
    'ingress.oneapiPath': [['/oneapi/', '/a/b/'], ['/', 'a/', '/a', '//', '/../', '/a b/']],
    'ingress.allowedOrigins': [[[], ['https://a.example', 'http://localhost:7001']], [['*'], ['https://a.example/'], ['a.example'], ['null'], 'https://a.example']],
    'ingress.cors': [[null, { origins: ['*'] }], [true, { origins: 'a' }, { origins: ['*'], maxAgeSeconds: -1 }, { origins: ['*'], allowedHeaders: ['a b'] }, { origins: ['*'], x: 1 }]],
  };
  for (const [key, [good, bad]] of Object.entries(values)) {
    it(`takes ${key} within its range and nothing else`, () => {
      for (const value of good) assert.doesNotThrow(() => accepts({ [key]: value }), `${String(value)}`);
      for (const value of bad) refuses({ [key]: value }, new RegExp(key.replaceAll('.', '\\.')));
    });
  }

  it('never throws anything else, whatever it is given', () => {
    fc.assert(fc.property(fc.anything(), (raw) => assert.throws(() => validateConfig(raw), { code: 'CARTON_CONFIG_INVALID' })));
  });
});
