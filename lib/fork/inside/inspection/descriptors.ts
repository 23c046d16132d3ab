/**
 * Open descriptors of this process: which there are, which forks may share, which they open again for themselves, and
 * what hinders a fork. Runs in templates.
 */
import { closeSync, constants, fstatSync, openSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { describe } from '../../../support/errors';
import type { Reason } from '../../reason';
import type { Origins } from '../origins';
import { describeClient } from '../clients/index';
import { describeHandle, handlesByDescriptor } from './handles';

/** What the kernel says that each descriptor is, by its number. */
export type Descriptors = ReadonlyMap<number, string>;

/** Devices without a state that readers or writers could share. */
const STATELESS = /^\/dev\/(?:null|zero|full|random|urandom|tty|pts\/\d+|console)$/;
const INOTIFY = 'anon_inode:inotify';
/** Node does not tell it; the same on all architectures that it supports on Linux. */
const O_CLOEXEC = 0o2000000;
/** Standard input and output: forks are to have those of the template. */
const STDIO_END = 2;

/** What the kernel calls them, and what they are called here. */
const KINDS: readonly (readonly [RegExp, string])[] = [
  [/^pipe:/, 'a pipe'],
  [/\[eventpoll\]/, 'an event queue (epoll)'],
  [/\[eventfd\]/, 'an eventfd'],
  [/\[timerfd\]/, 'a timerfd'],
  [/\[signalfd\]/, 'a signalfd'],
  [/\[io_uring\]/, 'an io_uring'],
  [/inotify/, 'a watch of files (inotify) that is not Node\'s'],
];

export function descriptors(): Descriptors {
  const found = new Map<number, string>();
  for (const name of readdirSync('/proc/self/fd')) {
    try {
      found.set(Number(name), readlinkSync(`/proc/self/fd/${name}`));
    } catch {
      // The one that the listing itself had open.
    }
  }
  return found;
}

/**
 * What of those that are open at the start of a template is Node's, or was given to it: not a socket that this very
 * process opened, since Node opens none. One may come from a module that was loaded before, or from a hook that ran
 * when a template was forked from another one. Such are closed by exec, those given are not; `control` is the exception.
 */
export function givenDescriptors(control: number): Descriptors {
  return new Map([...descriptors()].filter(([fd, link]) => fd <= STDIO_END || fd === control || !link.startsWith('socket:') || (flagsOf(fd) & O_CLOEXEC) === 0));
}

/** What is open beyond `baseline` and shared with forks to their harm. `inThreads`: foreign threads are known anyway. */
export function inspectDescriptors(origins: Origins, baseline: Descriptors, inThreads: boolean): Reason[] {
  const handles = handlesByDescriptor(origins);
  const isOwnInotify = ownInotify(origins, baseline);
  const reasons: Reason[] = [];
  for (const [fd, link] of descriptors()) {
    if (baseline.get(fd) === link) continue;
    const handle = handles.get(fd);
    if (link.startsWith('socket:') || handle?.type.startsWith('PIPE') === true) {
      // A thread of a native addon has sockets that belong to it; what hinders is the thread.
      if (handle === undefined && inThreads) continue;
      const what = handle === undefined ? 'a socket that is not Node\'s' : describeHandle(handle) + describeClient(origins, handle.resource);
      reasons.push({ kind: 'socket', what, owner: handle === undefined ? addonsOf(origins) : origins.ownerOf(handle.resource) });
    } else if (link.startsWith('/')) {
      reasons.push(...inspectFile(fd, link));
    } else if (link !== INOTIFY || !isOwnInotify(fd)) {
      const what = KINDS.find(([pattern]) => pattern.test(link))?.[1];
      // What is left shares nothing that changes, as a pidfd.
      if (what !== undefined && !inThreads) reasons.push({ kind: 'descriptor', what, owner: addonsOf(origins) });
    }
  }
  return reasons;
}

/**
 * Files and directories that are read: each fork opens them again, for a position of its own. Those of the template
 * above this one as well, whose forks are this one and its siblings. Files that are only written stay shared: with
 * positions of their own, forks would write over each other's lines.
 */
export function readFiles(): number[] {
  return [...descriptors()].filter(([fd, link]) => fd > STDIO_END && link.startsWith('/') && isReadFile(fd)).map(([fd]) => fd);
}

function inspectFile(fd: number, link: string): Reason[] {
  const stat = fstatSync(fd);
  if (stat.isFile() || stat.isDirectory()) {
    const problem = isReadFile(fd) ? cannotReopen(fd) : undefined;
    return problem === undefined ? [] : [{ kind: 'descriptor', what: `a file that cannot be opened again (${problem})`, owner: null }];
  }
  if (stat.isCharacterDevice() && STATELESS.test(link)) return [];
  return [{ kind: 'descriptor', what: `${stat.isFIFO() ? 'a pipe' : 'a device'} (${link})`, owner: null }];
}

function isReadFile(fd: number): boolean {
  const stat = fstatSync(fd);
  return (stat.isFile() || stat.isDirectory()) && (flagsOf(fd) & (constants.O_WRONLY | constants.O_APPEND)) === 0;
}

/** Better here than in each fork. */
function cannotReopen(fd: number): string | undefined {
  try {
    closeSync(openSync(`/proc/self/fd/${fd}`, flagsOf(fd) & ~(constants.O_CREAT | constants.O_EXCL | constants.O_TRUNC)));
    return undefined;
  } catch (error) {
    return describe(error);
  }
}

function flagsOf(fd: number): number {
  return parseInt(/^flags:\s+(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1] ?? '0', 8);
}

/** libuv has one per loop, made at the first watch and never closed; it makes it anew in a fork. */
function ownInotify(origins: Origins, baseline: Descriptors): (fd: number) => boolean {
  const isThere = [...baseline.values()].includes(INOTIFY);
  const first = [...descriptors()].find(([fd, link]) => link === INOTIFY && baseline.get(fd) !== link)?.[0];
  return (fd) => fd === first && !isThere && origins.hasOpened('FSEVENTWRAP');
}

/** Whoever opened what is not Node's is native code. */
export function addonsOf(origins: Origins): string | null {
  const owners = origins.addons().map(({ file, owner }) => (owner === null ? file : `${file} (${owner})`));
  return owners.length === 0 ? null : owners.join(', ');
}
