/**
 * A revision from an application on disk, with and without its spec file.
 */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import ts from 'typescript';
import { defineFunctions } from '../../lib/spec/define';
import { loadRevision, type LoadOptions } from '../../lib/spec/load';
import type { Revision } from '../../lib/spec/types';
import { DEFAULTS, FIXTURES, withApplication, withTypescript, write } from './workspace';

const load = (baseDir: string, more: Partial<LoadOptions> = {}): Promise<Revision> => loadRevision({
  application: 'shop', baseDir, functionDirectory: 'app/function', specFile: 'config/function', defaults: DEFAULTS, hasUserResolver: false, maxInstances: 64, ...more,
});
const FUNCTION = { 'app/function/a.js': 'module.exports = async () => {};' };

const hook: NodeJS.RequireExtensions['.ts'] = (module, filename) => {
  const source = ts.transpileModule(fs.readFileSync(filename, 'utf8'), { compilerOptions: { module: ts.ModuleKind.CommonJS } }).outputText;
  (module as NodeModule & { _compile(source: string, filename: string): void })._compile(source, filename);
};

describe('loadRevision', () => {
  it('puts files, hash and specs together', async () => {
    const revision = await withTypescript(undefined, () => load(path.join(FIXTURES, 'spec-declared')));
    assert.match(revision.revision, /^[0-9a-f]{16}$/);
    assert.equal(revision.application, 'shop');
    assert.deepEqual(revision.functions.map(({ name, group }) => [name, group]), [
      ['report/monthly', 'group:reports'], ['report/yearly', 'group:reports'], ['report/yearly.summary', 'report/yearly.summary'], ['user/profile', 'user/profile'],
    ]);
    assert.deepEqual(revision.groups.find(({ key }) => key === 'group:reports')?.functions, ['report/monthly', 'report/yearly']);
    assert.equal(revision.functions[3]?.timeoutMs, 2_000);
  });

  it('runs no function file', async () => {
    await withApplication({ 'app/function/a.js': 'throw new Error("was run"); exports.b = async () => {};' }, async (baseDir) => {
      assert.deepEqual((await load(baseDir)).functions.map(({ name }) => name), ['a.b']);
    });
  });

  it('needs no spec file', async () => {
    await withApplication(FUNCTION, async (baseDir) => assert.equal((await load(baseDir)).functions.length, 1));
  });

  it('loads a spec file in TypeScript where a hook can', async () => {
    const files = { ...FUNCTION, 'config/function.ts': 'const timeoutMs: number = 7;\nexport default { a: { timeoutMs } };' };
    await withTypescript(hook, () => withApplication(files, async (baseDir) => assert.equal((await load(baseDir)).functions[0]?.timeoutMs, 7)));
  });

  it('refuses to go on without a spec file that is not compiled', async () => {
    await withTypescript(undefined, () => withApplication({ ...FUNCTION, 'config/function.ts': 'export default {};' }, async (baseDir) => {
      await assert.rejects(load(baseDir), { code: 'CARTON_SPEC_INVALID', message: /expected config\/function\.js, got config\/function\.ts only/ });
    }));
  });

  it('loads an edited spec file, and what it imported beside it, only when asked for a fresh one', async () => {
    const files = { ...FUNCTION, 'config/function.js': "module.exports = { a: { timeoutMs: require('./limits').ms, queueLimit: 1 } };", 'config/limits.js': 'exports.ms = 1;' };
    await withTypescript(undefined, () => withApplication(files, async (baseDir) => {
      const limits = async (fresh: boolean) => (({ timeoutMs, queueLimit }) => ({ timeoutMs, queueLimit }))((await load(baseDir, { fresh })).functions[0] ?? assert.fail());
      assert.deepEqual(await limits(false), { timeoutMs: 1, queueLimit: 1 });
      write(baseDir, 'config/limits.js', 'exports.ms = 2;');
      write(baseDir, 'config/function.js', "module.exports = { a: { timeoutMs: require('./limits').ms, queueLimit: 2 } };");
      assert.deepEqual(await limits(false), { timeoutMs: 1, queueLimit: 1 });
      assert.deepEqual(await limits(true), { timeoutMs: 2, queueLimit: 2 });
      assert.deepEqual(await limits(true), { timeoutMs: 2, queueLimit: 2 });
      const kept = Object.values(require.cache).flatMap((module) => module?.children ?? []).filter(({ filename }) => filename === path.join(baseDir, 'config/function.js'));
      assert.equal(kept.length, 1);
    }));
  });

  for (const [title, source, message] of [
    ['throws', "\nconst x = undefined;\nx.y();", /config\/function\.js could not be loaded, at config\/function\.js:3: Cannot read properties of undefined/],
    ['has a syntax error', "module.exports = {\n  a: {,\n};", /could not be loaded, at config\/function\.js:2: Unexpected token/],
    ['requires what is missing', "require('./nothing');", /could not be loaded, at config\/function\.js:1: Cannot find module/],
  ] as const) {
    it(`tells file and line where the spec file ${title}`, async () => {
      await withTypescript(undefined, () => withApplication({ ...FUNCTION, 'config/function.js': source }, async (baseDir) => {
        await assert.rejects(load(baseDir), (error: Error & { code: string }) => {
          assert.equal(error.code, 'CARTON_SPEC_INVALID');
          assert.match(error.message, message);
          assert.ok(error.cause instanceof Error);
          return true;
        });
      }));
    });
  }

  it('refuses a spec file without a default export, and one that exports a function', async () => {
    const rejects = (source: string, message: RegExp): Promise<void> => withTypescript(undefined, () => withApplication({ ...FUNCTION, 'config/function.js': source }, async (baseDir) => {
      await assert.rejects(load(baseDir), { code: 'CARTON_SPEC_INVALID', message });
    }));
    await rejects("Object.defineProperty(exports, '__esModule', { value: true }); exports.specs = {};", /expected a default export with the specs, got exports specs/);
    await rejects('module.exports = () => ({});', /expected an object of specs .*, got a function/);
  });

  it('tells problems of files and of specs in one message', async () => {
    await withTypescript(undefined, () => withApplication({ ...FUNCTION, 'app/function/b c.js': '', 'config/function.js': 'module.exports = { a: { timeoutMss: 1 } };' }, async (baseDir) => {
      await assert.rejects(load(baseDir), { code: 'CARTON_SPEC_INVALID', message: /2 problems[\s\S]*app\/function\/b c\.js[\s\S]*config\/function\.js: functions\["a"\]\.timeoutMss/ });
    }));
  });
});

describe('defineFunctions', () => {
  it('returns what it is given', () => {
    const declarations = { a: { timeoutMs: 1 } };
    assert.equal(defineFunctions(declarations), declarations);
  });

  it('brings neither lexers nor schemas into a function process', () => {
    for (const name of ['define', 'types', 'code_file']) {
      const source = fs.readFileSync(require.resolve(`../../lib/spec/${name}`), 'utf8');
      const required = [...source.matchAll(/require\("([^"]+)"\)/g)].map((match) => match[1] as string);
      assert.deepEqual(required.filter((id) => !id.startsWith('node:')), [], name);
    }
  });
});
