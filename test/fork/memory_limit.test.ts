/**
 * A template for whose forks the kernel has no memory: fork(2) says ENOMEM, and says it to the caller. strace puts that
 * answer in the place of the kernel's own. A memory group without a killer would give it too, and stop the template at
 * its next page fault as well; one with a killer kills, as other tests do.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { Template, type ForkedProcess } from '../../lib/fork/template';
import { ROOT } from '../support/cluster';
import { eventually } from '../support/eventually';
import { isRunning } from '../support/processes';
import { ensurePrograms } from '../support/servers/install';

const ENTRY = path.join(ROOT, 'lib/entry/template_process.js');
const PROGRAM = path.join(__dirname, 'programs/tree.js');
/** Every way to fork; a question mark passes over one that the architecture lacks. */
const FORKS = '?fork,?vfork,?clone,?clone3';

describe('a template without memory to fork in', () => {
  let strace: string;
  let root: Template;
  let template: Template;
  before(async () => {
    ({ strace } = await ensurePrograms({ apt: 'strace', programs: { strace: ['strace'] } }));
    root = await Template.start({ entry: ENTRY, program: PROGRAM, argument: {} });
    template = await root.derive({ program: PROGRAM, argument: {} });
    await ended(await talking(template));
  });
  after(async () => {
    template?.close();
    root?.close();
    await eventually('the end of both', () => [template, root].every((each) => each === undefined || !isRunning(each.pid)));
  });

  it('fails forks with CARTON_FORK_FAILED and ENOMEM, leaves others alone, and forks again once there is some', async () => {
    const other = await talking(root);
    const giveMemory = await refuseMemory(strace, template.pid);
    try {
      const failures = await Promise.all(Array.from({ length: 40 }, () => template.fork({}).then(
        ({ pid }) => `process ${pid}`,
        ({ code, message }: { code: string; message: string }) => `${code} ${/ENOMEM/.exec(message)?.[0] ?? message}`,
      )));
      assert.deepEqual([...new Set(failures)], ['CARTON_FORK_FAILED ENOMEM']);
      assert.ok(isRunning(template.pid));
      await ended(await talking(root));
    } finally {
      await giveMemory();
    }
    for (const forked of await Promise.all(Array.from({ length: 40 }, () => talking(template)))) await ended(forked);
    await ended(other);
    await ended(await talking(template));
  });
});

/**
 * Resolves once no fork of the process succeeds any more, with what ends that. Rejects with what strace says where it must
 * not trace, as in a container without that capability.
 */
async function refuseMemory(strace: string, pid: number): Promise<() => Promise<void>> {
  const tracer = spawn(strace, ['-e', `trace=${FORKS}`, '-e', `inject=${FORKS}:error=ENOMEM`, '-p', String(pid)], { stdio: ['ignore', 'ignore', 'pipe'] });
  const exited = once(tracer, 'exit');
  let said = '';
  tracer.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
  await eventually('strace traces', () => {
    if (tracer.exitCode !== null) throw new Error(said);
    return / attached\b/.test(said);
  }, { seen: () => said });
  return async () => {
    tracer.kill('SIGINT');
    await exited;
  };
}

async function talking(template: Template): Promise<ForkedProcess> {
  const forked = await template.fork({});
  forked.channel.on('error', () => undefined);
  await once(forked.channel, 'data');
  return forked;
}

async function ended(forked: ForkedProcess): Promise<void> {
  forked.channel.write('exit 0');
  assert.deepEqual(await forked.exited, { code: 0, signal: null });
}
