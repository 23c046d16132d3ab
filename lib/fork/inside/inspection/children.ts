/**
 * Child processes of a template: its forks would not be their parent, and would share their pipes. Runs in templates.
 */
import type { ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { Reason } from '../../reason';
import type { Origins } from '../origins';
import { publicObject } from './handles';
import { threadIds } from './threads';

/** Of a command line that is told. */
const COMMAND_CHARACTERS = 120;

export function inspectChildren(origins: Origins): Reason[] {
  const known = new Map<number, { readonly command: string; readonly owner: string | null }>();
  for (const { resource } of origins.opened('PROCESSWRAP')) {
    const child = publicObject(resource) as ChildProcess | undefined;
    if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) continue;
    known.set(child.pid, { command: child.spawnargs.join(' '), owner: origins.ownerOf(resource) });
  }
  return [...new Set([...known.keys(), ...childIds()])].map((pid): Reason => {
    const { command, owner } = known.get(pid) ?? { command: commandOf(pid), owner: null };
    return { kind: 'process', what: `a child process (${command.slice(0, COMMAND_CHARACTERS)})`, owner };
  });
}

/** Those of native code too, and orphans that this process has inherited. */
function childIds(): number[] {
  return threadIds().flatMap((id) => {
    const list = read(`/proc/self/task/${id}/children`).trim();
    return list === '' ? [] : list.split(' ').map(Number);
  });
}

function commandOf(pid: number): string {
  return read(`/proc/${pid}/cmdline`).split('\0').join(' ').trim() || `pid ${pid}`;
}

/** Empty where the kernel was built without it, and for what has ended. */
function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
