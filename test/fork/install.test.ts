/**
 * The install script of the native addon (native/install.cjs), in copies of the package.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { appendFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ROOT } from '../support/cluster';

const WITHOUT_ADDON = /^egg-carton: the native addon is not there \(([^\n]*)\)\. Functions will be spawned[^\n]*\n$/;

describe('the install script of the native addon', () => {
  let copy: string;
  let built: string;
  beforeEach(() => {
    copy = mkdtempSync(path.join(tmpdir(), 'ec-install-'));
    built = path.join(copy, 'build/Release/forker.node');
    for (const name of ['binding.gyp', 'native', 'package.json', 'lib/fork', 'lib/support']) {
      cpSync(path.join(ROOT, name), path.join(copy, name), { recursive: true, preserveTimestamps: true });
    }
    mkdirSync(path.join(copy, 'node_modules'));
    symlinkSync(path.join(ROOT, 'node_modules/node-gyp-build'), path.join(copy, 'node_modules/node-gyp-build'));
    // Nothing but Node.
    mkdirSync(path.join(copy, 'bin'));
    symlinkSync(process.execPath, path.join(copy, 'bin/node'));
  });
  afterEach(() => rmSync(copy, { recursive: true }));

  function install({ args = [], tools = true, before = [] }: { args?: string[]; tools?: boolean; before?: string[] } = {}): { status: number | null; stderr: string } {
    const env = { ...process.env, npm_config_build_from_source: undefined, CC: undefined, ...(tools ? {} : { PATH: path.join(copy, 'bin') }) };
    return spawnSync(process.execPath, [...before, path.join(copy, 'native/install.cjs'), ...args], { encoding: 'utf8', env });
  }

  function assertWithout({ status, stderr }: { status: number | null; stderr: string }, why: RegExp): void {
    assert.equal(status, 0);
    assert.match(WITHOUT_ADDON.exec(stderr)?.[1] ?? stderr, why);
    assert.equal(existsSync(built), false);
  }

  it('compiles where there is a compiler, not again while the sources are older, and again when one is newer', () => {
    assert.deepEqual([install().status, existsSync(built)], [0, true]);
    // A file that takes another's place may get its number.
    const written = (): bigint => statSync(built, { bigint: true }).ctimeNs;
    const first = written();
    const again = install();
    assert.deepEqual([again.status, again.stderr, written()], [0, '', first]);
    const later = new Date(Date.now() + 5_000);
    utimesSync(path.join(copy, 'native/frames.h'), later, later);
    install();
    assert.notEqual(written(), first);
  });

  it('compiles without a warning', () => {
    writeFileSync(path.join(copy, 'binding.gyp'), execFileSync('sed', ['s/"-Wextra"/"-Wextra", "-Werror"/', path.join(ROOT, 'binding.gyp')]));
    assert.equal(install({ args: ['--verbose'] }).status, 0);
  });

  it('succeeds with one line without a compiler, and fails only where somebody asks for all', () => {
    assertWithout(install({ tools: false }), /no C compiler/);
    assert.equal(install({ tools: false, args: ['--verbose'] }).status, 1);
  });

  it('succeeds with one line when compiling fails, and says what was wrong', () => {
    appendFileSync(path.join(copy, 'native/frames.h'), '\n#error nonsense\n');
    assertWithout(install(), /compiling it failed: .*nonsense/);
  });

  it('succeeds with one line on another platform', () => {
    const other = path.join(copy, 'other.cjs');
    writeFileSync(other, 'Object.defineProperty(process, "platform", { value: "darwin" })');
    assertWithout(install({ before: ['--require', other] }), /on Linux only, and this is darwin/);
  });

  it('takes a prebuilt binary where one fits, and compiles where it cannot be loaded', () => {
    const prebuilt = path.join(copy, `prebuilds/linux-${process.arch}/egg-carton.node`);
    mkdirSync(path.dirname(prebuilt), { recursive: true });
    cpSync(path.join(ROOT, 'build/Release/forker.node'), prebuilt);
    const { status, stderr } = install({ tools: false });
    assert.deepEqual([status, stderr, existsSync(built)], [0, '', false]);
    writeFileSync(prebuilt, 'of another platform');
    assert.equal(install().status, 0);
    assert.ok(existsSync(built));
  });

  it('leaves it to the host to say what was looked for, and what to run', () => {
    const { stdout } = spawnSync(process.execPath, ['-e', 'try { require("./lib/fork/native").forker() } catch (error) { console.log(error.code, error.message) }'], { cwd: copy, encoding: 'utf8' });
    assert.match(stdout, /^CARTON_FORK_UNAVAILABLE /);
    assert.ok(stdout.includes(`node ${path.join(copy, 'native/install.cjs')}`) && stdout.includes('build/Release/forker.node'), stdout);
  });

  it('is in the package with all that it needs, and nothing that was built', () => {
    const [{ files }] = JSON.parse(execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], { cwd: ROOT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })) as [{ files: { path: string }[] }];
    const packed = files.map((file) => file.path);
    const native = readdirSync(path.join(ROOT, 'native')).map((name) => `native/${name}`);
    assert.deepEqual(packed.filter((file) => file.startsWith('native/')).sort(), native.sort());
    assert.ok(packed.includes('binding.gyp') && native.every((file) => /\.(c|h|cjs)$/.test(file)));
    assert.deepEqual(packed.filter((file) => /^(build|test|scripts|benchmark)\//.test(file)), []);
  });
});
