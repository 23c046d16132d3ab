/**
 * What Egg's loader, and nobody else, sees of the disk (lib/snapshot/loader_face.ts), and how its questions are recorded.
 */
import assert from 'node:assert/strict';
import fs, { mkdirSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { isLoaderFile, loaderRequire, type LoaderSource } from '../../lib/snapshot/loader_face';
import { LoaderQuestions } from '../../lib/snapshot/loader_questions';
import { PathTable } from '../../lib/snapshot/paths';
import { FILES, newDirectory, removeDirectory, subjectOf, writeFiles } from './tiny_application';

const own = createRequire(path.resolve(__dirname, '../../node_modules/egg-core/lib/loader/egg_loader.js'));
const ask = (request: string): unknown => own(request);

interface Globby {
  (patterns: unknown, options?: object): Promise<string[]>;
  sync(patterns: unknown, options?: object): string[];
  hasMagic(pattern: string): boolean;
}

/** Has its answers ready, or none. */
function told(over: Partial<LoaderSource> = {}): LoaderSource {
  return { exists: () => undefined, mode: () => undefined, realPath: () => undefined, glob: (_patterns, _directory, list) => list(), ...over };
}

/** A beginning of the recording after everything that a test has written. */
const LATER = BigInt(Date.now() + 3_600_000) * 1_000_000n;

describe('the face for Egg\'s loader', () => {
  it('is for its loader\'s files alone', () => {
    for (const name of ['/a/node_modules/egg-core/lib/loader/egg_loader.js', '/a/node_modules/egg-core/lib/loader/mixin/config.js', '/a/node_modules/@eggjs/core/dist/commonjs/loader/egg_loader.js', 'C:\\a\\node_modules\\egg-core\\lib\\loader\\file_loader.js']) {
      assert.ok(isLoaderFile(name), name);
    }
    for (const name of ['/a/node_modules/egg-core/lib/egg.js', '/a/node_modules/egg/lib/loader/app_worker_loader.js', '/app/lib/loader/x.js', '/app/egg-core/lib/loader/x.js', '/a/node_modules/egg-core/lib/loader/x.json']) {
      assert.ok(!isLoaderFile(name), name);
    }
  });

  it('asks the disk where it has no answer, with the disk\'s own errors', () => {
    const face = loaderRequire(ask, told())('fs') as typeof fs;
    assert.equal(face.existsSync(__filename), true);
    assert.equal(face.existsSync('/none'), false);
    assert.equal(face.statSync(__filename).size, fs.statSync(__filename).size);
    assert.equal(face.realpathSync(__dirname), fs.realpathSync(__dirname));
    assert.throws(() => face.statSync('/none'), { code: 'ENOENT' });
    assert.throws(() => face.realpathSync('/none'), { code: 'ENOENT' });
    assert.equal(face.readFileSync(__filename, 'utf8'), fs.readFileSync(__filename, 'utf8'));
  });

  it('answers what is known, and leaves questions with options to the disk', () => {
    const face = loaderRequire(ask, told({ exists: () => true, mode: () => 0o100644, realPath: () => '/real' }))('node:fs') as typeof fs;
    assert.equal(face.existsSync('/none'), true);
    const stat = face.statSync('/none');
    assert.ok(stat.isFile() && !stat.isDirectory() && stat instanceof fs.Stats);
    assert.equal(face.realpathSync('/none'), '/real');
    assert.equal(typeof face.statSync(__filename, { bigint: true }).size, 'bigint');
    assert.throws(() => face.realpathSync('/none', 'utf8'), { code: 'ENOENT' });
    assert.equal(face.realpathSync.native, fs.realpathSync.native);
  });

  it('sees what others do to fs: a property that is replaced on it is replaced here', () => {
    const face = loaderRequire(ask, told())('fs') as typeof fs;
    const stock = fs.readFileSync;
    const mocked = (() => 'mocked') as unknown as typeof fs.readFileSync;
    try {
      (fs as { readFileSync: unknown }).readFileSync = mocked;
      assert.equal(face.readFileSync('/none'), 'mocked');
    } finally {
      fs.readFileSync = stock;
    }
  });

  it('gives listings that are known as copies, and everything else of globby as it is', async () => {
    const known = ['a.js', 'b.js'];
    const face = loaderRequire(ask, told({ glob: (patterns, _directory, list) => (patterns === '**/*.js' ? known : list()) }))('globby') as Globby;
    const listed = face.sync('**/*.js', { cwd: '/none' });
    listed.push('c.js');
    assert.deepEqual(face.sync('**/*.js', { cwd: '/none' }), ['a.js', 'b.js']);
    // With other options it is another question.
    assert.deepEqual(face.sync('**/*.js', { cwd: '/none', dot: true }), []);
    assert.deepEqual(face.sync(['loader_face.test.js'], { cwd: __dirname }), ['loader_face.test.js']);
    assert.equal(face.hasMagic('*'), true);
    assert.deepEqual(await face(['loader_face.test.js'], { cwd: __dirname }), ['loader_face.test.js']);
  });

  it('loads globby only for a question without an answer', () => {
    const requests: string[] = [];
    const face = loaderRequire((request) => {
      requests.push(request);
      return ask(request);
    }, told({ glob: () => ['known.js'] }))('globby') as Globby;
    assert.deepEqual(face.sync('**', { cwd: '/none' }), ['known.js']);
    assert.deepEqual(requests, []);
  });

  it('gives every other module as it is', () => {
    const face = loaderRequire(ask, told());
    for (const request of ['path', 'debug', 'fs/promises']) assert.equal(face(request), ask(request));
  });
});

const NONE = { exists: {}, modes: {}, realPaths: {}, globs: {} };

describe('the questions of Egg\'s loader', () => {
  let directory: string;
  let baseDir: string;
  let questions: LoaderQuestions;
  let paths: PathTable;
  beforeEach(() => {
    directory = newDirectory();
    baseDir = path.join(directory, 'app');
    writeFiles(baseDir, FILES);
    mkdirSync(path.join(directory, 'outside'));
    symlinkSync(path.join(baseDir, 'lib'), path.join(baseDir, 'linked'));
    paths = new PathTable(subjectOf(baseDir));
    questions = new LoaderQuestions(paths);
  });
  afterEach(() => removeDirectory(directory));

  it('are answered by the disk, and noted by the number of their directory', () => {
    assert.equal(questions.exists(path.join(baseDir, 'lib/prices.js')), true);
    assert.equal(questions.exists(path.join(baseDir, 'lib/none.js')), false);
    assert.equal(questions.mode(path.join(baseDir, 'lib')), fs.statSync(path.join(baseDir, 'lib')).mode);
    assert.equal(questions.realPath(path.join(baseDir, 'linked')), path.join(baseDir, 'lib'));
    const key = (name: string): string => paths.key(path.join(baseDir, name)) as string;
    assert.deepEqual(questions.answers(LATER).exists, { [key('lib/prices.js')]: true, [key('lib/none.js')]: false });
    assert.deepEqual(Object.keys(questions.answers(LATER).modes), [key('lib')]);
    assert.deepEqual(questions.answers(LATER).realPaths, { [key('linked')]: key('lib') });
  });

  it('that fail are not noted, and fail as on the disk', () => {
    assert.throws(() => questions.mode(path.join(baseDir, 'none')), { code: 'ENOENT' });
    assert.throws(() => questions.realPath(path.join(baseDir, 'none')), { code: 'ENOENT' });
    assert.deepEqual(questions.answers(LATER), NONE);
  });

  it('about what is outside, or by a path that goes there and back, are not noted', () => {
    for (const asked of ['/etc/passwd', path.join(directory, 'outside'), `${baseDir}/lib/../lib/prices.js`, `${baseDir}/lib/`, `${baseDir}/lib/..`, 'lib/prices.js']) questions.exists(asked);
    questions.glob('**', path.join(directory, 'outside'), () => ['x.js']);
    questions.glob(['../**'], path.join(baseDir, 'lib'), () => ['../boot.js']);
    questions.realPath('/proc/self');
    assert.deepEqual(questions.answers(LATER), NONE);
    assert.equal(questions.listed.size, 0);
  });

  it('are left out where the answer changed, or rests on what came to be meanwhile', () => {
    const made = path.join(baseDir, 'lib/made.js');
    let listed = ['prices.js'];
    questions.exists(made);
    questions.glob('*.js', path.join(baseDir, 'lib'), () => listed);
    fs.writeFileSync(made, '');
    listed = ['made.js', 'prices.js'];
    questions.exists(made);
    assert.deepEqual(questions.answers(LATER), NONE);
    const fresh = new LoaderQuestions(paths);
    fresh.exists(made);
    fresh.exists(path.join(baseDir, 'lib/gone.js'));
    assert.deepEqual(Object.values(fresh.answers(0n).exists), [false]);
  });
});
