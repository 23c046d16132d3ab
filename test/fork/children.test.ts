/**
 * Ends of forks and of what this process adopts: exact, once, and never another's.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { exitOf, hasExited, held, inheritOrphans } from '../../lib/fork/children';
import { eventually } from '../support/eventually';
import { isRunning, zombiesBelow } from '../support/processes';

/** No process has these numbers. */
const PID = 2 ** 30;

describe('children of templates', () => {
  it('resolve with exit codes and signals, as wait(2) has them', async () => {
    const exits = [0x0700, 0, 0xff00, 9, 0x80 | 11].map((status, index) => {
      const exit = exitOf(PID + index);
      hasExited(PID + index, status);
      return exit;
    });
    assert.deepEqual(await Promise.all(exits), [
      { code: 7, signal: null }, { code: 0, signal: null }, { code: 255, signal: null }, { code: null, signal: 'SIGKILL' }, { code: null, signal: 'SIGSEGV' },
    ]);
  });

  it('may end before their fork is told, and are not taken for later processes with the same number', async () => {
    hasExited(PID, 0x0500);
    assert.deepEqual(await exitOf(PID), { code: 5, signal: null });
    hasExited(PID, 0x0500);
    await eventually('that it is forgotten', () => held().early === 0);
    let isEarly = false;
    const later = exitOf(PID);
    void later.then(() => (isEarly = true));
    await new Promise(setImmediate);
    assert.equal(isEarly, false);
    hasExited(PID, 0x0600);
    assert.deepEqual(await later, { code: 6, signal: null });
  });

  it('are told once, whoever tells again', async () => {
    const exit = exitOf(PID);
    hasExited(PID, 0x0100);
    hasExited(PID, 0x0200);
    assert.deepEqual(await exit, { code: 1, signal: null });
    await eventually('that nothing is held', () => held().early === 0 && held().waiting === 0);
  });

  it('leave no zombie when they come to this process from a session of their parent', async () => {
    inheritOrphans();
    const parent = spawn('sh', ['-c', 'sh -c "read line" <&3 & echo $!'], { detached: true, stdio: ['ignore', 'pipe', 'inherit', 'pipe'] });
    const [said] = await once(parent.stdout as NonNullable<typeof parent.stdout>, 'data') as [Buffer];
    const orphan = Number(said.toString());
    await once(parent, 'exit');
    assert.ok(isRunning(orphan));
    (parent.stdio[3] as NonNullable<typeof parent.stdin>).end();
    await eventually('its end', () => !isRunning(orphan));
    await eventually('that it is reaped', () => !zombiesBelow(process.pid).includes(orphan));
  });

  it('take no exit from other children of this process', async () => {
    inheritOrphans();
    const codes = await Promise.all(Array.from({ length: 100 }, async (_, index) => {
      const child = spawn('sh', ['-c', `exit ${index}`], { detached: index % 2 === 0, stdio: 'ignore' });
      const [code] = await once(child, 'exit') as [number];
      return code;
    }));
    assert.deepEqual(codes, codes.map((_, index) => index));
  });
});
