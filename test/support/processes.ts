/**
 * Finds the processes of one host through /proc, for tests on real processes. All of them inherit one variable of
 * their environment, so that instances are found, too, whose parent has died and whose command line was retitled.
 */
import { readdirSync, readFileSync } from 'node:fs';

/** The variable; its value is unique to each host that a test starts. */
export const MARK = 'CARTON_TEST_HOST';

export type ProcessKind = 'master' | 'agent' | 'worker' | 'template' | 'ahead' | 'sidecar' | 'instance' | 'other';

export interface HostProcessInfo {
  readonly pid: number;
  readonly kind: ProcessKind;
  readonly commandLine: string;
  /** Of instances that were told whom they serve; '' otherwise. */
  readonly group: string;
  readonly id: string;
}

/** Living processes that inherited `mark`; zombies have ended. */
export function processesOf(mark: string): HostProcessInfo[] {
  const entry = `${MARK}=${mark}`;
  const found: HostProcessInfo[] = [];
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    if (!read(pid, 'environ').split('\0').includes(entry) || isZombie(pid)) continue;
    const commandLine = read(pid, 'cmdline').replaceAll('\0', ' ').trim();
    // A process that ended between two looks has no command line any more.
    if (commandLine !== '') found.push({ pid, commandLine, ...describe(commandLine) });
  }
  return found;
}

/** Whether the process lives; a zombie does not. */
export function isRunning(pid: number): boolean {
  return read(pid, 'stat') !== '' && !isZombie(pid);
}

/** Ended processes below `pid` that nobody has waited for. */
export function zombiesBelow(pid: number): number[] {
  return readdirSync('/proc').map(Number).filter((other) => Number.isInteger(other) && isZombie(other) && statOf(other)[1] === String(pid));
}

/** Open descriptors of a process, as what they point to. */
export function descriptorsOf(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

function describe(commandLine: string): { kind: ProcessKind; group: string; id: string } {
  const title = /^egg-carton (\S+) (\S+)/.exec(commandLine);
  if (title !== null) return { kind: 'instance', group: title[1] as string, id: title[2] as string };
  const none = { group: '', id: '' };
  if (commandLine.startsWith('egg-carton: fork ahead')) return { kind: 'ahead', ...none };
  if (commandLine.startsWith('egg-carton: sidecar')) return { kind: 'sidecar', ...none };
  // Forks are called as their template until they are told whom they serve.
  if (commandLine.startsWith('egg-carton: ')) return { kind: 'template', ...none };
  // The options of master, agent and workers name files, too: the script comes first.
  const script = /\S*(function_process|template_process|sidecar_process|agent_worker|app_worker|start-cluster)\S*/.exec(commandLine)?.[1];
  if (script === 'function_process') return { kind: 'instance', ...none };
  if (script === 'sidecar_process') return { kind: 'sidecar', ...none };
  if (script === 'template_process') return { kind: 'template', ...none };
  if (script === 'agent_worker') return { kind: 'agent', ...none };
  if (script === 'app_worker') return { kind: 'worker', ...none };
  return { kind: script === 'start-cluster' ? 'master' : 'other', ...none };
}

/** Fields of /proc/<pid>/stat after the command: state, parent, … */
function statOf(pid: number): string[] {
  const text = read(pid, 'stat');
  return text.slice(text.lastIndexOf(')') + 2).split(' ');
}

function isZombie(pid: number): boolean {
  return ['Z', 'X'].includes(statOf(pid)[0] ?? '');
}

function read(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'latin1');
  } catch (error) {
    // Gone meanwhile, or another user's.
    if (['ENOENT', 'ESRCH', 'EACCES', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? '')) return '';
    throw error;
  }
}
