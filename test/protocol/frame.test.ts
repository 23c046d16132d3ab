/**
 * Frames: whatever way the bytes are cut, the same frames come out; limits hold before anything is allocated.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { FRAME, FrameReader, FrameWriter, HEADER_BYTES, type FrameListener } from '../../lib/protocol/frame';
import { LIMITS } from '../../lib/support/limits';
import { frameBytes } from '../support/hostile_peer';

interface Frame {
  readonly type: number;
  readonly flag: number;
  readonly id: number;
  readonly payload: Buffer;
}

const frame = fc.record<Frame>({
  type: fc.integer({ min: 0, max: 255 }),
  flag: fc.integer({ min: 0, max: 255 }),
  id: fc.integer({ min: 0, max: 0xffffffff }),
  payload: fc.oneof(
    { weight: 6, arbitrary: fc.uint8Array({ maxLength: 64 }).map((bytes) => Buffer.from(bytes)) },
    // Around the size from which a payload is handed over instead of copied, and around that of a slab.
    { weight: 1, arbitrary: fc.constantFrom(8191, 8192, 8193, 65_526, 65_536, 200_000).map((length) => Buffer.alloc(length, length & 0xff)) },
  ),
}, { noNullPrototype: true });

function read(chunks: readonly Buffer[], limitBytes?: number): Frame[] {
  const frames: Frame[] = [];
  const listener: FrameListener = (type, flag, id, payload) => frames.push({ type, flag, id, payload: Buffer.from(payload) });
  const reader = new FrameReader(listener, limitBytes);
  for (const chunk of chunks) reader.push(chunk);
  return frames;
}

function cut(bytes: Buffer, sizes: readonly number[]): Buffer[] {
  const chunks: Buffer[] = [];
  let at = 0;
  for (let turn = 0; at < bytes.length; turn += 1) {
    const size = sizes[turn % sizes.length] ?? bytes.length;
    chunks.push(bytes.subarray(at, at + size));
    at += size;
  }
  return chunks;
}

function written(frames: readonly Frame[], takeEvery = frames.length): Buffer {
  const writer = new FrameWriter();
  const parts: Buffer[] = [];
  frames.forEach(({ type, flag, id, payload }, index) => {
    writer.frame(type, flag, id, payload);
    if (index % takeEvery === takeEvery - 1) parts.push(...writer.take());
  });
  return Buffer.concat([...parts, ...writer.take()]);
}

describe('frame', () => {
  it('gives the same frames for any split of the byte stream', () => {
    fc.assert(fc.property(fc.array(frame, { maxLength: 12 }), fc.array(fc.integer({ min: 1, max: 70_000 }), { minLength: 1, maxLength: 8 }), (frames, sizes) => {
      assert.deepEqual(read(cut(written(frames), sizes)), frames);
    }), { numRuns: 300 });
  });

  it('gives the same frames byte by byte', () => {
    fc.assert(fc.property(fc.array(frame, { maxLength: 4 }), (frames) => {
      assert.deepEqual(read(cut(written(frames), [1])), frames);
    }), { numRuns: 25 });
  });

  it('writes the same bytes however often they are taken', () => {
    fc.assert(fc.property(fc.array(frame, { maxLength: 20 }), fc.integer({ min: 1, max: 5 }), (frames, every) => {
      assert.deepEqual(written(frames, every), written(frames));
    }), { numRuns: 200 });
  });

  it('writes a frame as its header says: length, type, flag, id', () => {
    const writer = new FrameWriter();
    writer.frame(FRAME.call, 0x81, 0xfffffffd, Buffer.from('abc'));
    assert.deepEqual(Buffer.concat(writer.take()), frameBytes(FRAME.call, 0x81, 0xfffffffd, 'abc'));
  });

  it('writes text as UTF-8, short and long', () => {
    fc.assert(fc.property(fc.string({ unit: 'grapheme', maxLength: 60 }), fc.integer({ min: 1, max: 400 }), (text, times) => {
      const long = text.repeat(times);
      const writer = new FrameWriter();
      writer.frame(1, 0, 1);
      writer.text(FRAME.reply, 0, 7, long);
      writer.frame(2, 0, 2);
      assert.deepEqual(read(writer.take()).map(({ payload }) => payload.toString('utf8')), ['', long, '']);
    }), { numRuns: 100 });
  });

  it('never writes again to buffers that were taken', () => {
    fc.assert(fc.property(fc.array(frame, { minLength: 1, maxLength: 10 }), fc.array(frame, { minLength: 1, maxLength: 10 }), (first, second) => {
      const writer = new FrameWriter();
      for (const { type, flag, id, payload } of first) writer.frame(type, flag, id, payload);
      const taken = writer.take();
      const before = Buffer.concat(taken);
      for (const { type, flag, id, payload } of second) writer.frame(type, flag, id, payload);
      writer.take();
      assert.deepEqual(Buffer.concat(taken), before);
    }), { numRuns: 100 });
  });

  it('gathers many small frames into few buffers, and has nothing to write before the first', () => {
    const writer = new FrameWriter();
    assert.equal(writer.isEmpty, true);
    assert.deepEqual(writer.take(), []);
    for (let id = 0; id < 1000; id += 1) writer.frame(FRAME.event, 1, id, Buffer.alloc(20));
    assert.equal(writer.isEmpty, false);
    assert.equal(writer.take().length, 1);
    assert.equal(writer.isEmpty, true);
  });

  it('takes a payload at the limit and refuses one byte more, before its payload came', () => {
    assert.equal(read([frameBytes(1, 0, 1, Buffer.alloc(LIMITS.framePayloadBytes))]).length, 1);
    const over = frameBytes(1, 0, 1, '', LIMITS.framePayloadBytes + 1);
    assert.throws(() => read([over]), { code: 'CARTON_RPC_FRAME_TOO_LARGE' });
    assert.throws(() => read(cut(over, [3])), { code: 'CARTON_RPC_FRAME_TOO_LARGE' });
    assert.throws(() => read([frameBytes(1, 0, 1, '', 0xffffffff)]), { code: 'CARTON_RPC_FRAME_TOO_LARGE' });
  });

  it('applies a limit that was changed by the frame before, in the same chunk', () => {
    let seen = 0;
    const reader: FrameReader = new FrameReader(() => {
      seen += 1;
      reader.limitBytes = 100;
    }, 10);
    reader.push(Buffer.concat([frameBytes(1, 0, 1, 'x'), frameBytes(1, 0, 1, Buffer.alloc(100))]));
    assert.equal(seen, 2);
    assert.throws(() => reader.push(frameBytes(1, 0, 1, Buffer.alloc(101))), { code: 'CARTON_RPC_FRAME_TOO_LARGE' });
  });

  it('allocates for what has come, not for what was announced, and no more for a byte at a time', () => {
    const before = process.memoryUsage().arrayBuffers;
    const readers = Array.from({ length: 200 }, () => {
      const reader = new FrameReader(() => undefined);
      reader.push(frameBytes(1, 0, 1, '', LIMITS.framePayloadBytes));
      return reader;
    });
    assert.ok(process.memoryUsage().arrayBuffers - before < 200 * 2 * 64 * 1024, 'announced megabytes were allocated');
    const reader = readers[0] as FrameReader;
    const heap = process.memoryUsage().heapUsed;
    for (let byte = 0; byte < 400_000; byte += 1) reader.push(Buffer.from([0]));
    global.gc?.();
    assert.ok(process.memoryUsage().heapUsed - heap < 60e6, 'each byte of a frame was kept as a buffer of its own');
  });

  it('goes on with a whole frame after its listener threw', () => {
    const ids: number[] = [];
    const reader = new FrameReader((_type, _flag, id) => {
      ids.push(id);
      if (id === 1) throw new Error('listener');
    });
    const bytes = frameBytes(1, 0, 1, 'abc');
    reader.push(bytes.subarray(0, HEADER_BYTES));
    assert.throws(() => reader.push(bytes.subarray(HEADER_BYTES)), /listener/);
    reader.push(frameBytes(1, 0, 2, 'abc'));
    assert.deepEqual(ids, [1, 2]);
  });
});
