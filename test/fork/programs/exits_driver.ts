/**
 * Forks once per name and tells after each how it ended: a process of its own, since forks write where their template's
 * starter does. Argument: names as JSON, and whether a derived template is forked from.
 */
import { writeSync } from 'node:fs';
import { join } from 'node:path';
import { Template } from '../../../lib/fork/template';

export interface Drive {
  readonly names: readonly string[];
  readonly derived: boolean;
}

const PROGRAM = { program: join(__dirname, 'exits_program.js'), argument: null };

async function drive({ names, derived }: Drive): Promise<void> {
  const root = await Template.start({ entry: join(__dirname, '../../../lib/entry/template_process.js'), ...PROGRAM });
  const template = derived ? await root.derive(PROGRAM) : root;
  for (const name of names) {
    const { channel, exited } = await template.fork(name);
    channel.resume();
    const exit = await exited;
    writeSync(1, `\n#### ${JSON.stringify(exit)}\n`);
  }
  template.close();
  root.close();
}

void drive(JSON.parse(process.argv[2] as string) as Drive);
