import assert from 'node:assert/strict';
import { ServiceMocks } from '../../../lib/entry/application/service_mocks';
import { descriptorOf, valueIn } from './child';

class Base {
  inherited(): string {
    return 'inherited';
  }
}

class Profile extends Base {
  async find(id: string): Promise<unknown> {
    return { id };
  }

  name(): unknown {
    return 'real';
  }
}

function services(): { tree: object; profile: Profile } {
  return { tree: { user: { profile: Profile }, plain: { ping: () => 'pong' } }, profile: new Profile() };
}

describe('entry/application/service_mocks', function () {
  this.timeout(30_000);

  it('replaces nested methods and restores them with the next list', async () => {
    const { tree, profile } = services();
    const mocks = new ServiceMocks(() => tree);
    mocks.set([
      { service: 'user.profile', method: 'find', result: { id: 'mocked' } },
      { service: 'user.profile', method: 'name', result: 'mocked' },
      { service: 'user.profile', method: 'inherited', result: 'mocked' },
    ]);
    assert.deepEqual(await profile.find('1'), { id: 'mocked' });
    assert.equal(profile.name(), 'mocked');
    assert.equal(profile.inherited(), 'mocked');

    mocks.set([{ service: 'user.profile', method: 'name', result: 'again' }]);
    assert.deepEqual(await profile.find('1'), { id: '1' });
    assert.equal(profile.name(), 'again');

    mocks.set([]);
    assert.equal(profile.name(), 'real');
    assert.equal(profile.inherited(), 'inherited');
    assert.ok(!Object.hasOwn(Profile.prototype, 'inherited'));
  });

  it('takes the last of two mocks of one method, and still restores the original', () => {
    const { tree, profile } = services();
    const mocks = new ServiceMocks(() => tree);
    mocks.set([1, 2].map((result) => ({ service: 'user.profile', method: 'name', result })));
    assert.equal(profile.name(), 2);
    mocks.set([]);
    assert.equal(profile.name(), 'real');
  });

  it('answers with a copy each time', async () => {
    const { tree, profile } = services();
    const mocks = new ServiceMocks(() => tree);
    mocks.set([{ service: 'user.profile', method: 'find', result: { list: [1] } }]);
    const first = (await profile.find('1')) as { list: number[] };
    first.list.push(2);
    assert.deepEqual(await profile.find('1'), { list: [1] });
    mocks.set([]);
  });

  it('throws where it is told to: at once, or as a rejection from an async method', async () => {
    const { tree, profile } = services();
    const mocks = new ServiceMocks(() => tree);
    mocks.set([
      { service: 'user.profile', method: 'find', error: 'db is down' },
      { service: 'user.profile', method: 'name', error: 'no name' },
    ]);
    await assert.rejects(profile.find('1'), { message: 'db is down' });
    assert.throws(() => profile.name(), { message: 'no name' });
    mocks.set([]);
  });

  it('mocks a service that is an object', () => {
    const { tree } = services();
    const mocks = new ServiceMocks(() => tree);
    mocks.set([{ service: 'plain', method: 'ping', result: 'mocked' }]);
    assert.equal((tree as { plain: { ping(): string } }).plain.ping(), 'mocked');
    mocks.set([]);
  });

  it('names an unknown service or method, and then changes nothing', () => {
    const { tree, profile } = services();
    const mocks = new ServiceMocks(() => tree);
    mocks.set([{ service: 'user.profile', method: 'name', result: 'kept' }]);
    const known = { service: 'user.profile', method: 'name', result: 'not this' };
    assert.throws(() => mocks.set([known, { service: 'usr.profile', method: 'find' }]), /usr\.profile.*Did you mean "user"\?/);
    assert.throws(() => mocks.set([known, { service: 'user.profile', method: 'fnd' }]), /method "fnd".*Did you mean "find"\?/);
    assert.throws(() => mocks.set([known, { service: 'user', method: 'find' }]), /mock of service "user"/);
    assert.equal(profile.name(), 'kept');
    mocks.set([]);
  });

  it('reaches the services of a booted application', async () => {
    const seen = await valueIn(descriptorOf('plain-app'), async ({ egg, descriptor }) => {
      const booted = await egg.bootEgg(descriptor);
      const find = async (): Promise<unknown> => {
        const scope = booted.createScope(booted.logger);
        return scope.run(() => (scope.service as { user: { profile: Profile } }).user.profile.find('1'));
      };
      booted.setMocks([{ service: 'user.profile', method: 'find', result: 'mocked' }]);
      const mocked = await find();
      booted.setMocks([]);
      return { mocked, restored: await find() };
    });
    assert.deepEqual(seen, { mocked: 'mocked', restored: { id: '1', total: 6 } });
  });
});
