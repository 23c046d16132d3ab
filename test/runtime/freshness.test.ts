/**
 * Freshness on real files. It changes how Node loads modules for the rest of a process, so each test loads in a
 * process of its own.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { renameSync, rmSync, symlinkSync, utimesSync } from 'node:fs';
import path from 'node:path';
import { Freshness } from '../../lib/runtime/freshness';
import { Workspace } from './workspace_dir';

const MODULE = path.join(__dirname, '../../lib/runtime/freshness.js');
const OLD = new Date('2020-01-01');

describe('lib/runtime/freshness', () => {
  let files: Workspace;
  beforeEach(() => (files = new Workspace()));
  afterEach(() => files.remove());

  /** Runs `script` where `fresh` records, and returns what it says has changed, below the root. */
  function changedAfter(script: string, root = files.root): string | undefined {
    const prelude = `const fs = require('node:fs'); const { Freshness } = require(${JSON.stringify(MODULE)}); const root = ${JSON.stringify(root)}; const fresh = new Freshness(root).record();`;
    const text = execFileSync(process.execPath, ['-e', `${prelude}\n${script}\nprocess.stdout.write(JSON.stringify(fresh.changed() ?? null));`], { encoding: 'utf8' });
    const changed = JSON.parse(text) as string | null;
    return changed === null ? undefined : path.relative(files.root, changed);
  }

  it('says nothing while nothing changes', () => {
    files.write('app/service/a.js', 'module.exports = 1;');
    assert.equal(changedAfter("require(root + '/app/service/a.js'); fresh.booted();"), undefined);
  });

  it('sees an edit after loading, of the same size and within the same moment', () => {
    files.write('app/a.js', 'module.exports = 1;');
    assert.equal(changedAfter("require(root + '/app/a.js'); fs.writeFileSync(root + '/app/a.js', 'module.exports = 2;');"), 'app/a.js');
  });

  it('sees an edit that happens while the file is loaded', () => {
    files.write('app/a.js', "require('node:fs').appendFileSync(__filename, '\\n');");
    assert.equal(changedAfter("require(root + '/app/a.js');"), 'app/a.js');
  });

  it('does not count an edit before the file is loaded', () => {
    files.write('app/function/a.js', 'module.exports = 1;');
    files.write('app/service/b.js', 'module.exports = 1;');
    const script = "require(root + '/app/service/b.js'); fresh.booted(); fs.writeFileSync(root + '/app/function/a.js', 'module.exports = 22;'); require(root + '/app/function/a.js');";
    assert.equal(changedAfter(script), undefined);
  });

  it('counts a file that failed to load', () => {
    files.write('lib/broken.js', 'throw new Error("broken");');
    assert.equal(changedAfter("try { require(root + '/lib/broken.js'); } catch { fs.writeFileSync(root + '/lib/broken.js', '1'); }"), 'lib/broken.js');
  });

  it('counts a new file beside what the application booted from, and none beside a function', () => {
    files.write('app/service/a.js', '1');
    files.write('app/function/f.js', '1');
    const load = "require(root + '/app/service/a.js'); fresh.booted(); require(root + '/app/function/f.js');";
    assert.equal(changedAfter(`${load} fs.writeFileSync(root + '/app/function/g.js', '1');`), undefined);
    assert.equal(changedAfter(`${load} fs.writeFileSync(root + '/app/service/b.js', '1');`), 'app/service');
  });

  it('does not count what is no code, nor packages', () => {
    files.write('app/service/a.js', '1');
    files.write('node_modules/p/index.js', '1');
    const script = "require(root + '/app/service/a.js'); require(root + '/node_modules/p'); fs.writeFileSync(root + '/app/service/.a.js.swp', ''); fs.writeFileSync(root + '/app/service/notes.md', ''); fs.mkdirSync(root + '/logs'); fs.writeFileSync(root + '/node_modules/p/index.js', '2');";
    assert.equal(changedAfter(script), undefined);
  });

  it('counts a package that is linked into the application, and an application behind a link', () => {
    files.write('packages/shared/index.js', '1');
    files.write('app1/app/a.js', "require('shared');");
    files.write('app1/node_modules/.keep', '');
    symlinkSync(files.path('packages/shared'), files.path('app1/node_modules/shared'));
    symlinkSync(files.path('app1'), files.path('link'));
    const load = "require(root + '/app/a.js');";
    assert.equal(changedAfter(`${load} fs.writeFileSync(root + '/../packages/shared/index.js', '2');`, files.path('app1')), 'packages/shared/index.js');
    assert.equal(changedAfter(`${load} fs.writeFileSync(root + '/app/a.js', '2');`, files.path('link')), 'app1/app/a.js');
  });

  it('sees a file replaced, removed, or written by its name only', () => {
    for (const change of ['replace', 'remove', 'write'] as const) {
      const file = files.path(`named-${change}.mjs`);
      if (change !== 'write') utimesSync(files.write(`named-${change}.mjs`, '1'), OLD, OLD);
      const fresh = new Freshness(files.root);
      fresh.note(file);
      assert.equal(fresh.changed(), undefined);
      if (change === 'remove') rmSync(file);
      else renameSync(files.write('other', '1'), file);
      assert.equal(fresh.changed(), file, change);
    }
  });
});
