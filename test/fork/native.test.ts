/**
 * The native addon by itself: frames, what it does with malformed ones, and a template that waits.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { TEMPLATE_FLAGS } from '../../lib/fork/flags';
import { forker, OP } from '../../lib/fork/native';
import { ROOT } from '../support/cluster';
import { eventually } from '../support/eventually';
import { descriptorsOf, isRunning, zombiesBelow } from '../support/processes';

const NATIVE = `require(${JSON.stringify(path.join(ROOT, 'lib/fork/native'))}).forker()`;

/** Some 60 MB of V8's heap; tells how many kB of page tables the process has. */
const PAGE_TABLES = `
  globalThis.kept = Array.from({ length: 1_000_000 }, (_, index) => ({ index, next: { index } }));
  console.log(/VmPTE:\\s+(\\d+)/.exec(require('fs').readFileSync('/proc/self/status', 'latin1'))[1]);
`;

/** Waits at once; each fork does what its payload, a program, says. */
const WAITING = `
  const { forker } = require(${JSON.stringify(path.join(ROOT, 'lib/fork/native'))});
  const native = forker();
  const reopened = process.argv.slice(1).map(Number);
  setImmediate(() => {
    for (;;) {
      const { op, payload, fds } = native.wait(3, -1, false, reopened);
      if (op !== ${OP.fork}) continue;
      process.reallyExit = (code) => native.exit(code);
      return void new Function('fd', 'native', 'require', payload)(fds[0], native, require);
    }
  });
`;

interface Frame {
  readonly op: number;
  readonly id: number;
  readonly payload: Buffer;
}

describe('the native addon', () => {
  let template: ChildProcess | undefined;
  let control: number;
  let socket: Socket;
  let received: Frame[];
  afterEach(async () => {
    socket?.destroy();
    template?.kill('SIGKILL');
    await eventually('the end of the template', () => template === undefined || template.exitCode !== null || template.signalCode !== null);
    template = undefined;
  });

  /** Starts a template whose descriptors from 4 on are `stdio`. */
  function waiting(...stdio: (number | 'pipe')[]): void {
    const [ours, theirs] = forker().socketPair();
    const reopened = stdio.map((_, index) => String(4 + index));
    template = spawn(process.execPath, [...TEMPLATE_FLAGS, '-e', WAITING, ...reopened], { stdio: ['ignore', 'inherit', 'pipe', theirs, ...stdio] });
    forker().close(theirs);
    control = ours;
    received = [];
    let bytes = Buffer.alloc(0);
    socket = new Socket({ fd: ours, readable: true, writable: true }).on('error', () => undefined).on('data', (chunk: Buffer) => {
      for (bytes = Buffer.concat([bytes, chunk]); bytes.length >= 12 && bytes.length >= 12 + bytes.readUInt32LE(0);) {
        const end = 12 + bytes.readUInt32LE(0);
        received.push({ op: bytes.readUInt32LE(4), id: bytes.readUInt32LE(8), payload: bytes.subarray(12, end) });
        bytes = bytes.subarray(end);
      }
    });
  }
  const frame = (op: number, count = 1): Promise<Frame> => eventually(`frame ${op}`, () => received.filter((each) => each.op === op)[count - 1], { seen: () => received });

  /** Asks for a fork that runs `program`. Its socket sees all that it writes there. */
  function fork(id: number, program: string): Socket {
    const [ours, theirs] = forker().socketPair();
    forker().send(control, OP.fork, id, program, [theirs]);
    forker().close(theirs);
    return new Socket({ fd: ours, readable: true, writable: true }).on('error', () => undefined);
  }
  async function read(from: Socket): Promise<string> {
    let text = '';
    from.on('data', (chunk: Buffer) => (text += chunk.toString()));
    await once(from, 'close');
    return text;
  }

  it('tells the pid of a fork, and its exit code', async () => {
    waiting();
    await read(fork(7, 'process.exit(3)'));
    const forked = await frame(OP.forked);
    const exited = await frame(OP.exited);
    assert.equal(forked.id, 7);
    assert.deepEqual([exited.payload.readInt32LE(0), exited.payload.readInt32LE(4)], [forked.payload.readInt32LE(0), 3 << 8]);
  });

  it('says EINVAL to a request without a descriptor, or with two, and goes on', async () => {
    waiting();
    forker().send(control, OP.fork, 1, '', []);
    const [ours, theirs] = forker().socketPair();
    forker().send(control, OP.fork, 2, '', [ours, theirs]);
    assert.equal((await frame(OP.failed, 2)).payload.readInt32LE(0), 22);
    const descriptors = descriptorsOf(template?.pid as number);
    for (let id = 3; id < 20; id++) forker().send(control, OP.fork, id, '', [ours, theirs]);
    await frame(OP.failed, 19);
    assert.equal(descriptorsOf(template?.pid as number), descriptors);
    for (const fd of [ours, theirs]) forker().close(fd);
  });

  it('refuses to send more than a frame holds', () => {
    waiting();
    assert.throws(() => forker().send(control, OP.fork, 1, 'x'.repeat(65_537), []), { code: 'EMSGSIZE' });
    assert.throws(() => forker().send(control, OP.fork, 1, '', [0, 0, 0, 0, 0]), { code: 'EMSGSIZE' });
  });

  it('takes an argument of 64 KB, byte by byte', async () => {
    waiting();
    const program = `require('fs').writeSync(fd, 'read'); process.exit(0)//`.padEnd(65_536, 'x');
    assert.equal(await read(fork(1, program)), 'read');
  });

  it('ends without a crash when a frame says that it is longer than the limit', async () => {
    waiting();
    const header = Buffer.alloc(12);
    header.writeUInt32LE(65_537, 0);
    socket.write(header);
    assert.deepEqual(await once(template as ChildProcess, 'exit'), [0, null]);
  });

  it('ends when its orders end in the middle of a frame', async () => {
    waiting();
    socket.end(Buffer.from([4, 0, 0, 0, 1]));
    assert.deepEqual(await once(template as ChildProcess, 'exit'), [0, null]);
  });

  it('reports EAGAIN instead of waiting for a peer that does not read, and ends what it has begun', () => {
    const [ours, theirs] = forker().socketPair();
    socket = new Socket({ fd: theirs, readable: true, writable: true }).pause();
    let sent = 0;
    // A frame that has begun waits for a second for its reader, and breaks the socket then.
    assert.throws(() => {
      for (; sent < 100_000; sent++) forker().send(ours, OP.collect, 0, '', []);
    }, { code: 'EAGAIN' });
    assert.ok(sent > 32);
    forker().close(ours);
  });

  it('ends by SIGTERM while it waits, and ignores what a terminal sends to its group', async () => {
    waiting();
    await read(fork(1, 'process.exit(0)'));
    for (const signal of ['SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2', 'SIGPIPE'] as const) template?.kill(signal);
    await read(fork(2, 'process.exit(0)'));
    template?.kill('SIGTERM');
    assert.deepEqual(await once(template as ChildProcess, 'exit'), [0, null]);
  });

  it('gives signals back to forks', async () => {
    waiting();
    const talks = fork(1, `process.on('SIGUSR2', () => { require('fs').writeSync(fd, 'got it'); process.exit(0); }); require('fs').writeSync(fd, 'up'); setInterval(() => {}, 1e6)`);
    await once(talks, 'data');
    process.kill((await frame(OP.forked)).payload.readInt32LE(0), 'SIGUSR2');
    assert.equal(await read(talks), 'got it');
    const ends = fork(2, `require('fs').writeSync(fd, 'up'); setInterval(() => {}, 1e6)`);
    await once(ends, 'data');
    process.kill((await frame(OP.forked, 2)).payload.readInt32LE(0), 'SIGHUP');
    assert.equal((await frame(OP.exited, 2)).payload.readInt32LE(4), 1);
    ends.destroy();
  });

  it('leaves no zombie when many end at once', async () => {
    waiting();
    const all = Array.from({ length: 60 }, (_, index) => fork(index, `require('fs').readSync(fd, Buffer.alloc(1)); process.exit(0)`));
    await frame(OP.forked, 60);
    for (const each of all) each.end();
    await frame(OP.exited, 60);
    assert.deepEqual(zombiesBelow(template?.pid as number), []);
    for (const each of all) each.destroy();
  });

  describe('with files that are to be a fork\'s own', () => {
    let directory: string;
    beforeEach(() => {
      directory = mkdtempSync(path.join(tmpdir(), 'ec-native-'));
    });
    afterEach(() => rmSync(directory, { recursive: true }));

    it('each fork reads from where the template was, also when the file is deleted', async () => {
      const file = path.join(directory, 'file');
      writeFileSync(file, 'abcdef');
      const fd = openSync(file, 'r');
      waiting(fd);
      closeSync(fd);
      rmSync(file);
      const program = `const b = Buffer.alloc(2); const fs = require('fs'); fs.readSync(4, b); fs.writeSync(fd, b); process.exit(0)`;
      assert.deepEqual([await read(fork(1, program)), await read(fork(2, program))], ['ab', 'ab']);
    });

    it('a fork that cannot have one ends with 71 and says why, and the template goes on', async () => {
      // A socket cannot be opened by its path.
      waiting('pipe');
      await read(fork(1, 'process.exit(0)'));
      assert.equal((await frame(OP.exited)).payload.readInt32LE(4), 71 << 8);
      const [text] = await once(template?.stderr as NonNullable<ChildProcess['stderr']>, 'data') as [Buffer];
      assert.match(text.toString(), /a forked process ends, because of a file that it cannot open again/);
      assert.ok(isRunning(template?.pid as number));
    });
  });

  it('has no descriptor of its own that a started program would inherit', async () => {
    waiting();
    const text = await read(fork(1, `
      const listed = require('child_process').execFileSync('sh', ['-c', 'ls /proc/self/fd']).toString();
      require('fs').writeSync(fd, listed); process.exit(0);
    `));
    // As a program that this process starts: whoever runs the tests may have left it one of its own.
    assert.equal(text, execFileSync('sh', ['-c', 'ls /proc/self/fd']).toString());
  });

  it('listens for its user alone, and says which errno kept it from that', () => {
    const directory = mkdtempSync(path.join(tmpdir(), 'ec-native-'));
    try {
      const taken = path.join(directory, 'taken');
      const descriptors = descriptorsOf(process.pid);
      const listener = forker().listenAt(taken);
      assert.equal(statSync(taken).mode & 0o777, 0o600);
      assert.throws(() => forker().listenAt(taken), { code: 'EADDRINUSE' });
      assert.throws(() => forker().listenAt(path.join(directory, 'x'.repeat(108))), { code: 'ENAMETOOLONG' });
      assert.throws(() => forker().listenAt(path.join(directory, 'none/socket')), { code: 'ENOENT' });
      forker().close(listener);
      assert.equal(descriptorsOf(process.pid), descriptors);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it('has pages of the heap lie together, so that a process has fewer page tables', function () {
    const [scattered, together] = [PAGE_TABLES, `if (!native.ignoreHints()) process.exit(9); ${PAGE_TABLES}`].map((program) => {
      const { status, stdout } = spawnSync(process.execPath, [...TEMPLATE_FLAGS, '-e', `const native = ${NATIVE}; ${program}`], { encoding: 'utf8' });
      return status === 0 ? Number(stdout) : undefined;
    });
    // Not to be had with this Node.
    if (together === undefined) return this.skip();
    assert.ok(together < 0.75 * (scattered as number), `${together} kB, and ${scattered} kB without`);
  });
});
