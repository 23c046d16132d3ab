/**
 * Names in front of printed lines, on streams of the tests' own.
 */
import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { OutputPrefix } from '../../lib/runtime/output_prefix';

function collector(): { stream: Writable; text: () => string } {
  const chunks: Buffer[] = [];
  const stream = new Writable({ write: (chunk: Buffer, _encoding, done) => (chunks.push(chunk), done()) });
  return { stream, text: () => Buffer.concat(chunks).toString('utf8') };
}

describe('lib/runtime/output_prefix', () => {
  it('puts the name in front of each line, also of several in one write', () => {
    const { stream, text } = collector();
    new OutputPrefix('hello', [stream]);
    stream.write('one\ntwo\n');
    stream.write('thr');
    stream.write('ee\n\n');
    assert.equal(text(), '[hello] one\n[hello] two\n[hello] three\n[hello] \n');
  });

  it('keeps characters whole that are written in parts, and other encodings', () => {
    const { stream, text } = collector();
    new OutputPrefix('größe', [stream]);
    const bytes = Buffer.from('ü€\n');
    for (const byte of bytes) stream.write(Buffer.from([byte]));
    stream.write('4pyTCg==', 'base64');
    assert.equal(text(), '[größe] ü€\n[größe] ✓\n');
  });

  it('calls back once what was written is out', async () => {
    const { stream } = collector();
    new OutputPrefix('hello', [stream]);
    await new Promise<void>((resolve, reject) => stream.write('x', 'utf8', (error) => (error ? reject(error) : resolve())));
  });

  it('names the function that prints, at once and later, and whoever else does by the default', async () => {
    const { stream, text } = collector();
    const output = new OutputPrefix('group', [stream]);
    const late = output.run('a', async () => {
      stream.write('now\n');
      await turn();
      stream.write('later\n');
    });
    output.run('b', () => stream.write('other\n'));
    stream.write('nobody\n');
    output.name = 'renamed';
    stream.write('nobody\n');
    await late;
    assert.equal(text(), '[a] now\n[b] other\n[group] nobody\n[renamed] nobody\n[a] later\n');
  });

  it('does not let one function end the line of another', () => {
    const { stream, text } = collector();
    const output = new OutputPrefix('group', [stream]);
    output.run('a', () => stream.write('unfinished'));
    output.run('b', () => stream.write('line\n'));
    assert.equal(text(), '[a] unfinished\n[b] line\n');
  });

  it('names a stream of items while it is read', async () => {
    const { stream, text } = collector();
    const output = new OutputPrefix('group', [stream]);
    const items = output.run('a', async function* () {
      stream.write('first\n');
      yield 1;
      await turn();
      stream.write('second\n');
    });
    for await (const item of items) assert.equal(item, 1);
    assert.equal(text(), '[a] first\n[a] second\n');
  });
});
