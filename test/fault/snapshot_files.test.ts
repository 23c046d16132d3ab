/**
 * Damaged snapshots, in this process and in real function processes: never wrong code and never a crash, but one line
 * of warning, and the application from its files.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, readFileSync, rmSync, statSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { expectSubject } from '../../lib/snapshot/check';
import { open } from '../../lib/snapshot/format';
import { currentSnapshot, openSnapshot } from '../../lib/snapshot/store';
import type { SnapshotReference } from '../../lib/snapshot/manifest';
import { buildSnapshot } from '../../lib/entry/snapshot_builder';
import type { RecordingPlan } from '../../lib/entry/recording/plan';
import { planOf, runFunctionProcess } from '../entry/recordings';
import { age, FILES, newDirectory, place, removeDirectory, writeFiles } from '../snapshot/tiny_application';

describe('a function process with a bad snapshot', () => {
  let directory: string;
  let baseDir: string;
  let plan: RecordingPlan;
  let good: SnapshotReference;
  let bytes: Buffer;
  before(async () => {
    directory = newDirectory();
    baseDir = path.join(directory, 'app');
    writeFiles(baseDir, FILES);
    age();
    plan = await planOf(baseDir, path.join(directory, 'snapshots'));
    ({ snapshot: good } = await buildSnapshot(plan, { execArgv: [] }).done);
    bytes = readFileSync(good.path);
  });
  after(() => removeDirectory(directory));

  /** The file as it is now, under the digest that it should have. */
  function spoilt(spoil: (file: string) => void): SnapshotReference {
    const at = path.join(directory, 'spoilt');
    rmSync(at, { recursive: true, force: true });
    mkdirSync(at);
    const file = path.join(at, path.basename(good.path));
    copyFileSync(good.path, file);
    spoil(file);
    return { path: file, sha256: good.sha256 };
  }

  async function serves(reference: SnapshotReference, code: string): Promise<void> {
    const ran = await runFunctionProcess(plan, reference, [{ function: 'price', args: [7] }]);
    assert.deepEqual([ran.stderr, ran.warnings, ran.code], ['', [], 0], ran.stdout);
    const [line = '', ...rest] = ran.stdout.split('\n');
    assert.match(line, new RegExp(`^\\[egg-carton\\] CARTON_SNAPSHOT_${code} `));
    assert.deepEqual(rest, ['price 21', '']);
  }

  it('serves from a good one without a word', async () => {
    const ran = await runFunctionProcess(plan, good, [{ function: 'price', args: [7] }]);
    assert.deepEqual([ran.stdout, ran.stderr, ran.code], ['price 21\n', '', 0]);
  });

  it('serves where it is truncated, to nothing, in the header, in the manifest, in the contents, by one byte', async () => {
    const { start } = open(bytes, good.sha256);
    for (const length of [0, 1, 8, 15, 16, 17, 100, start - 1, start, start + 1, bytes.length - 1]) {
      assert.throws(() => openSnapshot(spoilt((file) => truncateSync(file, length))), { code: 'CARTON_SNAPSHOT_DAMAGED' });
    }
    for (const length of [0, 100, bytes.length - 1]) await serves(spoilt((file) => truncateSync(file, length)), 'DAMAGED');
  });

  it('is told of a flipped bit anywhere', () => {
    fc.assert(fc.property(fc.nat(bytes.length - 1), fc.nat(7), (at, bit) => {
      const flipped = Buffer.from(bytes);
      flipped[at] = (flipped[at] as number) ^ (1 << bit);
      assert.throws(() => open(flipped, good.sha256), { code: 'CARTON_SNAPSHOT_DAMAGED' });
    }), { numRuns: 300 });
  });

  it('serves with a flipped bit in the header, the manifest, a source, the last cache', async () => {
    const { start, manifest } = open(bytes, good.sha256);
    const source = manifest.files.find((file) => file[1] === 'prices.js')?.[4] ?? assert.fail();
    for (const at of [9, 40, start + source, bytes.length - 9]) {
      await serves(spoilt((file) => {
        const flipped = Buffer.from(bytes);
        flipped[at] = (flipped[at] as number) ^ 4;
        writeFileSync(file, flipped);
      }), 'DAMAGED');
    }
  });

  it('serves where a compile cache is not V8\'s, under a right digest', async () => {
    const { start, manifest } = open(bytes, good.sha256);
    const garbled = Buffer.from(bytes);
    for (const [, , , , , , offset = 0, length = 0] of manifest.files) garbled.fill(0xa5, start + offset, start + offset + length);
    const { sha256 } = place(path.join(directory, 'garbled'), { bytes: garbled, sha256: digest(garbled) });
    const ran = await runFunctionProcess(plan, { path: path.join(directory, 'garbled', `${sha256}.snapshot`), sha256 }, [{ function: 'price', args: [7] }]);
    assert.deepEqual([ran.stdout, ran.stderr, ran.warnings, ran.code], ['price 21\n', '', [], 0]);
  });

  it('serves where there is none, a directory, a pipe, or one of 2 GB', async () => {
    await serves(spoilt((file) => rmSync(file)), 'DAMAGED');
    await serves(spoilt((file) => {
      rmSync(file);
      mkdirSync(file);
    }), 'DAMAGED');
    await serves(spoilt((file) => {
      rmSync(file);
      execFileSync('mkfifo', [file]);
    }), 'DAMAGED');
    await serves(spoilt((file) => truncateSync(file, 2 ** 31)), 'DAMAGED');
  });

  it('serves where another user could have written it', async () => {
    await serves(spoilt((file) => chmodSync(file, 0o666)), 'UNSAFE');
    await serves(spoilt((file) => chmodSync(path.dirname(file), 0o777)), 'UNSAFE');
  });

  it('serves its own code where it is another application\'s', async () => {
    const other = path.join(directory, 'other');
    writeFiles(other, { ...FILES, 'lib/prices.js': 'exports.of = () => "other";' });
    age();
    const otherPlan = await planOf(other, path.join(directory, 'snapshots-other'));
    const { snapshot } = await buildSnapshot(otherPlan, { execArgv: [] }).done;
    // What selects a snapshot refuses it; a swapped pointer is no more than that.
    copyFileSync(snapshot.path, path.join(plan.directory, path.basename(snapshot.path)));
    const pointer = path.join(plan.directory, 'function.json');
    const before = readFileSync(pointer);
    try {
      writeFileSync(pointer, `{"sha256":"${snapshot.sha256}"}\n`);
      const current = currentSnapshot(plan.directory, 'function');
      assert.equal(current?.sha256, snapshot.sha256);
      assert.throws(() => expectSubject(openSnapshot(current as SnapshotReference), plan.subject), { code: 'CARTON_SNAPSHOT_MISMATCH', message: /lib\/prices\.js/ });
    } finally {
      writeFileSync(pointer, before);
    }
  });

  it('is refused where its pointer was swapped with the other role\'s', () => {
    assert.throws(() => expectSubject(openSnapshot(good), { ...plan.subject, role: 'host' }), { code: 'CARTON_SNAPSHOT_MISMATCH', message: /key "role".*expected "host", got "function"/ });
  });

  it('serves from a snapshot that is older than its files by time alone', async () => {
    const { atime, mtime } = statSync(path.join(baseDir, 'lib/prices.js'));
    utimesSync(path.join(baseDir, 'lib/prices.js'), new Date(), new Date());
    expectSubject(openSnapshot(good), plan.subject);
    utimesSync(path.join(baseDir, 'lib/prices.js'), atime, mtime);
  });
});

function digest(content: Buffer): string {
  return execFileSync('sha256sum', { input: content, encoding: 'utf8' }).slice(0, 64);
}
