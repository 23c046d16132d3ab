/**
 * A host with a tree of templates, as a process that a test can kill or limit: a root, a template derived from it, and
 * forks that are asked for over IPC.
 */
import path from 'node:path';
import { Template, type ForkedProcess } from '../../../lib/fork/template';
import { codeOf } from '../../../lib/support/errors';
import { once } from 'node:events';

export interface Tree {
  readonly root: number;
  readonly derived: number;
}

export type HostOrder = { readonly fork: readonly object[] } | { readonly start: true };

/** Of each fork that was asked for: what it said first, or the code with which it could not be made. */
export type Forks = ({ readonly pid: number; readonly other?: number } | { readonly code: string | undefined })[];

const program = path.join(__dirname, 'tree.js');
const entry = path.join(__dirname, '../../../lib/entry/template_process.js');
const forks: ForkedProcess[] = [];

async function startTree(): Promise<Template> {
  const root = await Template.start({ entry, program, argument: {} });
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
  void Promise.all(order.fork.map(async (argument) => {
    try {
      return await talkTo(await (await derived).fork(argument));
    } catch (error) {
      return { code: codeOf(error) };
    }
  })).then((all) => process.send?.(all satisfies Forks));
});
