/**
 * Which snapshot the agent has function processes load from, and when it has one built.
 */
import assert from 'node:assert/strict';
import { renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { carton } from '../../config/config.default';
import { HostSnapshots } from '../../lib/entry/host_snapshots';
import { systemClock } from '../../lib/support/clock';
import type { HostEnvironment } from '../../lib/support/host_environment';
import { hostProcessOf } from '../../lib/support/host_process';
import { DIRECTORY_VARIABLE } from '../../lib/snapshot/store';
import { age, FILES, newDirectory, removeDirectory, writeFiles } from '../snapshot/tiny_application';
import { descriptorOf } from './recordings';

const REVISION = { application: 'tiny', revision: '0', functions: [], groups: [] };

describe('the snapshots of a host', () => {
  let directory: string;
  let baseDir: string;
  let lines: string[];
  const before = process.env[DIRECTORY_VARIABLE];
  beforeEach(() => {
    directory = newDirectory();
    baseDir = path.join(directory, 'app');
    process.env[DIRECTORY_VARIABLE] = path.join(directory, 'snapshots');
    writeFiles(baseDir, FILES);
    age();
    lines = [];
  });
  afterEach(() => {
    if (before === undefined) delete process.env[DIRECTORY_VARIABLE];
    else process.env[DIRECTORY_VARIABLE] = before;
    removeDirectory(directory);
  });

  function host(execArgv: readonly string[] = []): HostSnapshots {
    const tell = (message: unknown): void => void lines.push(String(message));
    const environment: HostEnvironment = {
      application: descriptorOf(baseDir),
      config: { ...carton, execArgv, directory: path.join(directory, 'sockets') },
      hostProcess: hostProcessOf(process.pid), development: false, log: { debug: tell, info: tell, warn: tell, error: tell }, clock: systemClock,
    };
    const snapshots = new HostSnapshots(environment);
    snapshots.select();
    return snapshots;
  }

  it('are built where there is none, and used by the next start, under the flags of function processes, too', async () => {
    for (const execArgv of [[], ['--max-old-space-size=128', '-C', 'custom']]) {
      const first = host(execArgv);
      assert.equal(first.loading.snapshot, null);
      await first.build(REVISION);
      const built = first.loading.snapshot;
      assert.notEqual(built, null, lines.join('\n'));
      assert.deepEqual(host(execArgv).loading.snapshot, built, lines.join('\n'));
    }
  });

  it('are looked for again where another file has taken the place of the one that was selected', async () => {
    const snapshots = host();
    await snapshots.build(REVISION);
    const { path: file } = snapshots.loading.snapshot ?? assert.fail();
    writeFileSync(`${file}.new`, 'damaged');
    renameSync(`${file}.new`, file);
    assert.equal(snapshots.loading.snapshot, null);
    assert.notEqual(snapshots.loading.compileCache, null);
    assert.match(lines.at(-1) ?? '', /CARTON_SNAPSHOT_DAMAGED/);
  });

  it('are not recorded where they could not be written', async () => {
    writeFileSync(path.join(directory, 'snapshots'), 'a file');
    await host().build(REVISION);
    assert.match(lines.at(-1) ?? '', /CARTON_SNAPSHOT_NOT_WRITTEN/);
  });
});
