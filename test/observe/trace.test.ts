/**
 * Trace context: what is gone on with, what begins anew, and ids that do not repeat.
 */
import assert from 'node:assert/strict';
import { randomId, traceOf } from '../../lib/observe/trace';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const SPAN = '00f067aa0ba902b7';

describe('trace context', () => {
  it('goes on with the caller\'s', () => {
    const trace = traceOf(`00-${TRACE}-${SPAN}-01`, 'a=1');
    assert.deepEqual([trace.traceId.toString('hex'), trace.parentId.toString('hex'), trace.sampled, trace.state], [TRACE, SPAN, true, 'a=1']);
    assert.notEqual(trace.spanId.toString('hex'), SPAN);
    assert.equal(traceOf(`00-${TRACE}-${SPAN}-00`, undefined).sampled, false);
  });

  it('reads versions to come, with what they add', () => {
    assert.equal(traceOf(`01-${TRACE}-${SPAN}-01-more`, undefined).traceId.toString('hex'), TRACE);
  });

  it('begins anew, sampled and without state, where the header is malformed', () => {
    for (const header of [undefined, '', `ff-${TRACE}-${SPAN}-01`, `00-${TRACE}-${SPAN}-01-more`, `00-${'0'.repeat(32)}-${SPAN}-01`, `00-${TRACE}-${'0'.repeat(16)}-01`, `00-${TRACE.toUpperCase()}-${SPAN}-01`, `00-${TRACE}-${SPAN}`, `00-${TRACE}-${SPAN}-01, 00-${TRACE}-${SPAN}-01`]) {
      const trace = traceOf(header, 'a=1');
      assert.notEqual(trace.traceId.toString('hex'), TRACE, header);
      assert.deepEqual([trace.parentId.toString('hex'), trace.sampled, trace.state], ['0'.repeat(16), true, ''], header);
    }
  });

  it('keeps whole entries of a long state', () => {
    const entry = `v=${'x'.repeat(98)}`;
    assert.equal(traceOf(`00-${TRACE}-${SPAN}-01`, Array(10).fill(entry).join(',')).state, Array(5).fill(entry).join(','));
    assert.equal(traceOf(`00-${TRACE}-${SPAN}-01`, 'x'.repeat(1000)).state, '');
  });

  it('draws ids that stay as they are, and do not repeat', () => {
    const ids = Array.from({ length: 5000 }, () => randomId(16));
    const texts = ids.map((id) => id.toString('hex'));
    assert.equal(new Set(texts).size, ids.length);
    assert.deepEqual(ids.map((id) => id.toString('hex')), texts);
  });
});
