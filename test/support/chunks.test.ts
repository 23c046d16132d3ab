/**
 * Bytes that come in pieces: the same bytes come out, and small pieces take no more room than they are large.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Chunks } from '../../lib/support/chunks';

const piece = fc.oneof(fc.uint8Array({ maxLength: 50 }), fc.integer({ min: 0, max: 20_000 }).map((length) => new Uint8Array(length).fill(length))).map((bytes) => Buffer.from(bytes));

describe('chunks', () => {
  it('are the pieces in order, whatever their sizes', () => {
    fc.assert(fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
      const chunks = new Chunks();
      for (const bytes of pieces) chunks.push(bytes);
      const all = Buffer.concat(pieces);
      assert.equal(chunks.bytes, all.length);
      assert.ok(chunks.concat().equals(all));
      assert.ok(Buffer.concat(chunks.list()).equals(all));
    }));
  });

  it('copy nothing that came in one piece', () => {
    const chunks = new Chunks();
    const bytes = Buffer.from('one');
    chunks.push(bytes);
    assert.equal(chunks.concat(), bytes);
  });

  it('keep a list as it was when more comes', () => {
    const chunks = new Chunks();
    for (const text of ['a', 'b']) chunks.push(Buffer.from(text));
    const list = chunks.list();
    chunks.push(Buffer.from('c'));
    assert.deepEqual([Buffer.concat(list).toString(), chunks.concat().toString()], ['ab', 'abc']);
  });

  it('gather pieces of one byte', () => {
    const chunks = new Chunks();
    for (let byte = 0; byte < 100_000; byte += 1) chunks.push(Buffer.from([byte & 0xff]));
    assert.ok(chunks.list().length <= 15, `${chunks.list().length} buffers`);
    assert.equal(chunks.concat()[99_999], 99_999 & 0xff);
  });

  it('are empty at first, and nothing changes with nothing', () => {
    const chunks = new Chunks();
    chunks.push(Buffer.alloc(0));
    assert.deepEqual([chunks.bytes, chunks.list(), chunks.concat().length], [0, [], 0]);
  });
});
