/**
 * The bytes of a snapshot in a process that uses it: held while it boots, read and verified again after they were let go.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { digestOf } from '../../lib/snapshot/format';
import { HeldBytes } from '../../lib/snapshot/held_bytes';
import { FakeClock } from '../support/fake_clock';

describe('the bytes of a snapshot', () => {
  const content = Buffer.from('a snapshot');
  let directory: string;
  let file: string;
  let told: string[];
  let clock: FakeClock;
  beforeEach(() => {
    directory = mkdtempSync(path.join(tmpdir(), 'carton-held-'));
    file = path.join(directory, 'x.snapshot');
    writeFileSync(file, content);
    told = [];
    clock = new FakeClock();
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  const held = (): HeldBytes => new HeldBytes(content, { reference: { path: file, sha256: digestOf(content) }, clock, tell: (line) => told.push(line) });

  it('are held while the application boots, whatever becomes of the file', () => {
    const bytes = held();
    rmSync(file);
    clock.advance(3_600_000);
    assert.equal(bytes.get(), content);
  });

  it('are let go of some time after the boot, and read again when they are needed', () => {
    const bytes = held();
    bytes.settle();
    assert.equal(bytes.get(), content);
    clock.advance(10_000);
    const again = bytes.get();
    assert.notEqual(again, content);
    assert.deepEqual(again, content);
    assert.equal(bytes.get(), again);
    assert.deepEqual(told, []);
  });

  it('are not used where the file has changed, which is told once, or is gone', () => {
    for (const [spoil, lines] of [[() => writeFileSync(file, 'A snapshot'), [/^\[egg-carton\] CARTON_SNAPSHOT_DAMAGED /]], [() => rmSync(file), []]] as const) {
      const bytes = held();
      bytes.settle();
      clock.advance(10_000);
      spoil();
      assert.deepEqual([bytes.get(), bytes.get()], [undefined, undefined]);
      assert.equal(told.length, lines.length);
      lines.forEach((line, index) => assert.match(told[index] ?? '', line));
      told = [];
      writeFileSync(file, content);
    }
  });
});
