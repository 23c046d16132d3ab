import assert from 'node:assert/strict';
import { descriptorOf, valueIn } from './child';

interface Services {
  greeter: { plain(): unknown; greet(name: string): Promise<{ text: string }> };
  user: { profile: { find(id: string): Promise<unknown>; inOwnContext(): Promise<boolean> } };
  web: { read(name: string): Promise<unknown> };
}

describe('entry/application/inline', function () {
  this.timeout(30_000);

  it('takes services, and egg-mock\'s mocks of them, from the application that is there', async () => {
    const seen = await valueIn(descriptorOf('plain-app'), async ({ inline, descriptor, require }) => {
      const mm = require('egg-mock');
      const app = mm.app({ baseDir: descriptor.baseDir, plugin: false });
      await app.ready();
      const booted = inline.wrapEgg(app);
      const find = async (): Promise<unknown> => {
        const scope = booted.createScope(booted.logger);
        return scope.run(() => (scope.service as Services).user.profile.find('1'));
      };
      const real = await find();
      app.mockService('user.profile', 'find', () => ({ id: 'mocked' }));
      const mocked = await find();
      mm.restore();
      await booted.close();
      const scope = booted.createScope(booted.logger);
      const own = await scope.run(() => (scope.service as Services).user.profile.inOwnContext());
      const restored = await find();
      const refused = await (scope.service as Services).web.read('session').catch((error: { code?: string }) => error.code);
      await app.httpRequest().get('/profile/9').expect({ id: '9', total: 6 });
      await app.close();
      return { real, mocked, restored, own, refused };
    });
    assert.deepEqual(seen, {
      real: { id: '1', total: 6 },
      mocked: { id: 'mocked' },
      restored: { id: '1', total: 6 },
      own: true,
      refused: 'CARTON_RUNTIME_CONTEXT_PROPERTY',
    });
  });
});
