/**
 * `egg-carton/register` in a process of egg-cluster's: it never throws, tells in one line what it cannot use, and then
 * everything is loaded as without it.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { ROOT } from '../support/cluster';
import { descriptorOf } from './recordings';
import { newDirectory, place, removeDirectory, withManifest, writeFiles } from '../snapshot/tiny_application';
import { buildSnapshot } from '../../lib/entry/snapshot_builder';
import { snapshotSubject } from '../../lib/entry/snapshot_subject';
import type { SnapshotReference } from '../../lib/snapshot/manifest';

const PROGRAM = `
  require(process.env.CARTON_ROOT + '/register.js');
  const registration = globalThis[Symbol.for('egg-carton.registration')];
  const { Application } = require(process.env.CARTON_ROOT + '/node_modules/egg');
  require('fs').writeSync(3, JSON.stringify({ registration: registration && { replay: registration.replay !== undefined, isMissing: registration.isMissing, served: registration.replay?.served }, application: typeof Application }));
  process.exit(0);
`;

interface Told {
  readonly registration?: { readonly replay: boolean; readonly isMissing: boolean; readonly served?: number };
  readonly application: string;
  /** What was printed, on stdout alone: egg-scripts takes a line on stderr for a failed start. */
  readonly printed: string;
}

describe('egg-carton/register', () => {
  let directory: string;
  let baseDir: string;
  let snapshots: string;
  let good: SnapshotReference;
  before(async () => {
    directory = newDirectory();
    baseDir = path.join(directory, 'app');
    snapshots = path.join(directory, 'snapshots');
    writeFiles(baseDir, { 'package.json': '{"name":"registered"}', 'config/config.default.js': 'exports.keys = "x";', 'config/env': 'prod', 'app/router.js': 'module.exports = () => undefined;' });
    symlinkSync(path.join(ROOT, 'node_modules'), path.join(directory, 'node_modules'));
    const application = descriptorOf(baseDir, { kind: 'egg', name: 'registered', entry: path.join(directory, 'node_modules/egg'), options: { env: 'prod' } });
    const build = buildSnapshot({ subject: snapshotSubject(application, 'host'), directory: path.join(directory, 'built'), application, functions: [], warmUps: [] }, { execArgv: [] });
    ({ snapshot: good } = await build.done);
  });
  after(() => removeDirectory(directory));
  beforeEach(() => {
    rmSync(snapshots, { recursive: true, force: true });
    place(snapshots, { bytes: readFileSync(good.path), sha256: good.sha256 }, 'host');
  });

  function register(environment: NodeJS.ProcessEnv = {}, options: string = JSON.stringify({ baseDir, framework: path.join(directory, 'node_modules/egg') })): Told {
    const child = spawnSync(process.execPath, ['-e', PROGRAM, '--', 'agent_worker.js', options], {
      encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe', 'pipe'], cwd: baseDir, timeout: 20_000,
      env: { ...process.env, EGG_CARTON_SNAPSHOT_DIR: snapshots, CARTON_ROOT: ROOT, EGG_HOME: directory, NODE_ENV: 'production', EGG_SERVER_ENV: undefined, ...environment },
    });
    assert.equal(child.status, 0, `${child.signal} ${child.stderr}`);
    assert.equal(child.stderr, '');
    return { ...(JSON.parse(child.output[3] as string) as Told), printed: child.stdout };
  }

  function quiet(told: Told, line: RegExp): void {
    assert.deepEqual(told.registration, { replay: false, isMissing: true });
    assert.equal(told.application, 'function');
    assert.match(told.printed, line);
    assert.equal(told.printed.trim().split('\n').length, 1, told.printed);
  }

  it('has the process load from the snapshot that fits, without a word', () => {
    const { registration, application, printed } = register();
    assert.equal(registration?.replay, true);
    assert.equal(registration?.isMissing, false);
    assert.ok((registration?.served ?? 0) > 50);
    assert.deepEqual([application, printed], ['function', '']);
  });

  it('does so, too, in a process that has no options, by its working directory', () => {
    assert.equal(register({}, 'no JSON').registration?.replay, true);
  });

  it('says nothing where there is none', () => {
    const { registration, printed } = register({ EGG_CARTON_SNAPSHOT_DIR: path.join(directory, 'none') });
    assert.deepEqual(registration, { replay: false, isMissing: true });
    assert.equal(printed, '');
  });

  it('does nothing where files change under a running application', () => {
    rmSync(path.join(baseDir, 'config/env'));
    try {
      for (const environment of [{ NODE_ENV: 'development' }, { NODE_ENV: 'test' }, { EGG_SERVER_ENV: 'local' }, { EGG_SERVER_ENV: 'unittest' }]) {
        const { registration, printed } = register(environment);
        assert.deepEqual([registration, printed], [undefined, '']);
      }
    } finally {
      writeFileSync(path.join(baseDir, 'config/env'), 'prod');
    }
  });

  it('goes on with one line where the directory or the file is unsafe', () => {
    chmodSync(snapshots, 0o777);
    quiet(register(), /could be changed by another user.*mode 777/);
    chmodSync(snapshots, 0o755);
    chmodSync(path.join(snapshots, 'host.json'), 0o666);
    quiet(register(), /could be changed by another user.*host\.json/);
  });

  it('goes on with one line where pointer or file are damaged, missing, or another kind of file', () => {
    const file = path.join(snapshots, path.basename(good.path));
    const pointer = path.join(snapshots, 'host.json');
    for (const spoil of [
      () => writeFileSync(pointer, 'garbage'),
      () => rmSync(file),
      () => writeFileSync(file, ''),
      () => {
        rmSync(file);
        mkdirSync(file);
      },
      () => {
        rmSync(pointer);
        execFileSync('mkfifo', ['-m', '644', pointer]);
      },
      () => {
        rmSync(file);
        execFileSync('mkfifo', ['-m', '644', file]);
      },
    ]) {
      rmSync(snapshots, { recursive: true });
      place(snapshots, { bytes: readFileSync(good.path), sha256: good.sha256 }, 'host');
      spoil();
      quiet(register(), /^\[egg-carton\] .*the snapshot is damaged/);
    }
  });

  it('goes on with one line where it was built for something else', () => {
    place(snapshots, withManifest(readFileSync(good.path), (manifest) => void ((manifest.key as Record<string, unknown>)['role'] = 'function')), 'host');
    quiet(register(), /key "role"/);
    place(snapshots, { bytes: readFileSync(good.path), sha256: good.sha256 }, 'host');
    quiet(register({ EGG_SERVER_SCOPE: 'blue' }), /key "scope"/);
    quiet(register({}, JSON.stringify({ baseDir, framework: path.join(directory, 'node_modules/egg'), plugins: { static: false } })), /key "plugins"/);
  });

  it('goes on with one line where the application changed', () => {
    const added = path.join(baseDir, 'app/extend/context.js');
    writeFiles(baseDir, { 'app/extend/context.js': 'module.exports = {};' });
    try {
      quiet(register(), /built for something else.*app\/extend/);
    } finally {
      rmSync(path.dirname(added), { recursive: true });
    }
    assert.ok(register().registration?.replay);
  });

  it('goes on with one line where the application has no framework', () => {
    const nowhere = newDirectory();
    writeFiles(nowhere, { 'package.json': '{"name":"x","egg":{"framework":"no-such-framework"}}' });
    quiet(register({}, JSON.stringify({ baseDir: nowhere })), /framework/);
    assert.ok(existsSync(nowhere));
    removeDirectory(nowhere);
  });
});
