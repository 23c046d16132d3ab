/**
 * What changes a revision's name and what does not.
 */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { contentHash } from '../../lib/spec/revision';
import { withApplication, write } from './workspace';

const OPTIONS = { functionDirectory: 'app/function', specFile: 'config/function' };
const APPLICATION = { 'package.json': '{}', 'app/function/a.js': 'a', 'config/config.default.js': 'b', 'lib/c.ts': 'c', 'agent.js': 'd' };

async function changes(file: string, options = OPTIONS): Promise<boolean> {
  return withApplication(APPLICATION, async (baseDir) => {
    const before = await contentHash(baseDir, options);
    write(baseDir, file, 'changed');
    return (await contentHash(baseDir, options)) !== before;
  });
}

describe('contentHash', () => {
  it('is 16 hexadecimal digits, the same for the same files anywhere', async () => {
    const one = await withApplication(APPLICATION, (baseDir) => contentHash(baseDir, OPTIONS));
    const reversed = Object.fromEntries(Object.entries(APPLICATION).reverse());
    const two = await withApplication(reversed, (baseDir) => contentHash(baseDir, OPTIONS));
    assert.match(one, /^[0-9a-f]{16}$/);
    assert.equal(one, two);
  });

  for (const file of ['app/function/a.js', 'app/function/new.cjs', 'app/service/x.mjs', 'app/run/x.js', 'lib/test/x.js', 'lib/native.node', 'lib/data.json', 'config/function.ts', 'app.js', 'package.json', 'package-lock.json', 'pnpm-lock.yaml', 'yarn.lock']) {
    it(`changes with ${file}`, async () => assert.ok(await changes(file)));
  }

  for (const file of ['app/function/a.d.ts', 'app/public/a.js', 'app/view/a.js', 'lib/node_modules/x/index.js', 'node_modules/x/index.js', 'logs/a.json', 'run/a.json', 'coverage/a.json', 'typings/a.ts', 'test/a.js', 'app/.cache/a.js', '.eslintrc.js', 'README.md', 'app/notes.txt', 'lib/yarn.lock']) {
    it(`does not change with ${file}`, async () => assert.ok(!(await changes(file))));
  }

  it('covers the directories that the configuration names', async () => {
    const options = { functionDirectory: 'src/functions', specFile: 'settings/function' };
    assert.ok(await changes('src/shared/a.js', options));
    assert.ok(await changes('settings/function.js', options));
    assert.ok(!(await changes('src/shared/a.js')));
    assert.ok(!(await changes('other/a.js', { ...OPTIONS, specFile: 'functions' })));
  });

  it('tells a renamed file and moved bytes from what was there', async () => {
    const hashes = await Promise.all([{ 'lib/a.js': 'xy', 'lib/b.js': '' }, { 'lib/a.js': 'x', 'lib/b.js': 'y' }, { 'lib/a.js': 'xy' }, { 'lib/c.js': 'xy', 'lib/b.js': '' }]
      .map((files) => withApplication(files as unknown as Record<string, string>, (baseDir) => contentHash(baseDir, OPTIONS))));
    assert.equal(new Set(hashes).size, 4);
  });

  it('follows links inside the application only', async () => {
    await withApplication({ 'x.js': '1' }, (outside) => withApplication({ ...APPLICATION, 'other/x.js': '1' }, async (baseDir) => {
      const before = await contentHash(baseDir, OPTIONS);
      fs.symlinkSync(outside, path.join(baseDir, 'lib/outside'));
      fs.symlinkSync(path.join(outside, 'x.js'), path.join(baseDir, 'lib/outside.js'));
      fs.symlinkSync('nowhere', path.join(baseDir, 'lib/dangling.js'));
      assert.equal(await contentHash(baseDir, OPTIONS), before);
      fs.symlinkSync('../other', path.join(baseDir, 'lib/other'));
      const linked = await contentHash(baseDir, OPTIONS);
      assert.notEqual(linked, before);
      write(baseDir, 'other/x.js', '2');
      assert.notEqual(await contentHash(baseDir, OPTIONS), linked);
    }));
  });

  it('reads files of any size', async () => {
    await withApplication(APPLICATION, async (baseDir) => {
      write(baseDir, 'lib/large.js', 'x'.repeat(5_000_000));
      const before = await contentHash(baseDir, OPTIONS);
      write(baseDir, 'lib/large.js', `${'x'.repeat(4_999_999)}y`);
      assert.notEqual(await contentHash(baseDir, OPTIONS), before);
    });
  });
});
