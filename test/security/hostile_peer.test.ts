/**
 * Peers that break the protocol on the sockets of a real host: only their own session ends, all others are served, no
 * process dies, and memory stays bounded. The guarantees of sessions one by one are in `test/rpc`.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { METHOD } from '../../lib/protocol/control';
import { FRAME, NACK, STREAM_FOLLOWS } from '../../lib/protocol/frame';
import { LIMITS } from '../../lib/support/limits';
import { HostDirectory } from '../../lib/support/host_directory';
import { hostProcessOf } from '../../lib/support/host_process';
import { FIXTURES, startCluster, type Cluster } from '../support/cluster';
import { frameBytes, helloBytes, HostilePeer, u32 } from '../support/hostile_peer';
import { Random } from './random';

const INVOKE = METHOD.invoke;
/** The head of an invocation with nothing in it but a minute of time. */
const HEAD = Buffer.alloc(62);
HEAD.writeUInt32LE(60_000, 10);

function invokeBytes(id: number, body: string | Buffer = '[]', flag = 0): Buffer {
  return frameBytes(FRAME.call, INVOKE | flag, id, Buffer.concat([HEAD, Buffer.from(body)]));
}

/** What closes a session, whoever holds it. */
const BAD: Record<string, Buffer[]> = {
  'an unknown type': [frameBytes(200, 0, 1)],
  'a second hello': [helloBytes('00'.repeat(16))],
  'a giant length': [frameBytes(FRAME.event, 1, 0, '', 0xffffffff)],
  'a length just over the limit': [frameBytes(FRAME.event, 1, 0, '', LIMITS.framePayloadBytes + 1)],
  'an unknown method of a call': [frameBytes(FRAME.call, 99, 1, '{}')],
  'a call id of the other side': [frameBytes(FRAME.call, INVOKE, 2, HEAD)],
  'credit of the wrong size': [frameBytes(FRAME.credit, 0, 1, 'x')],
  'an unknown method of an event': [frameBytes(FRAME.event, 99, 0, '{}')],
};

/** What a worker's session at an instance dies of. */
const BAD_CALLS: Record<string, Buffer[]> = {
  'a short head': [frameBytes(FRAME.call, INVOKE, 1, 'x')],
  'an index without a function': [frameBytes(FRAME.call, INVOKE, 1, Buffer.concat([HEAD.subarray(0, 4), Buffer.from([9, 9]), HEAD.subarray(6)]))],
  'extra longer than the frame': [frameBytes(FRAME.call, INVOKE, 1, Buffer.concat([HEAD.subarray(0, 6), u32(0xffffffff), HEAD.subarray(10)]))],
  'the same id twice': [invokeBytes(1, '', STREAM_FOLLOWS), invokeBytes(1)],
  'data of no bytes': [invokeBytes(1, '', STREAM_FOLLOWS), frameBytes(FRAME.data, 0, 1)],
  'an end with an error that is none': [invokeBytes(1, '', STREAM_FOLLOWS), frameBytes(FRAME.end, 1, 1, '{"code":"__proto__"}')],
  'a control event with a call token': [frameBytes(FRAME.event, METHOD.drain, 0, '{}')],
  'a boot with a call token': [frameBytes(FRAME.event, METHOD.boot, 0, '{}')],
  'mocks with a call token': [frameBytes(FRAME.call, METHOD.mock, 1, '{"mocks":[]}')],
};

/** What a worker's session at the agent dies of. */
const BAD_WORKER: Record<string, Buffer[]> = {
  'an unknown call': [frameBytes(FRAME.call, METHOD.load, 1, '{}')],
  'mocks that are none': [frameBytes(FRAME.call, METHOD.setMocks, 1, '{"mocks":[1],"keep":true}')],
  'an event that is no JSON': [frameBytes(FRAME.event, METHOD.demand, 0, '{')],
  'an event that is an array': [frameBytes(FRAME.event, METHOD.demand, 0, '[]')],
  'a demand without a group': [frameBytes(FRAME.event, METHOD.demand, 0, '{"waiting":1,"inflight":0}')],
  'an infinite demand': [frameBytes(FRAME.event, METHOD.demand, 0, '{"group":"alpha","waiting":1e999,"inflight":0}')],
  'a negative demand': [frameBytes(FRAME.event, METHOD.demand, 0, '{"group":"alpha","waiting":-5,"inflight":0}')],
  'a demand for a prototype': [frameBytes(FRAME.event, METHOD.demand, 0, '{"__proto__":{"group":"alpha","waiting":1,"inflight":0}}')],
  'a lost instance without an id': [frameBytes(FRAME.event, METHOD.lost, 0, '{"id":{},"reason":"closed"}')],
  'an instance\'s event': [frameBytes(FRAME.event, METHOD.ready, 0, '{"id":"x"}')],
};

describe('hostile peers of a host', function () {
  this.timeout(60_000);
  let cluster: Cluster;
  let directory: HostDirectory;
  let instance: { id: string; path: string; callToken: string; controlToken: string };
  let alive: string[];

  const pids = (): string[] => cluster.processes().map(({ pid, kind, group }) => `${kind} ${group} ${pid}`).sort();
  const memoryOf = (pid: number): number => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024;

  before(async () => {
    cluster = await startCluster({ application: 'fuzz-app', workers: 2 });
    for (let worker = 0; worker < 4; worker += 1) assert.equal((await cluster.invoke('alpha', ['x'], { fresh: true })).status, 200);
    directory = new HostDirectory(cluster.directory, hostProcessOf(cluster.master), join(FIXTURES, 'fuzz-app'));
    const [found] = cluster.instances('alpha');
    assert.ok(found);
    const { id } = found;
    instance = { id, path: directory.instanceSocket(id), callToken: directory.token(`call:${id}`), controlToken: directory.token(`control:${id}`) };
    await cluster.prepared();
    alive = pids();
  });

  afterEach(async () => {
    const answers = await Promise.all(Array.from({ length: 4 }, () => cluster.invoke('alpha', ['still'], { fresh: true })));
    assert.deepEqual(answers.map(({ status }) => status), [200, 200, 200, 200]);
    assert.deepEqual(pids(), alive, `a process has ended or was replaced:\n${cluster.logs.slice(-3000)}`);
  });

  after(async () => {
    assert.doesNotMatch(cluster.logs + cluster.output, /unhandledRejection|uncaughtException|TypeError|RangeError/);
    await cluster.stop();
  });

  async function dies(path: string, token: string, frames: readonly Buffer[]): Promise<HostilePeer> {
    const peer = await HostilePeer.open(path, token);
    assert.equal(peer.of(FRAME.welcome).length, 1);
    for (const frame of frames) peer.raw(frame);
    await peer.closed;
    return peer;
  }

  async function isRefused(path: string, hello: Buffer, code: string): Promise<void> {
    const peer = await HostilePeer.connect(path);
    peer.raw(hello);
    await peer.closed;
    assert.deepEqual(peer.frames.map(({ type, payload }) => [type, (JSON.parse(payload.toString()) as { code: string }).code]), [[FRAME.refuse, code]]);
  }

  describe('rights follow the token', () => {
    it('an instance refuses every token but its own two', async () => {
      for (const token of [directory.token('worker'), directory.token('call:other'), directory.token('control:other'), '0'.repeat(32)]) {
        await isRefused(instance.path, helloBytes(token), 'CARTON_RPC_UNAUTHORIZED');
      }
    });

    it('the agent refuses every token but a worker\'s: an instance\'s above all', async () => {
      for (const token of [instance.callToken, instance.controlToken, '0'.repeat(32)]) await isRefused(directory.agentSocket, helloBytes(token), 'CARTON_RPC_UNAUTHORIZED');
    });

    it('both refuse another version', async () => {
      await isRefused(instance.path, helloBytes(instance.callToken, 2), 'CARTON_RPC_VERSION');
      await isRefused(directory.agentSocket, helloBytes(directory.token('worker'), 0), 'CARTON_RPC_VERSION');
    });
  });

  describe('on an instance\'s socket, only that session dies of', () => {
    for (const [what, frames] of Object.entries({ ...BAD, ...BAD_CALLS })) {
      it(what, async () => {
        const good = await HostilePeer.open(instance.path, instance.callToken);
        await dies(instance.path, instance.callToken, frames);
        good.raw(invokeBytes(1, '["good"]'));
        await good.until(() => good.of(FRAME.reply).length === 1);
        assert.match(String(good.of(FRAME.reply)[0]?.payload), /"args":\["good"\]/);
        good.destroy();
      });
    }

    it('credit beyond a window, granted to its result, at once or bit by bit', async () => {
      const large = invokeBytes(1, JSON.stringify(['x'.repeat(200_000)]));
      for (const grants of [[u32(0xffffffff)], Array.from({ length: 4 }, () => u32(0x7fffffff)), [u32(0)]]) {
        const peer = await HostilePeer.open(instance.path, instance.callToken);
        peer.raw(large);
        await peer.until(() => peer.of(FRAME.reply).length === 1);
        // The stream ends by itself, after which credit is dropped: what counts is that nothing breaks.
        for (const grant of grants) peer.raw(frameBytes(FRAME.credit, 0, 1, grant));
        peer.raw(frameBytes(200, 0, 0));
        await peer.closed;
      }
    });

    it('a control session that says what no agent says', async () => {
      await dies(instance.path, instance.controlToken, [frameBytes(FRAME.event, 99, 0, '{}')]);
    });
  });

  describe('on the agent\'s socket, only that session dies of', () => {
    for (const [what, frames] of Object.entries({ ...BAD, ...BAD_WORKER })) {
      it(what, async () => {
        await dies(directory.agentSocket, directory.token('worker'), frames);
      });
    }
  });

  it('frames that never become whole, and sockets that say nothing, hold nobody up', async () => {
    const paths = [instance.path, directory.agentSocket];
    const peers = await Promise.all(Array.from({ length: 50 }, (_, index) => HostilePeer.connect(paths[index % 2] as string)));
    for (const [index, peer] of peers.entries()) peer.raw(helloBytes(instance.callToken).subarray(0, index % 32));
    const half = await HostilePeer.open(instance.path, instance.callToken);
    half.raw(invokeBytes(1).subarray(0, 30));
    assert.equal((await cluster.invoke('alpha', ['meanwhile'])).status, 200);
    for (const peer of [...peers, half]) peer.destroy();
  });

  it('a flood of calls is refused beyond the concurrency, and leaves no call behind', async () => {
    const peer = await HostilePeer.open(instance.path, instance.callToken);
    const count = 1000;
    peer.raw(Buffer.concat(Array.from({ length: count }, (_, index) => invokeBytes(2 * index + 1, '', STREAM_FOLLOWS))));
    // The concurrency of the function is 200: those wait for their bodies, the others are refused.
    await peer.until(() => peer.of(FRAME.nack).length === count - 200);
    assert.ok(peer.of(FRAME.nack).every(({ flag }) => flag === NACK.busy));
    peer.raw(Buffer.concat(Array.from({ length: count }, (_, index) => frameBytes(FRAME.cancel, 0, 2 * index + 1))));
    await peer.until(() => peer.of(FRAME.event).some(({ flag }) => flag === METHOD.free));
    peer.destroy();
  });

  it('a peer that calls and never reads takes a bounded amount of memory', async () => {
    const pid = cluster.instances('alpha')[0]?.pid as number;
    const peer = await HostilePeer.open(instance.path, instance.callToken);
    peer.socket.pause();
    const start = memoryOf(pid);
    // Each reply is as long as its request, and none is read: 240 MB if all were served.
    let sent = 0;
    const body = JSON.stringify(['x'.repeat(60_000)]);
    for (let id = 1; id < 8000; id += 2) {
      peer.raw(invokeBytes(id, body));
      sent += 1;
      if (sent % 100 === 0) await new Promise<void>((resolve) => setImmediate(resolve));
    }
    assert.equal((await cluster.invoke('alpha', ['others are served'])).status, 200);
    assert.ok(memoryOf(pid) - start < 150e6, `${Math.round((memoryOf(pid) - start) / 1e6)} MB`);
    peer.destroy();
  });

  it('opening and closing sessions by the hundred leaves none behind', async () => {
    const pid = cluster.instances('alpha')[0]?.pid as number;
    for (let round = 0; round < 10; round += 1) {
      const peers = await Promise.all(Array.from({ length: 40 }, () => HostilePeer.open(instance.path, instance.callToken)));
      for (const peer of peers) peer.destroy();
      const workers = await Promise.all(Array.from({ length: 10 }, () => HostilePeer.open(directory.agentSocket, directory.token('worker'))));
      for (const peer of workers) peer.destroy();
    }
    assert.ok(memoryOf(pid) < 400e6);
  });

  it('any frames in any order, and any bytes, end at most their own session', async () => {
    const random = new Random(20_240_607);
    const tokens: [string, string][] = [[instance.path, instance.callToken], [directory.agentSocket, directory.token('worker')]];
    for (let round = 0; round < 150; round += 1) {
      const [path, token] = random.pick(tokens);
      const peer = await HostilePeer.open(path, token);
      const payloads = [Buffer.alloc(0), HEAD, u32(random.int(0, 0xffffffff)), Buffer.from(random.json()), random.bytes(random.int(0, 200)), Buffer.concat([HEAD, Buffer.from(random.args())])];
      for (let frame = 0; frame < random.int(1, 12); frame += 1) {
        if (random.chance(0.05)) peer.raw(random.bytes(random.int(1, 60)));
        // Methods of the agent that change the host for all are what a worker's token is for; they are left out.
        const flag = random.pick([0, 1, INVOKE, STREAM_FOLLOWS, INVOKE | STREAM_FOLLOWS, METHOD.free, METHOD.load, METHOD.stale, 255]);
        peer.raw(frameBytes(random.int(0, 14), flag, random.pick([0, 1, 2, 3, 5, 0xffffffff]), random.pick(payloads)));
      }
      // What the peer cannot have survived tells that everything before it was read.
      peer.raw(frameBytes(200, 0, 0, Buffer.alloc(LIMITS.framePayloadBytes)));
      peer.raw(frameBytes(200, 0, 0, Buffer.alloc(200)));
      await peer.closed;
    }
  });
});
