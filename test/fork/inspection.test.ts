/**
 * What templates find in themselves: what hinders a fork is told with its kind, what it is and who opened it; all else
 * is forked and works. Real template processes; runs in the mocha process.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { baselineOf, whenStill } from '../../lib/fork/inside/inspection';
import type { Reason } from '../../lib/fork/reason';
import { Template } from '../../lib/fork/template';
import type { CaseArgument } from './programs/inspection_cases';

const ENTRY = join(__dirname, '../../lib/entry/template_process.js');
const PROGRAM = join(__dirname, 'programs/inspection_cases.js');
const SOURCE = readFileSync(PROGRAM, 'utf8').split('\n');

/** A native addon whose thread sleeps for ever. */
const THREAD_ADDON = `
#include <pthread.h>
#include <unistd.h>
#include <node_api.h>
static void *idle(void *data) { for (;;) pause(); return data; }
NAPI_MODULE_INIT() { pthread_t thread; pthread_create(&thread, NULL, idle, NULL); return exports; }
`;

/** One that holds descriptors which Node knows nothing of. */
const DESCRIPTOR_ADDON = `
#include <sys/inotify.h>
#include <sys/timerfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include <fcntl.h>
#include <node_api.h>
NAPI_MODULE_INIT() {
  int pair[2];
  inotify_init(); timerfd_create(CLOCK_MONOTONIC, 0); pipe(pair); socket(AF_INET, SOCK_STREAM, 0); open("/dev/zero", O_RDONLY);
  return exports;
}
`;

describe('test/fork/inspection.test.ts', () => {
  let directory: string;
  let server: Server;
  /** Client ports that requests came from. */
  const ports: number[] = [];

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'carton-inspection-'));
    execFileSync('mkfifo', [join(directory, 'fifo')]);
    server = createServer((request, response) => {
      ports.push(request.socket.remotePort ?? 0);
      if (request.url === '/endless') response.write('begun');
      else response.end(String(request.socket.remotePort));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });
  after(() => {
    server.closeAllConnections();
    server.close();
    rmSync(directory, { recursive: true });
  });

  const start = (name: CaseArgument['name']): Promise<Template> =>
    Template.start({ entry: ENTRY, program: PROGRAM, argument: { name, directory, port: (server.address() as AddressInfo).port } satisfies CaseArgument });

  /** Forks a template of this name `count` times at once; resolves with what each fork told. */
  async function forked(name: CaseArgument['name'], count = 1): Promise<unknown[]> {
    const template = await start(name);
    try {
      return await Promise.all(Array.from({ length: count }, async () => {
        const fork = await template.fork('word');
        let told = '';
        fork.channel.on('data', (chunk) => (told += String(chunk)));
        const exit = await fork.exited;
        assert.deepEqual(exit, { code: 0, signal: null }, told);
        return JSON.parse(told) as unknown;
      }));
    } finally {
      template.close();
      await template.ended;
    }
  }

  async function refused(name: CaseArgument['name']): Promise<readonly Reason[]> {
    const error = await start(name).then((template) => {
      template.close();
      assert.fail(`${name} was not refused`);
    }, (thrown: Error & { code?: string; reasons?: readonly Reason[] }) => thrown);
    assert.equal(error.code, 'CARTON_FORK_REFUSED', error.message);
    return error.reasons ?? [];
  }

  /** As the owner of what was opened in the line with this mark. */
  const markedLine = (mark: string): string => `${PROGRAM}:${SOURCE.findIndex((line) => line.includes(`// mark: ${mark}`)) + 1}`;

  it('finds nothing in a template that opens nothing', async () => {
    assert.deepEqual(await forked('nothing'), ['word']);
  });

  describe('refuses, and tells kind, description and the line that opened it, for', () => {
    const port = /^127\.0\.0\.1:\d+$/;

    it('a TCP connection', async () => {
      const [reason, ...others] = await refused('connection');
      assert.deepEqual(reason, { kind: 'socket', what: `a TCP connection to 127.0.0.1:${(server.address() as AddressInfo).port}`, owner: markedLine('connection') });
      assert.deepEqual(others, []);
    });

    it('a listening server', async () => {
      const [reason, ...others] = await refused('server');
      assert.equal(reason?.kind, 'socket');
      assert.match(reason.what.replace('a TCP server on ', ''), port);
      assert.equal(reason.owner, markedLine('server'));
      assert.deepEqual(others, []);
    });

    it('a datagram socket', async () => {
      const [reason, ...others] = await refused('datagrams');
      assert.equal(reason?.kind, 'socket');
      assert.match(reason.what.replace('a UDP socket on ', ''), port);
      assert.match(reason.owner ?? '', new RegExp(`^${PROGRAM}:\\d+$`));
      assert.deepEqual(others, []);
    });

    it('a worker thread', async () => {
      assert.deepEqual(await refused('worker'), [{ kind: 'thread', what: 'a worker thread', owner: markedLine('worker') }]);
    });

    it('the inspector', async () => {
      const error = await Template.start({ entry: ENTRY, program: PROGRAM, argument: { name: 'nothing' }, execArgv: ['--inspect=127.0.0.1:0', '--inspect-publish-uid=http'] })
        .then(() => undefined, (thrown: { reasons?: Reason[] }) => thrown);
      assert.deepEqual(error?.reasons?.map(({ kind }) => kind), ['thread']);
      assert.match(error.reasons[0]?.what ?? '', /^the inspector/);
    });

    it('a child process, whose pipes are not told again', async () => {
      assert.deepEqual(await refused('child'), [{ kind: 'process', what: 'a child process (sleep 60)', owner: markedLine('child') }]);
    });

    it('a file operation that never ends', async () => {
      const reasons = await refused('endlessRead');
      assert.deepEqual(reasons, [{ kind: 'request', what: 'a file operation that has not ended', owner: markedLine('endlessRead') }]);
    });

    it('long work on the thread pool, which is none of Node\'s requests', async () => {
      const [reason, ...others] = await refused('longWork');
      assert.deepEqual(reason, { kind: 'request', what: 'work on Node\'s thread pool', owner: markedLine('longWork') });
      assert.deepEqual(others, []);
    });

    it('a response that is still being read', async () => {
      const [reason, ...others] = await refused('halfDoneFetch');
      assert.equal(reason?.kind, 'socket');
      assert.match(reason.what, /^a TCP connection to 127\.0\.0\.1:\d+ \(of fetch or undici, with a request under way\)$/);
      assert.deepEqual(others, []);
    });

    it('descriptors that a native addon holds, even beside a watch of Node\'s own', async function() {
      if (!compile(DESCRIPTOR_ADDON, join(directory, 'descriptors.node'))) return this.skip();
      const reasons = await refused('holdingAddon');
      const owner = `${join(directory, 'descriptors.node')} (${markedLine('holdingAddon')})`;
      assert.deepEqual(reasons.map(({ kind, what }) => `${kind}: ${what}`).sort(), [
        'descriptor: a pipe', 'descriptor: a pipe', 'descriptor: a timerfd', 'descriptor: a watch of files (inotify) that is not Node\'s', 'socket: a socket that is not Node\'s',
      ]);
      for (const reason of reasons) assert.equal(reason.owner, owner);
    });

    it('a thread of a native addon', async function() {
      if (!compile(THREAD_ADDON, join(directory, 'thread.node'))) return this.skip();
      const [reason, ...others] = await refused('addon');
      assert.equal(reason?.kind, 'thread');
      assert.match(reason.what, /^a thread that is not Node's/);
      assert.equal(reason.owner, `${join(directory, 'thread.node')} (${markedLine('addon')})`);
      assert.deepEqual(others, []);
    });
  });

  it('does not take a socket for Node\'s that was open before the template was, except the one it is given', async () => {
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
    await once(socket, 'connect');
    const { fd } = (socket as unknown as { _handle: { fd: number } })._handle;
    const trusting = await baselineOf();
    const strict = await baselineOf(-1);
    const given = await baselineOf(fd);
    socket.destroy();
    assert.deepEqual([trusting, strict, given].map(({ fds }) => fds.has(fd)), [true, false, true]);
    assert.ok([0, 1, 2].every((stdio) => strict.fds.has(stdio)));
  });

  it('tells when nothing is under way, and that there is no such moment', async () => {
    const baseline = await baselineOf();
    assert.equal(await new Promise((resolve) => whenStill(baseline, resolve)), true);
    let isOver = false;
    const busy = async (): Promise<void> => {
      while (!isOver) await stat('/');
    };
    const running = Promise.all([busy(), busy()]);
    assert.equal(await new Promise((resolve) => whenStill(baseline, resolve)), false);
    isOver = true;
    await running;
  });

  describe('forks a template', () => {
    it('whose workers and children have ended', async () => {
      assert.deepEqual(await forked('endedWorker'), ['word']);
      assert.deepEqual(await forked('endedChild'), ['word']);
    });

    it('once what it writes is written, and only once', async () => {
      assert.deepEqual(await forked('halfDoneWrite', 3), ['word', 'word', 'word']);
      assert.equal(statSync(join(directory, 'written')).size, 8 << 20);
      assert.deepEqual(readFileSync(join(directory, 'streamed'), 'utf8').split('\n').length, 101);
    });

    it('that watches files: each fork sees changes', async () => {
      for (const seen of await forked('watchedDirectory', 3)) assert.ok((seen as number) >= 1);
    });

    it('with intervals, which fire in each fork once they are due there', async () => {
      assert.deepEqual(await forked('interval', 3), [['fired', 0], ['fired', 0], ['fired', 0]]);
    });

    it('that reads a file: each fork goes on at the same place', async () => {
      assert.deepEqual(await forked('readFile', 3), ['cdef', 'cdef', 'cdef']);
      assert.deepEqual(await forked('closedFile'), ['word']);
    });

    for (const [name, what] of [['keptAlive', 'an HTTP agent'], ['fetched', 'fetch']] as const) {
      it(`with idle connections of ${what}: none of them is used by a fork, and no two forks share one`, async () => {
        ports.length = 0;
        const told = await forked(name, 5);
        const own = told.map(Number);
        assert.equal(new Set(own).size, 5, String(own));
        const warmedOn = ports.slice(0, ports.length - 5);
        for (const port of own) assert.ok(!warmedOn.includes(port));
      });
    }
  });
});

/** False where there is no compiler, or no headers of Node. */
function compile(source: string, target: string): boolean {
  writeFileSync(`${target}.c`, source);
  try {
    execFileSync('gcc', ['-shared', '-fPIC', '-I/usr/include/node', `-I${join(process.execPath, '../../include/node')}`, `${target}.c`, '-o', target, '-lpthread'], { stdio: 'ignore' });
    return true;
  } catch {
    // The other cases do not need it.
    return false;
  }
}
