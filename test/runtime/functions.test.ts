/**
 * Loading functions: what is called, and what is told of one that cannot be loaded.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { loadFunctions, type LoadedFunction } from '../../lib/runtime/functions';
import { placeOf } from '../../lib/runtime/place';
import type { FunctionSpec } from '../../lib/spec/types';
import { Workspace } from './workspace_dir';

const specOf = (name: string, exportName = 'default'): FunctionSpec => ({ name, file: `app/function/${name}`, exportName }) as FunctionSpec;

describe('lib/runtime/functions', () => {
  let files: Workspace;
  beforeEach(() => (files = new Workspace()));
  afterEach(() => files.remove());

  async function load(spec: FunctionSpec, development = true): Promise<LoadedFunction> {
    const [loaded] = await loadFunctions([spec], { baseDir: files.root, development, output: undefined });
    return loaded as LoadedFunction;
  }

  it('loads default and named exports, of CommonJS and of ES modules', async () => {
    files.write('app/function/whole.js', 'module.exports = () => 1;');
    files.write('app/function/named.js', 'exports.two = () => 2;');
    files.write('app/function/module.mjs', 'export default () => 3; export const four = () => 4;');
    assert.equal((await load(specOf('whole'))).call?.({}), 1);
    assert.equal((await load(specOf('named', 'two'))).call?.({}), 2);
    assert.equal((await load(specOf('module.mjs'))).call?.({}), 3);
    assert.equal((await load(specOf('module.mjs', 'four'))).call?.({}), 4);
  });

  it('answers 404 for a missing file and for an export that is no function', async () => {
    files.write('app/function/value.js', 'module.exports = 1;');
    for (const spec of [specOf('gone'), specOf('value'), specOf('value', 'other')]) {
      const { call, error } = await load(spec);
      assert.equal(call, undefined);
      assert.equal(error?.code, 'CARTON_RUNTIME_NOT_A_FUNCTION');
      assert.equal(error.status, 404);
    }
  });

  it('tells file and line of a syntax error and of a throw, with the stack in development only', async () => {
    files.write('app/function/syntax.js', '\nmodule.exports = () => {{;\n');
    files.write('app/function/throws.js', '\n\nthrow new TypeError("no luck");\n');
    for (const [name, place] of [['syntax', /At app\/function\/syntax\.js:\d/], ['throws', /At app\/function\/throws\.js:3/]] as const) {
      const { error } = await load(specOf(name));
      assert.equal(error?.code, 'CARTON_RUNTIME_LOAD_FAILED');
      assert.match(error.message, place);
      assert.ok(error.thrown?.stack?.includes(`${name}.js`));
    }
    files.write('app/function/again.js', 'throw new Error("x");');
    assert.equal((await load(specOf('again'), false)).error?.thrown, undefined);
  });

  it('tells file and line of a type error, where types are checked', function () {
    this.timeout(60_000);
    files.write('app/function/typed.ts', "\nconst wrong: number = 'text';\nexport default () => wrong;\n");
    files.write('tsconfig.json', '{ "compilerOptions": { "module": "CommonJS", "target": "ES2022", "types": [], "strict": true } }');
    const script = `require(${JSON.stringify(path.join(__dirname, '../../lib/runtime/functions.js'))})
      .loadFunctions([${JSON.stringify(specOf('typed'))}], { baseDir: process.cwd(), development: true, output: undefined })
      .then(([loaded]) => process.stdout.write(JSON.stringify(loaded.error)));`;
    const environment = { ...process.env, EGG_TYPESCRIPT: 'true', TS_NODE_PRETTY: 'true' };
    const text = execFileSync(process.execPath, ['-r', require.resolve('ts-node/register'), '-e', script], { cwd: files.root, env: environment, encoding: 'utf8' });
    const error = JSON.parse(text) as { code: string; message: string };
    assert.equal(error.code, 'CARTON_RUNTIME_LOAD_FAILED');
    assert.match(error.message, /TS2322/);
    assert.match(error.message, /At app\/function\/typed\.ts:2:7/);
    assert.ok(!text.includes('\\u001b'), 'no colours of a terminal');
  });

  it('finds places in the texts of compilers, with and without colours', () => {
    assert.equal(placeOf('app/a.ts(6,11): error TS1136: Property assignment expected.', '/r'), 'app/a.ts:6:11');
    assert.equal(placeOf('\u001b[96mapp/a.ts\u001b[0m:\u001b[93m6\u001b[0m:\u001b[93m11\u001b[0m - error', '/r'), 'app/a.ts:6:11');
    assert.equal(placeOf('Error: x\n    at f (/r/node_modules/p/i.js:1:2)\n    at g (/r/app/a.js:3:4)', '/r'), 'app/a.js:3:4');
    assert.equal(placeOf('Error: nowhere', '/r'), undefined);
  });
});
