/**
 * The builder and its recording process (lib/entry/snapshot_builder.ts): what is built, what becomes of failures, and
 * that nothing is left running.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { buildSnapshot, type BuildOptions } from '../../lib/entry/snapshot_builder';
import { currentSnapshot, openSnapshot } from '../../lib/snapshot/store';
import { eventually } from '../support/eventually';
import { isRunning, MARK, processesOf } from '../support/processes';
import { age, FILES, newDirectory, removeDirectory, writeFiles, type Files } from '../snapshot/tiny_application';
import { planOf, runFunctionProcess } from './recordings';

const BUILDER = path.resolve(__dirname, 'build_in_child.js');

describe('the builder of snapshots', () => {
  let directory: string;
  let baseDir: string;
  let snapshots: string;
  let mark: string;
  const before = { [MARK]: process.env[MARK], TMPDIR: process.env['TMPDIR'] };
  beforeEach(() => {
    directory = newDirectory();
    baseDir = path.join(directory, 'app');
    snapshots = path.join(directory, 'snapshots');
    writeFiles(baseDir, FILES);
    age();
    // Recording processes inherit it, and what they start.
    process.env[MARK] = mark = randomBytes(8).toString('hex');
    // What is killed leaves something there.
    process.env['TMPDIR'] = directory;
  });
  afterEach(async () => {
    for (const [name, value] of Object.entries(before)) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
    await eventually('the end of all recording processes', () => processesOf(mark).length === 0, { seen: () => processesOf(mark) });
    removeDirectory(directory);
  });

  const build = async (options: Partial<BuildOptions> = {}, files: Files = {}): ReturnType<typeof buildSnapshot>['done'] => {
    writeFiles(baseDir, files);
    return buildSnapshot(await planOf(baseDir, snapshots), { execArgv: [], ...options }).done;
  };

  it('builds a snapshot from which a function process serves', async () => {
    const steps: string[] = [];
    const { snapshot, host } = await build({ onStep: (step) => steps.push(step), background: true });
    assert.equal(host, undefined);
    assert.deepEqual(steps, ['booting the application', 'writing the snapshot']);
    assert.deepEqual(currentSnapshot(snapshots, 'function'), { path: snapshot.path, sha256: snapshot.sha256 });
    assert.ok(snapshot.modules > 10 && snapshot.resolutions > 10 && snapshot.cacheBytes > 1000);
    const ran = await runFunctionProcess(await planOf(baseDir, snapshots), snapshot, [{ function: 'price', args: [7] }]);
    assert.deepEqual([ran.stdout, ran.stderr, ran.warnings, ran.code], ['price 21\n', '', [], 0]);
  });

  it('warns of a warm-up that fails, and builds all the same', async () => {
    const warnings: string[] = [];
    writeFiles(baseDir, { 'app/function/bad.js': 'module.exports = async () => { throw new Error("not today"); };' });
    const warmUps = [{ function: 'bad', args: [] }, { function: 'none', args: [] }, { function: 'price', args: [1] }];
    const { snapshot } = await buildSnapshot(await planOf(baseDir, snapshots, { warmUps }), { execArgv: [], onWarning: (message) => warnings.push(message) }).done;
    assert.match(warnings[0] ?? '', /"bad" failed: CARTON_RUNTIME_FUNCTION_THREW/);
    assert.match(warnings[1] ?? '', /"none" failed: CARTON_INGRESS_UNKNOWN_FUNCTION/);
    assert.equal(warnings.length, 2);
    assert.ok(snapshot.modules > 10);
  });

  for (const [what, boot, message] of [
    ['throws while it boots', 'exports.boot = () => { throw new Error("no database"); };', /expected the application to boot, got Error: no database/],
    ['has a file that is no script', 'exports.boot = () => {', /SyntaxError.*boot\.js/],
  ] as const) {
    it(`rejects with what the application says that ${what}`, async () => {
      await assert.rejects(build({}, { 'boot.js': boot }), { code: 'CARTON_INSTANCE_LAUNCH_FAILED', message });
      assert.equal(currentSnapshot(snapshots, 'function'), undefined);
    });
  }

  for (const [what, boot, message] of [
    ['ends its process', 'process.exit(3);', /exit code 3/],
    ['ends it without an error', 'process.exit(0);', /exit code 0/],
    ['is killed', 'process.kill(process.pid, "SIGKILL");', /SIGKILL/],
    ['throws where nobody catches', 'console.error("about to fall"); process.nextTick(() => { throw new Error("fell"); }); exports.boot = () => new Promise(() => {});', /about to fall[^]*fell/],
    ['writes to the descriptor of the reports', 'require("fs").writeSync(3, "hello\\n"); setInterval(() => {}, 1000); exports.boot = () => new Promise(() => {});', /a report that is none: hello/],
  ] as const) {
    it(`rejects with CARTON_SNAPSHOT_BUILD_FAILED where the application ${what}`, async () => {
      await assert.rejects(build({}, { 'boot.js': boot }), { code: 'CARTON_SNAPSHOT_BUILD_FAILED', message });
      assert.equal(currentSnapshot(snapshots, 'function'), undefined);
    });
  }

  it('rejects where no process can be made, and where nothing is reported in time', async () => {
    await assert.rejects(build({ execArgv: ['--no-such-flag'] }), { code: 'CARTON_SNAPSHOT_BUILD_FAILED', message: /no-such-flag/ });
    await assert.rejects(build({ timeoutMs: 300 }, { 'boot.js': 'for (;;);' }), { code: 'CARTON_SNAPSHOT_BUILD_FAILED', message: /nothing within 300 ms/ });
    const plan = await planOf(baseDir, snapshots);
    removeDirectory(baseDir);
    await assert.rejects(buildSnapshot(plan, { execArgv: [] }).done, { code: 'CARTON_SNAPSHOT_BUILD_FAILED' });
  });

  it('rejects with the code of what the recording failed with, and its message once', async () => {
    writeFiles(directory, { snapshots: 'a file' });
    await assert.rejects(build(), (error: NodeJS.ErrnoException) => {
      assert.equal(error.code, 'CARTON_SNAPSHOT_NOT_WRITTEN');
      assert.equal(error.message.match(/the snapshot cannot be written/g)?.length, 1);
      assert.match(error.message, /ENOTDIR|EEXIST/);
      return true;
    });
  });

  it('ends what the application has started, after success and failure', async () => {
    const starting = 'require("child_process").spawn("sleep", ["1000"], { stdio: ["ignore", "inherit", "inherit"] });';
    await build({}, { 'boot.js': `${starting} exports.boot = () => undefined;` });
    await assert.rejects(build({}, { 'boot.js': `${starting} throw new Error("x");` }));
    await assert.rejects(build({}, { 'boot.js': `${starting} process.exit(1);` }));
  });

  it('does not wait for a daemon that holds its output', async () => {
    const pidFile = path.join(directory, 'pid');
    await build({}, { 'boot.js': `const { pid } = require("child_process").spawn("sleep", ["1000"], { stdio: ["ignore", "inherit", "inherit"], detached: true }); require("fs").writeFileSync(${JSON.stringify(pidFile)}, String(pid));` });
    process.kill(Number(readFileSync(pidFile, 'utf8')), 'SIGKILL');
  });

  it('can be cancelled, at once and again', async () => {
    writeFiles(baseDir, { 'boot.js': 'exports.boot = () => new Promise(() => setInterval(() => {}, 1000));' });
    const building = buildSnapshot(await planOf(baseDir, snapshots), { execArgv: [] });
    building.cancel();
    await assert.rejects(building.done, { code: 'CARTON_SNAPSHOT_BUILD_FAILED', message: /SIGKILL/ });
    building.cancel();
  });

  it('leaves nothing in the directory for temporary files, after success and failure', async () => {
    await build();
    await assert.rejects(build({}, { 'boot.js': 'throw new Error("x");' }));
    assert.deepEqual(readdirSync(directory).sort(), ['app', 'snapshots']);
  });

  it('removes what recordings left in the directory for temporary files, after its time', async () => {
    const [old, fresh] = [0, 1].map(() => mkdtempSync(path.join(tmpdir(), 'carton-recording-'))) as [string, string];
    const longAgo = new Date(Date.now() - 24 * 3_600_000);
    utimesSync(old, longAgo, longAgo);
    await build();
    assert.deepEqual([existsSync(old), existsSync(fresh)], [false, true]);
    removeDirectory(fresh);
  });

  it('takes the descriptors back of each build', async () => {
    await build();
    const open = readdirSync('/proc/self/fd').length;
    await build();
    await assert.rejects(build({}, { 'boot.js': 'process.exit(1);' }));
    await eventually('the descriptors', () => readdirSync('/proc/self/fd').length <= open);
  });

  it('takes its recording along when it dies, whenever that is', async () => {
    const told = path.join(directory, 'told');
    writeFiles(baseDir, { 'boot.js': `require("fs").writeFileSync(${JSON.stringify(told)}, String(process.pid)); exports.boot = () => new Promise(() => setInterval(() => {}, 1000));` });
    const plan = JSON.stringify(await planOf(baseDir, snapshots));
    // As soon as it has made the process, which has not read who its builder is; and once it boots.
    for (const until of [(pid: number) => pid > 0, () => existsSync(told)]) {
      const builder = spawn(process.execPath, [BUILDER, plan], { stdio: ['ignore', 'pipe', 'inherit'] });
      const [line] = (await once(builder.stdout, 'data')) as [Buffer];
      const pid = Number(line.toString());
      await eventually('the recording', () => until(pid));
      builder.kill('SIGKILL');
      await once(builder, 'exit');
      await eventually('its end', () => !isRunning(pid));
    }
  });

  it('leaves what was current where it is killed half way, and the next build succeeds', async () => {
    const { snapshot: former } = await build();
    writeFiles(baseDir, { 'lib/prices.js': 'exports.of = () => 5;' });
    age();
    const plan = JSON.stringify(await planOf(baseDir, snapshots));
    for (const step of ['spawned', 'booting the application', 'writing the snapshot']) {
      const builder = spawn(process.execPath, [BUILDER, plan, step], { stdio: ['ignore', 'pipe', 'inherit'] });
      await once(builder, 'exit');
      const current = currentSnapshot(snapshots, 'function');
      assert.ok(current !== undefined && openSnapshot(current).manifest.files.length > 0);
      if (step !== 'writing the snapshot') assert.equal(current.sha256, former.sha256);
    }
    const { snapshot } = await build();
    assert.notEqual(snapshot.sha256, former.sha256);
    assert.equal(currentSnapshot(snapshots, 'function')?.sha256, snapshot.sha256);
  });

  it('may be two at once: both succeed, and one of theirs is current', async () => {
    const built = await Promise.all([build(), build(), build()]);
    const current = currentSnapshot(snapshots, 'function');
    assert.ok(built.some(({ snapshot }) => snapshot.sha256 === current?.sha256));
    for (const { snapshot } of built) assert.ok(openSnapshot(snapshot).manifest.files.length > 0);
    assert.deepEqual(readdirSync(snapshots).filter((name) => name.endsWith('.tmp')), []);
  });
});
