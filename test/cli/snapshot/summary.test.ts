/**
 * The summary of what was built: columns that are aligned, and what was left out.
 */
import assert from 'node:assert/strict';
import { summaryOf } from '../../../lib/cli/snapshot/summary';
import type { SnapshotSummary } from '../../../lib/entry/recording/plan';

const DIGEST = 'ab'.repeat(32);
const SNAPSHOT: SnapshotSummary = {
  path: `/app/.carton/${DIGEST}.snapshot`, sha256: DIGEST, bytes: 10_648_296, modules: 1093, resolutions: 1869, listings: 43, cacheBytes: 99_949, delayed: 0, omitted: [],
};

function lines(omitted: SnapshotSummary['omitted'] = [], columns = Infinity): string[] {
  const built = [{ role: 'host', snapshot: SNAPSHOT }, { role: 'function', snapshot: { ...SNAPSHOT, delayed: 19, omitted } }] as const;
  return summaryOf(built, '/app', columns).map(({ text }) => text);
}

describe('the summary of snapshots', () => {
  it('has a column per role, aligned at the right', () => {
    assert.deepEqual(lines().slice(0, 7), [
      '                          host   function',
      'size                   10.6 MB    10.6 MB',
      'of it compile caches   99.9 kB    99.9 kB',
      'modules                  1,093      1,093',
      'resolutions              1,869      1,869',
      'directory listings          43         43',
      'delayed requests             0         19',
    ]);
  });

  it('names the files, shortened where a line has no room for them', () => {
    assert.ok(lines().includes(`host      .carton/${DIGEST}.snapshot`));
    assert.ok(lines([], 80).includes('host      .carton/abababababab….snapshot'));
  });

  it('groups what was left out by reason, the largest group first, and names ten files of each', () => {
    const many = Array.from({ length: 22 }, (_, index) => ({ file: `/app/node_modules/a/${index}.mjs`, reason: 'an ES module' }));
    const shown = lines([{ file: '/elsewhere/b.node', reason: 'not CommonJS' }, ...many]);
    const from = shown.indexOf('Not in "function", and loaded from their files as ever:');
    assert.deepEqual([shown[from + 1], shown[from + 2], ...shown.slice(from + 11)], [
      '  22 files: an ES module', '    node_modules/a/0.mjs', '    node_modules/a/9.mjs', '    and 12 more', '  1 file: not CommonJS', '    /elsewhere/b.node',
    ]);
    assert.ok(!shown.some((line) => line.startsWith('Not in "host"')));
  });
});
