/**
 * A template whose group has no memory left: fork(2) says ENOMEM, and says it to the caller. A memory group of cgroup v1
 * is where that can be had: its killer can be switched off, so that the kernel refuses instead. With cgroup v2 a process
 * is killed instead, as other tests do.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { accessSync, constants, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Template, type ForkedProcess } from '../../lib/fork/template';
import { ROOT } from '../support/cluster';
import { eventually } from '../support/eventually';
import { isRunning } from '../support/processes';

const ENTRY = path.join(ROOT, 'lib/entry/template_process.js');
const PROGRAM = path.join(__dirname, 'programs/tree.js');
const GROUPS = '/sys/fs/cgroup/memory';
/** Bytes: what the template has was charged elsewhere, and a fork takes more than this for its page tables alone. */
const TOO_LITTLE = String(128 * 1024);

describe('a template without memory to fork in', () => {
  let root: Template;
  let template: Template;
  before(async function () {
    if (!canLimit()) this.skip();
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
    const group = new MemoryGroup(template.pid);
    try {
      const failures = await Promise.all(Array.from({ length: 40 }, () => template.fork({}).then(
        ({ pid }) => `process ${pid}`,
        ({ code, message }: { code: string; message: string }) => `${code} ${/ENOMEM/.exec(message)?.[0] ?? message}`,
      )));
      assert.deepEqual([...new Set(failures)], ['CARTON_FORK_FAILED ENOMEM']);
      assert.ok(isRunning(template.pid));
      await ended(await talking(root));
      group.lift();
      for (const forked of await Promise.all(Array.from({ length: 40 }, () => talking(template)))) await ended(forked);
    } finally {
      group.remove();
    }
    await ended(other);
    await ended(await talking(template));
  });
});

/** A group of its own for one process, and for what it forks. */
class MemoryGroup {
  readonly #home: string;
  readonly #path: string;

  constructor(pid: number) {
    this.#home = path.join(GROUPS, groupOf(pid));
    this.#path = path.join(GROUPS, `carton-test-${pid}`);
    mkdirSync(this.#path);
    this.#write('memory.oom_control', '1');
    this.#write('memory.limit_in_bytes', TOO_LITTLE);
    this.#write('cgroup.procs', String(pid));
  }

  lift(): void {
    this.#write('memory.limit_in_bytes', '-1');
  }

  remove(): void {
    this.lift();
    for (const pid of readFileSync(path.join(this.#path, 'cgroup.procs'), 'utf8').split('\n')) if (pid !== '') writeFileSync(path.join(this.#home, 'cgroup.procs'), pid);
    rmdirSync(this.#path);
  }

  #write(file: string, text: string): void {
    writeFileSync(path.join(this.#path, file), text);
  }
}

function groupOf(pid: number): string {
  const line = readFileSync(`/proc/${pid}/cgroup`, 'utf8').split('\n').find((each) => each.split(':')[1] === 'memory');
  return line?.split(':')[2] ?? '/';
}

function canLimit(): boolean {
  try {
    accessSync(path.join(GROUPS, 'memory.oom_control'), constants.W_OK);
    return true;
  } catch {
    return false;
  }
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
