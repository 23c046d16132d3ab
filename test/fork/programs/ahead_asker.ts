/**
 * A process that asks for a fork ahead of time, so that a test can kill it. Its arguments are the pid with which all is
 * to end, and the file for notes.
 */
import path from 'node:path';
import { Template } from '../../../lib/fork/template';

export interface Asked {
  readonly template: number;
  readonly fork: number;
}

async function ask(): Promise<void> {
  const [host, notes] = process.argv.slice(2);
  const template = await Template.start({
    entry: path.join(__dirname, '../../../lib/entry/template_process.js'),
    program: path.join(__dirname, 'ahead.js'),
    argument: { notes },
    hostPid: Number(host),
  });
  const { pid } = await template.forkAhead();
  process.send?.({ template: template.pid, fork: pid } satisfies Asked);
}

void ask();
