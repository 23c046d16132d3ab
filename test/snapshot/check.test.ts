/**
 * Whether a snapshot still says what the disk says (lib/snapshot/check.ts), after each kind of change.
 */
import assert from 'node:assert/strict';
import { appendFileSync, cpSync, mkdirSync, renameSync, rmSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expectSubject, verify } from '../../lib/snapshot/check';
import type { SnapshotReference } from '../../lib/snapshot/manifest';
import { openSnapshot } from '../../lib/snapshot/store';
import { age, FILES, newDirectory, record, removeDirectory, subjectOf, writeFiles } from './tiny_application';

const MISMATCH = { code: 'CARTON_SNAPSHOT_MISMATCH' };

describe('a snapshot is held against the disk', () => {
  let directory: string;
  let baseDir: string;
  beforeEach(() => {
    directory = newDirectory();
    baseDir = path.join(directory, 'app');
    writeFiles(baseDir, FILES);
  });
  afterEach(() => removeDirectory(directory));

  function recorded(modules?: readonly string[]): SnapshotReference {
    return record(subjectOf(baseDir), path.join(directory, 'snapshots'), modules);
  }
  const expectFit = (reference: SnapshotReference): void => expectSubject(openSnapshot(reference), subjectOf(baseDir));
  const differences = (reference: SnapshotReference): string[] => verify(openSnapshot(reference), subjectOf(baseDir)).map((difference) => difference.path);
  const file = (name: string): string => path.join(baseDir, name);

  it('and fits where nothing changed, also without a globby anywhere', () => {
    const reference = recorded();
    expectFit(reference);
    assert.deepEqual(differences(reference), []);
  });

  it('and fits where only times changed', () => {
    const reference = recorded();
    utimesSync(file('lib/prices.js'), new Date(), new Date());
    expectFit(reference);
  });

  it('and fits where what comes and goes in an application\'s root did', () => {
    const reference = recorded();
    for (const name of ['logs', 'run', '.carton', '.git']) mkdirSync(file(name));
    expectFit(reference);
  });

  it('and fits where a new file would not have been asked for', () => {
    const reference = recorded();
    writeFileSync(file('lib/other.js'), 'throw new Error();');
    expectFit(reference);
    assert.deepEqual(differences(reference), []);
  });

  it('finds a file of the application that was changed to the same length', () => {
    const reference = recorded();
    writeFileSync(file('lib/prices.js'), (FILES['lib/prices.js'] as string).replace('*', '+'));
    assert.throws(() => expectFit(reference), { ...MISMATCH, message: /lib\/prices\.js.*another content/ });
  });

  it('finds one whose time was set back only where contents are compared', () => {
    const reference = recorded();
    const { atime, mtime } = statSync(file('lib/table.json'));
    utimesSync(file('lib/table.json'), atime, mtime);
    const exact = recorded();
    writeFileSync(file('lib/table.json'), '{"unit":4}');
    utimesSync(file('lib/table.json'), atime, mtime);
    expectFit(exact);
    assert.deepEqual(differences(exact), [file('lib/table.json')]);
    assert.deepEqual(differences(reference), [file('lib/table.json')]);
  });

  it('finds a file of a dependency only where everything is compared: the lockfile speaks for it', () => {
    const reference = recorded();
    appendFileSync(file('node_modules/dep/main.js'), ' ');
    expectFit(reference);
    assert.deepEqual(differences(reference), [file('node_modules/dep/main.js')]);
  });

  it('finds a file that is gone, is a directory now, or lies below what is a file now', () => {
    for (const change of [
      () => rmSync(file('lib/prices.js')),
      () => {
        rmSync(file('lib/prices.js'));
        mkdirSync(file('lib/prices.js'));
      },
      () => {
        rmSync(file('lib'), { recursive: true });
        writeFileSync(file('lib'), '');
      },
    ]) {
      rmSync(baseDir, { recursive: true });
      writeFiles(baseDir, FILES);
      const reference = recorded();
      change();
      assert.throws(() => expectFit(reference), MISMATCH);
      assert.ok(differences(reference).length > 0);
    }
  });

  it('finds a new file that Node prefers to the one that was found', () => {
    const reference = recorded();
    writeFileSync(file('lib/folder.js'), 'module.exports = "file";');
    assert.throws(() => expectFit(reference), { ...MISMATCH, message: /\.\/folder in/ });
    assert.deepEqual(differences(reference), [`./folder in ${file('lib')}`]);
  });

  it('finds one that Node prefers in a directory from which nothing else was loaded', () => {
    writeFiles(baseDir, { 'boot.js': 'module.exports = require("./only/folder");', 'only/folder/index.js': 'module.exports = "folder";' });
    const reference = recorded(['boot.js']);
    expectFit(reference);
    writeFileSync(file('only/folder.js'), 'module.exports = "file";');
    assert.throws(() => expectFit(reference), MISMATCH);
  });

  it('finds that a package.json of the application\'s own names another entry', () => {
    writeFiles(baseDir, {
      'boot.js': 'module.exports = require("./vendor");', 'vendor/package.json': '{"main":"one.js"}', 'vendor/one.js': 'module.exports = 1;', 'vendor/two.js': 'module.exports = 2;',
    });
    const reference = recorded(['boot.js']);
    expectFit(reference);
    writeFileSync(file('vendor/package.json'), '{"main":"two.js"}');
    assert.throws(() => expectFit(reference), MISMATCH);
  });

  it('finds a dependency that is not there any more, or that came, only where everything is compared', () => {
    const reference = recorded();
    writeFiles(baseDir, { 'node_modules/dep-extra/index.js': 'module.exports = "extra";' });
    expectFit(reference);
    assert.deepEqual(differences(reference), [`dep-extra in ${file('node_modules/dep')}`]);
    renameSync(file('node_modules/dep'), file('node_modules/moved'));
    assert.ok(differences(reference).length > 2);
  });

  it('finds a lockfile that differs', () => {
    const reference = recorded();
    writeFileSync(file('node_modules/.package-lock.json'), '{"lockfileVersion":3,"packages":{}}');
    assert.throws(() => expectFit(reference), { ...MISMATCH, message: /key "lockfile"/ });
  });

  it('tells application from application: another one does not fit', () => {
    const reference = recorded();
    const other = path.join(directory, 'other');
    cpSync(baseDir, other, { recursive: true });
    writeFileSync(path.join(other, 'lib/prices.js'), 'exports.of = () => 0;');
    age();
    assert.throws(() => expectSubject(openSnapshot(reference), subjectOf(other)), { ...MISMATCH, message: /lib\/prices\.js/ });
  });
});

/** Egg's loader lists directories: what it would list now decides. */
describe('a snapshot of an Egg application is held against the disk', () => {
  const ROOT = path.resolve(__dirname, '../..');
  let directory: string;
  let baseDir: string;
  let reference: SnapshotReference;
  const subject = (): ReturnType<typeof subjectOf> => subjectOf(baseDir, { framework: path.join(ROOT, 'node_modules/egg') });
  const expectFit = (): void => expectSubject(openSnapshot(reference), subject());

  before(() => {
    directory = newDirectory();
    baseDir = path.join(directory, 'app');
    writeFiles(baseDir, {
      'package.json': '{"name":"listed"}',
      'config/config.default.js': 'exports.keys = "x";',
      'app/router.js': 'module.exports = () => undefined;',
      'app/service/one.js': 'module.exports = class { name() { return "one"; } };',
      'load.js': `const { Application } = require(${JSON.stringify(path.join(ROOT, 'node_modules/egg'))});
        const application = new Application({ baseDir: __dirname, mode: 'single', env: 'prod' });
        module.exports = Object.keys(application.serviceClasses);`,
    });
    mkdirSync(path.join(directory, 'shared/deep'), { recursive: true });
    symlinkSync(path.join(ROOT, 'node_modules'), path.join(directory, 'node_modules'));
    symlinkSync(path.join(directory, 'shared'), path.join(baseDir, 'app/service/linked'));
    reference = record(subject(), path.join(directory, 'snapshots'), ['load.js']);
  });
  after(() => removeDirectory(directory));

  it('and fits where nothing changed, and everything is compared', () => {
    expectFit();
    assert.deepEqual(verify(openSnapshot(reference), subject()), []);
  });

  for (const [what, name, text] of [
    ['a service', 'app/service/two.js', 'module.exports = class {};'],
    ['a service in a new directory', 'app/service/new/two.js', 'module.exports = class {};'],
    ['a first extension in a new directory', 'app/extend/context.js', 'module.exports = {};'],
    ['a configuration of the environment', 'config/config.prod.js', 'exports.x = 1;'],
    ['a plugin list', 'config/plugin.js', 'module.exports = {};'],
    ['a boot class', 'app.js', 'module.exports = class {};'],
    ['a file behind a link', 'app/service/linked/deep/three.js', 'module.exports = class {};'],
  ] as const) {
    it(`finds ${what} that was added, and fits again without it`, () => {
      writeFiles(baseDir, { [name]: text });
      try {
        assert.throws(expectFit, MISMATCH);
        assert.ok(verify(openSnapshot(reference), subject()).length > 0);
      } finally {
        rmSync(path.join(baseDir, name));
      }
      expectFit();
    });
  }

  it('finds a service that was removed', () => {
    const service = path.join(baseDir, 'app/service/one.js');
    renameSync(service, path.join(directory, 'kept.js'));
    try {
      assert.throws(expectFit, MISMATCH);
    } finally {
      renameSync(path.join(directory, 'kept.js'), service);
    }
    expectFit();
  });

  it('fits where a directory was added from which Egg loads nothing', () => {
    mkdirSync(path.join(baseDir, 'app/service/empty'));
    writeFiles(baseDir, { 'app/view/page.html': '' });
    expectFit();
  });
});
