/**
 * Entry of a root template: boots its program and is forked from. Templates that are forked from it, and all instances,
 * go on in this process's image.
 */
import { CONTROL_FD } from '../fork/control';
import { beTemplate } from '../fork/inside/life';
import { prepareEntropy } from '../fork/inside/restore/entropy';
import { prepareIdentity } from '../fork/inside/restore/identity';
import { forker } from '../fork/native';
import type { TemplateBoot } from '../fork/template';
import { isAlive } from '../support/host_process';

// Before any module can take hold of what it replaces.
prepareEntropy();
prepareIdentity();

const { host, program, argument } = JSON.parse(process.argv[2] ?? '') as TemplateBoot;
const native = forker();
native.becomeSubreaper();
// Forks have no other threads, and would wait for ever for what V8 gave to one; from Node 22 on it gives them nothing.
if (!native.runTasksHere() && Number(process.versions.node.split('.')[0]) < 22) {
  process.stdout.write('[egg-carton] this build of Node hides how it hands work to threads: nothing can be forked\n');
  native.exit(1);
}
// Where it cannot, forks are larger, and work.
native.ignoreHints();
// Ctrl-C in a terminal is the host's to handle.
process.on('SIGINT', () => undefined);
const lifeline = openHost();
void beTemplate({ program, argument }, { native, control: CONTROL_FD, host: lifeline, lingers: true });

/** Where it has ended, nothing is to outlive it. */
function openHost(): number {
  try {
    const fd = native.openProcess(host.pid);
    // Only now: whom the descriptor is of cannot change any more, as the pid's owner can.
    return isAlive(host) ? fd : native.exit(0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    return native.exit(0);
  }
}
