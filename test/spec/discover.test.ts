/**
 * Which files are functions, and under which names.
 */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { codeFile } from '../../lib/spec/code_file';
import { discover, MAX_SOURCE_BYTES, type Discovery } from '../../lib/spec/discover';
import { walk } from '../../lib/spec/files';
import { FIXTURES, withApplication, withTypescript, write } from './workspace';

const FUNCTION = 'module.exports = async () => {};';
const hook = (): void => undefined;

const found = (discovery: Discovery): Record<string, readonly string[]> => Object.fromEntries(discovery.files.map((file) => [file.name, file.exports]));
const inPlain = (files: Record<string, string>): Promise<Discovery> => withTypescript(undefined, () => withApplication(files, (baseDir) => discover(baseDir, 'app/function')));

describe('discover', () => {
  it('names functions by folder, file and export, in order', async () => {
    const discovery = await withTypescript(undefined, () => discover(path.join(FIXTURES, 'spec-declared'), 'app/function'));
    assert.deepEqual(discovery.files.map(({ name, file, path, exports }) => ({ name, file, path, exports: [...exports].sort() })), [
      { name: 'report/monthly', file: 'app/function/report/monthly', path: 'app/function/report/monthly.js', exports: ['default'] },
      { name: 'report/yearly', file: 'app/function/report/yearly', path: 'app/function/report/yearly.js', exports: ['default', 'summary'] },
      { name: 'user/profile', file: 'app/function/user/profile', path: 'app/function/user/profile.js', exports: ['default'] },
    ]);
    assert.deepEqual(discovery.problems, []);
  });

  it('reads what tsc, babel, swc, esbuild and hands write', async () => {
    const discovery = await withTypescript(undefined, () => discover(path.join(FIXTURES, 'spec-compiled'), 'app/function'));
    const exports = Object.fromEntries(Object.entries(found(discovery)).map(([name, names]) => [name, [...names].sort()]));
    const compiled = ['default', 'named'];
    assert.deepEqual(exports, { babel: compiled, by_hand: ['hello', 'other', 'quoted-key'], esbuild: compiled, swc: compiled, tsc: compiled });
    assert.equal(discovery.files.find((file) => file.name === 'by_hand')?.file, 'app/function/by_hand.cjs');
  });

  it('takes TypeScript, before the JavaScript beside it, where a hook can load it', async () => {
    const baseDir = path.join(FIXTURES, 'spec-typescript');
    await withTypescript(hook, async () => {
      const discovery = await discover(baseDir, 'app/function');
      assert.deepEqual(found(discovery)['shop'], ['default', 'generic', 'stream', 'overloaded', 'typed', 'renamed']);
      assert.deepEqual(found(discovery)['both'], ['default']);
      assert.equal(codeFile(path.join(baseDir, 'app/function/both')), path.join(baseDir, 'app/function/both.ts'));
    });
  });

  it('takes JavaScript only where no hook can load TypeScript, and remembers what is not compiled', async () => {
    const baseDir = path.join(FIXTURES, 'spec-typescript');
    await withTypescript(undefined, async () => {
      const discovery = await discover(baseDir, 'app/function');
      assert.deepEqual(found(discovery), { both: ['built'] });
      assert.deepEqual(discovery.uncompiled, ['shop']);
      assert.equal(codeFile(path.join(baseDir, 'app/function/both')), path.join(baseDir, 'app/function/both.js'));
    });
  });

  it('passes over declarations, tests, dotfiles, data and packages', async () => {
    const ignored = ['a.d.ts', 'a.test.js', 'a.spec.ts', '.hidden.js', '.git/a.js', 'node_modules/a.js', '__tests__/a.js', 'data.json', 'README.md'];
    const discovery = await inPlain(Object.fromEntries([...ignored, 'b.js'].map((file) => [`app/function/${file}`, FUNCTION])));
    assert.deepEqual(found(discovery), { b: ['default'] });
    assert.deepEqual(discovery.problems, []);
  });

  it('has no functions where the directory is missing', async () => {
    assert.deepEqual(await inPlain({ 'package.json': '{}' }), { files: [], problems: [], uncompiled: [] });
  });

  it('refuses names of files and exports that no path could carry, naming them', async () => {
    const { problems } = await inPlain({ 'app/function/a b.js': FUNCTION, 'app/function/über/x.js': FUNCTION, 'app/function/c.d.js': FUNCTION, 'app/function/e.js': 'exports.$f = async () => {};' });
    assert.deepEqual(problems.map(({ code, place }) => [code, place]), [
      ['CARTON_SPEC_NAME_INVALID', 'app/function/a b.js'],
      ['CARTON_SPEC_NAME_INVALID', 'app/function/c.d.js'],
      ['CARTON_SPEC_NAME_INVALID', 'app/function/über/x.js'],
      ['CARTON_SPEC_NAME_INVALID', 'app/function/e.js: export "$f"'],
    ]);
  });

  it('refuses code that it would otherwise pass over in silence', async () => {
    const { problems } = await inPlain({ 'app/function/a.tsx': FUNCTION, 'app/function/b.mts': FUNCTION, 'app/function/c.js': FUNCTION, 'app/function/c.cjs': FUNCTION });
    assert.deepEqual(problems.map(({ place, got }) => [place, got]), [
      ['app/function/a.tsx', '.tsx'], ['app/function/b.mts', '.mts'], ['app/function/c.js', 'app/function/c.cjs beside it'],
    ]);
  });

  it('accepts any path of valid segments, and only those', async () => {
    const segment = fc.oneof(fc.stringMatching(/^[A-Za-z0-9_-]{1,8}$/), fc.stringMatching(/^[A-Za-z0-9 _.$-]{1,8}$/).filter((text) => !/^\.|\.$|^(?:\.\.?)$/.test(text)));
    await fc.assert(fc.asyncProperty(fc.array(segment, { minLength: 1, maxLength: 3 }), async (segments) => {
      const name = segments.join('/');
      fc.pre(!/\.(?:test|spec|d)$/.test(name));
      const discovery = await inPlain({ [`app/function/${name}.js`]: FUNCTION });
      const valid = segments.every((text) => /^[A-Za-z0-9_-]+$/.test(text));
      assert.deepEqual(Object.keys(found(discovery)), valid ? [name] : []);
      assert.equal(discovery.problems.length, valid ? 0 : 1);
    }), { numRuns: 60 });
  });

  it('follows export * inside the application, round a circle, and says that packages are open', async () => {
    const discovery = await inPlain({
      'app/function/a.js': "export * from './b.js';\nexport * from '../shared';\nexport const own = async () => {};",
      'app/function/b.js': "export * from './a';\nexport default f;\nexport const inB = f;",
      'app/function/c.js': "export * from 'package';",
      'app/shared/index.js': 'exports.shared = async () => {};',
    });
    assert.deepEqual(found(discovery), { a: ['own', 'inB', 'shared'], b: ['default', 'inB', 'own', 'shared'], c: [] });
    assert.deepEqual(discovery.files.map((file) => file.complete), [true, true, false]);
  });

  it('follows links inside the application, round a circle, and refuses those that lead out', async () => {
    await withTypescript(undefined, () => withApplication({ 'app/function/a.js': FUNCTION, 'lib/b.js': FUNCTION }, async (baseDir) => {
      await withApplication({ 'outside.js': FUNCTION }, async (outside) => {
        fs.symlinkSync('../../lib/b.js', path.join(baseDir, 'app/function/b.js'));
        fs.symlinkSync('../function', path.join(baseDir, 'app/function/loop'));
        fs.symlinkSync(path.join(outside, 'outside.js'), path.join(baseDir, 'app/function/c.js'));
        fs.symlinkSync(outside, path.join(baseDir, 'app/function/d'));
        fs.symlinkSync('nowhere.js', path.join(baseDir, 'app/function/dangling.js'));
        const discovery = await discover(baseDir, 'app/function');
        assert.deepEqual(Object.keys(found(discovery)), ['a', 'b']);
        assert.deepEqual(discovery.problems.map(({ place }) => place), ['app/function/c.js', 'app/function/d']);
      });
    }));
  });

  it('finds the same through a link to the application', async () => {
    await withTypescript(undefined, () => withApplication({ 'real/app/function/a.js': "export * from './b'", 'real/app/function/b.js': 'export const x = f;' }, async (baseDir) => {
      fs.symlinkSync('real', path.join(baseDir, 'link'));
      assert.deepEqual(found(await discover(path.join(baseDir, 'link'), 'app/function')), { a: ['x'], b: ['x'] });
    }));
  });

  it('refuses a file above the limit of bytes', async () => {
    await withTypescript(undefined, () => withApplication({ 'app/function/a.js': FUNCTION }, async (baseDir) => {
      fs.truncateSync(path.join(baseDir, 'app/function/a.js'), MAX_SOURCE_BYTES + 1);
      await assert.rejects(discover(baseDir, 'app/function'), { code: 'CARTON_SPEC_INVALID', message: /expected at most 16777216 bytes, got 16777217/ });
    }));
  });

  it('walks up to its limit of files, in the same order everywhere', async () => {
    await withApplication({ 'b.js': '', 'B.js': '', 'a/c.js': '', 'a-b.js': '' }, async (baseDir) => {
      const options = { boundary: baseDir, enter: () => true, take: () => true };
      assert.deepEqual((await walk(baseDir, { ...options, maxFiles: 4 })).files, ['B.js', 'a-b.js', 'a/c.js', 'b.js']);
      await assert.rejects(walk(baseDir, { ...options, maxFiles: 3 }), { code: 'CARTON_SPEC_INVALID', message: /at most 3 files/ });
    });
  });

  it('refuses more functions than the limit', async () => {
    const many = Array.from({ length: 10_001 }, (_, index) => `exports.f${index} = g;`).join('\n');
    await withTypescript(undefined, () => withApplication({ 'app/function/a.js': many }, async (baseDir) => {
      await assert.rejects(discover(baseDir, 'app/function'), { code: 'CARTON_SPEC_INVALID', message: /at most 10000 functions/ });
      write(baseDir, 'app/function/a.js', many.slice(0, many.lastIndexOf('\n')));
      assert.equal((await discover(baseDir, 'app/function')).files[0]?.exports.length, 10_000);
    }));
  });
});
