/**
 * Looking at the specs again while they are edited.
 */
import assert from 'node:assert/strict';
import { RevisionReader } from '../../lib/scheduler/revision_reader';
import type { Revision } from '../../lib/spec/types';
import { systemClock, type Clock } from '../../lib/support/clock';

const revisionOf = (revision: string): Revision => ({ application: 'a', revision, functions: [], groups: [] });
/** Waits for nothing. */
const clock: Clock = { ...systemClock, after: (_delayMs, callback) => systemClock.after(0, callback) };

function readerOf(load: () => Promise<Revision>): { reader: RevisionReader; seen: string[]; errors: string[] } {
  const seen: string[] = [];
  const errors: string[] = [];
  const ignore = (): void => undefined;
  const log = { debug: ignore, info: ignore, warn: ignore, error: (message: string | Error) => void errors.push(String(message)) };
  return { reader: new RevisionReader({ load, onRevision: ({ revision }) => void seen.push(revision), clock, log }), seen, errors };
}

describe('lib/scheduler/revision_reader', () => {
  it('looks once more, and only once, for all who ask during a look', async () => {
    let loads = 0;
    const { reader, seen } = readerOf(async () => revisionOf(String(++loads)));
    const first = reader.look();
    await Promise.resolve();
    await Promise.all([first, reader.look(), reader.look(), reader.look()]);
    assert.deepEqual(seen, ['1', '2']);
  });

  it('lets no older look overtake a newer one', async () => {
    let loads = 0;
    const releases: (() => void)[] = [];
    const { reader, seen } = readerOf(async () => {
      const revision = revisionOf(String(++loads));
      await new Promise<void>((resolve) => releases.push(resolve));
      return revision;
    });
    const first = reader.look();
    await Promise.resolve();
    const second = reader.look();
    assert.equal(releases.length, 1, 'the second waits');
    releases[0]?.();
    await first;
    await Promise.resolve();
    releases[1]?.();
    await second;
    assert.deepEqual(seen, ['1', '2']);
  });

  it('takes no notice of a file that is being written', async () => {
    let loads = 0;
    const { reader, seen, errors } = readerOf(async () => {
      loads += 1;
      if (loads === 1) throw new Error('empty');
      return revisionOf('good');
    });
    await reader.look();
    assert.deepEqual([seen, errors], [['good'], []]);
  });

  it('tells of a problem once, and again after it was solved', async () => {
    let bad = true;
    const { reader, seen, errors } = readerOf(async () => {
      if (bad) throw new Error('bad');
      return revisionOf('good');
    });
    await reader.look();
    await reader.look();
    assert.equal(errors.length, 1);
    bad = false;
    await reader.look();
    bad = true;
    await reader.look();
    assert.equal(errors.length, 2);
    assert.deepEqual(seen, ['good']);
  });
});
