/**
 * The layout of a snapshot file: what is encoded comes back, and nothing else is taken for a snapshot.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { contentOf, Contents, digestOf, encodeText, encodingOf, open } from '../../lib/snapshot/format';
import type { FileEntry, Manifest, SnapshotKey } from '../../lib/snapshot/manifest';
import { encode } from './tiny_application';

function manifestWith(over: Partial<Manifest>): Manifest {
  return {
    key: {} as SnapshotKey, roots: [{ kind: 'application' }], directories: ['0'], files: [], resolutions: {}, absolute: {}, searches: {},
    loader: { exists: {}, modes: {}, realPaths: {}, globs: {} }, stamps: [0, 0], omitted: [], delayed: 0, ...over,
  };
}

describe('a snapshot file', () => {
  it('gives back every source and cache that was put in, each at a multiple of 8', () => {
    fc.assert(fc.property(fc.array(fc.tuple(fc.string({ unit: 'binary' }), fc.uint8Array()), { maxLength: 20 }), (parts) => {
      const contents = new Contents();
      const files = parts.map(([text, cache], number): FileEntry => {
        const source = encodeText(text, encodingOf(text));
        return [0, `f${number}.js`, 0, encodingOf(text), contents.add(source), source.length, contents.add(Buffer.from(cache)), cache.length];
      });
      const bytes = contents.encode(manifestWith({ files }));
      const opened = open(bytes, digestOf(bytes));
      assert.deepEqual(opened.manifest.files, files);
      assert.equal(opened.start % 8, 0);
      parts.forEach(([text, cache], number) => {
        const [, , , encoding, offset, length, cacheOffset, cacheLength] = files[number] as Extract<FileEntry, { length: 8 }>;
        assert.equal(contentOf(opened, [offset, length]).toString(encoding === 0 ? 'latin1' : 'utf16le'), text);
        assert.ok(contentOf(opened, [cacheOffset, cacheLength]).equals(Buffer.from(cache)));
        assert.equal((opened.start + cacheOffset) % 8, 0);
      });
    }));
  });

  it('keeps names and requests of any characters', () => {
    fc.assert(fc.property(fc.dictionary(fc.string({ unit: 'binary' }), fc.constant(-1)), (answers) => {
      const bytes = new Contents().encode(manifestWith({ resolutions: { 0: answers } }));
      assert.deepEqual(JSON.parse(JSON.stringify(open(bytes, digestOf(bytes)).manifest.resolutions['0'])), JSON.parse(JSON.stringify(answers)));
    }));
  });

  it('is refused with any other digest', () => {
    const bytes = new Contents().encode(manifestWith({}));
    assert.throws(() => open(bytes, '0'.repeat(64)), { code: 'CARTON_SNAPSHOT_DAMAGED' });
    assert.throws(() => open(undefined, '0'.repeat(64)), { code: 'CARTON_SNAPSHOT_DAMAGED' });
  });

  it('is refused where it is something else with a right digest: nothing, other bytes, a short manifest, no JSON', () => {
    const good = new Contents().encode(manifestWith({}));
    const long = Buffer.from(good);
    long.writeUInt32LE(0xffffffff, 12);
    const garbage = Buffer.from(good);
    garbage.write('}}', 16);
    for (const bytes of [Buffer.alloc(0), Buffer.from('CARTONSN'), Buffer.alloc(64), good.subarray(0, 15), good.subarray(0, 17), long, garbage]) {
      assert.throws(() => open(bytes, digestOf(bytes)), { code: 'CARTON_SNAPSHOT_DAMAGED' });
    }
  });

  it('of another format is told as that, whatever follows', () => {
    for (const format of [0, 2, 0xffffffff]) {
      const { bytes, sha256 } = encode({ of: 'a later version' }, Buffer.alloc(0), format);
      assert.throws(() => open(bytes, sha256), { code: 'CARTON_SNAPSHOT_MISMATCH', message: new RegExp(`key "format".*expected 1, got ${format}`) });
    }
  });

  it('takes the shortest encoding that holds a text', () => {
    assert.equal(encodingOf('é ÿ \0 \n'), 0);
    assert.equal(encodingOf('ž'), 1);
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => {
      const encoding = encodingOf(text);
      assert.equal(encodeText(text, encoding).toString(encoding === 0 ? 'latin1' : 'utf16le'), text);
    }));
  });
});
