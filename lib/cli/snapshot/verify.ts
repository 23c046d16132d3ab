/**
 * `egg-carton snapshot --verify`: compares the snapshots that are there with this process and with the disk, and writes
 * nothing. Runs in the command line only.
 */
import { applicationAt } from '../../entry/build_snapshots';
import { snapshotSubject } from '../../entry/snapshot_subject';
import { verify, type Difference } from '../../snapshot/check';
import { processKeyUnder } from '../../entry/key_under';
import { withTemplateFlags } from '../../fork/flags';
import { inheritedFlags } from '../../sandbox/flags';
import { expectKey, keyOf, processKey } from '../../snapshot/key';
import type { SnapshotKey, SnapshotReference, SnapshotRole, SnapshotSubject } from '../../snapshot/manifest';
import { currentSnapshot, openSnapshot, snapshotDirectory } from '../../snapshot/store';
import { CartonError } from '../../support/errors';
import { EXIT } from '../exit_codes';
import type { Terminal } from '../terminal';
import { ROLE_WIDTH } from './progress';
import { relative } from './summary';

const ROLES: readonly SnapshotRole[] = ['host', 'function'];
/** Differences that are named of each role. */
const NAMED = 50;

/** Throws `CARTON_SNAPSHOT_MISSING`. What else is wrong it tells itself, of each role. */
export function verifySnapshots(baseDir: string, terminal: Terminal): number {
  const application = applicationAt(baseDir);
  const directory = snapshotDirectory(snapshotSubject(application, 'host'));
  const verdicts = ROLES.map((role) => verifyRole(directory, snapshotSubject(application, role), terminal));
  if (verdicts.every((verdict) => verdict === 'missing')) {
    throw new CartonError('CARTON_SNAPSHOT_MISSING', { expected: `a snapshot in ${directory}`, got: 'none' });
  }
  return verdicts.includes('wrong') ? EXIT.failed : EXIT.done;
}

function verifyRole(directory: string, subject: SnapshotSubject, terminal: Terminal): 'good' | 'wrong' | 'missing' {
  const { role, baseDir } = subject;
  try {
    const found = currentSnapshot(directory, role);
    if (found === undefined) return 'missing';
    const differences = compare(found, subject);
    if (differences.length === 0) {
      terminal.out(`✓ ${role.padEnd(ROLE_WIDTH)}  as on disk: ${relative(found.path, baseDir)}`, 'good');
      return 'good';
    }
    tell(role, differences, { baseDir, terminal });
    throw new CartonError('CARTON_SNAPSHOT_STALE', { of: `role "${role}"`, expected: 'everything as it was recorded', got: differences.length === 1 ? '1 difference' : `${differences.length} differences` });
  } catch (error) {
    // The other role is looked at all the same.
    if (!(error instanceof CartonError)) throw error;
    terminal.error(`${error.code}: ${error.code === 'CARTON_SNAPSHOT_STALE' ? '' : `role "${role}": `}${error.message}`);
    return 'wrong';
  }
}

function compare(reference: SnapshotReference, subject: SnapshotSubject): readonly Difference[] {
  const opened = openSnapshot(reference);
  expectKey(subject.role === 'function' ? functionKey(subject, opened.manifest.key) : keyOf(subject), opened.manifest.key);
  return verify(opened, subject);
}

/**
 * Which plugins function processes go without, and whether they are forked, stands in the configuration, which only a
 * boot of the application tells.
 */
function functionKey(subject: SnapshotSubject, recorded: SnapshotKey): Partial<SnapshotKey> {
  const forked = processKeyUnder(withTemplateFlags(inheritedFlags(process.execArgv)));
  const spawned = processKey();
  const { plugins: _, ...known } = keyOf(subject, spawned.v8 === recorded.v8 ? spawned : forked);
  return known;
}

function tell(role: SnapshotRole, differences: readonly Difference[], { baseDir, terminal }: { baseDir: string; terminal: Terminal }): void {
  terminal.out(`✗ ${role}`, 'title');
  const short = (text: string): string => text.replaceAll(`${baseDir}/`, '');
  for (const { path, problem } of differences.slice(0, NAMED)) terminal.out(`    ${short(path)}: ${short(problem)}`);
  if (differences.length > NAMED) terminal.out(`    and ${differences.length - NAMED} more`);
}
