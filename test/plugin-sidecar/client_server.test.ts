/**
 * Guarantees of plugin-sidecar/lib/client_server.ts, and what it offers of clients: over a real socket.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { encodeClaims } from '../../lib/protocol/claims';
import { SidecarLink } from '../../lib/runtime/sidecar_link';
import { RemoteObject } from '../../lib/rpc/remote';
import { CartonError } from '../../lib/support/errors';
import { LIMITS } from '../../lib/support/limits';
import { systemClock } from '../../lib/support/clock';
import type { ProxiedClient } from '../../lib/support/host_environment';
import { ClientServer } from '../../plugin-sidecar/lib/client_server';
import { eventually } from '../support/eventually';
import { frameBytes, helloBytes, HostilePeer } from '../support/hostile_peer';

class Tea {
  closed = 0;

  constructor(readonly name: string) {}

  pour(cups: number): string {
    return `${cups} of ${this.name}`;
  }

  close(): void {
    this.closed += 1;
  }
}

/** As `app.addSingleton` makes it of several clients. */
class Teas {
  readonly clients = new Map([['green', new Tea('green')], ['black', new Tea('black')]]);
  readonly made: Tea[] = [];

  createInstance(config: { name: string }): Tea {
    const tea = new Tea(config.name);
    this.made.push(tea);
    return tea;
  }
}

const held = (client: string): ProxiedClient => ({ client, plugin: client, kind: 'generic', sidecar: 'main', aliases: [] });
const tokenOf = (claims: string): string => Buffer.from(claims).toString('hex').padEnd(32, '0').slice(-32);

describe('a server of clients', () => {
  let directory: string;
  let socketPath: string;
  let server: ClientServer;
  let teas: Teas;
  const links: SidecarLink[] = [];
  beforeEach(async () => {
    directory = mkdtempSync(path.join(tmpdir(), 'ec-server-'));
    socketPath = path.join(directory, 's');
    teas = new Teas();
    server = new ClientServer({ teas, cup: new Tea('cup') }, {
      held: [held('teas'), held('cup'), held('nothing')], socketPath, clock: systemClock, tokenOf, authorizeAgent: () => undefined,
    });
    await server.listen();
  });
  afterEach(() => {
    for (const link of links.splice(0)) link.close();
    server.close();
    rmSync(directory, { recursive: true });
  });

  function linkAs(clients: readonly string[] | null, token?: string): SidecarLink {
    const claims = encodeClaims({ who: '1-1', clients });
    const link = new SidecarLink({ name: 'main', socketPath, identity: { claims, token: token ?? tokenOf(claims) }, timeoutMs: 10_000, clock: systemClock });
    links.push(link);
    return link;
  }

  it('offers a client by its name, and each of several by its own', async () => {
    const link = linkAs(null);
    assert.deepEqual(await Promise.all([link.call('cup', 'pour', [1]), link.call('teas/green', 'pour', [2]), link.call('teas/black', 'pour', [3])]), ['1 of cup', '2 of green', '3 of black']);
  });

  for (const name of ['nothing', 'other', 'teas/white', 'teas/', 'cup/green', '', 'teas/green/x', '__proto__', 'constructor']) {
    it(`guarantee 1: does not offer ${name === '' ? 'the empty name' : name}`, async () => {
      await assert.rejects(linkAs(null).call(name, 'pour', [1]), { code: 'CARTON_RPC_NO_TARGET' });
    });
  }

  it('guarantee 1: gives a process the clients that its token is for', async () => {
    const link = linkAs(['teas/green']);
    assert.equal(await link.call('teas/green', 'pour', [1]), '1 of green');
    for (const name of ['teas/black', 'cup', 'teas']) await assert.rejects(link.call(name, 'pour', [1]), { code: 'CARTON_RPC_NO_TARGET' });
    await assert.rejects(link.call('teas', 'createInstance', [{ name: 'x' }]), { code: 'CARTON_RPC_NO_TARGET' });
  });

  it('guarantee 1: refuses claims that the token was not derived from', async () => {
    const others = tokenOf(encodeClaims({ who: '1-1', clients: ['cup'] }));
    await assert.rejects(linkAs(null, others).call('cup', 'pour', [1]), { code: 'CARTON_RPC_UNAUTHORIZED' });
    await assert.rejects(linkAs(['cup'], '0'.repeat(32)).call('cup', 'pour', [1]), { code: 'CARTON_RPC_UNAUTHORIZED' });
  });

  it('of several clients, offers nothing under the name of all but to make another one', async () => {
    for (const method of ['pour', 'get', 'clients', 'init']) await assert.rejects(linkAs(null).call('teas', method, []), { code: 'CARTON_RPC_NO_METHOD' });
  });

  it('guarantee 2: makes another one for a process, and closes it with its session', async () => {
    const link = linkAs(null);
    const tea = await link.call('teas', 'createInstance', [{ name: 'white' }]);
    assert.ok(tea instanceof RemoteObject);
    assert.equal(await link.callOn(tea, 'pour', [1]), '1 of white');
    await link.disconnect();
    await eventually('its end', () => teas.made[0]?.closed === 1);
  });

  it('makes no more for one process than the limit, and again once one has ended', async () => {
    const link = linkAs(null);
    const make = (): Promise<unknown> => link.call('teas', 'createInstance', [{ name: 'x' }]);
    const all = await Promise.all(Array.from({ length: LIMITS.madeClients }, make)) as RemoteObject[];
    await assert.rejects(make(), { code: 'CARTON_RPC_TOO_MANY_OBJECTS' });
    assert.ok(await linkAs(null).call('teas', 'createInstance', [{ name: 'y' }]));
    all[0]?.end();
    await eventually('its end', () => teas.made[0]?.closed === 1);
    assert.ok(await make());
  });

  it('does not make one that cannot be made, and says why', async () => {
    await assert.rejects(linkAs(null).call('cup', 'createInstance', [{}]), { code: 'CARTON_RPC_NO_METHOD' });
    teas.createInstance = () => {
      throw new RangeError('no tea');
    };
    const link = linkAs(null);
    for (let i = 0; i <= LIMITS.madeClients; i += 1) await assert.rejects(link.call('teas', 'createInstance', [{}]), { name: 'RangeError', message: 'no tea' });
  });

  it('guarantee 3: one that breaks the protocol loses its session, and no other process notices', async () => {
    const link = linkAs(null);
    assert.equal(await link.call('cup', 'pour', [1]), '1 of cup');
    const claims = encodeClaims({ who: 'x', clients: null });
    const hello = helloBytes(tokenOf(claims));
    const greeting = Buffer.concat([frameBytes(hello.readUInt8(4), 0, 0, Buffer.concat([hello.subarray(10), Buffer.from(claims)]))]);
    const attacks = [
      Buffer.from('GET / HTTP/1.1\r\n\r\n'), helloBytes('0'.repeat(32)), frameBytes(1, 0, 0, 'x', 0xffffffff), helloBytes(tokenOf(claims), 9),
      Buffer.concat([greeting, frameBytes(99, 0, 1)]), Buffer.concat([greeting, frameBytes(3, 50, 1, Buffer.alloc(100, 0xff))]), Buffer.concat([greeting, frameBytes(3, 50, 1, 'x', 0x7fffffff)]),
    ];
    for (const bytes of attacks) {
      const peer = await HostilePeer.connect(socketPath);
      peer.socket.write(bytes);
      await peer.closed;
    }
    assert.equal(await link.call('cup', 'pour', [2]), '2 of cup');
  });

  it('drained, takes nobody new, and waits for those who are there', async () => {
    const link = linkAs(null);
    await link.call('cup', 'pour', [1]);
    let isDrained = false;
    const drained = server.drained(20_000).then(() => (isDrained = true));
    await assert.rejects(linkAs(null).call('cup', 'pour', [1], { timeoutMs: 50 }), CartonError);
    assert.equal(await link.call('cup', 'pour', [2]), '2 of cup');
    assert.equal(isDrained, false);
    await link.disconnect();
    await drained;
  });
});
