/**
 * The begin record: what was noted is read by others, also after the file was removed; ids wrap.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, statSync, unlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { BeginRecord, BeginWitness, isAtOrBefore } from '../../lib/rpc/begin_record';

describe('begin record', () => {
  let directory: string;
  let path: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'ec-rec-'));
    path = join(directory, 'r');
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  it('tells the last id of each session, and 0 for none', () => {
    const record = new BeginRecord(path);
    const witnesses = [0, 1, 2].map((slot) => BeginWitness.open(path, slot) as BeginWitness);
    record.begun(0, 5);
    record.begun(2, 0xffffffff);
    record.begun(0, 7);
    assert.deepEqual(witnesses.map((witness) => witness.read()), [7, 0, 0xffffffff]);
    for (const witness of witnesses) witness.close();
    record.close();
  });

  it('is readable by this user alone, and after the instance has removed it', () => {
    const record = new BeginRecord(path);
    assert.equal(statSync(path).mode & 0o777, 0o600);
    const witness = BeginWitness.open(path, 0) as BeginWitness;
    record.begun(0, 9);
    record.close();
    unlinkSync(path);
    assert.equal(witness.read(), 9);
    witness.close();
  });

  it('has no witness where there is no file, or something else in its place that could block or fail', () => {
    assert.equal(BeginWitness.open(path, 0), undefined);
    mkdirSync(path);
    assert.equal(BeginWitness.open(path, 0), undefined);
    const pipe = join(directory, 'pipe');
    execFileSync('mkfifo', [pipe]);
    assert.equal(BeginWitness.open(pipe, 0), undefined);
  });

  it('orders ids across the wrap at 2^32', () => {
    assert.equal(isAtOrBefore(1, 0), false);
    assert.equal(isAtOrBefore(0xffffffff, 1), true);
    assert.equal(isAtOrBefore(1, 0xffffffff), false);
    fc.assert(fc.property(fc.integer({ min: 1, max: 0xffffffff }), fc.integer({ min: 0, max: 2 ** 30 }), (begun, distance) => {
      assert.equal(isAtOrBefore((begun - distance) >>> 0, begun), true);
      assert.equal(isAtOrBefore((begun + distance + 1) >>> 0, begun), false);
    }));
  });
});
