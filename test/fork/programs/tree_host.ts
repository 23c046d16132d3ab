/**
 * A host with a tree of templates, as a process that a test can kill or limit: a root, a template derived from it, and
 * forks that are asked for over IPC. Its argument, if any, is the pid with which all of it is to end.
 */
import path from 'node:path';
import { Template, type ForkedProcess } from '../../../lib/fork/template';
import { codeOf } from '../../../lib/support/errors';
import { once } from 'node:events';
import type { Warm } from './tree';

export interface Tree {
  readonly root: number;
  readonly derived: number;
}

export type HostOrder = { readonly fork: readonly object[] } | { readonly start: true } | { readonly derive: Warm };

/** Of each fork that was asked for: what it said first, or the code with which it could not be made. */
export type Forks = ({ readonly pid: number; readonly other?: number } | { readonly code: string | undefined })[];

const program = path.join(__dirname, 'tree.js');
const entry = path.join(__dirname, '../../../lib/entry/template_process.js');
const hostPid = process.argv[2] === undefined ? undefined : Number(process.argv[2]);
const forks: ForkedProcess[] = [];
let root: Template | undefined;

async function startTree(): Promise<Template> {
  root = await Template.start({ entry, program, argument: {}, hostPid });
  const derived = await root.derive({ program, argument: {} });
  process.send?.({ root: root.pid, derived: derived.pid } satisfies Tree);
  return derived;
}

async function talkTo(fork: ForkedProcess): Promise<{ pid: number }> {
  forks.push(fork);
  fork.channel.on('error', () => undefined);
  const [said] = await once(fork.channel, 'data') as [Buffer];
  return JSON.parse(said.toString()) as { pid: number };
}

let derived = startTree();
process.on('message', (order: HostOrder) => {
  if ('start' in order) return void (derived = startTree());
  if ('derive' in order) return void root?.derive({ program, argument: order.derive }).catch((error: unknown) => process.send?.({ code: codeOf(error) }));
  void Promise.all(order.fork.map(async (argument) => {
    try {
      return await talkTo(await (await derived).fork(argument));
    } catch (error) {
      return { code: codeOf(error) };
    }
  })).then((all) => process.send?.(all satisfies Forks));
});
