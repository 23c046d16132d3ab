/**
 * What a snapshot may be read from: a plain file of bounded size that nobody else can write.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, readdirSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { readSafely, SNAPSHOT_BYTES } from '../../lib/snapshot/safe_file';
import { newDirectory, removeDirectory } from './tiny_application';

describe('a file that holds code', () => {
  let directory: string;
  let file: string;
  beforeEach(() => {
    directory = newDirectory();
    file = path.join(directory, 'file');
    writeFileSync(file, 'content');
    chmodSync(file, 0o644);
  });
  afterEach(() => removeDirectory(directory));

  it('is read whole, through a link, too, and leaves no descriptor open', () => {
    const before = readdirSync('/proc/self/fd').length;
    assert.equal(readSafely(file)?.toString(), 'content');
    symlinkSync(file, path.join(directory, 'link'));
    assert.equal(readSafely(path.join(directory, 'link'))?.toString(), 'content');
    chmodSync(file, 0o666);
    assert.throws(() => readSafely(file));
    assert.equal(readdirSync('/proc/self/fd').length, before);
  });

  it('may be missing, and its directory, too', () => {
    for (const missing of ['none', 'none/none', 'file/none']) assert.equal(readSafely(path.join(directory, missing)), undefined);
  });

  for (const mode of [0o664, 0o646, 0o666, 0o1666]) {
    it(`is unsafe with mode ${mode.toString(8)}`, () => {
      chmodSync(file, mode);
      assert.throws(() => readSafely(file), { code: 'CARTON_SNAPSHOT_UNSAFE', message: new RegExp(`mode ${mode.toString(8)}`) });
    });
  }

  it('is unsafe in a directory that others may write, unless only owners may replace files there', () => {
    for (const mode of [0o775, 0o757, 0o777]) {
      chmodSync(directory, mode);
      assert.throws(() => readSafely(file), { code: 'CARTON_SNAPSHOT_UNSAFE' });
    }
    chmodSync(directory, 0o1777);
    assert.equal(readSafely(file)?.toString(), 'content');
    chmodSync(directory, 0o700);
  });

  it('is unsafe where it or its directory is another user\'s', function () {
    if (process.geteuid?.() !== 0) return this.skip();
    chownSync(file, 12_345, 12_345);
    assert.throws(() => readSafely(file), { code: 'CARTON_SNAPSHOT_UNSAFE', message: /owner 12345/ });
    chownSync(file, 0, 0);
    chownSync(directory, 12_345, 12_345);
    assert.throws(() => readSafely(file), { code: 'CARTON_SNAPSHOT_UNSAFE', message: /owner 12345/ });
  });

  it('may be root\'s for any other user', function () {
    if (process.geteuid?.() !== 0) return this.skip();
    chmodSync(directory, 0o755);
    const program = 'process.setuid(12345); process.stdout.write(String(require(process.argv[1]).readSafely(process.argv[2])));';
    const module = path.resolve(__dirname, '../../lib/snapshot/safe_file.js');
    assert.equal(execFileSync(process.execPath, ['-e', program, module, file], { encoding: 'utf8' }), 'content');
  });

  it('is damaged where another user may not read it', function () {
    if (process.geteuid?.() !== 0) return this.skip();
    chmodSync(directory, 0o755);
    chmodSync(file, 0o600);
    const program = 'process.setuid(12345); try { require(process.argv[1]).readSafely(process.argv[2]); } catch (error) { process.stdout.write(error.code); }';
    const module = path.resolve(__dirname, '../../lib/snapshot/safe_file.js');
    assert.equal(execFileSync(process.execPath, ['-e', program, module, file], { encoding: 'utf8' }), 'CARTON_SNAPSHOT_DAMAGED');
  });

  it('is damaged where it is a directory, a pipe, a device or a circle of links', () => {
    mkdirSync(path.join(directory, 'directory'));
    execFileSync('mkfifo', [path.join(directory, 'pipe')]);
    chmodSync(path.join(directory, 'pipe'), 0o644);
    symlinkSync('circle', path.join(directory, 'circle'));
    for (const name of ['directory', 'pipe', 'circle']) assert.throws(() => readSafely(path.join(directory, name)), { code: 'CARTON_SNAPSHOT_DAMAGED' });
    assert.throws(() => readSafely('/dev/zero'));
  });

  it('is damaged beyond its limit, before memory is taken for it', () => {
    truncateSync(file, SNAPSHOT_BYTES + 1);
    const before = process.memoryUsage().arrayBuffers;
    assert.throws(() => readSafely(file), { code: 'CARTON_SNAPSHOT_DAMAGED', message: new RegExp(`at most ${SNAPSHOT_BYTES} bytes`) });
    assert.ok(process.memoryUsage().arrayBuffers - before < 1_000_000);
    writeFileSync(file, 'x'.repeat(101));
    assert.throws(() => readSafely(file, 100), { code: 'CARTON_SNAPSHOT_DAMAGED' });
    assert.equal(readSafely(file, 101)?.length, 101);
  });
});
